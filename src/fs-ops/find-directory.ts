// A path of the drive to its directory, for a mount that shows one folder as its root.
import { Deadline } from '../base/deadline.ts';
import type { Listings } from '../cache/listings.ts';
import { ROOT_INODE, type Tree, type TreeNode } from '../cache/tree.ts';
import { RemoteError } from '../remote-drive.ts';

/** The inode of the directory at `path` ("/" is the root of the drive), listing what lies above it. Throws an Error that names what is missing. */
export async function findDirectory(from: {
  readonly tree: Tree;
  readonly listings: Listings;
  readonly path: string;
  readonly timeoutMs: number;
}): Promise<number> {
  const slow = (): Error =>
    new RemoteError('unavailable', `${from.path} was not found within ${from.timeoutMs / 1000} s`);
  const deadline = new Deadline(from.timeoutMs, slow);
  try {
    let inode = ROOT_INODE;
    for (const name of from.path.split('/').filter((part) => part !== '')) {
      const directory = from.tree.node(inode);
      if (directory?.kind === 'directory') await from.listings.ensure(directory, deadline.signal);
      const child: TreeNode | undefined = from.tree.child(inode, name);
      if (child === undefined) throw new Error(`the drive has no folder ${from.path}: nothing is named ${name} in it`);
      if (child.kind === 'file') throw new Error(`${from.tree.path(child)} is a file; only a folder can be mounted`);
      inode = child.inode;
    }
    return inode;
  } finally {
    deadline.release();
  }
}
