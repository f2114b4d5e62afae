// Looks at a folder again where what is known of it is too old to act on. J7: nothing is overwritten or removed on the word of a
// listing older than a moment; a folder's listing serves all that is about to happen in it.
import type { TreeDirectory } from '../cache/tree.ts';
import { RemoteError } from '../remote-drive.ts';
import type { Parts } from './parts.ts';

/** What replaces or removes something asks for a listing not older than this: many files of a folder share one. */
export const CAREFUL_AGE_MS = 3_000;
/** A new file meets another one of its name only where two people think of the same name in the same minute. */
export const NEW_NAME_AGE_MS = 60_000;

/**
 * Brings a listing of a folder unless its last one was asked for less than `ageMs` ago. Returns true when it did, also where a folder
 * that was removed here turned out to be gone at the service. Rejects as the service fails.
 */
export async function lookAt(parts: Parts, inode: number, ageMs: number, signal: AbortSignal): Promise<boolean> {
  const { tree } = parts.journal;
  const listing = tree.listing(inode);
  const begunMs = parts.nowMs();
  const age = begunMs - (listing?.listedAtMs ?? -Infinity);
  if (age >= 0 && age < ageMs) return false;
  const node = tree.node(inode);
  const removed = node === undefined ? parts.journal.folder(inode) : undefined;
  if (removed !== undefined) {
    await parts.listings.lookInto(inode, removed, signal, 'commit');
    return true;
  }
  if (node?.kind !== 'directory' || node.remote === undefined) return false;
  await refresh(parts, node, signal);
  // One that was on its way already may have been asked for long before.
  const broughtMs = tree.listing(inode)?.listedAtMs ?? begunMs;
  const present = tree.node(inode);
  if (ageMs > 0 && broughtMs < begunMs - ageMs && present?.kind === 'directory') await refresh(parts, present, signal);
  return true;
}

/** Brings a listing of a folder. A folder that is gone makes the one above it due, which is then looked at. */
export async function refresh(parts: Parts, directory: TreeDirectory, signal: AbortSignal): Promise<void> {
  try {
    await parts.listings.refresh(directory, signal, 'commit');
  } catch (error) {
    if (!(error instanceof RemoteError) || error.kind !== 'not-found') throw error;
    const above = parts.journal.tree.node(directory.parent);
    if (above?.kind !== 'directory' || above.inode === directory.inode) throw error;
    await refresh(parts, above, signal);
  }
}

/**
 * Looks at those folders above one whose listing turned out to be wrong: uploads go by path, and another one may have renamed any of them.
 */
export async function lookAtWay(parts: Parts, inode: number, signal: AbortSignal): Promise<void> {
  const { tree } = parts.journal;
  const way = parts.journal.remotePath(inode)?.inodes.slice(0, -1) ?? [];
  for (const above of way) if (tree.listing(above)?.listedAtMs === 0) await lookAt(parts, above, 0, signal);
}
