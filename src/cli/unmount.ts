// `syncplicityfs unmount`: waits for what is pending, asks the daemon, waits until mount and daemon are gone; without a daemon it
// clears the dead mount away. Where time runs out the mount stays: nothing is lost and nothing hangs.
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Command, Option } from 'commander';
import { findMount } from '../base/mount-table.ts';
import { isAlive } from '../base/process-alive.ts';
import { formatDuration, parseDuration } from '../base/quantities.ts';
import { askMount } from '../control/methods.ts';
import type { CliContext } from './context.ts';
import { drain, leftHeadline, leftLines } from './drain.ts';
import { isMounted } from './left-mounts.ts';
import { withMeantMountpoint } from './meant-mountpoint.ts';
import { mountedElsewhere } from './mounted-elsewhere.ts';
import { countOf } from './printable.ts';
import { findServing, namedMountpoint, type ServingMount } from './serving-mount.ts';

/** What programs that use the mount may take to notice. */
const BUSY_TIMEOUT_MS = 60_000;
/** A wait that is no news. */
const QUIET_MS = 2_000;
/** Between two looks at the mount table and the process: neither can be waited for. */
const POLL_INTERVAL_MS = 50;
/** From the end of the mount to the end of its daemon, where nothing holds that up. */
const DAEMON_END_TIMEOUT_MS = 10_000;
/** The same where programs may go on using the mount: enough for a daemon that nobody uses. */
const LAZY_END_TIMEOUT_MS = 2_000;
/** Changes that are listed when time runs out; status has all. */
const SHOWN_CHANGES = 10;

export function unmountCommand(context: CliContext): Command {
  return new Command('unmount')
    .description('send what is pending, unmount a directory and wait until its daemon has ended')
    .argument('<MOUNTPOINT>')
    .addOption(
      new Option(
        '--timeout <TIME>',
        'how long to wait (default: for what is pending as long as something moves, then 1m for programs that use the mount)',
      ).argParser(parseDuration),
    )
    .option('--no-wait', 'leave what is pending for the next mount')
    .option('--lazy', 'detach a busy mount instead of waiting; programs that use it lose it')
    .action((mountpoint: string, options: { timeout?: number; wait: boolean; lazy?: true }) =>
      unmount(context, mountpoint, {
        timeoutMs: options.timeout,
        wait: options.wait,
        lazy: options.lazy === true,
      }),
    );
}

interface UnmountOptions {
  readonly timeoutMs: number | undefined;
  readonly wait: boolean;
  readonly lazy: boolean;
}

async function unmount(context: CliContext, path: string, options: UnmountOptions): Promise<void> {
  const mountpoint = await namedMountpoint(context, path);
  // Whose working directory lies in the drive keeps it busy, and this process waits for it to be left.
  process.chdir('/');
  const serving = await findServing(context, mountpoint);
  if (serving === undefined) {
    await unmountDead(context, mountpoint);
    return;
  }
  const device = (await findMount(mountpoint))?.device;
  const detached = !(await isMounted(mountpoint));
  try {
    if (detached) await drainDetached(context, serving, options);
    else await askDaemon(context, serving, options);
  } finally {
    serving.client.close();
  }
  if (await isEnded(mountpoint, serving.pid, LAZY_END_TIMEOUT_MS)) return;
  if (!detached && !options.lazy) {
    const elsewhere = device === undefined ? undefined : await mountedElsewhere(device);
    if (elsewhere === undefined && (await isEnded(mountpoint, serving.pid, DAEMON_END_TIMEOUT_MS))) return;
    await requireUnmounted(mountpoint);
    const running = `${mountpoint} is unmounted, but its daemon (process ${serving.pid}) has not ended`;
    throw new Error(elsewhere === undefined ? running : `${running}: ${elsewhere}`);
  }
  await requireUnmounted(mountpoint);
  context.warn(
    `${mountpoint} is detached; its daemon (process ${serving.pid}) ends with the last program that uses it`,
  );
}

/** Nobody serves it: what is in the mount table is cleared away, if it is ours. */
async function unmountDead(context: CliContext, mountpoint: string): Promise<void> {
  const mount = await findMount(mountpoint);
  if (mount === undefined) {
    throw new Error(await withMeantMountpoint(context, `${mountpoint} is not mounted`, mountpoint));
  }
  if (!(await isMounted(mountpoint))) {
    throw new Error(`${mountpoint} is a mount of type ${mount.type}, not of syncplicityfs`);
  }
  await removeDeadMount(mountpoint);
}

/** A daemon without a mountpoint goes by itself when its changes are stored and no program uses it. */
async function drainDetached(context: CliContext, serving: ServingMount, options: UnmountOptions): Promise<void> {
  if (options.wait) await sendPending(context, serving, options.timeoutMs, 'its daemon goes on sending them');
}

/**
 * Sends what is pending, then lets the daemon unmount. Rejects when it refuses; that the connection ends without an answer is what
 * an unmount may look like, too.
 */
export async function askDaemon(context: CliContext, serving: ServingMount, options: UnmountOptions): Promise<void> {
  const { client, mountpoint } = serving;
  const startMs = performance.now();
  if (options.wait) {
    await sendPending(
      context,
      serving,
      options.timeoutMs,
      'it stays mounted; --no-wait leaves them for the next mount',
    );
  }
  const restMs =
    options.timeoutMs === undefined
      ? BUSY_TIMEOUT_MS
      : Math.max(0, Math.round(options.timeoutMs - (performance.now() - startMs)));
  const ask = (timeoutMs: number): Promise<{ readonly left: number }> =>
    // The daemon keeps the time; ours only catches one that hangs over it.
    askMount(
      client,
      'unmount',
      { timeoutMs, lazy: options.lazy, wait: options.wait },
      { timeoutMs: timeoutMs + DAEMON_END_TIMEOUT_MS },
    );
  try {
    const { left } = await (restMs > QUIET_MS ? askTwice(context, mountpoint, ask, restMs) : ask(restMs));
    if (left > 0) context.warn(keptText(mountpoint, left, options.wait));
  } catch (error) {
    if ((await findMount(mountpoint)) === undefined) return;
    const reason = error instanceof Error ? error.message : String(error);
    const headline = reason.startsWith(`${mountpoint} `) ? reason : `${mountpoint} cannot be unmounted: ${reason}`;
    throw new Error(`${headline}\nfuser -vm ${mountpoint} shows who uses it; --lazy detaches it nevertheless`, {
      cause: error,
    });
  }
}

/** Says on the way who keeps the mount busy: whoever asked may be one of them, with a shell that stands in the drive. */
async function askTwice<T>(
  context: CliContext,
  mountpoint: string,
  ask: (timeoutMs: number) => Promise<T>,
  timeoutMs: number,
): Promise<T> {
  try {
    return await ask(QUIET_MS);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if ((await findMount(mountpoint)) === undefined) throw error;
    const restMs = timeoutMs - QUIET_MS;
    if (reason.startsWith(`${mountpoint} is busy`))
      context.warn(`${reason}; waiting until it is left, at most ${formatDuration(restMs)}`);
    return await ask(restMs);
  }
}

/** Rejects when time is over before everything is stored; what failed is nothing to wait for. */
async function sendPending(
  context: CliContext,
  serving: ServingMount,
  timeoutMs: number | undefined,
  otherwise: string,
): Promise<void> {
  const { pending } = await askMount(serving.client, 'status', { itemsMax: 0 });
  if (pending.files === 0) return;
  const { left, reason } = await drain(context, serving, { timeoutMs });
  const waiting = left.filter(({ failed }) => !failed);
  if (waiting.length === 0) return;
  const headline = `${leftHeadline(serving.mountpoint, waiting)} ${reason}: ${otherwise}`;
  throw new Error([headline, ...leftLines(waiting, SHOWN_CHANGES)].join('\n'));
}

function keptText(mountpoint: string, left: number, waited: boolean): string {
  return waited
    ? `${countOf(left, 'change')} of ${mountpoint} failed and ${left === 1 ? 'is' : 'are'} kept; when it is mounted again, status shows why`
    : `${countOf(left, 'change')} of ${mountpoint} ${left === 1 ? 'is' : 'are'} kept for the next mount`;
}

/** True when mount and daemon are gone, at the latest after `timeoutMs`. */
async function isEnded(mountpoint: string, pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while ((await isMounted(mountpoint)) || isAlive(pid)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_INTERVAL_MS);
  }
  return true;
}

async function requireUnmounted(mountpoint: string): Promise<void> {
  if (await isMounted(mountpoint)) throw new Error(`${mountpoint} is still mounted`);
}

/** Clears a mount whose daemon died. fusermount3 is what an ordinary user has; root may lack it. */
async function removeDeadMount(mountpoint: string): Promise<void> {
  const attempts: [string, string[]][] = [
    ['fusermount3', ['-u', '--', mountpoint]],
    ['fusermount', ['-u', '--', mountpoint]],
    ['umount', ['--', mountpoint]],
    ['fusermount3', ['-u', '-z', '--', mountpoint]],
    ['umount', ['-l', '--', mountpoint]],
  ];
  const reasons: string[] = [];
  for (const [program, args] of attempts) {
    try {
      await promisify(execFile)(program, args, { timeout: DAEMON_END_TIMEOUT_MS });
    } catch (error) {
      const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
      if (code !== 'ENOENT') reasons.push((stderr ?? '').trim().split('\n')[0] ?? '');
    }
    if ((await findMount(mountpoint)) === undefined) return;
  }
  throw new Error(
    `the dead mount ${mountpoint} cannot be removed: ${reasons[0] ?? 'neither fusermount3 nor umount is there'}`,
  );
}
