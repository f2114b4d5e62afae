// The objects of the documented replies, built from the store's records: member names as observed of the real service.
// Must not know: key casing (wire-json.ts spells it), sockets, which call asked.
import type { Dialect } from './dialect.ts';
import type { FileRecord, FolderRecord, Person, SyncpointRecord, VersionRecord } from './store.ts';
import type { ThumbnailAddresses } from './thumbnail-addresses.ts';
import { wireTime } from './wire-json.ts';
import type { WireObject } from './wire-json.ts';

/** The account all calls act for, and the one vault its content lies in. */
export interface Account {
  readonly user: Person;
  readonly companyId: string;
  readonly companyName: string;
  readonly storageEndpointId: string;
  readonly eventServerId: string;
  /** Whom links may be for: the documents' number. */
  readonly shareLinkPolicy: number;
  /** The vault has authentication of its own. */
  readonly hasStorageSignIn: boolean;
}

export interface SyncpointIncludes {
  readonly participants: boolean;
  readonly inviter: boolean;
  readonly remoteWipe: boolean;
  readonly children: boolean;
  readonly lastEvent: boolean;
}

const ACTIVE_FILE = 1;
const REMOVED_FILE = 3;
const ACTIVE_FOLDER = 1;
const REMOVED_FOLDER = 4;

/** Builds reply objects in one dialect. */
export class Shapes {
  readonly #dialect: Dialect;
  readonly #account: Account;
  readonly #vaultUrl: () => string;
  readonly #thumbnails: ThumbnailAddresses;

  constructor(dialect: Dialect, account: Account, vaultUrl: () => string, thumbnails: ThumbnailAddresses) {
    this.#thumbnails = thumbnails;
    this.#dialect = dialect;
    this.#account = account;
    this.#vaultUrl = vaultUrl;
  }

  /** A folder, file or version id as it stands on the wire. */
  id(id: number): number | bigint {
    const { idBase } = this.#dialect;
    return idBase === 0n || id === 0 ? id : idBase + BigInt(id);
  }

  person(person: Person): WireObject {
    const { id, emailAddress, firstName, lastName } = person;
    return { Id: id, EmailAddress: emailAddress, FirstName: firstName, LastName: lastName };
  }

  /** Syncpoints GET and Syncpoint GET, one entry. `children`: ids of the syncpoints nested in it. */
  syncpoint(syncpoint: SyncpointRecord, includes: SyncpointIncludes, children: readonly number[]): WireObject {
    const { companyId, companyName, user, storageEndpointId, eventServerId, shareLinkPolicy } = this.#account;
    const owner = syncpoint.owner ?? user;
    const lastEventId = this.#dialect.lastEvent && includes.lastEvent ? syncpoint.lastEventId : undefined;
    return {
      Id: syncpoint.id,
      Type: syncpoint.type,
      Name: syncpoint.name,
      RootFolderId: this.id(syncpoint.rootFolderId),
      DownloadEnabled: true,
      UploadEnabled: true,
      Owner: { ...this.person(owner), Company: { Id: companyId, Name: companyName } },
      Permission: syncpoint.permission,
      EffectivePermission: this.#dialect.effectivePermission ? syncpoint.permission : undefined,
      Parent: syncpoint.parentSyncpointId === undefined ? undefined : { Id: syncpoint.parentSyncpointId },
      PathToRoot: syncpoint.pathToRoot ?? '\\',
      Policy: { ShareLinkPolicy: shareLinkPolicy, ShareLinkExpireInDays: 6 },
      StorageEndpointId: storageEndpointId,
      ServiceState: { Status: 1 },
      SyncpointSize: null,
      ResharingPermission: 1,
      NotifyAboutResharing: false,
      EventServerId: eventServerId,
      ServerId: 3,
      ServerStatus: 1,
      Status: 1,
      RemoteWipe: includes.remoteWipe ? false : undefined,
      Inviter: includes.inviter && syncpoint.owner !== undefined ? this.person(syncpoint.owner) : undefined,
      Children: includes.children ? children.map((id) => ({ Id: id })) : undefined,
      LastEvent: lastEventId === undefined ? undefined : { Id: lastEventId, SyncpointId: syncpoint.id },
    };
  }

  storageEndpoint(space: { readonly totalBytes: number; readonly usedBytes: number }): WireObject {
    const { companyId, companyName, storageEndpointId, hasStorageSignIn } = this.#account;
    return {
      Id: storageEndpointId,
      Name: 'Emulated vault',
      Description: '',
      CompanyId: companyId,
      Active: true,
      Urls: [{ Url: this.#vaultUrl() }],
      Auths: [{ AccessKey: `emulated-accesskey-${companyId}` }],
      Version: 0,
      SizeGb: Math.floor(space.totalBytes / 1e9),
      RequiresStorageAuthentication: hasStorageSignIn,
      UserHasStoragePassword: false,
      Company: { Id: companyId, Name: companyName },
      UserStoragePasswordStatus: 0,
      Default: true,
      IrmRmsOption: 0,
      ConsumedGb: Math.round(space.usedBytes / 1e6) / 1000,
      ProtocolVersion: 1.6,
    };
  }

  /** A folder as an entry of a listing. */
  folder(folder: FolderRecord): WireObject {
    return { ...this.folderHead(folder), Files: [], Folders: [] };
  }

  /** A folder without what it holds. */
  folderHead(folder: FolderRecord): WireObject {
    return {
      SyncpointId: folder.syncpointId,
      FolderId: this.id(folder.id),
      VirtualPath: folder.virtualPath,
      Name: folder.name,
      Status: folder.deleted ? REMOVED_FOLDER : ACTIVE_FOLDER,
      ParentFolderId: folder.parentId === 0 ? undefined : this.id(folder.parentId),
    };
  }

  /** Files GET and file.svc GET, one entry; listings of folder.svc may lack `FolderId`. `sha256`: what `Hash` tells. */
  file(file: FileRecord, options: { folderId: boolean; length: boolean; sha256?: string | undefined }): WireObject {
    const { fileTimes } = this.#dialect;
    return {
      SyncpointId: file.syncpointId,
      FileId: this.id(file.id),
      Filename: file.name,
      Length: options.length ? file.lengthBytes : undefined,
      CreationTimeUtc: wireTime(file.created, fileTimes),
      LastWriteTimeUtc: wireTime(file.modified, fileTimes),
      Status: file.deleted ? REMOVED_FILE : ACTIVE_FILE,
      LatestVersionId: this.id(file.versionId),
      Stored: true,
      FolderId: options.folderId ? this.id(file.folderId) : undefined,
      DateAddedUtc: wireTime(file.added, fileTimes),
      ThumbnailUrl: this.#thumbnails.of(file),
      Hash: options.sha256 === undefined ? undefined : this.#hash(options.sha256),
    };
  }

  #hash(sha256: string): string | undefined {
    switch (this.#dialect.hash) {
      case 'hex':
        return sha256;
      case 'upper-hex':
        return sha256.toUpperCase();
      case 'base64':
        return Buffer.from(sha256, 'hex').toString('base64');
      case 'absent':
        return undefined;
    }
  }

  version(syncpointId: number, version: VersionRecord): WireObject {
    const { user } = this.#account;
    const ageDays = Math.max(0, Math.floor((Date.now() - Number(version.added / 10_000n)) / 86_400_000));
    return {
      SyncpointId: syncpointId,
      Id: this.id(version.id),
      UserName: `${user.firstName} ${user.lastName}`,
      User: this.person(user),
      DataSourceName: 'Emulator',
      Action: version.action,
      Length: version.lengthBytes,
      RevisionAge: `${ageDays} days ago`,
      DateAddedUtc: wireTime(version.added, this.#dialect.fileTimes),
    };
  }
}
