// The tree's database with a log before it: a transaction is in the log when it returns, and in LMDB together with others some
// milliseconds later. Reads see what is logged. Bulk work goes to LMDB at once; what may be lost in a crash is logged together with
// the next transaction that may not. Knows keys and values, not what they mean.
// LMDB is written by transactionSync alone: mixed with asynchronous puts, close() was seen to hang in lmdb 3.2-3.5.
//
// Invariants, asserted in tests:
// W1 what LMDB lacks is in the log, which a sync makes safe against power loss where somebody asks for that; it is emptied only after a
//    commit that is. What may be lost is in the log before, or with, anything that came after it: a crash leaves no later transaction
//    without an earlier one.
// W2 each commit says which transaction is its last: what the log has up to that one is never applied again, not even when
//    emptying the log was undone by the machine's end.
import { open, type Database, type DatabaseOptions, type RootDatabase } from 'lmdb';
import { join } from 'node:path';
import { deferred, type Deferred } from '../../base/deferred.ts';
import { createLog } from '../../base/log.ts';
import { WriteAheadLog, type LoggedWrite, type SyncLog } from './write-ahead-log.ts';

const log = createLog('tree');

/** A commit follows the first transaction after this: what a copy of many files does in between shares it. */
const COMMIT_AFTER_MS = 100;
/** One that failed is tried again after this: LMDB writes a line about each to standard error, and a disk stays full for a while. */
const COMMIT_AGAIN_MS = 5_000;
/** More writes than this are committed at once: some ten milliseconds of work. */
const BUFFERED_WRITES_MAX = 4_000;
const LOG_BYTES_MAX = 8 * 2 ** 20;
/** The table of the store's own, and its one key: the number of the last transaction committed. */
const POSITION_TABLE = 'log';
const COMMITTED_KEY = 'committed';

export type TableKey = Buffer | string;

/** A table as the tree uses it. Keys are buffers whose order is that of their bytes, or texts. */
export interface Table<Value, Key extends TableKey = Buffer> {
  get(key: Key): Value | undefined;
  put(key: Key, value: Value): void;
  remove(key: Key): void;
  /** From `start` on, `end` excluded, in the order of keys; with neither, all. What is written meanwhile may be missing. */
  range(bounds?: {
    readonly start: Buffer;
    readonly end: Buffer;
  }): Generator<{ key: Buffer; value: Value }, void, undefined>;
}

/** `loggable`: lost in a crash until the next transaction that is not, or the next commit, some 100 ms later. */
export type Urgency = 'now' | 'loggable';

interface Buffered {
  readonly table: number;
  readonly key: TableKey;
  /** The key in the table's buffer. */
  readonly text: string;
  /** Undefined: removed. */
  readonly value: unknown;
}

export class LoggedStore {
  readonly #environment: RootDatabase;
  readonly #log: WriteAheadLog;
  readonly #position: Database<number, string>;
  /** Of the last transaction logged. */
  #number: number;
  readonly #tables: Database[] = [];
  /** Written and not committed, by table and key. */
  readonly #buffers: Map<string, Buffered>[] = [];
  #bufferedCount = 0;
  #mode: 'idle' | 'logged' | 'direct' = 'idle';
  #writes: Buffered[] = [];
  /** Of transactions before, which may be lost. */
  #unlogged: Buffered[] = [];
  #undo: { readonly buffer: Map<string, Buffered>; readonly key: string; readonly before: Buffered | undefined }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #nextCommit: Deferred<undefined> | undefined;

  /**
   * Opens or makes the database in `directory`. {@link recover} has to follow when all tables are there. `syncLog` stands in for fdatasync(2),
   * for tests.
   */
  constructor(directory: string, tablesMax: number, syncLog?: SyncLog) {
    this.#environment = open({ path: directory, maxDbs: tablesMax + 1, noSubdir: false });
    this.#position = this.#environment.openDB({ name: POSITION_TABLE });
    this.#number = this.#position.get(COMMITTED_KEY) ?? 0;
    this.#log = new WriteAheadLog(join(directory, 'log'), syncLog);
  }

  /** A table; each call the next number, so that the order of calls is part of the stored form. */
  table<Value, Key extends TableKey = Buffer>(options: DatabaseOptions & { readonly name: string }): Table<Value, Key> {
    const database = this.#environment.openDB<Value, Key>(options);
    const number = this.#tables.push(database as Database) - 1;
    const buffer = new Map<string, Buffered>();
    this.#buffers.push(buffer);
    return {
      get: (key) => {
        const buffered = buffer.size === 0 ? undefined : buffer.get(textOf(key));
        return buffered === undefined ? database.get(key) : (buffered.value as Value | undefined);
      },
      put: (key, value) => {
        this.#write(number, key, value);
      },
      remove: (key) => {
        this.#write(number, key, undefined);
      },
      range: (bounds) => merged(buffer, database as Database<Value, Buffer>, bounds),
    };
  }

  /** Brings what the log has and LMDB lacks, after a crash, into LMDB. */
  recover(): void {
    const committed = this.#number;
    const transactions = this.#log.read().filter(({ number }) => number > committed);
    if (transactions.length > 0) {
      log('%d transactions of an earlier process come out of the log', transactions.length);
      this.#environment.transactionSync(() => {
        for (const { number, writes } of transactions) {
          for (const [table, key, value] of writes) this.#store(table, key, value);
          this.#number = number;
        }
        this.#position.putSync(COMMITTED_KEY, this.#number);
      });
    }
    if (this.#log.lengthBytes > 0) this.#emptyLog();
  }

  /**
   * All of `work`'s writes or, when it throws, none; logged when this returns, unless it may be lost. Within another transaction it is
   * part of that. `urgency` is asked when the work is done.
   */
  transaction<T>(work: () => T, urgency: () => Urgency = () => 'now'): T {
    if (this.#mode !== 'idle') return work();
    this.#mode = 'logged';
    let result: T;
    try {
      result = work();
      if (this.#writes.length > 0) {
        if (urgency() === 'now') this.#append();
        else this.#unlogged.push(...this.#writes);
      }
    } catch (error) {
      for (const { buffer, key, before } of this.#undo.reverse()) {
        if (before === undefined) buffer.delete(key);
        else buffer.set(key, before);
      }
      this.#end();
      throw error;
    }
    this.#bufferedCount += this.#writes.length;
    this.#end();
    if (this.#bufferedCount >= BUFFERED_WRITES_MAX || this.#log.lengthBytes >= LOG_BYTES_MAX) this.#tryCommit();
    else if (this.#bufferedCount > 0) this.#commitLater();
    return result;
  }

  /** As {@link transaction}, for bulk work: committed to LMDB when this returns. */
  bulk<T>(work: () => T): T {
    if (this.#mode !== 'idle') return work();
    this.commit();
    this.#mode = 'direct';
    try {
      return this.#environment.transactionSync(work);
    } finally {
      this.#mode = 'idle';
    }
  }

  /** Commits what is logged; safe against power loss when this returns. Throws when the disk is full; then the log still has it. */
  commit(): void {
    if (this.#mode !== 'idle') throw new Error('a transaction is under way');
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#bufferedCount === 0) return;
    this.#environment.transactionSync(() => {
      for (const buffer of this.#buffers)
        for (const { table, key, value } of buffer.values()) this.#store(table, key, value);
      this.#position.putSync(COMMITTED_KEY, this.#number);
    });
    for (const buffer of this.#buffers) buffer.clear();
    this.#unlogged = [];
    this.#bufferedCount = 0;
    this.#emptyLog();
    this.#nextCommit?.resolve(undefined);
    this.#nextCommit = undefined;
  }

  /** Resolves with the next commit, or at once where nothing waits for one: hurries nothing. */
  committed(): Promise<void> {
    if (this.#bufferedCount === 0 && this.#mode === 'idle') return Promise.resolve();
    this.#nextCommit ??= deferred<undefined>();
    return this.#nextCommit.promise.then(() => undefined);
  }

  /**
   * Resolves when everything so far is safe against power loss, what may be lost included: in the log, which a sync of the disk makes so, or
   * committed, where the log can't be. Rejects where neither can.
   */
  async flushed(): Promise<void> {
    if (this.#bufferedCount === 0) return;
    try {
      if (this.#unlogged.length > 0) this.#append();
      await this.#log.sync();
    } catch (error) {
      log('the log could not be synced: %O', error);
      this.commit();
    }
  }

  /** Commits and closes. */
  async close(): Promise<void> {
    this.commit();
    await this.#environment.close();
    await this.#log.close();
  }

  /** Logs what was written, and before it what was not logged yet; of what was written again since, the last alone. */
  #append(): void {
    const writes: LoggedWrite[] = [];
    const add = (each: Buffered): void => {
      if (this.#buffers[each.table]?.get(each.text) === each) writes.push([each.table, each.key, each.value]);
    };
    this.#unlogged.forEach(add);
    this.#writes.forEach(add);
    this.#log.append(this.#number + 1, writes);
    this.#number += 1;
    this.#unlogged = [];
  }

  #end(): void {
    this.#writes = [];
    this.#undo = [];
    this.#mode = 'idle';
  }

  #commitLater(afterMs = COMMIT_AFTER_MS): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tryCommit();
    }, afterMs).unref();
  }

  /** The log has it whether this succeeds or not; a disk that stays full is told by the log when that takes no more. */
  #tryCommit(): void {
    try {
      this.commit();
    } catch (error) {
      log('what is logged could not be committed: %O', error);
      this.#commitLater(COMMIT_AGAIN_MS);
    }
  }

  /** What stays in it does no harm (W2), and the next commit tries again. */
  #emptyLog(): void {
    try {
      this.#log.clear();
    } catch (error) {
      log('the log could not be emptied: %O', error);
    }
  }

  #write(table: number, key: TableKey, value: unknown): void {
    if (this.#mode === 'direct') {
      this.#store(table, key, value);
      return;
    }
    if (this.#mode === 'idle') {
      this.transaction(() => this.#write(table, key, value));
      return;
    }
    const buffer = this.#buffers[table] as Map<string, Buffered>;
    const text = textOf(key);
    this.#undo.push({ buffer, key: text, before: buffer.get(text) });
    const write = { table, key, text, value };
    buffer.set(text, write);
    this.#writes.push(write);
  }

  #store(table: number, key: TableKey, value: unknown): void {
    const database = this.#tables[table] as Database<unknown, TableKey>;
    if (value === undefined) database.removeSync(key);
    else database.putSync(key, asStored(value));
  }
}

/** Values out of the log are byte arrays where buffers went in. */
function asStored(value: unknown): unknown {
  return value instanceof Uint8Array && !Buffer.isBuffer(value) ? Buffer.from(value) : value;
}

function textOf(key: TableKey): string {
  return typeof key === 'string' ? key : key.toString('latin1');
}

/** What LMDB has within the bounds, and over it what is buffered. */
function* merged<Value>(
  buffer: ReadonlyMap<string, Buffered>,
  database: Database<Value, Buffer>,
  bounds: { readonly start: Buffer; readonly end: Buffer } | undefined,
): Generator<{ key: Buffer; value: Value }, void, undefined> {
  const from = bounds === undefined ? '' : textOf(bounds.start);
  const to = bounds === undefined ? undefined : textOf(bounds.end);
  const over: { readonly text: string; readonly key: Buffer; readonly value: Value | undefined }[] = [];
  for (const [text, { key, value }] of buffer) {
    if (text < from || (to !== undefined && text >= to)) continue;
    over.push({ text, key: key as Buffer, value: value as Value | undefined });
  }
  const stored = bounds === undefined ? database.getRange() : database.getRange(bounds);
  if (over.length === 0) {
    yield* stored;
    return;
  }
  // Latin-1 texts order as their bytes do.
  over.sort((a, b) => (a.text < b.text ? -1 : 1));
  let next = 0;
  const taken = (upTo: string): { key: Buffer; value: Value }[] => {
    const found: { key: Buffer; value: Value }[] = [];
    for (let at = over[next]; at !== undefined && at.text < upTo; at = over[next]) {
      next += 1;
      if (at.value !== undefined) found.push({ key: at.key, value: at.value });
    }
    return found;
  };
  for (const row of stored) {
    const text = textOf(row.key);
    yield* taken(text);
    const same = over[next];
    if (same?.text !== text) {
      yield row;
      continue;
    }
    next += 1;
    if (same.value !== undefined) yield { key: row.key, value: same.value };
  }
  for (; next < over.length; next += 1) {
    const rest = over[next];
    if (rest?.value !== undefined) yield { key: rest.key, value: rest.value };
  }
}
