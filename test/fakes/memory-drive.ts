// A remote drive in memory: the counterpart of the tree, the file system and the pusher in tests. Counts calls; faults, delays,
// lost replies and the dialects of moves are under the test's control.
import { createHash } from 'node:crypto';
import { waitFor } from '../../src/base/abort.ts';
import {
  FOLDERS_PER_CALL,
  RemoteError,
  type CallOptions,
  type ContentReference,
  type ContentStream,
  type FileId,
  type FolderId,
  type MoveOutcome,
  type MoveSupport,
  type MoveTarget,
  type RemoteDrive,
  type RemoteEntry,
  type RemoteFile,
  type RemoteFolder,
  type RemotePath,
  type RemoteSyncpoint,
  type RemoteVault,
  type RemoteVersion,
  type RemovedObject,
  type SyncpointId,
  type Timestamp,
  type TrashFolder,
  type UploadOutcome,
  type UploadRequest,
  type VaultId,
  type VersionedFile,
  type VersionId,
} from '../../src/remote-drive.ts';

interface Folder {
  readonly id: string;
  readonly entries: RemoteEntry[];
}

type MoveArguments<Entry> = [SyncpointId, entry: Entry, from: FolderId, to: MoveTarget, options?: CallOptions];

/** A drive whose content tests write directly. */
export class MemoryDrive implements RemoteDrive {
  readonly syncpointList: RemoteSyncpoint[] = [];
  readonly vaultList: RemoteVault[] = [
    { id: 'vault-1' as VaultId, name: 'Vault', sizeBytes: 1e12, consumedBytes: 4e11 },
  ];
  readonly calls: string[] = [];
  /** Awaited before each call answers; a test holds or fails calls here. */
  gate: (call: string) => Promise<void> = () => Promise.resolve();
  /** Awaited after a change was made: where it rejects with RemoteError, the reply was lost. */
  reply: (call: string) => Promise<void> = () => Promise.resolve();
  /** What moves are here: `ignored` answers as if done. */
  moves: 'work' | 'unsupported' | 'ignored' = 'work';
  /** A moved file is its next version, which no reply tells of. */
  movesMakeVersions = false;
  /** Content longer than this goes in chunks of this length, and can be gone on with. */
  chunkBytes = 5_242_880;
  /** An upload that goes beyond this is refused. */
  quotaBytes = Infinity;
  /** Made and replaced names of folders that differ only by case are the same. */
  ignoresCase = false;
  /** Accents of names that are made are composed, and names that differ by their composition are the same. */
  composes = false;
  /** Removing what is gone is refused, in words that tell nothing. */
  refusesGone = false;
  batchSize = 1000;
  /** What `deleted` tells, by folder, and `versions`, by file: tests write it. */
  readonly trash = new Map<FolderId, readonly RemoteEntry[]>();
  readonly history = new Map<FileId, readonly RemoteVersion[]>();
  readonly #folders = new Map<string, Folder>();
  readonly #contents = new Map<string, Uint8Array>();
  readonly #fileOfVersion = new Map<string, string>();
  readonly #moveSupport = new Map<string, MoveSupport>();
  readonly #sessions = new Map<string, { readonly path: string; readonly bytes: Uint8Array }>();
  #nextId = 1000;

  /** What a call would have to wait for the call budget. */
  delayMs = 0;

  callDelayMs(): number {
    return this.delayMs;
  }

  /** Makes no call. */
  readonly prepared: (VaultId | undefined)[] = [];

  prepareRead(vaultId: VaultId | undefined): void {
    this.prepared.push(vaultId);
  }

  addSyncpoint(name: string, facts: Partial<RemoteSyncpoint> = {}): RemoteSyncpoint {
    const root = this.#newFolder();
    const syncpoint: RemoteSyncpoint = {
      id: this.#id() as SyncpointId,
      name,
      rootFolderId: root.id as FolderId,
      permission: 'read-write',
      vaultId: 'vault-1' as VaultId,
      owner: undefined,
      parentId: undefined,
      lastEvent: undefined,
      ...facts,
    };
    this.syncpointList.push(syncpoint);
    return syncpoint;
  }

  addFolder(parent: FolderId, name: string): FolderId {
    const folder = this.#newFolder(this.idFor('folder', parent, name));
    this.entries(parent).push({ kind: 'folder', id: folder.id as FolderId, name: this.named(name) });
    return folder.id as FolderId;
  }

  addFile(
    parent: FolderId,
    name: string,
    content: string | Uint8Array,
    id = this.idFor('file', parent, name),
  ): RemoteFile {
    const file = this.#version(id, this.named(name), content);
    this.entries(parent).push(file);
    return file;
  }

  /** A new version of a file; of the first of that name, as no folder becomes a file. */
  write(parent: FolderId, name: string, content: string): RemoteFile {
    const entries = this.entries(parent);
    const at = entries.findIndex((entry) => entry.kind === 'file' && entry.name === name);
    const before = entries[at];
    if (before === undefined) throw new Error(`there is no file ${name} to write`);
    const file = this.#version(before.id, name, content);
    entries.splice(at, 1, file);
    return file;
  }

  remove(parent: FolderId, name: string): void {
    const entries = this.entries(parent);
    entries.splice(
      entries.findIndex((entry) => entry.name === name),
      1,
    );
  }

  rename(parent: FolderId, name: string, newName: string): void {
    const entries = this.entries(parent);
    const at = entries.findIndex((entry) => entry.name === name);
    const entry = entries[at];
    if (entry !== undefined) entries.splice(at, 1, { ...entry, name: newName });
  }

  /** The living list of a folder's entries. */
  entries(folder: FolderId): RemoteEntry[] {
    const found = this.#folders.get(folder);
    if (found === undefined) throw new RemoteError('not-found', `folder ${folder}: Invalid Folder ID`);
    return found.entries;
  }

  dropFolder(folder: FolderId): void {
    this.#folders.delete(folder);
  }

  async account(options?: CallOptions): Promise<{ userId: string; email: undefined }> {
    await this.#call('account', options);
    return { userId: 'user', email: undefined };
  }

  async syncpoints(options?: CallOptions): Promise<RemoteSyncpoint[]> {
    await this.#call('syncpoints', options);
    return [...this.syncpointList];
  }

  async *deleted({ folderId }: TrashFolder, options?: CallOptions): AsyncGenerator<RemoteEntry[]> {
    await this.#call(`deleted ${folderId}`, options);
    yield [...(this.trash.get(folderId) ?? [])];
  }

  async versions({ fileId }: VersionedFile, options?: CallOptions): Promise<RemoteVersion[]> {
    await this.#call(`versions ${fileId}`, options);
    return [...(this.history.get(fileId) ?? [])];
  }

  async *list(_syncpoint: SyncpointId, folder: FolderId, options?: CallOptions): AsyncGenerator<RemoteEntry[]> {
    await this.#call(`list ${folder}`, options);
    const entries = [...this.entries(folder)];
    for (let from = 0; from < entries.length; from += this.batchSize) yield entries.slice(from, from + this.batchSize);
  }

  async file(_syncpoint: SyncpointId, id: FileId): Promise<RemoteFile> {
    await this.#call(`file ${id}`);
    for (const { entries } of this.#folders.values()) {
      for (const entry of entries) if (entry.kind === 'file' && entry.id === id) return entry;
    }
    throw new RemoteError('not-found', `file ${id}: File Not Found`);
  }

  async read(
    content: ContentReference,
    range: { offsetBytes: number; lengthBytes: number },
    options?: CallOptions,
  ): Promise<ContentStream> {
    await this.#call(`read ${content.versionId}`, options);
    const bytes = this.#contents.get(content.versionId);
    if (bytes === undefined) throw new RemoteError('not-found', `version ${content.versionId}`);
    const endBytes = range.offsetBytes + range.lengthBytes;
    return {
      offsetBytes: range.offsetBytes,
      endBytes,
      close: () => undefined,
      async *[Symbol.asyncIterator]() {
        yield await Promise.resolve(bytes.subarray(range.offsetBytes, endBytes));
      },
    };
  }

  /** The whole content of a version. */
  content(version: VersionId): Uint8Array {
    return this.#contents.get(version) ?? new Uint8Array();
  }

  rangeSupport(): 'bounded' {
    return 'bounded';
  }

  async contentHash(_syncpoint: SyncpointId, id: FileId, options?: CallOptions): Promise<string | undefined> {
    await this.#call(`contentHash ${id}`, options);
    const place = this.#place((entry) => entry.kind === 'file' && entry.id === id);
    if (place?.entry.kind !== 'file') throw new RemoteError('not-found', `file ${id}: File Not Found`);
    return sha256(this.content(place.entry.versionId));
  }

  async createFolders(
    syncpoint: SyncpointId,
    parent: FolderId,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<RemoteFolder[]> {
    const call = `createFolders ${parent} ${names.join(',')}`;
    await this.#call(call, options);
    if (names.length > FOLDERS_PER_CALL) throw new RemoteError('invalid', `${names.length} folders in one call`);
    this.#writable(syncpoint);
    const entries = this.entries(parent);
    const taken = names.find((name) => entries.some((entry) => this.isSame(entry.name, name)));
    if (taken !== undefined) throw new RemoteError('exists', `${taken}: Folder With The Same Name Already Exists`);
    const made = names.map(
      (name) => ({ kind: 'folder', id: this.addFolder(parent, name), name: this.named(name) }) as const,
    );
    await this.reply(call);
    return made;
  }

  async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    const path = [...request.folder.folderNames, request.name].join('/');
    await this.#call(`upload ${path}`, options);
    this.#writable(request.folder.syncpointId);
    const bytes = await this.#receive(request, path, options);
    const hash = sha256(bytes);
    if (request.sha256 !== undefined && request.sha256 !== hash) throw new Error(`upload of ${path}: another hash`);
    await request.beforeLast?.();
    const folder = this.#folderAt(request.folder);
    const entries = this.entries(folder);
    const used = [...this.#folders.values()]
      .flatMap((one) => one.entries)
      .reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.lengthBytes : 0), 0);
    if (used + bytes.length > this.quotaBytes) throw new RemoteError('quota', `upload of ${path}: Quota Exceeded`);
    const at = entries.findIndex((entry) => this.isSame(entry.name, request.name));
    const old = entries[at];
    if (old?.kind === 'folder') throw new RemoteError('exists', `upload of ${path}: a folder has this name`);
    let stored: RemoteFile;
    if (old !== undefined && sha256(this.content(old.versionId)) === hash) {
      stored = old;
    } else {
      stored = {
        ...this.#version(
          old?.id ?? this.idFor('file', folder, request.name),
          old?.name ?? this.named(request.name),
          bytes,
        ),
        modified: kept(request.modified),
        created: kept(request.created),
      };
      entries.splice(at < 0 ? entries.length : at, at < 0 ? 0 : 1, stored);
    }
    this.#sessions.delete(path);
    request.onSent?.(bytes.length);
    try {
      await this.reply(`upload ${path}`);
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      return { state: 'unclear', reason: error.message };
    }
    return { state: 'stored', fileId: stored.id, versionId: stored.versionId, already: stored === old };
  }

  async deleteFile(syncpoint: SyncpointId, version: VersionId, options?: CallOptions): Promise<void> {
    await this.#call(`deleteFile ${version}`, options);
    this.#writable(syncpoint);
    const place = this.#place((entry) => entry.kind === 'file' && entry.versionId === version);
    if (place === undefined) {
      const file = this.#fileOfVersion.get(version);
      if (file === undefined || this.#place((entry) => entry.kind === 'file' && entry.id === file) === undefined) {
        this.#isGone(`version ${version}`);
        return;
      }
      throw new RemoteError('conflict', `version ${version}: Invalid Version ID`);
    }
    place.entries.splice(place.entries.indexOf(place.entry), 1);
    await this.reply(`deleteFile ${version}`);
  }

  /** What was purged: `file VERSION` and `folder ID`. */
  readonly purged: string[] = [];
  /** Of others' syncpoints nothing can be purged. */
  owned = true;

  async purge(removed: RemovedObject, options?: CallOptions): Promise<void> {
    const [kind, id] = removed.kind === 'file' ? ['file', removed.versionId] : ['folder', removed.folderId];
    await this.#call(`purge ${kind} ${id}`, options);
    this.#writable(removed.syncpointId);
    const isThis = (entry: RemoteEntry): boolean =>
      entry.kind === 'file' ? kind === 'file' && entry.versionId === id : kind === 'folder' && entry.id === id;
    if (this.#place(isThis) !== undefined) throw new RemoteError('conflict', `${kind} ${id}: Purging Active`);
    if (!this.owned) throw new RemoteError('forbidden', `${kind} ${id}: Not An Owner`);
    this.purged.push(`${kind} ${id}`);
    await this.reply(`purge ${kind} ${id}`);
  }

  async deleteFolder(syncpoint: SyncpointId, folder: FolderId, options?: CallOptions): Promise<void> {
    await this.#call(`deleteFolder ${folder}`, options);
    this.#writable(syncpoint);
    const place = this.#place((entry) => entry.kind === 'folder' && entry.id === folder);
    if (place === undefined) {
      this.#isGone(`folder ${folder}`);
      return;
    }
    place.entries.splice(place.entries.indexOf(place.entry), 1);
    this.#forgetFolder(folder);
    await this.reply(`deleteFolder ${folder}`);
  }

  moveFile(...args: MoveArguments<RemoteFile>): Promise<MoveOutcome> {
    return this.#move(...args);
  }

  moveFolder(...args: MoveArguments<RemoteFolder>): Promise<MoveOutcome> {
    return this.#move(...args);
  }

  /** True for a folder that is `folder`, or lies in it. */
  isWithin(folder: FolderId, inner: FolderId): boolean {
    if (folder === inner) return true;
    return this.entries(folder).some((entry) => entry.kind === 'folder' && this.isWithin(entry.id, inner));
  }

  moveSupport(syncpoint: SyncpointId, kind: RemoteEntry['kind']): MoveSupport {
    return this.#moveSupport.get(`${syncpoint} ${kind}`) ?? 'unknown';
  }

  moveSeen(syncpoint: SyncpointId, kind: RemoteEntry['kind'], worked: boolean): void {
    this.calls.push(`moveSeen ${kind} ${worked}`);
    this.#moveSupport.set(`${syncpoint} ${kind}`, worked ? 'yes' : 'no');
  }

  /** The id that what is made there gets. */
  protected idFor(...[]: [kind: RemoteEntry['kind'], parent: FolderId, name: string]): string {
    return this.#id();
  }

  /** How a name that is given is kept. */
  named(name: string): string {
    return this.composes ? name.normalize('NFC') : name;
  }

  protected isSame(a: string, b: string): boolean {
    const [one, other] = [this.named(a), this.named(b)];
    return this.ignoresCase ? one.toLowerCase() === other.toLowerCase() : one === other;
  }

  #isGone(what: string): void {
    if (this.refusesGone) throw new RemoteError('protocol', `${what}: Bad Request (HTTP 400)`);
  }

  /** The bytes of an upload, taking those of a session that goes on from where it ended. */
  async #receive(request: UploadRequest, path: string, options: CallOptions): Promise<Uint8Array> {
    const session = request.session === undefined ? undefined : this.#sessions.get(request.session);
    const had = session?.path === path ? session.bytes : new Uint8Array();
    const pieces: Uint8Array[] = [had];
    let received = had.length;
    while (received < request.lengthBytes) {
      const asked = Math.min(this.chunkBytes, request.lengthBytes - received);
      let got = 0;
      for await (const piece of request.read(received, asked)) {
        pieces.push(Uint8Array.from(piece));
        got += piece.length;
      }
      if (got !== asked) throw new Error(`upload of ${path}: ${got} bytes instead of ${asked}`);
      received += got;
      if (received === request.lengthBytes) break;
      await this.#call(`chunk ${path} ${received}`, options);
      const mark = `${path} ${received}`;
      this.#sessions.set(mark, { path, bytes: Buffer.concat(pieces) });
      request.onSent?.(received);
      request.onSession?.(mark);
    }
    return Buffer.concat(pieces);
  }

  async #move(...[syncpoint, entry, from, to, options]: MoveArguments<RemoteEntry>): Promise<MoveOutcome> {
    const call = `move ${entry.name} to ${to.folderId}/${to.name}`;
    await this.#call(call, options);
    if (this.moves === 'unsupported') {
      this.#moveSupport.set(`${syncpoint} ${entry.kind}`, 'no');
      return 'unsupported';
    }
    this.#writable(syncpoint);
    const source = this.entries(from);
    const found = source.find((one) => one.kind === entry.kind && one.id === entry.id);
    if (found === undefined) throw new RemoteError('not-found', `${entry.kind} ${entry.id}: it is not there`);
    if (entry.kind === 'folder' && this.isWithin(entry.id, to.folderId))
      throw new RemoteError('invalid', `${entry.name}: a folder cannot move into itself`);
    const target = this.entries(to.folderId);
    if (target.some((one) => one !== found && this.isSame(one.name, to.name))) {
      throw new RemoteError('exists', `${to.name}: the name is taken`);
    }
    if (this.moves === 'work') {
      source.splice(source.indexOf(found), 1);
      target.push(this.#moved(found, this.named(to.name)));
    }
    try {
      await this.reply(call);
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      return 'unclear';
    }
    return 'done';
  }

  #moved(entry: RemoteEntry, name: string): RemoteEntry {
    if (entry.kind === 'folder' || !this.movesMakeVersions) return { ...entry, name };
    const versionId = this.#id() as VersionId;
    this.#contents.set(versionId, this.content(entry.versionId));
    this.#fileOfVersion.set(versionId, entry.id);
    return { ...entry, name, versionId };
  }

  #writable(syncpoint: SyncpointId): void {
    const found = this.syncpointList.find((one) => one.id === syncpoint);
    if (found === undefined) throw new RemoteError('not-found', `syncpoint ${syncpoint}: SyncPoint Does Not Exist`);
    if (found.permission === 'read-only') {
      throw new RemoteError('forbidden', `syncpoint ${syncpoint}: Syncpoint Shared With Reader Permission`);
    }
  }

  #folderAt(path: RemotePath): FolderId {
    let id = this.syncpointList.find((one) => one.id === path.syncpointId)?.rootFolderId;
    for (const name of path.folderNames) {
      const next = id === undefined ? undefined : this.entries(id).find((entry) => this.isSame(entry.name, name));
      id = next?.kind === 'folder' ? next.id : undefined;
    }
    if (id === undefined) throw new RemoteError('not-found', `${path.folderNames.join('/')}: Directory Not Found`);
    return id;
  }

  #place(wanted: (entry: RemoteEntry) => boolean): { entries: RemoteEntry[]; entry: RemoteEntry } | undefined {
    for (const { entries } of this.#folders.values()) {
      const entry = entries.find(wanted);
      if (entry !== undefined) return { entries, entry };
    }
    return undefined;
  }

  #forgetFolder(id: FolderId): void {
    const folder = this.#folders.get(id);
    this.#folders.delete(id);
    for (const entry of folder?.entries ?? []) if (entry.kind === 'folder') this.#forgetFolder(entry.id);
  }

  async vaults(options?: CallOptions): Promise<RemoteVault[]> {
    await this.#call('vaults', options);
    return this.vaultList;
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  #call(name: string, options: CallOptions = {}): Promise<void> {
    this.calls.push(name);
    return waitFor(this.gate(name), options.signal);
  }

  #newFolder(id = this.#id()): Folder {
    const folder = { id, entries: [] };
    this.#folders.set(folder.id, folder);
    return folder;
  }

  #version(id: string, name: string, content: string | Uint8Array): RemoteFile {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const versionId = this.#id() as VersionId;
    this.#contents.set(versionId, bytes);
    this.#fileOfVersion.set(versionId, id);
    const time = { seconds: 1_473_662_671, nanoseconds: 900_000_000 };
    return {
      kind: 'file',
      id: id as FileId,
      name,
      versionId,
      lengthBytes: bytes.length,
      modified: time,
      created: time,
    };
  }

  #id(): string {
    this.#nextId += 1;
    return String(this.#nextId);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The service keeps 100 ns. */
function kept(time: Timestamp): Timestamp {
  return { seconds: time.seconds, nanoseconds: Math.floor(time.nanoseconds / 100) * 100 };
}
