// How many transfers run at once, over all versions and for one, and who goes first: a waiting reader before read-ahead.
// A transfer that pauses lends its slot to others. Knows nothing of what is transferred.
import { abortReason } from '../../base/abort.ts';

/** Enough for a dozen programs that wait, each a round trip; a vault's connections are not many more. */
const slotsMax = 12;
/** Read-ahead leaves these to waiting readers. */
const slotsForWaiters = 4;
/** Read-ahead of one version: keeps a line full while ranges begin and end, leaves room for other files. */
const aheadPerOwnerMax = 5;
/** All transfers of one version: its read-ahead does not hold up those who wait. */
const slotsPerOwnerMax = 8;

export interface SlotRequest {
  /** Slots are limited by owner too. */
  readonly owner: object;
  /** Asked again whenever a slot falls free: read-ahead may have become somebody's wait. */
  readonly urgent: () => boolean;
  readonly signal: AbortSignal;
}

interface Waiting extends SlotRequest {
  readonly grant: () => void;
}

export class TransferSlots {
  #used = 0;
  readonly #usedBy = new Map<object, number>();
  readonly #waiting = new Set<Waiting>();

  /** Resolves when the transfer may go; rejects with the signal's reason. Each grant must be given back with {@link release}. */
  acquire(request: SlotRequest): Promise<void> {
    if (request.signal.aborted) return Promise.reject(abortReason(request.signal));
    if (this.#fits(request)) {
      this.take(request.owner);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        reject(abortReason(request.signal));
      };
      const waiting: Waiting = {
        ...request,
        grant: () => {
          request.signal.removeEventListener('abort', leave);
          this.#waiting.delete(waiting);
          this.take(request.owner);
          resolve();
        },
      };
      this.#waiting.add(waiting);
      request.signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Takes a slot without waiting, for a transfer that goes on after a pause: it may exceed the limit for a while. */
  take(owner: object): void {
    this.#used++;
    this.#usedBy.set(owner, (this.#usedBy.get(owner) ?? 0) + 1);
  }

  release(owner: object): void {
    this.#used--;
    const left = (this.#usedBy.get(owner) ?? 1) - 1;
    if (left > 0) this.#usedBy.set(owner, left);
    else this.#usedBy.delete(owner);
    this.reconsider();
  }

  /** Looks through those who wait again, because one of them became urgent or a slot fell free. */
  reconsider(): void {
    for (const urgent of [true, false]) {
      for (const waiting of this.#waiting) {
        if (this.#used >= slotsMax) return;
        if (waiting.urgent() === urgent && this.#fits(waiting)) waiting.grant();
      }
    }
  }

  #fits(request: SlotRequest): boolean {
    const owned = this.#usedBy.get(request.owner) ?? 0;
    if (request.urgent()) return this.#used < slotsMax && owned < slotsPerOwnerMax;
    return this.#used < slotsMax - slotsForWaiters && owned < aheadPerOwnerMax;
  }
}
