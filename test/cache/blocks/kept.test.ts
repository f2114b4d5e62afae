// Contents that are kept: all of them on the disk once that is said, none of them evicted whatever else is read; and contents dropped.
import { afterEach, describe, expect, test } from 'vitest';
import { cachedBytes } from '../../../src/cache/blocks/cached-content.ts';
import { contentReference, FakeContentDrive, bytesOf } from '../../fakes/content-drive.ts';
import { freshDirectory, open, readBytes, stopAll } from './opened.ts';

afterEach(stopAll);

const KiB = 1024;
const MiB = 1024 * KiB;
const { signal } = new AbortController();

describe.each(['bounded', 'open', 'none'] as const)('with %s ranges', (ranges) => {
  test('a kept content is all on the disk, with a memory and a queue that hold little of it', async () => {
    const directory = await freshDirectory();
    const drive = new FakeContentDrive({ ranges, learns: true });
    const contents = [1, 16 * KiB, 16 * KiB + 1, 3 * MiB + 5, 40 * MiB].map((length) =>
      contentReference(`of-${length}`, length),
    );
    const blocks = await open({ drive, directory, memoryBytesMax: 8 * MiB });
    await Promise.all(contents.map((content) => blocks.keep(content, signal)));
    for (const content of contents) expect(blocks.isKept(content)).toBe(true);
    await blocks.stop();

    const unreachable = new FakeContentDrive({ pace: () => Promise.reject(new Error('nobody is there')) });
    const again = await open({ drive: unreachable, directory, memoryBytesMax: 8 * MiB });
    for (const content of contents) {
      const reader = again.reader(content);
      for (let at = 0; at < content.lengthBytes; at += MiB) {
        const bytes = await readBytes(reader, at, MiB);
        expect(bytes.equals(bytesOf(content, at, Math.min(content.lengthBytes, at + MiB)))).toBe(true);
      }
      reader.close();
    }
    expect(unreachable.calls).toEqual([]);
  });
});

test('what is in memory already is written without being fetched again', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive });
  const content = contentReference('read', 2 * MiB);
  const reader = blocks.reader(content);
  await readBytes(reader, 0, 2 * MiB);
  await blocks.keep(content, signal);
  expect(blocks.isKept(content)).toBe(true);
  expect(drive.sentBytes).toBe(2 * MiB);
});

test('what is protected is not evicted, large or small, until it is not protected any more', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive, diskBytesMax: 16 * MiB, memoryBytesMax: 8 * MiB });
  const kept = [
    contentReference('large', 4 * MiB),
    ...Array.from({ length: 100 }, (_, n) => contentReference(`small-${n}`, 9_000)),
  ];
  for (const content of kept) blocks.protected?.add(content);
  for (const content of kept) await blocks.keep(content, signal);
  const others = Array.from({ length: 12 }, (_, n) => contentReference(`other-${n}`, 3 * MiB));
  for (const content of others) await blocks.keep(content, signal);
  for (let n = 0; n < 400; n += 1) await blocks.keep(contentReference(`crumb-${n}`, 9_000), signal);
  expect(kept.every((content) => blocks.isKept(content))).toBe(true);
  expect(blocks.statistics().diskBytes).toBeLessThanOrEqual(16 * MiB);

  for (const content of kept) blocks.protected?.delete(content);
  for (const content of others) await blocks.keep(content, signal);
  expect(blocks.isKept(kept[0] as (typeof kept)[number])).toBe(false);
});

test('while it is not known what is protected, nothing is evicted, and nothing is stored that does not fit', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive, diskBytesMax: 8 * MiB });
  const first = contentReference('first', 6 * MiB);
  await blocks.keep(first, signal);
  if (blocks.protected !== undefined) blocks.protected.all = true;
  await expect(blocks.keep(contentReference('second', 4 * MiB), signal)).rejects.toThrow('--cache-size');
  expect(blocks.isKept(first)).toBe(true);
});

test('a dropped content is fetched again; what is freed is what it took', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive });
  for (const content of [contentReference('large', 40 * MiB + 1), contentReference('small', 5_000)]) {
    await blocks.keep(content, signal);
    const before = drive.sentBytes;
    expect(await blocks.drop(content)).toBe(cachedBytes(content));
    expect(blocks.isKept(content)).toBe(false);
    const reader = blocks.reader(content);
    await readBytes(reader, 0, 1_000);
    reader.close();
    expect(drive.sentBytes).toBeGreaterThan(before);
    expect(await blocks.drop(contentReference('unknown', 5_000))).toBe(0);
  }
});

test('keeping ends with its signal', async () => {
  const drive = new FakeContentDrive({ pace: () => new Promise(() => undefined) });
  const blocks = await open({ drive });
  const controller = new AbortController();
  const keeping = expect(blocks.keep(contentReference('never', MiB), controller.signal)).rejects.toThrow('enough');
  controller.abort(new Error('enough'));
  await keeping;
});

test('a read that a program waits for does not stand behind contents that are kept', async () => {
  const drive = new FakeContentDrive({
    pace: (_, { versionId }) => (versionId.startsWith('kept') ? new Promise(() => undefined) : undefined),
  });
  const blocks = await open({ drive, memoryBytesMax: 8 * MiB });
  const controller = new AbortController();
  const keeping = Array.from({ length: 6 }, (_, n) =>
    expect(blocks.keep(contentReference(`kept-${n}`, 4 * MiB), controller.signal)).rejects.toThrow('enough'),
  );
  await new Promise((resolve) => setImmediate(resolve));
  const content = contentReference('wanted', MiB);
  expect((await readBytes(blocks.reader(content), 0, MiB)).equals(bytesOf(content, 0, MiB))).toBe(true);
  controller.abort(new Error('enough'));
  await Promise.all(keeping);
});
