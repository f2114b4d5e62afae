// Tells those who wait for pending changes that something moved: soon, not at once, because each looks through all that is pending and
// changes come by the hundred.
import { deferred } from '../base/deferred.ts';

/** Who waits hears of it so late at most. */
const TELL_AFTER_MS = 10;

export class News {
  readonly #waiters = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  /** Resolves with the next news, or when the signal aborts. */
  async next(signal: AbortSignal): Promise<void> {
    const news = deferred<undefined>();
    const wake = (): void => news.resolve(undefined);
    this.#waiters.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    await news.promise;
    this.#waiters.delete(wake);
    signal.removeEventListener('abort', wake);
  }

  tellSoon(): void {
    if (this.#waiters.size === 0) return;
    this.#timer ??= setTimeout(() => this.tell(), TELL_AFTER_MS);
  }

  /** At once, whoever waits. */
  tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const waiter of [...this.#waiters]) waiter();
  }
}
