// Nodes of what is shown beside the tree: earlier versions and what was removed. They live as long as the kernel or a handle holds them, in
// numbers of their own above all others, and never come into the tree.
import type { ContentReference, FileId, SyncpointId, Timestamp, TrashFolder } from '../../remote-drive.ts';
import type { NodeId } from '../operations.ts';

/** Node ids and handles from here on are of this kind; those of the tree stay below. */
export const FIRST_HISTORY_NUMBER = 2 ** 51;

/** A directory beside the tree. */
export interface HistoryDirectory {
  readonly kind: 'directory';
  readonly node: NodeId;
  /** Its inode number as ".." shows it. */
  readonly parentInode: number;
  /** For messages. */
  readonly path: string;
  readonly about: HistoryAbout;
  readonly modified: Timestamp;
}

/** What a directory shows. `directory` is the inode of the folder of the tree that it hangs on. */
export type HistoryAbout = { readonly directory: number; readonly syncpointId: SyncpointId } & (
  | { readonly kind: 'versions' }
  | { readonly kind: 'file-versions'; readonly file: number; readonly fileId: FileId }
  | { readonly kind: 'removed'; readonly folder: TrashFolder }
);

/** A file beside the tree: immutable. */
export interface HistoryFile {
  readonly kind: 'file';
  readonly node: NodeId;
  readonly path: string;
  readonly directory: number;
  readonly content: ContentReference;
  readonly modified: Timestamp;
}

export type HistoryNode = HistoryDirectory | HistoryFile;

/** A node without its number. */
export type Unplaced = Omit<HistoryDirectory, 'node'> | Omit<HistoryFile, 'node'>;

/** Nodes by number, with how often each is held. */
export class HistoryNodes {
  readonly #nodes = new Map<NodeId, { readonly value: HistoryNode; readonly key: string; held: number }>();
  readonly #byKey = new Map<string, NodeId>();
  #next = FIRST_HISTORY_NUMBER;

  get(node: NodeId): HistoryNode | undefined {
    return this.#nodes.get(node)?.value;
  }

  /** The node of what has that key: the one that is held, or one of a new number. Holds nothing. */
  place(key: string, make: () => Unplaced): HistoryNode {
    const known = this.#byKey.get(key);
    const held = known === undefined ? undefined : this.#nodes.get(known)?.value;
    if (held !== undefined) return held;
    const node = this.#next;
    this.#next += 1;
    return { ...make(), node };
  }

  /** Holds a node: for a lookup, or for a handle. */
  hold(key: string, value: HistoryNode): void {
    const known = this.#nodes.get(value.node);
    if (known !== undefined) {
      known.held += 1;
      return;
    }
    this.#nodes.set(value.node, { value, key, held: 1 });
    this.#byKey.set(key, value.node);
  }

  /** Takes back what held a node; at the last one it is gone. */
  letGo(node: NodeId, count: number): void {
    const known = this.#nodes.get(node);
    if (known === undefined) return;
    known.held -= count;
    if (known.held > 0) return;
    this.#nodes.delete(node);
    if (this.#byKey.get(known.key) === node) this.#byKey.delete(known.key);
  }

  /** Nodes that are held. */
  get count(): number {
    return this.#nodes.size;
  }
}
