// Opens the tree of an account once it is known that doing so cannot end the process. A damaged one stays as it is: what it
// holds besides the service's own facts is the user's, and the user's to give up.
import { mkdir } from 'node:fs/promises';
import { lmdbState } from '../../base/lmdb-state.ts';
import { Tree } from '../tree.ts';
import { treeDatabases } from './tables.ts';

/** A tree of a million files takes one to three seconds. A slower check is given up, and the tree opened nevertheless. */
const checkTimeoutMs = 60_000;

/** Opens or makes the tree in `directory` (0700). Rejects as {@link Tree.open}, and where it is damaged, with what to do. */
export async function openTree(directory: string): Promise<Tree> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const state = await lmdbState(directory, { databases: treeDatabases, timeoutMs: checkTimeoutMs });
  if (state === 'damaged') {
    throw new Error(
      `the tree in ${directory} is damaged (what the program knows of the service's folders); move it away to start anew (nothing that is stored at Syncplicity is lost)`,
    );
  }
  return Tree.open(directory);
}
