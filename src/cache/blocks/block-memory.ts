// The memory for blocks: a least-recently-used set of complete blocks over recycled buffers, one limit for these, for blocks
// still arriving and for blocks held by waiting reads. A buffer is recycled only when nobody can find its block, nobody has
// pinned it, and the present tick is over. Knows nothing of versions, disks or transfers.
import { LRUCache } from 'lru-cache';
import { type Block, blockSizeBytes } from './block.ts';

/** Buffers kept for the next block. Beyond this, memory that fell idle goes back to the allocator. */
const spareBuffersMax = 64;
/** Nor more than this share of the memory's limit. */
const spareShare = 1 / 8;

/**
 * What a small block takes besides its bytes: its version's bookkeeping, keys, buffer object. Measured: 100,000 files of one byte
 * held 250 MiB. Beside a full block it is nothing, so those count as their bytes.
 */
const smallBlockOverheadBytes = 3 * 1024;

/** What a block counts for against the memory's limit. */
function chargeOf(block: Block): number {
  return block.lengthBytes === blockSizeBytes ? blockSizeBytes : block.lengthBytes + smallBlockOverheadBytes;
}

export class BlockMemory {
  readonly bytesMax: number;
  readonly #onEvict: (block: Block) => void;
  readonly #blocks: LRUCache<number, Block>;
  /** Buffers of the full block size, ready for use. */
  readonly #spare: Buffer[] = [];
  /** Buffers that fall free, and what else is to be done, when the present tick ends. */
  readonly #endingBuffers: Buffer[] = [];
  readonly #endings: (() => void)[] = [];
  readonly #spareMax: number;
  #immediate: NodeJS.Immediate | undefined;
  #usedBytes = 0;

  /** `onEvict` hears of each complete block that leaves, for whatever reason. */
  constructor(bytesMax: number, onEvict: (block: Block) => void) {
    this.bytesMax = bytesMax;
    this.#onEvict = onEvict;
    this.#spareMax = Math.min(spareBuffersMax, Math.floor((bytesMax * spareShare) / blockSizeBytes));
    this.#blocks = new LRUCache<number, Block>({
      // A memory smaller than one block still holds one.
      maxSize: Math.max(bytesMax, blockSizeBytes + smallBlockOverheadBytes),
      sizeCalculation: chargeOf,
      dispose: (block) => {
        this.drop(block);
        this.#onEvict(block);
      },
    });
  }

  /** Bytes of all blocks that hold a buffer, complete, arriving or pinned, with the bookkeeping of small ones. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The complete block of this key. `touch` makes it the last to be evicted. */
  find(key: number, touch: boolean): Block | undefined {
    return touch ? this.#blocks.get(key) : this.#blocks.peek(key);
  }

  has(key: number): boolean {
    return this.#blocks.has(key);
  }

  /** Gives the block its buffer, evicting what was used longest ago. Never fails: arriving blocks are limited elsewhere. */
  allocate(block: Block): Buffer {
    const { lengthBytes } = block;
    const charge = chargeOf(block);
    while (this.#usedBytes + charge > this.bytesMax && this.#blocks.size > 0) this.#blocks.pop();
    this.#usedBytes += charge;
    const recycled = lengthBytes === blockSizeBytes ? this.#spare.pop() : undefined;
    return (block.buffer = recycled ?? Buffer.allocUnsafeSlow(lengthBytes));
  }

  /** Makes a complete block findable. */
  insert(block: Block): void {
    this.#blocks.set(block.key, block);
  }

  /** Takes a complete block out of memory, if it is there. */
  delete(key: number): void {
    this.#blocks.delete(key);
  }

  /** The block is no longer to be found; its buffer is free once nobody holds it. */
  drop(block: Block): void {
    block.dropped = true;
    if (block.pins === 0) this.#free(block);
  }

  /** Keeps the buffer from being recycled until {@link unpin}. */
  pin(block: Block): void {
    block.pins++;
  }

  unpin(block: Block): void {
    if (--block.pins === 0 && block.dropped) this.#free(block);
  }

  /** Runs the action when the present tick, with its microtasks, is over. */
  afterTick(action: () => void): void {
    this.#endings.push(action);
    this.#schedule();
  }

  clear(): void {
    this.#blocks.clear();
  }

  #free(block: Block): void {
    const { buffer } = block;
    if (buffer === undefined) return;
    block.buffer = undefined;
    this.#usedBytes -= chargeOf(block);
    if (buffer.length !== blockSizeBytes) return;
    // Pieces of it may have been handed out in this very tick.
    this.#endingBuffers.push(buffer);
    this.#schedule();
  }

  #schedule(): void {
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      const buffers = this.#endingBuffers.splice(0);
      for (const end of this.#endings.splice(0)) end();
      for (const buffer of buffers) if (this.#spare.length < this.#spareMax) this.#spare.push(buffer);
    });
  }
}
