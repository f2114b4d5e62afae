// What the connection commands print, byte for byte as SkySync's documentation shows it.
import { describe, expect, it } from 'vitest';
import {
  assignmentLabels,
  connectionJson,
  connectionLabels,
  connectionTable,
  platformLabels,
  platformTable,
} from '../../src/cli/connection-output.ts';
import { statusLines } from '../../src/cli/status-text.ts';
import type { Connection } from '../../src/connections/store.ts';
import { emptyStatus, type MountStatus } from '../../src/control/status.ts';

const member: Connection = {
  id: '5dc531df34554edd96c31272262ad950',
  name: 'My Computer',
  platform: 'fs',
  disabled: false,
  pool: { id: 'd8b3254ad46c4aa4929f478dd0d3c51d', name: 'TestPool' },
  group: false,
};
const pool: Connection = {
  id: 'd8b3254ad46c4aa4929f478dd0d3c51d',
  name: 'TestPool',
  platform: 'fs',
  disabled: false,
  pool: undefined,
  group: true,
};
const cloud: Connection = {
  id: 'cda8231a40364724bc8581a264670e09',
  name: 'SyncplicityConnection1',
  platform: 'syncplicity',
  disabled: false,
  pool: undefined,
  group: false,
};

describe('pool assign', () => {
  it('shows the rows that SkySync does', () => {
    expect(assignmentLabels(member).join('\n')).toBe(`ConnectionID   5dc531df34554edd96c31272262ad950
ConnectionName My Computer
Enabled        true
PoolID         d8b3254ad46c4aa4929f478dd0d3c51d
PoolName       TestPool`);
  });
});

describe('connections', () => {
  it('list as a table', () => {
    expect(connectionTable([member, pool]).join('\n')).toBe(
      `ID                               Name        Platform    Enabled IsPool  PoolName
5dc531df34554edd96c31272262ad950 My Computer My Computer true            TestPool
d8b3254ad46c4aa4929f478dd0d3c51d TestPool    My Computer true    true`,
    );
  });

  it('list as JSON', () => {
    expect(JSON.stringify([member, pool].map(connectionJson), null, 2)).toBe(`[
  {
    "id": "5dc531df34554edd96c31272262ad950",
    "name": "My Computer",
    "platform": {
      "name": "My Computer",
      "id": "fs"
    },
    "pool": {
      "name": "TestPool",
      "id": "d8b3254ad46c4aa4929f478dd0d3c51d"
    }
  },
  {
    "id": "d8b3254ad46c4aa4929f478dd0d3c51d",
    "name": "TestPool",
    "platform": {
      "name": "My Computer",
      "id": "fs"
    },
    "group": true
  }
]`);
  });

  it('show one', () => {
    expect(connectionLabels(cloud).join('\n')).toBe(`ID       cda8231a40364724bc8581a264670e09
Name     SyncplicityConnection1
Platform Syncplicity
Enabled  true`);
  });

  it('show one that does not exist', () => expect(connectionLabels(undefined)).toEqual(['Enabled true']));

  it('show one that is disabled', () => {
    expect(connectionLabels({ ...cloud, disabled: true }).at(-1)).toBe('Enabled  false');
    expect(connectionJson({ ...cloud, disabled: true })).toMatchObject({ disabled: true });
  });

  it('keep columns where names are wide characters', () => {
    const [, first, second] = connectionTable([{ ...cloud, name: 'Zoë 👩‍🚀' }, cloud]);
    expect(first).toBe(`cda8231a40364724bc8581a264670e09 Zoë 👩‍🚀                  Syncplicity true`);
    expect(second).toContain('SyncplicityConnection1 Syncplicity true');
  });

  it('never print what moves the cursor', () => {
    expect(connectionTable([{ ...cloud, name: 'a\u001b[2Jb\nc' }])[1]).toContain('a?[2Jb?c');
  });
});

describe('platforms', () => {
  it('are a table with Y in the middle of its column', () => {
    expect(
      platformTable([
        { id: 'fs', name: 'My Computer' },
        { id: 'syncplicity', name: 'Syncplicity' },
      ]).join('\n'),
    ).toBe(`ID          Name        Enabled
fs          My Computer    Y
syncplicity Syncplicity    Y`);
  });

  it('show one', () => {
    expect(platformLabels({ id: 'fs', name: 'My Computer' })).toEqual([
      'ID      fs',
      'Name    My Computer',
      'Enabled Y',
    ]);
  });
});

describe('status', () => {
  const quiet = emptyStatus({
    mountpoint: '/mnt/drive',
    connection: 'work',
    root: '/',
    pid: 4711,
    transport: 'kernel',
    metrics: null,
    since: '2026-01-01T00:00:00.000Z',
    readOnly: true,
    online: true,
  });
  const now = Date.parse('2026-01-01T02:05:00.000Z');

  it('is short where nothing happens', () => {
    expect(statusLines(quiet, now).join('\n')).toBe(`/mnt/drive
  connection work, read-only
  process    4711, mounted for 2 h 5 min, kernel
  service    online
  pending    nothing
  calls      0
  cache      0 B in memory, 0 B on disk
  transfers  0 B in, 0 B out
  memory     0 B`);
  });

  it('shows what waits and what failed, ten of each, on one line each', () => {
    const item = { path: 'a/b', change: 'store', bytes: 2048, sent: 1024, attempts: 1, error: '' } as const;
    const lines = statusLines(
      {
        ...quiet,
        online: false,
        offlineReason: 'no answer from host: connection refused',
        refusedSignIns: [{ name: 'work', reason: 'invalid_client (HTTP 401)' }],
        pending: {
          files: 40,
          bytes: 24_576,
          sent: 1024,
          bytesPerSecond: 512,
          secondsLeft: 47,
          items: [
            { ...item, state: 'sending' },
            { ...item, path: 'x\ny', state: 'retrying', attempts: 3, error: 'no answer' },
            ...Array.from({ length: 10 }, () => ({ ...item, state: 'waiting' as const })),
          ],
        },
        failed: [{ path: 'gone', change: 'rename', error: 'forbidden', since: quiet.since }],
        waiting: [
          { path: '/big', operation: 'read', reason: 'no answer', failed: false, since: quiet.since },
          { path: '/old', operation: 'read', reason: 'read /old: no answer', failed: true, since: quiet.since },
          { path: '/old', operation: 'read', reason: 'no answer', failed: true, since: quiet.since },
        ],
        calls: { ...quiet.calls, total: 9, throttled: 2, budget: { perSecond: 15, perHour: 100, leftThisHour: 91 } },
        sendingHeldSeconds: 95,
        cache: { ...quiet.cache, hits: 3, misses: 1 },
      },
      now,
    );
    expect(lines).toContain('  service    OFFLINE: no answer from host: connection refused');
    expect(lines).toContain('  sign-in    REFUSED for work: invalid_client (HTTP 401)');
    expect(lines).toContain('  pending    40 changes, 1.0 KiB of 24.0 KiB sent, 512 B/s, 47 s left');
    expect(lines).toContain('             store a/b: sending 1.0 KiB of 2.0 KiB');
    expect(lines).toContain('             store x?y: retrying after 3 attempts (no answer)');
    expect(lines).toContain('             and 30 more');
    expect(lines).toContain('             rename gone: forbidden');
    expect(lines).toContain('             status --retry PATH, --discard PATH or --save PATH DEST decides about them');
    const waiting = lines.indexOf('  waiting    1');
    expect(lines.slice(waiting, waiting + 4)).toEqual([
      '  waiting    1',
      '             read /big: no answer',
      '  errors     1',
      '             read /old: no answer (2 times)',
    ]);
    expect(lines).toContain(
      '  calls      9, 2 throttled, 91 of 100 left this hour; changes can be sent again in 1 min 35 s',
    );
    expect(lines.some((line) => line.endsWith(', 75 % hits'))).toBe(true);
  });

  it('shows the connections of a pool, and who is out', () => {
    const budget = { perSecond: 15, perHour: 100, leftThisHour: 60 };
    const one = { name: 'one', calls: 40, throttled: 0, budget, out: null };
    const out = { reason: 'token POST: no', since: '2026-01-01T02:00:00.000Z' };
    const lines = statusLines(
      {
        ...quiet,
        members: [
          one,
          { ...one, name: 'two\nx', throttled: 1, out },
          { ...one, name: 'three', out: { reason: 'its call budget is spent', since: null } },
        ],
      },
      now,
    );
    const at = lines.indexOf('  members    3');
    expect(lines.slice(at + 1, at + 4)).toEqual([
      '             one: 40, 60 of 100 left this hour',
      '             two?x: 40, 1 throttled, 60 of 100 left this hour, OUT for 5 min: token POST: no',
      '             three: 40, 60 of 100 left this hour, OUT: its call budget is spent',
    ]);
  });

  it('shows what is pinned, what of it is missing and why, and the limits of the line', () => {
    const row = (status: Partial<MountStatus>, label: string): string | undefined =>
      statusLines({ ...quiet, ...status }, now).find((line) => line.startsWith(`  ${label}`));
    const pinned = {
      paths: ['/a'],
      files: 3,
      bytes: 3 * 2 ** 20,
      filesLeft: 0,
      bytesLeft: 0,
      foldersLeft: 0,
      trouble: null,
    };
    expect(row({}, 'pinned')).toBeUndefined();
    expect(row({ pinned }, 'pinned')).toBe('  pinned     1 pin: all is here; 3 files, 3.0 MiB of the cache');
    expect(row({ pinned: { ...pinned, files: 0, bytes: 0 } }, 'pinned')).toBe('  pinned     1 pin: all is here');
    const missing = { ...pinned, filesLeft: 1, bytesLeft: 2 ** 20, foldersLeft: 2, trouble: 'no answer' };
    expect(row({ pinned: missing }, 'pinned')).toBe(
      '  pinned     1 pin: 3 files, 3.0 MiB of the cache; 2 folders to be listed; 1 file, 1.0 MiB to be fetched (no answer)',
    );
    const transfers = { bytesIn: 1024, bytesOut: 0, limitIn: null, limitOut: 2 ** 20 };
    expect(row({ transfers }, 'transfers')).toBe('  transfers  1.0 KiB in, 0 B out (at most 1.0 MiB/s)');
  });

  it('shows neither a pace nor an end while sending is paused', () => {
    const pending = { ...quiet.pending, files: 1, bytes: 2, bytesPerSecond: 512, secondsLeft: 1 };
    expect(statusLines({ ...quiet, pending }, now)).toContain('  pending    1 change, 2 B, 512 B/s, 1 s left');
    expect(statusLines({ ...quiet, pending, paused: true }, now)).toContain('  pending    1 change, 2 B');
  });

  it('shows all where all are wanted, what a crash left, and that sending is paused', () => {
    const unfinished = Array.from({ length: 12 }, (_, index) => ({ path: `/u${index}`, bytes: 1, since: quiet.since }));
    const conflicts = [{ path: '/c', keptAs: '/c (ours)', since: quiet.since }];
    const lines = statusLines({ ...quiet, paused: true, unfinished, conflicts }, now, { itemsMax: Infinity });
    expect(lines).toContain('  service    online, sending is PAUSED');
    expect(lines).toContain('  unfinished 12');
    expect(lines).toContain('             /u11, 1 B');
    expect(lines).toContain('             /c kept as /c (ours)');
    expect(lines.join()).not.toContain('more');
  });
});
