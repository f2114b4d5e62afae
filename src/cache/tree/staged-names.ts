// Which nodes name staged content, kept true with every node stored or removed; tells, once a transaction is through, which generations
// no node names any more. Must not know: where staged bytes are.
import type { Table } from './logged-store.ts';
import { generationKey, generationsOf, inodeKey, readInode, type StagedContent, type TreeNode } from './records.ts';

export class StagedNames {
  readonly #table: Table<Buffer>;
  readonly #listeners = new Set<(generations: readonly number[]) => void>();
  /** Let go of, and not told yet. */
  #released: number[] = [];

  constructor(table: Table<Buffer>) {
    this.#table = table;
  }

  /** The files that name a generation. */
  inodes(): number[] {
    return [...this.#table.range()].map(({ value }) => readInode(value));
  }

  /** A node takes the place of another state of it; undefined: there was, or is, none. */
  replace(previous: TreeNode | undefined, current: TreeNode | undefined): void {
    const stagedBefore = stagedOf(previous);
    const stagedAfter = stagedOf(current);
    if (stagedBefore === undefined && stagedAfter === undefined) return;
    const kept = new Set(generationsOf(stagedAfter));
    this.#released.push(...generationsOf(stagedBefore).filter((generation) => !kept.has(generation)));
    const before = stagedBefore?.id;
    const after = stagedAfter?.id;
    if (before === after) return;
    if (before !== undefined) this.#table.remove(generationKey(before));
    if (after !== undefined && current !== undefined) this.#table.put(generationKey(after), inodeKey(current.inode));
  }

  /** Tells the generations that no node names any more, after the transaction that let go of them. Returns the way out. */
  onReleased(listener: (generations: readonly number[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The transaction is through. */
  tellReleased(): void {
    if (this.#released.length === 0) return;
    const released = this.#released;
    this.#released = [];
    for (const listener of this.#listeners) listener(released);
  }

  /** The transaction came to nothing. */
  takeBack(): void {
    this.#released = [];
  }
}

function stagedOf(node: TreeNode | undefined): StagedContent | undefined {
  return node?.kind === 'file' ? node.staged : undefined;
}
