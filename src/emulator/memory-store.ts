// A store in memory for tests and for scale: built and changed by calls, nothing on disk.
// Promises: records are replaced, never changed, so a listing taken stays as it was; every change moves the syncpoint's
// LastEvent; a version's bytes never change. Bulk trees cost nothing until one of their files is changed.
import { createHash } from 'node:crypto';
import { mutateMemory } from './memory-mutate.ts';
import { MemoryStaged, MemoryStaging } from './memory-staging.ts';
import { MemoryTrash } from './memory-trash.ts';
import { nothingLeftOut, StoreRefusal } from './store.ts';
import type {
  Child,
  ContentStore,
  FileRecord,
  FileTimes,
  FileToStore,
  FolderListing,
  FolderRecord,
  LeftOut,
  ListOptions,
  Permission,
  Person,
  Staged,
  StoreChange,
  SyncpointRecord,
  Ticks,
  VersionContent,
  VersionRecord,
} from './store.ts';
import { MemoryTree } from './memory-tree.ts';
import { fileSnapshot, folderSnapshot, memoryContent, syntheticFiles } from './memory-nodes.ts';
import type { ContentAt, FileNode, FolderNode, MemoryContent } from './memory-nodes.ts';
import { fileCount, holdsName, syntheticBytes, syntheticFile, syntheticFolder } from './synthetic-tree.ts';
import type { SyntheticRange, SyntheticShape } from './synthetic-tree.ts';

export interface SyncpointOptions {
  readonly type?: number;
  readonly permission?: Permission;
  readonly owner?: Person;
  readonly parentSyncpointId?: number;
  readonly pathToRoot?: string;
}

export type { MemoryContent } from './memory-nodes.ts';

export class MemoryStore implements ContentStore {
  readonly #syncpoints = new Map<number, SyncpointRecord>();
  readonly #tree = new MemoryTree();
  readonly #trash = new MemoryTrash();
  readonly #staging = new MemoryStaging();
  readonly #now: () => Ticks;
  #nextId = 264_000_001;
  #nextSyncpointId = 5_698_001;
  #nextVersionId = 990_000_000_001;
  #nextEventId = 1;

  /** `now` dates what is added; the clock by default. */
  constructor(options: { readonly now?: () => Ticks } = {}) {
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
    this.#syncpoints.set(syncpoint.id, syncpoint);
    this.#tree.keepFolder({
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
    const parent = this.#tree.ownFolder(syncpointId, parentId);
    this.#refuseTaken(parent, name);
    const folder = this.#tree.keepFolder({
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
    const folder = this.#tree.ownFolder(syncpointId, folderId);
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
    this.#tree.files.set(node.record.id, node);
    this.#addVersion(node, content, 0);
    return node.record;
  }

  /** Adds folders of files below `parentId` (the root by default) at no cost in memory; returns the ids' range. */
  addSyntheticTree(syncpointId: number, shape: SyntheticShape, parentId?: number): SyntheticRange {
    const parent = this.#tree.ownFolder(syncpointId, parentId ?? this.#syncpoint(syncpointId).rootFolderId);
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
    this.#tree.ranges.push(range);
    this.#touched(syncpointId);
    return range;
  }

  /** Gives an existing file new bytes under a new version id; the old version stays readable. */
  writeFile(syncpointId: number, fileId: number, content: MemoryContent, modified?: Ticks): FileRecord {
    const node = this.#tree.ownFile(syncpointId, fileId);
    node.record = { ...node.record, modified: modified ?? this.#now() };
    this.#addVersion(node, content, 1);
    return node.record;
  }

  /** Renames or moves a file or folder within its syncpoint; ids stay. */
  move(syncpointId: number, id: number, toFolderId: number, name: string): void {
    const target = this.#tree.ownFolder(syncpointId, toFolderId);
    const folder = this.#tree.folderToChange(syncpointId, id);
    if (folder !== undefined) {
      for (let up: FolderNode | undefined = target; up; up = this.#tree.folders.get(up.record.parentId)) {
        if (up === folder) throw new StoreRefusal('a folder cannot move into itself', 'invalid');
      }
      this.#refuseTaken(target, name);
      this.#tree.ownFolder(syncpointId, folder.record.parentId).folders.delete(folder.record.name);
      folder.record = { ...folder.record, parentId: toFolderId, name };
      target.folders.set(name, folder);
      this.#tree.repath(folder, target.record.virtualPath);
    } else {
      const file = this.#tree.ownFile(syncpointId, id);
      this.#refuseTaken(target, name);
      this.#tree.ownFolder(syncpointId, file.record.folderId).files.delete(file.record.name);
      file.record = { ...file.record, folderId: toFolderId, name };
      target.files.set(name, file);
    }
    this.#touched(syncpointId);
  }

  rename(syncpointId: number, id: number, name: string): void {
    const parentId =
      this.#tree.folderToChange(syncpointId, id)?.record.parentId ??
      this.#tree.ownFile(syncpointId, id).record.folderId;
    this.move(syncpointId, id, parentId, name);
  }

  /** Removes a file, or a folder with all it holds, and leaves nothing in the trash. */
  remove(syncpointId: number, id: number): void {
    const folder = this.#tree.folderToChange(syncpointId, id);
    if (folder !== undefined) this.#takeOutFolder(folder);
    else this.#tree.forgetVersions(this.#takeOutFile(this.#tree.ownFile(syncpointId, id)));
    this.#touched(syncpointId);
  }

  syncpoints(): Promise<readonly SyncpointRecord[]> {
    return Promise.resolve([...this.#syncpoints.values()]);
  }

  list(syncpointId: number, folderId: number, options?: ListOptions): Promise<FolderListing | undefined> {
    const node = this.#tree.folders.get(folderId);
    if (node !== undefined) {
      if (node.record.syncpointId !== syncpointId) return Promise.resolve(undefined);
      const [folders, files] = [folderSnapshot(node), fileSnapshot(node)];
      const listing = { folder: node.record, folders, files };
      if (options?.deleted !== true) return Promise.resolve(listing);
      return Promise.resolve({
        folder: node.record,
        folders: [...folders, ...this.#trash.foldersOf(folderId)],
        files: [...files, ...this.#trash.filesOf(folderId)],
      });
    }
    const found = this.#tree.syntheticFolder(folderId);
    if (found?.range.syncpointId !== syncpointId) return Promise.resolve(undefined);
    return Promise.resolve({
      folder: syntheticFolder(found.range, found.index),
      folders: [],
      files: syntheticFiles(found.range, found.index * found.range.filesPerFolder),
    });
  }

  folder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined> {
    const found = this.#tree.syntheticFolder(folderId);
    const record = this.#tree.folders.get(folderId)?.record ?? (found && syntheticFolder(found.range, found.index));
    return Promise.resolve(record?.syncpointId === syncpointId ? record : undefined);
  }

  file(syncpointId: number, fileId: number): Promise<FileRecord | undefined> {
    const found = this.#tree.syntheticFile(fileId, (range) => range.firstFileId);
    const record = this.#tree.files.get(fileId)?.record ?? (found && syntheticFile(found.range, found.index));
    return Promise.resolve(record?.syncpointId === syncpointId ? record : undefined);
  }

  versions(syncpointId: number, versionId: number): Promise<readonly VersionRecord[] | undefined> {
    const stored = this.#tree.versions.get(versionId);
    if (stored !== undefined) {
      return Promise.resolve(stored.syncpointId === syncpointId ? [...stored.node.versions].reverse() : undefined);
    }
    const found = this.#tree.syntheticFile(versionId, (range) => range.firstVersionId);
    if (found?.range.syncpointId !== syncpointId) return Promise.resolve(undefined);
    const { lengthBytes, added } = syntheticFile(found.range, found.index);
    return Promise.resolve([{ id: versionId, action: 0, lengthBytes, added }]);
  }

  open(syncpointId: number, versionId: number): Promise<VersionContent | undefined> {
    const stored = this.#tree.versions.get(versionId);
    if (stored !== undefined) {
      if (stored.syncpointId !== syncpointId) return Promise.resolve(undefined);
      return Promise.resolve(memoryContent(stored.node.record.name, stored.content));
    }
    const found = this.#tree.syntheticFile(versionId, (range) => range.firstVersionId);
    if (found?.range.syncpointId !== syncpointId) return Promise.resolve(undefined);
    const { name, lengthBytes } = syntheticFile(found.range, found.index);
    const at: ContentAt = (offset, length) => syntheticBytes(versionId, offset, length);
    return Promise.resolve(memoryContent(name, { lengthBytes, at }));
  }

  child(
    syncpointId: number,
    folderId: number,
    name: string,
    { ignoreCase }: { readonly ignoreCase: boolean },
  ): Promise<Child | undefined> {
    const parent = this.#tree.ownFolder(syncpointId, folderId);
    const found =
      this.#childOf(parent, name) ?? (ignoreCase ? this.#childOf(parent, sameButCase(parent, name)) : undefined);
    return Promise.resolve(found);
  }

  fileOfVersion(versionId: number): Promise<{ file: FileRecord; isLatest: boolean } | undefined> {
    const found = this.#tree.syntheticFile(versionId, (range) => range.firstVersionId);
    const file = this.#tree.versions.get(versionId)?.node.record ?? (found && syntheticFile(found.range, found.index));
    return Promise.resolve(file && { file, isLatest: file.versionId === versionId });
  }

  removedFolder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined> {
    const record = this.#trash.folder(folderId)?.record;
    return Promise.resolve(record?.syncpointId === syncpointId ? record : undefined);
  }

  async sha256(syncpointId: number, versionId: number): Promise<string | undefined> {
    const stored = this.#tree.versions.get(versionId);
    if (stored?.sha256 !== undefined && stored.syncpointId === syncpointId) return stored.sha256;
    const content = await this.open(syncpointId, versionId);
    if (content === undefined) return undefined;
    const hash = createHash('sha256');
    for await (const bytes of content.stream(0, content.lengthBytes)) hash.update(bytes);
    const sha256 = hash.digest('hex');
    if (stored !== undefined) stored.sha256 = sha256;
    return sha256;
  }

  async space(): Promise<{ totalBytes: number; usedBytes: number }> {
    const usedBytes = await this.contentBytes();
    return { totalBytes: Math.max(10_000e9, 2 * usedBytes), usedBytes };
  }

  contentBytes(): Promise<number> {
    let bytes = 0;
    for (const { record } of this.#tree.files.values()) bytes += record.lengthBytes;
    for (const range of this.#tree.ranges) bytes += fileCount(range) * range.bytesPerFile;
    return Promise.resolve(bytes);
  }

  // --- changes by the account's own calls

  async createFolder(syncpointId: number, parentId: number, name: string): Promise<FolderRecord> {
    return Promise.resolve(this.addFolder(syncpointId, parentId, name));
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
    const folder = this.#tree.ownFolder(syncpointId, folderId);
    const present = this.#tree.childFile(folder, name);
    if (present !== undefined && replace === 'new-file') {
      this.#tree.forgetVersions(this.#takeOutFile(present));
    }
    let record: FileRecord;
    if (present !== undefined && replace === 'next-version') {
      present.record = { ...present.record, ...times };
      this.#addVersion(present, content, 1);
      ({ record } = present);
    } else record = this.addFile(syncpointId, folderId, name, content, times);
    const stored = this.#tree.versions.get(record.versionId);
    if (stored !== undefined) stored.sha256 = sha256;
    return record;
  }

  async setTimes(
    syncpointId: number,
    fileId: number,
    times: Pick<FileTimes, 'created' | 'modified'>,
  ): Promise<FileRecord> {
    const node = this.#tree.ownFile(syncpointId, fileId);
    node.record = { ...node.record, ...times };
    this.#touched(syncpointId);
    return Promise.resolve(node.record);
  }

  async moveFile(syncpointId: number, fileId: number, toFolderId: number, name: string): Promise<FileRecord> {
    this.move(syncpointId, fileId, toFolderId, name);
    return Promise.resolve(this.#tree.ownFile(syncpointId, fileId).record);
  }

  async moveFolder(syncpointId: number, folderId: number, toFolderId: number, name: string): Promise<FolderRecord> {
    this.move(syncpointId, folderId, toFolderId, name);
    return Promise.resolve(this.#tree.ownFolder(syncpointId, folderId).record);
  }

  async removeFile(syncpointId: number, fileId: number): Promise<void> {
    const node = this.#takeOutFile(this.#tree.ownFile(syncpointId, fileId));
    this.#trash.putFile(node);
    this.#touched(syncpointId);
    return Promise.resolve();
  }

  async removeFolder(syncpointId: number, folderId: number): Promise<void> {
    const node = this.#tree.ownFolder(syncpointId, folderId);
    this.#takeOutFolder(node);
    this.#trash.putFolder(node);
    this.#touched(syncpointId);
    return Promise.resolve();
  }

  async purge(syncpointId: number, id: number): Promise<void> {
    const node = this.#trash.file(id);
    if (node !== undefined) this.#tree.forgetVersions(node);
    this.#trash.forget(id);
    this.#touched(syncpointId);
    return Promise.resolve();
  }

  leftOut(): LeftOut {
    return nothingLeftOut;
  }

  mutate(change: StoreChange): Promise<void> {
    return new Promise((resolve) => {
      mutateMemory(this, this.#tree, this.#syncpoint(change.syncpointId).rootFolderId, change);
      resolve();
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #childOf(parent: FolderNode, name: string | undefined): Child | undefined {
    if (name === undefined) return undefined;
    const file = this.#tree.childFile(parent, name);
    if (file !== undefined) return { kind: 'file', file: file.record };
    const folder = this.#tree.childFolder(parent, name);
    return folder && { kind: 'folder', folder: folder.record };
  }

  #takeOutFile(file: FileNode): FileNode {
    this.#tree.ownFolder(file.record.syncpointId, file.record.folderId).files.delete(file.record.name);
    this.#tree.files.delete(file.record.id);
    return file;
  }

  #takeOutFolder(folder: FolderNode): void {
    const parent = this.#tree.folders.get(folder.record.parentId);
    if (parent === undefined) throw new StoreRefusal('the root folder stays', 'invalid');
    parent.folders.delete(folder.record.name);
    this.#tree.forgetFolder(folder);
  }

  #takeIds(count: number): number {
    const first = this.#nextId;
    this.#nextId += count;
    return first;
  }

  #touched(syncpointId: number): void {
    this.#syncpoints.set(syncpointId, { ...this.#syncpoint(syncpointId), lastEventId: this.#nextEventId++ });
  }

  #syncpoint(syncpointId: number): SyncpointRecord {
    const syncpoint = this.#syncpoints.get(syncpointId);
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
    this.#tree.versions.set(versionId, { node, syncpointId: node.record.syncpointId, content });
    this.#touched(node.record.syncpointId);
  }
}

/** The name of an entry that differs by case only. */
function sameButCase(parent: FolderNode, name: string): string | undefined {
  const folded = name.toLowerCase();
  for (const file of fileSnapshot(parent)) if (file.name.toLowerCase() === folded) return file.name;
  for (const folder of folderSnapshot(parent)) if (folder.name.toLowerCase() === folded) return folder.name;
  return undefined;
}
