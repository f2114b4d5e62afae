// Which folders somebody looked into lately, and when that was last.

const FOLDERS_MAX = 64;

/** Remembers the folders used last, by inode. */
export class UsedFolders {
  /** The one used last at the end. */
  readonly #folders = new Set<number>();
  #last = 0;
  #atMs = performance.now();

  /** Somebody looks into a folder. */
  note(directory: number): void {
    this.#atMs = performance.now();
    if (directory === this.#last) return;
    this.#last = directory;
    this.#folders.delete(directory);
    this.#folders.add(directory);
    const [oldest] = this.#folders;
    if (this.#folders.size > FOLDERS_MAX && oldest !== undefined) this.#folders.delete(oldest);
  }

  /** The folders, the one used last first. */
  lastFirst(): number[] {
    return [...this.#folders].reverse();
  }

  /** For how long nobody looked into any, ms. */
  get idleMs(): number {
    return performance.now() - this.#atMs;
  }
}
