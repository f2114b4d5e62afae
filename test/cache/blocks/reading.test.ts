// Reads through memory and transfers: right bytes in every range dialect, one fetch a block, little fetched for little read.
import { afterEach, expect, test } from 'vitest';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { freshDirectory, open, readBytes, stopAll } from './opened.ts';

afterEach(stopAll);

const MiB = 2 ** 20;

test.for(['bounded', 'open', 'none'] as const)('reads a whole file right where ranges are %s', async (ranges) => {
  for (const learns of [false, true]) {
    const drive = new FakeContentDrive({ ranges, learns });
    const blocks = await open({ drive });
    const content = contentReference(`whole-${ranges}`, 5 * MiB + 12345);
    const reader = blocks.reader(content);
    for (let at = 0; at < content.lengthBytes; at += 300_000) {
      const end = Math.min(content.lengthBytes, at + 300_000);
      expect((await readBytes(reader, at, 300_000)).equals(bytesOf(content, at, end)), `at ${at}`).toBe(true);
    }
    expect(drive.sentBytes).toBeLessThan(content.lengthBytes * 1.01);
    reader.close();
  }
});

test('tells what of a content is neither in memory nor on disk, and counts no further than it is asked to', async () => {
  const drive = new FakeContentDrive({ ranges: 'bounded' });
  const directory = await freshDirectory();
  const [small, large] = [contentReference('uncached-small', 1000), contentReference('uncached-large', MiB + 1)];
  const first = await open({ drive, directory });
  expect(first.uncachedBytes(contentReference('uncached-empty', 0), 0)).toBe(0);
  expect(first.uncachedBytes(small, MiB)).toBe(1000);
  expect(first.uncachedBytes(large, 2 * MiB)).toBe(MiB + 1);
  const counted = first.uncachedBytes(large, 1);
  expect(counted).toBeGreaterThan(1);
  expect(counted).toBeLessThan(MiB);

  for (const content of [small, large]) {
    const reader = first.reader(content);
    await readBytes(reader, 0, content.lengthBytes);
    reader.close();
    expect(first.uncachedBytes(content, MiB)).toBe(0);
  }
  await first.stop();

  const next = await open({ drive, directory });
  expect([small, large].map((content) => next.uncachedBytes(content, 2 * MiB))).toEqual([0, 0]);
});
