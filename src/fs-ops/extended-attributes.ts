// The extended attributes `user.syncplicity.*` that cost no call: ids, permission, owner and state of an object.
import { errno } from '../base/errno.ts';
import type { TreeDirectory, TreeNode } from '../cache/tree.ts';
import { FsError } from './operations.ts';

const PREFIX = 'user.syncplicity.';

/** The attributes an object has, by full name. `syncpoint` is the one it lies in; undefined for the root. */
function valuesOf(node: TreeNode, syncpoint: TreeDirectory | undefined): Map<string, string> {
  const values = new Map<string, string>();
  if (syncpoint?.remote !== undefined) {
    values.set('syncpoint_id', syncpoint.remote.syncpointId);
    if (syncpoint.syncpoint !== undefined) {
      values.set('permission', syncpoint.syncpoint.permission);
      if (syncpoint.syncpoint.owner !== undefined) values.set('owner', syncpoint.syncpoint.owner);
    }
    values.set('state', 'stored');
  }
  if (node.kind === 'file') {
    values.set('file_id', node.fileId);
    values.set('version_id', node.versionId);
  } else if (node.remote !== undefined) {
    values.set('folder_id', node.remote.folderId);
  }
  return values;
}

/** GETXATTR. Throws FsError ENODATA for every name that is not ours. */
export function extendedAttribute(node: TreeNode, syncpoint: TreeDirectory | undefined, name: string): Uint8Array {
  const value = name.startsWith(PREFIX) ? valuesOf(node, syncpoint).get(name.slice(PREFIX.length)) : undefined;
  if (value === undefined) throw new FsError(errno.ENODATA, `no attribute ${name}`);
  return Buffer.from(value);
}

/** LISTXATTR. */
export function extendedAttributeNames(node: TreeNode, syncpoint: TreeDirectory | undefined): string[] {
  return [...valuesOf(node, syncpoint).keys()].map((name) => PREFIX + name);
}
