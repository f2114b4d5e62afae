// Every "either way" of the service's documents as one value: where guide, vendor samples and published specification disagree
// or are silent, a client must work with each. Here what concerns reading, and all names. Must not know: stores, sockets.
import { linkVariants, observedLinks } from './dialect-links.ts';
import type { LinkDialect } from './dialect-links.ts';
import { observedStorage, storageVariants } from './dialect-storage.ts';
import type { StorageDialect } from './dialect-storage.ts';
import { observedThumbnails, thumbnailVariants } from './dialect-thumbnails.ts';
import type { ThumbnailDialect } from './dialect-thumbnails.ts';
import { observedWrites, writeVariants } from './dialect-writes.ts';
import type { WriteDialect } from './dialect-writes.ts';
import { observedSharing, sharingVariants } from './dialect-sharing.ts';
import type { SharingDialect } from './dialect-sharing.ts';

export interface Dialect extends WriteDialect, LinkDialect, SharingDialect, StorageDialect, ThumbnailDialect {
  // JSON
  /** `Id`/`SyncpointId` as observed; `ID`; `SyncPointId`; camelCase; all lower case. */
  readonly keys: 'observed' | 'upper-id' | 'sync-point' | 'camel' | 'lower';
  readonly numbers: 'numbers' | 'strings' | 'ids-as-strings';
  /** Added to folder, file and version ids: 2^53 and more shows who reads ids as doubles. Syncpoint ids stay integers. */
  readonly idBase: bigint;
  readonly fileTimes: 'iso-7' | 'iso-3' | 'iso-0' | 'iso-7-no-zone' | 'wcf' | 'wcf-offset';
  /** Members with default values (0, false, null, empty) are left out, as serialisers with EmitDefaultValue=false do. */
  readonly omitDefaults: boolean;
  readonly unknownFields: boolean;
  readonly byteOrderMark: boolean;
  readonly contentType: string;
  /** `\/` for `/` in strings. */
  readonly escapedSlashes: boolean;
  /** `auto`: Content-Length on small replies, chunked on large ones. */
  readonly transfer: 'auto' | 'length' | 'chunked';

  // Gateway calls
  /** Content-Type on every call but the storage endpoints' (the guide), or on none (the samples). */
  readonly contentTypeRequired: boolean;
  readonly expiresIn: 'string' | 'number';
  readonly expired: '401' | 'bare-403';
  /** Refresh tokens are good once and replaced, good until revoked, or that and not repeated in the reply. */
  readonly refreshTokens: 'rotating' | 'constant' | 'unsaid';
  readonly errors: 'json' | 'text' | 'reason-only' | 'fault';
  readonly folderCall: 'present' | '404' | '405';
  readonly filesInFolderHaveFolderId: boolean;
  readonly unknownFolder: '400' | '404';
  readonly foldersReply: 'array' | 'object';
  readonly filesWithoutInclude: 'files' | 'nothing';
  readonly filesHaveLength: boolean;
  /** How `offset` and `last_folder_id` count; `ignored`: every call lists everything. */
  readonly paging: 'exclusive' | 'inclusive' | 'ignored';
  /** Larger limits are answered 400 `Max Limit Is N`; 0: no such limit. */
  readonly pageLimitMax: number;
  /** Entries listed when no limit is asked for; 0: all. */
  readonly pageLimitDefault: number;
  readonly order: 'id' | 'id-descending' | 'name' | 'shuffled';
  readonly endpointReply: 'object' | 'array';
  readonly endpointById: 'allowed' | 'admin-only';
  /** `empty`: leaves out vaults where the user has no mapped syncpoint, here all. */
  readonly endpointsCall: 'all' | 'empty' | '404';
  readonly effectivePermission: boolean;
  readonly lastEvent: boolean;
  readonly missingSyncpoint: '404' | '403';
  /** Of a folder in the trash: what it held, or that there is no such folder. */
  readonly deletedFolder: 'listed' | '400';
  /** What becomes of As-User where the account may not act for others: the guide says that it is ignored. */
  readonly asUserUnprivileged: 'ignored' | '403';

  // Vault
  readonly downloads: 'both' | 'retrieveFile' | 'v2';
  /**
   * `bounded`: RFC 7233 plus the guide's raw `a-`; `open-ended`: the end of `bytes=a-b` is ignored; `raw`: only `a-` without
   * a unit is understood, all else ignored; `ignored`: always 200 and everything.
   */
  readonly ranges: 'bounded' | 'open-ended' | 'raw' | 'ignored';
  readonly contentRange: 'total' | 'no-total' | 'absent';
  /** The answer to a range that starts at or past the end. */
  readonly pastEnd: '416' | '400' | 'empty';
  /** Ranges that cannot be read: refused with 400, or ignored with 200 as RFC 7233 has it. */
  readonly badRange: '400' | 'ignored';
  readonly downloadLength: boolean;
  /** The bytes of what is in the trash. */
  readonly deletedContent: 'served' | '404' | '403';
}

/** What was observed of the real service, else what its guide says. */
export const observedDialect: Dialect = {
  keys: 'observed',
  numbers: 'numbers',
  idBase: 0n,
  fileTimes: 'iso-7',
  omitDefaults: false,
  unknownFields: false,
  byteOrderMark: false,
  contentType: 'application/json; charset=utf-8',
  escapedSlashes: false,
  transfer: 'auto',
  contentTypeRequired: true,
  expiresIn: 'string',
  expired: '401',
  refreshTokens: 'rotating',
  errors: 'json',
  folderCall: 'present',
  filesInFolderHaveFolderId: false,
  unknownFolder: '400',
  foldersReply: 'array',
  filesWithoutInclude: 'files',
  filesHaveLength: true,
  paging: 'exclusive',
  pageLimitMax: 1000,
  pageLimitDefault: 0,
  order: 'id',
  endpointReply: 'object',
  endpointById: 'allowed',
  endpointsCall: 'all',
  effectivePermission: true,
  lastEvent: true,
  missingSyncpoint: '404',
  deletedFolder: 'listed',
  asUserUnprivileged: 'ignored',
  downloads: 'both',
  ranges: 'bounded',
  contentRange: 'total',
  pastEnd: '416',
  badRange: '400',
  downloadLength: true,
  deletedContent: 'served',
  ...observedWrites,
  ...observedLinks,
  ...observedSharing,
  ...observedStorage,
  ...observedThumbnails,
};

const variants = {
  observed: {},
  /** The Content API Guide to the letter. */
  guide: {
    keys: 'upper-id',
    numbers: 'ids-as-strings',
    escapedSlashes: true,
    folderCall: '404',
    foldersReply: 'object',
    filesWithoutInclude: 'nothing',
    filesHaveLength: false,
    pageLimitMax: 0,
    endpointsCall: '404',
    refreshTokens: 'constant',
    effectivePermission: false,
    downloads: 'retrieveFile',
    ranges: 'raw',
    ...writeVariants.guide,
    ...linkVariants.guide,
    ...sharingVariants.guide,
    ...storageVariants.guide,
  },
  /** Folders GET and Files GET only, in pages whose offsets include the last entry seen. */
  'paged-inclusive': { folderCall: '404', paging: 'inclusive', pageLimitDefault: 1000 },
  'paged-exclusive': { folderCall: '405', paging: 'exclusive', pageLimitDefault: 1000 },
  'paging-ignored': { folderCall: '404', paging: 'ignored', order: 'shuffled' },
  'folders-object': { folderCall: '404', foldersReply: 'object' },
  /** Ids that a double cannot hold. */
  'large-ids': { idBase: 2n ** 60n },
  'large-ids-as-strings': { idBase: 2n ** 60n, numbers: 'strings' },
  'all-strings': { numbers: 'strings', keys: 'lower' },
  camel: { keys: 'camel', fileTimes: 'iso-3', contentType: 'text/json' },
  'sync-point': { keys: 'sync-point', fileTimes: 'iso-7-no-zone', byteOrderMark: true },
  wcf: { fileTimes: 'wcf', omitDefaults: true, endpointReply: 'array' },
  'wcf-offset': { fileTimes: 'wcf-offset', unknownFields: true, transfer: 'chunked' },
  terse: {
    refreshTokens: 'unsaid',
    omitDefaults: true,
    effectivePermission: false,
    lastEvent: false,
    filesInFolderHaveFolderId: false,
  },
  'bare-forbidden': { expired: 'bare-403', errors: 'reason-only' },
  'text-errors': { errors: 'text', missingSyncpoint: '403', unknownFolder: '404', asUserUnprivileged: '403' },
  'fault-errors': { errors: 'fault', order: 'id-descending' },
  'ranges-open-ended': { ranges: 'open-ended', contentRange: 'no-total', downloads: 'v2' },
  'ranges-raw': { ranges: 'raw', badRange: 'ignored', downloads: 'retrieveFile' },
  'ranges-ignored': { ranges: 'ignored', downloadLength: false },
  'ranges-silent': { contentRange: 'absent', pastEnd: 'empty', transfer: 'chunked' },
  /** Only an administrator reads what is in the trash. */
  'trash-closed': { deletedFolder: '400', deletedContent: '403' },
  'vaults-hidden': { endpointsCall: 'empty', endpointById: 'admin-only' },
  ...writeVariants.named,
  ...linkVariants.named,
  ...sharingVariants.named,
  ...storageVariants.named,
  ...thumbnailVariants,
} as const satisfies Record<string, Partial<Dialect>>;

export type DialectName = keyof typeof variants;

/** The named dialects: each is the observed one with what its name says changed. */
export const dialects: Readonly<Record<DialectName, Dialect>> = Object.fromEntries(
  Object.entries(variants).map(([name, changes]) => [name, { ...observedDialect, ...changes }]),
) as Record<DialectName, Dialect>;
