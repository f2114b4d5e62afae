// The wall clock is set while something waits: what waits goes on as soon as it would have. A machine that starts without a network has a
// clock that may be hours ahead, until it gets the network and the time in one moment.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RemoteError, type FolderId, type UploadOutcome } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { enterVirtualTime, leaveVirtualTime, pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { memoryDirectory } from '../fakes/temporary-directory.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';

/** Tells no ids, so that listings have to be looked at. */
class SilentDrive extends MemoryDrive {
  override async upload(...args: Parameters<MemoryDrive['upload']>): Promise<UploadOutcome> {
    const outcome = await super.upload(...args);
    return outcome.state === 'stored' ? { ...outcome, fileId: undefined, versionId: undefined } : outcome;
  }
}

let drive: SilentDrive;
let root: FolderId;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;
let setMs: number;

/** Sets the wall clock alone. */
function setClock(byMs: number): void {
  setMs += byMs;
  vi.setSystemTime(Date.now() + byMs);
}

beforeEach(async () => {
  drive = new SilentDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  setMs = 0;
  enterVirtualTime();
  made = await TestFileSystem.start(drive, { state: memoryDirectory() });
  pusher = pusherFor(made, drive, 2, { steadyMs: () => Date.now() - setMs });
  program = new Program(made.fileSystem);
  pusher.start();
  await passing(program.readdir('P'));
});
afterEach(async () => {
  leaveVirtualTime();
  await pusher.stop();
  await made.stop();
});

it.each([-7_200_000, 7_200_000])('in an outage, which ends then, by %d ms', async (byMs) => {
  drive.gate = () => Promise.reject(new RemoteError('unavailable', 'no network'));
  for (const name of ['a', 'b', 'c', 'd']) await passing(program.writeFile(`P/${name}`, name));
  await pass(60_000);
  setClock(byMs);
  drive.gate = () => Promise.resolve();
  await pass(90_000);
  expect(
    drive
      .entries(root)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['a', 'b', 'c', 'd']);
  expect(pusher.progress()).toEqual([]);
});

it.each([-7_200_000, 7_200_000])('while what was stored is looked for, by %d ms', async (byMs) => {
  await passing(program.writeFile('P/a', 'a'));
  await pass(1_500, 500);
  setClock(byMs);
  await pass(30_000);
  expect(pusher.progress()).toEqual([]);
});
