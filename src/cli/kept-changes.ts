// `syncplicityfs status --retry PATH`, `--discard PATH` and `--save PATH DEST`: what shall become of changes that failed and of
// files that a crash left unfinished. The user may write their paths as status does, or as they are below the mountpoint.
import { lstat } from 'node:fs/promises';
import { basename, join, posix, resolve } from 'node:path';
import { formatSize } from '../base/quantities.ts';
import { UsageError } from '../base/usage-error.ts';
import { askMount } from '../control/methods.ts';
import { listMounts } from '../control/mounts.ts';
import type { CliContext } from './context.ts';
import { countOf, printable } from './printable.ts';
import { placeBelow } from './place-below.ts';
import { namedMountpoint, requireServing, type ServingMount } from './serving-mount.ts';

/** One decision, as the options give it. */
export type Decision =
  | { readonly kind: 'retry' | 'discard'; readonly path: string }
  | { readonly kind: 'save'; readonly path: string; readonly to: string };

/** Copying is as slow as the disks are; the file may have to be fetched in part. */
const SAVE_TIMEOUT_MS = 3_600_000;

/** Carries a decision out and says what it was about. `where` is the mountpoint, if one was named. */
export async function decide(context: CliContext, where: string | undefined, decision: Decision): Promise<void> {
  const target = await findTarget(context, where, decision.path);
  const mount = await requireServing(context, target.mountpoint);
  try {
    const path = target.below ? await fromRoot(mount, target.path) : target.path;
    if (decision.kind === 'save') await save(context, mount, path, decision.to);
    else await settle(context, mount, path, decision.kind);
  } finally {
    mount.client.close();
  }
}

async function settle(
  context: CliContext,
  { client, mountpoint }: ServingMount,
  path: string,
  kind: 'retry' | 'discard',
): Promise<void> {
  const { changes } = await askMount(client, kind, { path });
  if (changes === 0) throw new Error(`nothing at ${printable(path)} of ${mountpoint} failed or was left unfinished`);
  context.print(`${countOf(changes, 'change')} ${kind === 'retry' ? 'will be tried again' : 'discarded'}`);
}

async function save(
  context: CliContext,
  { client, mountpoint }: ServingMount,
  path: string,
  to: string,
): Promise<void> {
  const file = await newFile(to, path);
  // The daemon would wait for itself.
  if ((await placeBelow(file, new Set([mountpoint]))) !== undefined) {
    throw new UsageError(`${to} lies in the drive itself`, 'save to a directory outside of it');
  }
  const { bytes } = await askMount(client, 'save', { path, to: file }, { timeoutMs: SAVE_TIMEOUT_MS });
  context.print(`${formatSize(bytes)} saved to ${printable(file)}`);
}

/** The file to make: `to`, or in it when it is a directory. Throws where a file is already. */
async function newFile(to: string, path: string): Promise<string> {
  if (to === '') throw new UsageError('the place to save to is empty');
  const place = resolve(to);
  const found = await kindOf(place);
  const file = found === 'directory' ? join(place, basename(path)) : place;
  if (found === 'other' || (found === 'directory' && (await kindOf(file)) !== undefined)) {
    throw new Error(`${printable(file)} exists already`);
  }
  return file;
}

async function kindOf(path: string): Promise<'directory' | 'other' | undefined> {
  try {
    return (await lstat(path)).isDirectory() ? 'directory' : 'other';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

interface Target {
  readonly mountpoint: string;
  readonly path: string;
  /** Whether `path` begins at the mountpoint; else at the drive's root. */
  readonly below: boolean;
}

/** Which mount a path is about. A path that leads into a mount is one of this machine, any other is the drive's own. */
async function findTarget(context: CliContext, where: string | undefined, path: string): Promise<Target> {
  if (path === '') throw new UsageError('the path is empty');
  const mounts =
    where === undefined
      ? (await listMounts(context.directories.runtime)).map(({ mountpoint }) => mountpoint)
      : [await namedMountpoint(context, where)];
  const place = await placeBelow(path, new Set(mounts));
  // A slash at the end says that a directory is meant.
  const end = path.endsWith('/') ? '/' : '';
  if (place !== undefined) return { ...place, path: posix.normalize(place.path + end), below: true };
  const [mountpoint, ...others] = mounts;
  if (mountpoint === undefined) throw new Error('nothing is mounted');
  if (others.length > 0) throw new UsageError('several drives are mounted: say which', 'name its mountpoint first');
  return { mountpoint, path: posix.normalize(`/${path}`), below: false };
}

/** A path below the mountpoint as one from the drive's root: a mount may show one folder of it. */
async function fromRoot({ client }: ServingMount, path: string): Promise<string> {
  const { root } = await askMount(client, 'status', { itemsMax: 0 });
  return posix.join(root, path);
}
