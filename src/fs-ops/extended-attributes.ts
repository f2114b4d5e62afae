// The extended attributes `user.syncplicity.*` that cost no call: ids, permission, owner and state of an object, and whether it is pinned.
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
/** Read and set by name, and not listed: what copies attributes would pin the copies. */
const PINNED = `${PREFIX}pinned`;

/** Whether objects are kept on this machine. */
export interface Pinning {
  /** Itself, or as part of a directory that is. */
  isPinned(object: TreeNode): boolean;
  /** Throws where it cannot be kept. */
  pin(object: TreeNode): void;
  /** With all below it. Returns how many pins there were. */
  unpin(object: TreeNode): number;
}

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
export function extendedAttribute(of: Attributed, name: string, pinning?: Pinning): Uint8Array {
  if (name === PINNED && pinning?.isPinned(of.object) === true) return Buffer.from('1');
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

/**
 * SETXATTR and REMOVEXATTR (`value` undefined) of the attribute that pins. False: the name is another one. Throws FsError: EINVAL for a
 * value other than 1 and 0, ENODATA where no pin is taken away, EPERM where it is kept because a directory above it is.
 */
export function changePinning(
  object: TreeNode,
  name: string,
  value: Uint8Array | undefined,
  pinning: Pinning,
): boolean {
  if (name !== PINNED) return false;
  const text = value === undefined ? '0' : Buffer.from(value).toString('latin1').trim();
  if (text === '1') {
    pinning.pin(object);
    return true;
  }
  if (text !== '0') throw new FsError(errno.EINVAL, `${name} is 1 or 0`);
  if (pinning.unpin(object) > 0 && !pinning.isPinned(object)) return true;
  if (pinning.isPinned(object)) throw new FsError(errno.EPERM, 'a directory above it is pinned');
  if (value === undefined) throw new FsError(errno.ENODATA, 'it is not pinned');
  return true;
}

/** LISTXATTR. */
export function extendedAttributeNames(of: Attributed): string[] {
  return [...valuesOf(of).keys()].map((name) => PREFIX + name);
}
