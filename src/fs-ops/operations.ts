// What a transport (fuse/kernel, fuse/fuse-native) may ask of the file system: POSIX verbs over node ids, no wire format.
// Every verb answers at once from local state where it can and returns a promise only where something must be fetched, so
// that a transport can reply within the same tick. Failures are FsError with an errno; after an abort, EINTR.

import type { Waiting } from '../base/after-reply.ts';

/** The transport's number of an object: 1 is the root. Usually the inode number; see {@link Attributes.inode}. */
export type NodeId = number;

export const ROOT_NODE: NodeId = 1;

export type Answer<T> = T | Promise<T>;

/** Who asks. */
export interface Caller extends Waiting {
  readonly uid: number;
  readonly gid: number;
  /** 0 where the kernel does not tell (another pid namespace). */
  readonly pid: number;
  /** Aborted when the kernel interrupts the request. Made on first use: most requests never look. */
  readonly signal: AbortSignal;
}

export type FileType = 'file' | 'directory';

/** What stat(2) shows. Times are UTC seconds and nanoseconds; sizes bytes. */
export interface Attributes {
  /** st_ino: stable over remounts. Differs from the node id only while an older version is held open. */
  readonly inode: number;
  readonly type: FileType;
  /** Permission bits only (07777). */
  readonly permissions: number;
  readonly linkCount: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly modified: { readonly seconds: number; readonly nanoseconds: number };
  readonly changed: { readonly seconds: number; readonly nanoseconds: number };
  readonly accessed: { readonly seconds: number; readonly nanoseconds: number };
}

/** A name resolved. Each one handed out counts as one lookup of `node` until forget() takes it back. */
export interface Entry {
  readonly node: NodeId;
  readonly attributes: Attributes;
  /** How long the kernel may trust the name, and the attributes, without asking. */
  readonly entryLifetimeMs: number;
  readonly attributesLifetimeMs: number;
}

/** A name known not to exist, for `entryLifetimeMs`. */
export interface NoEntry {
  readonly node: 0;
  readonly entryLifetimeMs: number;
}

export interface OpenFile {
  readonly handle: number;
  /** The kernel's cached pages are of the version this handle reads: it may keep them. */
  readonly keepCache: boolean;
}

export interface OpenDirectory {
  readonly handle: number;
  /** The kernel may cache this directory's entries (FOPEN_CACHE_DIR), and `keepCache` those it has. */
  readonly cacheEntries: boolean;
  readonly keepCache: boolean;
}

/** One row of a directory. `cookie` resumes the listing behind this row (d_off); it stays valid while entries come and go. */
export interface DirectoryRow {
  readonly name: string;
  readonly inode: number;
  readonly type: FileType;
  readonly cookie: number;
  /** For READDIRPLUS. Absent for "." and "..": those grant no lookup. */
  readonly entry?: Entry | undefined;
}

/** Takes a row; returns false when there was no room for it, which ends the call and grants no lookup for that row. */
export type RowSink = (row: DirectoryRow) => boolean;

/** statfs(2) in bytes and counts. */
export interface Capacity {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly totalFiles: number;
  readonly freeFiles: number;
  readonly nameBytesMax: number;
}

/** A name in a directory. */
export interface NodePlace {
  readonly parent: NodeId;
  readonly name: string;
}

/** RENAME_NOREPLACE and RENAME_EXCHANGE of rename(2); never both. */
export interface RenameFlags {
  readonly noReplace: boolean;
  readonly exchange: boolean;
}

/** The fields a SETATTR wants changed. */
export interface AttributeChange {
  /** Clear set-user-id and set-group-id bits, as a truncation by an ordinary user does. */
  readonly killPrivileges?: boolean | undefined;
  readonly permissions?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly sizeBytes?: number | undefined;
  /** 'now' where the caller leaves the time to us. */
  readonly accessed?: { readonly seconds: number; readonly nanoseconds: number } | 'now' | undefined;
  readonly modified?: { readonly seconds: number; readonly nanoseconds: number } | 'now' | undefined;
}

/**
 * The file system as a transport sees it. Names are UTF-8 decoded; a transport refuses bytes that are not UTF-8. A verb that fails
 * has changed nothing: the kernel goes on showing what it showed before. Attributes returned are those of the moment of the
 * answer, since the kernel takes a file's size from them. Writes through shared memory come with uid, gid and pid 0.
 */
export interface Operations {
  /** LOOKUP. Unknown names are `NoEntry`, not an error. */
  lookup(parent: NodeId, name: string, caller: Caller): Answer<Entry | NoEntry>;
  /** FORGET: takes back `count` lookups. Unknown nodes are ignored. */
  forget(node: NodeId, count: number): void;
  /** GETATTR. `handle` is given where the kernel asks about an open file. */
  getAttributes(
    node: NodeId,
    handle: number | undefined,
    caller: Caller,
  ): Answer<{ readonly attributes: Attributes; readonly lifetimeMs: number }>;
  /** SETATTR. */
  setAttributes(
    node: NodeId,
    handle: number | undefined,
    change: AttributeChange,
    caller: Caller,
  ): Answer<{ readonly attributes: Attributes; readonly lifetimeMs: number }>;
  /** ACCESS, where the kernel does not decide by itself. `mask` is R_OK|W_OK|X_OK. */
  access(node: NodeId, mask: number, caller: Caller): Answer<void>;
  /** OPEN with open(2)'s flags. `killPrivileges` comes with O_TRUNC only: clear set-user-id and set-group-id bits. */
  open(node: NodeId, flags: number, caller: Caller, killPrivileges?: boolean): Answer<OpenFile>;
  /** READ: the bytes [offsetBytes, offsetBytes + lengthBytes) cut at the end of the file, as one or more pieces in order. */
  read(
    node: NodeId,
    handle: number,
    offsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Answer<readonly Uint8Array[]>;
  /**
   * CREATE: makes a regular file, or opens the one that is there (EEXIST with O_EXCL), with open(2)'s flags. Grants one lookup
   * and one handle. `killPrivileges` as in open(), if the file was there. The kernel checks neither that file's permissions
   * nor its type, since it takes the name for a new one.
   */
  create(
    parent: NodeId,
    name: string,
    permissions: number,
    flags: number,
    caller: Caller,
    killPrivileges?: boolean,
  ): Answer<{ readonly entry: Entry; readonly opened: OpenFile }>;
  /** MKNOD of a regular file. Grants one lookup. */
  makeFile(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry>;
  /** MKDIR. Grants one lookup. */
  makeDirectory(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry>;
  /** UNLINK. */
  unlink(parent: NodeId, name: string, caller: Caller): Answer<void>;
  /** RMDIR. */
  removeDirectory(parent: NodeId, name: string, caller: Caller): Answer<void>;
  /** RENAME and RENAME2. */
  rename(from: NodePlace, to: NodePlace, flags: RenameFlags, caller: Caller): Answer<void>;
  /**
   * WRITE: returns the bytes taken: all of them, or it fails; few programs go on after less. `data` is the transport's and
   * changes after the call returns: who answers later has copied it.
   * `killPrivileges` asks to clear set-user-id and set-group-id bits.
   */
  write(
    node: NodeId,
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    killPrivileges: boolean,
    caller: Caller,
  ): Answer<number>;
  /** FALLOCATE with fallocate(2)'s mode bits; EOPNOTSUPP for those that are not supported. */
  allocate(
    node: NodeId,
    handle: number,
    mode: number,
    offsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Answer<void>;
  /** SETXATTR and REMOVEXATTR, with setxattr(2)'s flags. Transports ask for names in `user.` only. */
  setExtendedAttribute(
    node: NodeId,
    name: string,
    value: Uint8Array | undefined,
    flags: number,
    caller: Caller,
  ): Answer<void>;
  /**
   * FLUSH: once for each close(2) of a descriptor that can write, in any process that shares it; a transport may leave it out
   * for the others. Of a killed program it is aborted as soon as it comes, and must do its work all the same.
   */
  flush(node: NodeId, handle: number, caller: Caller): Answer<void>;
  /** FSYNC: answers when what was written is safe against power loss. */
  sync(node: NodeId, handle: number, caller: Caller): Answer<void>;
  /** FSYNCDIR: answers when the directory's changes are safe against power loss. */
  syncDirectory(node: NodeId, handle: number, caller: Caller): Answer<void>;
  /** RELEASE: the handle is gone. */
  release(handle: number): void;
  /** OPENDIR. */
  openDirectory(node: NodeId, caller: Caller): Answer<OpenDirectory>;
  /**
   * READDIR and READDIRPLUS (`plus`): rows behind `cookie` (0 starts anew) until the sink refuses one or they end. "." and
   * ".." come first. With `plus`, each accepted row that carries an entry counts as one lookup.
   */
  readDirectory(
    node: NodeId,
    handle: number,
    cookie: number,
    plus: boolean,
    sink: RowSink,
    caller: Caller,
  ): Answer<void>;
  /** RELEASEDIR. */
  releaseDirectory(handle: number): void;
  /** STATFS: never waits for the network. */
  capacity(node: NodeId): Capacity;
  /** GETXATTR: the value, or FsError ENODATA. Transports ask for names in `user.` only. */
  getExtendedAttribute(node: NodeId, name: string, caller: Caller): Answer<Uint8Array>;
  /** LISTXATTR: names without terminators. */
  listExtendedAttributes(node: NodeId, caller: Caller): Answer<readonly string[]>;
}

/** How the file system tells the kernel to drop what it caches. Implemented by a transport; calls never block and never fail. */
export interface KernelCache {
  /** The name in this directory changed, appeared or vanished. */
  invalidateEntry(parent: NodeId, name: string): void;
  /** Attributes of the node changed; with `content`, its cached pages (or directory entries) are stale too. */
  invalidateNode(node: NodeId, what: { readonly content: boolean }): void;
  /** Whether {@link expireNames} is possible, as far as is known; costs nothing. */
  canExpireNames(): boolean;
  /**
   * Every name in every directory, known or known as missing, is asked for again when it is used next. Returns false, and does nothing, where
   * the kernel has no such message or while something is mounted on a directory of this mount, which the message would take away.
   */
  expireNames(): boolean;
}

/** A verb failed. `errno` is the positive Linux number; `message` says what a log should. */
export class FsError extends Error {
  override readonly name = 'FsError';
  readonly errno: number;
  constructor(errno: number, message: string, options?: { cause?: unknown }) {
    // An answer, not a fault: most of them say that there is no such file, and a stack costs more than looking for it.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.errno = errno;
  }
}
