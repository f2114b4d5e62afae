// The numbers by which libfuse knows open files and directories: small, since the binding passes 31 bits of them, and used again.
// 0 is none.

export class Handles<T> {
  readonly #open = new Map<number, T>();
  readonly #free: number[] = [];
  #next = 1;

  /** A number for what was opened. */
  add(opened: T): number {
    const number = this.#free.pop() ?? this.#next++;
    this.#open.set(number, opened);
    return number;
  }

  get(number: number): T | undefined {
    return this.#open.get(number);
  }

  /** The first one open that is looked for. */
  find(isWanted: (opened: T) => boolean): T | undefined {
    for (const opened of this.#open.values()) {
      if (isWanted(opened)) return opened;
    }
    return undefined;
  }

  /** Takes the number back. */
  remove(number: number): T | undefined {
    const opened = this.#open.get(number);
    if (this.#open.delete(number)) this.#free.push(number);
    return opened;
  }

  /** Takes all of them back. */
  drain(): T[] {
    const all = [...this.#open.values()];
    for (const number of [...this.#open.keys()]) this.remove(number);
    return all;
  }

  get count(): number {
    return this.#open.size;
  }
}
