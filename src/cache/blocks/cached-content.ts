// A content in the disk cache: its name there, what it takes, and which contents are protected from being evicted. Knows neither index
// nor files.
import { createHash } from 'node:crypto';
import type { ContentReference } from '../../remote-drive.ts';
import { blockSizeBytes } from './block.ts';
import { allocatedBytes } from './segment-record.ts';

/** Contents up to this are kept in the index: a file of their own would cost more than their bytes. */
export const inlineBytesMax = 16 * 1024;
const nameLength = 32;

/** Names a content in the index. */
export function nameOf(content: ContentReference): string {
  const identity = `${content.vaultId ?? ''}\0${content.versionId}\0${content.lengthBytes}`;
  return createHash('sha256').update(identity).digest('hex').slice(0, nameLength);
}

/** What a whole content takes. */
export function cachedBytes({ lengthBytes }: Pick<ContentReference, 'lengthBytes'>): number {
  if (lengthBytes <= inlineBytesMax) return inlineAllocatedBytes(lengthBytes);
  const tail = lengthBytes % blockSizeBytes;
  return lengthBytes - tail + allocatedBytes(tail);
}

/** In pages: a value of this size has pages of its own in LMDB, which begin with a header. */
export function inlineAllocatedBytes(lengthBytes: number): number {
  return allocatedBytes(lengthBytes + 64);
}

/** Contents that are not evicted. */
export class ProtectedContents {
  /** By name; how often each was asked for. */
  readonly #counts = new Map<string, number>();
  /** All are, while it is not known which. */
  all = false;

  add(content: ContentReference): void {
    const name = nameOf(content);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  delete(content: ContentReference): void {
    const name = nameOf(content);
    const count = (this.#counts.get(name) ?? 0) - 1;
    if (count > 0) this.#counts.set(name, count);
    else this.#counts.delete(name);
  }

  /** Of an entry of the index: a content's name, or one that begins with it. */
  has(entryName: string): boolean {
    return this.all || this.#counts.has(entryName.slice(0, nameLength));
  }
}
