// Which syncpoint lies above a directory: asked with each request, and the way up is long. Knows what it was told until a directory changes.
import type { Tree, TreeDirectory, TreeNode } from '../tree.ts';

const DIRECTORIES_MAX = 10_000;

/** The top directory of the syncpoint that an object lies in. */
export class Tops {
  readonly #tree: Tree;
  readonly #tops = new Map<number, TreeDirectory | undefined>();

  constructor(tree: Tree) {
    this.#tree = tree;
    tree.onChange((change) => {
      const isDirectory =
        (change.kind !== 'added' && change.previous.kind === 'directory') ||
        (change.kind !== 'removed' && change.current.kind === 'directory');
      if (isDirectory) this.#tops.clear();
    });
  }

  /** Undefined for the root. */
  above(object: TreeNode): TreeDirectory | undefined {
    const directory = object.kind === 'directory' ? object.inode : object.parent;
    const known = this.#tops.get(directory);
    if (known !== undefined || this.#tops.has(directory)) return known;
    const found = this.#tree.syncpointOf(object);
    if (this.#tops.size >= DIRECTORIES_MAX) this.#tops.clear();
    this.#tops.set(directory, found);
    return found;
  }
}
