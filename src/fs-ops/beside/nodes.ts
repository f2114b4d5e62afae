// Nodes of what is shown beside the tree, such as earlier versions of files. They live as long as the kernel or a handle holds them, in numbers
// of their own above all others, and never come into the tree. Must not know what they show.
import type { ContentReader } from '../../cache/blocks.ts';
import type { Timestamp } from '../../remote-drive.ts';
import type { Answer, Caller, NodeId } from '../operations.ts';

/** Node ids and handles from here on are of this kind; those of the tree stay below. */
export const FIRST_BESIDE_NUMBER = 2 ** 51;

interface Common {
  readonly node: NodeId;
  /** For messages. */
  readonly path: string;
  /** The inode of the folder of the tree that it hangs on. */
  readonly folder: number;
  readonly modified: Timestamp;
  /** What it is at the service. */
  readonly extendedAttributes: ReadonlyMap<string, string>;
}

/** A directory beside the tree. */
export interface BesideDirectory extends Common {
  readonly kind: 'directory';
  /** Its inode number as ".." shows it. */
  readonly parentInode: number;
  readonly contents: Contents;
}

/** A file beside the tree: immutable. */
export interface BesideFile extends Common {
  readonly kind: 'file';
  /** Undefined in a row of a directory, where only a lookup finds it out. */
  readonly lengthBytes: number | undefined;
  readonly open: () => ContentReader;
}

export type BesideNode = BesideDirectory | BesideFile;

/** A node without its number. */
export type Unplaced = Omit<BesideDirectory, 'node'> | Omit<BesideFile, 'node'>;

/** An entry of a directory beside the tree. */
export interface Item {
  readonly name: string;
  /** What it is, for as long as it is the same. */
  readonly key: string;
  readonly value: Unplaced;
}

/** What a directory beside the tree holds. */
export interface Contents {
  items(directory: BesideDirectory, caller: Caller): Answer<readonly Item[]>;
  /** The entry of a name, where that is found without all others. */
  item?(directory: BesideDirectory, name: string, caller: Caller): Answer<Item | undefined>;
}

/** Nodes by number, with how often each is held. */
export class BesideNodes {
  readonly #nodes = new Map<NodeId, { readonly value: BesideNode; readonly key: string; held: number }>();
  readonly #byKey = new Map<string, NodeId>();
  #next = FIRST_BESIDE_NUMBER;

  get(node: NodeId): BesideNode | undefined {
    return this.#nodes.get(node)?.value;
  }

  /** The node of what has that key: the one that is held, or one of a new number. Holds nothing. */
  place(key: string, value: Unplaced): BesideNode {
    const known = this.#byKey.get(key);
    const held = known === undefined ? undefined : this.#nodes.get(known)?.value;
    if (held !== undefined) return held;
    const node = this.#next;
    this.#next += 1;
    return { ...value, node };
  }

  /** Holds a node: for a lookup, or for a handle. */
  hold(key: string, value: BesideNode): void {
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
