// Where the service has what a path of the drive shows, for commands that make calls about it. Part of the composition root.
import type { Journal } from '../cache/journal.ts';
import type { Listings } from '../cache/listings.ts';
import { ROOT_INODE, type TreeFile, type TreeNode } from '../cache/tree.ts';
import type { LocatedFile, LocatedFolder, Location } from '../control/methods.ts';
import { findNode } from '../fs-ops/find-directory.ts';

export interface LocatingOptions {
  readonly journal: Journal;
  readonly listings: Listings;
  readonly opTimeoutMs: number;
}

/** What is at `path`, which begins at the drive's root. Rejects where nothing is, or nothing that the service has. */
export async function locate({ journal, listings, opTimeoutMs }: LocatingOptions, path: string): Promise<Location> {
  const found = await findNode({ tree: journal.tree, listings, path, timeoutMs: opTimeoutMs });
  if ('missing' in found) throw new Error(`the drive has nothing at ${path}`);
  const { node } = found;
  if (node.inode === ROOT_INODE) return { kind: 'root' };
  const located = locatedObject(journal, node);
  if (located === undefined) throw new Error(`${path} is not stored at Syncplicity yet: flush first`);
  return located;
}

/** Where the service has an object below the root; undefined where it has not got it yet. */
export function locatedObject(journal: Journal, node: TreeNode): LocatedFile | LocatedFolder | undefined {
  return node.kind === 'file' ? locatedFile(journal, node) : locatedFolder(journal, node.inode);
}

function locatedFolder(journal: Journal, inode: number): LocatedFolder | undefined {
  const path = journal.remotePath(inode);
  const remote = journal.folder(inode);
  if (path === undefined || remote === undefined) return undefined;
  const { syncpoint, names } = path;
  const kind = names.length === 0 ? 'syncpoint' : 'folder';
  const vaultId = journal.vaultOf(remote.syncpointId);
  return { kind, ...remote, syncpointName: syncpoint.remoteName, names, vaultId };
}

function locatedFile(journal: Journal, file: TreeFile): LocatedFile | undefined {
  const { fileId, versionId } = file;
  const place = journal.place(file.inode);
  const folder = place === undefined ? undefined : locatedFolder(journal, place.parent);
  if (place === undefined || folder === undefined || fileId === undefined || versionId === undefined) return undefined;
  const isPending = journal.get(file.inode)?.content === true;
  return { ...folder, kind: 'file', names: [...folder.names, place.name], fileId, versionId, isPending };
}
