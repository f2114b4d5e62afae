// What a scrape costs where much waits for a decision: it counts, and looks at none of it.
import { expect, it } from 'vitest';
import { readingsOf } from '../../src/mount/measuring.ts';
import type { StatusSources } from '../../src/mount/status.ts';

it('conflicts and unfinished files are counted without being read', async () => {
  const unread = (): never => {
    throw new Error('a scrape must not read what it counts');
  };
  const budget = { perSecond: 0, perHour: 0, leftThisHour: 0 };
  const sources = {
    drive: {
      statistics: () => ({ budget, members: [], limits: {}, capabilities: { vaults: {} } }),
      signIns: { refused: new Map() },
      callDelayMs: () => 0,
    },
    blocks: { statistics: () => ({}) },
    listings: { statistics: () => ({}), relisting: 0 },
    journal: {
      records: () => [],
      unfinished: () => [
        {
          get path() {
            return unread();
          },
        },
      ],
      tree: { conflicts: unread, conflictInodes: () => new Set([2, 3]) },
    },
    pusher: { progress: () => [], paused: false, purges: { pendingCount: 0, refusals: () => [] } },
    pinKeeper: { status: () => ({ nodes: [] }) },
    fileSystem: { waiting: () => [], failures: () => [] },
    kernelMount: { statistics: () => ({ byOpcode: {}, pending: 0, protocol: undefined }) },
    stagedBytes: unread,
  } as unknown as StatusSources;
  const identity = { transport: 'kernel' } as Parameters<typeof readingsOf>[0];
  const readings = await readingsOf(identity, sources, { memoryBytes: 1, cacheSizeBytes: 1 });
  expect((await readings()).changes).toMatchObject({ conflicts: 2, unfinished: 1 });
});
