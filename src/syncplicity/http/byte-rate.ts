// How fast content goes over the line in one direction: one bucket of tokens for all transfers together. Bytes are granted in small
// portions, in turn, so that each transfer always moves and none looks stalled; what a program waits for comes before what nobody does,
// which still gets its share. Knows neither requests nor whose bytes they are.
import { abortReason } from '../../base/abort.ts';
import { TokenBucket } from '../../base/token-bucket.ts';

/** A portion is what passes in this time: twenty transfers at once then bring something every second, however low the limit. */
const PORTION_MS = 30;
/** Beyond this a portion only costs memory. */
const PORTION_BYTES_MAX = 64 * 1024;
/** What may pass at once after a pause: bridges a busy event loop, and is little to those who share the line. */
const BURST_MS = 100;
/** Of this many portions, one is for those that nobody waits for. */
const TURNS_FOR_OTHERS = 4;

interface Taker {
  readonly bytes: number;
  readonly grant: () => void;
}

/** A limit on the bytes of one direction. */
export class ByteRate {
  readonly bytesPerSecond: number;
  readonly #portionBytes: number;
  readonly #bucket: TokenBucket;
  readonly #awaited = new Set<Taker>();
  readonly #others = new Set<Taker>();
  #turns = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `bytesPerSecond` is 1 or more. */
  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
    this.#portionBytes = Math.max(1, Math.min(PORTION_BYTES_MAX, Math.floor((bytesPerSecond * PORTION_MS) / 1000)));
    const burst = Math.max(this.#portionBytes, (bytesPerSecond * BURST_MS) / 1000);
    this.#bucket = new TokenBucket({ burst, perSecond: bytesPerSecond });
  }

  /** True while bytes that somebody waits for are held back. */
  get isHoldingBack(): boolean {
    return this.#awaited.size > 0;
  }

  /** A piece as it may pass: cut into portions, each given out when its turn has come. Rejects with the signal's reason. */
  async *portions(piece: Uint8Array, isAwaited: () => boolean, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < piece.length; at += this.#portionBytes) {
      const portion = piece.subarray(at, at + this.#portionBytes);
      await this.#take(portion.length, isAwaited() ? this.#awaited : this.#others, signal);
      yield portion;
    }
  }

  #take(bytes: number, queue: Set<Taker>, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (signal?.aborted === true) return Promise.reject(abortReason(signal));
    if (this.#awaited.size + this.#others.size === 0 && this.#bucket.take(bytes)) return undefined;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        queue.delete(taker);
        reject(abortReason(signal as AbortSignal));
      };
      const taker: Taker = {
        bytes,
        grant: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      queue.add(taker);
      signal?.addEventListener('abort', leave, { once: true });
      this.#wait();
    });
  }

  /** The next to be served: the one that waited longest, mostly of those that somebody waits for. */
  #next(): readonly [queue: Set<Taker>, taker: Taker] | undefined {
    const othersTurn = this.#turns % TURNS_FOR_OTHERS === 0;
    const queues = othersTurn ? [this.#others, this.#awaited] : [this.#awaited, this.#others];
    for (const queue of queues) for (const taker of queue) return [queue, taker];
    return undefined;
  }

  #wait(): void {
    if (this.#timer !== undefined) return;
    const next = this.#next();
    if (next === undefined) return;
    const waitMs = Math.max(1, this.#bucket.waitMs(next[1].bytes));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#serve();
    }, waitMs);
    this.#timer.unref();
  }

  #serve(): void {
    for (let next = this.#next(); next !== undefined && this.#bucket.take(next[1].bytes); next = this.#next()) {
      const [queue, taker] = next;
      queue.delete(taker);
      this.#turns += 1;
      taker.grant();
    }
    this.#wait();
  }
}

/** The limits of a line; a direction without one is undefined. */
export interface LineRates {
  readonly up: ByteRate | undefined;
  readonly down: ByteRate | undefined;
}
