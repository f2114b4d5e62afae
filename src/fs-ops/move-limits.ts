// Which directories are too much to move where the service cannot: it would mean to store all they hold anew, behind the program's
// back. Then the program is told that source and target are two file systems, and copies visibly. Knows counts and bytes only.
import { errno } from '../base/errno.ts';
import type { Tree, TreeDirectory, TreeFile, TreeNode } from '../cache/tree.ts';
import { FsError } from './operations.ts';

/** How the service gets a stored object to another directory: by a call, or by storing it anew there and removing it here. */
export type MoveCost = 'free' | 'copy';

/** How much is copied behind a program's back. */
export interface MoveLimits {
  /** Default: free within a syncpoint. */
  readonly cost?: ((node: TreeNode, target: TreeDirectory) => MoveCost) | undefined;
  /**
   * How much would have to be fetched first of a file whose content was not written here; what is above `bytesMax` need not be counted.
   * Default: all of it.
   */
  readonly uncachedBytes?: ((file: TreeFile, bytesMax: number) => number) | undefined;
  /** Stored files in a directory that are copied without the program's doing. */
  readonly filesMax?: number | undefined;
  /** Bytes that are fetched for it. */
  readonly bytesMax?: number | undefined;
}

/** A minute or two of calls and transfers: more should not happen unseen. */
const FILES_MAX = 1_000;
const BYTES_MAX = 2 ** 30;

/** Judges moves to other directories. */
export class Moves {
  readonly #tree: Tree;
  readonly #limits: MoveLimits;

  constructor(tree: Tree, limits: MoveLimits) {
    this.#tree = tree;
    this.#limits = limits;
  }

  cost(node: TreeNode, target: TreeDirectory): MoveCost {
    if (this.#limits.cost !== undefined) return this.#limits.cost(node, target);
    return this.#tree.syncpointOf(node)?.inode === this.#tree.syncpointOf(target)?.inode ? 'free' : 'copy';
  }

  /** Throws EXDEV where a directory cannot be moved by a call and holds too much to be copied. A file is always moved. */
  require(node: TreeNode, target: TreeDirectory): void {
    if (node.kind === 'file' || this.cost(node, target) === 'free') return;
    const { filesMax = FILES_MAX, bytesMax = BYTES_MAX } = this.#limits;
    let files = 0;
    let bytes = 0;
    const directories = [node];
    for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
      const unknown = this.#tree.listing(at.inode) === undefined;
      for (const child of this.#tree.children(at.inode)) {
        if (child.kind === 'directory') directories.push(child);
        else if (child.versionId !== undefined) {
          files += 1;
          bytes += this.#uncachedBytes(child, bytesMax - bytes);
        }
        if (files > filesMax || bytes > bytesMax) break;
      }
      if (!unknown && files <= filesMax && bytes <= bytesMax) continue;
      throw new FsError(
        errno.EXDEV,
        `${this.#tree.path(node)} holds too much to be stored anew in ${this.#tree.path(target)}`,
      );
    }
  }

  #uncachedBytes(file: TreeFile, bytesMax: number): number {
    // It is whole on this machine, or is being made whole for its upload, wherever that goes.
    if (file.staged !== undefined) return 0;
    return this.#limits.uncachedBytes?.(file, bytesMax) ?? file.lengthBytes;
  }
}
