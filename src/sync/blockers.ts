// Which object waits for which other one to be done first. Knows numbers only.

export class Blockers {
  readonly #by = new Map<number, number>();
  readonly #waiting = new Map<number, Set<number>>();

  /** The object waits for another one, and for no other any more. Returns those that wait for each other in a circle, if it closes one. */
  set(inode: number, by: number): readonly number[] | undefined {
    this.clear(inode);
    const circle = [inode];
    for (let at: number | undefined = by; at !== undefined && at !== inode; at = this.#by.get(at)) {
      if (circle.includes(at)) break;
      circle.push(at);
    }
    this.#by.set(inode, by);
    const waiting = this.#waiting.get(by);
    if (waiting === undefined) this.#waiting.set(by, new Set([inode]));
    else waiting.add(inode);
    return this.#by.get(circle.at(-1) ?? by) === inode ? circle : undefined;
  }

  /** The object waits for nothing. */
  clear(inode: number): void {
    const by = this.#by.get(inode);
    if (by === undefined) return;
    this.#by.delete(inode);
    const waiting = this.#waiting.get(by);
    waiting?.delete(inode);
    if (waiting?.size === 0) this.#waiting.delete(by);
  }

  /** Those that waited for an object, which wait no longer. */
  release(inode: number): number[] {
    const waiting = [...(this.#waiting.get(inode) ?? [])];
    this.#waiting.delete(inode);
    for (const one of waiting) this.#by.delete(one);
    return waiting;
  }

  /** The object, what it waits for, what that waits for, and so on; each once. */
  *chain(inode: number): Generator<number, void, undefined> {
    const seen = new Set<number>();
    for (let at: number | undefined = inode; at !== undefined && !seen.has(at); at = this.#by.get(at)) {
      seen.add(at);
      yield at;
    }
  }
}
