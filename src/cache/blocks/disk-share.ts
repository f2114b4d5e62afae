// How much of its disk the cache may still take: everybody else on the disk fails worse for want of room. Looks at the disk at intervals
// of time, not with every write. Knows no files.
import { createLog } from '../../base/log.ts';

const log = createLog('cache');

/** How long a look at the disk is good: others fill it, too. */
const lookLastsMs = 1_000;

export class DiskShare {
  readonly #look: () => number;
  /** What is left to others. */
  readonly reserveBytes: number;
  #spareBytes = Infinity;
  #lookedMs = -Infinity;

  /** `look` tells what is free of the disk now, in bytes. */
  constructor(look: () => number, reserveBytes: number) {
    this.#look = look;
    this.reserveBytes = reserveBytes;
  }

  /** What may still be taken; less than 0: that much is to be given back. */
  get spareBytes(): number {
    if (performance.now() - this.#lookedMs > lookLastsMs) this.lookAgain();
    return this.#spareBytes;
  }

  /** So much was written since the last look, or, less than 0, removed. */
  took(bytes: number): void {
    this.#spareBytes -= bytes;
  }

  /** Looks at the disk, however short ago that was done. */
  lookAgain(): void {
    this.#lookedMs = performance.now();
    try {
      this.#spareBytes = this.#look() - this.reserveBytes;
    } catch (error) {
      log('the disk does not tell how much of it is free: %s', error instanceof Error ? error.message : String(error));
    }
  }
}
