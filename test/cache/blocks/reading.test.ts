// Reads through memory and transfers: right bytes in every range dialect, one fetch a block, little fetched for little read.
import { afterEach, expect, test } from 'vitest';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { open, readBytes, stopAll } from './opened.ts';

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
