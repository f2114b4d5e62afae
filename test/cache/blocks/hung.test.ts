// A server that hangs: those who give up leave nothing behind, those who come when it is back are served at once, and what is
// near is answered all the while.
import { setMaxListeners } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { deferred } from '../../../src/base/deferred.ts';
import { RemoteError } from '../../../src/remote-drive.ts';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { open, readBytes, stopAll } from './opened.ts';

afterEach(stopAll);

const KiB = 1024;
const MiB = 1024 * KiB;
const dialects = ['bounded', 'open', 'none'] as const;
const long = { openMs: 60_000, stallMs: 60_000 };

/** A drive that hangs, at the given event, in all that began before it was healed: those transfers never go on. */
function hangingDrive(ranges: (typeof dialects)[number], learns: boolean, event: 'open' | 'chunk') {
  let hangs = true;
  const drive = new FakeContentDrive({
    ranges,
    learns,
    pace: async (now, _content, _offset, signal) => {
      if (now !== event || !hangs) return;
      const ended = deferred<undefined>();
      signal.addEventListener('abort', () => ended.resolve(undefined));
      await ended.promise;
    },
  });
  return { drive, heal: () => (hangs = false) };
}

const hangs = dialects.flatMap((dialect) =>
  (['open', 'chunk'] as const).flatMap((event) => [true, false].map((learns) => ({ dialect, event, learns }))),
);

test.for(hangs)(
  'a read that comes when the server is back is served at once: %o',
  async ({ dialect, event, learns }) => {
    const { drive, heal } = hangingDrive(dialect, learns, event);
    // Nobody is helped by the timers here.
    const blocks = await open({ drive, times: { ...long, silenceMs: 100 } });
    const content = contentReference('hung', MiB);
    const reader = blocks.reader(content);
    const early = readBytes(reader, 0, 4096);
    const other = readBytes(reader, 600_000, 4096);
    await expect.poll(() => drive.calls.length).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 40));
    heal();
    const startMs = performance.now();
    expect((await readBytes(reader, 100, 4096)).equals(bytesOf(content, 100, 4196))).toBe(true);
    expect((await readBytes(reader, 300_000, 4096)).equals(bytesOf(content, 300_000, 304_096))).toBe(true);
    expect(performance.now() - startMs).toBeLessThan(2000);
    // Those who have waited all along get a second transfer by the clock.
    expect((await early).equals(bytesOf(content, 0, 4096))).toBe(true);
    expect((await other).equals(bytesOf(content, 600_000, 604_096))).toBe(true);
    reader.close();
    await expect.poll(() => drive.openCalls).toBe(0);
  },
);

test('more hung transfers than there are slots do not keep a read of another file from the server that is back', async () => {
  const { drive, heal } = hangingDrive('bounded', false, 'open');
  const blocks = await open({ drive, times: { ...long, silenceMs: 50 } });
  const hung = Array.from({ length: 20 }, (_, at) => blocks.reader(contentReference(`hung-${at}`, 1000)).read(0, 1000));
  await expect.poll(() => drive.calls.length).toBeGreaterThan(12);
  heal();
  const content = contentReference('fresh', 1000);
  expect((await readBytes(blocks.reader(content), 0, 1000)).equals(bytesOf(content, 0, 1000))).toBe(true);
  for (const read of hung) await read;
});

test('an opening that takes too long is tried again', async () => {
  let calls = 0;
  const healthy = new FakeContentDrive();
  const blocks = await open({
    drive: {
      rangeSupport: () => 'bounded',
      read: (content, range, options) =>
        calls++ === 0 ? new Promise(() => undefined) : healthy.read(content, range, options),
    },
    times: { openMs: 30 },
  });
  expect((await readBytes(blocks.reader(contentReference('slow', 1000)), 0, 1000)).length).toBe(1000);
});

test('a slow server is not given up by those who keep asking', async () => {
  const drive = new FakeContentDrive({
    pace: (event) => (event === 'open' ? new Promise((resolve) => setTimeout(resolve, 300)) : undefined),
  });
  const blocks = await open({ drive, times: { ...long, silenceMs: 40 } });
  const reader = blocks.reader(contentReference('slow', 1000));
  const reads: Promise<Buffer>[] = [];
  for (let at = 0; at < 12; at++) {
    reads.push(readBytes(reader, at, 10));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const startMs = performance.now();
  await Promise.all(reads);
  expect(performance.now() - startMs).toBeLessThan(250);
});

test('all who gave up on a hung server leave no transfer behind', async () => {
  const { drive } = hangingDrive('bounded', false, 'open');
  const blocks = await open({ drive, times: { ...long, silenceMs: 40 } });
  const abort = new AbortController();
  const reader = blocks.reader(contentReference('left', MiB));
  const read = expect(reader.read(0, 4096, abort.signal)).rejects.toThrow('op timeout');
  // Both, the transfer and its rival.
  await expect.poll(() => drive.calls.length).toBe(2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  abort.abort(new Error('op timeout'));
  await read;
  await expect.poll(() => drive.openCalls, { timeout: 10_000 }).toBe(0);
});

test('a stream that goes on after a pause and then hangs is broken all the same', async () => {
  const { drive, heal } = hangingDrive('open', false, 'chunk');
  heal();
  let hang = false;
  const blocks = await open({
    drive: {
      rangeSupport: () => 'open',
      async read(content, range, options) {
        const stream = await drive.read(content, range, options);
        return {
          offsetBytes: stream.offsetBytes,
          endBytes: stream.endBytes,
          close: () => stream.close(),
          async *[Symbol.asyncIterator]() {
            for await (const chunk of stream) {
              if (hang) await new Promise(() => undefined);
              yield chunk;
            }
          },
        };
      },
    },
    times: { stallMs: 50, silenceMs: 60_000 },
  });
  const content = contentReference('paused', 4 * MiB);
  const reader = blocks.reader(content);
  await reader.read(0, 100);
  await new Promise((resolve) => setTimeout(resolve, 20));
  hang = true;
  const waiting = readBytes(reader, 200_000, 100);
  await new Promise((resolve) => setTimeout(resolve, 20));
  hang = false;
  expect((await waiting).equals(bytesOf(content, 200_000, 200_100))).toBe(true);
});

test('what is on disk is answered while the server hangs, however many wait for it', async () => {
  let hangs = false;
  const drive = new FakeContentDrive({
    pace: () => (hangs ? new Promise(() => undefined) : undefined),
  });
  const blocks = await open({ drive, memoryBytesMax: 8 * MiB });
  const kept = contentReference('kept', 3 * MiB);
  const reader = blocks.reader(kept);
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 3 * MiB; at += MiB) await reader.read(at, MiB);
    // Pushes it out of memory.
    for (let at = 0; at < 8 * MiB; at += MiB)
      await blocks.reader(contentReference(`other-${round}`, 8 * MiB)).read(at, MiB);
  }
  hangs = true;
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  const waiting = Array.from({ length: 40 }, (_, at) =>
    expect(blocks.reader(contentReference(`hung-${at}`, MiB)).read(0, MiB, abort.signal)).rejects.toThrow('given up'),
  );
  expect((await readBytes(reader, MiB, MiB)).equals(bytesOf(kept, MiB, 2 * MiB))).toBe(true);
  abort.abort(new RemoteError('unavailable', 'given up'));
  await Promise.all(waiting);
});
