// Uploads that are planned and wait for room, with the folders that they go to: a folder that more is to be stored in is not worth a look.
// Knows inodes only.

export class HeldUploads {
  readonly #folderOf = new Map<number, number>();
  readonly #counts = new Map<number, number>();

  add(inode: number, folder: number): void {
    this.delete(inode);
    this.#folderOf.set(inode, folder);
    this.#counts.set(folder, (this.#counts.get(folder) ?? 0) + 1);
  }

  delete(inode: number): void {
    const folder = this.#folderOf.get(inode);
    if (folder === undefined) return;
    this.#folderOf.delete(inode);
    const left = (this.#counts.get(folder) ?? 0) - 1;
    if (left > 0) this.#counts.set(folder, left);
    else this.#counts.delete(folder);
  }

  /** True where an upload to that folder waits; without one, where any does. */
  awaits(folder?: number): boolean {
    return folder === undefined ? this.#counts.size > 0 : this.#counts.has(folder);
  }

  /** In the order they came. */
  inodes(): Iterable<number> {
    return this.#folderOf.keys();
  }
}
