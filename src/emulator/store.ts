// What the emulated service keeps, as its HTTP side sees it: syncpoints, folders, files, versions and their bytes.
// Promises: ids are positive safe integers, unique per kind and persistent as long as the store; a version id names one
// content for ever. Must not know: HTTP, JSON, dialects.

/** 100 ns intervals since 1970-01-01T00:00:00Z: the precision of the service's file times. */
export type Ticks = bigint;

/** A file's times. */
export interface FileTimes {
  readonly created: Ticks;
  readonly modified: Ticks;
  /** When its version came to the service. */
  readonly added: Ticks;
}

export interface Person {
  readonly id: string;
  readonly emailAddress: string;
  readonly firstName: string;
  readonly lastName: string;
}

/** 0 none, 1 read and write, 2 contributor, 3 read only (Syncpoints POST, `Permission`). */
export type Permission = 0 | 1 | 2 | 3;

export interface SyncpointRecord {
  readonly id: number;
  /** 1 MyDocuments ... 6 Custom, 7 Private, 8 SyncDrive. */
  readonly type: number;
  readonly name: string;
  readonly rootFolderId: number;
  readonly permission: Permission;
  /** Absent: the account's own user. */
  readonly owner?: Person;
  /** The id of the last event; absent where the store counts none. */
  readonly lastEventId?: number;
  readonly parentSyncpointId?: number;
  /** Where a nested syncpoint lies in its parent, `\` separated; absent at the top level. */
  readonly pathToRoot?: string;
}

export interface FolderRecord {
  readonly syncpointId: number;
  readonly id: number;
  /** 0 for the root folder. */
  readonly parentId: number;
  /** Empty for the root folder. */
  readonly name: string;
  /** From the syncpoint's point of view: `\` for the root, else `\a\b\`. */
  readonly virtualPath: string;
  readonly deleted: boolean;
}

export interface FileRecord extends FileTimes {
  readonly syncpointId: number;
  readonly id: number;
  readonly folderId: number;
  readonly name: string;
  readonly lengthBytes: number;
  readonly versionId: number;
  readonly deleted: boolean;
}

export interface VersionRecord {
  readonly id: number;
  /** 0 added, 1 edited, 2 deleted (Versions GET, `Action`). */
  readonly action: number;
  readonly lengthBytes: number;
  readonly added: Ticks;
}

/** One moment of one folder: later changes do not show in it. */
export interface FolderListing {
  readonly folder: FolderRecord;
  readonly folders: Iterable<FolderRecord>;
  readonly files: Iterable<FileRecord>;
}

export interface ListOptions {
  /** Removed entries too, where the store keeps them. */
  readonly deleted: boolean;
  /** A listing of that age will do: the further pages of one listing. 0: as it is now. */
  readonly maxAgeMs?: number;
}

/** The bytes of one version, held open. */
export interface VersionContent {
  readonly lengthBytes: number;
  readonly name: string;
  /**
   * Yields exactly the bytes [offset, offset + length). A chunk's memory is the reader's until it asks for the next one.
   * Throws ContentChanged when the bytes can no longer be those of this version: what was yielded so far is right.
   */
  stream(offset: number, length: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** The bytes under a version changed while they were being read. */
export class ContentChanged extends Error {
  override readonly name = 'ContentChanged';
}

/** What the store found but cannot serve, counted by cause. */
export interface LeftOut {
  readonly symbolicLinks: number;
  readonly specialFiles: number;
  readonly namesNotUtf8: number;
  readonly unreadable: number;
  /** At most a few thousand of them, as path and cause. */
  readonly examples: readonly { readonly path: string; readonly cause: LeftOutCause }[];
}

export type LeftOutCause = 'symbolic link' | 'special file' | 'name is not UTF-8' | 'unreadable';

/** An entry of a folder. */
export type Child =
  { readonly kind: 'file'; readonly file: FileRecord } | { readonly kind: 'folder'; readonly folder: FolderRecord };

/** Bytes on their way into a file: nothing of them shows until `storeFile`. One user at a time. */
export interface Staged {
  readonly lengthBytes: number;
  /** What `keep` was told last; undefined: it ends with the process. */
  readonly note: string | undefined;
  /** Adds bytes at the end; their memory is the stage's from then on. */
  append(bytes: Uint8Array): Promise<void>;
  /** Forgets what lies past `lengthBytes`. */
  cut(lengthBytes: number): Promise<void>;
  /** Keeps the bytes so far and a note until stored or dropped, whatever becomes of the process. */
  keep(note: string): Promise<void>;
  /** All bytes so far. A chunk's memory is the reader's until it asks for the next one. */
  bytes(): AsyncIterable<Uint8Array>;
  drop(): Promise<void>;
}

/** What of a syncpoint is to be another. */
export interface SyncpointChange {
  readonly name?: string;
  readonly type?: number;
  readonly owner?: Person;
}

/** What a file is to be made of. */
export interface FileToStore {
  readonly syncpointId: number;
  readonly folderId: number;
  readonly name: string;
  readonly staged: Staged;
  /** Of all bytes, 64 lower-case hex digits. */
  readonly sha256: string;
  readonly created: Ticks;
  readonly modified: Ticks;
  /** What becomes of a file of that name: its next version, or a file of its own in its place. */
  readonly replace: 'next-version' | 'new-file';
}

/** Reading calls answer `undefined` for ids that do not exist or do not belong together. */
export interface ContentStore extends ContentReader, ContentWriter {
  leftOut(): LeftOut;
  /** Changes content for tests; throws StoreRefusal with a cause when the change is not possible. */
  mutate(change: StoreChange): Promise<void>;
  close(): Promise<void>;
}

export interface SyncpointsOptions {
  /** Their last events are to tell also what was changed beside the store. */
  readonly lookForChanges?: boolean;
}

export interface ContentReader {
  syncpoints(options?: SyncpointsOptions): Promise<readonly SyncpointRecord[]>;
  list(syncpointId: number, folderId: number, options: ListOptions): Promise<FolderListing | undefined>;
  /** As `list`, without looking at the folder's content. */
  folder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined>;
  file(syncpointId: number, fileId: number): Promise<FileRecord | undefined>;
  /** The entry of that name; with `ignoreCase` one that differs by case only, where none is called exactly so. */
  child(
    syncpointId: number,
    folderId: number,
    name: string,
    options: { readonly ignoreCase: boolean },
  ): Promise<Child | undefined>;
  /** The file, removed ones included, that a version belongs to, in whatever syncpoint. */
  fileOfVersion(versionId: number): Promise<{ readonly file: FileRecord; readonly isLatest: boolean } | undefined>;
  /** A removed folder that is not purged. */
  removedFolder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined>;
  /** SHA-256 of a version, 64 lower-case hex digits. */
  sha256(syncpointId: number, versionId: number): Promise<string | undefined>;
  /** Newest first, of the file that has the given version. */
  versions(syncpointId: number, versionId: number): Promise<readonly VersionRecord[] | undefined>;
  open(syncpointId: number, versionId: number): Promise<VersionContent | undefined>;
  /** Total and used space in bytes, for the storage endpoint's SizeGb and ConsumedGb. */
  space(): Promise<{ readonly totalBytes: number; readonly usedBytes: number }>;
  /** Bytes of all present files, without versions and trash. May take long. */
  contentBytes(): Promise<number>;
}

/**
 * Changes show at once. All throw StoreRefusal where the change is not possible; then nothing was changed. That a change survives
 * the end of the process is told by `durable`.
 */
export interface ContentWriter {
  /** Resolves when every change made so far is kept, whatever becomes of the process. */
  durable(): Promise<void>;
  createSyncpoint(name: string, type: number): Promise<SyncpointRecord>;
  /** Ids stay. */
  changeSyncpoint(syncpointId: number, change: SyncpointChange): Promise<SyncpointRecord>;
  removeSyncpoint(syncpointId: number): Promise<void>;
  createFolder(syncpointId: number, parentId: number, name: string): Promise<FolderRecord>;
  stage(): Promise<Staged>;
  /** What `keep` kept and nobody stored or dropped since, earlier processes' included. */
  kept(): Promise<readonly Staged[]>;
  /** Puts staged bytes under a name; the stage is used up, also when this throws. */
  storeFile(file: FileToStore): Promise<FileRecord>;
  /** Gives a file other times; its version stays. */
  setTimes(syncpointId: number, fileId: number, times: Pick<FileTimes, 'created' | 'modified'>): Promise<FileRecord>;
  /** Ids and versions stay. */
  moveFile(syncpointId: number, fileId: number, toFolderId: number, name: string): Promise<FileRecord>;
  moveFolder(syncpointId: number, folderId: number, toFolderId: number, name: string): Promise<FolderRecord>;
  /** To the trash. */
  removeFile(syncpointId: number, fileId: number): Promise<void>;
  /** To the trash, with all it holds. */
  removeFolder(syncpointId: number, folderId: number): Promise<void>;
  /** Ends a version that is not a file's latest. */
  removeVersion(syncpointId: number, fileId: number, versionId: number): Promise<void>;
  /** Ends what lies in the trash. */
  purge(syncpointId: number, id: number): Promise<void>;
}

/** A change made behind the client's back. Paths are `/` separated from the syncpoint's root. */
export type StoreChange =
  | { readonly change: 'write'; readonly syncpointId: number; readonly path: string; readonly text: string }
  | { readonly change: 'make-folder'; readonly syncpointId: number; readonly path: string }
  | { readonly change: 'move'; readonly syncpointId: number; readonly path: string; readonly to: string }
  | { readonly change: 'remove'; readonly syncpointId: number; readonly path: string };

/**
 * `taken`: the name. `unseen`: what would be overwritten or removed is not what any listing told. `missing`: an id or a folder. `invalid`:
 * the name or the path, or a folder into itself. `forbidden`, `full`: the disk's. `away`: all of the content, for now.
 */
export type RefusalCause = 'taken' | 'unseen' | 'missing' | 'invalid' | 'forbidden' | 'full' | 'away' | 'other';

/** The store cannot do what it was told to; the message says why. */
export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal';
  readonly reason: RefusalCause;

  constructor(message: string, reason: RefusalCause = 'other') {
    super(message);
    this.reason = reason;
  }
}

export const nothingLeftOut: LeftOut = {
  symbolicLinks: 0,
  specialFiles: 0,
  namesNotUtf8: 0,
  unreadable: 0,
  examples: [],
};
