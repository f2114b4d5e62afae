// Opens caches for tests and leaves nothing behind.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ContentBlocks,
  type ContentBlocksOptions,
  type ContentReader,
  openContentBlocks,
} from '../../../src/cache/blocks.ts';

const caches = new Set<ContentBlocks>();
const directories = new Set<string>();

/** A fresh directory, removed by {@link stopAll}. */
export async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blocks-'));
  directories.add(directory);
  return directory;
}

/** A cache over a fresh directory, unless told otherwise, with delays fit for tests. */
export async function open(
  options: Partial<ContentBlocksOptions> & Pick<ContentBlocksOptions, 'drive'>,
): Promise<ContentBlocks> {
  const blocks = await openContentBlocks({
    directory: options.directory ?? (await freshDirectory()),
    diskBytesMax: 2 ** 30,
    memoryBytesMax: 64 * 2 ** 20,
    ...options,
    times: { retryDelayMs: 1, retryDelayMsMax: 4, stallMs: 200, ...options.times },
  });
  caches.add(blocks);
  return blocks;
}

/** For afterEach. */
export async function stopAll(): Promise<void> {
  for (const blocks of caches) await blocks.stop();
  caches.clear();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
  directories.clear();
}

/** The bytes in one piece. */
export async function readBytes(
  reader: ContentReader,
  offsetBytes: number,
  lengthBytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  return Buffer.concat(await reader.read(offsetBytes, lengthBytes, signal));
}
