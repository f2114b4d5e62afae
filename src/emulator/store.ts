// What the emulated service keeps, as its HTTP side sees it: syncpoints, folders, files, versions and their bytes.
// Promises: ids are positive safe integers, unique per kind and persistent as long as the store; a version id names one
// content for ever. Must not know: HTTP, JSON, dialects. Calls that change content join this interface beside `list`.

/** 100 ns intervals since 1970-01-01T00:00:00Z: the precision of the service's file times. */
export type Ticks = bigint;

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
  /** The id of the last event; absent where the store cannot know of every change. */
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

export interface FileRecord {
  readonly syncpointId: number;
  readonly id: number;
  readonly folderId: number;
  readonly name: string;
  readonly lengthBytes: number;
  readonly created: Ticks;
  readonly modified: Ticks;
  readonly added: Ticks;
  readonly versionId: number;
  readonly deleted: boolean;
}

export interface VersionRecord {
  readonly id: number;
  /** 0 added, 1 edited (Versions GET, `Action`). */
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

/** Reading calls answer `undefined` for ids that do not exist or do not belong together. */
export interface ContentStore {
  syncpoints(): Promise<readonly SyncpointRecord[]>;
  list(syncpointId: number, folderId: number, options: ListOptions): Promise<FolderListing | undefined>;
  /** As `list`, without looking at the folder's content. */
  folder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined>;
  file(syncpointId: number, fileId: number): Promise<FileRecord | undefined>;
  /** Newest first, of the file that has the given version. */
  versions(syncpointId: number, versionId: number): Promise<readonly VersionRecord[] | undefined>;
  open(syncpointId: number, versionId: number): Promise<VersionContent | undefined>;
  /** Total and used space in bytes, for the storage endpoint's SizeGb and ConsumedGb. */
  space(): Promise<{ readonly totalBytes: number; readonly usedBytes: number }>;
  leftOut(): LeftOut;
  /** Changes content for tests; throws StoreRefusal with a cause when the change is not possible. */
  mutate(change: StoreChange): Promise<void>;
  close(): Promise<void>;
}

/** A change made behind the client's back. Paths are `/` separated from the syncpoint's root. */
export type StoreChange =
  | { readonly change: 'write'; readonly syncpointId: number; readonly path: string; readonly text: string }
  | { readonly change: 'make-folder'; readonly syncpointId: number; readonly path: string }
  | { readonly change: 'move'; readonly syncpointId: number; readonly path: string; readonly to: string }
  | { readonly change: 'remove'; readonly syncpointId: number; readonly path: string };

/** The store cannot do what it was told to; the message says why. */
export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal';
}

export const nothingLeftOut: LeftOut = {
  symbolicLinks: 0,
  specialFiles: 0,
  namesNotUtf8: 0,
  unreadable: 0,
  examples: [],
};
