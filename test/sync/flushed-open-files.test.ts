// What a flush, and a rename on a mount that writes through, makes of files that nobody has closed yet: it waits for none of them.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FolderId } from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_RDWR } from '../fs-ops/support/program.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let root: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  written = await writtenDrive(drive);
  await passing(written.program.readdir('P'));
});
afterEach(() => written.stop());

const held = (): string[] => heldIn(drive, root);

it('a new file that nothing was written to yet is stored empty', async () => {
  const { program, pusher } = written;
  const descriptor = await passing(program.open('P/log', O_CREAT | O_RDWR));
  await passing(pusher.flush(nobody.signal));
  expect(held()).toEqual(['log: ']);
  await passing(program.pwrite(descriptor, 0, 'line'));
  await passing(program.close(descriptor));
  await passing(pusher.flush(nobody.signal));
  expect(held()).toEqual(['log: line']);
});

it('a new file that its program renames before it closes it is stored under its new name', async () => {
  const { made, program, pusher } = written;
  const descriptor = await passing(program.open('P/new.tmp', O_CREAT | O_RDWR));
  await passing(program.pwrite(descriptor, 0, 'all of it'));
  await passing(program.rename('P/new.tmp', 'P/new'));
  const { inode } = await passing(program.stat('P/new'));
  // What a mount that writes through does before it answers.
  const begunMs = Date.now();
  await passing(pusher.flush(nobody.signal, [inode]));
  expect(Date.now() - begunMs).toBeLessThan(60_000);
  expect(held()).toEqual(['new: all of it']);
  await passing(program.close(descriptor));
  expect(made.journal.get(inode)?.unclosed).not.toBe(true);
});
