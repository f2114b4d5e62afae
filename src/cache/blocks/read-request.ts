// One read that could not be answered at once: gathers the blocks it needs as they arrive, keeps them in memory meanwhile,
// and ends early, for itself alone, when its signal aborts. Knows nothing of transfers.
import { abortReason } from '../../base/abort.ts';
import { type Block, type BlockWaiter, blockSizeBytes } from './block.ts';
import type { BlockMemory } from './block-memory.ts';

export interface ReadRequestParts {
  readonly offsetBytes: number;
  readonly endBytes: number;
  readonly memory: BlockMemory;
  readonly signal: AbortSignal | undefined;
  /** See {@link BlockWaiter}. */
  readonly isPatient: boolean;
  /** Hears of each block that is no longer waited for and has not come. */
  readonly onLeave: (block: Block) => void;
  /** Called once, when the request holds no block any more. */
  readonly onEnd: () => void;
}

export class ReadRequest implements BlockWaiter {
  /** Settles once: the pieces in order, the first error of a block, or the signal's reason. */
  readonly pieces: Promise<readonly Uint8Array[]>;
  readonly isPatient: boolean;
  readonly #offsetBytes: number;
  readonly #endBytes: number;
  readonly #memory: BlockMemory;
  readonly #signal: AbortSignal | undefined;
  readonly #held: Block[] = [];
  readonly #awaited = new Set<Block>();
  #resolve!: (pieces: readonly Uint8Array[]) => void;
  #reject!: (error: Error) => void;
  readonly #onLeave: (block: Block) => void;
  readonly #onEnd: () => void;
  #settled = false;

  constructor(parts: ReadRequestParts) {
    this.#offsetBytes = parts.offsetBytes;
    this.#endBytes = parts.endBytes;
    this.#memory = parts.memory;
    this.#signal = parts.signal;
    this.isPatient = parts.isPatient;
    this.#onLeave = parts.onLeave;
    this.#onEnd = parts.onEnd;
    this.pieces = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Starts to wait for `missing` beside what is `present`. */
  start(present: readonly Block[], missing: readonly Block[]): void {
    for (const block of present) {
      this.#memory.pin(block);
      this.#held.push(block);
    }
    for (const block of missing) {
      block.waiters.add(this);
      this.#awaited.add(block);
    }
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
  }

  neededBytes(block: Block): number {
    return Math.min(this.#endBytes - block.startBytes, block.lengthBytes);
  }

  ready(block: Block): void {
    this.#memory.pin(block);
    this.#held.push(block);
    this.#awaited.delete(block);
    if (this.#awaited.size > 0 || this.#settled) return;
    this.#resolve(cutPieces(this.#held.sort(byIndex), this.#offsetBytes, this.#endBytes));
    this.#end();
  }

  fail(error: Error): void {
    if (this.#settled) return;
    this.#reject(error);
    this.#end();
    for (const block of this.#awaited) {
      block.waiters.delete(this);
      this.#onLeave(block);
    }
    this.#awaited.clear();
  }

  readonly #abort = (): void => {
    this.fail(abortReason(this.#signal as AbortSignal));
  };

  #end(): void {
    this.#settled = true;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#memory.afterTick(() => {
      for (const block of this.#held) this.#memory.unpin(block);
      this.#onEnd();
    });
  }
}

/** The parts of consecutive blocks that make up [offsetBytes, endBytes). All of them hold these bytes. */
export function cutPieces(blocks: readonly Block[], offsetBytes: number, endBytes: number): Uint8Array[] {
  return blocks.map((block) => {
    const from = Math.max(0, offsetBytes - block.startBytes);
    const to = Math.min(blockSizeBytes, endBytes - block.startBytes);
    return (block.buffer as Buffer).subarray(from, to);
  });
}

function byIndex(a: Block, b: Block): number {
  return a.index - b.index;
}
