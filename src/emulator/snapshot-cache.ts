// The children of folders listed lately, so that listing them again reads no index. Bounded by entries, oldest first out.
import type { IndexEntry } from './directory-index.ts';

// About 300 bytes each: 60 MB at most.
const ENTRIES_MAX = 200_000;

export class SnapshotCache {
  readonly #folders = new Map<number, ReadonlyMap<string, IndexEntry>>();
  #entries = 0;

  get(folderId: number): ReadonlyMap<string, IndexEntry> | undefined {
    return this.#folders.get(folderId);
  }

  set(folderId: number, children: ReadonlyMap<string, IndexEntry>): void {
    this.forget(folderId);
    this.#folders.set(folderId, children);
    // An empty folder costs something too.
    this.#entries += children.size + 1;
    for (const oldest of this.#folders.keys()) {
      if (this.#entries <= ENTRIES_MAX) break;
      this.forget(oldest);
    }
  }

  forget(folderId: number): void {
    const children = this.#folders.get(folderId);
    if (children === undefined) return;
    this.#folders.delete(folderId);
    this.#entries -= children.size + 1;
  }
}
