// The keys of `status --json`: scripts rely on each being there.
import { expect, it } from 'vitest';
import { emptyStatus, type MountIdentity } from '../../src/control/status.ts';

const identity: MountIdentity = {
  mountpoint: '/mnt/drive',
  connection: 'demo',
  root: '/',
  pid: 1,
  transport: 'kernel',
  metrics: null,
  since: '2026-01-01T00:00:00.000Z',
  readOnly: true,
  online: true,
};

it('the status of a mount that did nothing yet says who it is, and has every other key, zero or empty', () => {
  const status = emptyStatus(identity);
  expect(status).toMatchObject(identity);
  const others = valuesByPath(status).filter(([path]) => !(path in identity));
  expect(others.map(([path]) => path).toSorted()).toEqual([
    'cache.diskBytes',
    'cache.hits',
    'cache.memoryBytes',
    'cache.misses',
    'cache.staleListings',
    'calls.budget.leftThisHour',
    'calls.budget.perHour',
    'calls.budget.perSecond',
    'calls.byClass',
    'calls.byEndpoint',
    'calls.throttled',
    'calls.total',
    'capabilities',
    'conflicts',
    'failed',
    'localOnly.bytes',
    'localOnly.files',
    'members',
    'memory.filePagesBytes',
    'memory.ownBytes',
    'offlineReason',
    'paused',
    'pending.bytes',
    'pending.bytesPerSecond',
    'pending.files',
    'pending.items',
    'pending.secondsLeft',
    'pending.sent',
    'pinned.bytes',
    'pinned.bytesLeft',
    'pinned.files',
    'pinned.filesLeft',
    'pinned.foldersLeft',
    'pinned.paths',
    'pinned.trouble',
    'prefetch.unusedBytes',
    'purges.pending',
    'purges.refused',
    'refusedSignIns',
    'relisting.folders',
    'requests',
    'sendingHeldSeconds',
    'transfers.bytesIn',
    'transfers.bytesOut',
    'transfers.limitIn',
    'transfers.limitOut',
    'unfinished',
    'waiting',
  ]);
  for (const [path, value] of others) expect([0, false, null, '{}', '[]'], path).toContain(value);
});

/** The innermost values, each by its keys; an empty object or list as its JSON text. */
function valuesByPath(value: object, above = ''): (readonly [path: string, value: unknown])[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const path = `${above}${key}`;
    if (typeof inner !== 'object' || inner === null) return [[path, inner] as const];
    return Object.keys(inner).length === 0 ? [[path, JSON.stringify(inner)] as const] : valuesByPath(inner, `${path}.`);
  });
}
