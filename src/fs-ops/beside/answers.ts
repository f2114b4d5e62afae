// Answers of the service, each asked for once for all who want it at a time and known for a moment after. Must not know what they say.
import { waitFor } from '../../base/abort.ts';

const KEPT_MAX = 256;

interface Kept<T> {
  readonly value: Promise<T>;
  /** Monotonic ms; undefined while it is under way. */
  untilMs: number | undefined;
}

export class Answers<T> {
  readonly #kept = new Map<string, Kept<T>>();
  readonly #lifetimeMs: number;

  constructor(lifetimeMs: number) {
    this.#lifetimeMs = lifetimeMs;
  }

  get(key: string, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    const known = this.#kept.get(key);
    if (known !== undefined && (known.untilMs === undefined || performance.now() < known.untilMs)) {
      return waitFor(known.value, signal);
    }
    // Shared with all who ask meanwhile: it does not end with the patience of one of them.
    const kept: Kept<T> = { value: ask(), untilMs: undefined };
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    kept.value.then(
      () => {
        kept.untilMs = performance.now() + this.#lifetimeMs;
      },
      () => {
        if (this.#kept.get(key) === kept) this.#kept.delete(key);
      },
    );
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
    return waitFor(kept.value, signal);
  }
}
