// What many readers, odd lengths, lying vaults and a stop at any moment do to the cache: nothing.
import { setMaxListeners } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import type { ContentStream } from '../../../src/remote-drive.ts';
import { TransferSlots } from '../../../src/cache/blocks/transfer-slots.ts';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { freshDirectory, open, readBytes, stopAll } from './opened.ts';

afterEach(stopAll);

const KiB = 1024;
const MiB = 1024 * KiB;
const blockBytes = 128 * KiB;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('fifty waiting reads of 2 MiB stay within the memory, and all are served', async () => {
  const memoryBytesMax = 16 * MiB;
  let peakBytes = 0;
  const drive = new FakeContentDrive({
    pace: async () => {
      await turn();
      peakBytes = Math.max(peakBytes, blocks.statistics().memoryBytes);
    },
  });
  const blocks = await open({ drive, memoryBytesMax });
  const reads = Array.from({ length: 50 }, async (_, at) => {
    const content = contentReference(`large-${at % 5}`, 40 * MiB);
    const offset = Math.floor(at / 5) * 4 * MiB + at;
    const bytes = await readBytes(blocks.reader(content), offset, 2 * MiB);
    peakBytes = Math.max(peakBytes, blocks.statistics().memoryBytes);
    expect(bytes.equals(bytesOf(content, offset, offset + 2 * MiB)), String(at)).toBe(true);
  });
  await Promise.all(reads);
  // Twenty transfers hold a block each that is no longer or not yet counted.
  expect(peakBytes).toBeLessThanOrEqual(memoryBytesMax + 20 * blockBytes);
});

test('a read larger than the whole memory is served, between others', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive, memoryBytesMax: MiB });
  const content = contentReference('huge', 8 * MiB);
  const reader = blocks.reader(content);
  const small = Array.from({ length: 30 }, (_, at) => readBytes(reader, at * 200_000, 1000));
  const whole = readBytes(reader, 0, 8 * MiB);
  expect((await whole).equals(bytesOf(content, 0, 8 * MiB))).toBe(true);
  await Promise.all(small);
});

test('a thousand readers of one file cost its bytes once', async () => {
  const drive = new FakeContentDrive({ pace: turn });
  const blocks = await open({ drive, memoryBytesMax: 8 * MiB });
  const content = contentReference('popular', MiB + 17);
  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, at) => readBytes(blocks.reader(content), at * 1048, 3000)),
  );
  answers.forEach((bytes, at) =>
    expect(bytes.equals(bytesOf(content, at * 1048, Math.min(at * 1048 + 3000, content.lengthBytes)))).toBe(true),
  );
  expect(drive.sentBytes).toBe(content.lengthBytes);
});

test('reads at the edges of blocks, and beyond 4 GiB, and at the last byte of a huge file', async () => {
  const blocks = await open({ drive: new FakeContentDrive() });
  const content = contentReference('edges', 2 ** 42 + blockBytes + 1);
  const reader = blocks.reader(content);
  for (const edge of [blockBytes, 2 ** 31, 2 ** 32, 2 ** 32 + blockBytes, 2 ** 42, content.lengthBytes - 1]) {
    for (const [from, to] of [
      [edge - 1, edge],
      [edge, edge + 1],
      [edge - 1, edge + 1],
      [edge - blockBytes, edge],
      [edge, edge + blockBytes],
    ] as const) {
      const end = Math.min(to, content.lengthBytes);
      expect((await readBytes(reader, from, to - from)).equals(bytesOf(content, from, end)), `${from}`).toBe(true);
    }
  }
  expect(reader.read(content.lengthBytes, 1)).toEqual([]);
  expect(() => blocks.reader(contentReference('too large', 2 ** 44))).toThrow('larger than any vault');
});

const lies: readonly (readonly [string, (stream: ContentStream) => Partial<ContentStream>])[] = [
  ['starts behind what was asked for', (stream) => ({ offsetBytes: stream.offsetBytes + 1 })],
  ['starts before the file', () => ({ offsetBytes: -1 })],
  ['starts nowhere', () => ({ offsetBytes: Number.NaN })],
  ['ends before what was asked for', (stream) => ({ endBytes: stream.endBytes - 1 })],
  ['ends behind the file', () => ({ endBytes: 2 ** 40 })],
  ['ends nowhere', () => ({ endBytes: Number.NaN })],
  [
    'sends more than it says',
    (stream) => ({
      async *[Symbol.asyncIterator]() {
        yield* stream;
        yield Buffer.alloc(1000);
      },
      endBytes: stream.endBytes,
    }),
  ],
  [
    'sends a chunk beyond its end',
    (stream) => ({
      async *[Symbol.asyncIterator]() {
        await turn();
        yield Buffer.alloc(stream.endBytes - stream.offsetBytes + 1000);
      },
    }),
  ],
];

test.for(lies)('a stream that %s gives an error or the right bytes', async ([, lie]) => {
  const healthy = new FakeContentDrive();
  const blocks = await open({
    drive: {
      rangeSupport: () => 'bounded',
      read: async (content, range, options) => {
        const stream = await healthy.read(content, range, options);
        return {
          close: () => stream.close(),
          offsetBytes: stream.offsetBytes,
          endBytes: stream.endBytes,
          [Symbol.asyncIterator]: () => stream[Symbol.asyncIterator](),
          ...lie(stream),
        };
      },
    },
  });
  const content = contentReference('lied', 3 * blockBytes);
  const answer = await readBytes(blocks.reader(content), 1000, 900).catch((error: unknown) => error);
  if (answer instanceof Buffer) expect(answer.equals(bytesOf(content, 1000, 1900))).toBe(true);
  else expect(answer).toMatchObject({ kind: 'protocol' });
  await expect.poll(() => healthy.openCalls).toBe(0);
});

test.for([true, false])('empty chunks are no bytes and no sign of life (for ever: %s)', async (forEver) => {
  const healthy = new FakeContentDrive({ chunkBytes: 10_000 });
  let calls = 0;
  const blocks = await open({
    drive: {
      rangeSupport: () => 'bounded',
      read: async (content, range, options) => {
        const stream = await healthy.read(content, range, options);
        const first = calls++ === 0;
        return {
          close: () => stream.close(),
          offsetBytes: stream.offsetBytes,
          endBytes: stream.endBytes,
          async *[Symbol.asyncIterator]() {
            for await (const chunk of stream) {
              do {
                yield Buffer.alloc(0);
                await turn();
              } while (forEver && first && !(options?.signal?.aborted ?? false));
              yield chunk;
            }
          },
        };
      },
    },
    times: { stallMs: 40 },
  });
  const content = contentReference('empty chunks', 100_000);
  expect((await readBytes(blocks.reader(content), 0, 100_000)).equals(bytesOf(content, 0, 100_000))).toBe(true);
  expect(calls).toBe(forEver ? 2 : 1);
});

test('who waits never queues behind read-ahead of the same file', async () => {
  const slots = new TransferSlots();
  const owner = {};
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  for (let at = 0; at < 5; at++) await slots.acquire({ owner, urgent: () => false, signal });
  let granted = 0;
  for (let at = 0; at < 8; at++) void slots.acquire({ owner, urgent: () => true, signal }).then(() => granted++);
  await turn();
  expect(granted).toBe(8);
  // One more of this file waits, one of another does not.
  const ninth = { owner, urgent: () => true, signal };
  void slots.acquire(ninth).then(() => granted++);
  void slots.acquire({ owner: {}, urgent: () => true, signal }).then(() => granted++);
  await turn();
  expect(granted).toBe(9);
});

test('stop at any moment ends every read and every transfer', async () => {
  const failures: unknown[] = [];
  const onFailure = (error: unknown): void => void failures.push(error);
  process.on('unhandledRejection', onFailure);
  const directory = await freshDirectory();
  for (let round = 0; round < 60; round++) {
    const ranges = (['bounded', 'open', 'none'] as const)[round % 3] ?? 'bounded';
    const drive = new FakeContentDrive({ ranges, learns: round % 2 === 0, pace: turn, chunkBytes: 30_000 });
    const blocks = await open({ directory, drive, memoryBytesMax: 2 * MiB, diskBytesMax: 8 * MiB });
    const reads = Array.from({ length: 25 }, async (_, at) => {
      const content = contentReference(`stopped-${(at + round) % 9}`, at % 2 === 0 ? 2 * MiB : 50_000);
      const reader = blocks.reader(content);
      for (let offset = 0; offset < content.lengthBytes; offset += 300_000) {
        const bytes = await readBytes(reader, offset, 300_000);
        expect(bytes.equals(bytesOf(content, offset, Math.min(offset + 300_000, content.lengthBytes)))).toBe(true);
        if (at % 7 === 0) reader.close();
      }
    });
    const settled = Promise.allSettled(reads);
    for (let turns = 0; turns < (round * 7) % 61; turns++) await turn();
    await blocks.stop();
    for (const result of await settled) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ kind: 'unavailable' });
    }
    expect(drive.openCalls).toBe(0);
    await turn();
    await turn();
    expect(blocks.statistics().memoryBytes).toBe(0);
  }
  process.off('unhandledRejection', onFailure);
  expect(failures).toEqual([]);
});

test('small files read by many programs at once are on disk afterwards', async () => {
  const directory = await freshDirectory();
  const contents = Array.from({ length: 400 }, (_, at) => contentReference(`paper-${at % 8}`, 20_000 + at * 200));
  const fetchedBytes = async (): Promise<number> => {
    const drive = new FakeContentDrive({ pace: turn });
    const blocks = await open({ directory, drive });
    let next = 0;
    const program = async (): Promise<void> => {
      for (let content = contents[next++]; content !== undefined; content = contents[next++]) {
        const reader = blocks.reader(content);
        await reader.read(0, content.lengthBytes);
        reader.close();
      }
    };
    await Promise.all(Array.from({ length: 12 }, program));
    await blocks.stop();
    return drive.sentBytes;
  };
  const allBytes = await fetchedBytes();
  expect(await fetchedBytes()).toBeLessThan(allBytes / 20);
});
