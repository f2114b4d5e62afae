// A store in memory for tests and for scale: built and changed by calls, nothing on disk.
// Promises: records are replaced, never changed, so a listing taken stays as it was; every change moves the syncpoint's
// LastEvent; a version's bytes never change. Bulk trees cost nothing until one of their files is changed.
import { nothingLeftOut, StoreRefusal } from './store.ts';
import type {
  ContentStore,
  FileRecord,
  FolderListing,
  FolderRecord,
  LeftOut,
  Permission,
  Person,
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
        if (up === folder) throw new StoreRefusal('a folder cannot move into itself');
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

  /** Removes a file, or a folder with all it holds. */
  remove(syncpointId: number, id: number): void {
    const folder = this.#tree.folderToChange(syncpointId, id);
    if (folder !== undefined) {
      const parent = this.#tree.folders.get(folder.record.parentId);
      if (parent === undefined) throw new StoreRefusal('the root folder stays');
      parent.folders.delete(folder.record.name);
      this.#tree.forgetFolder(folder);
    } else {
      const file = this.#tree.ownFile(syncpointId, id);
      this.#tree.ownFolder(syncpointId, file.record.folderId).files.delete(file.record.name);
      this.#tree.forgetFile(file);
    }
    this.#touched(syncpointId);
  }

  syncpoints(): Promise<readonly SyncpointRecord[]> {
    return Promise.resolve([...this.#syncpoints.values()]);
  }

  list(syncpointId: number, folderId: number): Promise<FolderListing | undefined> {
    const node = this.#tree.folders.get(folderId);
    if (node !== undefined) {
      if (node.record.syncpointId !== syncpointId) return Promise.resolve(undefined);
      return Promise.resolve({
        folder: node.record,
        folders: folderSnapshot(node),
        files: fileSnapshot(node),
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

  space(): Promise<{ totalBytes: number; usedBytes: number }> {
    let usedBytes = 0;
    for (const { record } of this.#tree.files.values()) usedBytes += record.lengthBytes;
    for (const range of this.#tree.ranges) usedBytes += fileCount(range) * range.bytesPerFile;
    return Promise.resolve({ totalBytes: Math.max(10_000e9, 2 * usedBytes), usedBytes });
  }

  leftOut(): LeftOut {
    return nothingLeftOut;
  }

  mutate(change: StoreChange): Promise<void> {
    return new Promise((resolve) => {
      this.#mutate(change);
      resolve();
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #mutate(change: StoreChange): void {
    const { syncpointId } = change;
    const { parent, name } = this.#resolveParent(syncpointId, change.path);
    const existing = this.#tree.childFile(parent, name) ?? this.#tree.childFolder(parent, name);
    switch (change.change) {
      case 'write': {
        const bytes = Buffer.from(change.text, 'utf8');
        const file = parent.files.get(name);
        if (file === undefined) this.addFile(syncpointId, parent.record.id, name, bytes);
        else this.writeFile(syncpointId, file.record.id, bytes);
        return;
      }
      case 'make-folder':
        this.addFolder(syncpointId, parent.record.id, name);
        return;
      case 'move': {
        if (existing === undefined) throw new StoreRefusal(`no such path: ${change.path}`);
        const to = this.#resolveParent(syncpointId, change.to);
        this.move(syncpointId, existing.record.id, to.parent.record.id, to.name);
        return;
      }
      case 'remove':
        if (existing === undefined) throw new StoreRefusal(`no such path: ${change.path}`);
        this.remove(syncpointId, existing.record.id);
        return;
    }
  }

  #resolveParent(syncpointId: number, path: string): { parent: FolderNode; name: string } {
    const names = path.split('/').filter((name) => name !== '');
    const name = names.pop();
    if (name === undefined) throw new StoreRefusal('a path below the root is needed');
    let parent = this.#tree.ownFolder(syncpointId, this.#syncpoint(syncpointId).rootFolderId);
    for (const step of names) {
      const next = this.#tree.childFolder(parent, step);
      if (next === undefined) throw new StoreRefusal(`no such folder: ${step}`);
      parent = next;
    }
    return { parent, name };
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
    if (syncpoint === undefined) throw new StoreRefusal(`no syncpoint ${syncpointId}`);
    return syncpoint;
  }

  #refuseTaken(parent: FolderNode, name: string): void {
    const taken = parent.files.has(name) || parent.folders.has(name);
    if (name === '' || taken || parent.ranges.some((range) => holdsName(range, name))) {
      throw new StoreRefusal(`name empty or taken: ${name}`);
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
