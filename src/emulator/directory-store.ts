// A store over a host directory: files stay plain files; ids, older versions, trash and what is on its way live under a state directory.
// Promises: every listing is read from the host anew, so changes made beside the emulator show at once; a version id names one content.
// LastEvent counts what others change as well: where it is asked for, the folders told so far are looked at again.
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { mkdir, open, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { lackOfRoom } from '../base/disk-room.ts';
import { tryLock } from '../base/flock.ts';
import { DirectoryChanges } from './directory-changes.ts';
import { DirectoryIndex, fileOfVersion } from './directory-index.ts';
import { mutateDirectory } from './directory-mutate.ts';
import { DirectoryStaging } from './directory-staging.ts';
import { DirectorySyncpoints } from './directory-syncpoints.ts';
import { DirectoryTree, fileRecord } from './directory-tree.ts';
import { openContent, openKeptContent } from './file-content.ts';
import { KeptFiles } from './kept-files.ts';
import { StoreRefusal } from './store.ts';
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
  Staged,
  StoreChange,
  SyncpointChange,
  SyncpointRecord,
  SyncpointsOptions,
  VersionContent,
  VersionRecord,
} from './store.ts';

export interface DirectoryStoreOptions {
  readonly directory: string;
  /** Holds the index; made when missing. */
  readonly stateDirectory: string;
  /** `single`: one syncpoint, the directory itself. `children`: one for each directory in it. */
  readonly layout?: 'single' | 'children';
  /** Nobody else changes the directory: nothing is looked at again for LastEvent, and it is good across restarts. */
  readonly exclusive?: boolean;
  /** Monotonic; for tests. */
  readonly nowMs?: (() => number) | undefined;
}

export class DirectoryStore implements ContentStore {
  readonly #directory: string;
  readonly #lock: FileHandle;
  readonly #index: DirectoryIndex;
  readonly #tree: DirectoryTree;
  readonly #staging: DirectoryStaging;
  readonly #kept: KeptFiles;
  readonly #changes: DirectoryChanges;
  readonly #syncpoints: DirectorySyncpoints;

  private constructor(directory: string, options: DirectoryStoreOptions, index: DirectoryIndex, lock: FileHandle) {
    const stateDirectory = realpathSync(options.stateDirectory);
    const { layout = 'single', exclusive = false, nowMs } = options;
    this.#directory = directory;
    this.#lock = lock;
    this.#index = index;
    this.#tree = new DirectoryTree({ directory, stateDirectory, layout, exclusive, index, nowMs });
    this.#staging = new DirectoryStaging(stateDirectory);
    this.#kept = new KeptFiles(stateDirectory);
    this.#changes = new DirectoryChanges(this.#tree, this.#kept);
    this.#syncpoints = new DirectorySyncpoints({ directory, layout, tree: this.#tree, kept: this.#kept });
  }

  /** Opens the store; throws StoreRefusal when the directory is missing or not a directory. */
  static async open(options: DirectoryStoreOptions): Promise<DirectoryStore> {
    let directory: string;
    try {
      directory = realpathSync(options.directory);
      if (!lstatSync(directory).isDirectory()) throw new StoreRefusal(`not a directory: ${options.directory}`);
    } catch (error) {
      if (error instanceof StoreRefusal) throw error;
      const { code } = error as NodeJS.ErrnoException;
      throw new StoreRefusal(
        code === 'ENOENT' ? `no such directory: ${options.directory}` : `cannot read ${options.directory} (${code})`,
      );
    }
    await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 });
    const lack = await lackOfRoom(options.stateDirectory);
    if (lack !== undefined) throw new StoreRefusal(`${lack}: free some, or keep the state elsewhere`);
    const lock = await open(join(options.stateDirectory, 'lock'), 'a', 0o600);
    try {
      // Two that give ids from one index would give one id twice.
      if (!tryLock(lock.fd)) throw new StoreRefusal(`another emulator is using ${options.stateDirectory}`);
      const index = await DirectoryIndex.open(join(options.stateDirectory, 'index'));
      const store = new DirectoryStore(directory, options, index, lock);
      await store.syncpoints();
      await store.#changes.finishReplacements();
      await store.#changes.finishMoves();
      return store;
    } catch (error) {
      await lock.close();
      throw error;
    }
  }

  syncpoints(options?: SyncpointsOptions): Promise<readonly SyncpointRecord[]> {
    return this.#tree.syncpoints(options);
  }

  async list(syncpointId: number, folderId: number, options?: ListOptions): Promise<FolderListing | undefined> {
    const listing = await this.#tree.list(syncpointId, folderId, { maxAgeMs: options?.maxAgeMs });
    if (listing === undefined || options?.deleted !== true) return listing;
    // What history tells is read from the disk.
    await this.#index.committed();
    const removed = this.#index.history.removedIn(folderId);
    return {
      folder: listing.folder,
      folders: [...listing.folders, ...removed.flatMap((one) => (one.kind === 'folder' ? [one.record] : []))],
      files: [...listing.files, ...removed.flatMap((one) => (one.kind === 'file' ? [one.record] : []))],
    };
  }

  folder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined> {
    return Promise.resolve(this.#tree.place(syncpointId, folderId)?.record);
  }

  async file(syncpointId: number, fileId: number): Promise<FileRecord | undefined> {
    const known = this.#index.entry(fileId);
    if (known === undefined || known.isFolder) return undefined;
    return this.#tree.withFolders([known.parentId], async () => {
      const place = this.#tree.place(syncpointId, known.parentId);
      const entry = this.#index.entry(fileId);
      if (place === undefined || entry === undefined) return undefined;
      const found = await this.#tree.find(place, entry.name);
      // A version told is one for ever.
      if (found !== undefined && found.entry !== entry) await this.#index.committed();
      return found?.entry.id === fileId ? fileRecord(syncpointId, found.entry, found.scanned) : undefined;
    });
  }

  async child(
    syncpointId: number,
    folderId: number,
    name: string,
    { ignoreCase }: { readonly ignoreCase: boolean },
  ): Promise<Child | undefined> {
    return this.#tree.withFolders([folderId], async () => {
      const place = this.#tree.place(syncpointId, folderId);
      if (place === undefined) return undefined;
      const found =
        (await this.#tree.find(place, name)) ??
        (ignoreCase ? await this.#tree.find(place, sameButCase(place.path, name) ?? name) : undefined);
      if (found === undefined) return undefined;
      const { entry, scanned } = found;
      if (!entry.isFolder) return { kind: 'file', file: fileRecord(syncpointId, entry, scanned) };
      const virtualPath = `${place.record.virtualPath}${entry.name}\\`;
      const { id, name: ownName } = entry;
      return {
        kind: 'folder',
        folder: { syncpointId, id, parentId: folderId, name: ownName, virtualPath, deleted: false },
      };
    });
  }

  async fileOfVersion(versionId: number): Promise<{ file: FileRecord; isLatest: boolean } | undefined> {
    const { fileId, generation } = fileOfVersion(versionId);
    await this.#index.committed();
    const removed = this.#index.history.removed(fileId);
    const entry = this.#index.entry(fileId);
    const syncpointId = entry && this.#tree.syncpointOf(entry.parentId);
    const file =
      removed?.kind === 'file'
        ? removed.record
        : syncpointId === undefined
          ? undefined
          : await this.file(syncpointId, fileId);
    // An id that was never given to a version is none of the file's.
    if (file === undefined || generation === 0 || versionId > file.versionId) return undefined;
    return { file, isLatest: file.versionId === versionId };
  }

  async removedFolder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined> {
    await this.#index.committed();
    const removed = this.#index.history.removed(folderId);
    const isThere = removed?.kind === 'folder' && removed.record.syncpointId === syncpointId;
    return isThere ? removed.record : undefined;
  }

  async sha256(syncpointId: number, versionId: number): Promise<string | undefined> {
    const known = this.#index.history.sha256(versionId);
    if (known !== undefined) return known;
    const content = await this.open(syncpointId, versionId);
    if (content === undefined) return undefined;
    try {
      const hash = createHash('sha256');
      for await (const bytes of content.stream(0, content.lengthBytes)) hash.update(bytes);
      const sha256 = hash.digest('hex');
      this.#index.history.keepHash(versionId, sha256);
      return sha256;
    } finally {
      await content.close();
    }
  }

  async versions(syncpointId: number, versionId: number): Promise<readonly VersionRecord[] | undefined> {
    const { fileId, generation } = fileOfVersion(versionId);
    const file = await this.file(syncpointId, fileId);
    if (file === undefined) return undefined;
    await this.#index.committed();
    const older = this.#index.history.versions(fileId);
    const isKnown = file.versionId === versionId || older.some((one) => one.generation === generation);
    if (!isKnown) return undefined;
    const present = { id: file.versionId, lengthBytes: file.lengthBytes, added: file.added };
    const kept = older.map((one) => ({
      id: file.versionId - fileOfVersion(file.versionId).generation + one.generation,
      lengthBytes: one.lengthBytes,
      added: one.added,
    }));
    return [...kept, present].map((one, index) => ({ ...one, action: index === 0 ? 0 : 1 })).reverse();
  }

  async open(syncpointId: number, versionId: number): Promise<VersionContent | undefined> {
    const { fileId, generation } = fileOfVersion(versionId);
    const present = this.#index.entry(fileId);
    // What history tells is read from the disk.
    if (present?.generation !== generation) await this.#index.committed();
    const removed = present === undefined ? this.#index.history.removed(fileId) : undefined;
    if (removed?.kind === 'file') {
      const { record } = removed;
      if (record.syncpointId !== syncpointId || record.versionId !== versionId) return undefined;
      return openKeptContent(this.#kept.removedPath(fileId), record.name);
    }
    const entry = this.#index.entry(fileId);
    const place = entry && !entry.isFolder ? this.#tree.place(syncpointId, entry.parentId) : undefined;
    if (entry === undefined || place === undefined) return undefined;
    if (entry.generation === generation) {
      return openContent(`${place.path}/${entry.name}`, entry.name, entry.fingerprint);
    }
    const older = this.#index.history.version(fileId, generation);
    return older && openKeptContent(this.#kept.versionPath(fileId, generation), entry.name);
  }

  async space(): Promise<{ totalBytes: number; usedBytes: number }> {
    this.#tree.requirePresent();
    const { bsize, blocks, bavail } = await statfs(this.#directory);
    return { totalBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize };
  }

  async contentBytes(): Promise<number> {
    let bytes = 0;
    for (const { id, rootFolderId } of await this.syncpoints()) {
      const folders = [rootFolderId];
      for (let folderId = folders.pop(); folderId !== undefined; folderId = folders.pop()) {
        const listing = await this.list(id, folderId);
        for (const file of listing?.files ?? []) bytes += file.lengthBytes;
        for (const folder of listing?.folders ?? []) folders.push(folder.id);
      }
    }
    return bytes;
  }

  createSyncpoint(name: string, type: number): Promise<SyncpointRecord> {
    return this.#syncpoints.create(name, type);
  }

  changeSyncpoint(syncpointId: number, change: SyncpointChange): Promise<SyncpointRecord> {
    return this.#syncpoints.change(syncpointId, change);
  }

  removeSyncpoint(syncpointId: number): Promise<void> {
    return this.#syncpoints.remove(syncpointId);
  }

  createFolder(syncpointId: number, parentId: number, name: string): Promise<FolderRecord> {
    return this.#changes.createFolder(syncpointId, parentId, name);
  }

  durable(): Promise<void> {
    return this.#index.committed();
  }

  stage(): Promise<Staged> {
    return Promise.resolve(this.#staging.stage());
  }

  kept(): Promise<readonly Staged[]> {
    return Promise.resolve(this.#staging.kept());
  }

  storeFile(file: FileToStore): Promise<FileRecord> {
    return this.#changes.storeFile(file);
  }

  setTimes(syncpointId: number, fileId: number, times: Pick<FileTimes, 'created' | 'modified'>): Promise<FileRecord> {
    return this.#changes.setTimes(syncpointId, fileId, times);
  }

  moveFile(syncpointId: number, fileId: number, toFolderId: number, name: string): Promise<FileRecord> {
    return this.#changes.moveFile(syncpointId, fileId, toFolderId, name);
  }

  moveFolder(syncpointId: number, folderId: number, toFolderId: number, name: string): Promise<FolderRecord> {
    return this.#changes.moveFolder(syncpointId, folderId, toFolderId, name);
  }

  removeFile(syncpointId: number, fileId: number): Promise<void> {
    return this.#changes.removeFile(syncpointId, fileId);
  }

  removeFolder(syncpointId: number, folderId: number): Promise<void> {
    return this.#changes.removeFolder(syncpointId, folderId);
  }

  removeVersion(_syncpointId: number, _fileId: number, versionId: number): Promise<void> {
    const { fileId, generation } = fileOfVersion(versionId);
    return this.#changes.removeVersion(fileId, generation);
  }

  purge(syncpointId: number, id: number): Promise<void> {
    return this.#changes.purge(syncpointId, id);
  }

  leftOut(): LeftOut {
    return this.#tree.leftOut();
  }

  async mutate(change: StoreChange): Promise<void> {
    const path = this.#tree.rootPath(change.syncpointId);
    if (path === undefined) throw new StoreRefusal(`no syncpoint ${change.syncpointId}`, 'missing');
    await mutateDirectory(path, change);
    this.#tree.changed(change.syncpointId, 'entries');
  }

  async close(): Promise<void> {
    await this.#tree.end();
    await this.#staging.close();
    await this.#index.close();
    await this.#lock.close();
  }
}

/** The name of an entry that differs by case only. */
function sameButCase(path: string, name: string): string | undefined {
  const folded = name.toLowerCase();
  return readdirSync(path).find((other) => other.toLowerCase() === folded);
}
