// How long requests of one kind took, as counts in fixed buckets. Made for a path that serves 100,000 requests a second: recording one is an
// addition in preallocated memory, by a bound that is nearly always the first. Knows no clock and no metrics library.

/** Upper bounds of the buckets: from what the cache answers at once to what a program waits for at most. */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

const BOUNDS_MS = Float64Array.from(LATENCY_BOUNDS_SECONDS, (seconds) => seconds * 1_000);
const BOUNDS = BOUNDS_MS.length;

/** What a histogram holds. */
export interface LatencySnapshot {
  /** Requests in each bucket alone, those beyond the last bound at the end: one more than there are bounds. */
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

export class LatencyHistogram {
  /** The buckets, those beyond the last bound, and the sum in milliseconds. */
  readonly #cells = new Float64Array(BOUNDS + 2);

  /** Counts one request. A bound belongs to the bucket below it. */
  record(ms: number): void {
    const cells = this.#cells;
    let at = 0;
    while (at < BOUNDS && ms > (BOUNDS_MS[at] as number)) at++;
    cells[at] = (cells[at] as number) + 1;
    cells[BOUNDS + 1] = (cells[BOUNDS + 1] as number) + ms;
  }

  snapshot(): LatencySnapshot {
    return {
      counts: [...this.#cells.subarray(0, BOUNDS + 1)],
      sumSeconds: (this.#cells[BOUNDS + 1] as number) / 1_000,
    };
  }
}
