// The gateway's limits: 15 calls a second and 10,800 an hour per app key. Promises: a refused call costs nothing.
// `smoothed` is Apigee's spike arrest: one call per 1/15 s; `windowed` counts calls in the last second.

export interface ThrottleOptions {
  readonly mode: 'smoothed' | 'windowed';
  readonly perSecond?: number;
  readonly perHour?: number;
  /** Sent as Retry-After, in seconds; the documents name no header, so 0 leaves it out. */
  readonly retryAfterSeconds?: number;
}

export interface ThrottleRefusal {
  readonly text: string;
  readonly code: string;
  readonly retryAfterSeconds: number;
}

export const documentedThrottle: ThrottleOptions = { mode: 'smoothed' };

/** The limits of several apps, each with its own. Calls of nobody known share one. */
export class Throttles {
  readonly #byApp = new Map<string | undefined, Throttle>();
  readonly #options: ThrottleOptions;

  constructor(options: ThrottleOptions) {
    this.#options = options;
  }

  of(appKey: string | undefined): Throttle {
    let throttle = this.#byApp.get(appKey);
    if (throttle === undefined) this.#byApp.set(appKey, (throttle = new Throttle(this.#options)));
    return throttle;
  }
}

export class Throttle {
  readonly #options: Required<ThrottleOptions>;
  readonly #now: () => number;
  /** Times of accepted calls within the last second, oldest first. */
  readonly #recent: number[] = [];
  #hourStart = Number.NEGATIVE_INFINITY;
  #hourCalls = 0;

  /** `now` in milliseconds, monotonic. */
  constructor(options: ThrottleOptions, now: () => number = () => performance.now()) {
    this.#options = { perSecond: 15, perHour: 10_800, retryAfterSeconds: 1, ...options };
    this.#now = now;
  }

  /** Counts a call, or says why it is refused. */
  admit(): ThrottleRefusal | undefined {
    const { mode, perSecond, perHour, retryAfterSeconds } = this.#options;
    const now = this.#now();
    while (this.#recent[0] !== undefined && now - this.#recent[0] >= 1000) this.#recent.shift();
    if (now - this.#hourStart >= 3_600_000) {
      this.#hourStart = now;
      this.#hourCalls = 0;
    }
    if (this.#hourCalls >= perHour) {
      return {
        text: `Rate limit quota violation. Quota limit exceeded. Allowed rate : ${perHour}ph`,
        code: 'policies.ratelimit.QuotaViolation',
        retryAfterSeconds: Math.ceil((this.#hourStart + 3_600_000 - now) / 1000),
      };
    }
    const last = this.#recent.at(-1);
    const spike =
      mode === 'smoothed' ? last !== undefined && now - last < 1000 / perSecond : this.#recent.length >= perSecond;
    if (spike) {
      return {
        text: `Spike arrest violation. Allowed rate : ${perSecond}ps`,
        code: 'policies.ratelimit.SpikeArrestViolation',
        retryAfterSeconds,
      };
    }
    this.#recent.push(now);
    this.#hourCalls++;
    return undefined;
  }
}
