// What is known of one segment of a version: which of its blocks are on disk, and their checksums. A view over the bytes that
// the index stores, changed in place.
import { blockSizeBytes } from './block.ts';

/** Large enough that a big file is a few thousand files and evicting one is cheap, small enough to be evicted as a whole. */
export const segmentBlocks = 64;
export const segmentSizeBytes = segmentBlocks * blockSizeBytes;
const bitmapBytes = segmentBlocks / 8;

/** What a stored block takes: file systems allocate pages. */
export function allocatedBytes(lengthBytes: number): number {
  return Math.ceil(lengthBytes / 4096) * 4096;
}

export class SegmentRecord {
  readonly payload: Buffer;

  constructor(payload: Buffer) {
    this.payload = payload;
  }

  static empty(blockCount: number): SegmentRecord {
    return new SegmentRecord(Buffer.alloc(bitmapBytes + 4 * blockCount));
  }

  /** `at` counts blocks from the segment's start. */
  has(at: number): boolean {
    return ((this.payload[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  /** The checksum of a block it has; undefined where the record is too short to tell. */
  checksum(at: number): number | undefined {
    const offset = bitmapBytes + 4 * at;
    return offset + 4 <= this.payload.length ? this.payload.readUInt32LE(offset) : undefined;
  }

  add(at: number, checksum: number): void {
    this.payload.writeUInt32LE(checksum, bitmapBytes + 4 * at);
    this.payload[at >> 3] = (this.payload[at >> 3] ?? 0) | (1 << (at & 7));
  }

  delete(at: number): void {
    this.payload[at >> 3] = (this.payload[at >> 3] ?? 0) & ~(1 << (at & 7));
  }
}
