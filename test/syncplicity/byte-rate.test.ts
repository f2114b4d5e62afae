// A limit on bytes a second: what passes in a time, and who passes first.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ByteRate } from '../../src/syncplicity/http/byte-rate.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

interface Flow {
  bytes: number;
  greatest: number;
}

/** Sends without end. */
function flow(rate: ByteRate, isAwaited: () => boolean, signal?: AbortSignal, pieceBytes = 256 * 1024): Flow {
  const sent: Flow = { bytes: 0, greatest: 0 };
  void (async (): Promise<void> => {
    for (;;) {
      for await (const portion of rate.portions(new Uint8Array(pieceBytes), isAwaited, signal)) {
        sent.bytes += portion.length;
        sent.greatest = Math.max(sent.greatest, portion.length);
      }
    }
  })().catch((error: unknown) => {
    if (signal?.aborted !== true) throw error;
  });
  return sent;
}

it.each([1_000, 64 * 1024, 5 * 2 ** 20, 200 * 2 ** 20])(
  '%i bytes a second are neither more nor fewer',
  async (bytes) => {
    const rate = new ByteRate(bytes);
    const flows = [1, 2, 3].map(() => flow(rate, () => true));
    await vi.advanceTimersByTimeAsync(10_000);
    const sum = flows.reduce((total, { bytes: sent }) => total + sent, 0);
    expect(sum / bytes).toBeGreaterThan(9.7);
    expect(sum / bytes).toBeLessThan(10.2);
  },
);

it('what did not pass in a quiet time does not pass later, but for a tenth of a second', async () => {
  const rate = new ByteRate(2 ** 20);
  await vi.advanceTimersByTimeAsync(60_000);
  const sent = flow(rate, () => true);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent.bytes / 2 ** 20).toBeLessThan(1.15);
});

it('transfers share alike, and each of twenty moves every second', async () => {
  const rate = new ByteRate(64 * 1024);
  const flows = Array.from({ length: 20 }, () => flow(rate, () => true));
  const before = flows.map(({ bytes }) => bytes);
  for (let second = 0; second < 5; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    flows.forEach(({ bytes }, at) => {
      expect(bytes).toBeGreaterThan(before[at] as number);
      before[at] = bytes;
    });
  }
  const all = flows.map(({ bytes }) => bytes);
  expect(Math.max(...all) / Math.min(...all)).toBeLessThan(1.3);
});

it('what somebody waits for goes first, what nobody waits for goes on, and may become the other', async () => {
  const rate = new ByteRate(2 ** 20);
  const waited = flow(rate, () => true);
  let isWaited = false;
  const ahead = flow(rate, () => isWaited);
  await vi.advanceTimersByTimeAsync(8_000);
  expect(waited.bytes / ahead.bytes).toBeCloseTo(3, 0);
  isWaited = true;
  const before = [waited.bytes, ahead.bytes] as const;
  await vi.advanceTimersByTimeAsync(8_000);
  expect((waited.bytes - before[0]) / (ahead.bytes - before[1])).toBeCloseTo(1, 1);
});

it('an abort ends a wait at once, and leaves the line to others', async () => {
  const rate = new ByteRate(1_000);
  const controller = new AbortController();
  const given = rate.portions(new Uint8Array(100_000), () => true, controller.signal);
  const reading = (async (): Promise<void> => {
    for await (const portion of given) expect(portion.length).toBeLessThanOrEqual(30);
  })();
  const failed = expect(reading).rejects.toThrow('enough');
  await vi.advanceTimersByTimeAsync(500);
  expect(rate.isHoldingBack).toBe(true);
  controller.abort(new Error('enough'));
  await failed;
  expect(rate.isHoldingBack).toBe(false);
  const other = flow(rate, () => true);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(other.bytes).toBeGreaterThan(900);
});
