// How fast uploads went lately, and how long what is left will take at that pace and within the allowance of calls.
// Knows nothing of what counts the bytes.

/** Long enough to bear a vault's pause between two chunks, short enough to follow a line that changes. */
const WINDOW_MS = 10_000;
/** Samples closer together than this tell nothing; it limits how many there are. */
const LEAST_INTERVAL_MS = 100;

/** The pace of a growing count of bytes over the last seconds. */
export class UploadPace {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** Notes the count; `nowMs` is monotonic. To be called whenever bytes were sent and when somebody asks. */
  sample(nowMs: number, bytesOut: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.atMs < LEAST_INTERVAL_MS) return;
    this.#samples.push({ atMs: nowMs, bytes: bytesOut });
    // The newest of those that are too old is where the window begins.
    while ((this.#samples[1]?.atMs ?? Infinity) <= nowMs - WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second over the window; 0 while nothing is known. */
  bytesPerSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs === first.atMs) return 0;
    return Math.round(((last.bytes - first.bytes) * 1_000) / (last.atMs - first.atMs));
  }
}

/** Limits on calls; 0: none. */
export interface CallAllowance {
  readonly perSecond: number;
  readonly perHour: number;
  readonly leftThisHour: number;
}

/** Seconds until all is stored; null where that cannot be known. Bytes and calls flow side by side: the slower one counts. */
export function secondsLeft(
  left: { readonly bytes: number; readonly calls: number },
  bytesPerSecond: number,
  allowance: CallAllowance,
): number | null {
  if (left.bytes > 0 && bytesPerSecond <= 0) return null;
  const forBytes = left.bytes > 0 ? left.bytes / bytesPerSecond : 0;
  const paced = allowance.perSecond > 0 ? left.calls / allowance.perSecond : 0;
  const beyond = allowance.perHour > 0 ? Math.max(0, left.calls - allowance.leftThisHour) : 0;
  const forAllowance = beyond > 0 ? (beyond * 3_600) / allowance.perHour : 0;
  return Math.ceil(Math.max(forBytes, paced, forAllowance));
}
