// The contract between the file system and the service: what a remote drive can be asked, the values it answers with
// and the closed set of ways it can fail. Knows neither HTTP nor POSIX; both sides depend on it and on nothing of each other.

declare const tag: unique symbol;

/** A decimal 64-bit id as the service issues it. A string, because ids pass 2^53. Ids of different tags never mix. */
export type RemoteId<Tag extends string> = string & { readonly [tag]: Tag };
/** A top-level shared folder ("virtual folder"). */
export type SyncpointId = RemoteId<'syncpoint'>;
/** A folder inside a syncpoint; the syncpoint's root has one too. */
export type FolderId = RemoteId<'folder'>;
/** A file, whatever its content. */
export type FileId = RemoteId<'file'>;
/** One immutable revision of a file's content. */
export type VersionId = RemoteId<'version'>;
/** A storage endpoint (StorageVault), where bytes live. A GUID, not a number. */
export type VaultId = RemoteId<'vault'>;

/** A point in time, UTC. `seconds` counts from 1970 and may be negative; `nanoseconds` is 0..999,999,999. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Wall clock milliseconds, with fractions where there are any, as a time. */
export function timestampOf(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanoseconds: Math.round((ms - seconds * 1000) * 1e6) };
}

/** What the user may do in a syncpoint. Syncpoints without any permission are not reported at all. */
export type SyncpointPermission = 'read-write' | 'read-only';

/** A syncpoint the user sees. */
export interface RemoteSyncpoint {
  readonly id: SyncpointId;
  readonly name: string;
  readonly rootFolderId: FolderId;
  readonly permission: SyncpointPermission;
  readonly vaultId: VaultId | undefined;
  /** E-mail address of the owner, where the service tells it; tells syncpoints of one name apart. */
  readonly owner: string | undefined;
  /** The enclosing syncpoint of a nested share. */
  readonly parentId: SyncpointId | undefined;
  /** Opaque mark of the last change in the syncpoint; undefined where the service does not tell. */
  readonly lastEvent: string | undefined;
}

/** A subfolder as a listing shows it. */
export interface RemoteFolder {
  readonly kind: 'folder';
  readonly id: FolderId;
  readonly name: string;
}

/** A file as a listing shows it. */
export interface RemoteFile {
  readonly kind: 'file';
  readonly id: FileId;
  readonly name: string;
  readonly versionId: VersionId;
  readonly lengthBytes: number;
  readonly modified: Timestamp;
  readonly created: Timestamp;
}

export type RemoteEntry = RemoteFolder | RemoteFile;

/** What made a version; `unknown` for what the documents do not list. */
export type VersionAction = 'added' | 'edited' | 'deleted' | 'branched' | 'renamed' | 'confirmed-removed' | 'unknown';

/** A version of a file. What the service does not tell is undefined. */
export interface RemoteVersion {
  readonly id: VersionId;
  readonly action: VersionAction;
  readonly lengthBytes: number;
  /** When the service got it. */
  readonly added: Timestamp | undefined;
  readonly userName: string | undefined;
  readonly userEmail: string | undefined;
  /** The device or client it came from. */
  readonly source: string | undefined;
}

/** A file whose versions are wanted, with the latest one that is known. */
export interface VersionedFile {
  readonly syncpointId: SyncpointId;
  readonly fileId: FileId;
  readonly versionId: VersionId;
}

/** A folder of whose trash something is asked. */
export interface TrashFolder {
  readonly syncpointId: SyncpointId;
  readonly folderId: FolderId;
  /** It lies in the trash itself. */
  readonly isRemoved: boolean;
}

/** A storage vault and its capacity. Sizes are undefined where the service does not tell. */
export interface RemoteVault {
  readonly id: VaultId;
  readonly name: string;
  readonly sizeBytes: number | undefined;
  readonly consumedBytes: number | undefined;
}

/** Whose drive it is. */
export interface RemoteAccount {
  /** GUID of the user. */
  readonly userId: string;
  readonly email: string | undefined;
  /** GUID of the user whose drive it is, where the account acts for another one. */
  readonly actsFor?: string | undefined;
}

/** What to read: one immutable version of a file. */
export interface ContentReference {
  readonly syncpointId: SyncpointId;
  readonly versionId: VersionId;
  readonly vaultId: VaultId | undefined;
  readonly lengthBytes: number;
}

/** Who waits for a call; the call budget serves the classes in this order. */
export type CallClass = 'interactive' | 'commit' | 'prefetch' | 'background';

export interface CallOptions {
  /** Ends the call at once; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Default: 'interactive'. Of a transfer it is asked again while it goes on: somebody may begin to wait for it. */
  readonly callClass?: CallClass | undefined;
  /** Where it fails as `unavailable` it is not tried again: its caller does that. Only of {@link RemoteDrive.read}. */
  readonly once?: boolean | undefined;
  /** Called when a call has had its turn and leaves; until then, ending it costs nothing. */
  readonly onLeave?: (() => void) | undefined;
}

/**
 * What a vault makes of a byte range: `bounded` (gives just the range), `open` (gives everything from the start of the
 * range), `none` (gives the whole file), `unknown` until the first ranged read.
 */
export type RangeSupport = 'unknown' | 'bounded' | 'open' | 'none';

/**
 * Bytes of one version as they arrive. Iterating yields exactly the bytes [offsetBytes, endBytes), or throws
 * {@link RemoteError} of kind `unavailable` when the transfer breaks; never fewer bytes without an error, never others.
 */
export interface ContentStream extends AsyncIterable<Uint8Array> {
  /** Where the first byte lies: at or before the offset asked for (0 where the vault ignores ranges). */
  readonly offsetBytes: number;
  /** Where the body ends, exclusive: at or after the end asked for. */
  readonly endBytes: number;
  /** Ends the transfer and gives the connection back. Harmless after the end and when called twice. */
  close(): void;
}

/** What was moved to the trash. */
export type RemovedObject = { readonly syncpointId: SyncpointId } & (
  { readonly kind: 'file'; readonly versionId: VersionId } | { readonly kind: 'folder'; readonly folderId: FolderId }
);

/** A folder as uploads name it: by its path, not its id. */
export interface RemotePath {
  readonly syncpointId: SyncpointId;
  readonly vaultId: VaultId | undefined;
  /** Names at the service, from below the syncpoint's root down; empty: the root itself. */
  readonly folderNames: readonly string[];
}

/** A file to be stored, as a new one or as the next version of the one that has that path. Its bytes do not change meanwhile. */
export interface UploadRequest {
  readonly folder: RemotePath;
  readonly name: string;
  readonly lengthBytes: number;
  readonly modified: Timestamp;
  readonly created: Timestamp;
  /** SHA-256 of the whole content, 64 lower-case hex digits, where it is known already. */
  readonly sha256: string | undefined;
  /** The bytes [offsetBytes, offsetBytes + lengthBytes) in order, exactly those; may be asked for again. */
  read(offsetBytes: number, lengthBytes: number): AsyncIterable<Uint8Array>;
  /** What an earlier upload of the same bytes to the same path gave to `onSession`: goes on where that one ended, if the vault still knows. */
  readonly session?: string | undefined;
  /** An opaque mark to be kept for `session`, whenever the vault has stored more; undefined: there is nothing to go on with. */
  readonly onSession?: ((session: string | undefined) => void) | undefined;
  /** Bytes the vault has, of this content: grows, and falls back when it begins anew. */
  readonly onSent?: ((sentBytes: number) => void) | undefined;
  /** Awaited right before the request that makes the file visible. Where it rejects, so does the upload, and nothing was stored. */
  readonly beforeLast?: (() => Promise<void>) | undefined;
}

/**
 * `stored`: the service says so; with ids where it tells them (an unchanged version id where the content was there already).
 * `unclear`: the last request may have stored it, or not: only a listing tells. Anything else rejects, and nothing was stored.
 */
export type UploadOutcome =
  | {
      readonly state: 'stored';
      readonly fileId: FileId | undefined;
      readonly versionId: VersionId | undefined;
      /** The service had these bytes under that path already: the version may be an older one. */
      readonly already: boolean;
    }
  | { readonly state: 'unclear'; readonly reason: string };

/**
 * `done`: the service says so, which a listing has to confirm. `unclear`: the reply was lost or says nothing: list. `unsupported`: this
 * syncpoint knows no such call, now or ever seen lately. A refusal of this one object rejects.
 */
export type MoveOutcome = 'done' | 'unclear' | 'unsupported';

/** A folder and where it is: the service wants to be told all it knows. */
export interface PlacedFolder extends RemoteFolder {
  /** Names at the service, from below the syncpoint's root down to the folder's own. */
  readonly folderNames?: readonly string[] | undefined;
}

/** Where a file or folder is to be, in the same syncpoint. */
export interface MoveTarget {
  readonly folderId: FolderId;
  readonly name: string;
}

/** Whether a syncpoint renames and moves what it holds; `unknown` until it was tried. */
export type MoveSupport = 'unknown' | 'yes' | 'no';

/**
 * A user's drive at the service. All methods reject with {@link RemoteError}, or with the signal's reason after an abort.
 * Retries, renewal of tokens, pacing and the call budget are behind it.
 */
export interface RemoteDrive {
  /** Whose drive this is. Proves that the credentials work. */
  account(options?: CallOptions): Promise<RemoteAccount>;
  /** Every syncpoint the user may read, one call. */
  syncpoints(options?: CallOptions): Promise<RemoteSyncpoint[]>;
  /**
   * The active content of a folder in batches of at most 1,000 entries, each id once, in no promised order. Complete only
   * when the iteration ends without an error. One call where the server allows it.
   */
  list(syncpointId: SyncpointId, folderId: FolderId, options?: CallOptions): AsyncIterable<RemoteEntry[]>;
  /**
   * What was removed from a folder and lies in the trash, in batches as {@link list} has them: of files the last version. Of a folder that
   * lies there itself it is all that it held, which not every server tells.
   */
  deleted(folder: TrashFolder, options?: CallOptions): AsyncIterable<RemoteEntry[]>;
  /** The versions of a file that the service keeps, in its order: newest first. One call, three where `versionId` is not the latest any more. */
  versions(file: VersionedFile, options?: CallOptions): Promise<RemoteVersion[]>;
  /** One file's present state: its versionId, length and times. Rejects with `not-found` when it is gone. */
  file(syncpointId: SyncpointId, fileId: FileId, options?: CallOptions): Promise<RemoteFile>;
  /**
   * Opens a transfer that covers [offsetBytes, offsetBytes + lengthBytes) of a version. The range must be non-empty and lie
   * inside the content. What the vault sends beyond the range may be read on.
   */
  read(
    content: ContentReference,
    range: { readonly offsetBytes: number; readonly lengthBytes: number },
    options?: CallOptions,
  ): Promise<ContentStream>;
  /** Somebody looks around among files of this vault and may read one: makes ready what that takes, where it costs no call. Never fails. */
  prepareRead(vaultId: VaultId | undefined): void;
  /** What is known of the ranges of the vault that holds this content. Costs nothing. */
  rangeSupport(content: ContentReference): RangeSupport;
  /** SHA-256 of a file's present content as the service keeps it, 64 lower-case hex digits; undefined where it does not tell. One call. */
  contentHash(syncpointId: SyncpointId, fileId: FileId, options?: CallOptions): Promise<string | undefined>;
  /**
   * Makes folders, at most {@link FOLDERS_PER_CALL}, one call. Resolves with those that the service says it made: fewer than asked, where it
   * is silent about some. Rejects with `exists` where a name is taken; after `unavailable` some may have been made.
   */
  createFolders(
    syncpointId: SyncpointId,
    parentId: FolderId,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<RemoteFolder[]>;
  /**
   * Stores a file. Rejects with `not-found` where the folder is missing for certain, `exists` where one has the name, `conflict` where what
   * it would replace was never listed, which few services tell, `quota`, `forbidden`, `invalid`, `too-large`.
   */
  upload(request: UploadRequest, options?: CallOptions): Promise<UploadOutcome>;
  /** Moves a file's given version to the trash, one call. Resolves too where it lies there already or is gone. `conflict`: there is a newer version. */
  deleteFile(syncpointId: SyncpointId, versionId: VersionId, options?: CallOptions): Promise<void>;
  /**
   * Moves a folder and all it holds to the trash, one call. Resolves too where it is gone. `conflict`: it holds what was never listed, which
   * few services tell.
   */
  deleteFolder(syncpointId: SyncpointId, folderId: FolderId, options?: CallOptions): Promise<void>;
  /**
   * Purges what lies in the trash, one call. Resolves too where it is gone. `conflict`: it does not lie there, it is alive; `forbidden`: only
   * its owner may.
   */
  purge(removed: RemovedObject, options?: CallOptions): Promise<void>;
  /** Renames or moves a file, one call. The target name must be free. */
  moveFile(
    syncpointId: SyncpointId,
    file: RemoteFile,
    from: FolderId,
    to: MoveTarget,
    options?: CallOptions,
  ): Promise<MoveOutcome>;
  /** Renames or moves a folder with all it holds, one call; two where its present path is not told. The target name must be free. */
  moveFolder(
    syncpointId: SyncpointId,
    folder: PlacedFolder,
    from: FolderId,
    to: MoveTarget,
    options?: CallOptions,
  ): Promise<MoveOutcome>;
  /** What is known of moves in a syncpoint. Costs nothing. */
  moveSupport(syncpointId: SyncpointId, kind: RemoteEntry['kind']): MoveSupport;
  /** Tells what a listing showed after a move that was `done` or `unclear`: some servers answer 200 and do nothing. */
  moveSeen(syncpointId: SyncpointId, kind: RemoteEntry['kind'], worked: boolean): void;
  /** Capacity of the user's vaults, one call. */
  vaults(options?: CallOptions): Promise<RemoteVault[]>;
  /** About how long a call of that class that asks now would wait for its turn, ms. Costs nothing. */
  callDelayMs(callClass: CallClass): number;
  /** Ends every transfer and closes all connections. Calls under way reject. */
  stop(): Promise<void>;
}

/** A picture that the service has of a file's content. */
export interface RemoteThumbnail {
  readonly fileId: FileId;
  readonly versionId: VersionId;
  /** The file's, at the service. */
  readonly name: string;
  /** Where it is, as the service wrote it: good for a while only, and nothing to be kept or shown, for it may hold a key. */
  readonly url: string;
}

/** A folder whose pictures are wanted. */
export interface ThumbnailFolder {
  readonly syncpointId: SyncpointId;
  readonly folderId: FolderId;
}

/** The pictures that the service has of files. */
export interface RemoteThumbnails {
  /** Those of a folder's files, in no promised order. One call where the server allows it. */
  list(folder: ThumbnailFolder, options?: CallOptions): Promise<RemoteThumbnail[]>;
  /** One of them, as it comes: a small image in a format that nobody promises. A call where it is at the gateway. `vaultId`: where its file is. */
  fetch(thumbnail: RemoteThumbnail, vaultId: VaultId | undefined, options?: CallOptions): Promise<Uint8Array>;
}

/** The guide's limit of entities in one Folders POST. */
export const FOLDERS_PER_CALL = 20;

/**
 * not-found: the id or path is gone or hidden. exists: the name is taken. forbidden: a real refusal. conflict: somebody else
 * changed it. quota: no room. throttled: the call budget is spent. unavailable: network, timeout or server fault; trying again
 * may help. unauthenticated: the credentials do not work. invalid: the name or the object is not acceptable. too-large: the content is
 * larger than the service takes. protocol: the server answered something the documents do not allow.
 */
export type RemoteErrorKind =
  | 'not-found'
  | 'exists'
  | 'forbidden'
  | 'conflict'
  | 'quota'
  | 'throttled'
  | 'unavailable'
  | 'unauthenticated'
  | 'invalid'
  | 'too-large'
  | 'protocol';

/** The one way a remote drive fails. `message` names the thing, the cause and, where there is one, what to do. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly kind: RemoteErrorKind;
  /** The service asked to be left alone for so long. */
  readonly retryAfterMs: number | undefined;
  /** A refusal without a word about what is refused: what stands between, or is out of order, says it like that as well. */
  readonly isUnexplained: boolean;
  constructor(
    kind: RemoteErrorKind,
    message: string,
    options?: { cause?: unknown; retryAfterMs?: number | undefined; isUnexplained?: boolean | undefined },
  ) {
    super(message, options);
    this.kind = kind;
    this.retryAfterMs = options?.retryAfterMs;
    this.isUnexplained = options?.isUnexplained ?? false;
  }
}
