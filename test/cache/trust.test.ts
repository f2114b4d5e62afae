// Which listings are trusted: by events, over remounts, with clocks that lie, behind listings that lag, and what is looked at again by itself.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Journal } from '../../src/cache/journal.ts';
import { LocalChanges } from '../../src/cache/local-changes.ts';
import { Listings, type Asker } from '../../src/cache/listings.ts';
import { ROOT_INODE, Tree, type TreeDirectory } from '../../src/cache/tree.ts';
import { Trust } from '../../src/cache/trust.ts';
import { naming } from '../../src/fs-ops/names.ts';
import { RemoteError, type FolderId, type RemoteSyncpoint } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

const POLL_MS = 15_000;
const never = new AbortController().signal;

let directory: ReturnType<typeof temporaryDirectory>;
let drive: MemoryDrive;
let tree: Tree;
let journal: Journal;
let trust: Trust;
let listings: Listings;
let syncpoint: RemoteSyncpoint;

/** A mount begins, on the tree that the one before left. */
async function remount(options?: { callsAreFree?: boolean }): Promise<void> {
  await listings.stop();
  await tree.close();
  open(options);
}

function open({ callsAreFree = false } = {}): void {
  tree = Tree.open(directory.path);
  journal = new Journal(tree);
  trust = new Trust({ journal, lifetimeMs: 300_000, backstopMs: 900_000, pollIntervalMs: POLL_MS });
  listings = new Listings({ journal, drive, naming, trust, callsAreFree });
}

/** Something happened in the syncpoint. */
function happens(event: string, facts: Partial<RemoteSyncpoint> = {}): void {
  const [at] = drive.syncpointList.map(({ id }, index) => (id === syncpoint.id ? index : -1)).filter((it) => it >= 0);
  syncpoint = { ...syncpoint, lastEvent: event, ...facts };
  drive.syncpointList.splice(at ?? 0, 1, syncpoint);
}

const poll = (): Promise<void> => listings.refresh(tree.root(), never, 'prefetch');
const top = (): TreeDirectory => tree.child(ROOT_INODE, 'P') as TreeDirectory;
const child = (name: string): TreeDirectory => tree.child(top().inode, name) as TreeDirectory;
const standing = (of: TreeDirectory = top()): string => trust.standing(of.inode).kind;
const listed = (): string[] => drive.calls.filter((call) => call.startsWith('list ')).map((call) => call.slice(5));
const ensure = async (of: TreeDirectory, asker?: Asker): Promise<void> => {
  await listings.ensure(of, never, asker);
};

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout'] });
  directory = temporaryDirectory();
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P', { lastEvent: '1' });
  for (let index = 0; index < 40; index += 1) {
    const folder = drive.addFolder(syncpoint.rootFolderId, `d${index}`);
    drive.addFile(folder, 'a', 'content');
  }
  open();
  await poll();
  await ensure(top());
  for (let index = 0; index < 40; index += 1) await ensure(child(`d${index}`));
  drive.calls.length = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  await listings.stop();
  await tree.close();
  directory.remove();
});

test('while the event is the same, a listing is good, and the kernel may keep it', async () => {
  expect(trust.standing(top().inode)).toEqual({ kind: 'fresh', forMs: 900_000 });
  for (let time = 0; time < 40; time += 1) {
    vi.advanceTimersByTime(POLL_MS);
    await poll();
  }
  expect(trust.standing(top().inode)).toEqual({ kind: 'fresh', forMs: 300_000 });
  expect(listed()).toEqual([]);
});

test('with another event every listing of the syncpoint is suspect, and of no other one', async () => {
  const other = drive.addSyncpoint('Q', { lastEvent: '7' });
  await poll();
  const q = tree.child(ROOT_INODE, 'Q') as TreeDirectory;
  await ensure(q);
  happens('2');
  expect(standing()).toBe('fresh');
  await poll();
  expect([standing(), standing(child('d3')), standing(q)]).toEqual(['suspect', 'suspect', 'fresh']);
  drive.calls.length = 0;
  await ensure(child('d3'));
  expect(standing(child('d3'))).toBe('fresh');
  expect(other.id).toBeDefined();
});

test('an event in a syncpoint that lies in another one makes the outer one suspect', async () => {
  const inner = drive.addSyncpoint('Inner', { parentId: syncpoint.id, lastEvent: '70' });
  await poll();
  await ensure(top());
  expect(standing()).toBe('fresh');
  drive.syncpointList.splice(1, 1, { ...inner, lastEvent: '71' });
  await poll();
  expect(standing()).toBe('suspect');
});

test('where a syncpoint tells no event, its listings live for a lifetime', async () => {
  happens('', { lastEvent: undefined });
  await poll();
  expect(standing()).toBe('fresh');
  vi.advanceTimersByTime(300_000);
  await poll();
  expect(standing()).toBe('due');
});

test('a former mount’s listings are good on the word of one call', async () => {
  await remount();
  expect(standing()).toBe('unconfirmed');
  await Promise.all([ensure(child('d1')), ensure(child('d2')), ensure(top())]);
  expect(drive.calls).toEqual(['syncpoints']);
  expect(standing()).toBe('fresh');
});

test('what happened between two mounts is noticed', async () => {
  happens('2');
  await remount();
  drive.calls.length = 0;
  await ensure(child('d1'));
  expect(drive.calls[0]).toBe('syncpoints');
  expect(listed()).toHaveLength(1);
});

test('nobody asked for a while: one call, whoever asks then', async () => {
  vi.advanceTimersByTime(2 * POLL_MS + 5_001);
  expect(standing()).toBe('unconfirmed');
  await ensure(child('d1'));
  expect(drive.calls).toEqual(['syncpoints']);
});

test('a wall clock that is set, or went on while the machine slept, proves nothing', async () => {
  vi.setSystemTime(Date.now() + 3_600_000);
  expect(standing()).toBe('unconfirmed');
  await poll();
  vi.setSystemTime(Date.now() - 7_200_000);
  expect(standing()).toBe('unconfirmed');
  await poll();
  // Listed in the future, as it seems: looked at again, behind.
  expect(standing()).toBe('old');
  happens('2');
  await poll();
  expect(standing()).toBe('suspect');
});

test('what is old is shown at once, and looked at again behind that', async () => {
  vi.advanceTimersByTime(900_000);
  await poll();
  expect(standing()).toBe('old');
  drive.addFile(syncpoint.rootFolderId, 'untold', 'x');
  expect(listings.ensure(top(), never)).toBeUndefined();
  await vi.waitFor(() => expect(tree.child(top().inode, 'untold')).toBeDefined());
  expect(standing()).toBe('fresh');
});

test('behind an event that others made a listing may lag: it is believed for seconds, and looked at once more', async () => {
  happens('2');
  await poll();
  await ensure(top());
  expect(trust.standing(top().inode)).toEqual({ kind: 'fresh', forMs: 5_000 });
  vi.advanceTimersByTime(5_000);
  expect(standing()).toBe('suspect');
  await ensure(top());
  vi.advanceTimersByTime(26_000);
  await poll();
  await ensure(top());
  expect(trust.standing(top().inode)).toMatchObject({ kind: 'fresh', forMs: 900_000 });
});

test('our own changes make listings suspect as well, but they do not lag', async () => {
  trust.changing(syncpoint.id)();
  happens('2');
  await poll();
  expect(trust.standing(top().inode)).toEqual({ kind: 'suspect', own: true });
  await ensure(top());
  expect(trust.standing(top().inode)).toMatchObject({ kind: 'fresh', forMs: 900_000 });
  // Much later somebody else.
  vi.advanceTimersByTime(60_000);
  await poll();
  happens('3');
  await poll();
  expect(trust.standing(top().inode)).toEqual({ kind: 'suspect', own: false });
});

test('a listing that turned out to be wrong is brought before anything of it is shown, after our own changes too', async () => {
  trust.changing(syncpoint.id)();
  happens('2');
  await poll();
  // A walk has used up what anybody may wait for.
  for (let index = 0; index < 40; index += 1) await ensure(child(`d${index}`));
  tree.expireListing(child('d39').inode);
  drive.calls.length = 0;
  await ensure(child('d39'));
  expect(listed()).toEqual([child('d39').remote?.folderId]);
  expect(standing(child('d39'))).toBe('fresh');
});

test('our own events are asked for when they are over, not while a program goes on', () => {
  const changes = new LocalChanges(journal);
  const done = trust.changing(syncpoint.id);
  changes.makeDirectory({ parent: top(), name: 'made', remoteName: 'made' }, {});
  vi.advanceTimersByTime(1_000);
  expect(trust.missesOwnEvents(syncpoint.id)).toBe(false);
  done();
  expect(trust.missesOwnEvents(syncpoint.id)).toBe(true);
  changes.makeDirectory({ parent: top(), name: 'another', remoteName: 'another' }, {});
  expect(trust.missesOwnEvents(syncpoint.id)).toBe(false);
  vi.advanceTimersByTime(1_000);
  expect(trust.missesOwnEvents(syncpoint.id)).toBe(true);
});

test('ours is not taken for the whole truth where others were at it a moment ago', async () => {
  happens('2');
  await poll();
  trust.changing(syncpoint.id)();
  happens('3');
  await poll();
  expect(trust.standing(top().inode)).toEqual({ kind: 'suspect', own: false });
});

test('whoever goes on changing things is not taken for others for longer than what they did may be behind a listing', async () => {
  happens('2');
  await poll();
  const done = trust.changing(syncpoint.id);
  for (let event = 3; event < 7; event += 1) {
    expect(trust.standing(top().inode)).toEqual({ kind: 'suspect', own: false });
    vi.advanceTimersByTime(9_000);
    happens(`${event}`);
    await poll();
  }
  expect(trust.standing(top().inode)).toEqual({ kind: 'suspect', own: true });
  done();
});

test('the folders used last are looked at again as soon as something happened, the last one first', async () => {
  for (const name of ['d1', 'd2', 'd3']) listings.used.note(child(name).inode);
  happens('2');
  await poll();
  await vi.waitFor(() => expect(listed()).toHaveLength(3));
  const id = (name: string): FolderId | undefined => child(name).remote?.folderId;
  expect(new Set(listed().map((call) => call.split(' ')[0]))).toEqual(new Set([id('d1'), id('d2'), id('d3')]));
});

test('who does not mind is shown what is known; the rest is brought behind at a pace', async () => {
  happens('2');
  await poll();
  for (let index = 0; index < 40; index += 1)
    expect(listings.ensure(child(`d${index}`), never, { minds: () => false })).toBeUndefined();
  await vi.waitFor(() => expect(listed()).toHaveLength(32));
  expect(listings.relisting).toBe(8);
  await vi.advanceTimersByTimeAsync(4_000);
  await vi.waitFor(() => expect(listed()).toHaveLength(40));
  expect(listings.relisting).toBe(0);
});

test('who has folders listed ahead, to keep them, gets them as they are', async () => {
  happens('2');
  await poll();
  for (let index = 0; index < 40; index += 1) {
    await ensure(child(`d${index}`), { callClass: 'prefetch' });
    expect(standing(child(`d${index}`))).toBe('fresh');
  }
});

test('somebody who looks into folder after folder waits for some of them only', async () => {
  happens('2');
  await poll();
  let waited = 0;
  for (let index = 0; index < 40; index += 1) if (listings.ensure(child(`d${index}`), never) !== undefined) waited += 1;
  expect(waited).toBe(16);
});

test('where calls cost nothing, whoever walks over everything gets all of it as it is', async () => {
  await remount({ callsAreFree: true });
  happens('2');
  await poll();
  for (let index = 0; index < 40; index += 1) {
    await ensure(child(`d${index}`), { minds: () => false });
    expect(standing(child(`d${index}`))).toBe('fresh');
  }
});

test('where calls cost nothing, what we changed ourselves is shown as it is known, and all of it looked at again at once', async () => {
  await remount({ callsAreFree: true });
  trust.changing(syncpoint.id)();
  happens('2');
  await poll();
  for (let index = 0; index < 40; index += 1)
    expect(listings.ensure(child(`d${index}`), never, { minds: () => false })).toBeUndefined();
  await vi.advanceTimersByTimeAsync(3_500);
  await vi.waitFor(() => expect(listed()).toHaveLength(40));
});

test('after our own changes a tree that is walked costs a few calls, not one for each folder', async () => {
  const save = async (event: string): Promise<void> => {
    trust.changing(syncpoint.id)();
    happens(event);
    await poll();
    for (let index = 0; index < 40; index += 1)
      expect(listings.ensure(child(`d${index}`), never, { minds: () => false })).toBeUndefined();
  };
  for (let minute = 0; minute < 10; minute += 1) {
    await save(`${minute + 10}`);
    await vi.advanceTimersByTimeAsync(60_000);
  }
  expect(listed().length).toBeLessThanOrEqual(10 + 600 / 40);
});

test('what others may have changed beside us is looked at when we have come to rest, in all folders in use', async () => {
  const names = ['d1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7'];
  for (const name of names) listings.used.note(child(name).inode);
  const done = trust.changing(syncpoint.id);
  happens('2');
  await poll();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(listed()).toEqual([]);
  done();
  await vi.advanceTimersByTimeAsync(1_500);
  expect(listed()).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_500);
  await vi.waitFor(() => expect(listed()).toHaveLength(names.length));
});

test('who never comes to rest does not keep what others changed away', async () => {
  listings.used.note(child('d1').inode);
  const done = trust.changing(syncpoint.id);
  happens('2');
  await poll();
  await vi.advanceTimersByTimeAsync(28_000);
  expect(listed()).toEqual([]);
  await vi.advanceTimersByTimeAsync(4_000);
  await vi.waitFor(() => expect(listed()).toHaveLength(1));
  done();
});

test('while the service is away, or calls are spent, what is known is shown at once', async () => {
  drive.gate = (call) =>
    call === 'syncpoints' ? Promise.reject(new RemoteError('unavailable', 'away')) : new Promise(() => undefined);
  await expect(poll()).rejects.toThrow('away');
  vi.advanceTimersByTime(2 * POLL_MS + 5_001);
  await expect(poll()).rejects.toThrow('away');
  let settled = false;
  void ensure(child('d1')).then(() => (settled = true));
  await vi.advanceTimersByTimeAsync(0);
  expect(settled).toBe(true);
  drive.gate = () => Promise.resolve();
  happens('2');
  await poll();
  drive.delayMs = 60_000;
  expect(listings.ensure(child('d2'), never)).toBeUndefined();
  drive.delayMs = 0;
  await ensure(child('d2'));
  expect(standing(child('d2'))).toBe('fresh');
});
