// Faults on demand: what goes wrong, at which endpoint, how often. Promises: a fault set for n calls happens n times.
// Must not know: how a fault is carried out (connection.ts does it).

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
  | { readonly kind: 'slow'; readonly delayMs: number };

export type Fault = FaultAction & {
  /** An endpoint's name as in calls().byEndpoint; absent or `*`: every call. */
  readonly endpoint?: string;
  /** How many calls it strikes; 1 by default. */
  readonly count?: number;
  /** How many matching calls go well before. */
  readonly after?: number;
};

export class Faults {
  #armed: { fault: Fault; left: number; skip: number }[] = [];

  /** Replaces all faults. */
  set(faults: readonly Fault[]): void {
    this.#armed = faults.map((fault) => ({ fault, left: fault.count ?? 1, skip: fault.after ?? 0 }));
  }

  /** The fault that strikes this call, if one does. */
  take(endpoint: string): FaultAction | undefined {
    for (const armed of this.#armed) {
      const wanted = armed.fault.endpoint ?? '*';
      if (armed.left === 0 || (wanted !== '*' && wanted !== endpoint)) continue;
      if (armed.skip > 0) {
        armed.skip--;
        continue;
      }
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
