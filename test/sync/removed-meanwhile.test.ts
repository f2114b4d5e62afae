// Files removed here while a call about them is on its way, or not heard of: they stay removed, whatever listings show then.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FolderId } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { SlowDrive } from './support/slow-drive.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: SlowDrive;
let root: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new SlowDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  drive.addFile(root, 'a', 'base');
  written = await writtenDrive(drive);
  await passing(written.program.readdir('P'));
});
afterEach(() => written.stop());

it('its former version, as a listing that lags shows it, is not what others made of it', async () => {
  const { program, pusher } = written;
  let paused = Promise.resolve();
  drive.meanwhile = async () => {
    await program.unlink('P/a');
    paused = pusher.pause();
  };
  const before = [...drive.entries(root)];
  await passing(program.writeFile('P/a', 'longer than before'));
  await pass(5_000);
  await passing(paused);
  const stored = drive.entries(root).splice(0, 1, ...before);
  expect(stored).not.toEqual(before);
  expect(await written.relist('P')).toEqual([]);
  drive.entries(root).splice(0, 1, ...stored);
  await written.store();
  expect(await written.relist('P')).toEqual([]);
  expect(heldIn(drive, root)).toEqual([]);
});

it('what a move nobody heard of may have taken to a folder is removed where it is, though that folder is made anew', async () => {
  const { program, pusher } = written;
  drive.addFolder(root, 'folder');
  await written.relist('P');
  await passing(program.readdir('P/folder'));
  drive.moves = 'ignored';
  await passing(program.rename('P/a', 'P/folder/a'));
  while (!drive.calls.some((call) => call.startsWith('move'))) await pass(50, 50);
  await passing(pusher.pause());
  await passing(program.unlink('P/folder/a'));
  drive.remove(root, 'folder');
  await passing(program.writeFile('P/folder/new', 'new'));
  expect(await written.relist('P')).toEqual(['folder']);
  await written.store();
  expect(await written.relist('P')).toEqual(['folder']);
  expect(heldIn(drive, root)).toEqual(['']);
});
