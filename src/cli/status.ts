// `syncplicityfs status`: what the mounts of this user are doing, once or again every second.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { isAbort } from '../base/abort.ts';
import { canonicalMountpoint } from '../base/mount-table.ts';
import { UsageError } from '../base/usage-error.ts';
import { connectControl } from '../control/client.ts';
import { type ListedMount, listMounts } from '../control/mounts.ts';
import type { MountStatus } from '../control/status.ts';
import { type CliContext, printJson } from './context.ts';
import { logFileOf } from './daemon-log.ts';
import { deadMounts, isMounted } from './left-mounts.ts';
import { statusLines } from './status-text.ts';

/** As often as people look. */
const WATCH_INTERVAL_MS = 1_000;
/** Gathered from memory; past this a daemon counts as hung. */
const STATUS_TIMEOUT_MS = 5_000;
const CLEAR_SCREEN = '\u001b[H\u001b[2J\u001b[3J';

interface StatusOptions {
  readonly json?: true;
  readonly watch?: true;
}

/** What asking one mount gave. */
type Answer = { readonly status: MountStatus } | { readonly problem: string };

export function statusCommand(context: CliContext): Command {
  return new Command('status')
    .description('show mounts, what is pending, caches and the budget of calls')
    .argument('[MOUNTPOINT]', 'only this mount')
    .option('--json', 'print JSON: an array with one object a mount')
    .option('--watch', 'show it again every second until Ctrl-C')
    .action((path: string | undefined, options: StatusOptions) =>
      options.watch === true ? watch(context, path, options) : show(context, path, options, ''),
    );
}

async function watch(context: CliContext, path: string | undefined, options: StatusOptions): Promise<void> {
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort());
  const before = process.stdout.isTTY && options.json !== true ? CLEAR_SCREEN : '';
  try {
    while (!interruption.signal.aborted) {
      await show(context, path, options, before);
      await sleep(WATCH_INTERVAL_MS, undefined, { signal: interruption.signal });
    }
  } catch (error) {
    if (!isAbort(error, interruption.signal)) throw error;
  }
}

async function show(
  context: CliContext,
  path: string | undefined,
  options: StatusOptions,
  before: string,
): Promise<void> {
  const mounts = await wanted(context, path);
  const answers = await Promise.all(mounts.map((mount) => ask(context, mount)));
  const statuses = answers.flatMap((answer) => ('status' in answer ? [answer.status] : []));
  const problems = answers.flatMap((answer) => ('problem' in answer ? [answer.problem] : []));
  if (path === undefined) {
    // The user's own are those with a log: others are others' business.
    const isOwn = (mountpoint: string): boolean =>
      !mounts.some((mount) => mount.mountpoint === mountpoint) &&
      existsSync(logFileOf(context.directories.state, mountpoint));
    problems.push(...(await deadMounts(isOwn)).map(deadText));
  }
  if (options.json === true) printJson(context, statuses);
  else if (answers.length === 0 && problems.length === 0) context.print(`${before}nothing is mounted`);
  else {
    const texts = statuses.map(async (status) => {
      const detached = !(await isMounted(status.mountpoint));
      return statusLines(status, Date.now(), { detached }).join('\n');
    });
    const blocks = await Promise.all(texts);
    if (blocks.length > 0) context.print(before + blocks.join('\n\n'));
  }
  for (const problem of problems) context.warn(problem);
  if (problems.length > 0) context.setExitCode(1);
}

/** The mounts to ask. Throws when the named one has no daemon. */
async function wanted(context: CliContext, path: string | undefined): Promise<ListedMount[]> {
  const mounts = await listMounts(context.directories.runtime);
  if (path === undefined) return mounts;
  if (path === '') throw new UsageError('the mountpoint is empty');
  const mountpoint = await canonicalMountpoint(path);
  const mount = mounts.find((candidate) => candidate.mountpoint === mountpoint);
  if (mount !== undefined) return [mount];
  const dead = await deadMounts((candidate) => candidate === mountpoint);
  if (dead.length > 0) throw new Error(deadText(mountpoint));
  throw new Error(`${mountpoint} is not a mount of syncplicityfs of yours`);
}

function deadText(mountpoint: string): string {
  return `${mountpoint} is a dead mount: its daemon is gone; unmount clears it away, mount replaces it`;
}

async function ask(context: CliContext, mount: ListedMount): Promise<Answer> {
  const hung = `the daemon of ${mount.mountpoint} (process ${mount.pid}) does not answer`;
  if (!mount.responding) return { problem: hung };
  const client = await connectControl({ runtimeDirectory: context.directories.runtime, mountpoint: mount.mountpoint });
  if (client === undefined) return { problem: `${mount.mountpoint} was unmounted just now` };
  try {
    return { status: (await client.call('status', {}, { timeoutMs: STATUS_TIMEOUT_MS })) as MountStatus };
  } catch (error) {
    if (isAbort(error)) return { problem: hung };
    return { problem: `${mount.mountpoint}: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    client.close();
  }
}
