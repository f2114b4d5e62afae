// A store whose listings lag: what a call changed shows in the listing of its folder some time later, everywhere else at once.
// Promises: within the lag a listing is one that once was true. Must not know: why a client minds.
import type {
  ContentStore,
  FileRecord,
  FileTimes,
  FileToStore,
  FolderListing,
  FolderRecord,
  ListOptions,
} from './store.ts';

interface Earlier {
  readonly changedAt: number;
  readonly listing: FolderListing;
}

/** A store as its listings show it some time later. */
export class LaggingStore implements ContentStore {
  readonly #store: ContentStore;
  readonly #lagMs: number;
  readonly #now: () => number;
  /** What folders were before changes of late, oldest first. */
  readonly #earlier = new Map<number, Earlier[]>();

  /** `now` in milliseconds, monotonic. */
  constructor(store: ContentStore, lagMs: number, now: () => number = () => performance.now()) {
    this.#store = store;
    this.#lagMs = lagMs;
    this.#now = now;
  }

  async list(syncpointId: number, folderId: number, options: ListOptions): Promise<FolderListing | undefined> {
    const earlier = this.#recent(folderId)[0]?.listing;
    if (earlier?.folder.syncpointId === syncpointId) return earlier;
    return this.#store.list(syncpointId, folderId, options);
  }

  async createFolder(syncpointId: number, parentId: number, name: string): Promise<FolderRecord> {
    return this.#change(syncpointId, [parentId], () => this.#store.createFolder(syncpointId, parentId, name));
  }

  storeFile(file: FileToStore): Promise<FileRecord> {
    return this.#change(file.syncpointId, [file.folderId], () => this.#store.storeFile(file));
  }

  async setTimes(
    syncpointId: number,
    fileId: number,
    times: Pick<FileTimes, 'created' | 'modified'>,
  ): Promise<FileRecord> {
    const folders = await this.#folderOfFile(syncpointId, fileId);
    return this.#change(syncpointId, folders, () => this.#store.setTimes(syncpointId, fileId, times));
  }

  async moveFile(syncpointId: number, fileId: number, toFolderId: number, name: string): Promise<FileRecord> {
    const folders = [...(await this.#folderOfFile(syncpointId, fileId)), toFolderId];
    return this.#change(syncpointId, folders, () => this.#store.moveFile(syncpointId, fileId, toFolderId, name));
  }

  async moveFolder(syncpointId: number, folderId: number, toFolderId: number, name: string): Promise<FolderRecord> {
    const folders = [...(await this.#parentOf(syncpointId, folderId)), toFolderId];
    return this.#change(syncpointId, folders, () => this.#store.moveFolder(syncpointId, folderId, toFolderId, name));
  }

  async removeFile(syncpointId: number, fileId: number): Promise<void> {
    const folders = await this.#folderOfFile(syncpointId, fileId);
    return this.#change(syncpointId, folders, () => this.#store.removeFile(syncpointId, fileId));
  }

  async removeFolder(syncpointId: number, folderId: number): Promise<void> {
    const folders = await this.#parentOf(syncpointId, folderId);
    return this.#change(syncpointId, folders, () => this.#store.removeFolder(syncpointId, folderId));
  }

  async #folderOfFile(syncpointId: number, fileId: number): Promise<readonly number[]> {
    const file = await this.#store.file(syncpointId, fileId);
    return file === undefined ? [] : [file.folderId];
  }

  async #parentOf(syncpointId: number, folderId: number): Promise<readonly number[]> {
    const folder = await this.#store.folder(syncpointId, folderId);
    return folder === undefined ? [] : [folder.parentId];
  }

  async #change<T>(syncpointId: number, folderIds: readonly number[], work: () => Promise<T>): Promise<T> {
    const before = new Map<number, FolderListing>();
    for (const folderId of new Set(folderIds)) {
      const listing = await this.#store.list(syncpointId, folderId, { deleted: true });
      // Taken now: a store may read it as it is asked for.
      if (listing !== undefined) {
        const { folder, folders, files } = listing;
        before.set(folderId, { folder, folders: [...folders], files: [...files] });
      }
    }
    const result = await work();
    for (const [folderId, listing] of before) {
      this.#earlier.set(folderId, [...this.#recent(folderId), { changedAt: this.#now(), listing }]);
    }
    return result;
  }

  /** The listings that still stand for the present one. */
  #recent(folderId: number): readonly Earlier[] {
    const since = this.#now() - this.#lagMs;
    const recent = (this.#earlier.get(folderId) ?? []).filter(({ changedAt }) => changedAt > since);
    if (recent.length > 0) this.#earlier.set(folderId, recent);
    else this.#earlier.delete(folderId);
    return recent;
  }

  // --- as the store has it

  readonly syncpoints: ContentStore['syncpoints'] = (options) => this.#store.syncpoints(options);
  readonly createSyncpoint: ContentStore['createSyncpoint'] = (...of) => this.#store.createSyncpoint(...of);
  readonly changeSyncpoint: ContentStore['changeSyncpoint'] = (...of) => this.#store.changeSyncpoint(...of);
  readonly removeSyncpoint: ContentStore['removeSyncpoint'] = (...of) => this.#store.removeSyncpoint(...of);
  readonly folder: ContentStore['folder'] = (...of) => this.#store.folder(...of);
  readonly file: ContentStore['file'] = (...of) => this.#store.file(...of);
  readonly child: ContentStore['child'] = (...of) => this.#store.child(...of);
  readonly fileOfVersion: ContentStore['fileOfVersion'] = (...of) => this.#store.fileOfVersion(...of);
  readonly removedFolder: ContentStore['removedFolder'] = (...of) => this.#store.removedFolder(...of);
  readonly sha256: ContentStore['sha256'] = (...of) => this.#store.sha256(...of);
  readonly versions: ContentStore['versions'] = (...of) => this.#store.versions(...of);
  readonly open: ContentStore['open'] = (...of) => this.#store.open(...of);
  readonly space: ContentStore['space'] = () => this.#store.space();
  readonly contentBytes: ContentStore['contentBytes'] = () => this.#store.contentBytes();
  readonly durable: ContentStore['durable'] = () => this.#store.durable();
  readonly stage: ContentStore['stage'] = () => this.#store.stage();
  readonly kept: ContentStore['kept'] = () => this.#store.kept();
  readonly removeVersion: ContentStore['removeVersion'] = (...of) => this.#store.removeVersion(...of);
  readonly purge: ContentStore['purge'] = (...of) => this.#store.purge(...of);
  readonly leftOut: ContentStore['leftOut'] = () => this.#store.leftOut();
  readonly mutate: ContentStore['mutate'] = (change) => this.#store.mutate(change);
  readonly close: ContentStore['close'] = () => this.#store.close();
}
