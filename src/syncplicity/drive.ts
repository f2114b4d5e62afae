// A Syncplicity account as a RemoteDrive: puts the parts of this room together and stops them. All calls of the contract pass
// through here; what each means is decided below.
import { createLog } from '../base/log.ts';
import { RemoteError } from '../remote-drive.ts';
import type {
  CallClass,
  CallOptions,
  ContentReference,
  ContentStream,
  FileId,
  FolderId,
  MoveOutcome,
  MoveSupport,
  MoveTarget,
  PlacedFolder,
  RangeSupport,
  RemoteAccount,
  RemoteDrive,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
  RemoteSyncpoint,
  RemoteThumbnails,
  RemoteVault,
  RemoteVersion,
  RemovedObject,
  SyncpointId,
  TrashFolder,
  UploadOutcome,
  UploadRequest,
  VaultId,
  VersionedFile,
  VersionId,
} from '../remote-drive.ts';
import { requireActing } from './acting.ts';
import type { BudgetState } from './budget.ts';
import { Downloads } from './download/downloads.ts';
import type { VaultCapability } from './download/downloads.ts';
import { linkCalls, type LinkCalls } from './content/links.ts';
import { createSyncpoint, deleteSyncpoint, renameSyncpoint, syncpointById } from './content/syncpoints.ts';
import { Thumbnails } from './content/thumbnails.ts';
import { fileVersions, versionsOf } from './content/versions.ts';
import { createFolders } from './folders.ts';
import { Gateway } from './gateway.ts';
import { FolderListing } from './listing.ts';
import type { FolderListingCapability } from './listing.ts';
import { Moves } from './moves.ts';
import type { PoolOptions, SyncplicityOptions } from './options.ts';
import { deleteFile, deleteFolder, purge } from './removals.ts';
import type { Member } from './members/member.ts';
import type { PoolWatch } from './members/attendance.ts';
import { Members } from './members/members.ts';
import type { View } from './members/view.ts';
import { memberStatistics, sumOfBudgets } from './members/statistics.ts';
import type { MemberStatistics } from './members/statistics.ts';
import { openLine } from './service-line.ts';
import type { ServiceLine } from './service-line.ts';
import type { RefusedSignIns } from './sign-ins.ts';
import { Syncpoints } from './syncpoints.ts';
import { Uploads } from './upload/uploads.ts';
import type { UploadCapability } from './upload/uploads.ts';
import { VaultHolds } from './vault-holds.ts';
import { VaultDirectory } from './vaults.ts';
import { fileWithLength, readFile, readHash } from './wire/entities.ts';
import type { FileFields } from './wire/entities.ts';

/** What a drive did since it was made, and what it learnt about its server. */
export interface DriveStatistics {
  /** Gateway calls. */
  readonly total: number;
  /** Gateway calls and vault requests by the call's name in the guide. */
  readonly byEndpoint: Readonly<Record<string, number>>;
  /** Gateway calls. */
  readonly byClass: Readonly<Record<CallClass, number>>;
  /** Gateway calls refused by the call budget of the service. */
  readonly throttled: number;
  /** Of all members together. */
  readonly budget: BudgetState;
  /** The connections of a pool; empty where there is only one. */
  readonly members: readonly MemberStatistics[];
  /** Bytes of content received. */
  readonly bytesIn: number;
  /** Bytes of content sent, those sent again too. */
  readonly bytesOut: number;
  /** False from a transport failure until the next reply. */
  /** Bytes a second that content may take; undefined: no limit. */
  readonly limits: { readonly upBytesPerSecond: number | undefined; readonly downBytesPerSecond: number | undefined };
  readonly online: boolean;
  readonly lastError?: string;
  readonly capabilities: {
    readonly folderListing: FolderListingCapability;
    /** Undefined until the first list of syncpoints. */
    readonly lastEvent: boolean | undefined;
    /** By vault id. */
    readonly vaults: Readonly<Record<string, VaultCapability>>;
    /** By vault id. */
    readonly uploads: Readonly<Record<string, UploadCapability>>;
    /** By syncpoint id, of those that were tried. */
    readonly moves: Readonly<Record<string, Readonly<Record<RemoteEntry['kind'], MoveSupport>>>>;
  };
}

export interface SyncplicityDrive extends RemoteDrive {
  /** The account's shared links. */
  readonly links: LinkCalls;
  readonly thumbnails: RemoteThumbnails;
  readonly signIns: RefusedSignIns;
  /** The machine was asleep: every connection is made anew, and so is the token. Calls under way are tried again where that is safe. */
  woken(): void;
  statistics(): DriveStatistics;
  /** True while content that somebody waits for is held back by the limit on bandwidth. */
  isHoldingBack(): boolean;
  /** Syncpoints as such: made, renamed, deleted for everybody, or where another owns it for the caller alone. */
  createSyncpoint(name: string, call?: CallOptions): Promise<SyncpointId>;
  renameSyncpoint(id: SyncpointId, name: string, call?: CallOptions): Promise<void>;
  deleteSyncpoint(id: SyncpointId, call?: CallOptions): Promise<void>;
}

const log = createLog('drive');

/** The drive of a pool. No call goes out before it was opened. */
export interface PoolDrive extends SyncplicityDrive {
  /**
   * Looks at what each member shows. Those that fail are left out until they work, those that show another account than the first one, or
   * than that of `userId`, until they show the same. Resolves whatever it finds.
   */
  open(userId: string | undefined): Promise<void>;
}

const fileGet = 'file.svc GET';

/**
 * Makes a drive; makes no call yet. Throws RemoteError at once for credentials that cannot be sent and addresses that must not
 * be called. stop() ends it.
 */
export function createSyncplicityDrive(options: SyncplicityOptions): SyncplicityDrive {
  const { line, make } = openLine(options, 1);
  return driveOf(line, new Members([make(options)], undefined));
}

/** Makes the drive of several connections of one account, which share what is asked of it; as {@link createSyncplicityDrive} does. */
export function createPoolDrive(options: PoolOptions): PoolDrive {
  const [first, ...more] = options.members;
  const { line, make } = openLine(options, options.members.length, options.silenceMs);
  const watch: PoolWatch = {
    look: (member, signal) => lookThrough(line, member, signal),
    lookAfterMs: options.lookAfterMs,
    report: (text) => options.report?.(text),
  };
  const members = new Members([make(first), ...more.map(make)], watch);
  return { ...driveOf(line, members), open: (userId) => members.attendance.open(userId) };
}

/** What a member of a pool shows of the account: asked of it alone, whatever was said to it before. */
async function lookThrough(line: ServiceLine, member: Member, signal: AbortSignal): Promise<View> {
  member.session.token.forgetRefusal();
  const { userId, userEmail, actsFor } = await member.session.token.get(signal);
  const gateway = new Gateway({ ...line, members: new Members([member], undefined) });
  const syncpoints = await new Syncpoints(gateway, member.counters).list(actsFor ?? userId, { signal });
  const { hostname } = await member.session.gatewayUrl(signal);
  return { userId, email: userEmail, gateway: hostname, asUser: actsFor, syncpoints };
}

/** The drive of members that call through this line; stopping it stops the line. */
export function driveOf(line: ServiceLine, members: Members): SyncplicityDrive {
  const { transport, retries, counters } = line;
  const gateway = new Gateway({ transport, counters, members, retries });
  const vaults = new VaultDirectory(gateway);
  const { rates } = line;
  const holds = new VaultHolds();
  const downloads = new Downloads({ transport, members, vaults, retries, rates, holds });
  const uploads = new Uploads({ transport, members, vaults, retries, rates, holds });
  const moves = new Moves(gateway);
  const syncpoints = new Syncpoints(gateway, counters);

  /** That calls act for whom they should is looked at once. */
  let isActing = false;
  const account = async (call: CallOptions = {}): Promise<RemoteAccount> => {
    const token = await members.token(call.signal);
    if (token.userId === undefined) throw new RemoteError('protocol', 'token POST: field user_id is missing');
    if (!isActing) await requireActing(token, (question) => gateway.json(question, call));
    isActing = true;
    return { userId: token.userId, email: token.userEmail, actsFor: token.actsFor };
  };
  /** Whose drive it is. */
  const ownUser = async (call: CallOptions): Promise<string | undefined> => {
    const { actsFor, userId } = await members.token(call.signal);
    return actsFor ?? userId;
  };
  const fileEntry = async (
    syncpointId: SyncpointId,
    fileId: FileId,
    query: '' | '?include=hash',
    call: CallOptions,
  ): Promise<unknown> => {
    const thing = `file ${fileId} of syncpoint ${syncpointId}`;
    const path = `/sync/file.svc/${syncpointId}/file/${fileId}${query}`;
    const value = await gateway.json({ name: fileGet, thing, path }, call);
    return Array.isArray(value) ? (value[0] as unknown) : value;
  };
  const fileFields = async (syncpointId: SyncpointId, fileId: FileId, call: CallOptions): Promise<FileFields> => {
    const file = readFile(await fileEntry(syncpointId, fileId, '', call), fileGet);
    if (file !== undefined) return file;
    throw new RemoteError('not-found', `${fileGet}: file ${fileId} of syncpoint ${syncpointId}: it is removed`);
  };
  const file = async (syncpointId: SyncpointId, fileId: FileId, call: CallOptions = {}): Promise<RemoteFile> => {
    const fields = await fileFields(syncpointId, fileId, call);
    // One object without Length: serialisers leave out defaults.
    return fileWithLength(fields, fields.lengthBytes ?? 0);
  };
  const list = (syncpointId: SyncpointId, folderId: FolderId, call: CallOptions = {}): AsyncIterable<RemoteEntry[]> => {
    const askFile = async (entry: FileFields, asker: CallOptions): Promise<FileFields | undefined> => {
      try {
        return readFile(await fileEntry(syncpointId, entry.id, '', asker), fileGet);
      } catch (error) {
        if (!(error instanceof RemoteError) || error.kind !== 'not-found') throw error;
        // It is the file that is missing, or the call: not the folder.
        throw new RemoteError('protocol', `file ${entry.id} is listed without a length: ${error.message}`, {
          cause: error,
        });
      }
    };
    return listing.list(syncpointId, folderId, call, askFile);
  };
  const listing = new FolderListing(gateway, retries);
  const deleted = (
    { syncpointId, folderId, isRemoved }: TrashFolder,
    call: CallOptions = {},
  ): AsyncIterable<RemoteEntry[]> => {
    // file.svc need not know what lies in the trash.
    const askFile = async (entry: FileFields, asker: CallOptions): Promise<FileFields> => {
      const versions = await versionsOf(gateway, syncpointId, entry.versionId, asker);
      return { ...entry, lengthBytes: versions.find(({ id }) => id === entry.versionId)?.lengthBytes };
    };
    return listing.list(syncpointId, folderId, call, askFile, isRemoved ? 'all' : 'deleted');
  };

  return {
    account,
    file,
    list,
    deleted,
    links: linkCalls(gateway),
    signIns: line.signIns,
    thumbnails: new Thumbnails({ gateway, listing, members, retries, transport, vaults }),
    versions(of: VersionedFile, call: CallOptions = {}): Promise<RemoteVersion[]> {
      return fileVersions(gateway, file, of, call);
    },
    async syncpoints(call: CallOptions = {}): Promise<RemoteSyncpoint[]> {
      return syncpoints.list(await ownUser(call), call);
    },
    async createSyncpoint(name: string, call: CallOptions = {}): Promise<SyncpointId> {
      const userId = await ownUser(call);
      return (await createSyncpoint(gateway, { name, type: 'folder', vaultId: undefined }, userId, call)).id;
    },
    async renameSyncpoint(id: SyncpointId, name: string, call: CallOptions = {}): Promise<void> {
      const userId = await ownUser(call);
      await renameSyncpoint(gateway, await syncpointById(gateway, id, userId, call), name, userId, call);
    },
    deleteSyncpoint(id: SyncpointId, call: CallOptions = {}): Promise<void> {
      return deleteSyncpoint(gateway, id, call);
    },
    read(
      content: ContentReference,
      range: { readonly offsetBytes: number; readonly lengthBytes: number },
      call: CallOptions = {},
    ): Promise<ContentStream> {
      return downloads.read(content, range, call);
    },
    prepareRead(vaultId: VaultId | undefined): void {
      downloads.prepare(vaultId);
    },
    rangeSupport(content: ContentReference): RangeSupport {
      return downloads.rangeSupport(content);
    },
    async contentHash(syncpointId: SyncpointId, fileId: FileId, call: CallOptions = {}): Promise<string | undefined> {
      return readHash(await fileEntry(syncpointId, fileId, '?include=hash', call), fileGet);
    },
    createFolders(
      syncpointId: SyncpointId,
      parentId: FolderId,
      names: readonly string[],
      call: CallOptions = {},
    ): Promise<RemoteFolder[]> {
      return createFolders(gateway, syncpointId, parentId, names, call);
    },
    upload(request: UploadRequest, call: CallOptions = {}): Promise<UploadOutcome> {
      return uploads.upload(request, call);
    },
    deleteFile(syncpointId: SyncpointId, versionId: VersionId, call: CallOptions = {}): Promise<void> {
      return deleteFile(gateway, syncpointId, versionId, call);
    },
    deleteFolder(syncpointId: SyncpointId, folderId: FolderId, call: CallOptions = {}): Promise<void> {
      return deleteFolder(gateway, syncpointId, folderId, call);
    },

    purge(removed: RemovedObject, call: CallOptions = {}): Promise<void> {
      return purge(gateway, removed, call);
    },
    moveFile(
      syncpointId: SyncpointId,
      entry: RemoteFile,
      from: FolderId,
      to: MoveTarget,
      call: CallOptions = {},
    ): Promise<MoveOutcome> {
      return moves.file(syncpointId, entry, from, to, call);
    },
    moveFolder(
      syncpointId: SyncpointId,
      folder: PlacedFolder,
      from: FolderId,
      to: MoveTarget,
      call: CallOptions = {},
    ): Promise<MoveOutcome> {
      return moves.folder(syncpointId, folder, from, to, call);
    },
    moveSupport(syncpointId: SyncpointId, kind: RemoteEntry['kind']): MoveSupport {
      return moves.support(syncpointId, kind);
    },
    moveSeen(syncpointId: SyncpointId, kind: RemoteEntry['kind'], worked: boolean): void {
      moves.seen(syncpointId, kind, worked);
    },
    async vaults(call: CallOptions = {}): Promise<RemoteVault[]> {
      const found = await vaults.list(call);
      return found.map(({ id, name, sizeBytes, consumedBytes }) => ({ id, name, sizeBytes, consumedBytes }));
    },
    woken(): void {
      for (const { session } of members.all) session.forgetTokens();
      transport.reconnect().catch((error: unknown) => log('a connection could not be ended: %o', error));
    },
    callDelayMs(callClass: CallClass): number {
      return Math.min(...members.all.map(({ budget }) => budget.waitMs(callClass)));
    },
    statistics(): DriveStatistics {
      const { attendance } = members;
      const { total, byEndpoint, byClass, throttled, bytesIn, bytesOut, online, lastError } = counters;
      return {
        total,
        byEndpoint: { ...byEndpoint },
        byClass: { ...byClass },
        throttled,
        budget: sumOfBudgets(members.all),
        members: memberStatistics(members),
        bytesIn,
        bytesOut,
        limits: {
          upBytesPerSecond: rates.up?.bytesPerSecond,
          downBytesPerSecond: rates.down?.bytesPerSecond,
        },
        online: attendance.isPool ? attendance.present.length > 0 : online,
        ...(lastError === undefined ? {} : { lastError }),
        capabilities: {
          folderListing: listing.capability,
          lastEvent: syncpoints.tellsLastEvent,
          vaults: downloads.capabilities(),
          uploads: uploads.capabilities(),
          moves: moves.capabilities(),
        },
      };
    },
    isHoldingBack: () => rates.down?.isHoldingBack ?? false,
    async stop(): Promise<void> {
      members.stop();
      await line.stop();
    },
  };
}
