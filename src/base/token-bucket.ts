// How often something may happen: at once for a while, then at a steady pace.

/** Limits of a {@link TokenBucket}. */
export interface TokenBucketLimits {
  /** So many at once, after a pause. */
  readonly burst: number;
  readonly perSecond: number;
  /** Monotonic; for tests. */
  readonly nowMs?: (() => number) | undefined;
}

/** Fills by `perSecond` up to `burst`; each taking needs one. */
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

  /** Takes one. False where there is none: then nothing is taken. */
  take(): boolean {
    this.#fill();
    if (this.#filled < 1) return false;
    this.#filled -= 1;
    return true;
  }

  /** How long until one can be taken. */
  get waitMs(): number {
    this.#fill();
    return this.#filled >= 1 ? 0 : Math.ceil(((1 - this.#filled) / this.#limits.perSecond) * 1000);
  }

  #fill(): void {
    const now = this.#nowMs();
    this.#filled = Math.min(this.#limits.burst, this.#filled + ((now - this.#atMs) / 1000) * this.#limits.perSecond);
    this.#atMs = now;
  }
}
