// What a flush waits for: the changes made before it began, and what becomes of them. Reads the journal only.
import { isPending, type Journal, type PendingRecord } from '../cache/journal.ts';

export class FlushScope {
  readonly #journal: Journal;
  readonly #isHopeless: (inode: number) => boolean;
  readonly #asked: ReadonlySet<number> | undefined;
  readonly #wanted: Set<number>;
  /** When the latest of these changes was made, wall clock, ms: older ones are waited for, whatever becomes of them, and no newer one. */
  readonly latestMs: number;

  /** `inodes`: only these, and what lies in them. `isHopeless`: refused by the service, or waiting for something that is. */
  constructor(journal: Journal, isHopeless: (inode: number) => boolean, inodes: readonly number[] | undefined) {
    this.#journal = journal;
    this.#isHopeless = isHopeless;
    this.#asked = inodes === undefined ? undefined : new Set(inodes);
    this.#wanted = new Set(inodes ?? [...journal.records()].map(({ inode }) => inode));
    let latestMs = 0;
    for (const inode of this.#wanted) latestMs = Math.max(latestMs, journal.get(inode)?.sinceMs ?? 0);
    this.latestMs = latestMs;
  }

  /** The objects it waits for. */
  get inodes(): Iterable<number> {
    return this.#wanted;
  }

  /** True while any of it may still come to the service. */
  isLeft(): boolean {
    for (const inode of this.#wanted) if (!this.#counts(this.#journal.get(inode))) this.#wanted.delete(inode);
    if (this.#wanted.size > 0) return true;
    // A directory that could not be moved has become records of what it holds, as old as its own.
    for (const record of this.#journal.records()) {
      const asked = this.#asked === undefined || this.#isBelow(record.inode, this.#asked);
      if (record.sinceMs <= this.latestMs && asked && this.#counts(record)) this.#wanted.add(record.inode);
    }
    return this.#wanted.size > 0;
  }

  #counts(record: PendingRecord | undefined): boolean {
    return record !== undefined && isPending(record) && !this.#isHopeless(record.inode);
  }

  #isBelow(inode: number, directories: ReadonlySet<number>): boolean {
    const { tree } = this.#journal;
    for (let node = tree.node(inode); node !== undefined && node.parent !== node.inode; node = tree.node(node.parent)) {
      if (directories.has(node.parent)) return true;
    }
    return false;
  }
}
