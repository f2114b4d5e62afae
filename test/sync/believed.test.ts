// What was stored from here a moment ago is believed against a listing that does not show it, for listings lag. What others removed,
// renamed or replaced meanwhile is seen all the same: a file renamed or replaced at once, the rest when that moment is over, however long a
// listing is good.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LOCAL_LAG_WINDOW_MS } from '../../src/cache/journal.ts';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { RemoteSyncpoint } from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

const MOMENT_MS = 60_000;

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  written = await writtenDrive(drive, { lifetimeMs: 900_000 });
});
afterEach(() => written.stop());

const top = (): TreeDirectory => written.made.tree.child(1, 'P') as TreeDirectory;
const relist = (): Promise<void> => written.made.listings.refresh(top(), nobody.signal);
const names = (): Promise<string[]> => written.program.readdir('P');
const lists = (): number => drive.calls.filter((call) => call.startsWith('list ')).length;

async function store(...files: string[]): Promise<void> {
  for (const name of files) await written.program.writeFile(`P/${name}`, `ours ${name}`);
  await written.program.mkdir('P/folder');
  await passing(written.pusher.flush(AbortSignal.timeout(10_000)));
  await relist();
}

it.each([
  ['removed', (): void => drive.remove(syncpoint.rootFolderId, 'a'), ['b', 'folder']],
  ['removed, a folder,', (): void => drive.remove(syncpoint.rootFolderId, 'folder'), ['a', 'b']],
])('what was %s by others just after it was stored goes once the listing can no longer lag', async (_, act, after) => {
  await store('a', 'b');
  act();
  await relist();
  expect(await names()).toEqual(['a', 'b', 'folder']);
  vi.advanceTimersByTime(MOMENT_MS);
  expect((await names()).toSorted()).toEqual(after);
});

it('behind a service on this machine, whose listings do not lag, what others removed goes after a second', async () => {
  await written.stop();
  written = await writtenDrive(drive, { lifetimeMs: 900_000, lagWindowMs: LOCAL_LAG_WINDOW_MS });
  await store('a', 'b');
  drive.remove(syncpoint.rootFolderId, 'a');
  drive.remove(syncpoint.rootFolderId, 'folder');
  vi.advanceTimersByTime(LOCAL_LAG_WINDOW_MS);
  await relist();
  expect(await names()).toEqual(['b']);
});

it('a file that others renamed just after it was stored has their name', async () => {
  await store('a', 'b');
  drive.rename(syncpoint.rootFolderId, 'a', 'A2');
  await relist();
  expect((await names()).toSorted()).toEqual(['A2', 'b', 'folder']);
});

it('a removal that was believed against a listing is held against another one', async () => {
  await store('a', 'b');
  const entry = drive.entries(syncpoint.rootFolderId).find(({ name }) => name === 'a');
  if (entry === undefined) throw new Error('a is not stored');
  await written.program.unlink('P/a');
  await passing(written.pusher.flush(AbortSignal.timeout(10_000)));
  // Somebody took it back out of the trash.
  drive.entries(syncpoint.rootFolderId).push(entry);
  await relist();
  expect(await names()).toEqual(['b', 'folder']);
  vi.advanceTimersByTime(MOMENT_MS);
  written.made.journal.sweepGuards(Date.now() + 1);
  expect((await names()).toSorted()).toEqual(['a', 'b', 'folder']);
});

it('a file that others replaced by another one just after it was stored is shown once, as theirs', async () => {
  await store('a', 'b');
  drive.remove(syncpoint.rootFolderId, 'a');
  drive.addFile(syncpoint.rootFolderId, 'a', 'theirs');
  await relist();
  expect((await names()).toSorted()).toEqual(['a', 'b', 'folder']);
  expect(await written.program.readFile('P/a')).toBe('theirs');
});

it.each([
  ['a version', (): unknown => drive.write(syncpoint.rootFolderId, 'a', 'theirs')],
  [
    'a file',
    (): void => {
      drive.remove(syncpoint.rootFolderId, 'a');
      drive.addFile(syncpoint.rootFolderId, 'a', 'theirs');
    },
  ],
])(
  '%s of others that a listing shows which does not have ours yet goes once listings can no longer lag',
  async (_, act) => {
    await store('a', 'b');
    const entries = drive.entries(syncpoint.rootFolderId);
    const ours = [...entries];
    act();
    await relist();
    expect(await written.program.readFile('P/a')).toBe('theirs');
    // Theirs was stored before ours, without anybody here seeing it.
    entries.splice(0, entries.length, ...ours);
    vi.advanceTimersByTime(MOMENT_MS);
    await names();
    expect(await written.program.readFile('P/a')).toBe('ours a');
  },
);

it('nothing is looked at again where nothing was believed', async () => {
  await store('a', 'b');
  const before = lists();
  vi.advanceTimersByTime(MOMENT_MS + 1_000);
  await names();
  expect(lists()).toBe(before);
});
