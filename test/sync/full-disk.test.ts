// The state's disk is full while the pusher works: what it cannot write down waits like anything that fails, and the drive stays.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RemoteError, type RemoteSyncpoint } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import type { Program } from '../fs-ops/support/program.ts';
import { nobody, type TestFileSystem } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

const ENOSPC = 'ENOSPC: no space left on device';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let written: WrittenDrive;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;
let isFull: boolean;
let calls: number;

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  drive.addFile(syncpoint.rootFolderId, 'old', 'content');
  drive.addFile(syncpoint.rootFolderId, 'other', 'content too');
  written = await writtenDrive(drive);
  ({ made, pusher, program } = written);
  [isFull, calls] = [false, 0];
  drive.gate = () => Promise.resolve(void (calls += 1));
  const change = made.journal.change.bind(made.journal);
  vi.spyOn(made.journal, 'change').mockImplementation((origin, ...rest) => {
    if (isFull && origin === 'push') throw Object.assign(new Error(ENOSPC), { code: 'ENOSPC' });
    return change(origin, ...rest);
  });
  await passing(program.readdir('P'));
});

afterEach(async () => {
  isFull = false;
  await written.stop();
});

it('guards whose time is over go when there is room again', async () => {
  await passing(program.writeFile('P/new', 'content'));
  await passing(pusher.flush(nobody.signal));
  isFull = true;
  await pass(120_000);
  expect([...made.journal.records()]).toHaveLength(1);
  isFull = false;
  await pass(20_000);
  expect([...made.journal.records()]).toEqual([]);
});

it('what goes round, and what is sent, wait with the reason and are done when there is room again', async () => {
  await pusher.pause();
  // Two names in a circle: that one of them goes round is written down without a step at the service.
  await passing(program.rename('P/old', 'P/between'));
  await passing(program.rename('P/other', 'P/old'));
  await passing(program.rename('P/between', 'P/other'));
  await passing(program.writeFile('P/new', 'content'));
  isFull = true;
  pusher.resume();
  await pass(120_000, 100);
  const states = pusher.progress().map(({ state, trouble }) => `${state} ${trouble?.message}`);
  // One of the two that are in each other's way waits for the other one.
  expect(states.sort()).toEqual([`retrying ${ENOSPC}`, `retrying ${ENOSPC}`, 'waiting undefined']);
  expect(calls).toBeLessThan(30);
  isFull = false;
  await passing(pusher.flush(nobody.signal));
  expect(pusher.progress()).toEqual([]);
  expect(
    drive
      .entries(syncpoint.rootFolderId)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['new', 'old', 'other']);
});

it('a refusal that cannot be noted is not asked for again and again', async () => {
  let hasRoom = false;
  await passing(program.unlink('P/old'));
  drive.gate = (call) => {
    calls += 1;
    if (!/^(remove|delete)/.test(call)) return Promise.resolve();
    isFull = !hasRoom;
    return Promise.reject(new RemoteError('forbidden', 'not yours'));
  };
  await pass(120_000, 100);
  expect(pusher.progress()).toMatchObject([
    { state: 'retrying', trouble: { message: expect.stringContaining('ENOSPC') as string } },
  ]);
  expect(calls).toBeLessThan(30);
  [isFull, hasRoom] = [false, true];
  await pass(300_000);
  expect([...made.journal.records()]).toMatchObject([{ failed: { kind: 'forbidden' } }]);
});
