// What is pinned, file by file: which content each needs, what that takes, whether it is on the disk; and that the cache does not evict
// it. Knows no folders and no service.
import type { ContentReference } from '../../remote-drive.ts';
import type { ContentBlocks } from '../blocks.ts';
import { cachedBytes } from '../blocks/cached-content.ts';

export interface Holding {
  readonly content: ContentReference;
  /** On the disk, once it is there. */
  readonly bytes: number;
  isStored: boolean;
}

/** Files and bytes, all and those that are still to be fetched. */
export interface HoldingSums {
  files: number;
  bytes: number;
  filesLeft: number;
  bytesLeft: number;
}

export class Holdings {
  readonly #blocks: Pick<ContentBlocks, 'isKept' | 'protected'>;
  readonly #holdings = new Map<number, Holding>();
  readonly #sums: HoldingSums = { files: 0, bytes: 0, filesLeft: 0, bytesLeft: 0 };

  constructor(blocks: Pick<ContentBlocks, 'isKept' | 'protected'>) {
    this.#blocks = blocks;
  }

  get sums(): Readonly<HoldingSums> {
    return this.#sums;
  }

  get(inode: number): Holding | undefined {
    return this.#holdings.get(inode);
  }

  inodes(): Iterable<number> {
    return this.#holdings.keys();
  }

  /** A file needs this content from now on, and no other. */
  set(inode: number, content: ContentReference): Holding {
    const before = this.#holdings.get(inode);
    if (before !== undefined) {
      if (!isSame(before.content, content)) this.delete(inode);
      else {
        this.#mark(before, this.#blocks.isKept(content));
        return before;
      }
    }
    const holding = { content, bytes: cachedBytes(content), isStored: false };
    this.#holdings.set(inode, holding);
    this.#blocks.protected?.add(content);
    this.#count(holding, 1);
    this.#mark(holding, this.#blocks.isKept(content));
    return holding;
  }

  delete(inode: number): void {
    const holding = this.#holdings.get(inode);
    if (holding === undefined) return;
    this.#mark(holding, false);
    this.#count(holding, -1);
    this.#holdings.delete(inode);
    this.#blocks.protected?.delete(holding.content);
  }

  /** The content was brought. */
  stored(holding: Holding): void {
    this.#mark(holding, true);
  }

  #count({ bytes }: Holding, sign: 1 | -1): void {
    this.#sums.files += sign;
    this.#sums.bytes += sign * bytes;
    this.#sums.filesLeft += sign;
    this.#sums.bytesLeft += sign * bytes;
  }

  #mark(holding: Holding, isStored: boolean): void {
    if (holding.isStored === isStored) return;
    holding.isStored = isStored;
    const sign = isStored ? -1 : 1;
    this.#sums.filesLeft += sign;
    this.#sums.bytesLeft += sign * holding.bytes;
  }
}

function isSame(a: ContentReference, b: ContentReference): boolean {
  return a.versionId === b.versionId && a.lengthBytes === b.lengthBytes && a.vaultId === b.vaultId;
}
