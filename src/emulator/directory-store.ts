// A store over a host directory: files stay plain files, ids live in an index under a state directory.
// Promises: every listing is read from the host anew, so changes made beside the emulator show at once; a version id names
// one content; nothing outside the directory is reached, symbolic links being left out. LastEvent is not offered: nobody
// tells of changes made beside the emulator.
import { lstatSync, realpathSync, statfsSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { lackOfRoom } from '../base/disk-room.ts';
import { tryLock } from '../base/flock.ts';
import { DirectoryIndex, fileOfVersion, versionIdOf } from './directory-index.ts';
import type { IndexEntry } from './directory-index.ts';
import { mutateDirectory } from './directory-mutate.ts';
import { scanDirectory, scannedEntry, Slice } from './directory-scan.ts';
import type { ScannedDirectory, ScannedEntry } from './directory-scan.ts';
import { openContent } from './file-content.ts';
import { LeftOutReport } from './left-out.ts';
import { Sequencer } from './sequencer.ts';
import { SnapshotCache } from './snapshot-cache.ts';
import { StoreRefusal } from './store.ts';
import type {
  ContentStore,
  FileRecord,
  FolderListing,
  FolderRecord,
  LeftOut,
  StoreChange,
  SyncpointRecord,
  VersionContent,
  VersionRecord,
} from './store.ts';

export interface DirectoryStoreOptions {
  readonly directory: string;
  /** Holds the index; made when missing. */
  readonly stateDirectory: string;
  /** `single`: one syncpoint, the directory itself. `children`: one for each directory in it. */
  readonly layout?: 'single' | 'children';
}

interface Root {
  readonly syncpoint: SyncpointRecord;
  readonly path: string;
}

/** Where a folder lies. */
interface Place {
  readonly record: FolderRecord;
  readonly path: string;
}

export class DirectoryStore implements ContentStore {
  readonly #directory: string;
  readonly #layout: 'single' | 'children';
  readonly #index: DirectoryIndex;
  readonly #lock: FileHandle;
  readonly #stateDirectory: string;
  readonly #sequencer = new Sequencer();
  readonly #snapshots = new SnapshotCache();
  readonly #leftOut = new LeftOutReport();
  readonly #queuedListings = new Map<number, Promise<FolderListing | undefined>>();
  #roots: ReadonlyMap<number, Root> = new Map();
  /** The listing given last, for the further pages of it. */
  #latest: { readonly folderId: number; readonly at: number; readonly listing: FolderListing } | undefined;

  private constructor(
    directory: string,
    stateDirectory: string,
    layout: 'single' | 'children',
    index: DirectoryIndex,
    lock: FileHandle,
  ) {
    this.#stateDirectory = stateDirectory;
    this.#lock = lock;
    this.#directory = directory;
    this.#layout = layout;
    this.#index = index;
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
      const store = new DirectoryStore(
        directory,
        realpathSync(options.stateDirectory),
        options.layout ?? 'single',
        index,
        lock,
      );
      await store.syncpoints();
      return store;
    } catch (error) {
      await lock.close();
      throw error;
    }
  }

  async syncpoints(): Promise<readonly SyncpointRecord[]> {
    const paths = new Map<string, string>();
    if (this.#layout === 'single') {
      paths.set(basename(this.#directory) || 'root', this.#directory);
    } else {
      const { entries, leftOut } = await scanDirectory(this.#directory);
      this.#leftOut.set(0, this.#directory, leftOut);
      for (const { name, isFolder } of entries) if (isFolder) paths.set(name, join(this.#directory, name));
    }
    const roots = new Map<number, Root>();
    for (const [name, path] of paths) {
      // The single syncpoint keeps its ids when the directory is renamed together with its state.
      const key = this.#layout === 'single' ? '' : name;
      const { id, rootFolderId } = await this.#sequencer.run(0, () => this.#index.syncpoint(key));
      roots.set(id, { path, syncpoint: { id, type: 6, name, rootFolderId, permission: 1 } });
    }
    this.#roots = roots;
    return [...roots.values()].map(({ syncpoint }) => syncpoint);
  }

  async list(
    syncpointId: number,
    folderId: number,
    options: { readonly maxAgeMs?: number } = {},
  ): Promise<FolderListing | undefined> {
    const { maxAgeMs = 0 } = options;
    const latest = this.#latest;
    if (latest?.folderId === folderId && performance.now() - latest.at < maxAgeMs) return latest.listing;
    // Callers that come while a listing waits for its turn share it; one already being read may be too old for them.
    let queued = this.#queuedListings.get(folderId);
    if (queued === undefined) {
      queued = this.#sequencer.run(folderId, () => {
        this.#queuedListings.delete(folderId);
        return this.#list(syncpointId, folderId);
      });
      this.#queuedListings.set(folderId, queued);
    }
    const listing = await queued;
    return listing?.folder.syncpointId === syncpointId ? listing : undefined;
  }

  folder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined> {
    return Promise.resolve(this.#place(syncpointId, folderId)?.record);
  }

  async file(syncpointId: number, fileId: number): Promise<FileRecord | undefined> {
    const known = this.#index.entry(fileId);
    if (known === undefined || known.isFolder) return undefined;
    return this.#sequencer.run(known.parentId, async () => {
      const place = this.#place(syncpointId, known.parentId);
      const entry = this.#index.entry(fileId);
      if (place === undefined || entry === undefined) return undefined;
      const stats = lstatSync(`${place.path}/${entry.name}`, { bigint: true, throwIfNoEntry: false });
      if (stats?.isFile() !== true) return undefined;
      const scanned = scannedEntry(entry.name, stats);
      const current = refreshed(entry, scanned);
      if (current !== entry) {
        this.#snapshots.forget(entry.parentId);
        await this.#index.put(current);
      }
      return fileRecord(syncpointId, current, scanned);
    });
  }

  async versions(syncpointId: number, versionId: number): Promise<readonly VersionRecord[] | undefined> {
    const file = await this.file(syncpointId, fileOfVersion(versionId).fileId);
    if (file?.versionId !== versionId) return undefined;
    return [{ id: versionId, action: 0, lengthBytes: file.lengthBytes, added: file.added }];
  }

  async open(syncpointId: number, versionId: number): Promise<VersionContent | undefined> {
    const { fileId, generation } = fileOfVersion(versionId);
    const entry = this.#index.entry(fileId);
    if (entry === undefined || entry.isFolder || entry.generation !== generation) return undefined;
    const place = this.#place(syncpointId, entry.parentId);
    return place && openContent(`${place.path}/${entry.name}`, entry.name, entry.fingerprint);
  }

  space(): Promise<{ totalBytes: number; usedBytes: number }> {
    const { bsize, blocks, bavail } = statfsSync(this.#directory);
    return Promise.resolve({ totalBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize });
  }

  leftOut(): LeftOut {
    return this.#leftOut.report();
  }

  async mutate(change: StoreChange): Promise<void> {
    const root = this.#roots.get(change.syncpointId);
    if (root === undefined) throw new StoreRefusal(`no syncpoint ${change.syncpointId}`);
    await mutateDirectory(root.path, change);
  }

  async close(): Promise<void> {
    await this.#sequencer.idle();
    await this.#index.close();
    await this.#lock.close();
  }

  /** Follows the folder's names down from its syncpoint's root; undefined when a directory on the way is gone. */
  #place(syncpointId: number, folderId: number): Place | undefined {
    const root = this.#roots.get(syncpointId);
    if (root === undefined) return undefined;
    const names: string[] = [];
    let at = folderId;
    let parentId = 0;
    while (at !== root.syncpoint.rootFolderId) {
      const entry = this.#index.entry(at);
      if (entry === undefined || !entry.isFolder || entry.parentId === 0) return undefined;
      if (names.length === 0) parentId = entry.parentId;
      names.push(entry.name);
      at = entry.parentId;
    }
    names.reverse();
    let { path } = root;
    for (const name of ['', ...names]) {
      if (name !== '') path = `${path}/${name}`;
      // Each step by itself: a symbolic link that took a directory's place must not lead elsewhere.
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
    }
    const virtualPath = `\\${names.map((name) => `${name}\\`).join('')}`;
    const record = { syncpointId, id: folderId, parentId, name: names.at(-1) ?? '', virtualPath, deleted: false };
    return { record, path };
  }

  async #list(syncpointId: number, folderId: number): Promise<FolderListing | undefined> {
    const place = this.#place(syncpointId, folderId);
    if (place === undefined) return undefined;
    let scanned: ScannedDirectory;
    try {
      scanned = await scanDirectory(place.path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM')
        this.#leftOut.set(folderId, place.path, [{ name: '', cause: 'unreadable' }]);
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES' || code === 'EPERM') return undefined;
      throw error;
    }
    this.#leftOut.set(folderId, place.path, scanned.leftOut);
    const before = this.#snapshots.get(folderId) ?? (await this.#index.children(folderId));
    // Our own state would change by being listed, and holds the credentials.
    const isOurs = ({ name }: ScannedEntry): boolean => `${place.path}/${name}` === this.#stateDirectory;
    const entries = this.#stateDirectory.startsWith(`${place.path}/`)
      ? scanned.entries.filter((entry) => !isOurs(entry))
      : scanned.entries;
    const { known, listing } = await this.#merge(place.record, entries, before);
    this.#snapshots.set(folderId, known);
    this.#latest = { folderId, at: performance.now(), listing };
    return listing;
  }

  /** Gives what was found its ids and version ids, and forgets what is gone. Resolves when all of it is committed. */
  async #merge(
    folder: FolderRecord,
    scanned: readonly ScannedEntry[],
    before: ReadonlyMap<string, IndexEntry>,
  ): Promise<{ known: Map<string, IndexEntry>; listing: FolderListing }> {
    const { syncpointId } = folder;
    const known = new Map<string, IndexEntry>();
    const files: FileRecord[] = [];
    const folders: FolderRecord[] = [];
    const newcomers = scanned.filter(({ name, isFolder }) => before.get(name)?.isFolder !== isFolder).length;
    const ids = newcomers > 0 ? this.#index.takeIds(folder.id, newcomers) : [];
    let taken = 0;
    let changes = newcomers;
    const slice = new Slice();
    for (const found of scanned) {
      const { name, isFolder } = found;
      if (slice.isOver()) await slice.next();
      const former = before.get(name);
      let entry: IndexEntry;
      if (former?.isFolder === isFolder) {
        entry = refreshed(former, found);
        if (entry !== former) {
          changes++;
          void this.#index.put(entry);
        }
      } else {
        if (former !== undefined) await this.#forget(former);
        const id = ids[taken++] ?? 0;
        entry = { id, parentId: folder.id, name, isFolder, fingerprint: found.fingerprint, generation: 1 };
        void this.#index.put(entry);
      }
      known.set(name, entry);
      if (!entry.isFolder) files.push(fileRecord(syncpointId, entry, found));
      else {
        const virtualPath = `${folder.virtualPath}${name}\\`;
        folders.push({ syncpointId, id: entry.id, parentId: folder.id, name, virtualPath, deleted: false });
      }
    }
    for (const [name, entry] of before) {
      if (known.has(name)) continue;
      changes++;
      await this.#forget(entry);
    }
    if (changes > 0) await this.#index.committed();
    return { known, listing: { folder, folders, files } };
  }

  async #forget(entry: IndexEntry): Promise<void> {
    this.#snapshots.forget(entry.id);
    this.#leftOut.forget(entry.id);
    await this.#index.remove(entry);
  }
}

/** The entry as the file is now: itself when unchanged, else its next generation. */
function refreshed(entry: IndexEntry, { fingerprint }: ScannedEntry): IndexEntry {
  if (fingerprint === entry.fingerprint) return entry;
  return { ...entry, fingerprint, generation: entry.generation + 1 };
}

function fileRecord(syncpointId: number, entry: IndexEntry, found: ScannedEntry): FileRecord {
  return {
    syncpointId,
    id: entry.id,
    folderId: entry.parentId,
    name: entry.name,
    lengthBytes: found.lengthBytes,
    created: found.created,
    modified: found.modified,
    added: found.changed,
    versionId: versionIdOf(entry),
    deleted: false,
  };
}
