// From a path of this machine to the mount it leads into. Must not know who serves a mount.
import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/**
 * The mount of these that a path of this machine leads into, and the rest of the path below it. What lies in the mount is not
 * touched: it may be slow, or gone there.
 */
export async function placeBelow(
  path: string,
  mountpoints: ReadonlySet<string>,
): Promise<{ readonly mountpoint: string; readonly path: string } | undefined> {
  const names = resolve(path).split('/').slice(1);
  let reached = '/';
  for (const [index, name] of names.entries()) {
    const rest = `/${names.slice(index + 1).join('/')}`;
    const next = join(reached, name);
    if (mountpoints.has(next)) return { mountpoint: next, path: rest };
    try {
      reached = await realpath(next);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
    if (mountpoints.has(reached)) return { mountpoint: reached, path: rest };
  }
  return undefined;
}
