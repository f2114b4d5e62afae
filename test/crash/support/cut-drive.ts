// The service and the line to it, as bad as they can be: any call can be cut off before or after it was carried out, listings lag, and
// replies leave out what they may leave out.
import { createHash } from 'node:crypto';
import { waitFor } from '../../../src/base/abort.ts';
import {
  RemoteError,
  type CallOptions,
  type ContentReference,
  type FolderId,
  type RemoteDrive,
  type RemoteEntry,
  type RemoteFile,
  type RemoteFolder,
  type RemovedObject,
  type SyncpointId,
  type Timestamp,
  type UploadOutcome,
  type UploadRequest,
  type VersionId,
} from '../../../src/remote-drive.ts';
import { MemoryDrive } from '../../fakes/memory-drive.ts';

export type Moment = 'before' | 'after';

/** What becomes of a call that is cut: `lost`: an error, be it carried out or not; `hangs`: nobody ever answers. */
export type Cut = 'lost' | 'hangs';

export interface CutDriveOptions {
  readonly moves?: MemoryDrive['moves'];
  readonly ignoresCase?: boolean;
  /** How old what listings show is. */
  readonly lagMs?: number;
  /** Replies to uploads tell no ids. */
  readonly tellsIds?: boolean;
}

export interface StoredObject {
  readonly kind: 'file' | 'folder';
  /** SHA-256 of a file's content. */
  readonly sha256: string | undefined;
  readonly lengthBytes: number;
  readonly modified: Timestamp | undefined;
}

/** What the service holds, by path. */
export type Holdings = ReadonlyMap<string, StoredObject>;

/** The service itself: outlives every machine that talks to it. */
export class Service {
  readonly memory = new MemoryDrive();
  readonly options: CutDriveOptions;
  /** Told after each call that may have changed something. */
  onChange: (call: string) => void = () => undefined;
  readonly #history: { readonly atMs: number; readonly folders: ReadonlyMap<string, readonly RemoteEntry[]> }[] = [];

  constructor(options: CutDriveOptions = {}) {
    this.options = options;
    this.memory.moves = options.moves ?? 'work';
    this.memory.ignoresCase = options.ignoresCase ?? false;
  }

  /** The holdings of a syncpoint, and of its folders, by path from the drive's root on. */
  holdings(): Map<string, StoredObject> {
    const found = new Map<string, StoredObject>();
    const visit = (folder: FolderId, above: string): void => {
      for (const entry of this.memory.entries(folder)) {
        let path = `${above}/${entry.name}`;
        while (found.has(path)) path += ' (again)';
        found.set(path, this.#object(entry));
        if (entry.kind === 'folder') visit(entry.id, path);
      }
    };
    for (const { name, rootFolderId } of this.memory.syncpointList) visit(rootFolderId, name);
    return found;
  }

  /** To be called before each change, so that lagging listings show what was before. */
  remember(): void {
    if ((this.options.lagMs ?? 0) === 0) return;
    const folders = new Map<string, readonly RemoteEntry[]>();
    const visit = (folder: FolderId): void => {
      const entries = [...this.memory.entries(folder)];
      folders.set(folder, entries);
      for (const entry of entries) if (entry.kind === 'folder') visit(entry.id);
    };
    for (const { rootFolderId } of this.memory.syncpointList) visit(rootFolderId);
    this.#history.push({ atMs: Date.now(), folders });
  }

  /** The entries of a folder as a listing shows them now. */
  shown(folder: FolderId): readonly RemoteEntry[] {
    const asOfMs = Date.now() - (this.options.lagMs ?? 0);
    // A change later than that is not shown yet: what was before the first of them is.
    const before = this.#history.find(({ atMs }) => atMs > asOfMs);
    if (before === undefined) return this.memory.entries(folder);
    const entries = before.folders.get(folder);
    if (entries === undefined) throw new RemoteError('not-found', `folder ${folder}: Invalid Folder ID`);
    return entries;
  }

  #object(entry: RemoteEntry): StoredObject {
    if (entry.kind === 'folder') return { kind: 'folder', sha256: undefined, lengthBytes: 0, modified: undefined };
    const { lengthBytes, modified } = entry;
    return { kind: 'file', sha256: hashOf(this.memory.content(entry.versionId)), lengthBytes, modified };
  }
}

export function hashOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** One machine's line to the service. */
export class CutDrive implements RemoteDrive {
  readonly service: Service;
  /** What happens at a point: undefined, and the call goes on. */
  at: (call: string, moment: Moment) => Cut | undefined = () => undefined;
  #dead = false;

  constructor(service: Service) {
    this.service = service;
  }

  /** The machine is gone: nothing it asks is carried out any more, and nothing answered. */
  die(): void {
    this.#dead = true;
  }

  account = (options?: CallOptions) => this.service.memory.account(options);
  callDelayMs = () => 0;
  prepareRead = () => undefined;
  rangeSupport = () => this.service.memory.rangeSupport();
  moveSupport: RemoteDrive['moveSupport'] = (syncpoint, kind) => this.service.memory.moveSupport(syncpoint, kind);
  moveSeen: RemoteDrive['moveSeen'] = (syncpoint, kind, worked) => {
    this.service.memory.moveSeen(syncpoint, kind, worked);
  };
  stop = () => Promise.resolve();
  deleted: RemoteDrive['deleted'] = (folder) => this.service.memory.deleted(folder);
  versions: RemoteDrive['versions'] = (file) => this.service.memory.versions(file);

  syncpoints(options: CallOptions = {}) {
    return this.#call('syncpoints', options, () => this.service.memory.syncpoints(options));
  }

  vaults(options: CallOptions = {}) {
    return this.service.memory.vaults(options);
  }

  async *list(_syncpoint: SyncpointId, folder: FolderId, options: CallOptions = {}): AsyncGenerator<RemoteEntry[]> {
    yield [...(await this.#call(`list ${folder}`, options, async () => Promise.resolve(this.service.shown(folder))))];
  }

  file(syncpoint: SyncpointId, id: RemoteFile['id'], options: CallOptions = {}) {
    return this.#call(`file ${id}`, options, () => this.service.memory.file(syncpoint, id));
  }

  read(content: ContentReference, range: { offsetBytes: number; lengthBytes: number }, options: CallOptions = {}) {
    return this.#call(`read ${content.versionId}`, options, () => this.service.memory.read(content, range, options));
  }

  contentHash(syncpoint: SyncpointId, id: RemoteFile['id'], options: CallOptions = {}) {
    return this.#call(`contentHash ${id}`, options, () => this.service.memory.contentHash(syncpoint, id));
  }

  createFolders(
    syncpoint: SyncpointId,
    parent: FolderId,
    names: readonly string[],
    options: CallOptions = {},
  ): Promise<RemoteFolder[]> {
    return this.#call(`createFolders ${parent} ${names.join(',')}`, options, () =>
      this.#changing(`createFolders ${names.join(',')}`, () =>
        this.service.memory.createFolders(syncpoint, parent, names),
      ),
    );
  }

  async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    const call = `upload ${[...request.folder.folderNames, request.name].join('/')}`;
    const reached = { carriedOut: false };
    try {
      const outcome = await this.#call(call, options, async () => {
        // Its chunks are points of their own.
        this.service.memory.gate = (inner) =>
          inner.startsWith('chunk ') ? this.#point(inner, 'before', options) : Promise.resolve();
        const done = await this.#changing(call, () =>
          this.service.memory.upload(
            { ...request, onSession: (mark) => this.#tell(() => request.onSession?.(mark)) },
            options,
          ),
        );
        reached.carriedOut = true;
        return done;
      });
      if (outcome.state === 'stored' && this.service.options.tellsIds === false) {
        return { ...outcome, fileId: undefined, versionId: undefined };
      }
      return outcome;
    } catch (error) {
      if (reached.carriedOut && error instanceof RemoteError) return { state: 'unclear', reason: error.message };
      throw error;
    }
  }

  deleteFile(syncpoint: SyncpointId, version: VersionId, options: CallOptions = {}): Promise<void> {
    return this.#call(`deleteFile ${version}`, options, () =>
      this.#changing(`deleteFile ${version}`, () => this.service.memory.deleteFile(syncpoint, version)),
    );
  }

  deleteFolder(syncpoint: SyncpointId, folder: FolderId, options: CallOptions = {}): Promise<void> {
    return this.#call(`deleteFolder ${folder}`, options, () =>
      this.#changing(`deleteFolder ${folder}`, () => this.service.memory.deleteFolder(syncpoint, folder)),
    );
  }

  purge(removed: RemovedObject, options: CallOptions = {}): Promise<void> {
    const what = `purge ${removed.kind === 'file' ? removed.versionId : removed.folderId}`;
    return this.#call(what, options, () => this.#changing(what, () => this.service.memory.purge(removed)));
  }

  moveFile: RemoteDrive['moveFile'] = (syncpoint, file, from, to, options = {}) =>
    this.#move(`move ${file.name} to ${to.folderId}/${to.name}`, options, () =>
      this.service.memory.moveFile(syncpoint, file, from, to),
    );

  moveFolder: RemoteDrive['moveFolder'] = (syncpoint, folder, from, to, options = {}) =>
    this.#move(`move ${folder.name} to ${to.folderId}/${to.name}`, options, () =>
      this.service.memory.moveFolder(syncpoint, folder, from, to),
    );

  async #move<T>(call: string, options: CallOptions, work: () => Promise<T>): Promise<T | 'unclear'> {
    const reached = { carriedOut: false };
    try {
      return await this.#call(call, options, async () => {
        const outcome = await this.#changing(call, work);
        reached.carriedOut = true;
        return outcome;
      });
    } catch (error) {
      if (reached.carriedOut && error instanceof RemoteError) return 'unclear';
      throw error;
    }
  }

  async #changing<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.service.remember();
    const result = await work();
    this.service.onChange(call);
    return result;
  }

  #tell(work: () => void): void {
    if (!this.#dead) work();
  }

  async #call<T>(call: string, options: CallOptions, work: () => Promise<T>): Promise<T> {
    await this.#point(call, 'before', options);
    const result = await work();
    await this.#point(call, 'after', options);
    return result;
  }

  async #point(call: string, moment: Moment, { signal }: CallOptions): Promise<void> {
    const cut = this.#dead ? 'hangs' : this.at(call, moment);
    if (cut === 'lost') throw new RemoteError('unavailable', `${call}: the line was cut ${moment} it was carried out`);
    // Dead or not, the service answers in a later turn.
    await waitFor(cut === 'hangs' || this.#dead ? new Promise<never>(() => undefined) : Promise.resolve(), signal);
  }
}
