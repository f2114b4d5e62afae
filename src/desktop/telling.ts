// Tells on the desktop, else in a log, and once more on the desktop where that comes up a little later. Promises: one notification is under
// way at most, and nobody waits for it; what is told in the log is told there once. Must not know what is told, nor how the desktop is reached.
import { createLog } from '../base/log.ts';
import type { Notification } from './notification.ts';

const log = createLog('desktop');

/** A drive may be mounted before the desktop has come up: it is tried again after these. */
const AGAIN_AFTER_MS: readonly number[] = [2_000, 15_000, 60_000, 180_000];

/** Something to be told. */
export interface News {
  /** What takes the place of what was told of it before. */
  readonly cause: string;
  /** Otherwise it is more of what was told: the notification that stands for it is replaced, and the log has it already. */
  readonly isNew: boolean;
  readonly notification: Omit<Notification, 'replaces'>;
  /** Asked before it is tried once more. */
  readonly isStillSo: () => boolean;
}

export interface TellingOptions {
  /** Shows it as `showNotification` does; undefined: the log alone is wanted. */
  readonly show: ((notification: Notification, signal: AbortSignal) => Promise<number | undefined>) | undefined;
  readonly log: (line: string) => void;
  /** For tests. */
  readonly againAfterMs?: readonly number[] | undefined;
}

export class Telling {
  readonly #options: TellingOptions;
  readonly #stopping = new AbortController();
  /** What notifications are shown as, by cause. */
  readonly #shown = new Map<string, number>();
  readonly #again = new Map<string, NodeJS.Timeout>();
  #last: Promise<void> = Promise.resolve();

  constructor(options: TellingOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  tell(news: News): void {
    clearTimeout(this.#again.get(news.cause));
    this.#again.delete(news.cause);
    this.#inTurn(() => this.#tell(news, 0));
  }

  /** Gives up what is under way. What was not begun is written to the log. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the drive is being unmounted'));
    for (const timer of this.#again.values()) clearTimeout(timer);
    await this.#last;
  }

  #inTurn(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch((error: unknown) => log('telling failed: %O', error));
  }

  async #tell(news: News, triesBefore: number): Promise<void> {
    const { show, againAfterMs = AGAIN_AFTER_MS } = this.#options;
    const { cause, isNew, notification, isStillSo } = news;
    if (triesBefore > 0 && !isStillSo()) return;
    const replaces = isNew ? undefined : this.#shown.get(cause);
    const id = await this.#attempt({ ...notification, replaces });
    if (id !== undefined) {
      this.#shown.set(cause, id);
      return;
    }
    if (triesBefore === 0 && isNew) this.#options.log(`${notification.title}: ${notification.text}`);
    const pauseMs = againAfterMs[triesBefore];
    if (show === undefined || pauseMs === undefined || this.#stopping.signal.aborted) return;
    const again = (): void => this.#inTurn(() => this.#tell(news, triesBefore + 1));
    this.#again.set(cause, setTimeout(again, pauseMs).unref());
  }

  /** What it is shown as; undefined where nothing shows it. */
  async #attempt(notification: Notification): Promise<number | undefined> {
    const { signal } = this.#stopping;
    if (signal.aborted) return undefined;
    try {
      return await this.#options.show?.(notification, signal);
    } catch (error) {
      log('the desktop shows nothing: %s', error instanceof Error ? error.message : error);
      return undefined;
    }
  }
}
