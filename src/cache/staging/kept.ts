// Generations that are at the service as well, kept because reading them costs no call. The least recently opened goes first when they
// are too many bytes or the disk runs out of room; the tree is told before, so that nothing names a file that is gone.
import type { StagedContent } from '../tree/records.ts';
import { idsOf } from './generation.ts';

/** Has the tree forget the generation, where it still serves it as cache; what the tree does not name any more is then dropped. */
export type Evict = (id: number) => void | Promise<void>;

interface Kept {
  readonly bytes: number;
  readonly evict: Evict;
}

/** What keeping generations as cache takes. */
export interface KeptSurroundings {
  readonly bytesMax: number;
  /** What files take on disk. */
  readonly measured: (id: number) => number;
  readonly inUse: (id: number) => boolean;
  readonly inBackground: (work: Promise<void>) => void;
}

/** Stored generations, the least recently opened first. */
export class KeptGenerations {
  readonly #around: KeptSurroundings;
  /** By the uppermost generation, the least recently opened first. */
  readonly #kept = new Map<number, Kept>();
  #bytes = 0;
  #wantedBytes = 0;
  #evicting = false;

  constructor(around: KeptSurroundings) {
    this.#around = around;
  }

  get bytes(): number {
    return this.#bytes;
  }

  keep(staged: StagedContent, evict: Evict): void {
    this.remove(staged.id);
    const bytes = idsOf(staged).reduce((sum, id) => sum + this.#around.measured(id), 0);
    this.#put(staged.id, { bytes, evict });
    if (this.#bytes > this.#around.bytesMax) this.#evictSoon();
  }

  /** It was opened. */
  touch(id: number): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    this.#kept.delete(id);
    this.#kept.set(id, kept);
  }

  /** It is no cache any more: it was dropped, or changed. */
  remove(id: number): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    this.#kept.delete(id);
    this.#bytes -= kept.bytes;
  }

  /** So many bytes would be welcome on the disk. */
  makeRoom(bytes: number): void {
    if (this.#kept.size === 0) return;
    this.#wantedBytes = bytes;
    this.#evictSoon();
  }

  #evictSoon(): void {
    if (this.#evicting) return;
    this.#evicting = true;
    // Not within the caller's turn: it may be in the middle of a transaction of the tree.
    const work = Promise.resolve()
      .then(() => this.#evictAll())
      .finally(() => (this.#evicting = false));
    this.#around.inBackground(work);
  }

  async #evictAll(): Promise<void> {
    const { bytesMax, inUse } = this.#around;
    for (const [id, kept] of this.#kept) {
      if (this.#bytes <= bytesMax && this.#wantedBytes <= 0) break;
      if (inUse(id)) continue;
      this.remove(id);
      try {
        await kept.evict(id);
      } catch (error) {
        // A full disk takes no transaction either: the next call tries again.
        this.#put(id, kept);
        throw error;
      } finally {
        this.#wantedBytes -= kept.bytes;
      }
    }
    this.#wantedBytes = 0;
  }

  #put(id: number, kept: Kept): void {
    this.#kept.set(id, kept);
    this.#bytes += kept.bytes;
  }
}
