// When which object is due: many times, one timer. Knows nothing of what is due.

/** Node's timers hold no more. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What is due within this is told together: files written one after another are due one after another, and each look is at all of them. */
const TOGETHER_MS = 50;

export class DueTimes {
  readonly #atMs = new Map<number, number>();
  readonly #nowMs: () => number;
  readonly #onDue: (inodes: readonly number[]) => void;
  #timer: NodeJS.Timeout | undefined;
  #armedForMs = Infinity;

  constructor(nowMs: () => number, onDue: (inodes: readonly number[]) => void) {
    this.#nowMs = nowMs;
    this.#onDue = onDue;
  }

  /** Sets an object's time, steady clock, ms, in place of an earlier one. It may come a little later. */
  set(inode: number, atMs: number): void {
    this.#atMs.set(inode, atMs);
    const togetherMs = Math.ceil(atMs / TOGETHER_MS) * TOGETHER_MS;
    if (togetherMs < this.#armedForMs) this.#arm(togetherMs);
  }

  delete(inode: number): void {
    this.#atMs.delete(inode);
  }

  inodes(): number[] {
    return [...this.#atMs.keys()];
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#atMs.clear();
  }

  #arm(atMs: number): void {
    clearTimeout(this.#timer);
    this.#armedForMs = atMs;
    const pauseMs = Math.min(TIMER_MS_MAX, Math.max(1, atMs - this.#nowMs()));
    this.#timer = setTimeout(() => this.#fire(), pauseMs).unref();
  }

  #fire(): void {
    this.#armedForMs = Infinity;
    const now = this.#nowMs();
    const due: number[] = [];
    let first = Infinity;
    for (const [inode, atMs] of this.#atMs) {
      if (atMs <= now) due.push(inode);
      else first = Math.min(first, atMs);
    }
    for (const inode of due) this.#atMs.delete(inode);
    if (first < Infinity) this.#arm(Math.ceil(first / TOGETHER_MS) * TOGETHER_MS);
    if (due.length > 0) this.#onDue(due);
  }
}
