// Node ids, which the kernel holds, and inodes, which the tree keeps. They are the same number except while an older version
// of a file is open: the kernel's page cache is per node, so the new version gets a new node and the old one keeps its size
// and bytes until it is released and forgotten (both show the same st_ino).
import { ROOT_INODE, type TreeFile } from '../cache/tree.ts';
import { ROOT_NODE, type NodeId } from './operations.ts';

/** A file as it was when its version was replaced, or the file removed, while open. */
export interface FrozenFile {
  readonly file: TreeFile;
  readonly removed: boolean;
}

/** Node ids from here on are given to new versions; inode numbers stay below 2^48. */
const FIRST_EXTRA_NODE = 2 ** 48;

export class Nodes {
  readonly #rootInode: number;
  readonly #lookups = new Map<NodeId, number>();
  readonly #opens = new Map<NodeId, number>();
  readonly #extraOf = new Map<number, NodeId>();
  readonly #inodeOf = new Map<NodeId, number>();
  readonly #frozen = new Map<NodeId, FrozenFile>();
  #nextExtra = FIRST_EXTRA_NODE;

  /** `rootInode` is the folder shown as the mount's root. */
  constructor(rootInode: number = ROOT_INODE) {
    this.#rootInode = rootInode;
  }

  /** The inode behind a node, also of a frozen one. */
  inode(node: NodeId): number {
    if (node === ROOT_NODE) return this.#rootInode;
    return this.#inodeOf.get(node) ?? this.#frozen.get(node)?.file.inode ?? node;
  }

  /** The node under which an inode's present state is known, or would be. */
  node(inode: number): NodeId {
    if (inode === this.#rootInode) return ROOT_NODE;
    const extra = this.#extraOf.get(inode);
    if (extra !== undefined) return extra;
    return this.#frozen.has(inode) ? this.#addExtra(inode) : inode;
  }

  /** What a node is frozen to, if it is. */
  frozen(node: NodeId): FrozenFile | undefined {
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
   * The content of an inode was replaced, or the file removed. Where its present node is open it is frozen to `file` and later
   * lookups get another node: returns true. Else false, and the kernel's pages of the node are stale.
   */
  replaced(file: TreeFile, removed: boolean): boolean {
    const node = this.node(file.inode);
    if (!this.#opens.has(node)) return false;
    this.#frozen.set(node, { file, removed });
    this.#inodeOf.delete(node);
    this.#extraOf.delete(file.inode);
    if (!removed) this.#addExtra(file.inode);
    return true;
  }

  /** Nodes the kernel holds, for tests and status. */
  get heldCount(): number {
    return this.#lookups.size;
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
