// `syncplicityfs unmount`: asks the daemon, waits until mount and daemon are gone; without a daemon it clears the dead mount away.
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Command, Option } from 'commander';
import { canonicalMountpoint, findMount } from '../base/mount-table.ts';
import { isAlive } from '../base/process-alive.ts';
import { parseDuration } from '../base/quantities.ts';
import { UsageError } from '../base/usage-error.ts';
import { type ControlClient, connectControl, probe } from '../control/client.ts';
import { socketFiles } from '../control/socket-directory.ts';
import type { CliContext } from './context.ts';
import { isMounted } from './left-mounts.ts';

/** What programs that use the mount may take to notice. */
const DEFAULT_TIMEOUT_MS = 60_000;
/** Between two looks at the mount table and the process: neither can be waited for. */
const POLL_INTERVAL_MS = 50;
/** From the end of the mount to the end of its daemon. */
const DAEMON_END_TIMEOUT_MS = 10_000;
/** The same where programs may go on using the mount: enough for a daemon that nobody uses. */
const LAZY_END_TIMEOUT_MS = 2_000;

export function unmountCommand(context: CliContext): Command {
  return new Command('unmount')
    .description('unmount a directory and wait until its daemon has ended')
    .argument('<MOUNTPOINT>')
    .addOption(
      new Option('--timeout <TIME>', 'how long to wait for programs that use the mount')
        .argParser(parseDuration)
        .default(DEFAULT_TIMEOUT_MS, '1m'),
    )
    .option('--lazy', 'detach a busy mount at once; programs that use it lose it')
    .action((mountpoint: string, options: { timeout: number; lazy?: true }) =>
      unmount(context, mountpoint, { timeoutMs: options.timeout, lazy: options.lazy === true }),
    );
}

interface UnmountOptions {
  readonly timeoutMs: number;
  readonly lazy: boolean;
}

async function unmount(context: CliContext, path: string, options: UnmountOptions): Promise<void> {
  const mountpoint = await canonical(path);
  const runtimeDirectory = context.directories.runtime;
  const daemon = await probe(socketFiles(runtimeDirectory, mountpoint).socket);
  if (daemon.state === 'hung') {
    const pid = daemon.mount === undefined ? '' : ` (process ${daemon.mount.pid})`;
    throw new Error(
      `the daemon of ${mountpoint}${pid} does not answer\nif it stays so, end it with kill -9 and unmount again`,
    );
  }
  const client = daemon.state === 'serving' ? await connectControl({ runtimeDirectory, mountpoint }) : undefined;
  if (client !== undefined && daemon.state === 'serving') {
    const detached = !(await isMounted(mountpoint));
    if (!detached) await askDaemon(client, mountpoint, options);
    else client.close();
    if (
      await isEnded(
        mountpoint,
        daemon.mount.pid,
        detached || options.lazy ? LAZY_END_TIMEOUT_MS : DAEMON_END_TIMEOUT_MS,
      )
    )
      return;
    if (!detached && !options.lazy) {
      throw new Error(`${mountpoint} is unmounted, but its daemon (process ${daemon.mount.pid}) has not ended`);
    }
    context.warn(
      `${mountpoint} is detached; its daemon (process ${daemon.mount.pid}) ends with the last program that uses it`,
    );
    return;
  }
  const mount = await findMount(mountpoint);
  if (mount === undefined) throw new Error(`${mountpoint} is not mounted`);
  if (!(await isMounted(mountpoint)))
    throw new Error(`${mountpoint} is a mount of type ${mount.type}, not of syncplicityfs`);
  await removeDeadMount(mountpoint);
}

/** Rejects when the daemon refuses. That the connection ends without an answer is what a successful unmount looks like. */
async function askDaemon(client: ControlClient, mountpoint: string, options: UnmountOptions): Promise<void> {
  // The daemon keeps the time; ours only catches one that hangs over it.
  const timeoutMs = options.timeoutMs + DAEMON_END_TIMEOUT_MS;
  try {
    await client.call('unmount', { timeoutMs: options.timeoutMs, lazy: options.lazy }, { timeoutMs });
  } catch (error) {
    if ((await findMount(mountpoint)) === undefined) return;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${mountpoint} cannot be unmounted: ${reason}\nfuser -vm ${mountpoint} shows who uses it; --lazy detaches it nevertheless`,
      {
        cause: error,
      },
    );
  } finally {
    client.close();
  }
}

/** True when mount and daemon are gone, at the latest after `timeoutMs`. Rejects when the mount itself stays. */
async function isEnded(mountpoint: string, pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while ((await isMounted(mountpoint)) || isAlive(pid)) {
    if (performance.now() > deadline) {
      if (await isMounted(mountpoint)) throw new Error(`${mountpoint} is still mounted`);
      return false;
    }
    await sleep(POLL_INTERVAL_MS);
  }
  return true;
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

/** A mountpoint that is gone is not mounted: that answer serves better than ENOENT. */
async function canonical(path: string): Promise<string> {
  if (path === '') throw new UsageError('the mountpoint is empty');
  try {
    return await canonicalMountpoint(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Error(`${path} does not exist`, { cause: error });
    throw error;
  }
}
