// What is pending, summed up: what looking at it costs, where it is much.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Journal, PendingRecord } from '../../src/cache/journal.ts';
import type { Progress, Pusher } from '../../src/sync/pusher.ts';
import { changeOverview, changeReports, changeSums } from '../../src/sync/reports.ts';

/** Looking one up takes its time, as decoding it does. */
const LOOKUP_MS = 0.01;
const COUNT = 5_000;

/** New files of ten bytes, every tenth of them refused; counts the paths that are asked for. */
function changes(): { readonly journal: Journal; readonly pusher: Pusher; readonly asked: { paths: number } } {
  const asked = { paths: 0 };
  const records = Array.from(
    { length: COUNT },
    (_none, inode) =>
      ({
        inode,
        content: true,
        sent: [],
        localOnly: false,
        failed: inode % 10 === 0 ? { message: 'Storage Quota Exceeded', sinceMs: 0 } : undefined,
      }) as unknown as PendingRecord,
  );
  const tree = {
    node: (inode: number) => {
      const until = performance.now() + LOOKUP_MS;
      while (performance.now() < until);
      return { inode, kind: 'file', lengthBytes: 10, staged: { lengthBytes: 10 } };
    },
    path: ({ inode }: { readonly inode: number }) => {
      asked.paths += 1;
      return `/Project/${inode}`;
    },
  };
  const progress = records.map((record): Progress => ({
    record,
    state: 'waiting',
    sentBytes: 0,
    trouble: undefined,
    refused: record.failed === undefined ? undefined : record,
  }));
  return {
    journal: { tree, records: () => records } as unknown as Journal,
    pusher: { progress: () => progress } as unknown as Pusher,
    asked,
  };
}

describe('what is pending', () => {
  it('is told with the paths that are wanted, and no others are looked up', async () => {
    const { journal, pusher, asked } = changes();
    const { firstPending, refused, pending, failed } = await changeOverview(journal, pusher, 3);
    expect(firstPending.map(({ path }) => path)).toEqual(['/Project/1', '/Project/2', '/Project/3']);
    expect(refused).toHaveLength(COUNT / 10);
    expect([pending.changes, failed]).toEqual([(9 * COUNT) / 10, COUNT / 10]);
    expect(asked.paths).toBe(3 + COUNT / 10);
  });

  it('comes to the same, one by one and summed up', async () => {
    const { journal, pusher } = changes();
    const waiting = changeReports(journal, pusher).filter((report) => report.failed === undefined);
    const { pending } = await changeSums(journal, pusher);
    expect(pending).toEqual({
      changes: waiting.length,
      withoutContent: 0,
      bytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0),
      sentBytes: 0,
    });
    const { firstPending } = await changeOverview(journal, pusher, Infinity);
    expect(firstPending).toEqual(waiting);
  });

  it('lets others in between', async () => {
    const { journal, pusher } = changes();
    let turns = 0;
    let isDone = false;
    const counting = (async () => {
      for (; !isDone; turns += 1) await nextTurn();
    })();
    await changeOverview(journal, pusher, 100);
    isDone = true;
    await counting;
    // 5,000 look-ups are 50 ms of work, in slices of 6.
    expect(turns).toBeGreaterThan(4);
  });
});
