// What was read from a table, or written to it, lately: each request asks for the same few entries again and again.

/** A few megabytes of nodes. */
const VALUES_MAX = 8192;

/** Values by inode. All are forgotten once they are many: telling which was used last would cost more than reading anew. */
export class RecentlyRead<Value> {
  readonly #values = new Map<number, Value>();

  get(inode: number): Value | undefined {
    return this.#values.get(inode);
  }

  set(inode: number, value: Value): void {
    if (this.#values.size >= VALUES_MAX) this.#values.clear();
    this.#values.set(inode, value);
  }

  delete(inode: number): void {
    this.#values.delete(inode);
  }

  clear(): void {
    this.#values.clear();
  }
}
