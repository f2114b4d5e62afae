// All names in the folders that were made by this process: whoever fills one asks for each name before it is there, which costs the database
// the most of all questions. Bounded: a folder that is not known here is looked up as any other. Must not know: what stands behind a name.

/** A few megabytes of names. */
const NAMES_MAX = 20_000;

/** Names to inodes, by folder: of a folder in here there are no others. */
export class MadeFolders {
  readonly #folders = new Map<number, Map<string, number>>();
  #count = 0;

  /** A folder that has never had an entry. */
  begin(folder: number): void {
    this.#makeRoom();
    this.#folders.set(folder, new Map());
    this.#count += 1;
  }

  /** All names of a folder; undefined: they are not known. */
  namesIn(folder: number): ReadonlyMap<string, number> | undefined {
    return this.#folders.get(folder);
  }

  put(folder: number, name: string, inode: number): void {
    if (!this.#folders.has(folder)) return;
    this.#makeRoom();
    const names = this.#folders.get(folder);
    if (names === undefined) return;
    this.#count += names.has(name) ? 0 : 1;
    names.set(name, inode);
  }

  /** The name is free, if it was this inode's. */
  remove(folder: number, name: string, inode: number): void {
    const names = this.#folders.get(folder);
    if (names?.get(name) !== inode) return;
    names.delete(name);
    this.#count -= 1;
  }

  /** The folder is gone; what is left in it is not asked for any more. */
  end(folder: number): void {
    const names = this.#folders.get(folder);
    if (names === undefined) return;
    this.#count -= names.size + 1;
    this.#folders.delete(folder);
  }

  clear(): void {
    this.#folders.clear();
    this.#count = 0;
  }

  #makeRoom(): void {
    if (this.#count >= NAMES_MAX) this.clear();
  }
}
