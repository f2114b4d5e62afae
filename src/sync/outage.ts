// Whether the service can be reached at all: while it cannot, one thing is tried now and then instead of everything again and again.
// Knows nothing of what is tried.

/** Failures in a row that mean more than one bad moment. */
const FAILURES_IN_A_ROW = 3;
/** Between two tries while the service is away ... */
const PAUSE_MS = 1_000;
/** ... and at most: soon enough after it is back. */
const PAUSE_MS_MAX = 30_000;
/** Where some calls get answers and others don't, as many answers come as users ask for: they cut no pause shorter than this. */
const HINTED_PAUSE_MS = 2_000;

export class Outage {
  readonly #nowMs: () => number;
  #failures = 0;
  #failedAtMs = -Infinity;
  #nextTryMs = 0;
  #trying = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** When something may be tried, steady clock, ms; undefined: now. Whoever is told so tries, and tells how it went. */
  get untilMs(): number | undefined {
    if (this.#failures < FAILURES_IN_A_ROW) return undefined;
    const now = this.#nowMs();
    if (this.#trying) return Math.max(this.#nextTryMs, now + PAUSE_MS);
    return now < this.#nextTryMs ? this.#nextTryMs : undefined;
  }

  /** Something is tried. */
  tried(): void {
    this.#trying = this.#failures >= FAILURES_IN_A_ROW;
  }

  /** The service did not answer. */
  failed(): void {
    // Of what was under way when the service went away, each fails: only what was tried since says that it is still away.
    if (this.#failures >= FAILURES_IN_A_ROW && !this.#trying) return;
    this.#trying = false;
    this.#failures += 1;
    const pauseMs = PAUSE_MS * 2 ** Math.min(20, Math.max(0, this.#failures - FAILURES_IN_A_ROW));
    this.#failedAtMs = this.#nowMs();
    this.#nextTryMs = this.#failedAtMs + Math.min(PAUSE_MS_MAX, pauseMs);
  }

  /** It answered, whatever it said. True when it had been away. */
  answered(): boolean {
    const was = this.#failures >= FAILURES_IN_A_ROW;
    this.#failures = 0;
    this.#trying = false;
    return was;
  }

  /** Another call was answered: it may be back. True where something may be tried now that had to wait. */
  hinted(): boolean {
    const now = this.#nowMs();
    if (this.#trying || this.untilMs === undefined || now < this.#failedAtMs + HINTED_PAUSE_MS) return false;
    this.#nextTryMs = 0;
    return true;
  }

  /** Somebody has reason to think that it is back. */
  retry(): void {
    this.#nextTryMs = 0;
  }
}
