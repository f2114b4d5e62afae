// Looking again now: brings listings anew whatever their age, for people who know that something changed. The kernel hears of what the
// listings bring as of any other. Part of the composition root.
import type { Listings } from '../cache/listings.ts';
import type { Tree, TreeDirectory, TreeNode } from '../cache/tree.ts';
import { RemoteError } from '../remote-drive.ts';

/** Calls are scarce, and somebody waits. */
const FOLDERS_AT_ONCE = 4;

export interface RefreshOptions {
  readonly tree: Tree;
  readonly listings: Pick<Listings, 'refresh' | 'ensure'>;
  /** Listings are believed as long as no event tells otherwise. */
  readonly believesEvents: boolean;
}

/**
 * Brings the listing of each path's folder; of all below it that were listed before where it is `recursive`. Returns how many. First it asks
 * what happened, where events are believed: all other listings are as current then as after a poll. Rejects with the first failure when all
 * others are through.
 */
export async function refreshPaths(
  options: RefreshOptions,
  paths: readonly string[],
  recursive: boolean,
  signal: AbortSignal,
): Promise<number> {
  const refreshed = new Set<number>();
  const failures: unknown[] = [];
  const waiting: TreeDirectory[] = [];
  const root = options.tree.root();
  /** Undefined where it failed. */
  const attempt = <T>(work: Promise<T>): Promise<T | undefined> =>
    work.catch((error: unknown) => {
      failures.push(error);
      return undefined;
    });
  const bring = async (directory: TreeDirectory): Promise<boolean> =>
    (await attempt(refreshOne(options, directory, signal).then(() => true))) === true;
  // Found before anything is looked at again: a folder that turns out to be gone goes without an error.
  const folders: TreeDirectory[] = [];
  for (const path of paths) {
    const folder = await attempt(folderOf(options, path, signal));
    if (folder !== undefined) folders.push(folder);
  }
  const isRootBrought = options.believesEvents && (await bring(root));
  const refresh = async (directory: TreeDirectory): Promise<void> => {
    if (refreshed.has(directory.inode) || options.tree.node(directory.inode) === undefined) return;
    refreshed.add(directory.inode);
    const isBrought = (directory.inode === root.inode && isRootBrought) || (await bring(directory));
    if (isBrought && recursive) waiting.push(...listedBelow(options.tree, directory));
  };
  for (const folder of folders) await refresh(folder);
  while (waiting.length > 0) {
    signal.throwIfAborted();
    const now = waiting.splice(0, FOLDERS_AT_ONCE);
    await Promise.all(now.map(refresh));
  }
  if (failures.length > 0) throw failures[0];
  return refreshed.size;
}

/** A folder that is gone at the service goes here as well: the listing above it tells. */
async function refreshOne(
  { tree, listings }: RefreshOptions,
  directory: TreeDirectory,
  signal: AbortSignal,
): Promise<void> {
  try {
    await listings.refresh(directory, signal, 'interactive');
  } catch (error) {
    const above = tree.node(directory.parent);
    const isGone = error instanceof RemoteError && error.kind === 'not-found';
    if (!isGone || above?.kind !== 'directory' || above.inode === directory.inode) throw error;
    await listings.refresh(above, signal, 'interactive');
    if (tree.node(directory.inode) !== undefined) throw error;
  }
}

/** The folder at a path, or that of the file there; what is not known here is looked for at the service. */
async function folderOf({ tree, listings }: RefreshOptions, path: string, signal: AbortSignal): Promise<TreeDirectory> {
  let folder: TreeDirectory = tree.root();
  for (const name of path.split('/').filter((part) => part !== '')) {
    await listings.ensure(folder, signal);
    let child: TreeNode | undefined = tree.child(folder.inode, name);
    if (child === undefined) {
      await listings.refresh(folder, signal, 'interactive');
      child = tree.child(folder.inode, name);
    }
    if (child === undefined) throw new Error(`the drive has nothing at ${path}`);
    if (child.kind === 'file') return folder;
    folder = child;
  }
  return folder;
}

function listedBelow(tree: Tree, directory: TreeDirectory): TreeDirectory[] {
  const found: TreeDirectory[] = [];
  for (const child of tree.children(directory.inode)) {
    if (child.kind === 'directory' && tree.listing(child.inode) !== undefined) found.push(child);
  }
  return found;
}
