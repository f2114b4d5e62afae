// The children of folders used lately, so that using them again reads no index. Bounded by entries, oldest first out.
// Who changes children he got gives them back with `set`.
import type { IndexEntry } from './directory-index.ts';

// About 300 bytes each: 60 MB at most.
const ENTRIES_MAX = 200_000;

export class SnapshotCache {
  readonly #folders = new Map<number, { readonly children: Map<string, IndexEntry>; readonly counted: number }>();
  #entries = 0;

  get(folderId: number): Map<string, IndexEntry> | undefined {
    return this.#folders.get(folderId)?.children;
  }

  set(folderId: number, children: Map<string, IndexEntry>): void {
    this.forget(folderId);
    // An empty folder costs something too.
    const counted = children.size + 1;
    this.#folders.set(folderId, { children, counted });
    this.#entries += counted;
    for (const oldest of this.#folders.keys()) {
      if (this.#entries <= ENTRIES_MAX) break;
      this.forget(oldest);
    }
  }

  forget(folderId: number): void {
    const folder = this.#folders.get(folderId);
    if (folder === undefined) return;
    this.#folders.delete(folderId);
    this.#entries -= folder.counted;
  }
}
