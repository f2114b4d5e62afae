// The keys of `status --json`: scripts rely on each being there.
import { describe, expect, it } from 'vitest';
import { emptyStatus } from '../../src/control/status.ts';

describe('emptyStatus', () => {
  it('has every key, zero or empty', () => {
    const status = emptyStatus({
      mountpoint: '/mnt/drive',
      connection: 'demo',
      root: '/',
      pid: 1,
      transport: 'kernel',
      since: '2026-01-01T00:00:00.000Z',
      readOnly: true,
      online: true,
    });
    expect(status).toEqual({
      mountpoint: '/mnt/drive',
      connection: 'demo',
      root: '/',
      pid: 1,
      transport: 'kernel',
      since: '2026-01-01T00:00:00.000Z',
      readOnly: true,
      online: true,
      paused: false,
      pending: { files: 0, bytes: 0, sent: 0, bytesPerSecond: 0, secondsLeft: null, items: [] },
      failed: [],
      conflicts: [],
      unfinished: [],
      localOnly: { files: 0, bytes: 0 },
      waiting: [],
      calls: {
        total: 0,
        byEndpoint: {},
        byClass: {},
        throttled: 0,
        budget: { perSecond: 0, perHour: 0, leftThisHour: 0 },
      },
      cache: { memoryBytes: 0, diskBytes: 0, hits: 0, misses: 0, staleListings: 0 },
      prefetch: { unusedBytes: 0 },
      transfers: { bytesIn: 0, bytesOut: 0 },
      capabilities: {},
      memory: { ownBytes: 0, filePagesBytes: 0 },
    });
  });
});
