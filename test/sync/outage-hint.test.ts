// The service comes back while the pusher waits for its next try: whoever lists a folder shows it, and what is pending goes at once.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import type { Program } from '../fs-ops/support/program.ts';
import { nobody, type TestFileSystem } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  drive.addSyncpoint('P');
  written = await writtenDrive(drive);
  ({ made, pusher, program } = written);
});

afterEach(() => written.stop());

it('a listing that comes ends the wait', async () => {
  await passing(program.readdir('P'));
  drive.gate = () => Promise.reject(new RemoteError('unavailable', 'away'));
  for (const name of ['a', 'b', 'c', 'd']) await program.writeFile(`P/${name}`, name);
  await pass(130_000);
  drive.gate = () => Promise.resolve();
  const backAtMs = Date.now();
  await pass(2_000, 500);
  const syncpoint = made.tree.child(1, 'P') as TreeDirectory;
  // Still waiting: nobody has told that it is back.
  expect(pusher.progress()).toHaveLength(4);
  await passing(made.listings.refresh(syncpoint, nobody.signal));
  await pass(500, 100);
  expect(pusher.progress()).toHaveLength(0);
  expect(Date.now() - backAtMs).toBeLessThan(3_000);
});
