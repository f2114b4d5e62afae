// What the user wants to be kept on this machine: files and folders by inode, so that a pin follows what is renamed and outlives
// remounts. A wish only: whether the content is there is the business of pins/keeper.ts. Knows neither service nor cache.
import { ROOT_INODE, type Tree, type TreeChange, type TreeNode } from './tree.ts';

/** Deeper is damage, not a tree. */
const DEPTH_MAX = 4096;

export class Pins {
  readonly #tree: Tree;
  readonly #inodes = new Set<number>();

  /** Pins of what is gone are forgotten. */
  constructor(tree: Tree) {
    this.#tree = tree;
    const stored = tree.pins();
    for (const inode of stored) if (tree.node(inode) !== undefined) this.#inodes.add(inode);
    const gone = stored.filter((inode) => !this.#inodes.has(inode));
    if (gone.length > 0) this.#change(gone, []);
  }

  /** None. */
  get empty(): boolean {
    return this.#inodes.size === 0;
  }

  has(inode: number): boolean {
    return this.#inodes.has(inode);
  }

  /** What is pinned itself. */
  nodes(): TreeNode[] {
    return [...this.#inodes].map((inode) => this.#tree.node(inode)).filter((node) => node !== undefined);
  }

  /** The pinned node at or above another one; the nearest. */
  above(node: TreeNode): TreeNode | undefined {
    if (this.empty) return undefined;
    let at: TreeNode | undefined = node;
    for (let depth = 0; at !== undefined && depth < DEPTH_MAX; depth += 1) {
      if (this.#inodes.has(at.inode)) return at;
      if (at.inode === ROOT_INODE) return undefined;
      at = this.#tree.node(at.parent);
    }
    return undefined;
  }

  /** Pins; returns what was not pinned itself before. */
  add(inodes: readonly number[]): number[] {
    const fresh = [...new Set(inodes)].filter((inode) => !this.#inodes.has(inode));
    this.#change([], fresh);
    return fresh;
  }

  /** Takes the pins of a node and of all below it away; returns how many there were. */
  removeBelow(node: TreeNode): number {
    const found = this.nodes().filter((pinned) => this.#isBelow(pinned, node.inode));
    this.remove(found.map(({ inode }) => inode));
    return found.length;
  }

  remove(inodes: readonly number[]): void {
    this.#change(
      inodes.filter((inode) => this.#inodes.has(inode)),
      [],
    );
  }

  /** Where a pinned file was replaced by another one of its name, as editors do, that one is pinned from now on. */
  follow(change: TreeChange): void {
    if (change.kind !== 'removed' || !this.#inodes.has(change.previous.inode)) return;
    const { previous } = change;
    const now = this.#tree.child(previous.parent, previous.name);
    this.#change([previous.inode], now?.kind === previous.kind ? [now.inode] : []);
  }

  #change(remove: readonly number[], add: readonly number[]): void {
    if (remove.length + add.length === 0) return;
    this.#tree.change('local', (transaction) => {
      for (const inode of remove) transaction.removePin(inode);
      for (const inode of add) transaction.putPin(inode);
    });
    for (const inode of remove) this.#inodes.delete(inode);
    for (const inode of add) this.#inodes.add(inode);
  }

  #isBelow(node: TreeNode, inode: number): boolean {
    let at: TreeNode | undefined = node;
    for (let depth = 0; at !== undefined && depth < DEPTH_MAX; depth += 1) {
      if (at.inode === inode) return true;
      if (at.inode === ROOT_INODE) return false;
      at = this.#tree.node(at.parent);
    }
    return false;
  }
}
