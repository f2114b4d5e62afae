// When which object is due: many times, one timer. Knows nothing of what is due.

/** Node's timers hold no more. */
const TIMER_MS_MAX = 2 ** 31 - 1;

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

  /** Sets an object's time, wall clock, ms, in place of an earlier one. */
  set(inode: number, atMs: number): void {
    this.#atMs.set(inode, atMs);
    if (atMs < this.#armedForMs) this.#arm(atMs);
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
    if (first < Infinity) this.#arm(first);
    if (due.length > 0) this.#onDue(due);
  }
}
