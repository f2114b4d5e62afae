// A file of transactions that the database does not have yet, one record each. Appending to it costs microseconds, a commit of the
// database a sync of the disk: so transactions are logged one by one and committed many at a time. What was logged outlives this
// process, however it ends; what the machine's end leaves of it is read up to its first torn record. Knows no tables' content.
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { deserialize, serialize } from 'node:v8';

/** One write of a transaction: which table, which key, and the value, or undefined for a removal. */
export type LoggedWrite = readonly [table: number, key: Buffer | string, value: unknown];

/** Length and checksum. */
const HEADER_BYTES = 8;

export class WriteAheadLog {
  readonly #descriptor: number;
  #lengthBytes: number;

  /** Opens or makes the log (0600). */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'a+', 0o600);
    this.#lengthBytes = fstatSync(this.#descriptor).size;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Adds a transaction. Throws when the disk takes none of it; then the log is as it was. */
  append(writes: readonly LoggedWrite[]): void {
    const body = serialize(writes);
    const record = Buffer.allocUnsafe(HEADER_BYTES + body.length);
    record.writeUInt32LE(body.length, 0);
    record.writeUInt32LE(crc32(body), 4);
    body.copy(record, HEADER_BYTES);
    let written = 0;
    try {
      while (written < record.length) written += writeSync(this.#descriptor, record, written);
    } catch (error) {
      // Half a record would hide those that come after it.
      if (written > 0) ftruncateSync(this.#descriptor, this.#lengthBytes);
      throw error;
    }
    this.#lengthBytes += record.length;
  }

  /** The transactions in it, oldest first, up to the first one that is not whole. */
  read(): LoggedWrite[][] {
    const bytes = Buffer.alloc(this.#lengthBytes);
    for (let at = 0; at < bytes.length;) {
      const count = readSync(this.#descriptor, bytes, at, bytes.length - at, at);
      if (count === 0) break;
      at += count;
    }
    const transactions: LoggedWrite[][] = [];
    for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
      const end = at + HEADER_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      const body = bytes.subarray(at + HEADER_BYTES, end);
      if (crc32(body) !== bytes.readUInt32LE(at + 4)) break;
      transactions.push(deserialize(body) as LoggedWrite[]);
      at = end;
    }
    return transactions;
  }

  /** Empties it: the database has all of it, safe against power loss. */
  clear(): void {
    ftruncateSync(this.#descriptor, 0);
    this.#lengthBytes = 0;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
