// What the tree stores and how it is keyed. Values are msgpack records with short keys, because there are millions of them;
// everybody else sees TreeNode. Keys are big-endian, so that a range over a folder comes in the order of inode numbers.
import type {
  ContentReference,
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
  /** The name at the service, or the one it is to have there. */
  readonly remoteName: string;
  /** Absent for the root, and while the service has no such folder yet. */
  readonly remote: { readonly syncpointId: SyncpointId; readonly folderId: FolderId } | undefined;
  /** Set on syncpoints, the directories right below the root; what lies below them inherits. */
  readonly syncpoint: SyncpointFacts | undefined;
  /** When its set of entries was last seen to change here: the service keeps no times of folders. */
  readonly modified: Timestamp;
  readonly local: LocalAttributes | undefined;
}

/** What only the top directory of a syncpoint carries. */
export interface SyncpointFacts {
  readonly permission: SyncpointPermission;
  readonly vaultId: VaultId | undefined;
  readonly owner: string | undefined;
  readonly lastEvent: string | undefined;
  /** The tree's moment when that event was first seen: what was listed from then on is still so while the event is the same. */
  readonly lastEventMoment: number;
}

/** A file, as the tree knows it: what the service has, and over it what is of this machine. */
export interface TreeFile {
  readonly kind: 'file';
  readonly inode: number;
  readonly parent: number;
  readonly name: string;
  readonly remoteName: string;
  /** Undefined while the service has no such file, or has not told its ids yet. */
  readonly fileId: FileId | undefined;
  readonly versionId: VersionId | undefined;
  /** Of the service's version; {@link shownLengthBytes} is what programs see. */
  readonly lengthBytes: number;
  /** Of the service's version; {@link shownModified} is what programs see. */
  readonly modified: Timestamp;
  readonly created: Timestamp;
  /** SHA-256 of the service's version, 64 hex digits, where it is known. */
  readonly sha256: string | undefined;
  /** Content on this machine that shows instead of the service's version, or, once that is stored, is the same as it. */
  readonly staged: StagedContent | undefined;
  readonly local: LocalAttributes | undefined;
}

export type TreeNode = TreeDirectory | TreeFile;

/** Attributes that the service does not keep. Each absent one takes its default. */
export interface LocalAttributes {
  /** Permission bits (07777). */
  readonly permissions?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Set by a program; of a file it is bound to the present content. */
  readonly modified?: Timestamp | undefined;
  readonly accessed?: Timestamp | undefined;
  /** st_ctime. */
  readonly changed?: Timestamp | undefined;
}

/** A generation of a file's content in the staging directory, as the journal keeps it. */
export interface StagedContent {
  /** Names the file in the staging directory; never given twice. */
  readonly id: number;
  readonly lengthBytes: number;
  /** What shows through below {@link baseEndBytes} where nothing was written; undefined: nothing does, unwritten bytes are zero. */
  readonly base: StagedBase | undefined;
  readonly baseEndBytes: number;
  /** The ranges written within [0, baseEndBytes): start, end, start, end ... ascending, end exclusive. Empty without a base. */
  readonly extents: readonly number[];
  /** Of the whole content, where it is known. */
  readonly sha256: string | undefined;
}

/** A version of the service, or an earlier generation, which is complete in itself or lies over a version. */
export type StagedBase =
  | { readonly kind: 'version'; readonly content: ContentReference }
  | { readonly kind: 'staged'; readonly staged: StagedContent };

/** The length programs see. */
export function shownLengthBytes(file: TreeFile): number {
  return file.staged?.lengthBytes ?? file.lengthBytes;
}

/** The modification time programs see. */
export function shownModified(node: TreeNode): Timestamp {
  return node.local?.modified ?? node.modified;
}

/** The stored form. `n` name, `r` remote name where it differs; `t`/`u` modified, `c`/`d` created (seconds, nanoseconds). */
interface StoredDirectory {
  n: string;
  r?: string;
  t: number;
  u: number;
  /** Syncpoint and folder id; empty: not made yet. */
  s: string;
  f: string;
  /** Only on syncpoints: p writable, v vault, o owner, e last event, y the moment it was first seen. */
  p?: boolean;
  v?: string | null;
  o?: string | null;
  e?: string | null;
  y?: number;
  x?: StoredLocal;
}
interface StoredFile {
  n: string;
  r?: string;
  /** Ids of file and version; empty: unknown. */
  i: string;
  w: string;
  l: number;
  t: number;
  u: number;
  c: number;
  d: number;
  h?: string;
  g?: StagedContent;
  x?: StoredLocal;
}
export type StoredNode = StoredDirectory | StoredFile;

/** m permissions, u uid, g gid; t modified, a accessed, c changed as [seconds, nanoseconds]. */
interface StoredLocal {
  m?: number;
  u?: number;
  g?: number;
  t?: [number, number];
  a?: [number, number];
  c?: [number, number];
}

/** Root of the tree: its record is not stored. */
export const ROOT_INODE = 1;
/** Inode numbers below this are never given to entries, so that a number serves as directory cookie beside "." and "..". */
export const FIRST_INODE = 16;

const INODE_BYTES = 6;
/** The largest inode number a key holds: 2^48 - 1, a million new files a second for nine years. */
export const INODE_MAX = 2 ** 48 - 1;

export function encodeNode(node: TreeNode): StoredNode {
  if (node.inode === ROOT_INODE) throw new Error('the root is not stored');
  // No spreads: a copy of many files encodes five nodes a file.
  if (node.kind === 'file') {
    const file: StoredFile = {
      n: node.name,
      i: node.fileId ?? '',
      w: node.versionId ?? '',
      l: node.lengthBytes,
      t: node.modified.seconds,
      u: node.modified.nanoseconds,
      c: node.created.seconds,
      d: node.created.nanoseconds,
    };
    if (node.remoteName !== node.name) file.r = node.remoteName;
    if (node.sha256 !== undefined) file.h = node.sha256;
    if (node.staged !== undefined) file.g = node.staged;
    if (node.local !== undefined) file.x = encodeLocal(node.local);
    return file;
  }
  const directory: StoredDirectory = {
    n: node.name,
    t: node.modified.seconds,
    u: node.modified.nanoseconds,
    s: node.remote?.syncpointId ?? '',
    f: node.remote?.folderId ?? '',
  };
  if (node.remoteName !== node.name) directory.r = node.remoteName;
  if (node.syncpoint !== undefined) {
    directory.p = node.syncpoint.permission === 'read-write';
    directory.v = node.syncpoint.vaultId ?? null;
    directory.o = node.syncpoint.owner ?? null;
    directory.e = node.syncpoint.lastEvent ?? null;
    directory.y = node.syncpoint.lastEventMoment;
  }
  if (node.local !== undefined) directory.x = encodeLocal(node.local);
  return directory;
}

function encodeLocal(local: LocalAttributes): StoredLocal {
  const stored: StoredLocal = {};
  if (local.permissions !== undefined) stored.m = local.permissions;
  if (local.uid !== undefined) stored.u = local.uid;
  if (local.gid !== undefined) stored.g = local.gid;
  if (local.modified !== undefined) stored.t = [local.modified.seconds, local.modified.nanoseconds];
  if (local.accessed !== undefined) stored.a = [local.accessed.seconds, local.accessed.nanoseconds];
  if (local.changed !== undefined) stored.c = [local.changed.seconds, local.changed.nanoseconds];
  return stored;
}

function decodeLocal(stored: StoredLocal | undefined): LocalAttributes | undefined {
  if (stored === undefined) return undefined;
  const time = (pair: [number, number] | undefined): Timestamp | undefined =>
    pair === undefined ? undefined : { seconds: pair[0], nanoseconds: pair[1] };
  return {
    permissions: stored.m,
    uid: stored.u,
    gid: stored.g,
    modified: time(stored.t),
    accessed: time(stored.a),
    changed: time(stored.c),
  };
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
      fileId: stored.i === '' ? undefined : (stored.i as FileId),
      versionId: stored.w === '' ? undefined : (stored.w as VersionId),
      lengthBytes: stored.l,
      modified,
      created: { seconds: stored.c, nanoseconds: stored.d },
      sha256: stored.h,
      staged: stored.g,
      local: decodeLocal(stored.x),
    };
  }
  return {
    kind: 'directory',
    inode,
    parent,
    name: stored.n,
    remoteName,
    remote: stored.f === '' ? undefined : { syncpointId: stored.s as SyncpointId, folderId: stored.f as FolderId },
    syncpoint:
      stored.p === undefined
        ? undefined
        : {
            permission: stored.p ? 'read-write' : 'read-only',
            vaultId: (stored.v ?? undefined) as VaultId | undefined,
            owner: stored.o ?? undefined,
            lastEvent: stored.e ?? undefined,
            lastEventMoment: stored.y ?? Infinity,
          },
    modified,
    local: decodeLocal(stored.x),
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

/** Key of a generation: numbers up to 2^53, in order. */
export function generationKey(generation: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeBigUInt64BE(BigInt(generation));
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
      a.syncpoint?.lastEvent === b.syncpoint?.lastEvent &&
      a.syncpoint?.lastEventMoment === b.syncpoint?.lastEventMoment
    );
  }
  return false;
}

/** True where the service keeps both as one: in units of 100 ns. */
export function sameKeptTime(a: Timestamp, b: Timestamp): boolean {
  const units = ({ nanoseconds }: Timestamp): number => Math.floor(nanoseconds / 100);
  return a.seconds === b.seconds && units(a) === units(b);
}

function sameTime(a: Timestamp, b: Timestamp): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

/** The ids of the generations that a content needs, its own first. */
export function generationsOf(staged: StagedContent | undefined): number[] {
  const ids: number[] = [];
  for (let at = staged; at !== undefined; at = at.base?.kind === 'staged' ? at.base.staged : undefined) ids.push(at.id);
  return ids;
}
