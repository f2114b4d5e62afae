// Brings a whole content to the disk for nobody who waits now: window by window, behind those who do, no faster than the disk takes it.
// Promises that all of it is there when it resolves. Knows no transfers.
import { waitFor } from '../../base/abort.ts';
import type { ContentReference } from '../../remote-drive.ts';
import { blockSizeBytes } from './block.ts';
import type { BlockDisk, ContentOnDisk } from './block-disk.ts';
import type { BlockReader } from './block-reader.ts';

/** A file's part that is on its way at a time; read-ahead keeps the line full between two of them. */
const windowBlocks = 8;
/** A disk that is busy refuses a block now and then; it is in memory still. */
const attemptsMax = 5;

/** True when all of a content is on disk, as far as the index knows. Costs no reading. */
export function isOnDisk(content: ContentReference, onDisk: ContentOnDisk): boolean {
  return has(onDisk, 0, Math.ceil(content.lengthBytes / blockSizeBytes));
}

/** Resolves when all of the content is on disk. Rejects with RemoteError, with an Error where the disk does not take it, or with the signal's reason. */
export async function keepContent(
  content: ContentReference,
  onDisk: ContentOnDisk,
  disk: BlockDisk,
  reader: BlockReader,
  signal: AbortSignal,
): Promise<void> {
  const blockCount = Math.ceil(content.lengthBytes / blockSizeBytes);
  for (let first = 0; first < blockCount; first += windowBlocks) {
    const end = Math.min(blockCount, first + windowBlocks);
    for (let attempts = 0; !has(onDisk, first, end); attempts += 1) {
      const { refusal } = disk;
      if (refusal !== undefined) throw new Error(`the cache does not take it: ${refusal}`);
      if (attempts === attemptsMax) throw new Error('the cache has no room for it: raise --cache-size');
      await waitFor(disk.room() ?? Promise.resolve(), signal);
      await reader.read(first * blockSizeBytes, (end - first) * blockSizeBytes, signal, true);
      reader.store(first, end);
      await waitFor(disk.written(), signal);
    }
  }
}

function has(onDisk: ContentOnDisk, first: number, end: number): boolean {
  for (let index = first; index < end; index += 1) if (!onDisk.has(index)) return false;
  return true;
}
