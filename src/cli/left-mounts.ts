// Mounts and daemons that lost each other: a dead mount has no daemon any more; a detached daemon (after `umount -l`, or our
// own `unmount --lazy`) serves the programs that still use what nobody else can see.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { findMount, readMountTable } from '../base/mount-table.ts';
import { isAlive } from '../base/process-alive.ts';
import type { ListedMount } from '../control/mounts.ts';
import type { CliContext } from './context.ts';
import { logFileOf } from './daemon-log.ts';

/** What the kernel shows for our mounts. */
const MOUNT_TYPE = 'fuse.syncplicityfs';
/** A mount that takes this long to answer hangs: it is not dead, for a dead one answers at once. */
const PROBE_TIMEOUT_MS = 2_000;
/** SIGTERM ends a daemon within 30 s. */
const END_TIMEOUT_MS = 35_000;
/** Another process's end cannot be waited for, only looked at. */
const POLL_INTERVAL_MS = 50;

/** The exit status of the probe below for ENOTCONN. */
const DEAD_STATUS = 3;
const PROBE = `try { fs.statfsSync(process.argv[1]) } catch (e) { process.exitCode = e.code === 'ENOTCONN' ? ${DEAD_STATUS} : 1 }`;

/** True where a mount of ours, with or without a daemon, is in the mount table. */
export async function isMounted(mountpoint: string): Promise<boolean> {
  return (await findMount(mountpoint))?.type === MOUNT_TYPE;
}

/** The mountpoints of dead mounts of ours for which `asked` holds; no other mount is touched. */
export async function deadMounts(asked: (mountpoint: string) => boolean): Promise<string[]> {
  const top = new Map((await readMountTable()).map(({ mountpoint, type }) => [mountpoint, type]));
  const candidates = [...top].filter(([mountpoint, type]) => type === MOUNT_TYPE && asked(mountpoint));
  const dead = await Promise.all(
    candidates.map(async ([mountpoint]) => ((await isDead(mountpoint)) ? [mountpoint] : [])),
  );
  return dead.flat().sort();
}

/** The dead mounts of this user besides the mountpoints that are served: those with a log. Others are others' business. */
export function ownDeadMounts(context: CliContext, served: readonly string[]): Promise<string[]> {
  return deadMounts(
    (mountpoint) => !served.includes(mountpoint) && existsSync(logFileOf(context.directories.state, mountpoint)),
  );
}

/**
 * Ends a detached daemon, so that its account and its place are free; programs that still use its mount lose it. Rejects
 * when it does not end.
 */
export async function endDetached({ mountpoint, pid }: ListedMount): Promise<void> {
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + END_TIMEOUT_MS;
  while (isAlive(pid)) {
    if (performance.now() > deadline)
      throw new Error(`the earlier daemon of ${mountpoint} (process ${pid}) does not end`);
    await sleep(POLL_INTERVAL_MS);
  }
}

/** Asks with statfs(2), in a process of its own: a mount that hangs would hold the asking thread. */
function isDead(mountpoint: string): Promise<boolean> {
  return new Promise((resolve) => {
    const argv = ['-e', PROBE, '--', mountpoint];
    const env = { ...process.env, NODE_OPTIONS: '' };
    execFile(process.execPath, argv, { timeout: PROBE_TIMEOUT_MS, killSignal: 'SIGKILL', env }, (error) =>
      resolve(error?.code === DEAD_STATUS),
    );
  });
}
