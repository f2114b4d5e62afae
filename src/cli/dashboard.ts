// `syncplicityfs dashboard`: a page on this machine that shows the mounts and lets the user decide, until Ctrl-C. Promises: the token is in no
// command line, log or address that a server sees; the browser gets it out of a file that only this user can read.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm, unlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { replaceFile } from '../base/atomic-file.ts';
import { isAlive } from '../base/process-alive.ts';
import { Stops } from '../base/stops.ts';
import { makeSocketDirectory, socketDirectory } from '../control/socket-directory.ts';
import { openBrowser } from './browser.ts';
import type { CliContext } from './context.ts';
import { ownDeadMounts } from './left-mounts.ts';
import { parsePort } from './port-option.ts';

interface DashboardCliOptions {
  readonly port: number;
  readonly open: boolean;
}

/** `syncplicityfs dashboard`. */
export function dashboardCommand(context: CliContext): Command {
  return new Command('dashboard')
    .description('show the mounts in a browser, on a page of this machine, until Ctrl-C')
    .option(
      '--port <NUMBER>',
      'port of 127.0.0.1 to serve it at (0: a free one, at an address of its own)',
      parsePort,
      0,
    )
    .option('--no-open', 'open no browser')
    .addHelpText('after', '\nOnly you can open the page: its key is new each time, and in no command line or log.')
    .action((options: DashboardCliOptions) => serveDashboard(context, options));
}

async function serveDashboard(context: CliContext, options: DashboardCliOptions): Promise<void> {
  const ending = new AbortController();
  const onSignal = (): void => ending.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const stops = new Stops();
  try {
    // Loaded here: no other command serves pages.
    const [{ startDashboard }, { loadAssets }] = await Promise.all([
      import('../dashboard/server.ts'),
      import('../dashboard/assets.ts'),
    ]);
    const { runtime } = context.directories;
    const dashboard = await startDashboard({
      runtimeDirectories: runtime,
      savesDirectory: join(homedir(), 'Saved from Syncplicity'),
      deadMounts: (living) => ownDeadMounts(context, living),
      assets: await loadAssets(),
      host: options.port === 0 ? unusedLoopback() : '127.0.0.1',
      port: options.port,
    }).catch((error: unknown) => {
      throw portError(error, options.port);
    });
    stops.add('page', () => dashboard.stop());
    const address = `${dashboard.url}#${dashboard.token}`;
    const door = await makeDoor(runtime[0], address);
    stops.add('file for the browser', () => unlink(door));
    const opened = options.open && (await openBrowser(pathToFileURL(door), context.environment));
    announce(context, { address, door, opened });
    if (!ending.signal.aborted) await once(ending.signal, 'abort');
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, onSignal);
    for (const failure of await stops.run()) context.warn(failure.message);
  }
}

/**
 * An address of this machine that no page had before. Who served a page at the same address and port once may have left a service worker in
 * the browser, which answers in our place. Of other systems than Linux only 127.0.0.1 is sure to be there.
 */
function unusedLoopback(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  return ['127', ...Array.from({ length: 3 }, () => randomInt(1, 255))].join('.');
}

/**
 * A file that leads the browser to the page. The command line of a browser can be read by everybody on this machine, and so must not have the
 * token; this file it may have, for only its owner can read that.
 */
async function makeDoor(runtimeDirectory: string, address: string): Promise<string> {
  const directory = socketDirectory(runtimeDirectory);
  await makeSocketDirectory(directory);
  await removeOldDoors(directory);
  const door = join(directory, `dashboard-${process.pid}.html`);
  const page = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="referrer" content="no-referrer">
  <meta http-equiv="refresh" content="0; url=${address}">
  <title>syncplicityfs</title>
  <p><a href="${address}">The mounts of this machine</a></p>
</html>
`;
  await replaceFile(door, page, 0o600);
  return door;
}

/** What runs that were killed have left, finished or not: keys that open nothing any more. */
async function removeOldDoors(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = Number(/^dashboard-(\d+)\.html(\.\w+\.new)?$/.exec(name)?.[1]);
    // Another run that begins just now may be quicker.
    if (pid > 0 && !isAlive(pid)) await rm(join(directory, name), { force: true });
  }
}

/** A terminal shows the address to its user alone; what is not one may be a log. */
function announce(
  context: CliContext,
  { address, door, opened }: { readonly address: string; readonly door: string; readonly opened: boolean },
): void {
  const shown = process.stdout.isTTY ? address : pathToFileURL(door).href;
  context.print(opened ? 'Your browser opens the page. If it does not, open this address:' : 'Open this address:');
  context.print(`\n  ${shown}\n`);
  context.print('Ctrl-C ends it.');
}

function portError(error: unknown, port: number): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE')
    return new Error(`port ${port} is taken by another program; leave --port out for a free one`);
  if (code === 'EACCES') return new Error(`port ${port} is not yours to take; choose one above 1023`);
  return error;
}
