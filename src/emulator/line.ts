// One line of limited speed that all downloads share. Promises: over any second no more than the bandwidth passes.
import { delay } from '../base/abort.ts';

// Waits shorter than this are saved up: timers are no finer.
const GRAIN_MS = 4;

export class Line {
  readonly #bytesPerMs: number;
  #freeAt = 0;

  constructor(megabitPerSecond: number) {
    this.#bytesPerMs = (megabitPerSecond * 1e6) / 8 / 1000;
  }

  /** Resolves when so many bytes have had their time on the line. */
  async carry(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + bytes / this.#bytesPerMs;
    const wait = this.#freeAt - now;
    if (wait > GRAIN_MS) await delay(wait, signal);
  }
}
