// What lies in the disk cache, in LMDB: entries of two kinds ("segment" files and small contents kept right here), how many
// bytes they take, and the order of their last use. Writes are gathered and committed together, always synchronously (LMDB is written in one style only); what was not committed when
// the process dies is as if never cached. Every entry carries a checksum over its key too and is dropped when it does not match:
// after a power failure LMDB may show under one key the pages that another had before.
//
// Keys: KIND NAME -> entry; "u" KIND TICK ":" NAME -> nothing, in order of use; "m" -> totals. A tick is not a time: it moves on
// when a share of the cache has been written anew, so that reading what is cached costs a write once a tick, not every time.
import { crc32 } from 'node:zlib';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type RootDatabase, open } from 'lmdb';
import { LRUCache } from 'lru-cache';
import { createLog } from '../../base/log.ts';

const log = createLog('cache');

export type EntryKind = 's' | 'i';

export interface Entry {
  readonly kind: EntryKind;
  readonly name: string;
  readonly payload: Buffer;
  /** What it takes on disk. */
  bytes: number;
  /** Of its last use. */
  tick: number;
  /** The tick its place in the stored order has; -1 before it is stored. */
  storedTick: number;
}

/** Checksum, tick, bytes. */
const headerBytes = 12;
/** Decoded segment entries at hand: 4,096 cover 32 GiB of large files. */
const recentMax = 4096;
/** Uncommitted entries are committed after this, together; a crash loses no more than that. */
const commitDelayMs = 100;
/** Uncommitted bytes that make a commit begin at once. */
const commitBytes = 4 * 2 ** 20;
/** After a commit failed, most likely for want of space. */
const retryDelayMs = 30_000;
const metaKey = 'm';
const metaVersion = 2;

export class CacheIndex {
  readonly #db: RootDatabase<Buffer, string>;
  readonly #path: string;
  /** Hears of failed commits and damaged entries. */
  onError: (error: unknown) => void = (error) => log('the index of the disk cache: %s', String(error));
  readonly #recent = new LRUCache<string, Entry>({ max: recentMax });
  /** Entries to be stored, or (undefined) removed, by the next commit. */
  readonly #dirty = new Map<string, Entry | undefined>();
  /** Places in the order that the next commit gives up. */
  readonly #staleOrder = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #dirtyBytes = 0;
  /** The last commit failed: the next waits for its time. */
  #failing = false;
  readonly #bytes = { s: 0, i: 0 };
  #tick = 0;
  #tickWritten = 0;
  #fileBytes = 0;
  /** Of the file when it was opened. */
  #fileNumber = 0;
  #isLost = false;

  private constructor(directory: string) {
    // No fsync: after a power failure the index is checked before it is used, and its entries have checksums.
    this.#db = open<Buffer, string>({
      path: directory,
      encoding: 'binary',
      compression: false,
      noSync: true,
      overlappingSync: false,
    });
    this.#path = join(directory, 'data.mdb');
  }

  /** Opens the index in its directory, empty if new. Throws when it is not one of ours. */
  static async open(directory: string): Promise<CacheIndex> {
    const index = new CacheIndex(directory);
    try {
      const meta = index.#db.get(metaKey);
      if (meta !== undefined) {
        if (meta.length !== 24 || meta.readUInt32LE(0) !== metaVersion) throw new Error('the index has another format');
        index.#tick = meta.readUInt32LE(4);
        index.#bytes.s = meta.readDoubleLE(8);
        index.#bytes.i = meta.readDoubleLE(16);
      }
      const { ino, blocks } = statSync(index.#path);
      index.#fileNumber = ino;
      index.#fileBytes = blocks * 512;
    } catch (error) {
      await index.#db.close();
      throw error;
    }
    return index;
  }

  /** The index's own size on disk, small contents included. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Its file was removed under it, most likely with the whole cache: there is nothing in it, and nothing can be added. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Bytes not yet committed, kept in memory. */
  get dirtyBytes(): number {
    return this.#dirtyBytes;
  }

  /** Sum of the entries' bytes of a kind. */
  bytes(kind: EntryKind): number {
    return this.#bytes[kind];
  }

  get(kind: EntryKind, name: string): Entry | undefined {
    if (this.#isLost) return undefined;
    const key = kind + name;
    if (this.#dirty.has(key)) return this.#dirty.get(key);
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const value = this.#db.get(key);
    if (value === undefined) return undefined;
    const entry = decode(kind, name, value);
    if (entry === undefined) {
      this.onError(new Error(`the entry ${key} is damaged`));
      this.#dirty.set(key, undefined);
      this.#schedule();
      return undefined;
    }
    if (kind === 's') this.#recent.set(key, entry);
    return entry;
  }

  /** Adds an entry, or notes that one changed in place; `bytes` is what it takes now. */
  put(entry: Entry, bytes: number): void {
    if (this.#isLost) return;
    const key = entry.kind + entry.name;
    this.#bytes[entry.kind] += bytes - entry.bytes;
    entry.bytes = bytes;
    entry.tick = this.#tick;
    this.#dirty.set(key, entry);
    this.#dirtyBytes += entry.payload.length;
    if (entry.kind === 's') this.#recent.set(key, entry);
    this.#schedule();
  }

  /** Notes that an entry was used. */
  touch(entry: Entry): void {
    if (entry.tick !== this.#tick) this.put(entry, entry.bytes);
  }

  remove(entry: Entry): void {
    if (this.#isLost) return;
    const key = entry.kind + entry.name;
    this.#bytes[entry.kind] -= entry.bytes;
    entry.bytes = 0;
    if (entry.storedTick >= 0) this.#staleOrder.add(orderKey(entry.kind, entry.storedTick, entry.name));
    entry.storedTick = -1;
    this.#recent.delete(key);
    this.#dirty.set(key, undefined);
    this.#schedule();
  }

  /** Moves the tick on when `tickBytes` have been written since it last moved. */
  written(bytes: number, tickBytes: number): void {
    this.#tickWritten += bytes;
    if (this.#tickWritten < tickBytes) return;
    this.#tickWritten = 0;
    this.#tick++;
  }

  /** Committed entries of a kind, those used longest ago first. */
  *oldest(kind: EntryKind): Generator<Entry> {
    if (this.#isLost) return;
    for (const key of this.#db.getKeys({ start: `u${kind}`, end: `u${kind}~` })) {
      const colon = key.indexOf(':');
      const tick = Number(key.slice(2, colon));
      const entry = this.get(kind, key.slice(colon + 1));
      if (entry === undefined) this.#staleOrder.add(key);
      else if (entry.tick === tick) yield entry;
    }
  }

  /** Commits everything noted so far. False when that failed; it is kept then, for the next attempt. */
  flush(): boolean {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dirty.size === 0 && this.#staleOrder.size === 0) return true;
    try {
      this.#db.transactionSync(() => this.#write());
    } catch (error) {
      this.#failing = true;
      this.onError(error);
      this.#timer = setTimeout(() => this.flush(), retryDelayMs).unref();
      return false;
    }
    for (const entry of this.#dirty.values()) if (entry !== undefined) entry.storedTick = entry.tick;
    this.#dirty.clear();
    this.#staleOrder.clear();
    this.#dirtyBytes = 0;
    this.#failing = false;
    this.lookForFile();
    return !this.#isLost;
  }

  /** Measures the file, and finds out whether it was removed; it is then lost for good. */
  lookForFile(): void {
    if (this.#isLost) return;
    let reason = 'was replaced';
    try {
      const { ino, blocks } = statSync(this.#path);
      this.#fileBytes = blocks * 512;
      if (ino === this.#fileNumber) return;
    } catch (error) {
      reason = messageOf(error);
    }
    this.#isLost = true;
    this.#fileBytes = 0;
    this.#bytes.s = 0;
    this.#bytes.i = 0;
    this.#recent.clear();
    this.#dirty.clear();
    this.#staleOrder.clear();
    this.#dirtyBytes = 0;
    this.onError(
      new Error(`the cache directory was removed; it is used again after the next mount (${this.#path}: ${reason})`),
    );
  }

  async close(): Promise<void> {
    this.flush();
    clearTimeout(this.#timer);
    await this.#db.close();
  }

  #schedule(): void {
    if (this.#dirtyBytes >= commitBytes && !this.#failing) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), commitDelayMs).unref();
  }

  #write(): void {
    for (const key of this.#staleOrder) this.#db.removeSync(key);
    for (const [key, entry] of this.#dirty) {
      if (entry === undefined) {
        this.#db.removeSync(key);
        continue;
      }
      if (entry.storedTick !== entry.tick) {
        if (entry.storedTick >= 0) this.#db.removeSync(orderKey(entry.kind, entry.storedTick, entry.name));
        this.#db.putSync(orderKey(entry.kind, entry.tick, entry.name), Buffer.alloc(0));
      }
      this.#db.putSync(key, encode(entry));
    }
    const meta = Buffer.alloc(24);
    meta.writeUInt32LE(metaVersion, 0);
    meta.writeUInt32LE(this.#tick, 4);
    meta.writeDoubleLE(this.#bytes.s, 8);
    meta.writeDoubleLE(this.#bytes.i, 16);
    this.#db.putSync(metaKey, meta);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function orderKey(kind: EntryKind, tick: number, name: string): string {
  return `u${kind}${String(tick).padStart(10, '0')}:${name}`;
}

function encode(entry: Entry): Buffer {
  const value = Buffer.allocUnsafe(headerBytes + entry.payload.length);
  value.writeUInt32LE(entry.tick, 4);
  value.writeUInt32LE(entry.bytes, 8);
  entry.payload.copy(value, headerBytes);
  value.writeUInt32LE(checksumOf(entry.kind, entry.name, value), 0);
  return value;
}

/** The entry, or undefined when its checksum does not match. The payload is a copy: LMDB reuses its buffers. */
function decode(kind: EntryKind, name: string, value: Buffer): Entry | undefined {
  if (value.length < headerBytes || value.readUInt32LE(0) !== checksumOf(kind, name, value)) return undefined;
  const tick = value.readUInt32LE(4);
  const payload = Buffer.from(value.subarray(headerBytes));
  return { kind, name, payload, bytes: value.readUInt32LE(8), tick, storedTick: tick };
}

function checksumOf(kind: EntryKind, name: string, value: Buffer): number {
  return crc32(value.subarray(4), crc32(kind + name));
}
