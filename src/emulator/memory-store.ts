// A store in memory for tests and for scale: built and changed by calls, nothing on disk.
// Promises: records are replaced, never changed, so a listing taken stays as it was; every change moves the syncpoint's
// LastEvent; a version's bytes never change. Bulk trees cost nothing until one of their files is changed.
import { mutateMemory } from './memory-mutate.ts';
import { MemoryStaged, MemoryStaging } from './memory-staging.ts';
import { MemoryReader } from './memory-reader.ts';
import { nothingLeftOut, StoreRefusal } from './store.ts';
import type {
  ContentStore,
  FileRecord,
  FileTimes,
  FileToStore,
  FolderRecord,
  LeftOut,
  Permission,
  Person,
  Staged,
  StoreChange,
  SyncpointChange,
  SyncpointRecord,
  Ticks,
} from './store.ts';
import type { FileNode, FolderNode, MemoryContent } from './memory-nodes.ts';
import { holdsName } from './synthetic-tree.ts';
import type { SyntheticRange, SyntheticShape } from './synthetic-tree.ts';

export interface SyncpointOptions {
  readonly type?: number;
  readonly permission?: Permission;
  readonly owner?: Person;
  readonly parentSyncpointId?: number;
  readonly pathToRoot?: string;
}

export type { MemoryContent } from './memory-nodes.ts';

export class MemoryStore extends MemoryReader implements ContentStore {
  readonly #staging = new MemoryStaging();
  readonly #now: () => Ticks;
  #nextId = 264_000_001;
  #nextSyncpointId = 5_698_001;
  #nextVersionId = 990_000_000_001;
  #nextEventId = 1;

  /** `now` dates what is added; the clock by default. */
  constructor(options: { readonly now?: () => Ticks } = {}) {
    super();
    this.#now = options.now ?? (() => BigInt(Date.now()) * 10_000n);
  }

  addSyncpoint(name: string, options: SyncpointOptions = {}): SyncpointRecord {
    const rootFolderId = this.#takeIds(1);
    const syncpoint: SyncpointRecord = {
      id: this.#nextSyncpointId++,
      type: options.type ?? 6,
      name,
      rootFolderId,
      permission: options.permission ?? 1,
      lastEventId: this.#nextEventId++,
      ...(options.owner && { owner: options.owner }),
      ...(options.parentSyncpointId !== undefined && { parentSyncpointId: options.parentSyncpointId }),
      ...(options.pathToRoot !== undefined && { pathToRoot: options.pathToRoot }),
    };
    this.syncpointRecords.set(syncpoint.id, syncpoint);
    this.tree.keepFolder({
      syncpointId: syncpoint.id,
      id: rootFolderId,
      parentId: 0,
      name: '',
      virtualPath: '\\',
      deleted: false,
    });
    return syncpoint;
  }

  addFolder(syncpointId: number, parentId: number, name: string): FolderRecord {
    const parent = this.tree.ownFolder(syncpointId, parentId);
    this.#refuseTaken(parent, name);
    const folder = this.tree.keepFolder({
      syncpointId,
      id: this.#takeIds(1),
      parentId,
      name,
      virtualPath: `${parent.record.virtualPath}${name}\\`,
      deleted: false,
    });
    parent.folders.set(name, folder);
    this.#touched(syncpointId);
    return folder.record;
  }

  addFile(
    syncpointId: number,
    folderId: number,
    name: string,
    content: MemoryContent,
    times: { readonly modified?: Ticks; readonly created?: Ticks } = {},
  ): FileRecord {
    const folder = this.tree.ownFolder(syncpointId, folderId);
    this.#refuseTaken(folder, name);
    const now = this.#now();
    const node: FileNode = {
      record: {
        syncpointId,
        id: this.#takeIds(1),
        folderId,
        name,
        lengthBytes: 0,
        created: times.created ?? times.modified ?? now,
        modified: times.modified ?? now,
        added: now,
        versionId: 0,
        deleted: false,
      },
      versions: [],
    };
    folder.files.set(name, node);
    this.tree.files.set(node.record.id, node);
    this.#addVersion(node, content, 0);
    return node.record;
  }

  /** Adds folders of files below `parentId` (the root by default) at no cost in memory; returns the ids' range. */
  addSyntheticTree(syncpointId: number, shape: SyntheticShape, parentId?: number): SyntheticRange {
    const parent = this.tree.ownFolder(syncpointId, parentId ?? this.#syncpoint(syncpointId).rootFolderId);
    const files = Math.max(shape.folders, 1) * shape.filesPerFolder;
    const range: SyntheticRange = {
      ...shape,
      syncpointId,
      parentId: parent.record.id,
      parentPath: parent.record.virtualPath,
      prefix: parent.ranges.length === 0 ? '' : `${parent.ranges.length}-`,
      firstIndex: 0,
      firstFolderId: this.#takeIds(shape.folders),
      firstFileId: this.#takeIds(files),
      firstVersionId: this.#nextVersionId,
    };
    this.#nextVersionId += files;
    parent.ranges.push(range);
    this.tree.ranges.push(range);
    this.#touched(syncpointId);
    return range;
  }

  /** Gives an existing file new bytes under a new version id; the old version stays readable. */
  writeFile(syncpointId: number, fileId: number, content: MemoryContent, modified?: Ticks): FileRecord {
    const node = this.tree.ownFile(syncpointId, fileId);
    node.record = { ...node.record, modified: modified ?? this.#now() };
    this.#addVersion(node, content, 1);
    return node.record;
  }

  /** Renames or moves a file or folder within its syncpoint; ids stay. */
  move(syncpointId: number, id: number, toFolderId: number, name: string): void {
    const target = this.tree.ownFolder(syncpointId, toFolderId);
    const folder = this.tree.folderToChange(syncpointId, id);
    if (folder !== undefined) {
      for (let up: FolderNode | undefined = target; up; up = this.tree.folders.get(up.record.parentId)) {
        if (up === folder) throw new StoreRefusal('a folder cannot move into itself', 'invalid');
      }
      this.#refuseTaken(target, name);
      this.tree.ownFolder(syncpointId, folder.record.parentId).folders.delete(folder.record.name);
      folder.record = { ...folder.record, parentId: toFolderId, name };
      target.folders.set(name, folder);
      this.tree.repath(folder, target.record.virtualPath);
    } else {
      const file = this.tree.ownFile(syncpointId, id);
      this.#refuseTaken(target, name);
      this.tree.ownFolder(syncpointId, file.record.folderId).files.delete(file.record.name);
      file.record = { ...file.record, folderId: toFolderId, name };
      target.files.set(name, file);
    }
    this.#touched(syncpointId);
  }

  rename(syncpointId: number, id: number, name: string): void {
    const parentId =
      this.tree.folderToChange(syncpointId, id)?.record.parentId ?? this.tree.ownFile(syncpointId, id).record.folderId;
    this.move(syncpointId, id, parentId, name);
  }

  /** Removes a file, or a folder with all it holds, and leaves nothing in the trash. */
  remove(syncpointId: number, id: number): void {
    const folder = this.tree.folderToChange(syncpointId, id);
    if (folder !== undefined) this.#takeOutFolder(folder);
    else this.tree.forgetVersions(this.#takeOutFile(this.tree.ownFile(syncpointId, id)));
    this.#touched(syncpointId);
  }

  // --- changes by the account's own calls

  async createSyncpoint(name: string, type: number): Promise<SyncpointRecord> {
    return Promise.resolve(this.addSyncpoint(name, { type }));
  }

  async changeSyncpoint(syncpointId: number, change: SyncpointChange): Promise<SyncpointRecord> {
    this.syncpointRecords.set(syncpointId, { ...this.#syncpoint(syncpointId), ...change });
    this.#touched(syncpointId);
    return Promise.resolve(this.#syncpoint(syncpointId));
  }

  async removeSyncpoint(syncpointId: number): Promise<void> {
    this.tree.forgetFolder(this.tree.ownFolder(syncpointId, this.#syncpoint(syncpointId).rootFolderId));
    this.syncpointRecords.delete(syncpointId);
    return Promise.resolve();
  }

  async createFolder(syncpointId: number, parentId: number, name: string): Promise<FolderRecord> {
    return Promise.resolve(this.addFolder(syncpointId, parentId, name));
  }

  durable(): Promise<void> {
    return Promise.resolve();
  }

  stage(): Promise<Staged> {
    return Promise.resolve(this.#staging.stage());
  }

  kept(): Promise<readonly Staged[]> {
    return Promise.resolve(this.#staging.kept());
  }

  async storeFile(file: FileToStore): Promise<FileRecord> {
    const { syncpointId, folderId, name, staged, sha256, replace, ...times } = file;
    if (!(staged instanceof MemoryStaged)) throw new TypeError('these bytes are staged in another store');
    const content = staged.content();
    await staged.drop();
    const folder = this.tree.ownFolder(syncpointId, folderId);
    const present = this.tree.childFile(folder, name);
    if (present !== undefined && replace === 'new-file') {
      this.tree.forgetVersions(this.#takeOutFile(present));
    }
    let record: FileRecord;
    if (present !== undefined && replace === 'next-version') {
      present.record = { ...present.record, ...times };
      this.#addVersion(present, content, 1);
      ({ record } = present);
    } else record = this.addFile(syncpointId, folderId, name, content, times);
    const stored = this.tree.versions.get(record.versionId);
    if (stored !== undefined) stored.sha256 = sha256;
    return record;
  }

  async setTimes(
    syncpointId: number,
    fileId: number,
    times: Pick<FileTimes, 'created' | 'modified'>,
  ): Promise<FileRecord> {
    const node = this.tree.ownFile(syncpointId, fileId);
    node.record = { ...node.record, ...times };
    this.#touched(syncpointId);
    return Promise.resolve(node.record);
  }

  async moveFile(syncpointId: number, fileId: number, toFolderId: number, name: string): Promise<FileRecord> {
    this.move(syncpointId, fileId, toFolderId, name);
    return Promise.resolve(this.tree.ownFile(syncpointId, fileId).record);
  }

  async moveFolder(syncpointId: number, folderId: number, toFolderId: number, name: string): Promise<FolderRecord> {
    this.move(syncpointId, folderId, toFolderId, name);
    return Promise.resolve(this.tree.ownFolder(syncpointId, folderId).record);
  }

  async removeFile(syncpointId: number, fileId: number): Promise<void> {
    const node = this.#takeOutFile(this.tree.ownFile(syncpointId, fileId));
    this.trash.putFile(node);
    this.#touched(syncpointId);
    return Promise.resolve();
  }

  async removeFolder(syncpointId: number, folderId: number): Promise<void> {
    const node = this.tree.ownFolder(syncpointId, folderId);
    this.#parentOf(node).folders.delete(node.record.name);
    this.tree.takeOutFolder(node);
    this.trash.putFolder(node);
    this.#touched(syncpointId);
    return Promise.resolve();
  }

  async removeVersion(syncpointId: number, fileId: number, versionId: number): Promise<void> {
    this.tree.forgetVersion(this.tree.ownFile(syncpointId, fileId), versionId);
    return Promise.resolve();
  }

  async purge(syncpointId: number, id: number): Promise<void> {
    for (const node of this.trash.forget(id)) this.tree.forgetVersions(node);
    this.#touched(syncpointId);
    return Promise.resolve();
  }

  leftOut(): LeftOut {
    return nothingLeftOut;
  }

  mutate(change: StoreChange): Promise<void> {
    return new Promise((resolve) => {
      mutateMemory(this, this.tree, this.#syncpoint(change.syncpointId).rootFolderId, change);
      resolve();
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #takeOutFile(file: FileNode): FileNode {
    this.tree.ownFolder(file.record.syncpointId, file.record.folderId).files.delete(file.record.name);
    this.tree.files.delete(file.record.id);
    return file;
  }

  #takeOutFolder(folder: FolderNode): void {
    this.#parentOf(folder).folders.delete(folder.record.name);
    this.tree.forgetFolder(folder);
  }

  #parentOf(folder: FolderNode): FolderNode {
    const parent = this.tree.folders.get(folder.record.parentId);
    if (parent === undefined) throw new StoreRefusal('the root folder stays', 'invalid');
    return parent;
  }

  #takeIds(count: number): number {
    const first = this.#nextId;
    this.#nextId += count;
    return first;
  }

  #touched(syncpointId: number): void {
    this.syncpointRecords.set(syncpointId, { ...this.#syncpoint(syncpointId), lastEventId: this.#nextEventId++ });
  }

  #syncpoint(syncpointId: number): SyncpointRecord {
    const syncpoint = this.syncpointRecords.get(syncpointId);
    if (syncpoint === undefined) throw new StoreRefusal(`no syncpoint ${syncpointId}`, 'missing');
    return syncpoint;
  }

  #refuseTaken(parent: FolderNode, name: string): void {
    const taken = parent.files.has(name) || parent.folders.has(name);
    if (name === '' || taken || parent.ranges.some((range) => holdsName(range, name))) {
      throw new StoreRefusal(`name empty or taken: ${name}`, 'taken');
    }
  }

  #addVersion(node: FileNode, content: MemoryContent, action: number): void {
    const versionId = this.#nextVersionId++;
    const lengthBytes = content instanceof Uint8Array ? content.byteLength : content.lengthBytes;
    const added = this.#now();
    node.record = { ...node.record, versionId, lengthBytes, added };
    node.versions.push({ id: versionId, action, lengthBytes, added });
    this.tree.versions.set(versionId, { node, syncpointId: node.record.syncpointId, content });
    this.#touched(node.record.syncpointId);
  }
}
