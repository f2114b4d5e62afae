// Blocks waiting for the disk: one writer a segment, a limit in bytes, and who waits for them is told.
import { expect, it } from 'vitest';
import { Block } from '../../../src/cache/blocks/block.ts';
import { SegmentQueue, type QueuedSegment } from '../../../src/cache/blocks/segment-queue.ts';

const KIB = 1024;
const block = (index: number): Block => new Block(1, index, KIB);
const indices = (taken: QueuedSegment | undefined): number[] => (taken?.blocks ?? []).map(({ index }) => index);

it('gives each segment to one writer, its blocks in their order, and what comes meanwhile to the next one', () => {
  const queue = new SegmentQueue(100 * KIB);
  for (const index of [3, 1, 2]) expect(queue.add('a', block(index), 8)).toBe(true);
  expect(queue.add('a', block(1), 8)).toBe(false);
  const first = queue.take();
  expect([first?.segment, first?.blockCount, indices(first)]).toEqual(['a', 8, [1, 2, 3]]);
  queue.add('a', block(4), 8);
  expect([queue.hasNext, queue.take(), queue.isWaiting('a')]).toEqual([false, undefined, true]);
  queue.add('b', block(9), 8);
  expect(queue.take()?.segment).toBe('b');
  queue.end(first as QueuedSegment);
  expect(indices(queue.take())).toEqual([4]);
});

it('takes no more bytes than its limit until blocks are released', () => {
  const queue = new SegmentQueue(2 * KIB);
  expect([0, 1, 2].map((index) => queue.add('a', block(index), 8))).toEqual([true, true, false]);
  const taken = queue.take() as QueuedSegment;
  expect(queue.add('a', block(2), 8)).toBe(false);
  queue.release(taken.blocks);
  expect([queue.bytes, queue.add('a', block(2), 8)]).toEqual([0, true]);
});

it('tells when all that was there is written, whatever came after it', async () => {
  const queue = new SegmentQueue(100 * KIB);
  queue.add('a', block(0), 8);
  queue.add('b', block(8), 8);
  const a = queue.take() as QueuedSegment;
  let isWritten = false;
  const written = queue.written().then(() => (isWritten = true));
  queue.add('c', block(16), 8);
  queue.end(a);
  await Promise.resolve();
  expect(isWritten).toBe(false);
  queue.end(queue.take() as QueuedSegment);
  await written;
  expect(queue.isWaiting('c')).toBe(true);
});
