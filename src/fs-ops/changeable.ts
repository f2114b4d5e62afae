// Whether something may be changed at all: not on a read-only mount, not where the user may only read, not the directories that are the
// syncpoints. One errno for each, thrown before anything is touched.
import { errno } from '../base/errno.ts';
import { ROOT_INODE, type Tree, type TreeDirectory, type TreeNode } from '../cache/tree.ts';
import { FsError } from './operations.ts';
import type { View } from './view.ts';

export class Changeable {
  readonly #tree: Tree;
  readonly #view: View;
  readonly #readOnly: boolean;

  /** `readOnly`: the whole mount is. */
  constructor(tree: Tree, view: View, readOnly: boolean) {
    this.#tree = tree;
    this.#view = view;
    this.#readOnly = readOnly;
  }

  /** Content and attributes of this object. */
  require(object: TreeNode): void {
    if (this.#readOnly) throw new FsError(errno.EROFS, 'this drive is mounted read-only');
    if (object.inode === ROOT_INODE) throw new FsError(errno.EPERM, 'the directory of the syncpoints is not stored');
    if (this.#view.permission(object) === 'read-only')
      throw new FsError(errno.EACCES, `you may only read ${this.#tree.path(object)}: its owner shares it so`);
  }

  /** The set of entries of this directory. */
  requireEntries(directory: TreeDirectory): void {
    if (directory.inode === ROOT_INODE && !this.#readOnly)
      throw new FsError(
        errno.EPERM,
        'top-level directories are syncpoints: they cannot be made, renamed or removed here',
      );
    this.require(directory);
  }
}
