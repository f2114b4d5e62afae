// A disk that others use, too: the cache leaves some of it to them, and gives way where they or this drive's own changed files need it.
import { afterEach, expect, test, vi } from 'vitest';
import type { ContentBlocks } from '../../../src/cache/blocks.ts';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { open, readBytes, stopAll } from './opened.ts';

afterEach(async () => {
  await stopAll();
  vi.restoreAllMocks();
});

const MiB = 2 ** 20;
const GiB = 1024 * MiB;
const WAIT = { timeout: 20_000, interval: 20 };
const drive = (): FakeContentDrive =>
  new FakeContentDrive({ pace: () => new Promise((resolve) => setImmediate(resolve)) });

/** A disk with this much free beside what a cache takes. */
class Disk {
  besideBytes: number;
  blocks: ContentBlocks | undefined;

  constructor(besideBytes: number) {
    this.besideBytes = besideBytes;
  }

  freeBytes = (): number => this.besideBytes - this.usedBytes;

  get usedBytes(): number {
    return this.blocks?.statistics().diskBytes ?? 0;
  }

  async cache(diskBytesMax: number): Promise<ContentBlocks> {
    this.blocks = await open({ drive: drive(), diskBytesMax, reserveBytes: GiB, freeBytes: this.freeBytes });
    return this.blocks;
  }
}

/** Reads contents of 4 MiB each, right in every byte, until the disk has nothing to write any more. */
async function readAll(blocks: ContentBlocks, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 1) {
    const content = contentReference(`shared-${at}`, 4 * MiB);
    const reader = blocks.reader(content);
    for (let offset = 0; offset < content.lengthBytes; offset += MiB) {
      const bytes = await readBytes(reader, offset, MiB);
      expect(bytes.equals(bytesOf(content, offset, offset + MiB))).toBe(true);
    }
    reader.close();
  }
}

test('the cache stops growing where no more of the disk is left than is to stay free, and keeps what was read last', async () => {
  const disk = new Disk(GiB + 40 * MiB);
  const blocks = await disk.cache(200 * MiB);
  await readAll(blocks, 0, 30);
  await vi.waitFor(() => {
    expect(disk.usedBytes).toBeGreaterThan(8 * MiB);
  }, WAIT);
  // The index grows between two looks.
  expect(disk.freeBytes()).toBeGreaterThanOrEqual(GiB - 4 * MiB);
  const { misses } = blocks.statistics();
  await readAll(blocks, 28, 30);
  expect(blocks.statistics().misses).toBe(misses);
});

test('what others take of the disk, and what is wanted for changed files, the cache gives back', async () => {
  const disk = new Disk(2 * GiB);
  const blocks = await disk.cache(100 * MiB);
  await readAll(blocks, 0, 20);
  await vi.waitFor(() => {
    expect(disk.usedBytes).toBeGreaterThan(40 * MiB);
  }, WAIT);
  const before = disk.usedBytes;
  blocks.makeRoom(100 * MiB);
  expect(disk.usedBytes).toBeGreaterThanOrEqual(before);

  disk.besideBytes = GiB + before - 10 * MiB;
  await vi.waitFor(() => {
    // Blocks that were read may still be on their way to the disk: who needs the room asks again.
    blocks.makeRoom(5 * MiB);
    expect(disk.freeBytes()).toBeGreaterThanOrEqual(GiB + 5 * MiB);
  }, WAIT);
  expect(disk.usedBytes).toBeGreaterThan(0);
});

test('a disk that is short already takes nothing: reads go on, it is said once, and who pins hears why', async () => {
  const said = vi.spyOn(console, 'error').mockReturnValue(undefined);
  const disk = new Disk(GiB - MiB);
  const blocks = await disk.cache(GiB);
  await readAll(blocks, 0, 3);
  const content = contentReference('pinned', 2 * MiB);
  await expect(blocks.keep(content, new AbortController().signal)).rejects.toThrow(
    'the cache does not take it: less than 1.0 GiB of its disk would be left to others',
  );
  expect(said.mock.calls.map(([line]) => String(line))).toEqual([
    'caching on disk pauses: less than 1.0 GiB of its disk would be left to others',
  ]);
});

test('a disk that does not tell is no reason to stop', async () => {
  const blocks = await open({
    drive: drive(),
    freeBytes: () => {
      throw Object.assign(new Error('input/output error'), { code: 'EIO' });
    },
  });
  await readAll(blocks, 0, 2);
  blocks.makeRoom(MiB);
  await vi.waitFor(() => {
    expect(blocks.statistics().diskBytes).toBeGreaterThan(4 * MiB);
  }, WAIT);
});
