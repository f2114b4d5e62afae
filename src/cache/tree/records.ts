// What the tree stores and how it is keyed. Values are msgpack records with short keys, because there are millions of them;
// everybody else sees TreeNode. Keys are big-endian, so that a range over a folder comes in the order of inode numbers.
import type {
  FileId,
  FolderId,
  SyncpointId,
  SyncpointPermission,
  Timestamp,
  VaultId,
  VersionId,
} from '../../remote-drive.ts';

/** A folder, a syncpoint or the root, as the tree knows it. */
export interface TreeDirectory {
  readonly kind: 'directory';
  readonly inode: number;
  readonly parent: number;
  /** The name it is shown under, fit for POSIX, unique in its folder. */
  readonly name: string;
  /** The name at the service. */
  readonly remoteName: string;
  /** Absent for the root alone. */
  readonly remote: { readonly syncpointId: SyncpointId; readonly folderId: FolderId } | undefined;
  /** Set on syncpoints, the directories right below the root; what lies below them inherits. */
  readonly syncpoint: SyncpointFacts | undefined;
  /** When its set of entries was last seen to change here: the service keeps no times of folders. */
  readonly modified: Timestamp;
}

/** What only the top directory of a syncpoint carries. */
export interface SyncpointFacts {
  readonly permission: SyncpointPermission;
  readonly vaultId: VaultId | undefined;
  readonly owner: string | undefined;
  readonly lastEvent: string | undefined;
}

/** A file, as the tree knows it. */
export interface TreeFile {
  readonly kind: 'file';
  readonly inode: number;
  readonly parent: number;
  readonly name: string;
  readonly remoteName: string;
  readonly fileId: FileId;
  readonly versionId: VersionId;
  readonly lengthBytes: number;
  readonly modified: Timestamp;
  readonly created: Timestamp;
}

export type TreeNode = TreeDirectory | TreeFile;

/** The stored form. `n` name, `r` remote name where it differs; `t`/`u` modified, `c`/`d` created (seconds, nanoseconds). */
interface StoredDirectory {
  n: string;
  r?: string;
  t: number;
  u: number;
  /** Syncpoint and folder id. */
  s: string;
  f: string;
  /** Only on syncpoints: p writable, v vault, o owner, e last event. */
  p?: boolean;
  v?: string | null;
  o?: string | null;
  e?: string | null;
}
interface StoredFile {
  n: string;
  r?: string;
  i: string;
  w: string;
  l: number;
  t: number;
  u: number;
  c: number;
  d: number;
}
export type StoredNode = StoredDirectory | StoredFile;

/** Root of the tree: its record is not stored. */
export const ROOT_INODE = 1;
/** Inode numbers below this are never given to entries, so that a number serves as directory cookie beside "." and "..". */
export const FIRST_INODE = 16;

const INODE_BYTES = 6;
/** The largest inode number a key holds: 2^48 - 1, a million new files a second for nine years. */
export const INODE_MAX = 2 ** 48 - 1;

export function encodeNode(node: TreeNode): StoredNode {
  const names = node.remoteName === node.name ? { n: node.name } : { n: node.name, r: node.remoteName };
  const times = { t: node.modified.seconds, u: node.modified.nanoseconds };
  if (node.kind === 'file') {
    return {
      ...names,
      i: node.fileId,
      w: node.versionId,
      l: node.lengthBytes,
      ...times,
      c: node.created.seconds,
      d: node.created.nanoseconds,
    };
  }
  if (node.remote === undefined) throw new Error('the root is not stored');
  const directory: StoredDirectory = { ...names, s: node.remote.syncpointId, f: node.remote.folderId, ...times };
  if (node.syncpoint !== undefined) {
    directory.p = node.syncpoint.permission === 'read-write';
    directory.v = node.syncpoint.vaultId ?? null;
    directory.o = node.syncpoint.owner ?? null;
    directory.e = node.syncpoint.lastEvent ?? null;
  }
  return directory;
}

export function decodeNode(inode: number, parent: number, stored: StoredNode): TreeNode {
  const remoteName = stored.r ?? stored.n;
  const modified = { seconds: stored.t, nanoseconds: stored.u };
  if ('i' in stored) {
    return {
      kind: 'file',
      inode,
      parent,
      name: stored.n,
      remoteName,
      fileId: stored.i as FileId,
      versionId: stored.w as VersionId,
      lengthBytes: stored.l,
      modified,
      created: { seconds: stored.c, nanoseconds: stored.d },
    };
  }
  return {
    kind: 'directory',
    inode,
    parent,
    name: stored.n,
    remoteName,
    remote: { syncpointId: stored.s as SyncpointId, folderId: stored.f as FolderId },
    syncpoint:
      stored.p === undefined
        ? undefined
        : {
            permission: stored.p ? 'read-write' : 'read-only',
            vaultId: (stored.v ?? undefined) as VaultId | undefined,
            owner: stored.o ?? undefined,
            lastEvent: stored.e ?? undefined,
          },
    modified,
  };
}

/** Key of an entry in its folder: parent, inode. */
export function entryKey(parent: number, inode: number): Buffer {
  const key = Buffer.allocUnsafe(2 * INODE_BYTES);
  key.writeUIntBE(parent, 0, INODE_BYTES);
  key.writeUIntBE(inode, INODE_BYTES, INODE_BYTES);
  return key;
}

/** The inode number of an entry key. */
export function entryKeyInode(key: Buffer): number {
  return key.readUIntBE(INODE_BYTES, INODE_BYTES);
}

/** Key of a name in its folder: parent, UTF-8 bytes. */
export function nameKey(parent: number, name: string): Buffer {
  const key = Buffer.allocUnsafe(INODE_BYTES + Buffer.byteLength(name));
  key.writeUIntBE(parent, 0, INODE_BYTES);
  key.write(name, INODE_BYTES);
  return key;
}

/** Key of an inode alone. */
export function inodeKey(inode: number): Buffer {
  const key = Buffer.allocUnsafe(INODE_BYTES);
  key.writeUIntBE(inode, 0, INODE_BYTES);
  return key;
}

/** An inode number out of {@link inodeKey}'s bytes. */
export function readInode(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUIntBE(0, INODE_BYTES);
}

/** True where both say the same of the object. */
export function sameNode(a: TreeNode, b: TreeNode): boolean {
  if (a.kind !== b.kind || a.name !== b.name || a.remoteName !== b.remoteName) return false;
  if (a.kind === 'file' && b.kind === 'file') {
    return (
      a.fileId === b.fileId &&
      a.versionId === b.versionId &&
      a.lengthBytes === b.lengthBytes &&
      sameTime(a.modified, b.modified) &&
      sameTime(a.created, b.created)
    );
  }
  if (a.kind === 'directory' && b.kind === 'directory') {
    return (
      a.remote?.folderId === b.remote?.folderId &&
      a.remote?.syncpointId === b.remote?.syncpointId &&
      a.syncpoint?.permission === b.syncpoint?.permission &&
      a.syncpoint?.vaultId === b.syncpoint?.vaultId &&
      a.syncpoint?.owner === b.syncpoint?.owner &&
      a.syncpoint?.lastEvent === b.syncpoint?.lastEvent
    );
  }
  return false;
}

function sameTime(a: Timestamp, b: Timestamp): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}
