// A path of the drive to what is there, listing what lies above it: for a mount that shows one folder as its root, and for commands that
// name a path.
import { Deadline } from '../base/deadline.ts';
import type { Listings } from '../cache/listings.ts';
import { type Tree, type TreeNode } from '../cache/tree.ts';
import { RemoteError } from '../remote-drive.ts';

/** Where to look for what. */
export interface Search {
  readonly tree: Tree;
  readonly listings: Listings;
  /** "/" is the root of the drive. */
  readonly path: string;
  readonly timeoutMs: number;
}

/** The inode of the directory at `path`. Throws an Error that names what is missing. */
export async function findDirectory(search: Search): Promise<number> {
  const found = await findNode(search);
  if ('missing' in found) {
    throw new Error(`the drive has no folder ${search.path}: nothing is named ${found.missing} in it`);
  }
  if (found.node.kind === 'file') {
    throw new Error(`${search.tree.path(found.node)} is a file; only a folder can be mounted`);
  }
  return found.node.inode;
}

/** What is at `path`, or the first of its names that nothing has. Rejects as the service fails. */
export async function findNode(
  search: Search,
): Promise<{ readonly node: TreeNode } | { readonly missing: string; readonly above: TreeNode }> {
  const { tree, listings, path, timeoutMs } = search;
  const slow = (): Error => new RemoteError('unavailable', `${path} was not found within ${timeoutMs / 1000} s`);
  const deadline = new Deadline(timeoutMs, slow);
  try {
    let node: TreeNode = tree.root();
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (node.kind === 'directory') await listings.ensure(node, deadline.signal);
      const child: TreeNode | undefined = tree.child(node.inode, name);
      if (child === undefined) return { missing: name, above: node };
      node = child;
    }
    return { node };
  } finally {
    deadline.release();
  }
}
