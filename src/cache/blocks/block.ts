// One block of one version's content, complete or on its way, and the arithmetic of blocks. Bytes fill a block from its
// start and never change once there, so that a reader may be served from the filled part of a block still arriving.
// Knows nothing of where the bytes come from.

/**
 * Small enough that a random read fetches little, large enough that a block's bookkeeping (a key, a checksum) costs
 * nothing beside its bytes; also what the kernel reads ahead by default.
 */
export const blockSizeBytes = 128 * 1024;

/** Blocks a version may have: keys are `number * blockCountMax + index` and must stay below 2^53. 8 TiB a file. */
export const blockCountMax = 2 ** 26;

/** Somebody who waits for bytes of a block. */
export interface BlockWaiter {
  /** No program waits for it: others go first. */
  readonly isPatient: boolean;
  /** How many bytes from the block's start it needs. */
  neededBytes(block: Block): number;
  /** Called once, as soon as these bytes are there. The block must be pinned before returning to keep its bytes. */
  ready(block: Block): void;
  /** Called instead when the block will not come. */
  fail(error: Error): void;
}

export class Block {
  /** Unique over all versions in this process; see {@link blockCountMax}. */
  readonly key: number;
  readonly index: number;
  readonly lengthBytes: number;
  /** Undefined until the first byte arrives. */
  buffer: Buffer | undefined;
  filledBytes = 0;
  /** While above 0 the buffer is not recycled. */
  pins = 0;
  /** True once nobody may find the block any more: the last pin to go frees the buffer. */
  dropped = false;
  /** True until a reader has used the block, when it was fetched for no reader in particular. */
  unused = false;
  /** Who fills it; undefined while nobody does. Blocks of `'disk'` come from the disk cache. */
  source: object | 'disk' | undefined;
  readonly waiters = new Set<BlockWaiter>();

  constructor(contentNumber: number, index: number, lengthBytes: number) {
    this.key = contentNumber * blockCountMax + index;
    this.index = index;
    this.lengthBytes = lengthBytes;
  }

  get startBytes(): number {
    return this.index * blockSizeBytes;
  }

  get complete(): boolean {
    return this.filledBytes === this.lengthBytes;
  }

  /** Some program waits for it. */
  get urgent(): boolean {
    for (const waiter of this.waiters) if (!waiter.isPatient) return true;
    return false;
  }

  /** Serves those whose bytes are there. */
  wakeWaiters(): void {
    for (const waiter of this.waiters) {
      if (this.filledBytes < waiter.neededBytes(this)) continue;
      this.waiters.delete(waiter);
      waiter.ready(this);
    }
  }

  /** Tells everybody who waits that the block will not come. */
  failWaiters(error: Error): void {
    for (const waiter of [...this.waiters]) {
      this.waiters.delete(waiter);
      waiter.fail(error);
    }
  }
}
