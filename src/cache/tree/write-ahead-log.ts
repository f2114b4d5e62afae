// A file of transactions that the database does not have yet, one record each. Appending to it costs microseconds, a commit of the
// database a sync of the disk: so transactions are logged one by one and committed many at a time. What was logged outlives this
// process, however it ends; what the machine's end leaves of it is read up to its first torn record. Transactions are numbered, since
// emptying the file need not survive the machine's end: what it held may be back, older than the database. Knows no tables' content.
import { closeSync, fdatasync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { Coalesced } from '../../base/coalesced.ts';

/** One write of a transaction: which table, which key, and the value, or undefined for a removal. */
export type LoggedWrite = readonly [table: number, key: Buffer | string, value: unknown];

/** A transaction as it was logged. Numbers count up by one, through restarts. */
export interface LoggedTransaction {
  readonly number: number;
  readonly writes: readonly LoggedWrite[];
}

/** Length of the body, checksum of the rest, number (as a double: exact up to 2^53). */
const HEADER_BYTES = 16;
const CHECKED_FROM = 8;

/** Makes what was written to a descriptor safe against power loss, as fdatasync(2) does. */
export type SyncLog = (descriptor: number) => Promise<void>;

const datasync: SyncLog = promisify(fdatasync);

export class WriteAheadLog {
  readonly #descriptor: number;
  readonly #syncs: Coalesced;
  /** Since it was emptied, a sync failed: the system may have given up pages it could not write, and call the next sync a success. */
  #mayLack = false;
  /** Of whole records. */
  #lengthBytes: number;
  /** Half a record may follow the whole ones. */
  #torn = false;

  /** Opens or makes the log (0600). `sync` stands in for fdatasync(2), for tests. */
  constructor(path: string, sync: SyncLog = datasync) {
    this.#descriptor = openSync(path, 'a+', 0o600);
    this.#syncs = new Coalesced(() => this.#sync(sync));
    this.#lengthBytes = fstatSync(this.#descriptor).size;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Adds a transaction. Throws when the disk takes none of it; then the log is as it was. */
  append(number: number, writes: readonly LoggedWrite[]): void {
    if (this.#torn) this.#truncate(this.#lengthBytes);
    const body = serialize(writes);
    const record = Buffer.allocUnsafe(HEADER_BYTES + body.length);
    record.writeUInt32LE(body.length, 0);
    record.writeDoubleLE(number, CHECKED_FROM);
    body.copy(record, HEADER_BYTES);
    record.writeUInt32LE(crc32(record.subarray(CHECKED_FROM)), 4);
    let written = 0;
    try {
      while (written < record.length) written += writeSync(this.#descriptor, record, written);
    } catch (error) {
      // Half a record would hide those that come after it.
      this.#torn = written > 0;
      if (this.#torn) this.#truncate(this.#lengthBytes);
      throw error;
    }
    this.#lengthBytes += record.length;
  }

  /**
   * Resolves when what was appended before is safe against power loss: who asks meanwhile shares the next sync of the disk. Rejects when one
   * fails, and from then on until the log is emptied.
   */
  sync(): Promise<void> {
    return this.#syncs.run();
  }

  /** The transactions in it, oldest first, up to the first one that is not whole. */
  read(): LoggedTransaction[] {
    const bytes = Buffer.alloc(this.#lengthBytes);
    for (let at = 0; at < bytes.length;) {
      const count = readSync(this.#descriptor, bytes, at, bytes.length - at, at);
      if (count === 0) break;
      at += count;
    }
    const transactions: LoggedTransaction[] = [];
    for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
      const end = at + HEADER_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      if (crc32(bytes.subarray(at + CHECKED_FROM, end)) !== bytes.readUInt32LE(at + 4)) break;
      transactions.push({
        number: bytes.readDoubleLE(at + CHECKED_FROM),
        writes: deserialize(bytes.subarray(at + HEADER_BYTES, end)) as LoggedWrite[],
      });
      at = end;
    }
    return transactions;
  }

  /** Empties it: the database has all of it, safe against power loss. Throws when the file can't be cut; then it is as it was. */
  clear(): void {
    this.#truncate(0);
    this.#lengthBytes = 0;
    this.#mayLack = false;
  }

  /** Closes the file, once nobody syncs it any more. */
  async close(): Promise<void> {
    await this.#syncs.idle();
    closeSync(this.#descriptor);
  }

  async #sync(sync: SyncLog): Promise<void> {
    if (this.#mayLack) throw new Error('an earlier sync of the log failed');
    try {
      await sync(this.#descriptor);
    } catch (error) {
      this.#mayLack = true;
      throw error;
    }
  }

  #truncate(lengthBytes: number): void {
    ftruncateSync(this.#descriptor, lengthBytes);
    this.#torn = false;
  }
}
