// SETATTR: length, permission bits, owner and times. The service keeps none of them but the modification time, which goes with content;
// the rest is of this machine. Knows no handles.
import { errno } from '../base/errno.ts';
import type { LocalChanges } from '../cache/local-changes.ts';
import type { LocalAttributes, TreeNode } from '../cache/tree.ts';
import { timestampOf, type Timestamp } from '../remote-drive.ts';
import { permissionsOf } from './attributes.ts';
import type { Changeable } from './changeable.ts';
import type { Nodes } from './nodes.ts';
import type { OpenContents } from './open-contents.ts';
import { FsError, type AttributeChange, type NodeId } from './operations.ts';
import type { View } from './view.ts';

/** What changing attributes works with. */
export interface AttributeChangesOptions {
  readonly changes: LocalChanges;
  readonly nodes: Nodes;
  readonly contents: OpenContents;
  readonly view: View;
  readonly changeable: Changeable;
  /** Wall clock. */
  readonly nowMs: () => number;
}

type MutableAttributes = { -readonly [Name in keyof LocalAttributes]: LocalAttributes[Name] };

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;

/** Applies SETATTR, all of it or nothing. */
export class AttributeChanges {
  readonly #options: AttributeChangesOptions;

  constructor(options: AttributeChangesOptions) {
    this.#options = options;
  }

  /**
   * All of a change, or, where it is refused, nothing. A length that is not changed through a handle is the journal's at once; the inode
   * that then has something to be stored is returned.
   */
  apply(node: NodeId, change: AttributeChange, throughHandle: boolean): number | undefined {
    const object = this.#options.view.object(node);
    this.#options.changeable.require(object);
    if (change.sizeBytes !== undefined && object.kind === 'directory')
      throw new FsError(errno.EISDIR, 'a directory has no length to change');
    const local = this.#wanted(object, change);
    const committed = change.sizeBytes === undefined ? undefined : this.#resize(node, change.sizeBytes, throughHandle);
    const modified = this.#time(change.modified);
    if (modified !== undefined) {
      if (this.#options.contents.dirty(node)) this.#options.contents.setModified(node, modified);
      else local.modified = modified;
    }
    if (Object.keys(local).length > 0 || modified !== undefined) this.#store(node, local);
    return committed;
  }

  /** What happens to set-user-id and set-group-id bits when content changes; says whether any went. */
  killPrivileges(node: NodeId): boolean {
    const permissions = this.#withoutPrivileges(this.#options.view.object(node));
    if (permissions === undefined) return false;
    this.#store(node, { permissions });
    return true;
  }

  /** The modification time is now. */
  touch(node: NodeId): void {
    this.#store(node, { modified: timestampOf(this.#options.nowMs()) });
  }

  /** What of a change is kept in the tree, the modification time apart. Throws EPERM for an owner that cannot be. */
  #wanted(object: TreeNode, change: AttributeChange): MutableAttributes {
    const { ownership } = this.#options.view;
    const local: MutableAttributes = {};
    const permissions =
      change.permissions ?? (change.killPrivileges === true ? this.#withoutPrivileges(object) : undefined);
    if (permissions !== undefined) local.permissions = permissions;
    const uid = object.local?.uid ?? ownership.uid;
    const gid = object.local?.gid ?? ownership.gid;
    if (!ownership.keepsOwners && ((change.uid ?? uid) !== uid || (change.gid ?? gid) !== gid))
      throw new FsError(errno.EPERM, 'everything here belongs to one user');
    if (change.uid !== undefined) local.uid = change.uid;
    if (change.gid !== undefined) local.gid = change.gid;
    const accessed = this.#time(change.accessed);
    if (accessed !== undefined) local.accessed = accessed;
    return local;
  }

  #withoutPrivileges(object: TreeNode): number | undefined {
    const { view } = this.#options;
    const bits = permissionsOf(object, view.permission(object), view.ownership);
    // A set-group-id bit without the right to execute means something else: mandatory locks.
    const killed = S_ISUID | ((bits & S_IXGRP) === 0 ? 0 : S_ISGID);
    return object.kind === 'file' && (bits & killed) !== 0 ? bits & ~killed : undefined;
  }

  #resize(node: NodeId, lengthBytes: number, throughHandle: boolean): number | undefined {
    const { contents, view } = this.#options;
    const file = view.object(node);
    if (file.kind === 'directory') throw new Error(`directory ${file.inode} has no content`);
    return contents.truncate(node, file, lengthBytes, !throughHandle);
  }

  #store(node: NodeId, local: LocalAttributes): void {
    const { changes, nodes, nowMs, view } = this.#options;
    const object = view.object(node);
    if (nodes.frozen(node) === undefined) changes.setAttributes(object, local);
    else nodes.refrozen(node, { ...object, local: { ...object.local, changed: timestampOf(nowMs()), ...local } });
  }

  #time(time: Timestamp | 'now' | undefined): Timestamp | undefined {
    return time === 'now' ? timestampOf(this.#options.nowMs()) : time;
  }
}
