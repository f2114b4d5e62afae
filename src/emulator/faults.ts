// Faults on demand: what goes wrong, at which endpoint, how often. Promises: a fault set for n calls happens n times; one set with
// a probability strikes the same calls again when the same calls come in the same order. Must not know: how it is carried out.

export type FaultAction =
  /** Any status before the call is looked at: 500, 503, 403 ... */
  | { readonly kind: 'status'; readonly status: number; readonly text?: string; readonly retryAfterSeconds?: number }
  /** 429 with Retry-After, as the gateway's spike arrest says it. */
  | { readonly kind: 'throttle'; readonly retryAfterSeconds?: number }
  /** The connection is reset before a reply. */
  | { readonly kind: 'reset' }
  /** The connection breaks after so many body bytes. */
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  /** The body ends early as if it were whole: Content-Length says what was sent. */
  | { readonly kind: 'short'; readonly afterBytes: number }
  /** The body stops after so many bytes; the connection stays. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** No reply at all; the connection stays. */
  | { readonly kind: 'hang' }
  /** The token presented stops being valid, for this call and later ones. */
  | { readonly kind: 'expired-token' }
  | { readonly kind: 'garbage-json' }
  /** The reply comes late. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** The call is done, then the connection is reset before a reply. */
  | { readonly kind: 'lost-reply' }
  /** The call is done, then answered with an error all the same. */
  | { readonly kind: 'status-after'; readonly status: number; readonly text?: string }
  /** The connection is reset after so many bytes of the request's body were read. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number };

export type Fault = FaultAction & {
  /** An endpoint's name as in calls().byEndpoint; absent or `*`: every call. */
  readonly endpoint?: string;
  /** Strikes calls of this app only. */
  readonly appKey?: string;
  /** How many calls it strikes; 1 by default, without end where there is a probability. */
  readonly count?: number;
  /** How many matching calls go well before. */
  readonly after?: number;
  /** Strikes a matching call with this probability only. */
  readonly probability?: number;
  /** Of the probability's random numbers. */
  readonly seed?: number;
  /** Strikes once so many bytes of the request's body were read, instead of before the call is looked at. */
  readonly afterRequestBytes?: number;
};

/** A fault that strikes a call. */
export type Strike = FaultAction & { readonly afterRequestBytes?: number };

interface Armed {
  readonly fault: Fault;
  readonly random: () => number;
  left: number;
  skip: number;
}

export class Faults {
  #armed: Armed[] = [];

  /** Replaces all faults. */
  set(faults: readonly Fault[]): void {
    this.#armed = faults.map((fault) => ({
      fault,
      random: randomNumbers(fault.seed ?? 1),
      left: fault.count ?? (fault.probability === undefined ? 1 : Number.POSITIVE_INFINITY),
      skip: fault.after ?? 0,
    }));
  }

  /** The fault that strikes this call, if one does. */
  take(endpoint: string, appKey?: string): Strike | undefined {
    for (const armed of this.#armed) {
      const wanted = armed.fault.endpoint ?? '*';
      if (armed.left === 0 || (wanted !== '*' && wanted !== endpoint)) continue;
      if (armed.fault.appKey !== undefined && armed.fault.appKey !== appKey) continue;
      if (armed.skip > 0) {
        armed.skip--;
        continue;
      }
      const { probability } = armed.fault;
      if (probability !== undefined && armed.random() >= probability) continue;
      armed.left--;
      return armed.fault;
    }
    return undefined;
  }

  /** Faults that have not struck as often as they were to. */
  pending(): number {
    return this.#armed.filter((armed) => armed.left > 0).length;
  }
}

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
