// A signal that aborts at a time limit or with others, and leaves nothing behind when released: AbortSignal.any and
// AbortSignal.timeout keep listeners and timers until they fire, which thousands of calls a second would feel.
import { abortReason } from './abort.ts';

/**
 * Aborts `signal` with `reason()` after `ms`, or with a parent's reason. release() ends both. Where `isProlonged` says so when the time is
 * over, it begins anew.
 */
export class Deadline {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout;
  readonly #parents: readonly AbortSignal[];
  readonly #onParent = (event: Event): void => this.#controller.abort(abortReason(event.target as AbortSignal));
  #expired = false;

  constructor(
    ms: number,
    reason: () => Error,
    parents: readonly AbortSignal[] = [],
    isProlonged: () => boolean = () => false,
  ) {
    this.#parents = parents;
    const onTime = (): void => {
      if (isProlonged()) {
        this.#timer = setTimeout(onTime, ms).unref();
        return;
      }
      this.#expired = true;
      this.#controller.abort(reason());
    };
    this.#timer = setTimeout(onTime, ms).unref();
    for (const parent of parents) {
      if (parent.aborted) this.#controller.abort(abortReason(parent));
      else parent.addEventListener('abort', this.#onParent, { once: true });
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** True when the time ran out (not when a parent aborted). */
  get expired(): boolean {
    return this.#expired;
  }

  /** Ends the watch; the signal never aborts after this. */
  release(): void {
    clearTimeout(this.#timer);
    for (const parent of this.#parents) parent.removeEventListener('abort', this.#onParent);
  }
}
