// The extended attributes `user.syncplicity.*` that cost no call: ids, permission, owner and state of an object.
import { errno } from '../base/errno.ts';
import type { PendingRecord } from '../cache/journal.ts';
import type { TreeDirectory, TreeNode } from '../cache/tree.ts';
import { FsError } from './operations.ts';

/** What an object's attributes are about. */
export interface Attributed {
  readonly object: TreeNode;
  /** The one it lies in; undefined for the root. */
  readonly syncpoint: TreeDirectory | undefined;
  readonly state: ChangeState;
}

/** Whether the service has an object as it is here. */
export type ChangeState = 'stored' | 'pending' | 'sending' | 'failed';

const PREFIX = 'user.syncplicity.';

/** `dirty`: a program has changed it and not closed it yet. `sending`: a change of it is on its way. */
export function changeState(record: PendingRecord | undefined, dirty: boolean, sending: boolean): ChangeState {
  if (record?.failed !== undefined) return 'failed';
  if (sending) return 'sending';
  return dirty || (record !== undefined && record.doneAtMs === undefined) ? 'pending' : 'stored';
}

/** The attributes an object has, by full name. */
function valuesOf({ object, syncpoint, state }: Attributed): Map<string, string> {
  const values = new Map<string, string>();
  if (syncpoint?.remote !== undefined) {
    values.set('syncpoint_id', syncpoint.remote.syncpointId);
    if (syncpoint.syncpoint !== undefined) {
      values.set('permission', syncpoint.syncpoint.permission);
      if (syncpoint.syncpoint.owner !== undefined) values.set('owner', syncpoint.syncpoint.owner);
    }
    values.set('state', state);
  }
  if (object.kind === 'file') {
    if (object.fileId !== undefined) values.set('file_id', object.fileId);
    if (object.versionId !== undefined) values.set('version_id', object.versionId);
  } else if (object.remote !== undefined) {
    values.set('folder_id', object.remote.folderId);
  }
  return values;
}

/** GETXATTR. Throws FsError ENODATA for every name that is not ours. */
export function extendedAttribute(of: Attributed, name: string): Uint8Array {
  const value = name.startsWith(PREFIX) ? valuesOf(of).get(name.slice(PREFIX.length)) : undefined;
  if (value === undefined) throw new FsError(errno.ENODATA, `no attribute ${name}`);
  return Buffer.from(value);
}

/**
 * SETXATTR and REMOVEXATTR. Ours stay as they are, without an error: programs that make two files' attributes alike (`rsync -X`) find them
 * here and would fail. Throws FsError ENOTSUP for every other name, with which programs that copy attributes are content.
 */
export function changeExtendedAttribute(name: string): void {
  if (!name.startsWith(PREFIX)) throw new FsError(errno.ENOTSUP, `the attribute ${name} cannot be kept`);
}

/** LISTXATTR. */
export function extendedAttributeNames(of: Attributed): string[] {
  return [...valuesOf(of).keys()].map((name) => PREFIX + name);
}
