// Readings of a mount that did nothing yet, to be changed by tests.
import type { Readings } from '../../src/metrics/readings.ts';

export const quietReadings: Readings = {
  build: { version: '1.2.3', transport: 'kernel' },
  calls: {
    byClass: { interactive: 0, commit: 0 },
    byEndpoint: {},
    throttled: 0,
    budget: { perSecond: 0, perHour: 0, leftThisHour: 0 },
  },
  members: [],
  online: true,
  paused: false,
  transfers: { bytesIn: 0, bytesOut: 0, limitIn: null, limitOut: null },
  fuse: { byOpcode: {}, latencyBoundsSeconds: [0.001, 1], readBytes: 0, pending: 0, waiting: 0 },
  cache: {
    hits: 0,
    misses: 0,
    prefetchUnusedBytes: 0,
    staleListings: 0,
    memoryBytes: 0,
    memoryBytesMax: 8,
    diskBytes: 0,
    diskBytesMax: 80,
    relistingFolders: 0,
  },
  changes: {
    pending: 0,
    pendingBytes: 0,
    pendingSentBytes: 0,
    failed: 0,
    conflicts: 0,
    unfinished: 0,
    localOnlyFiles: 0,
    localOnlyBytes: 0,
    purgesPending: 0,
    purgesRefused: 0,
  },
  pinned: { files: 0, bytes: 0, filesLeft: 0, bytesLeft: 0 },
  memory: { ownBytes: 0, filePagesBytes: 0 },
};
