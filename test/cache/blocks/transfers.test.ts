// What reads cost the service and how they end: one fetch a block, little fetched for little read, resumed after breaks, ended
// by aborts for those who aborted alone.
import { afterEach, expect, test } from 'vitest';
import { RemoteError } from '../../../src/remote-drive.ts';
import {
  bytesOf,
  type ContentDrive,
  contentReference,
  FakeContentDrive,
  faultyContentDrive,
} from '../../fakes/content-drive.ts';
import { open, readBytes, stopAll } from './opened.ts';

afterEach(stopAll);

const KiB = 1024;
const MiB = 1024 * KiB;
const ranges = ['bounded', 'open', 'none'] as const;

/** A gate that transfers wait at. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let release = (): void => undefined;
  const opened = new Promise<void>((resolve) => (release = resolve));
  return { opened, open: () => release() };
}

test.for(ranges)('twenty readers of one place cost one transfer (%s)', async (dialect) => {
  const start = gate();
  const drive = new FakeContentDrive({
    ranges: dialect,
    pace: (event) => (event === 'open' ? start.opened : undefined),
  });
  const blocks = await open({ drive });
  const content = contentReference('shared', MiB);
  const reads = Array.from({ length: 20 }, (_, at) => readBytes(blocks.reader(content), 300_000 + at, 1000));
  start.open();
  const answers = await Promise.all(reads);
  answers.forEach((bytes, at) => expect(bytes.equals(bytesOf(content, 300_000 + at, 301_000 + at))).toBe(true));
  expect(drive.calls).toHaveLength(1);
});

test('a reader is served when its bytes have arrived, not at the end of the transfer', async () => {
  const rest = gate();
  const drive = new FakeContentDrive({
    chunkBytes: 8 * KiB,
    pace: (event, _, offsetBytes) => (event === 'chunk' && offsetBytes >= 64 * KiB ? rest.opened : undefined),
  });
  const blocks = await open({ drive });
  const content = contentReference('early', MiB);
  const reader = blocks.reader(content);
  let lateIsServed = false;
  const late = readBytes(reader, 0, 128 * KiB).finally(() => (lateIsServed = true));
  expect((await readBytes(reader, 0, 60_000)).equals(bytesOf(content, 0, 60_000))).toBe(true);
  expect(lateIsServed).toBe(false);
  rest.open();
  expect((await late).length).toBe(128 * KiB);
});

test('an empty file costs nothing and reads end at its length', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive });
  expect(blocks.reader(contentReference('empty', 0)).read(0, 4096)).toEqual([]);
  expect(blocks.reader(contentReference('short', 10)).read(10, 4096)).toEqual([]);
  expect(drive.calls).toHaveLength(0);
  expect((await readBytes(blocks.reader(contentReference('short', 10)), 4, 4096)).length).toBe(6);
});

test('what is in memory is answered at once', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive });
  const content = contentReference('again', 300_000);
  const reader = blocks.reader(content);
  await reader.read(0, 300_000);
  const again = reader.read(1000, 200_000);
  expect(again).toBeInstanceOf(Array);
  expect(Buffer.concat(again as Uint8Array[]).equals(bytesOf(content, 1000, 201_000))).toBe(true);
});

test.for([
  ['random', (at: number) => ((at * 7919) % 2048) * 128 * KiB + 4096],
  ['strided', (at: number) => at * 300 * KiB],
  ['backward', (at: number) => (256 - at) * MiB - 4096],
] as const)('100 %s reads of 4 KiB in 256 MiB fetch a block each', async ([, offsetOf]) => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive });
  const content = contentReference('sparse', 256 * MiB);
  const reader = blocks.reader(content);
  for (let at = 0; at < 100; at++) await reader.read(offsetOf(at), 4096);
  expect(drive.sentBytes).toBeLessThanOrEqual(100 * 128 * KiB);
});

test('looking at head and tail of a file fetches a block each', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive });
  const content = contentReference('sniffed', 100 * MiB);
  const reader = blocks.reader(content);
  await reader.read(0, 1024);
  await reader.read(content.lengthBytes - 1024, 1024);
  expect(drive.sentBytes).toBe(256 * KiB);
});

test.each([
  ['comes to its end, for the next one has its connection', 128 * KiB, 128 * KiB],
  ['ends', 1024 * KiB, 10 * KiB],
])('what a reader of its first bytes leaves behind %s: of %d bytes %d come', async (_, lengthBytes, sentBytes) => {
  const rest = gate();
  const pace = (event: string, _content: unknown, at: number): Promise<unknown> | undefined =>
    event === 'chunk' && at >= 10 * KiB ? rest.opened : undefined;
  const drive = new FakeContentDrive({ chunkBytes: 10 * KiB, pace });
  const blocks = await open({ drive });
  const content = contentReference(`left ${lengthBytes}`, lengthBytes);
  const reader = blocks.reader(content);
  const wanted = reader.read(0, lengthBytes > 128 * KiB ? lengthBytes : 4096, AbortSignal.timeout(100));
  await Promise.allSettled([wanted]);
  reader.close();
  rest.open();
  await expect.poll(() => drive.openCalls).toBe(0);
  expect(drive.sentBytes).toBe(sentBytes);
});

test('where ranges cannot end, looking at a head does not fetch the file', async () => {
  const drive = new FakeContentDrive({ ranges: 'open' });
  const blocks = await open({ drive });
  const content = contentReference('open-head', 100 * MiB);
  const reader = blocks.reader(content);
  await reader.read(50 * MiB, 4096);
  reader.close();
  expect(drive.sentBytes).toBeLessThanOrEqual(256 * KiB);
  await expect.poll(() => drive.openCalls).toBe(0);
});

test('a sequential reader of an open-ended stream uses one stream, also across short gaps', async () => {
  const drive = new FakeContentDrive({ ranges: 'open' });
  const blocks = await open({ drive });
  const content = contentReference('one-stream', 20 * MiB);
  const reader = blocks.reader(content);
  for (let at = 0; at + 400 * KiB < content.lengthBytes; at += 600 * KiB) await reader.read(at, 300 * KiB);
  expect(drive.calls).toHaveLength(1);
});

test('a sequential reader has several ranges in flight, and a bounded stretch ahead', async () => {
  const hold = gate();
  let held = false;
  const drive = new FakeContentDrive({ pace: () => (held ? hold.opened : undefined) });
  const blocks = await open({ drive });
  const content = contentReference('ahead', 256 * MiB);
  const reader = blocks.reader(content);
  // As the kernel sends them: two at a time, now and then in the wrong order.
  for (let at = 0; at < 16 * MiB; at += 2 * MiB) {
    await Promise.all([reader.read(at + MiB, MiB), reader.read(at, MiB)]);
  }
  held = true;
  const waiting = reader.read(40 * MiB, MiB);
  const further = Array.from({ length: 8 }, (_, at) => reader.read((16 + at) * MiB, MiB));
  expect(drive.openCalls).toBeGreaterThanOrEqual(3);
  expect(Math.max(...drive.calls.map((call) => call.offsetBytes + call.lengthBytes))).toBeLessThanOrEqual(58 * MiB);
  hold.open();
  await Promise.all([waiting, ...further]);
});

test('two sequential readers on one handle cost no byte twice', async () => {
  const drive = new FakeContentDrive();
  const blocks = await open({ drive });
  const content = contentReference('merge', 32 * MiB);
  const reader = blocks.reader(content);
  for (let at = 0; at < 16 * MiB; at += 256 * KiB) {
    for (const base of [0, 16 * MiB]) {
      const bytes = await readBytes(reader, base + at, 256 * KiB);
      expect(bytes.equals(bytesOf(content, base + at, base + at + 256 * KiB))).toBe(true);
    }
  }
  expect(drive.sentBytes).toBe(content.lengthBytes);
});

test.for(ranges)('an abort ends one read; the download goes on for the other (%s)', async (dialect) => {
  const start = gate();
  const drive = new FakeContentDrive({
    ranges: dialect,
    pace: (event) => (event === 'chunk' ? start.opened : undefined),
  });
  const blocks = await open({ drive });
  const content = contentReference('aborted', MiB);
  const reader = blocks.reader(content);
  const abort = new AbortController();
  const reason = new Error('interrupted');
  const mine = reader.read(0, 4096, abort.signal);
  const theirs = readBytes(reader, 0, 4096);
  abort.abort(reason);
  await expect(mine).rejects.toBe(reason);
  start.open();
  expect((await theirs).equals(bytesOf(content, 0, 4096))).toBe(true);
  expect(drive.calls).toHaveLength(1);
});

test('when all have aborted, an open-ended stream ends', async () => {
  const drive = new FakeContentDrive({
    ranges: 'open',
    pace: (event) => (event === 'chunk' ? gate().opened : undefined),
  });
  const blocks = await open({ drive });
  const abort = new AbortController();
  const mine = blocks.reader(contentReference('left', MiB)).read(0, 4096, abort.signal);
  await expect.poll(() => drive.calls.length).toBe(1);
  abort.abort();
  await expect(mine).rejects.toThrow();
  await expect.poll(() => drive.openCalls).toBe(0);
});

test('an abort before the read rejects with the reason', async () => {
  const blocks = await open({ drive: new FakeContentDrive() });
  const reason = new Error('too late');
  await expect(blocks.reader(contentReference('x', 10)).read(0, 10, AbortSignal.abort(reason))).rejects.toBe(reason);
});

test.for(['break', 'short', 'hang'] as const)(
  'a transfer that ends early (%s) is resumed where it stopped',
  async (how) => {
    const healthy = new FakeContentDrive({ chunkBytes: 10_000 });
    const drive = faultyContentDrive(healthy, (call) => (call < 5 ? { failAfterBytes: 25_000, how } : undefined));
    const blocks = await open({ drive, times: { stallMs: 30 } });
    const content = contentReference('resumed', 128 * KiB);
    const bytes = await readBytes(blocks.reader(content), 0, content.lengthBytes);
    expect(bytes.equals(bytesOf(content, 0, content.lengthBytes))).toBe(true);
    expect(healthy.calls.map((call) => call.offsetBytes)).toEqual([0, 25_000, 50_000, 75_000, 100_000, 125_000]);
  },
);

test.each([
  [200, 2],
  [16_000, 1],
])('a server that asks for a pause of %d ms is asked %d times within it', async (retryAfterMs, times) => {
  const askedAtMs: number[] = [];
  const busy = new RemoteError('unavailable', 'Service Unavailable (HTTP 503)', { retryAfterMs });
  const drive = faultyContentDrive(new FakeContentDrive(), (call) => {
    askedAtMs.push(performance.now());
    return call === 0 ? busy : undefined;
  });
  const blocks = await open({ drive });
  const read = blocks.reader(contentReference('busy', 1000)).read(0, 1000);
  if (times === 1) await expect(read).rejects.toBe(busy);
  else await read;
  expect(askedAtMs).toHaveLength(times);
  if (times === 2) expect((askedAtMs[1] ?? 0) - (askedAtMs[0] ?? 0)).toBeGreaterThan(retryAfterMs - 10);
});

test('a transfer that goes on after a failure has the drive try once each time, and says what is wrong until a byte comes', async () => {
  const away = new RemoteError('unavailable', 'Internal error (HTTP 500)');
  const healthy = new FakeContentDrive();
  const asked: unknown[] = [];
  const drive: ContentDrive = {
    rangeSupport: () => 'bounded',
    read: (content, range, options) => {
      asked.push([options?.once, reader.trouble]);
      return asked.length < 4 ? Promise.reject(away) : healthy.read(content, range, options);
    },
  };
  const reader = (await open({ drive })).reader(contentReference('down', 1000));
  await reader.read(0, 1000);
  expect(asked).toEqual([
    [true, undefined],
    [true, away],
    [true, away],
    [true, away],
  ]);
  expect(reader.trouble).toBeUndefined();
});

test('a server that stays away fails the read with unavailable, after bounded attempts', async () => {
  let calls = 0;
  const away = new RemoteError('unavailable', 'connection refused');
  const drive: ContentDrive = {
    rangeSupport: () => 'bounded',
    read: () => {
      calls++;
      return Promise.reject(away);
    },
  };
  const blocks = await open({ drive });
  await expect(blocks.reader(contentReference('away', 1000)).read(0, 1000)).rejects.toBe(away);
  expect(calls).toBeGreaterThan(5);
  expect(calls).toBeLessThan(30);
});

test.for(['not-found', 'forbidden', 'protocol'] as const)('%s fails the read at once', async (kind) => {
  const error = new RemoteError(kind, 'no');
  const healthy = new FakeContentDrive();
  const blocks = await open({ drive: faultyContentDrive(healthy, (call) => (call === 0 ? error : undefined)) });
  const content = contentReference(kind, 1000);
  const reader = blocks.reader(content);
  await expect(reader.read(0, 1000)).rejects.toBe(error);
  // The next read asks again.
  expect((await readBytes(reader, 0, 1000)).equals(bytesOf(content, 0, 1000))).toBe(true);
});

test('a stream of another range than asked for is an error, never data', async () => {
  const healthy = new FakeContentDrive();
  const blocks = await open({
    drive: {
      rangeSupport: () => 'bounded',
      read: (content, range) => healthy.read(content, { ...range, offsetBytes: range.offsetBytes + 1, lengthBytes: 1 }),
    },
  });
  await expect(blocks.reader(contentReference('shifted', 1000)).read(0, 900)).rejects.toMatchObject({
    kind: 'protocol',
  });
});

test('where ranges are ignored, one download runs at a time and the second read costs nothing', async () => {
  const drive = new FakeContentDrive({ ranges: 'none' });
  const blocks = await open({ drive, memoryBytesMax: 2 * MiB });
  const content = contentReference('whole', 12 * MiB);
  const reader = blocks.reader(content);
  const offsets = [11 * MiB, 5 * MiB, 8 * MiB, MiB];
  const answers = await Promise.all(offsets.map((at) => readBytes(reader, at, 1000)));
  answers.forEach((bytes, at) => {
    const offset = offsets[at] ?? 0;
    expect(bytes.equals(bytesOf(content, offset, offset + 1000))).toBe(true);
  });
  expect(drive.calls.length).toBe(1);
  for (let at = 0; at < 11 * MiB; at += MiB) await reader.read(at, 4096);
  expect(drive.calls.length).toBe(1);
});

test('stop ends transfers and rejects those who wait', async () => {
  const drive = new FakeContentDrive({ pace: () => gate().opened });
  const blocks = await open({ drive });
  const waiting = expect(blocks.reader(contentReference('stopped', MiB)).read(0, MiB)).rejects.toMatchObject({
    kind: 'unavailable',
  });
  await blocks.stop();
  await waiting;
});
