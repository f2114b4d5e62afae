// Which file of a folder a thumbnail is of, by the thumbnail's name: a hash, so that all names of the folder are hashed once. Readers of thumbnails
// disagree on what is hashed, so each file has two names. Must not know what a thumbnail holds.
import type { Tree, TreeFile } from '../../cache/tree.ts';
import { sharedUri, thumbnailName } from '../../thumbnails/thumbnail.ts';

/** A name that is not known may be that of a file which came since. */
const REBUILT_AFTER_MS = 1_000;
const FOLDERS_MAX = 16;

/** A file, and the URI that its thumbnail is known by. */
export interface NamedFile {
  readonly file: TreeFile;
  readonly uri: string;
}

interface Names {
  readonly builtMs: number;
  readonly byName: ReadonlyMap<string, { readonly inode: number; readonly uri: string }>;
}

/** The URIs of a file's thumbnail: the specification's, and the name alone, as the specification had it before. */
export function urisOf(name: string): readonly [string, string] {
  return [sharedUri(name), name];
}

export class ThumbnailNames {
  readonly #tree: Pick<Tree, 'children' | 'node'>;
  /** By the inode of the folder. */
  readonly #folders = new Map<number, Names>();

  constructor(tree: Pick<Tree, 'children' | 'node'>) {
    this.#tree = tree;
  }

  /** The file of a folder that has a thumbnail of that name, as far as its name says. */
  find(folder: number, name: string): NamedFile | undefined {
    const known = this.#folders.get(folder);
    const found = known === undefined ? undefined : this.#present(folder, known, name);
    if (found !== undefined) return found;
    if (known !== undefined && performance.now() - known.builtMs < REBUILT_AFTER_MS) return undefined;
    return this.#present(folder, this.#build(folder), name);
  }

  /** The file, unless it has another name or place by now. */
  #present(folder: number, { byName }: Names, name: string): NamedFile | undefined {
    const known = byName.get(name);
    const file = known === undefined ? undefined : this.#tree.node(known.inode);
    if (known === undefined || file?.kind !== 'file' || file.parent !== folder) return undefined;
    return urisOf(file.name).includes(known.uri) ? { file, uri: known.uri } : undefined;
  }

  #build(folder: number): Names {
    const byName = new Map<string, { readonly inode: number; readonly uri: string }>();
    for (const { kind, inode, name } of this.#tree.children(folder)) {
      if (kind !== 'file') continue;
      for (const uri of urisOf(name)) byName.set(thumbnailName(uri), { inode, uri });
    }
    const names = { builtMs: performance.now(), byName };
    this.#folders.delete(folder);
    this.#folders.set(folder, names);
    const [oldest] = this.#folders.keys();
    if (this.#folders.size > FOLDERS_MAX && oldest !== undefined) this.#folders.delete(oldest);
    return names;
  }
}
