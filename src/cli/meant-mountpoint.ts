// What a user may have meant by a path that is no mountpoint of theirs: a place in a drive, or a mountpoint typed wrong. Touches no mount.
import { nearNames } from '../base/near-names.ts';
import { shellWord } from '../base/shell-word.ts';
import { listMounts } from '../control/mounts.ts';
import type { CliContext } from './context.ts';
import { placeBelow } from './place-below.ts';

/** `message`, and in a line of its own which mountpoint was meant, where that can be told. */
export async function withMeantMountpoint(context: CliContext, message: string, path: string): Promise<string> {
  const mountpoints = (await listMounts(context.directories.runtime)).map(({ mountpoint }) => mountpoint);
  const place = await placeBelow(path, new Set(mountpoints));
  if (place !== undefined) return `${message}\nit lies in the drive that is mounted on ${place.mountpoint}`;
  const near = nearNames(path, mountpoints).map(shellWord);
  return near.length === 0 ? message : `${message}\ndid you mean ${near.join(' or ')}?`;
}
