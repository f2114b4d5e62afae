// The ids of a directory store, in LMDB: which id stands for which name in which folder, and how often each file changed.
// Promises: an id once told is told again after a restart, wherever its entry moved; ids are never given twice. Must not know: the
// host's directories.
// A damaged one is begun anew, with ids that the lost one cannot have given.
// Only asynchronous writes, read back at once from memory; before a reply names what they tell, `committed` is waited for.
import { mkdir, rm } from 'node:fs/promises';
import { open } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import { lmdbState, markLmdbClosed } from '../base/lmdb-state.ts';
import { DirectoryHistory, historyDatabases } from './directory-history.ts';
import { Slice } from './directory-scan.ts';
import type { FileTimes, SyncpointChange, Ticks } from './store.ts';

/** A child of a folder. `generation` counts the contents of a file; folders keep their ids' ranges instead. */
export interface IndexEntry {
  readonly id: number;
  readonly parentId: number;
  readonly name: string;
  readonly isFolder: boolean;
  readonly fingerprint: string;
  readonly generation: number;
  /** Of a file stored by a call: its times as they were told, which are good while its fingerprint is. */
  readonly times?: FileTimes | undefined;
}

type SyncpointFacts = Omit<SyncpointChange, 'name'>;
type StoredFile = readonly [parentId: number, name: string, fingerprint: string, generation: number, ...times: Ticks[]];
/** `ranges`: the ids of its children, as [start, end) pairs; `unused`: where the free ones of the last pair begin, if it has any. */
type StoredFolder = readonly [parentId: number, name: string, ranges: readonly number[], unused?: number];
type StoredEntry = StoredFile | StoredFolder;

const SCHEMA = 1;
const FIRST_ID = 264_000_001;
const FIRST_SYNCPOINT_ID = 5_698_001;
// A version id is the file's id and its generation in one number below 2^53.
const GENERATIONS = 2 ** 20;
const IDS_MAX = 2 ** 32;
// Folders that grow file by file take ids in blocks, so that listing them stays a few range scans.
const IDS_PER_BLOCK = 16;
// One range scan: 1 ms or so.
const IDS_PER_READ = 512;
const DATABASES = ['meta', 'entries', ...historyDatabases];
// A million entries take a second or two.
const CHECK_LIMIT_MS = 15_000;
// An index begun anew starts as far on as time has gone on: no directory gets new entries at this rate for years. Lasts to 2089.
const IDS_PER_SECOND = 2;
const TIME_BEGAN_MS = Date.UTC(2026, 0);

export function versionIdOf(entry: IndexEntry): number {
  return entry.id * GENERATIONS + entry.generation;
}

export function fileOfVersion(versionId: number): { readonly fileId: number; readonly generation: number } {
  return { fileId: Math.floor(versionId / GENERATIONS), generation: versionId % GENERATIONS };
}

export class DirectoryIndex {
  readonly #path: string;
  readonly #root: RootDatabase;
  readonly #meta: Database<number | readonly [number, number] | SyncpointFacts, string>;
  readonly #entries: Database<StoredEntry, number>;
  /** What is written and not committed; undefined: removed. */
  readonly #pending = new Map<number, { readonly stored: StoredEntry | undefined }>();
  /** Those counted since the start, by syncpoint. */
  readonly #events = new Map<number, number>();
  /** What is known of contents beside the present ones. */
  readonly history: DirectoryHistory;
  #nextId: number;
  #nextSyncpointId: number;

  /** Opens the index in the directory `path`, made when missing. Throws where it is of another schema, or the disk refuses. */
  static async open(path: string): Promise<DirectoryIndex> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    if ((await lmdbState(path, { databases: DATABASES, timeoutMs: CHECK_LIMIT_MS })) !== 'damaged') {
      return new DirectoryIndex(path, 0);
    }
    console.error(`the index in ${path} is damaged: it is made anew, with new ids`);
    await rm(path, { recursive: true });
    await mkdir(path, { mode: 0o700 });
    return new DirectoryIndex(path, Math.max(0, Math.floor((Date.now() - TIME_BEGAN_MS) / 1000)));
  }

  /** `ageSeconds` moves the first ids of a new index on. */
  private constructor(path: string, ageSeconds: number) {
    this.#path = path;
    this.#root = open({ path, noSubdir: false, maxDbs: DATABASES.length + 2 });
    this.#meta = this.#root.openDB({ name: 'meta' });
    this.#entries = this.#root.openDB({ name: 'entries' });
    this.history = new DirectoryHistory(this.#root);
    const schema = this.#number('schema') ?? SCHEMA;
    if (schema !== SCHEMA) throw new Error(`${path} was written by another version (schema ${schema})`);
    this.#nextId = this.#number('nextId') ?? FIRST_ID + ageSeconds * IDS_PER_SECOND;
    this.#nextSyncpointId = this.#number('nextSyncpointId') ?? FIRST_SYNCPOINT_ID + ageSeconds;
  }

  /** The syncpoint of a name, with the id of its root folder; made when new. */
  async syncpoint(name: string): Promise<{ readonly id: number; readonly rootFolderId: number }> {
    // LMDB keys are limited to 1978 bytes; a file name to 255.
    const key = `syncpoint:${name}`;
    const kept = this.#meta.get(key);
    if (Array.isArray(kept)) return { id: kept[0] as number, rootFolderId: kept[1] as number };
    const id = this.#nextSyncpointId++;
    const rootFolderId = this.#take(1);
    void this.#meta.put('schema', SCHEMA);
    void this.#meta.put('nextSyncpointId', this.#nextSyncpointId);
    void this.#entries.put(rootFolderId, [0, '', []]);
    await this.#meta.put(key, [id, rootFolderId]);
    return { id, rootFolderId };
  }

  /** What is known of a syncpoint besides what its directory tells. */
  facts(syncpointId: number): SyncpointFacts {
    const kept = this.#meta.get(`facts:${syncpointId}`);
    return typeof kept === 'object' && !Array.isArray(kept) ? (kept as SyncpointFacts) : {};
  }

  async setFacts(syncpointId: number, facts: SyncpointFacts): Promise<void> {
    if (Object.keys(facts).length === 0) return;
    await this.#meta.put(`facts:${syncpointId}`, { ...this.facts(syncpointId), ...facts });
  }

  /** The syncpoint of one name is that of another now. */
  async renameSyncpoint(from: string, to: string): Promise<void> {
    const kept = this.#meta.get(`syncpoint:${from}`);
    if (kept === undefined) throw new Error(`no syncpoint "${from}" is in the index`);
    void this.#meta.remove(`syncpoint:${from}`);
    await this.#meta.put(`syncpoint:${to}`, kept);
  }

  async forgetSyncpoint(name: string): Promise<void> {
    await this.#meta.remove(`syncpoint:${name}`);
  }

  entry(id: number): IndexEntry | undefined {
    const stored = this.#get(id);
    return stored && toEntry(id, stored);
  }

  /** Everything known of a folder's children, by name. */
  async children(folderId: number): Promise<Map<string, IndexEntry>> {
    const children = new Map<string, IndexEntry>();
    const slice = new Slice();
    const ranges = this.#ranges(folderId);
    for (let at = 0; at < ranges.length; at += 2) {
      const [start = 0, end = 0] = ranges.slice(at, at + 2);
      // Read at once: a cursor left open over other calls would keep old pages from being used again.
      for (let from = start; from < end; from += IDS_PER_READ) {
        for (const { key, value } of this.#entries.getRange({ start: from, end: Math.min(from + IDS_PER_READ, end) })) {
          if (this.#pending.has(key)) continue;
          const entry = toEntry(key, value);
          if (entry.parentId === folderId) children.set(entry.name, entry);
        }
        if (slice.isOver(IDS_PER_READ)) await slice.next();
      }
    }
    for (const [id, { stored }] of this.#pending) {
      if (stored?.[0] === folderId && id !== folderId) children.set(stored[1], toEntry(id, stored));
    }
    return children;
  }

  /** Gives new children their ids, in order; they must be stored with `put`. */
  takeIds(folderId: number, count: number): number[] {
    const [parentId, name, known, storedUnused] = this.#folder(folderId);
    const ranges = [...known];
    const lastEnd = ranges.at(-1) ?? 0;
    const free: number[] = [];
    let unused = storedUnused ?? lastEnd;
    for (; unused < lastEnd && free.length < count; unused++) free.push(unused);
    if (free.length < count) {
      const missing = count - free.length;
      const start = this.#take(Math.max(missing, IDS_PER_BLOCK));
      if (start === lastEnd && ranges.length > 0) ranges[ranges.length - 1] = this.#nextId;
      else ranges.push(start, this.#nextId);
      for (let id = start; id < start + missing; id++) free.push(id);
      unused = start + missing;
    }
    this.#write(folderId, [parentId, name, ranges, unused]);
    return free;
  }

  /** Stores an entry that came from another folder or had another name; `formerParentId` is the folder it was in. */
  move(entry: IndexEntry, formerParentId: number): void {
    if (entry.isFolder) {
      const [, , ranges, ...unused] = this.#folder(entry.id);
      this.#write(entry.id, [entry.parentId, entry.name, ranges, ...unused]);
    } else this.put(entry);
    if (entry.parentId === formerParentId) return;
    const [parentId, name, ranges, ...unused] = this.#folder(entry.parentId);
    const inRange = ranges.some((start, at) => at % 2 === 0 && entry.id >= start && entry.id < (ranges[at + 1] ?? 0));
    // Before the others: the last range is the one that new children take their ids from.
    if (!inRange) this.#write(entry.parentId, [parentId, name, [entry.id, entry.id + 1, ...ranges], ...unused]);
  }

  put(entry: IndexEntry): void {
    const { id, parentId, name, fingerprint, generation, times } = entry;
    const told = times === undefined ? [] : [times.created, times.modified, times.added];
    this.#write(id, entry.isFolder ? [parentId, name, []] : [parentId, name, fingerprint, generation, ...told]);
  }

  /** Forgets an entry and, of a folder, all below it; tells each. */
  async remove(entry: IndexEntry, forgotten?: (entry: IndexEntry) => void): Promise<void> {
    if (entry.isFolder) {
      for (const child of (await this.children(entry.id)).values()) await this.remove(child, forgotten);
    }
    this.#write(entry.id, undefined);
    forgotten?.(entry);
  }

  /** Resolves when all written so far is committed. */
  async committed(): Promise<void> {
    await this.#root.committed;
  }

  async close(): Promise<void> {
    await this.committed();
    await this.#root.close();
    await markLmdbClosed(this.#path);
  }

  /** The event a syncpoint saw last; 0 for none. */
  lastEvent(syncpointId: number): number {
    return this.#events.get(syncpointId) ?? this.#number(`event:${syncpointId}`) ?? 0;
  }

  countEvent(syncpointId: number): void {
    const event = this.lastEvent(syncpointId) + 1;
    this.#events.set(syncpointId, event);
    void this.#meta.put(`event:${syncpointId}`, event);
  }

  #get(id: number): StoredEntry | undefined {
    const pending = this.#pending.get(id);
    return pending === undefined ? this.#entries.get(id) : pending.stored;
  }

  #write(id: number, stored: StoredEntry | undefined): void {
    const pending = { stored };
    this.#pending.set(id, pending);
    const written = stored === undefined ? this.#entries.remove(id) : this.#entries.put(id, stored);
    const forget = (): void => {
      if (this.#pending.get(id) === pending) this.#pending.delete(id);
    };
    // A write that fails is told by `committed`.
    written.then(forget, forget);
  }

  #ranges(folderId: number): readonly number[] {
    const stored = this.#get(folderId);
    return stored !== undefined && isFolder(stored) ? stored[2] : [];
  }

  #folder(id: number): StoredFolder {
    const stored = this.#get(id);
    if (stored === undefined || !isFolder(stored)) throw new Error(`folder ${id} is not in the index`);
    return stored;
  }

  #take(count: number): number {
    const first = this.#nextId;
    if (first + count > IDS_MAX) throw new Error('the index has given all its ids: remove the state directory');
    this.#nextId += count;
    void this.#meta.put('nextId', this.#nextId);
    return first;
  }

  #number(key: string): number | undefined {
    const value = this.#meta.get(key);
    return typeof value === 'number' ? value : undefined;
  }
}

function isFolder(stored: StoredEntry): stored is StoredFolder {
  return typeof stored[2] !== 'string';
}

function toEntry(id: number, stored: StoredEntry): IndexEntry {
  const [parentId, name] = stored;
  if (isFolder(stored)) return { id, parentId, name, isFolder: true, fingerprint: '', generation: 0 };
  const [, , fingerprint, generation, created, modified, added] = stored;
  const entry = { id, parentId, name, isFolder: false, fingerprint, generation };
  if (created === undefined || modified === undefined || added === undefined) return entry;
  return { ...entry, times: { created, modified, added } };
}
