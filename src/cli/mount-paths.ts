// From paths of this machine to the daemons that serve them: each mount once, with its paths as they begin at the drive's root.
import { posix } from 'node:path';
import { UsageError } from '../base/usage-error.ts';
import { askMount } from '../control/methods.ts';
import { listMounts } from '../control/mounts.ts';
import type { CliContext } from './context.ts';
import { printable } from './printable.ts';
import { placeBelow } from './place-below.ts';
import { requireServing, type ServingMount } from './serving-mount.ts';

/** Names of a request together stay well below what a daemon takes, however they are escaped. */
const BATCH_CHARACTERS = 8_000;

/** A daemon and what it is asked about. */
export interface MountPaths {
  readonly mount: ServingMount;
  /** In portions, each small enough for one request. */
  readonly batches: readonly (readonly string[])[];
}

/** Runs `work` for each mount that one of the paths leads into. Throws where one leads into none. */
export async function forMountsOf(
  context: CliContext,
  paths: readonly string[],
  work: (found: MountPaths) => Promise<void>,
): Promise<void> {
  const mountpoints = new Set((await listMounts(context.directories.runtime)).map(({ mountpoint }) => mountpoint));
  const byMount = new Map<string, string[]>();
  for (const path of paths) {
    if (path === '') throw new UsageError('the path is empty');
    const place = await placeBelow(path, mountpoints);
    if (place === undefined) throw new Error(`${printable(path)} is not in a drive of syncplicityfs of yours`);
    const found = byMount.get(place.mountpoint) ?? [];
    found.push(place.path);
    byMount.set(place.mountpoint, found);
  }
  for (const [mountpoint, below] of byMount) {
    const mount = await requireServing(context, mountpoint);
    try {
      const { root } = await askMount(mount.client, 'status', { itemsMax: 0 });
      await work({ mount, batches: batchesOf(below.map((path) => posix.join(root, path))) });
    } finally {
      mount.client.close();
    }
  }
}

function batchesOf(paths: readonly string[]): string[][] {
  const batches: string[][] = [];
  let left = 0;
  for (const path of paths) {
    if (path.length > left) {
      batches.push([]);
      left = BATCH_CHARACTERS;
    }
    batches.at(-1)?.push(path);
    left -= path.length;
  }
  return batches;
}
