// With --delete permanently: what a removal brought into the trash is purged there, whatever comes in between, and nothing else is.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import { RemoteError, type RemoteSyncpoint } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { enterVirtualTime, leaveVirtualTime, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { memoryDirectory } from '../fakes/temporary-directory.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem, nobody } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;
let written: string[];

beforeEach(async () => {
  enterVirtualTime();
  written = [];
  vi.spyOn(console, 'error').mockImplementation((line: string) => void written.push(line));
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  await start({ purgesRemoved: true });
});

afterEach(async () => {
  leaveVirtualTime();
  vi.restoreAllMocks();
  await stop();
});

async function start(options: { readonly purgesRemoved: boolean }, state = memoryDirectory()): Promise<void> {
  made = await TestFileSystem.start(drive, { state });
  pusher = pusherFor(made, drive, 2, options);
  program = new Program(made.fileSystem);
  pusher.start();
  await passing(program.readdir('P'));
}

async function stop(): Promise<void> {
  await pusher.stop();
  await made.stop();
}

const flush = (): Promise<unknown> => passing(pusher.flush(nobody.signal));
const relist = (): Promise<void> =>
  passing(made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal));
const away = (call: string): Promise<void> =>
  call.startsWith('purge') ? Promise.reject(new RemoteError('unavailable', 'away')) : Promise.resolve();
const version = (name: string): string => {
  const entry = drive.entries(syncpoint.rootFolderId).find((one) => one.name === name);
  if (entry?.kind !== 'file') throw new Error(`no file ${name}`);
  return entry.versionId;
};

it.each([
  ['a file', 'P/a', (): Promise<void> => program.unlink('P/a')],
  [
    'a file in a folder that went with it',
    'P/folder/b',
    async (): Promise<void> => {
      await program.unlink('P/folder/b');
      await program.rmdir('P/folder');
    },
  ],
])('%s that a program has open is purged when it is closed', async (_, path, remove) => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  drive.addFile(drive.addFolder(syncpoint.rootFolderId, 'folder'), 'b', 'second');
  await relist();
  const descriptor = await passing(program.open(path, 0));
  await passing(remove());
  await flush();
  expect(drive.calls.filter((call) => call.startsWith('delete'))).toHaveLength(1);
  expect(drive.purged).toEqual([]);
  expect((await passing(program.pread(descriptor, 0, 100))).toString()).toBe(path === 'P/a' ? 'first' : 'second');
  await program.close(descriptor);
  await flush();
  expect(drive.purged).toHaveLength(1);
  expect(pusher.purges.pendingCount).toBe(0);
});

it('a file goes to the trash first, then from it, by the same version', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await relist();
  const removed = version('a');
  await passing(program.unlink('P/a'));
  await flush();
  expect(drive.purged).toEqual([`file ${removed}`]);
  const calls = drive.calls.filter((call) => /delete|purge/.test(call));
  expect(calls).toEqual([`deleteFile ${removed}`, `purge file ${removed}`]);
  expect(pusher.purges.pendingCount).toBe(0);
});

it('a folder goes with all it holds, by one call of each kind', async () => {
  const folder = drive.addFolder(syncpoint.rootFolderId, 'd');
  drive.addFile(folder, 'one', '1');
  drive.addFile(folder, 'two', '2');
  await relist();
  await passing(program.readdir('P/d'));
  for (const name of ['one', 'two']) await passing(program.unlink(`P/d/${name}`));
  await passing(program.rmdir('P/d'));
  await flush();
  expect(drive.purged).toEqual([`folder ${folder}`]);
});

it('a new version in the place of an old one purges nothing, and neither does a move', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  drive.addFile(syncpoint.rootFolderId, 'b', 'second');
  drive.moves = 'unsupported';
  await relist();
  await passing(program.writeFile('P/a', 'newer'));
  await passing(program.rename('P/b', 'P/c'));
  await flush();
  expect(await passing(program.readdir('P'))).toEqual(['a', 'c']);
  expect(drive.purged).toEqual([]);
});

it('what a kill, an outage or a pause leaves is purged later', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await relist();
  const removed = version('a');
  drive.gate = away;
  await passing(program.unlink('P/a'));
  await flush();
  expect([drive.purged, pusher.purges.pendingCount]).toEqual([[], 1]);
  const state = made.afterKill();
  await stop();
  drive.gate = () => Promise.resolve();
  // Whoever mounts without the option still finishes what was removed with it.
  await start({ purgesRemoved: false }, state);
  await flush();
  expect([drive.purged, pusher.purges.pendingCount]).toEqual([[`file ${removed}`], 0]);
});

it('an outage is waited for', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await relist();
  drive.gate = away;
  await passing(program.unlink('P/a'));
  await flush();
  drive.gate = () => Promise.resolve();
  await passing(new Promise((resolve) => setTimeout(resolve, 6_000)));
  expect(drive.purged).toHaveLength(1);
});

it('what only its owner may purge stays in the trash: no failure, said once, asked once', async () => {
  drive.owned = false;
  for (const name of ['a', 'b']) drive.addFile(syncpoint.rootFolderId, name, name);
  await relist();
  for (const name of ['a', 'b']) await passing(program.unlink(`P/${name}`));
  await flush();
  expect(pusher.progress()).toEqual([]);
  expect(drive.calls.filter((call) => call.startsWith('purge'))).toHaveLength(1);
  expect(written).toHaveLength(1);
  expect(pusher.purges.refusals()).toEqual([expect.stringMatching(/stays in the trash: .*Not An Owner/)]);
  expect(pusher.purges.pendingCount).toBe(0);
});

it('what somebody brought back is left alone in the end', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await relist();
  const entry = drive.entries(syncpoint.rootFolderId)[0];
  if (entry === undefined) throw new Error('no entry');
  drive.gate = (call) => {
    if (call.startsWith('purge') && drive.entries(syncpoint.rootFolderId).length === 0)
      drive.entries(syncpoint.rootFolderId).push(entry);
    return Promise.resolve();
  };
  await passing(program.unlink('P/a'));
  await flush();
  await passing(new Promise((resolve) => setTimeout(resolve, 30_000)));
  expect(drive.purged).toEqual([]);
  expect(pusher.purges.pendingCount).toBe(0);
  expect(drive.calls.filter((call) => call.startsWith('purge'))).toHaveLength(3);
});

it('without the option nothing is purged', async () => {
  await stop();
  await start({ purgesRemoved: false });
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await relist();
  await passing(program.unlink('P/a'));
  await flush();
  expect(drive.calls.filter((call) => /delete|purge/.test(call))).toHaveLength(1);
});

it('a disk that is full while a purge is written down costs one more call, not the process', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await relist();
  const change = made.journal.change.bind(made.journal);
  let isFull = true;
  made.journal.change = (origin, work, keeping) =>
    change(
      origin,
      (transaction) =>
        work({
          ...transaction,
          removePurge: (inode) => {
            if (isFull) throw new Error('no space left on device');
            transaction.removePurge(inode);
          },
        }),
      keeping,
    );
  await passing(program.unlink('P/a'));
  await flush();
  expect(pusher.purges.pendingCount).toBe(1);
  isFull = false;
  await passing(new Promise((resolve) => setTimeout(resolve, 6_000)));
  await flush();
  expect(pusher.purges.pendingCount).toBe(0);
});

it('what the service refuses to purge for whatever reason is said, and stays in the trash', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await relist();
  drive.gate = (call) =>
    call.startsWith('purge') ? Promise.reject(new RemoteError('invalid', 'Invalid Version ID')) : Promise.resolve();
  await passing(program.unlink('P/a'));
  await flush();
  expect(pusher.purges.pendingCount).toBe(0);
  expect(written.join()).toContain('/P/a stays in the trash: Invalid Version ID');
});
