// Node ids, which the kernel holds, and inodes, which the tree keeps. They are the same number except while an older version
// of a file is open: the kernel's page cache is per node, so the new version gets a new node and the old one keeps its size
// and bytes until it is released and forgotten (both show the same st_ino). What was removed stays as it was, likewise.
import { ROOT_INODE, type TreeDirectory, type TreeFile, type TreeNode } from '../cache/tree.ts';
import { ROOT_NODE, type NodeId } from './operations.ts';

/** An object as it was when something happened to it while the kernel held it. */
export interface FrozenNode {
  readonly object: TreeNode;
  /** `replaced`: the service has another version. `removed`: by a program here. `vanished`: from the service. */
  readonly how: 'replaced' | 'removed' | 'vanished';
  /** Where it lay when it vanished: the directories from its syncpoint's on. */
  readonly above: readonly TreeDirectory[];
}

/** Node ids from here on are given to new versions; inode numbers stay below 2^48. */
const FIRST_EXTRA_NODE = 2 ** 48;

export class Nodes {
  readonly #rootInode: number;
  readonly #lookups = new Map<NodeId, number>();
  readonly #opens = new Map<NodeId, number>();
  readonly #extraOf = new Map<number, NodeId>();
  readonly #inodeOf = new Map<NodeId, number>();
  readonly #frozen = new Map<NodeId, FrozenNode>();
  #nextExtra = FIRST_EXTRA_NODE;

  /** `rootInode` is the folder shown as the mount's root. */
  constructor(rootInode: number = ROOT_INODE) {
    this.#rootInode = rootInode;
  }

  /** The inode behind a node, also of a frozen one. */
  inode(node: NodeId): number {
    if (node === ROOT_NODE) return this.#rootInode;
    return this.#inodeOf.get(node) ?? this.#frozen.get(node)?.object.inode ?? node;
  }

  /** True for numbers that mean the same in every process; those of further versions are given anew by each. */
  isLasting(node: NodeId): boolean {
    return node < FIRST_EXTRA_NODE;
  }

  /** The node under which an inode's present state is known, or would be. */
  node(inode: number): NodeId {
    if (inode === this.#rootInode) return ROOT_NODE;
    const extra = this.#extraOf.get(inode);
    if (extra !== undefined) return extra;
    return this.#frozen.has(inode) || this.#inodeOf.has(inode) ? this.#addExtra(inode) : inode;
  }

  /** What a node is frozen to, if it is. */
  frozen(node: NodeId): FrozenNode | undefined {
    return this.#frozen.get(node);
  }

  /** True where the kernel holds this node. */
  known(node: NodeId): boolean {
    return node === ROOT_NODE || this.#lookups.has(node);
  }

  /** Counts one lookup of a node. */
  remember(node: NodeId): void {
    this.#lookups.set(node, (this.#lookups.get(node) ?? 0) + 1);
  }

  /** Takes back lookups. True when the kernel no longer holds the node. */
  forget(node: NodeId, count: number): boolean {
    const left = (this.#lookups.get(node) ?? 0) - count;
    if (left > 0) {
      this.#lookups.set(node, left);
      return false;
    }
    this.#lookups.delete(node);
    this.#dropIfUnused(node);
    return true;
  }

  /** Counts an open handle of a node. */
  opened(node: NodeId): void {
    this.#opens.set(node, (this.#opens.get(node) ?? 0) + 1);
  }

  /** A handle of the node is gone. */
  released(node: NodeId): void {
    const left = (this.#opens.get(node) ?? 0) - 1;
    if (left > 0) {
      this.#opens.set(node, left);
      return;
    }
    this.#opens.delete(node);
    this.#dropIfUnused(node);
  }

  /**
   * The content of an inode was replaced. Where its present node is open it is frozen to `file` and later lookups get another node:
   * returns true. Else false, and the kernel's pages of the node are stale.
   */
  replaced(file: TreeFile): boolean {
    const node = this.node(file.inode);
    if (!this.#opens.has(node)) return false;
    this.#freeze(node, { object: file, how: 'replaced', above: [] });
    this.#addExtra(file.inode);
    return true;
  }

  /**
   * An object is gone: every node of it that is held shows it as it was. `above`: the directories it lay in, from its syncpoint's on. True
   * where its present node is open.
   */
  removed(object: TreeNode, how: 'removed' | 'vanished', above: readonly TreeDirectory[] = []): boolean {
    for (const [node, frozen] of this.#frozen) {
      if (frozen.object.inode === object.inode) this.#frozen.set(node, { ...frozen, how, above });
    }
    const node = this.node(object.inode);
    const open = this.#opens.has(node);
    if (open || this.#lookups.has(node)) this.#freeze(node, { object, how, above });
    else this.#dropIfUnused(node);
    return open;
  }

  /** What a frozen node shows was changed through a handle. */
  refrozen(node: NodeId, object: TreeNode): void {
    const frozen = this.#frozen.get(node);
    if (frozen !== undefined) this.#frozen.set(node, { ...frozen, object });
  }

  /** A frozen node stands for an object of its own from now on, which the tree has. */
  thawed(node: NodeId, inode: number): void {
    this.#frozen.delete(node);
    this.#inodeOf.set(node, inode);
    this.#extraOf.set(inode, node);
  }

  /** The nodes that the kernel holds; may be gone on with while that changes. */
  held(): Iterable<NodeId> {
    return this.#lookups.keys();
  }

  /** The nodes that are open; may be gone on with while that changes. */
  open(): Iterable<NodeId> {
    return this.#opens.keys();
  }

  /** Nodes the kernel holds, for tests and status. */
  get heldCount(): number {
    return this.#lookups.size;
  }

  #freeze(node: NodeId, frozen: FrozenNode): void {
    this.#frozen.set(node, frozen);
    this.#inodeOf.delete(node);
    this.#extraOf.delete(frozen.object.inode);
  }

  #addExtra(inode: number): NodeId {
    const node = this.#nextExtra;
    this.#nextExtra += 1;
    this.#extraOf.set(inode, node);
    this.#inodeOf.set(node, inode);
    return node;
  }

  #dropIfUnused(node: NodeId): void {
    if (this.#lookups.has(node) || this.#opens.has(node)) return;
    this.#frozen.delete(node);
    const inode = this.#inodeOf.get(node);
    if (inode === undefined) return;
    this.#inodeOf.delete(node);
    if (this.#extraOf.get(inode) === node) this.#extraOf.delete(inode);
  }
}
