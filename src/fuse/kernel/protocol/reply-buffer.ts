// Writes the kernel's reply structures into one reused buffer. Knows layouts and rounding, nothing of what is being answered.
// Little-endian, as message.ts.
import type { Attributes, Capacity, Entry } from '../../../fs-ops/operations.ts';
import { PAGE_BYTES, S_IFDIR, S_IFREG, size } from './constants.ts';

const TWO_32 = 2 ** 32;
/** Lifetimes beyond this say the same; and the kernel counts them in jiffies. */
const LIFETIME_SECONDS_MAX = 2 ** 31;

/** A buffer of its own, whose memory is aligned for 32-bit words. */
export class ReplyBuffer {
  readonly bytes: Buffer;
  readonly #words: Uint32Array;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow((sizeBytes + 7) & ~7);
    this.#words = new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length >> 2);
  }

  /** All offsets below are in bytes and multiples of 4. */
  u32(offset: number, value: number): void {
    this.#words[offset >> 2] = value;
  }

  /** An integer within ±2^53, in two's complement. */
  u64(offset: number, value: number): void {
    const at = offset >> 2;
    this.#words[at] = value;
    this.#words[at + 1] = Math.floor(value / TWO_32);
  }

  zero(offset: number, lengthBytes: number): void {
    this.#words.fill(0, offset >> 2, (offset + lengthBytes) >> 2);
  }

  /** fuse_out_header. `error` is a positive errno, or 0; for notifications the negated code. */
  header(lengthBytes: number, error: number, uniqueLow: number, uniqueHigh: number): void {
    const words = this.#words;
    words[0] = lengthBytes;
    words[1] = -error;
    words[2] = uniqueLow;
    words[3] = uniqueHigh;
  }

  /** fuse_attr: 88 bytes. */
  attributes(offset: number, attributes: Attributes): void {
    const words = this.#words;
    const at = offset >> 2;
    this.u64(offset, attributes.inode);
    this.u64(offset + 8, attributes.sizeBytes);
    this.u64(offset + 16, Math.ceil(attributes.sizeBytes / 512));
    this.u64(offset + 24, attributes.accessed.seconds);
    this.u64(offset + 32, attributes.modified.seconds);
    this.u64(offset + 40, attributes.changed.seconds);
    words[at + 12] = attributes.accessed.nanoseconds;
    words[at + 13] = attributes.modified.nanoseconds;
    words[at + 14] = attributes.changed.nanoseconds;
    words[at + 15] = (attributes.type === 'directory' ? S_IFDIR : S_IFREG) | (attributes.permissions & 0o7777);
    words[at + 16] = attributes.linkCount;
    words[at + 17] = attributes.uid;
    words[at + 18] = attributes.gid;
    words[at + 19] = 0;
    words[at + 20] = PAGE_BYTES;
    words[at + 21] = 0;
  }

  /** fuse_entry_out: 128 bytes. The generation is always 0: node numbers are never used again within a mount. */
  entry(offset: number, entry: Entry): void {
    this.u64(offset, entry.node);
    this.u64(offset + 8, 0);
    this.#lifetime(offset + 16, offset + 32, entry.entryLifetimeMs);
    this.#lifetime(offset + 24, offset + 36, entry.attributesLifetimeMs);
    this.attributes(offset + 40, entry.attributes);
  }

  /** fuse_entry_out of a name that does not exist: the kernel remembers that for the lifetime. */
  noEntry(offset: number, entryLifetimeMs: number): void {
    this.zero(offset, size.ENTRY_OUT);
    this.#lifetime(offset + 16, offset + 32, entryLifetimeMs);
  }

  /** fuse_attr_out: 104 bytes. */
  attributesOut(offset: number, attributes: Attributes, lifetimeMs: number): void {
    this.#lifetime(offset, offset + 8, lifetimeMs);
    this.u32(offset + 12, 0);
    this.attributes(offset + 16, attributes);
  }

  /** fuse_open_out: 16 bytes. */
  open(offset: number, handle: number, flags: number): void {
    this.u64(offset, handle);
    this.u32(offset + 8, flags);
    this.u32(offset + 12, 0);
  }

  /** fuse_kstatfs: 80 bytes, in blocks of 4096. */
  capacity(offset: number, capacity: Capacity): void {
    const free = Math.floor(capacity.freeBytes / PAGE_BYTES);
    this.zero(offset, size.STATFS_OUT);
    this.u64(offset, Math.ceil(capacity.totalBytes / PAGE_BYTES));
    this.u64(offset + 8, free);
    this.u64(offset + 16, free);
    this.u64(offset + 24, capacity.totalFiles);
    this.u64(offset + 32, capacity.freeFiles);
    this.u32(offset + 40, PAGE_BYTES);
    this.u32(offset + 44, capacity.nameBytesMax);
    this.u32(offset + 48, PAGE_BYTES);
  }

  /** Seconds and nanoseconds of a lifetime, at their two places. */
  #lifetime(secondsAt: number, nanosecondsAt: number, lifetimeMs: number): void {
    const ms = lifetimeMs > 0 ? lifetimeMs : 0;
    const seconds = Math.min(Math.floor(ms / 1000), LIFETIME_SECONDS_MAX);
    this.u64(secondsAt, seconds);
    this.u32(nanosecondsAt, seconds === LIFETIME_SECONDS_MAX ? 0 : Math.floor((ms - seconds * 1000) * 1e6));
  }
}
