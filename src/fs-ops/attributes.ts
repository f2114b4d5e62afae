// TreeNode -> what stat(2) shows. Permission bits are of this machine, and bounded by the syncpoint's permission.
import type { SyncpointPermission, Timestamp } from '../remote-drive.ts';
import { shownLengthBytes, shownModified, type TreeNode } from '../cache/tree.ts';
import type { Attributes } from './operations.ts';

/** Whose the objects of a mount are, and which bits are taken from them. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
  /** Owners may differ and be changed, as far as this machine sees: a mount of root's that was not given an owner. */
  readonly keepsOwners: boolean;
}

/** What an open file has that the tree does not know yet. */
export interface UncommittedState {
  readonly lengthBytes: number;
  readonly modified: Timestamp | undefined;
  readonly changed: Timestamp | undefined;
}

const WRITE_BITS = 0o222;

/** The permission bits that a node shows. */
export function permissionsOf(node: TreeNode, permission: SyncpointPermission, { umask }: Ownership): number {
  const bits = node.local?.permissions ?? (node.kind === 'directory' ? 0o777 : 0o666) & ~umask;
  return permission === 'read-write' ? bits : bits & ~WRITE_BITS;
}

/**
 * Attributes of a node in a syncpoint of that permission. A directory's link count is 1, which tells `find` and others that it
 * says nothing about subdirectories; what was removed while the kernel held it has none.
 */
export function attributesOf(
  node: TreeNode,
  permission: SyncpointPermission,
  ownership: Ownership,
  more: { readonly removed?: boolean; readonly uncommitted?: UncommittedState | undefined } = {},
): Attributes {
  const { uncommitted } = more;
  const { local } = node;
  const modified = uncommitted?.modified ?? shownModified(node);
  return {
    inode: node.inode,
    type: node.kind,
    permissions: permissionsOf(node, permission, ownership),
    linkCount: more.removed === true ? 0 : 1,
    uid: local?.uid ?? ownership.uid,
    gid: local?.gid ?? ownership.gid,
    sizeBytes: node.kind === 'directory' ? 0 : (uncommitted?.lengthBytes ?? shownLengthBytes(node)),
    modified,
    changed: later(uncommitted?.changed, local?.changed) ?? modified,
    accessed: local?.accessed ?? node.modified,
  };
}

/** The later of two times, of which either may be unknown. */
export function later(a: Timestamp | undefined, b: Timestamp | undefined): Timestamp | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return (a.seconds - b.seconds || a.nanoseconds - b.nanoseconds) > 0 ? a : b;
}
