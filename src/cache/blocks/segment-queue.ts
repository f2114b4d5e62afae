// Blocks on their way to the disk, by segment, no more bytes than a limit. Promises one writer a segment: what comes for one that is being
// written waits for its end. Must not know: the disk.
import type { Block } from './block.ts';

/** Blocks of one segment to be written, each once, in the order of their indices. */
export interface QueuedSegment {
  readonly segment: string;
  /** Blocks the segment may have. */
  readonly blockCount: number;
  readonly blocks: readonly Block[];
}

export class SegmentQueue {
  readonly bytesMax: number;
  readonly #waiting = new Map<string, { readonly blockCount: number; readonly blocks: Block[] }>();
  readonly #writing = new Set<string>();
  /** Hear of each segment that was written. */
  readonly #writeWaiters: (() => void)[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Of all blocks that were added and not released. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True where `take` has something. */
  get hasNext(): boolean {
    return this.#next() !== undefined;
  }

  isWaiting(segment: string): boolean {
    return this.#waiting.has(segment);
  }

  /** False where the block waits already, or there is no room for it. */
  add(segment: string, block: Block, blockCount: number): boolean {
    if (this.#bytes + block.lengthBytes > this.bytesMax) return false;
    const queued = this.#waiting.get(segment) ?? { blockCount, blocks: [] };
    if (queued.blocks.some((other) => other.index === block.index)) return false;
    queued.blocks.push(block);
    this.#waiting.set(segment, queued);
    this.#bytes += block.lengthBytes;
    return true;
  }

  /** The next segment that nobody writes: the caller's until `end`. */
  take(): QueuedSegment | undefined {
    const segment = this.#next();
    const queued = segment === undefined ? undefined : this.#waiting.get(segment);
    if (segment === undefined || queued === undefined) return undefined;
    this.#waiting.delete(segment);
    this.#writing.add(segment);
    const blocks = queued.blocks.toSorted((a, b) => a.index - b.index);
    return { segment, blockCount: queued.blockCount, blocks };
  }

  /** Blocks that were taken are not needed any more. */
  release(blocks: readonly Block[]): void {
    for (const block of blocks) this.#bytes -= block.lengthBytes;
  }

  /** A segment that was taken is written, or given up. */
  end({ segment }: QueuedSegment): void {
    this.#writing.delete(segment);
    for (const wake of this.#writeWaiters.splice(0)) wake();
  }

  /** Resolves when all that waits or is being written now has ended. */
  async written(): Promise<void> {
    const left = new Set([...this.#waiting.keys(), ...this.#writing]);
    for (;;) {
      for (const segment of left) if (!this.#waiting.has(segment) && !this.#writing.has(segment)) left.delete(segment);
      if (left.size === 0) return;
      await new Promise<void>((resolve) => this.#writeWaiters.push(resolve));
    }
  }

  #next(): string | undefined {
    for (const segment of this.#waiting.keys()) if (!this.#writing.has(segment)) return segment;
    return undefined;
  }
}
