// The readers that fetch ahead at present, who share the memory there is for it: with more than fits, each would push out what
// another had fetched and not yet read. Knows nothing of patterns or blocks.

/** A reader that paused for longer has what it fetched in memory, or lost it; others may use its share. */
const activeMs = 3000;
/** Of the memory, what all together may fetch ahead: the rest is for what was just read and for those who wait. */
const aheadShare = 1 / 2;
/** One alone takes no more than half of that: a second one would find nothing left. */
const readersMin = 2;

export class AheadReaders {
  readonly #bytesMax: number;
  /** When each last asked, least recently first. */
  readonly #askedAtMs = new Map<object, number>();

  constructor(memoryBytesMax: number) {
    this.#bytesMax = memoryBytesMax * aheadShare;
  }

  /** The share of a reader that reads now. */
  bytesFor(reader: object): number {
    const now = performance.now();
    this.#askedAtMs.delete(reader);
    this.#askedAtMs.set(reader, now);
    for (const [other, askedAtMs] of this.#askedAtMs) {
      if (now - askedAtMs <= activeMs) break;
      this.#askedAtMs.delete(other);
    }
    return this.#bytesMax / Math.max(readersMin, this.#askedAtMs.size);
  }

  /** The reader has gone. */
  gone(reader: object): void {
    this.#askedAtMs.delete(reader);
  }
}
