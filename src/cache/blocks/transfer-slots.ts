// How many transfers run at once, over all versions and for one, and who goes first: a waiting reader before read-ahead.
// Waiting readers and read-ahead are counted apart, so that neither a version's own read-ahead nor that of others holds up those
// who wait. A transfer that pauses, or whose server is silent, lends its slot to others. Knows nothing of what is transferred.
import { abortReason } from '../../base/abort.ts';

/** Transfers somebody waits for: enough for a dozen programs, each a round trip. */
const watchedMax = 12;
/** Those of one version, so that one file's many readers leave slots to others. */
const watchedPerOwnerMax = 8;
/** Read-ahead, over all. */
const aheadMax = 8;
/** Read-ahead of one version: keeps a line full while ranges begin and end, leaves room for other files. */
const aheadPerOwnerMax = 5;
/** Silent transfers that lend their slots: beyond this a vault that hangs would take all connections there are to it (64). */
const lentMax = 24;

export interface SlotRequest {
  /** Slots are limited by owner too. */
  readonly owner: object;
  /** Asked again whenever it matters: read-ahead may have become somebody's wait. */
  readonly urgent: () => boolean;
  readonly signal: AbortSignal;
}

export class TransferSlots {
  readonly #held = new Set<SlotRequest>();
  readonly #lent = new Set<SlotRequest>();
  readonly #waiting = new Map<SlotRequest, () => void>();

  /** Resolves when the transfer may go; rejects with the signal's reason. Each grant must be given back with {@link release}. */
  acquire(request: SlotRequest): Promise<void> {
    const { signal } = request;
    if (signal.aborted) return Promise.reject(abortReason(signal));
    if (this.#fits(request, request.urgent())) {
      this.take(request);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(request);
        reject(abortReason(signal));
      };
      this.#waiting.set(request, () => {
        signal.removeEventListener('abort', leave);
        this.#waiting.delete(request);
        this.take(request);
        resolve();
      });
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Takes a slot without waiting, for a transfer that goes on after a pause: it may exceed the limit for a while. */
  take(request: SlotRequest): void {
    this.#lent.delete(request);
    this.#held.add(request);
  }

  /** The holder brings nothing at present: its slot is for others, until it takes it back. */
  lend(request: SlotRequest): void {
    if (this.#lent.size >= lentMax || !this.#held.delete(request)) return;
    this.#lent.add(request);
    this.reconsider();
  }

  release(request: SlotRequest): void {
    this.#lent.delete(request);
    this.#held.delete(request);
    this.reconsider();
  }

  /** Looks through those who wait again, because one of them became urgent or a slot fell free. */
  reconsider(): void {
    for (const urgent of [true, false]) {
      for (const [request, grant] of this.#waiting) {
        if (request.urgent() === urgent && this.#fits(request, urgent)) grant();
      }
    }
  }

  #fits(request: SlotRequest, urgent: boolean): boolean {
    let all = 0;
    let owned = 0;
    for (const held of this.#held) {
      if (held.urgent() !== urgent) continue;
      all++;
      if (held.owner === request.owner) owned++;
    }
    return urgent ? all < watchedMax && owned < watchedPerOwnerMax : all < aheadMax && owned < aheadPerOwnerMax;
  }
}
