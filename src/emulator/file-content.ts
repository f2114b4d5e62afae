// The bytes of one version of a host file, held open. Promises: bytes of another content are never yielded: after each
// read the file's status is compared, and a difference throws ContentChanged.
import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { delay } from '../base/abort.ts';
import { fingerprint } from './directory-scan.ts';
import { ContentChanged } from './store.ts';
import type { VersionContent } from './store.ts';

const CHUNK_BYTES = 512 * 1024;
// The kernel stamps changes with its tick (10 ms at the coarsest): two writes within one look alike. Once a stamp is older
// than this, any later write gets another one.
const STAMP_GRAIN_MS = 20;

/** Opens a file that is the store's own and never changes; undefined when it is gone. */
export function openKeptContent(path: string, name: string): Promise<VersionContent | undefined> {
  return opened(path, name, undefined);
}

/** Opens a file whose status has the given fingerprint; undefined when it has another, is gone or is not a plain file. */
export function openContent(path: string, name: string, wanted: string): Promise<VersionContent | undefined> {
  return opened(path, name, wanted);
}

async function opened(path: string, name: string, wanted: string | undefined): Promise<VersionContent | undefined> {
  let file: FileHandle;
  try {
    // O_NONBLOCK: a fifo that took the file's place must not hold us.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // Gone, a link now, or not ours to read: in each case this version cannot be had.
    return undefined;
  }
  try {
    let stats = await file.stat({ bigint: true });
    const ageMs = Date.now() - Number(stats.ctimeNs / 1_000_000n);
    if (wanted !== undefined && ageMs >= 0 && ageMs < STAMP_GRAIN_MS) {
      await delay(STAMP_GRAIN_MS - ageMs);
      stats = await file.stat({ bigint: true });
    }
    if (stats.isFile() && (wanted === undefined || fingerprint(stats) === wanted))
      return new FileContent(file, name, stats);
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

class FileContent implements VersionContent {
  readonly lengthBytes: number;
  readonly name: string;
  readonly #file: FileHandle;
  readonly #stats: BigIntStats;

  constructor(file: FileHandle, name: string, stats: BigIntStats) {
    this.#file = file;
    this.#stats = stats;
    this.name = name;
    this.lengthBytes = Number(stats.size);
  }

  async *stream(offset: number, length: number): AsyncGenerator<Uint8Array> {
    const end = offset + length;
    const size = Math.min(CHUNK_BYTES, length);
    if (size === 0) return;
    // One buffer is on its way to the reader while the other fills.
    const buffers = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)] as const;
    let position = offset;
    let turn = 0;
    let next: Promise<Uint8Array> | undefined = this.#read(buffers[0], position, end);
    try {
      while (next !== undefined) {
        const chunk: Uint8Array = await next;
        position += chunk.byteLength;
        turn = 1 - turn;
        next = position < end ? this.#read(turn === 0 ? buffers[0] : buffers[1], position, end) : undefined;
        // Handled where it is awaited; until then it must not count as unhandled.
        next?.catch(() => undefined);
        yield chunk;
      }
    } finally {
      // The reader left early: the read under way must be over before the file is closed; its outcome matters to no one.
      await next?.catch(() => undefined);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #read(buffer: Buffer, position: number, end: number): Promise<Uint8Array> {
    const { bytesRead } = await this.#file.read(buffer, 0, Math.min(buffer.byteLength, end - position), position);
    const { size, mtimeNs, ctimeNs } = await this.#file.stat({ bigint: true });
    const same = size === this.#stats.size && mtimeNs === this.#stats.mtimeNs && ctimeNs === this.#stats.ctimeNs;
    if (!same || bytesRead === 0) throw new ContentChanged(`${this.name} changed while it was read`);
    return buffer.subarray(0, bytesRead);
  }
}
