// What makes, removes and renames: POSIX's conditions in POSIX's order, then one local transaction. A directory whose entries decide is
// listed first, so that what nobody here has seen counts. Knows neither content nor attributes of what it moves.
import { errno } from '../base/errno.ts';
import type { LocalChanges, NewPlace } from '../cache/local-changes.ts';
import { ROOT_INODE, type LocalAttributes, type Tree, type TreeDirectory, type TreeNode } from '../cache/tree.ts';
import type { Changeable } from './changeable.ts';
import type { Moves } from './move-limits.ts';
import { requireShort, type NewNames } from './new-names.ts';
import type { OpenFiles } from './open-files.ts';
import {
  FsError,
  ROOT_NODE,
  type Answer,
  type Caller,
  type Entry,
  type NodeId,
  type NodePlace,
  type OpenFile,
  type RenameFlags,
} from './operations.ts';
import type { Stored } from './stored.ts';
import type { SyncpointDirectories } from './syncpoint-directories.ts';
import type { View } from './view.ts';

/** What changing names works with. */
export interface NamespaceOptions {
  readonly tree: Tree;
  readonly changes: LocalChanges;
  readonly view: View;
  readonly changeable: Changeable;
  readonly names: NewNames;
  readonly moves: Moves;
  readonly files: OpenFiles;
  readonly stored: Stored;
  /** What changes the root's entries; without it nothing may. */
  readonly syncpoints: SyncpointDirectories | undefined;
}

/**
 * A desktop's trash at the top of a file system. Here it would be a folder, or a syncpoint, for everybody, and what lies in it removed
 * for nobody; file managers that may not make one offer to delete, which Syncplicity has a trash for.
 */
const TRASH = /^\.Trash(-\d+)?$/;
const O_EXCL = 0o200;
const S_ISGID = 0o2000;

/** The verbs that make, remove and rename. */
export class Namespace {
  readonly #options: NamespaceOptions;
  readonly #tree: Tree;
  readonly #view: View;

  constructor(options: NamespaceOptions) {
    this.#options = options;
    this.#tree = options.tree;
    this.#view = options.view;
  }

  create(
    parent: NodeId,
    name: string,
    permissions: number,
    flags: number,
    caller: Caller,
    killPrivileges: boolean,
  ): Answer<{ readonly entry: Entry; readonly opened: OpenFile }> {
    const { files, changes } = this.#options;
    return this.#in('create', parent, name, caller, (directory) => {
      const present = this.#tree.child(directory.inode, name);
      if (present !== undefined) {
        if ((flags & O_EXCL) !== 0) throw exists(name);
        if (present.kind === 'directory') throw new FsError(errno.EISDIR, `${name} is a directory`);
      }
      const made = present === undefined;
      files.requireRoom();
      const attributes = this.#own(directory, permissions, caller);
      const file = present ?? changes.createFile(this.#newPlace(directory, name), attributes, true);
      const opened = files.open(this.#view.nodeOf(file), flags, { made, killPrivileges });
      return { entry: this.#view.grant(this.#tree.node(file.inode) ?? file), opened };
    });
  }

  makeFile(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry> {
    return this.#in('mknod', parent, name, caller, (directory) => {
      if (this.#tree.child(directory.inode, name) !== undefined) throw exists(name);
      const attributes = this.#own(directory, permissions, caller);
      return this.#view.grant(this.#options.changes.createFile(this.#newPlace(directory, name), attributes, false));
    });
  }

  makeDirectory(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry> {
    if (parent === ROOT_NODE && TRASH.test(name)) throw new FsError(errno.EPERM, 'Syncplicity has a trash');
    const syncpoints = this.#syncpointsIn(parent);
    if (syncpoints !== undefined) return syncpoints.make(name, caller);
    const made = this.#in('mkdir', parent, name, caller, (directory) => {
      if (this.#tree.child(directory.inode, name) !== undefined) throw exists(name);
      const own = this.#own(directory, permissions, caller);
      const inherited = (directory.local?.permissions ?? 0) & S_ISGID;
      const attributes = { ...own, permissions: permissions | inherited };
      return this.#options.changes.makeDirectory(this.#newPlace(directory, name), attributes);
    });
    return then(made, (directory) =>
      then(this.#options.stored.wait('mkdir', [directory.inode], caller), () =>
        this.#view.grant(this.#stillThere(directory)),
      ),
    );
  }

  unlink(parent: NodeId, name: string, caller: Caller): Answer<void> {
    const removed = this.#in('unlink', parent, name, caller, (directory) => {
      const file = this.#present(directory, name);
      if (file.kind === 'directory') throw new FsError(errno.EISDIR, `${name} is a directory`);
      this.#options.changes.remove(file);
      return file.inode;
    });
    return then(removed, (inode) => this.#options.stored.wait('unlink', [inode], caller));
  }

  removeDirectory(parent: NodeId, name: string, caller: Caller): Answer<void> {
    const syncpoints = this.#syncpointsIn(parent);
    if (syncpoints !== undefined) return syncpoints.remove(name, caller);
    const removed = this.#in('rmdir', parent, name, caller, (directory) => {
      const found = this.#present(directory, name);
      if (found.kind === 'file') throw new FsError(errno.ENOTDIR, `${name} is a file`);
      return this.#view.listed('rmdir', found, caller, () => {
        const empty = this.#stillThere(found);
        this.#requireEmpty(empty);
        this.#options.changes.remove(empty);
        return empty.inode;
      });
    });
    return then(removed, (inode) => this.#options.stored.wait('rmdir', [inode], caller));
  }

  rename(from: NodePlace, to: NodePlace, flags: RenameFlags, caller: Caller): Answer<void> {
    this.#view.directory(to.parent);
    requireShort(to.name);
    const syncpoints = this.#syncpointsIn(from.parent) && this.#syncpointsIn(to.parent);
    if (syncpoints !== undefined) return syncpoints.rename(from.name, to.name, flags, caller);
    const renamed = this.#in('rename', from.parent, from.name, caller, (source) =>
      this.#in('rename', to.parent, to.name, caller, (target) => {
        const node = this.#present(source, from.name);
        const replaced = this.#tree.child(target.inode, to.name);
        if (flags.exchange) return this.#exchange(node, source, this.#present(target, to.name), target);
        if (replaced?.inode === node.inode) return [];
        if (replaced !== undefined && flags.noReplace) throw exists(to.name);
        return this.#move(node, target, to.name, replaced, caller);
      }),
    );
    return then(renamed, (inodes) =>
      inodes.length === 0 ? undefined : this.#options.stored.wait('rename', inodes, caller),
    );
  }

  #move(
    node: TreeNode,
    target: TreeDirectory,
    name: string,
    replaced: TreeNode | undefined,
    caller: Caller,
  ): Answer<readonly number[]> {
    this.#requireOutside(node, target);
    if (replaced?.kind === 'file' && node.kind === 'directory') throw new FsError(errno.ENOTDIR, `${name} is a file`);
    if (replaced?.kind === 'directory') {
      if (node.kind === 'file') throw new FsError(errno.EISDIR, `${name} is a directory`);
      return this.#view.listed('rename', replaced, caller, () => {
        const empty = this.#stillThere(replaced);
        this.#requireEmpty(empty);
        return this.#rename(this.#stillThere(node), target, name, empty);
      });
    }
    return this.#rename(node, target, name, replaced);
  }

  #rename(node: TreeNode, target: TreeDirectory, name: string, replaced: TreeNode | undefined): readonly number[] {
    const { changes, moves, names } = this.#options;
    // What is replaced gives its name as it is, whether or not it could be given anew.
    const newName = replaced ?? names.take(target, name, node);
    moves.require(node, target);
    const place = { parent: target, name: newName.name, remoteName: newName.remoteName };
    changes.rename(this.#complete(node), place, replaced);
    return replaced === undefined ? [node.inode] : [node.inode, replaced.inode];
  }

  #exchange(first: TreeNode, source: TreeDirectory, second: TreeNode, target: TreeDirectory): readonly number[] {
    const { changes, moves } = this.#options;
    if (first.inode === second.inode) return [];
    this.#requireOutside(first, target);
    this.#requireOutside(second, source);
    if (moves.cost(first, target) === 'copy' || moves.cost(second, source) === 'copy')
      throw new FsError(errno.EINVAL, 'the service cannot exchange these two');
    changes.exchange(this.#complete(first), this.#complete(second), { first: source, second: target });
    return [first.inode, second.inode];
  }

  /**
   * What is renamed has its content from then on, whether or not who made it has closed it: a crash would take it back, with what it
   * replaced gone for good, and a mount that writes through would wait for it to be closed.
   */
  #complete(node: TreeNode): TreeNode {
    this.#options.files.complete(node.inode);
    return this.#stillThere(node);
  }

  /** What changes the entries of this directory, where they are syncpoints that may be changed. */
  #syncpointsIn(directory: NodeId): SyncpointDirectories | undefined {
    return this.#view.directory(directory).inode === ROOT_INODE ? this.#options.syncpoints : undefined;
  }

  /** Runs `then` with the directory that gets, loses or changes an entry of that name, once its entries are known. */
  #in<T>(
    verb: string,
    parent: NodeId,
    name: string,
    caller: Caller,
    work: (directory: TreeDirectory) => Answer<T>,
  ): Answer<T> {
    requireShort(name);
    return this.#view.listed(verb, this.#view.directory(parent), caller, () => {
      const present = this.#view.directory(parent);
      this.#options.changeable.requireEntries(present);
      return work(present);
    });
  }

  #present(directory: TreeDirectory, name: string): TreeNode {
    const found = this.#tree.child(directory.inode, name);
    if (found === undefined) throw new FsError(errno.ENOENT, `no ${name}`);
    return found;
  }

  /** A node after a wait, which may have ended it. */
  #stillThere<Node extends TreeNode>(node: Node): Node {
    const found = this.#tree.node(node.inode);
    if (found?.kind !== node.kind) throw new FsError(errno.ENOENT, `${node.name} is gone`);
    return found as Node;
  }

  #requireEmpty(directory: TreeDirectory): void {
    for (const { name } of this.#tree.children(directory.inode))
      throw new FsError(errno.ENOTEMPTY, `${this.#tree.path(directory)} is not empty: it holds ${name}`);
  }

  /** EINVAL for a directory that would get into itself. */
  #requireOutside(node: TreeNode, target: TreeDirectory): void {
    if (node.kind === 'file') return;
    // Deeper is damage: paths are limited to 4,096 bytes.
    for (let at: TreeNode | undefined = target, depth = 0; at !== undefined && depth < 4096; depth += 1) {
      if (at.inode === node.inode) throw new FsError(errno.EINVAL, `${this.#tree.path(node)} cannot hold itself`);
      if (at.inode === ROOT_INODE) return;
      at = this.#tree.node(at.parent);
    }
  }

  #newPlace(parent: TreeDirectory, name: string): NewPlace {
    return { parent, ...this.#options.names.take(parent, name) };
  }

  /** The attributes of what a program makes. */
  #own(directory: TreeDirectory, permissions: number, caller: Caller): LocalAttributes {
    const { ownership } = this.#view;
    if (!ownership.keepsOwners) return { permissions };
    const shared = ((directory.local?.permissions ?? 0) & S_ISGID) !== 0;
    const gid = shared ? (directory.local?.gid ?? ownership.gid) : caller.gid;
    return {
      permissions,
      uid: caller.uid === ownership.uid ? undefined : caller.uid,
      gid: gid === ownership.gid ? undefined : gid,
    };
  }
}

function exists(name: string): FsError {
  return new FsError(errno.EEXIST, `${name} is there already`);
}

/** Goes on with an answer, at once where it is there. */
function then<T, R>(answer: Answer<T>, next: (value: T) => Answer<R>): Answer<R> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
