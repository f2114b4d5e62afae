// Every "either way" of the service's documents that concerns writing: uploads, folders, removals, renames.
// Source: sections 5, 8, 9 and 10 of the API reference. Must not know: stores, sockets.

/** What a call that renames or moves does. */
export type MoveBehaviour =
  | 'supported'
  | '404'
  | '405'
  /** Refused with a text about types unless the syncpoint is a SyncDrive (type 8). */
  | 'drive-only-400'
  | 'drive-only-403'
  /** 200, and nothing happens. */
  | 'ignored';

export interface WriteDialect {
  // Uploads
  readonly uploads: 'both' | 'saveFile' | 'v2';
  /** `by-form`: text for saveFile.php, JSON for /v2/mime/files; `empty`: 201 without a body. */
  readonly uploadReply: 'by-form' | 'text' | 'json' | 'empty';
  readonly sessionKey: 'bearer' | 'bare' | 'either';
  /** The guide's list of parts a body must include, or only those that the smallest known client sends. */
  readonly formParts: 'all' | 'minimum';
  /** What the part `sha256` is checked against: `whole` only where the request completes the file. */
  readonly sha256Part: 'unchecked' | 'of-request' | 'of-whole';
  /** The answer to `Content-Range: *`+`/*`; any but `supported` takes that for a whole file. */
  readonly queryStep: 'supported' | '200' | '400' | '404' | '405';
  /** A query without If-Match begins a session, or finds the last one of that path. */
  readonly queryFinds: 'new' | 'by-path';
  /** Where a chunk may begin: what a session has from there on is forgotten, or the chunk is refused. */
  readonly chunkStart: 'anywhere' | 'at-end';
  /** A request without If-Match is the whole file, `fileDone` or not; or it begins a session unless it has `fileDone`. */
  readonly withoutIfMatch: 'whole-file' | 'session';
  readonly etag: 'per-reply' | 'per-session';
  readonly etagQuotes: boolean;
  /** The `b` of `a-b` in a 308's Range: the next byte wanted, or the last one stored. */
  readonly rangeReply: 'exclusive' | 'inclusive' | 'absent';
  readonly rangeUnit: boolean;
  readonly chunkSizeBytes: number;
  /** `halving`: every other reply asks for half of it. */
  readonly chunkSizes: 'fixed' | 'halving';
  /** Whether Syncplicity-Chunk-Size is told; its limit holds all the same. */
  readonly chunkSizeTold: boolean;
  readonly chunkTooLarge: '413' | '400';
  /** Of a request that stores a whole file; 0: none. */
  readonly oneShotBytesMax: number;
  readonly oneShotTooLarge: '413' | '400';
  /** What arrived of a chunk before its connection broke. */
  readonly brokenChunk: 'dropped' | 'kept';
  readonly sessionLifetimeMs: number;
  /** The same bytes again: nothing changes, or only the times do; `stored`: a new version like any other. */
  readonly sameContent: 'unchanged' | 'times-changed' | 'stored';
  readonly missingFolder: '500-stored' | '500-not-stored' | 'made';
  readonly zeroLength: 'stored' | 'not-stored' | '400';
  /** What keeps an overwritten file's FileId. */
  readonly overwrite: 'next-version' | 'new-file';

  // Names
  readonly nameCase: 'sensitive' | 'insensitive';
  readonly trailingSpaces: 'truncated' | 'kept';

  // Folders and files
  readonly takenFolderName: '400' | '400-after-some' | 'returned' | 'left-out';
  readonly createdPath: 'backslash' | 'slash';
  readonly staleVersionDelete: '400' | 'deletes';
  readonly fileMove: MoveBehaviour;
  readonly folderMove: MoveBehaviour;
  /** Whether a PUT must carry the whole object; FolderId 0 is refused either way. */
  readonly moveBody: 'whole' | 'any';
  readonly moveOntoTaken: '400' | 'renamed';
  /** How `Hash` is told with include=hash. */
  readonly hash: 'hex' | 'upper-hex' | 'base64' | 'absent';
  readonly quotaRefusal: '402' | '403';
  /** How long listings go on telling what was before a change. */
  readonly listingLagMs: number;
}

const DOCUMENTED_CHUNK_BYTES = 5 * 1024 * 1024;

/** What was observed of the real service, else what its guide says. */
export const observedWrites: WriteDialect = {
  uploads: 'both',
  uploadReply: 'by-form',
  sessionKey: 'bearer',
  formParts: 'all',
  sha256Part: 'of-request',
  queryStep: 'supported',
  queryFinds: 'new',
  chunkStart: 'anywhere',
  withoutIfMatch: 'whole-file',
  etag: 'per-reply',
  etagQuotes: true,
  rangeReply: 'exclusive',
  rangeUnit: false,
  chunkSizeBytes: DOCUMENTED_CHUNK_BYTES,
  chunkSizes: 'fixed',
  chunkSizeTold: true,
  chunkTooLarge: '413',
  oneShotBytesMax: 0,
  oneShotTooLarge: '413',
  brokenChunk: 'dropped',
  sessionLifetimeMs: 24 * 3600 * 1000,
  sameContent: 'unchanged',
  missingFolder: '500-stored',
  zeroLength: 'stored',
  overwrite: 'next-version',
  nameCase: 'sensitive',
  trailingSpaces: 'truncated',
  takenFolderName: '400',
  createdPath: 'backslash',
  staleVersionDelete: '400',
  fileMove: 'supported',
  folderMove: 'supported',
  moveBody: 'whole',
  moveOntoTaken: '400',
  hash: 'hex',
  quotaRefusal: '402',
  listingLagMs: 0,
};

/** `guide`: what the guide's letter adds to the dialect of that name; `named`: dialects of their own. */
export const writeVariants = {
  guide: {
    uploads: 'saveFile',
    uploadReply: 'text',
    sessionKey: 'either',
    sha256Part: 'of-whole',
    queryStep: '400',
    withoutIfMatch: 'session',
    etag: 'per-session',
    rangeReply: 'inclusive',
    chunkSizeTold: false,
    oneShotBytesMax: DOCUMENTED_CHUNK_BYTES,
    fileMove: '404',
    folderMove: '404',
    hash: 'absent',
  },
  named: {
    'uploads-v2': { uploads: 'v2', uploadReply: 'json', etagQuotes: false, rangeUnit: true },
    'uploads-saveFile': { uploads: 'saveFile', uploadReply: 'json', rangeReply: 'absent' },
    'uploads-silent': { uploadReply: 'empty', rangeReply: 'absent', chunkSizeTold: false },
    'uploads-bare-key': { sessionKey: 'bare', etag: 'per-session', rangeReply: 'inclusive', rangeUnit: true },
    'uploads-whole-hash': { sha256Part: 'of-whole', brokenChunk: 'kept', queryFinds: 'by-path' },
    'uploads-unchecked': { sha256Part: 'unchecked', formParts: 'minimum', sameContent: 'stored' },
    'uploads-changing-chunks': { chunkSizes: 'halving', chunkTooLarge: '400', sameContent: 'times-changed' },
    'uploads-no-query': { queryStep: '405', withoutIfMatch: 'session', rangeReply: 'inclusive' },
    'uploads-query-is-upload': { queryStep: '200', withoutIfMatch: 'session', chunkSizeTold: false },
    /** 5 MB is 5,000,000 and nobody says so. */
    'uploads-decimal': {
      queryStep: '404',
      withoutIfMatch: 'session',
      chunkSizeBytes: 5_000_000,
      chunkSizeTold: false,
      chunkTooLarge: '400',
      oneShotBytesMax: 5_000_000,
      oneShotTooLarge: '400',
    },
    'folders-returned': { takenFolderName: 'returned', createdPath: 'slash', missingFolder: 'made' },
    'folders-left-out': { takenFolderName: 'left-out', missingFolder: '500-not-stored' },
    'folders-half-made': { takenFolderName: '400-after-some' },
    'ignores-case': { nameCase: 'insensitive', overwrite: 'new-file', hash: 'base64' },
    'keeps-spaces': { trailingSpaces: 'kept', hash: 'upper-hex' },
    'no-empty-files': { zeroLength: 'not-stored' },
    'refuses-empty-files': { zeroLength: '400' },
    'stale-deletes': { staleVersionDelete: 'deletes', quotaRefusal: '403' },
    'no-moves-404': { fileMove: '404', folderMove: '404' },
    'no-moves-405': { fileMove: '405', folderMove: '405' },
    'drive-moves': { fileMove: 'drive-only-400', folderMove: 'drive-only-403' },
    'files-move-only': { folderMove: '405', moveBody: 'any', moveOntoTaken: 'renamed' },
    'folders-move-only': { fileMove: 'drive-only-403' },
    'moves-ignored': { fileMove: 'ignored', folderMove: 'ignored' },
    lagging: { listingLagMs: 1500 },
  },
} as const satisfies {
  readonly guide: Partial<WriteDialect>;
  readonly named: Record<string, Partial<WriteDialect>>;
};
