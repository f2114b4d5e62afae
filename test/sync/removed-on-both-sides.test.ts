// A folder is removed here and by others: a look into it, for what was sent there before, is an answer and no failure.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RemoteError, type FolderId } from '../../src/remote-drive.ts';
import { lookAt } from '../../src/sync/freshness.ts';
import type { Parts } from '../../src/sync/parts.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let root: FolderId;
let folder: FolderId;
let written: WrittenDrive;
let inode: number;

beforeEach(async () => {
  drive = new MemoryDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  folder = drive.addFolder(root, 'folder');
  written = await writtenDrive(drive);
  const { program, pusher } = written;
  for (const path of ['P', 'P/folder']) await passing(program.readdir(path));
  ({ inode } = await passing(program.stat('P/folder')));
  await pusher.pause();
  await passing(program.rmdir('P/folder'));
});
afterEach(() => written.stop());

function look(): Promise<boolean> {
  const { journal, listings } = written.made;
  const parts: Pick<Parts, 'journal' | 'listings' | 'nowMs'> = { journal, listings, nowMs: () => Date.now() };
  return passing(lookAt(parts as Parts, inode, 0, nobody.signal));
}

it('where it is gone at the service as well, nothing is in it', async () => {
  drive.remove(root, 'folder');
  drive.dropFolder(folder);
  expect(await look()).toBe(true);
  expect(drive.calls.at(-1)).toContain(folder);
});

it('where the service fails, so does the look', async () => {
  drive.gate = () => Promise.reject(new RemoteError('unavailable', 'away'));
  await expect(look()).rejects.toThrow('away');
});
