// From a path the user wrote to the daemon that serves it, or to a sentence that says why there is none.
import { resolve } from 'node:path';
import { canonicalMountpoint } from '../base/mount-table.ts';
import { UsageError } from '../base/usage-error.ts';
import { type ControlClient, connectControl, type Probe, probeMount } from '../control/client.ts';
import type { CliContext } from './context.ts';
import { deadMounts } from './left-mounts.ts';
import { withMeantMountpoint } from './meant-mountpoint.ts';

/** A daemon that answers; the client is the caller's to close. */
export interface ServingMount {
  readonly mountpoint: string;
  readonly pid: number;
  readonly client: ControlClient;
}

/** The mountpoint as the kernel lists it. A mountpoint that is gone is not mounted: that answer serves better than ENOENT. */
export async function namedMountpoint(context: CliContext, path: string): Promise<string> {
  if (path === '') throw new UsageError('the mountpoint is empty');
  try {
    return await canonicalMountpoint(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const message = await withMeantMountpoint(context, `${path} does not exist`, resolve(path));
    throw new Error(message, { cause: error });
  }
}

/** Who serves a mountpoint; undefined when nobody does. Rejects when its daemon is hung. */
export async function findServing(context: CliContext, mountpoint: string): Promise<ServingMount | undefined> {
  const runtimeDirectories = context.directories.runtime;
  const found = await probeMount(runtimeDirectories, mountpoint);
  if (found.state === 'hung') throw new Error(hungText(mountpoint, found));
  const client = found.state === 'serving' ? await connectControl({ runtimeDirectories, mountpoint }) : undefined;
  if (client === undefined || found.state !== 'serving') return undefined;
  return { mountpoint, pid: found.mount.pid, client };
}

/** As {@link findServing}, by the user's path; rejects when nobody serves it. */
export async function requireServing(context: CliContext, path: string): Promise<ServingMount> {
  const mountpoint = await namedMountpoint(context, path);
  const serving = await findServing(context, mountpoint);
  if (serving !== undefined) return serving;
  throw new Error(await notServedText(context, mountpoint));
}

/** Why a mountpoint has no daemon. */
export async function notServedText(context: CliContext, mountpoint: string): Promise<string> {
  const dead = await deadMounts((candidate) => candidate === mountpoint);
  if (dead.length > 0) return deadText(mountpoint);
  return withMeantMountpoint(context, `${mountpoint} is not a mount of syncplicityfs of yours`, mountpoint);
}

/** What a dead mount is and what clears it. */
export function deadText(mountpoint: string): string {
  return `${mountpoint} is a dead mount: its daemon is gone; unmount clears it away, mount replaces it`;
}

function hungText(mountpoint: string, found: Probe): string {
  const pid = found.mount === undefined ? '' : ` (process ${found.mount.pid})`;
  return `the daemon of ${mountpoint}${pid} does not answer\nif it stays so, end it with kill -9 and unmount again`;
}
