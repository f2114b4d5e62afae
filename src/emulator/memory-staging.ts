// Bytes on their way into a store in memory, and content made of the pieces they came in.
// Promises: nothing is copied but small pieces that would hold large buffers. Must not know: files, folders.
import { Readable } from 'node:stream';
import type { MemoryContent } from './memory-nodes.ts';
import type { Staged } from './store.ts';

export class MemoryStaging {
  readonly #kept = new Set<MemoryStaged>();

  stage(): MemoryStaged {
    return new MemoryStaged(this.#kept);
  }

  kept(): readonly Staged[] {
    return [...this.#kept];
  }
}

export class MemoryStaged implements Staged {
  readonly #kept: Set<MemoryStaged>;
  #pieces: Uint8Array[] = [];
  #lengthBytes = 0;
  #note: string | undefined;

  constructor(kept: Set<MemoryStaged>) {
    this.#kept = kept;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  get note(): string | undefined {
    return this.#note;
  }

  append(bytes: Uint8Array): Promise<void> {
    const holdsMuchMore = bytes.buffer.byteLength > 4 * bytes.byteLength;
    this.#pieces.push(holdsMuchMore ? Uint8Array.prototype.slice.call(bytes) : bytes);
    this.#lengthBytes += bytes.byteLength;
    return Promise.resolve();
  }

  cut(lengthBytes: number): Promise<void> {
    for (
      let last = this.#pieces.at(-1);
      last !== undefined && this.#lengthBytes > lengthBytes;
      last = this.#pieces.at(-1)
    ) {
      const over = Math.min(this.#lengthBytes - lengthBytes, last.byteLength);
      this.#pieces.pop();
      if (over < last.byteLength) this.#pieces.push(last.subarray(0, last.byteLength - over));
      this.#lengthBytes -= over;
    }
    return Promise.resolve();
  }

  keep(note: string): Promise<void> {
    this.#note = note;
    this.#kept.add(this);
    return Promise.resolve();
  }

  bytes(): AsyncIterable<Uint8Array> {
    return Readable.from(this.#pieces);
  }

  drop(): Promise<void> {
    this.#pieces = [];
    this.#lengthBytes = 0;
    this.#note = undefined;
    this.#kept.delete(this);
    return Promise.resolve();
  }

  /** The bytes so far as content that stays when this is dropped. */
  content(): MemoryContent {
    const pieces = this.#pieces;
    const [only] = pieces;
    if (pieces.length <= 1) return only ?? new Uint8Array(0);
    const starts: number[] = [];
    let lengthBytes = 0;
    for (const piece of pieces) {
      starts.push(lengthBytes);
      lengthBytes += piece.byteLength;
    }
    return {
      lengthBytes,
      at: (offset, length) => {
        const index = lastAtMost(starts, offset);
        const from = offset - (starts[index] ?? 0);
        return pieces[index]?.subarray(from, from + length) ?? new Uint8Array(0);
      },
    };
  }
}

/** The position of the last of the ascending numbers that is not above `value`. */
function lastAtMost(ascending: readonly number[], value: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((ascending[middle] ?? 0) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
