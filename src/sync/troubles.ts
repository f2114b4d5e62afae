// What went wrong with an object, and when it is worth another try. Kept in memory: a restart tries all of it again at once.

/** Pauses between tries grow from this ... */
const PAUSE_MS = 1_000;
/** ... to this: a service that was away for a night is found again soon after it is back. */
const PAUSE_MS_MAX = 5 * 60_000;

/** What is refused so often in a row, over half a minute, is likely to be refused again. */
const REFUSALS_MAX = 6;

export interface Trouble {
  readonly attempts: number;
  /** How often in a row the service answered, and would not have it. */
  readonly refusals: number;
  readonly message: string;
  /** Steady clock, ms. */
  readonly retryAtMs: number;
}

export class Troubles {
  readonly #troubles = new Map<number, Trouble>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get(inode: number): Trouble | undefined {
    return this.#troubles.get(inode);
  }

  /**
   * Notes a failure and when to try again: later each time, with jitter, so that what failed together does not come back together, and not
   * before `atLeastMs`, which the service asked for. `isRefusal`: it answered, in words that nobody here knows.
   */
  note(inode: number, message: string, { atLeastMs = 0, isRefusal = false } = {}): Trouble {
    const before = this.#troubles.get(inode);
    const attempts = (before?.attempts ?? 0) + 1;
    const refusals = isRefusal ? (before?.refusals ?? 0) + 1 : 0;
    const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(attempts - 1, 20)) * (0.75 + Math.random() / 4);
    const asked = atLeastMs * (1 + Math.random() / 10);
    const trouble = { attempts, refusals, message, retryAtMs: this.#nowMs() + Math.max(pause, asked) };
    this.#troubles.set(inode, trouble);
    return trouble;
  }

  /** True for what the service goes on refusing, though another try may help: nobody is to wait for it. */
  isStuck(inode: number): boolean {
    return (this.#troubles.get(inode)?.refusals ?? 0) >= REFUSALS_MAX;
  }

  forget(inode: number): void {
    this.#troubles.delete(inode);
  }

  /** Makes every next try due, and worth waiting for: the service is back, or somebody asked. Returns whose. */
  hurry(): number[] {
    const nowMs = this.#nowMs();
    for (const [inode, trouble] of this.#troubles) {
      const refusals = Math.min(trouble.refusals, REFUSALS_MAX - 1);
      this.#troubles.set(inode, { ...trouble, refusals, retryAtMs: nowMs });
    }
    return [...this.#troubles.keys()];
  }
}
