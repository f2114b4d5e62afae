// TreeNode -> what stat(2) shows. Permission bits come from the syncpoint's permission and the mount's umask.
import type { SyncpointPermission, Timestamp } from '../remote-drive.ts';
import type { TreeNode } from '../cache/tree.ts';
import type { Attributes } from './operations.ts';

/** Whose the objects of a mount are, and which bits are taken from them. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
}

/**
 * Attributes of a node in a syncpoint of that permission. A directory's link count is 1, which tells `find` and others that it
 * says nothing about subdirectories; a file that was removed while open has none.
 */
export function attributesOf(
  node: TreeNode,
  permission: SyncpointPermission,
  ownership: Ownership,
  state: 'linked' | 'removed' = 'linked',
): Attributes {
  const writable = permission === 'read-write';
  const directory = node.kind === 'directory';
  const full = directory ? (writable ? 0o777 : 0o555) : writable ? 0o666 : 0o444;
  const time: Timestamp = node.modified;
  return {
    inode: node.inode,
    type: node.kind,
    permissions: full & ~ownership.umask,
    linkCount: state === 'removed' ? 0 : 1,
    uid: ownership.uid,
    gid: ownership.gid,
    sizeBytes: directory ? 0 : node.lengthBytes,
    modified: time,
    changed: time,
    accessed: time,
  };
}
