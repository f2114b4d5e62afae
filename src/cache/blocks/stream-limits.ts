// How long one stream may keep us waiting: a limit for its opening, one between two chunks, and a shorter one after which others
// are told of the silence. And waiting itself, with a way out for both sides.
import { waitFor } from '../../base/abort.ts';

export interface StreamLimitTimes {
  readonly openMs: number;
  readonly stallMs: number;
  readonly silenceMs: number;
}

export class StreamLimits {
  readonly #times: StreamLimitTimes;
  readonly #onSilence: () => void;
  readonly #onBroken: (ms: number) => void;
  #limitMs: number;
  #broken: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;

  /** Begins with the opening. `onSilence` hears once of each silence, `onBroken` of the limit, in ms, that was passed. */
  constructor(times: StreamLimitTimes, onSilence: () => void, onBroken: (ms: number) => void) {
    this.#times = times;
    this.#onSilence = onSilence;
    this.#onBroken = onBroken;
    this.#limitMs = times.openMs;
    this.renew();
  }

  /** The stream is open: from now on chunks are waited for. The silence goes on. */
  opened(): void {
    clearTimeout(this.#broken);
    this.#limitMs = this.#times.stallMs;
    this.#broken = this.#start(this.#limitMs);
  }

  /** A chunk came, or one is asked for after {@link hold}. */
  renew(): void {
    // A timer that was cleared does not come back by a refresh.
    if (this.#broken === undefined) this.#broken = this.#start(this.#limitMs);
    else this.#broken.refresh();
    if (this.#silence === undefined) this.#silence = setTimeout(this.#onSilence, this.#times.silenceMs).unref();
    else this.#silence.refresh();
  }

  /** Nothing is asked for until {@link renew}. */
  hold(): void {
    clearTimeout(this.#broken);
    clearTimeout(this.#silence);
    this.#broken = this.#silence = undefined;
  }

  #start(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#onBroken(ms), ms).unref();
  }
}

/** Settles as `work` does or rejects when the signal aborts; `discard` then gets what arrives too late. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal, discard?: (late: T) => void): Promise<T> {
  try {
    return await waitFor(work, signal);
  } catch (error) {
    // What failed by itself, others report; what comes nevertheless is nobody's any more.
    if (signal.aborted) work.then(discard, () => undefined);
    throw error;
  }
}
