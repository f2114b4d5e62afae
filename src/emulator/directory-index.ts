// The ids of a directory store, in LMDB: which id stands for which name in which folder, and how often each file changed.
// Promises: an id once told is told again after a restart; ids are never given twice. Must not know: the host's directories.
// A damaged one is begun anew, with ids that the lost one cannot have given.
// Only asynchronous writes, and each caller waits for its own: what a reply names is on disk.
import { mkdir, rm } from 'node:fs/promises';
import { open } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import { lmdbState, markLmdbClosed } from '../base/lmdb-state.ts';
import { Slice } from './directory-scan.ts';

/** A child of a folder. `generation` counts the contents of a file; folders keep their ids' ranges instead. */
export interface IndexEntry {
  readonly id: number;
  readonly parentId: number;
  readonly name: string;
  readonly isFolder: boolean;
  readonly fingerprint: string;
  readonly generation: number;
}

/** As stored, by id: [parent, name, fingerprint, generation] of a file, [parent, name, ranges] of a folder. */
type StoredEntry = readonly [number, string, string, number] | readonly [number, string, readonly number[]];

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
const DATABASES = ['meta', 'entries'];
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
  readonly #meta: Database<number | readonly [number, number], string>;
  readonly #entries: Database<StoredEntry, number>;
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
    this.#root = open({ path, noSubdir: false, maxDbs: 4 });
    this.#meta = this.#root.openDB({ name: 'meta' });
    this.#entries = this.#root.openDB({ name: 'entries' });
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

  entry(id: number): IndexEntry | undefined {
    const stored = this.#entries.get(id);
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
          const entry = toEntry(key, value);
          if (entry.parentId === folderId) children.set(entry.name, entry);
        }
        if (slice.isOver(IDS_PER_READ)) await slice.next();
      }
    }
    return children;
  }

  /** Gives new children their ids, in order; they must be stored with `put`. */
  takeIds(folderId: number, count: number): number[] {
    const free: number[] = [];
    const ranges = [...this.#ranges(folderId)];
    // The tail of the last block is free from the first unused id on.
    const lastEnd = ranges.at(-1) ?? 0;
    const lastStart = ranges.at(-2) ?? 0;
    let unused = lastEnd;
    while (unused > Math.max(lastStart, lastEnd - IDS_PER_BLOCK) && !this.#entries.doesExist(unused - 1)) unused--;
    for (; unused < lastEnd && free.length < count; unused++) free.push(unused);
    if (free.length < count) {
      const missing = count - free.length;
      const start = this.#take(Math.max(missing, IDS_PER_BLOCK));
      if (start === lastEnd && ranges.length > 0) ranges[ranges.length - 1] = this.#nextId;
      else ranges.push(start, this.#nextId);
      for (let id = start; id < start + missing; id++) free.push(id);
      const folder = this.#entries.get(folderId);
      if (folder === undefined) throw new Error(`folder ${folderId} is not in the index`);
      void this.#entries.put(folderId, [folder[0], folder[1], ranges]);
    }
    return free;
  }

  put(entry: IndexEntry): Promise<boolean> {
    const { id, parentId, name } = entry;
    return this.#entries.put(
      id,
      entry.isFolder ? [parentId, name, []] : [parentId, name, entry.fingerprint, entry.generation],
    );
  }

  /** Forgets an entry and, of a folder, all below it. */
  async remove(entry: IndexEntry): Promise<void> {
    if (entry.isFolder) {
      for (const child of (await this.children(entry.id)).values()) await this.remove(child);
    }
    void this.#entries.remove(entry.id);
  }

  /** Resolves when all written so far is committed. */
  async committed(): Promise<void> {
    await this.#root.committed;
  }

  async close(): Promise<void> {
    await this.#root.close();
    await markLmdbClosed(this.#path);
  }

  #ranges(folderId: number): readonly number[] {
    const ranges = this.#entries.get(folderId)?.[2];
    return Array.isArray(ranges) ? (ranges as number[]) : [];
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

function toEntry(id: number, stored: StoredEntry): IndexEntry {
  const [parentId, name, third, generation = 0] = stored;
  const isFolder = typeof third !== 'string';
  return { id, parentId, name, isFolder, fingerprint: isFolder ? '' : third, generation };
}
