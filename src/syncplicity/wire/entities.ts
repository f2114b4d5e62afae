// Objects of replies to values of the contract: which entries count as active, what a permission means, what an omitted field
// says. Unknown fields and Mappings are ignored. Knows no HTTP.
import { RemoteError } from '../../remote-drive.ts';
import type {
  FileId,
  FolderId,
  RemoteFile,
  RemoteFolder,
  RemoteSyncpoint,
  SyncpointId,
  SyncpointPermission,
  Timestamp,
  VaultId,
  VersionId,
} from '../../remote-drive.ts';
import { Fields, isObject } from './fields.ts';

/** A file as replies carry it: `Length` may be missing (Files GET of the guide), which only its caller can make good. */
export interface FileFields {
  readonly kind: 'file';
  readonly id: FileId;
  readonly name: string;
  readonly versionId: VersionId;
  readonly lengthBytes: number | undefined;
  readonly modified: Timestamp;
  readonly created: Timestamp;
  /** Where a picture of it is; undefined where it has none. Perhaps relative, perhaps with a key in it, and good for a while only. */
  readonly thumbnailUrl: string | undefined;
}

/** A syncpoint as replies carry it: lists may leave the root folder out. */
export interface SyncpointFields extends Omit<RemoteSyncpoint, 'rootFolderId'> {
  readonly rootFolderId: FolderId | undefined;
}

/** A storage endpoint. */
export interface VaultFields {
  readonly id: VaultId;
  readonly name: string;
  readonly urls: readonly string[];
  readonly sizeBytes: number | undefined;
  readonly consumedBytes: number | undefined;
  readonly requiresStorageToken: boolean;
  readonly isDefault: boolean;
}

/** 0 none, 1 added, 2 updated; a name that is none of the known ones is as good as no status. */
const activeFile: ReadonlySet<number> = new Set([0, 1, 2]);
/** 0 none, 1 added. */
const activeFolder: ReadonlySet<number> = new Set([0, 1]);
/** In the trash; 5 is purged, for both. */
const REMOVED_FILE = 3;
const REMOVED_FOLDER = 4;
const namesOfGone = /^(removed|confirmed ?removed|deleted|purged|ignored)$/i;

const unknownTime: Timestamp = { seconds: 0, nanoseconds: 0 };
const gigabyte = 2 ** 30;

/** A file entry; undefined when its status says that it is not active. */
export function readFile(value: unknown, where: string): FileFields | undefined {
  const fields = Fields.of(value, where);
  return isActive(fields, activeFile) ? fileOf(fields) : undefined;
}

/** A file entry of what lies in the trash; undefined when its status says anything else. */
export function readRemovedFile(value: unknown, where: string): FileFields | undefined {
  const fields = Fields.of(value, where);
  return isRemoved(fields, REMOVED_FILE) ? fileOf(fields) : undefined;
}

function fileOf(fields: Fields): FileFields {
  const written = fields.time('LastWriteTimeUtc');
  const created = fields.time('CreationTimeUtc');
  const added = fields.time('DateAddedUtc');
  return {
    kind: 'file',
    id: fields.required(fields.id('FileId'), 'FileId') as FileId,
    name: fields.required(fields.text('Filename', 'Name'), 'Filename'),
    versionId: fields.required(fields.id('LatestVersionId'), 'LatestVersionId') as VersionId,
    lengthBytes: fields.size('Length'),
    modified: written ?? created ?? added ?? unknownTime,
    created: created ?? written ?? added ?? unknownTime,
    thumbnailUrl: thumbnailUrlOf(fields),
  };
}

/** No listing fails for a picture. */
function thumbnailUrlOf(fields: Fields): string | undefined {
  const value = fields.value('ThumbnailUrl');
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

/** The file of an entry, with the length that it has for certain and without what is good for a while only. */
export function fileWithLength(entry: FileFields, lengthBytes: number): RemoteFile {
  const { kind, id, name, versionId, modified, created } = entry;
  return { kind, id, name, versionId, lengthBytes, modified, created };
}

/** SHA-256 of a file entry's content in lower-case hex; undefined where it has none, or one of another kind. */
export function readHash(value: unknown, where: string): string | undefined {
  const text = Fields.of(value, where).text('Hash')?.trim() ?? '';
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  // Base64 of 32 bytes, as a client of old expected it.
  return /^[\w+/-]{43}=?$/.test(text) ? Buffer.from(text, 'base64').toString('hex') : undefined;
}

function isActive(fields: Fields, active: ReadonlySet<number>): boolean {
  const status = fields.text('Status')?.trim() ?? '';
  return /^[a-z]/i.test(status) ? !namesOfGone.test(status) : active.has(fields.number('Status') ?? 0);
}

/** A folder entry; undefined when its status says that it is not active. */
export function readFolder(value: unknown, where: string): RemoteFolder | undefined {
  const fields = Fields.of(value, where);
  return isActive(fields, activeFolder) ? folderOf(fields) : undefined;
}

/** A folder entry of what lies in the trash; undefined when its status says anything else. */
export function readRemovedFolder(value: unknown, where: string): RemoteFolder | undefined {
  const fields = Fields.of(value, where);
  return isRemoved(fields, REMOVED_FOLDER) ? folderOf(fields) : undefined;
}

function isRemoved(fields: Fields, code: number): boolean {
  const status = fields.text('Status')?.trim() ?? '';
  return /^[a-z]/i.test(status) ? /^(removed|deleted)$/i.test(status) : fields.number('Status') === code;
}

function folderOf(fields: Fields): RemoteFolder {
  return {
    kind: 'folder',
    id: fields.required(fields.id('FolderId'), 'FolderId') as FolderId,
    name: fields.required(fields.text('Name'), 'Name'),
  };
}

/** A syncpoint; undefined when it is removed, private (type 7) or without permission. `userId` is the caller's GUID. */
export function readSyncpoint(value: unknown, where: string, userId: string | undefined): SyncpointFields | undefined {
  const fields = Fields.of(value, where);
  if (fields.number('Type') === 7 || fields.number('Status') === 2) return undefined;
  const owner = fields.object('Owner');
  const ownedByUser = userId !== undefined && owner?.guid('Id') === userId;
  const permission = readPermission(fields, ownedByUser);
  if (permission === undefined) return undefined;
  return {
    id: fields.required(fields.id('Id', 'SyncpointId'), 'Id') as SyncpointId,
    name: fields.required(fields.text('Name'), 'Name'),
    rootFolderId: fields.id('RootFolderId') as FolderId | undefined,
    permission,
    vaultId: fields.guid('StorageEndpointId') as VaultId | undefined,
    owner: owner?.text('EmailAddress') ?? undefined,
    parentId: fields.object('Parent')?.id('Id') as SyncpointId | undefined,
    lastEvent: readLastEvent(fields.value('LastEvent')),
  };
}

/** EffectivePermission covers nested shares and wins; without any figure only the owner may write. */
function readPermission(fields: Fields, ownedByUser: boolean): SyncpointPermission | undefined {
  const permission = fields.number('EffectivePermission') ?? fields.number('Permission');
  if (permission === undefined) return ownedByUser ? 'read-write' : 'read-only';
  if (permission === 0) return undefined;
  return permission === 1 ? 'read-write' : 'read-only';
}

/** An opaque mark: the event's id where there is one, else the whole event in a stable spelling. */
function readLastEvent(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (isObject(value)) {
    const event = Fields.of(value, 'LastEvent').value('Id', 'EventId', 'NewsFeedEventId');
    if (typeof event === 'string' || typeof event === 'number') return String(event);
  }
  const mark = typeof value === 'string' ? value : stableText(value);
  return mark === '' || mark === '{}' || mark === '[]' ? undefined : mark;
}

function stableText(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

/** A storage endpoint. */
export function readVault(value: unknown, where: string): VaultFields {
  const fields = Fields.of(value, where);
  const urls = (fields.array('Urls') ?? []).flatMap((url, index) => {
    const text = typeof url === 'string' ? url : Fields.of(url, `${where}.Urls[${index}]`).text('Url');
    return text === undefined || text.trim() === '' ? [] : [text];
  });
  const size = fields.number('SizeGb');
  const consumed = fields.number('ConsumedGb');
  return {
    id: fields.required(fields.guid('Id', 'StorageEndpointId'), 'Id') as VaultId,
    name: fields.text('Name') ?? '',
    urls,
    sizeBytes: size === undefined || size <= 0 ? undefined : Math.round(size * gigabyte),
    consumedBytes: consumed === undefined || consumed < 0 ? undefined : Math.round(consumed * gigabyte),
    requiresStorageToken: fields.flag('RequiresStorageAuthentication') ?? false,
    isDefault: fields.flag('Default') ?? false,
  };
}

/** A token reply. */
export interface TokenFields {
  readonly accessToken: string;
  /** Seconds; undefined where the reply has no usable figure. */
  readonly expiresInSeconds: number | undefined;
  readonly userId: string | undefined;
  readonly userEmail: string | undefined;
  /** Undefined where the reply has none that could be sent back. */
  readonly refreshToken: string | undefined;
}

/** The reply of /oauth/token. Values may be strings or numbers; a nonsensical lifetime counts as none. */
export function readToken(value: unknown, where: string): TokenFields {
  const fields = Fields.of(value, where);
  const token = fields.text('access_token', 'accessToken');
  // A header cannot carry it.
  if (token !== undefined && !/^[\x21-\x7e]*$/.test(token)) {
    throw new RemoteError('protocol', `${where}: field access_token holds characters no token can have`);
  }
  const lifetime = Number(fields.text('expires_in', 'expiresIn') ?? '');
  return {
    accessToken: fields.required(token === '' ? undefined : token, 'access_token'),
    expiresInSeconds: Number.isSafeInteger(lifetime) && lifetime > 0 ? lifetime : undefined,
    userId: fields.guid('user_id', 'userId'),
    userEmail: fields.text('user_email', 'userEmail') || undefined,
    refreshToken: fields.text('refresh_token', 'refreshToken')?.trim() || undefined,
  };
}

/** A user as user.svc tells of one: the GUID. */
export function readUserId(value: unknown, where: string): string | undefined {
  return Fields.of(Array.isArray(value) ? (value[0] as unknown) : value, where).guid('Id', 'UserId');
}

/** A region (ROL) as the GOL lists it. */
export interface RolFields {
  readonly id: string | undefined;
  readonly gatewayUrl: string | undefined;
  /** The web application of the region. */
  readonly webUrl: string | undefined;
  readonly isHome: boolean;
  /** The user has content there. */
  readonly hasData: boolean;
  readonly name: string | undefined;
}

/** One entry of ROLs GET. */
export function readRol(value: unknown, where: string): RolFields {
  const fields = Fields.of(value, where);
  return {
    id: fields.id('Id'),
    gatewayUrl: fields.text('ApigeeUrl'),
    webUrl: fields.text('MyUrl'),
    isHome: fields.flag('IsHome') ?? false,
    hasData: fields.flag('HasData') ?? false,
    name: fields.text('Name'),
  };
}
