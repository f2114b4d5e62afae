// How often something may happen, or how much may pass: at once for a while, then at a steady pace.

/** Limits of a {@link TokenBucket}. */
export interface TokenBucketLimits {
  /** So many at once, after a pause. */
  readonly burst: number;
  readonly perSecond: number;
  /** Monotonic; for tests. */
  readonly nowMs?: (() => number) | undefined;
}

/** Fills by `perSecond` up to `burst`. */
export class TokenBucket {
  readonly #limits: TokenBucketLimits;
  readonly #nowMs: () => number;
  #filled: number;
  #atMs: number;

  constructor(limits: TokenBucketLimits) {
    this.#limits = limits;
    this.#nowMs = limits.nowMs ?? ((): number => performance.now());
    this.#filled = limits.burst;
    this.#atMs = this.#nowMs();
  }

  /** Takes so many. False where there are fewer: then nothing is taken. */
  take(count = 1): boolean {
    this.#fill();
    if (this.#filled < count) return false;
    this.#filled -= count;
    return true;
  }

  /** How long until so many can be taken, at most `burst`. */
  waitMs(count = 1): number {
    this.#fill();
    return this.#filled >= count ? 0 : Math.ceil(((count - this.#filled) / this.#limits.perSecond) * 1000);
  }

  #fill(): void {
    const now = this.#nowMs();
    this.#filled = Math.min(this.#limits.burst, this.#filled + ((now - this.#atMs) / 1000) * this.#limits.perSecond);
    this.#atMs = now;
  }
}
