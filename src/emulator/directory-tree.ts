// A host directory as a tree of ids: finds folders by id, lists them from the host anew, gives what is new its id.
// Promises: changes made beside the emulator show at once, and count as events once they are found; nothing outside the directory is
// reached, symbolic links being left out.
// Must not know: contents, trash, HTTP.
import { accessSync, constants, lstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { basename, join } from 'node:path';
import { versionIdOf } from './directory-index.ts';
import type { DirectoryIndex, IndexEntry } from './directory-index.ts';
import { scanDirectory, scannedEntry, Slice } from './directory-scan.ts';
import type { ScannedDirectory, ScannedEntry } from './directory-scan.ts';
import { DirectoryWatch } from './directory-watch.ts';
import { LeftOutReport } from './left-out.ts';
import { Sequencer } from './sequencer.ts';
import { SnapshotCache } from './snapshot-cache.ts';
import { StoreRefusal } from './store.ts';
import type { FileRecord, FileTimes, FolderListing, FolderRecord, LeftOut, SyncpointRecord } from './store.ts';

export interface DirectoryTreeOptions {
  readonly directory: string;
  readonly stateDirectory: string;
  /** `single`: one syncpoint, the directory itself. `children`: one for each directory in it. */
  readonly layout: 'single' | 'children';
  /** Nobody else changes the directory: every change is known without looking. */
  readonly exclusive: boolean;
  readonly index: DirectoryIndex;
  /** Monotonic; for tests. */
  readonly nowMs?: (() => number) | undefined;
}

interface Root {
  readonly syncpoint: SyncpointRecord;
  readonly path: string;
}

/** Where a folder lies. */
export interface Place {
  readonly record: FolderRecord;
  readonly path: string;
}

/** An entry as the disk has it now. */
export interface Found {
  readonly entry: IndexEntry;
  readonly scanned: ScannedEntry;
}

export class DirectoryTree {
  readonly index: DirectoryIndex;
  readonly #options: DirectoryTreeOptions;
  readonly #sequencer = new Sequencer();
  readonly #snapshots = new SnapshotCache();
  readonly #leftOut = new LeftOutReport();
  readonly #watch: DirectoryWatch;
  readonly #queuedListings = new Map<number, Promise<FolderListing | undefined>>();
  #roots: ReadonlyMap<number, Root> = new Map();
  /** What is in folders that were told and is new, or of another version, since: no listing told of it yet. */
  readonly #unseen = new Set<number>();
  /** The syncpoints seen since the start. */
  readonly #begun = new Set<number>();
  /** The listing given last, for the further pages of it. */
  #latest: { readonly folderId: number; readonly at: number; readonly listing: FolderListing } | undefined;
  /** Counts moves and removals of folders: a directory scanned across one was not where it seemed. */
  #structure = 0;

  constructor(options: DirectoryTreeOptions) {
    this.#options = options;
    this.index = options.index;
    const look = (syncpointId: number, folderId: number): Promise<void> => this.#look(syncpointId, folderId);
    this.#watch = new DirectoryWatch({ look, nowMs: options.nowMs });
  }

  /** With `lookForChanges` their last events tell what others changed as well. Refuses while the directory is away. */
  async syncpoints({ lookForChanges = false } = {}): Promise<readonly SyncpointRecord[]> {
    const { directory, exclusive, layout } = this.#options;
    this.requirePresent();
    if (lookForChanges && !exclusive) await this.#watch.look();
    const paths = new Map<string, string>();
    if (layout === 'single') {
      paths.set(basename(directory) || 'root', directory);
    } else {
      const { entries, leftOut } = await scanDirectory(directory);
      this.#leftOut.set(0, directory, leftOut);
      for (const { name, isFolder } of entries) if (isFolder) paths.set(name, join(directory, name));
    }
    const roots = new Map<number, Root>();
    for (const [name, path] of paths) {
      // The single syncpoint keeps its ids when the directory is renamed together with its state.
      const key = layout === 'single' ? '' : name;
      const { id, rootFolderId } = await this.#sequencer.run(0, () => this.index.syncpoint(key));
      // What others did while nobody looked, nobody knows.
      if (!exclusive && !this.#begun.has(id)) this.index.countEvent(id);
      this.#begun.add(id);
      const lastEventId = this.index.lastEvent(id) + 1;
      const permission = isWritable(path) ? 1 : 3;
      const facts = { type: 6, ...this.index.facts(id) };
      roots.set(id, { path, syncpoint: { id, name, rootFolderId, permission, ...facts, lastEventId } });
    }
    this.#roots = roots;
    // An event that was told and is forgotten would stand for another one.
    if (lookForChanges) await this.index.committed();
    return [...roots.values()].map(({ syncpoint }) => syncpoint);
  }

  /** Refuses where the directory is away: a disk that was taken out holds all that it held. */
  requirePresent(): void {
    const { directory } = this.#options;
    if (lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return;
    throw new StoreRefusal(`no such directory: ${directory}`, 'away');
  }

  /** The directory of a syncpoint. */
  rootPath(syncpointId: number): string | undefined {
    return this.#roots.get(syncpointId)?.path;
  }

  /** The syncpoint a folder belongs to. */
  syncpointOf(folderId: number): number | undefined {
    let at = this.index.entry(folderId);
    while (at !== undefined && at.parentId !== 0) at = this.index.entry(at.parentId);
    const rootId = at?.id;
    return [...this.#roots.values()].find(({ syncpoint }) => syncpoint.rootFolderId === rootId)?.syncpoint.id;
  }

  /** Works on folders when nobody else does. */
  withFolders<T>(ids: readonly number[], work: () => Promise<T>): Promise<T> {
    // In one order for all, so that two never wait for each other.
    const [last, ...before] = [...new Set(ids)].sort((a, b) => b - a);
    if (last === undefined) return work();
    return before.reduce<() => Promise<T>>(
      (inner, id) => () => this.#sequencer.run(id, inner),
      () => this.#sequencer.run(last, work),
    )();
  }

  async list(
    syncpointId: number,
    folderId: number,
    options: { readonly maxAgeMs?: number | undefined },
  ): Promise<FolderListing | undefined> {
    const { maxAgeMs = 0 } = options;
    const latest = this.#latest;
    if (latest?.folderId === folderId && performance.now() - latest.at < maxAgeMs) return latest.listing;
    const listing = await this.#listInTurn(syncpointId, folderId);
    if (listing?.folder.syncpointId !== syncpointId) return undefined;
    if (this.#unseen.size > 0) for (const { id } of [...listing.files, ...listing.folders]) this.#unseen.delete(id);
    this.#latest = { folderId, at: performance.now(), listing };
    return listing;
  }

  /** Callers that come while a listing waits for its turn share it; one already being read may be too old for them. */
  #listInTurn(syncpointId: number, folderId: number): Promise<FolderListing | undefined> {
    let queued = this.#queuedListings.get(folderId);
    if (queued === undefined) {
      queued = this.#sequencer.run(folderId, async () => {
        this.#queuedListings.delete(folderId);
        const listing = await this.#list(syncpointId, folderId);
        if (listing === undefined) this.#lost(syncpointId, folderId);
        else this.#watch.told(syncpointId, folderId);
        return listing;
      });
      this.#queuedListings.set(folderId, queued);
    }
    return queued;
  }

  async #look(syncpointId: number, folderId: number): Promise<void> {
    try {
      await this.#listInTurn(syncpointId, folderId);
    } catch {
      // Who lists it is told why it cannot be read.
      this.#lost(syncpointId, folderId);
    }
  }

  /** A folder that was there is not to be read any more. */
  #lost(syncpointId: number, folderId: number): void {
    if (!this.#watch.wasTold(folderId)) return;
    this.#watch.forget(folderId);
    this.index.countEvent(syncpointId);
  }

  /** Follows the folder's names down from its syncpoint's root; undefined when a directory on the way is gone. */
  place(syncpointId: number, folderId: number): Place | undefined {
    const root = this.#roots.get(syncpointId);
    if (root === undefined) return undefined;
    const names: string[] = [];
    let at = folderId;
    let parentId = 0;
    while (at !== root.syncpoint.rootFolderId) {
      const entry = this.index.entry(at);
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
    const structure = this.#structure;
    const place = this.place(syncpointId, folderId);
    if (place === undefined) return undefined;
    let scanned: ScannedDirectory;
    try {
      scanned = await scanDirectory(place.path);
      // Moved meanwhile, its entries seem to have vanished.
      if (structure !== this.#structure) return await this.#list(syncpointId, folderId);
    } catch (error) {
      if (structure !== this.#structure) return this.#list(syncpointId, folderId);
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM')
        this.#leftOut.set(folderId, place.path, [{ name: '', cause: 'unreadable' }]);
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES' || code === 'EPERM') return undefined;
      throw error;
    }
    this.#leftOut.set(folderId, place.path, scanned.leftOut);
    const before = await this.known(folderId);
    // Our own state would change by being listed, and holds the credentials.
    const entries = this.holdsState(place.path)
      ? scanned.entries.filter(({ name }) => !this.#isState(`${place.path}/${name}`))
      : scanned.entries;
    const { known, listing } = await this.#merge(place.record, entries, before);
    this.#snapshots.set(folderId, known);
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
    const ids = newcomers > 0 ? this.index.takeIds(folder.id, newcomers) : [];
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
          this.index.put(entry);
          this.#foundOtherwise(entry);
        }
      } else {
        if (former !== undefined) await this.forget(former);
        const id = ids[taken++] ?? 0;
        entry = { id, parentId: folder.id, name, isFolder, fingerprint: found.fingerprint, generation: 1 };
        this.index.put(entry);
        this.#foundOtherwise(entry);
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
      await this.forget(entry);
    }
    if (changes > 0) {
      this.#changedByOthers(folder);
      await this.index.committed();
    }
    return { known, listing: { folder, folders, files } };
  }

  /** Whether the store's own state lies below a directory: what moves or goes would take it along. */
  holdsState(path: string): boolean {
    return this.#options.stateDirectory.startsWith(`${path}/`);
  }

  #isState(path: string): boolean {
    return path === this.#options.stateDirectory;
  }

  /** What is known of a folder's children. Who changes it, holding the folder, gives it back with `remember`. */
  async known(folderId: number): Promise<Map<string, IndexEntry>> {
    return this.#snapshots.get(folderId) ?? (await this.index.children(folderId));
  }

  remember(folderId: number, known: Map<string, IndexEntry>): void {
    this.#snapshots.set(folderId, known);
  }

  /** The entry of a name as the disk has it now, its id given where it is new. The caller holds the folder. */
  async find(place: Place, name: string): Promise<Found | undefined> {
    const folderId = place.record.id;
    const path = `${place.path}/${name}`;
    const stats = this.#isState(path) ? undefined : statusOf(path);
    if (stats === undefined || !(stats.isFile() || stats.isDirectory())) return undefined;
    const scanned = scannedEntry(name, stats);
    const known = await this.known(folderId);
    const former = known.get(name);
    if (former?.isFolder === scanned.isFolder) {
      const entry = refreshed(former, scanned);
      if (entry === former) return { entry, scanned };
      known.set(name, entry);
      this.remember(folderId, known);
      this.index.put(entry);
      this.#foundOtherwise(entry);
      this.#changedByOthers(place.record);
      return { entry, scanned };
    }
    if (former !== undefined) await this.forget(former);
    this.#changedByOthers(place.record);
    const entry = await this.add(place, scanned);
    this.#foundOtherwise(entry);
    return { entry, scanned };
  }

  /** True for what others made or changed since its folder was listed for anybody. */
  isUnseen(id: number): boolean {
    return this.#unseen.has(id);
  }

  /**
   * True where others made or changed something in a folder, at any depth, since it was listed, that no listing told yet. Who never
   * listed a folder was told nothing else of it. Looks at the disk.
   */
  async holdsUnseen(folderId: number, path: string): Promise<boolean> {
    if (this.#options.exclusive) return false;
    const wasTold = this.#watch.wasTold(folderId);
    const known = await this.known(folderId);
    const { entries } = await scanDirectory(path);
    for (const { name, isFolder, fingerprint } of entries) {
      const entry = known.get(name);
      const isAsTold = entry?.isFolder === isFolder && entry.fingerprint === fingerprint && !this.isUnseen(entry.id);
      if (wasTold && !isAsTold) return true;
      if (isFolder && entry?.isFolder === true && (await this.holdsUnseen(entry.id, `${path}/${name}`))) return true;
    }
    return false;
  }

  /** Gives a new entry its id. The caller holds the folder. */
  async add(place: Place, scanned: ScannedEntry, times?: FileTimes): Promise<IndexEntry> {
    const parentId = place.record.id;
    const { name, isFolder, fingerprint } = scanned;
    const known = await this.known(parentId);
    const [id = 0] = this.index.takeIds(parentId, 1);
    const entry: IndexEntry = { id, parentId, name, isFolder, fingerprint, generation: isFolder ? 0 : 1, times };
    known.set(name, entry);
    this.remember(parentId, known);
    this.index.put(entry);
    return entry;
  }

  /** Forgets an entry with all below it. */
  async forget(entry: IndexEntry): Promise<void> {
    await this.index.remove(entry, ({ id }) => this.#forgetFound(id));
  }

  /** The same for what a call removed, which is an event: that what was below it is gone is none. */
  async forgetRemoved(entry: IndexEntry): Promise<void> {
    await this.index.remove(entry, ({ id }) => {
      this.#watch.forget(id);
      this.#forgetFound(id);
    });
  }

  #forgetFound(id: number): void {
    this.#snapshots.forget(id);
    this.#leftOut.forget(id);
    this.#unseen.delete(id);
  }

  /** An entry is found otherwise than it was known, or is new: who knows its folder does not know that. */
  #foundOtherwise({ id, parentId }: IndexEntry): void {
    if (!this.#options.exclusive && this.#watch.wasTold(parentId)) this.#unseen.add(id);
  }

  /** A folder is found otherwise than it was known. */
  #changedByOthers({ syncpointId, id }: FolderRecord): void {
    if (this.#watch.wasTold(id)) this.index.countEvent(syncpointId);
  }

  /** To be told of each change, when it is made: `structure` where folders moved or went. */
  changed(syncpointId: number, what: 'entries' | 'structure'): void {
    if (what === 'structure') {
      this.#structure++;
      this.#latest = undefined;
    }
    this.index.countEvent(syncpointId);
  }

  leftOut(): LeftOut {
    return this.#leftOut.report();
  }

  /** Looks for others' changes no more; resolves when nothing is under way. */
  async end(): Promise<void> {
    await this.#watch.end();
    await this.#sequencer.idle();
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    // Of another user, on a disk mounted read-only, or gone: in each case nothing can be stored there.
    return false;
  }
}

function statusOf(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    // What cannot be a name here is nobody's.
    if ((error as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

/** The entry as the file is now: itself when unchanged, else its next generation. */
export function refreshed(entry: IndexEntry, { fingerprint }: ScannedEntry): IndexEntry {
  if (fingerprint === entry.fingerprint) return entry;
  return { ...entry, fingerprint, generation: entry.generation + 1, times: undefined };
}

export function fileRecord(syncpointId: number, entry: IndexEntry, found: ScannedEntry): FileRecord {
  return {
    syncpointId,
    id: entry.id,
    folderId: entry.parentId,
    name: entry.name,
    lengthBytes: found.lengthBytes,
    created: entry.times?.created ?? found.created,
    modified: entry.times?.modified ?? found.modified,
    added: entry.times?.added ?? found.changed,
    versionId: versionIdOf(entry),
    deleted: false,
  };
}
