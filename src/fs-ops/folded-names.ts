// Which names of a directory are equal under Unicode normalisation and case folding: what a service that ignores case would take for
// one name. Indexed by directory when something is first made in it, kept current, and bounded. Knows names at the service only.
import { foldName } from '../base/fold-name.ts';
import type { Tree, TreeChange, TreeNode } from '../cache/tree.ts';

/** Names indexed in all: about 20 MiB. A directory that alone has more is indexed nevertheless, one at a time. */
const NAMES_MAX = 200_000;
/** No name holds it, so that several names fit into one string: nearly always there is one. */
const SEPARATOR = '/';

/** The names of directories by their folded form. */
export class FoldedNames {
  readonly #tree: Pick<Tree, 'children'>;
  /** By directory, least recently used first: folded name to the names that have it. */
  readonly #directories = new Map<number, Map<string, string>>();
  #count = 0;

  constructor(tree: Pick<Tree, 'children'>) {
    this.#tree = tree;
  }

  /** The names in a directory, as the service has them, that fold as this one does; itself among them if it is there. */
  alike(directory: number, name: string): readonly string[] {
    const found = this.#index(directory).get(foldName(name));
    return found === undefined ? [] : found.split(SEPARATOR);
  }

  /** Follows a change of the tree. */
  treeChanged(change: TreeChange): void {
    const before = change.kind === 'added' ? undefined : change.previous;
    const after = change.kind === 'removed' ? undefined : change.current;
    if (before?.parent === after?.parent && before?.remoteName === after?.remoteName) return;
    if (before !== undefined) this.#remove(before);
    if (after !== undefined) this.#add(after);
    if (before?.kind === 'directory' && after === undefined) this.#drop(before.inode);
  }

  /** Names indexed now, for tests. */
  get count(): number {
    return this.#count;
  }

  #index(directory: number): Map<string, string> {
    let names = this.#directories.get(directory);
    if (names === undefined) {
      names = new Map();
      for (const node of this.#tree.children(directory)) addTo(names, node.remoteName);
      this.#count += names.size;
    } else {
      this.#directories.delete(directory);
    }
    this.#directories.set(directory, names);
    for (const oldest of this.#directories.keys()) {
      if (this.#count <= NAMES_MAX || oldest === directory) break;
      this.#drop(oldest);
    }
    return names;
  }

  #add(node: TreeNode): void {
    const names = this.#directories.get(node.parent);
    if (names !== undefined && addTo(names, node.remoteName)) this.#count += 1;
  }

  #remove(node: TreeNode): void {
    const names = this.#directories.get(node.parent);
    if (names === undefined) return;
    const folded = foldName(node.remoteName);
    const left = (names.get(folded) ?? '').split(SEPARATOR);
    const at = left.indexOf(node.remoteName);
    if (at < 0) return;
    left.splice(at, 1);
    if (left.length > 0) names.set(folded, left.join(SEPARATOR));
    else if (names.delete(folded)) this.#count -= 1;
  }

  #drop(directory: number): void {
    this.#count -= this.#directories.get(directory)?.size ?? 0;
    this.#directories.delete(directory);
  }
}

/** True where nothing folded so before. */
function addTo(names: Map<string, string>, name: string): boolean {
  const folded = foldName(name);
  const known = names.get(folded);
  names.set(folded, known === undefined ? name : known + SEPARATOR + name);
  return known === undefined;
}
