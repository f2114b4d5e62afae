// What a file in memory holds: blocks that were written over a formula that was not, so that files of gigabytes cost nothing
// until they are written to.

/** What a file starts with: bytes, or the pattern of {@link patternBytes} for so many bytes. */
export type Content = Uint8Array | number;

/** The pattern repeats, but for the number each such stretch starts with. */
const PATTERN_BYTES = 65_536;
/** Small enough that a small file costs little. */
const BLOCK_BYTES = 65_536;
const ZEROS = new Uint8Array(BLOCK_BYTES);

const pattern = new Uint8Array(PATTERN_BYTES);
for (let index = 0; index < PATTERN_BYTES; index++) pattern[index] = (index * 31 + (index >> 8)) & 0xff;

/** Bytes [offset, offset + length) of the pattern: each 64 KiB start with their number, the rest repeats. */
export function patternBytes(offset: number, length: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = offset; at < offset + length;) {
    const block = Math.floor(at / PATTERN_BYTES);
    const from = at - block * PATTERN_BYTES;
    const to = Math.min(PATTERN_BYTES, from + offset + length - at);
    if (from < 8) {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(block, 0);
      pieces.push(head.subarray(from, Math.min(8, to)));
    }
    if (to > 8) pieces.push(pattern.subarray(Math.max(8, from), to));
    at += to - from;
  }
  return pieces;
}

export class MemoryFile {
  readonly #blocks = new Map<number, Uint8Array>();
  /** Bytes of the pattern below the blocks; what truncation took away does not come back. */
  #patternEnd = 0;
  #sizeBytes = 0;

  constructor(content: Content = 0) {
    if (typeof content === 'number') this.#patternEnd = this.#sizeBytes = content;
    else this.write(0, content);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(offset: number, length: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    const end = Math.min(offset + length, this.#sizeBytes);
    for (let at = offset; at < end;) {
      const index = Math.floor(at / BLOCK_BYTES);
      const from = at - index * BLOCK_BYTES;
      const to = Math.min(BLOCK_BYTES, from + end - at);
      const block = this.#blocks.get(index);
      if (block === undefined) pieces.push(...this.#unwritten(at, to - from));
      else pieces.push(block.subarray(from, to));
      at += to - from;
    }
    return pieces;
  }

  /** At most a block. */
  #unwritten(offset: number, length: number): Uint8Array[] {
    const patterned = Math.max(0, Math.min(length, this.#patternEnd - offset));
    return [...patternBytes(offset, patterned), ZEROS.subarray(0, length - patterned)].filter(({ length: n }) => n > 0);
  }

  /** Takes a copy of the data. */
  write(offset: number, data: Uint8Array): void {
    for (let done = 0; done < data.length;) {
      const at = offset + done;
      const index = Math.floor(at / BLOCK_BYTES);
      const from = at - index * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - from, data.length - done);
      this.#block(index, length === BLOCK_BYTES).set(data.subarray(done, done + length), from);
      done += length;
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, offset + data.length);
  }

  #block(index: number, overwritten: boolean): Uint8Array {
    let block = this.#blocks.get(index);
    if (block !== undefined) return block;
    block = overwritten ? Buffer.allocUnsafe(BLOCK_BYTES) : new Uint8Array(BLOCK_BYTES);
    if (!overwritten) {
      let at = 0;
      for (const piece of this.#unwritten(index * BLOCK_BYTES, BLOCK_BYTES)) {
        block.set(piece, at);
        at += piece.length;
      }
    }
    this.#blocks.set(index, block);
    return block;
  }

  /** Zeroes a range within the file. */
  punch(offset: number, length: number): void {
    const end = Math.min(offset + length, this.#sizeBytes);
    for (let at = offset; at < end; at += BLOCK_BYTES)
      this.write(at, ZEROS.subarray(0, Math.min(BLOCK_BYTES, end - at)));
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) {
      const last = Math.floor(sizeBytes / BLOCK_BYTES);
      for (const index of this.#blocks.keys()) if (index > last) this.#blocks.delete(index);
      this.#blocks.get(last)?.fill(0, sizeBytes - last * BLOCK_BYTES);
      this.#patternEnd = Math.min(this.#patternEnd, sizeBytes);
    }
    this.#sizeBytes = sizeBytes;
  }
}
