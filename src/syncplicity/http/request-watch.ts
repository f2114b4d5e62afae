// The watch over one request: ends it with its caller's signal, or when its time is over. The limits of the HTTP library start
// with a connection; it tries for ever to get one through a proxy that hangs up.
import { errors } from './undici.ts';

/** A body stood still on its way out. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

export class RequestWatch {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#controller.abort(this.#caller?.reason);
  #timer: NodeJS.Timeout | undefined;
  #awaits: 'reply' | 'progress' | 'nothing' = 'nothing';
  #isOver = false;

  /** Has no limit yet. */
  constructor(caller: AbortSignal | undefined) {
    this.#caller = caller;
    caller?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now, the headers of the reply must come within `limitMs`. */
  awaitReply(limitMs: number): void {
    this.#await('reply', limitMs, () => new errors.HeadersTimeoutError());
  }

  /** From now, some of the body must be taken within `limitMs`. */
  awaitProgress(limitMs: number): void {
    this.#await('progress', limitMs, () => new StalledError('a body was not taken'));
  }

  /** The headers are there: from now on only the caller ends it. */
  reached(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  release(): void {
    this.reached();
    this.#caller?.removeEventListener('abort', this.#onAbort);
  }

  #await(what: 'reply' | 'progress', limitMs: number, reason: () => Error): void {
    // A reply may come before the whole body is taken.
    if (this.#isOver) return;
    if (this.#awaits === what && what === 'progress') {
      this.#timer?.refresh();
      return;
    }
    this.#awaits = what;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(reason()), limitMs);
    this.#timer.unref();
  }
}
