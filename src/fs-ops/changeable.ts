// Whether something may be changed at all: not on a read-only mount, not where the user may only read, not the directories that are the
// syncpoints. One errno for each, thrown before anything is touched.
import { errno } from '../base/errno.ts';
import { ROOT_INODE, type Tree, type TreeDirectory, type TreeFile, type TreeNode } from '../cache/tree.ts';
import { FsError } from './operations.ts';
import type { View } from './view.ts';

/** Lets a change through, or throws the FsError that refuses it. */
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

  /**
   * A file may grow to that length: the vault has room for it, as far as it told. What others store meanwhile, it refuses later, and the
   * change then fails with its content kept.
   */
  requireRoom(file: TreeFile, lengthBytes: number): void {
    const vaultId = this.#view.syncpoint(file)?.syncpoint?.vaultId;
    const vault = vaultId === undefined ? undefined : this.#tree.vault(vaultId);
    if (vault?.sizeBytes === undefined || vault.sizeBytes <= 0 || vault.consumedBytes === undefined) return;
    const freeBytes = Math.max(0, vault.sizeBytes - vault.consumedBytes);
    if (lengthBytes - file.lengthBytes <= freeBytes) return;
    throw new FsError(
      errno.EDQUOT,
      `the storage vault ${vault.name} has no room for ${lengthBytes} bytes: ${freeBytes} are free`,
    );
  }

  /** The set of entries of this directory; ENOENT where it is gone: what is made in a removed directory has no way to anywhere. */
  requireEntries(directory: TreeDirectory): void {
    if (directory.inode === ROOT_INODE && !this.#readOnly)
      throw new FsError(
        errno.EPERM,
        'top-level directories are syncpoints: they are made, renamed and removed with --manage-syncpoints alone',
      );
    this.require(directory);
    const isThere = this.#tree.node(directory.inode) !== undefined && this.#view.syncpoint(directory) !== undefined;
    if (!isThere) throw new FsError(errno.ENOENT, `the directory ${directory.name} is gone`);
  }
}
