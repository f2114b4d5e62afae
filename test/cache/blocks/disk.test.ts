// The disk cache: survives remounts, stays below its limit, never serves a damaged byte, never fails a read.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { mkdir, open as openFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { Block, blockSizeBytes } from '../../../src/cache/blocks/block.ts';
import { CacheIndex } from '../../../src/cache/blocks/cache-index.ts';
import { DiskCache } from '../../../src/cache/blocks/disk-cache.ts';
import { SegmentFiles } from '../../../src/cache/blocks/segment-files.ts';
import type { ContentReference } from '../../../src/remote-drive.ts';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { freshDirectory, open, readBytes, stopAll } from './opened.ts';

afterEach(stopAll);

const KiB = 1024;
const MiB = 1024 * KiB;
const contents = [1, 4096, 16 * KiB, 16 * KiB + 1, 300_000, 9 * MiB + 5].map((length) =>
  contentReference(`disk-${length}`, length),
);

/** No faster than a disk: each chunk takes a turn of the event loop. */
function slowDrive(): FakeContentDrive {
  return new FakeContentDrive({ pace: () => new Promise((resolve) => setImmediate(resolve)) });
}

/** Reads all of a version in pieces of 1 MiB and checks them. */
async function verify(blocks: Awaited<ReturnType<typeof open>>, content: ContentReference): Promise<void> {
  const reader = blocks.reader(content);
  for (let at = 0; at < content.lengthBytes; at += MiB) {
    const bytes = await readBytes(reader, at, MiB);
    const expected = bytesOf(content, at, Math.min(content.lengthBytes, at + MiB));
    expect(bytes.equals(expected), `${content.versionId} at ${at}`).toBe(true);
  }
  reader.close();
}

/** What the files below a directory really take. */
function bytesOnDisk(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) =>
        sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0) * 512,
      0,
    );
}

/** A directory that holds everything. */
async function filledDirectory(): Promise<string> {
  const directory = await freshDirectory();
  await becomesWhole(directory);
  return directory;
}

/** Reads until nothing is fetched any more: a write is dropped, not queued, where the disk can't follow; the next read repeats it. */
async function becomesWhole(directory: string): Promise<void> {
  let fetchedBytes = 1;
  for (let round = 0; round < 6 && fetchedBytes > 0; round++) fetchedBytes = await fetchedAfter(directory);
  expect(fetchedBytes).toBe(0);
}

/** Opens the cache again, reads everything, and tells what had to be fetched. */
async function fetchedAfter(directory: string): Promise<number> {
  const drive = slowDrive();
  const blocks = await open({ directory, drive });
  for (const content of contents) await verify(blocks, content);
  await blocks.stop();
  return drive.sentBytes;
}

test('what was read once is not fetched again after a remount', async () => {
  expect(await fetchedAfter(await filledDirectory())).toBe(0);
});

test('the cache may be deleted while unmounted', async () => {
  const directory = await filledDirectory();
  await rm(directory, { recursive: true });
  expect(await fetchedAfter(directory)).toBeGreaterThan(9 * MiB);
});

test('a second opener of a directory is told who holds it', async () => {
  const directory = await freshDirectory();
  const blocks = await open({ directory, drive: slowDrive() });
  await expect(open({ directory, drive: slowDrive() })).rejects.toThrow(`in use by process ${process.pid}`);
  await blocks.stop();
  await open({ directory, drive: slowDrive() });
});

test('damaged, short and missing data files cost a fetch of what is damaged', async () => {
  const directory = await filledDirectory();
  const data = join(directory, 'data');
  const files = (await readdir(data, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  expect(files.length).toBe(4);
  let damage = 0;
  for (const entry of files) {
    const path = join(entry.parentPath, entry.name);
    const { size } = await stat(path);
    if (damage % 3 === 0) {
      const file = await openFile(path, 'r+');
      await file.write(Buffer.from('damaged'), 0, 7, Math.floor(size / 2));
      await file.close();
    }
    if (damage % 3 === 1) await truncate(path, Math.floor(size / 2));
    if (damage % 3 === 2) await rm(path);
    damage++;
  }
  expect(await fetchedAfter(directory)).toBeGreaterThan(0);
  await becomesWhole(directory);
});

test.for([
  ['emptied', () => 0],
  ['cut in half', (size: number) => Math.floor(size / 2)],
  ['cut in a page', (size: number) => size - 100],
] as const)('an index %s is dropped, never fatal', async ([, cutTo]) => {
  const directory = await filledDirectory();
  const path = join(directory, 'index', 'data.mdb');
  await truncate(path, cutTo((await stat(path)).size));
  await becomesWhole(directory);
});

test('an index overwritten with noise, page by page, never gives wrong bytes', async () => {
  const directory = await filledDirectory();
  const path = join(directory, 'index', 'data.mdb');
  for (let page = 0; page < Math.ceil((await stat(path)).size / 4096); page += 3) {
    const file = await openFile(path, 'r+');
    const noise = bytesOf(contentReference(`noise-${page}`, MiB), 0, 4000);
    await file.write(noise, 0, noise.length, page * 4096 + (page % 2) * 90);
    await file.close();
    await fetchedAfter(directory);
  }
  await rm(join(directory, 'data'), { recursive: true });
  expect(await fetchedAfter(directory)).toBeGreaterThan(9 * MiB);
});

test('what the disk really holds stays below the limit, the least recently used goes first', async () => {
  const directory = await freshDirectory();
  const diskBytesMax = 24 * MiB;
  const drive = slowDrive();
  const blocks = await open({ directory, drive, diskBytesMax, memoryBytesMax: 8 * MiB });
  const kept = contentReference('kept', 3 * MiB);
  await verify(blocks, kept);
  for (let at = 0; at < 40; at++) {
    await verify(blocks, contentReference(`passing-${at}`, 2 * MiB));
    await verify(blocks, contentReference(`small-${at}`, 9000));
    expect(bytesOnDisk(directory)).toBeLessThanOrEqual(diskBytesMax + 8 * MiB);
    await verify(blocks, kept);
  }
  await blocks.stop();
  expect(bytesOnDisk(directory)).toBeLessThanOrEqual(diskBytesMax);
  expect(bytesOnDisk(directory)).toBeGreaterThan(diskBytesMax / 2);
  // A block whose write was dropped is fetched once more; a cache without order of use would fetch all four times.
  const keptCalls = drive.calls.filter((call) => call.content === kept);
  expect(keptCalls.reduce((sum, call) => sum + call.sentBytes, 0)).toBeLessThan(2 * kept.lengthBytes);
});

test('after a crash, files that the index does not know are swept', async () => {
  const directory = await filledDirectory();
  const orphan = join(directory, 'data', 'ab', 'ab00-0');
  await mkdir(join(directory, 'data', 'ab'), { recursive: true });
  await writeFile(orphan, 'left over');
  await rm(join(directory, 'index', 'closed'));
  const blocks = await open({ directory, drive: slowDrive() });
  await expect.poll(() => statSync(orphan, { throwIfNoEntry: false })).toBeUndefined();
  await blocks.stop();
  expect(await fetchedAfter(directory)).toBe(0);
});

test('small files find their place in a cache full of large ones', async () => {
  const directory = await freshDirectory();
  const diskBytesMax = 12 * MiB;
  const blocks = await open({ directory, drive: slowDrive(), diskBytesMax, memoryBytesMax: 8 * MiB });
  await verify(blocks, contentReference('large', 20 * MiB));
  for (let at = 0; at < 400; at++) await verify(blocks, contentReference(`little-${at}`, 4096));
  await blocks.stop();
  expect(bytesOnDisk(directory)).toBeLessThanOrEqual(diskBytesMax);
  const drive = slowDrive();
  const again = await open({ directory, drive, diskBytesMax });
  for (let at = 350; at < 400; at++) await verify(again, contentReference(`little-${at}`, 4096));
  expect(drive.calls.length).toBeLessThan(10);
});

test('a disk that refuses to write costs the cache, not the read', async () => {
  const directory = await freshDirectory();
  // A file where the segments' directory should be: every write of a segment fails.
  await writeFile(join(directory, 'data'), '');
  const drive = slowDrive();
  const blocks = await open({ directory, drive });
  for (const content of contents) await verify(blocks, content);
  for (const content of contents) await verify(blocks, content);
});

test.skipIf(process.getuid?.() !== 0)('a full disk costs the cache, not the read', async () => {
  const directory = await freshDirectory();
  const mountpoint = join(directory, 'small');
  await mkdir(mountpoint);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', mountpoint]);
  try {
    const blocks = await open({ directory: join(mountpoint, 'cache'), drive: slowDrive() });
    for (const content of contents) await verify(blocks, content);
    for (const content of contents) await verify(blocks, content);
    await blocks.stop();
    // Nothing lies there that is not counted, and so never evicted.
    execFileSync('mount', ['-o', 'remount,size=16m', mountpoint]);
    const again = await open({ directory: join(mountpoint, 'cache'), drive: slowDrive() });
    await expect
      .poll(() => bytesOnDisk(join(mountpoint, 'cache')) - again.statistics().diskBytes)
      .toBeLessThanOrEqual(64 * KiB);
    await again.stop();
  } finally {
    execFileSync('umount', [mountpoint]);
  }
});

test('what an index that cannot be written counts as gone goes when it can, and is not forgotten', async () => {
  const directory = await freshDirectory();
  await mkdir(join(directory, 'index'));
  const index = await CacheIndex.open(join(directory, 'index'));
  const files = new SegmentFiles(join(directory, 'data'));
  const diskBytesMax = 8 * MiB;
  const cache = new DiskCache({
    index,
    files,
    diskBytesMax,
    reserveBytes: 0,
    freeBytes: () => Infinity,
    memoryBytesMax: 64 * MiB,
    pin: () => undefined,
    unpin: () => undefined,
  });
  const store = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at++) {
      const content = contentReference(`evicted-${at}`, blockSizeBytes);
      const block = new Block(1, 0, blockSizeBytes);
      block.buffer = Buffer.alloc(blockSizeBytes, at);
      block.filledBytes = blockSizeBytes;
      cache.content(content).store(block);
      await cache.written();
    }
  };
  await store(0, 55);
  cache.commit();
  const flush = vi.spyOn(index, 'flush').mockReturnValue(false);
  await store(55, 120);
  flush.mockRestore();
  await store(120, 130);
  expect(bytesOnDisk(join(directory, 'data'))).toBeLessThanOrEqual(diskBytesMax);
  expect(cache.usedBytes).toBeGreaterThan(diskBytesMax / 2);
  await cache.stop();
});

test('a cache removed while it is in use costs the cache, not the read, and is said once', async () => {
  const said = vi.spyOn(console, 'error').mockReturnValue();
  try {
    const directory = await freshDirectory();
    const drive = slowDrive();
    // Memory for little: most of what is read again would come from the disk.
    const blocks = await open({ directory, drive, memoryBytesMax: 2 * MiB });
    for (const content of contents) await verify(blocks, content);
    await rm(directory, { recursive: true });
    for (let round = 0; round < 2; round++) for (const content of contents) await verify(blocks, content);
    await vi.waitFor(() => expect(said).toHaveBeenCalled());
    for (const content of contents) await verify(blocks, content);
    expect(blocks.statistics().diskBytes).toBe(0);
    await blocks.stop();
    expect(said.mock.calls).toEqual([[expect.stringContaining('the cache directory was removed')]]);
  } finally {
    said.mockRestore();
  }
});
