// Files of editors and desktops that stay on this machine: nothing is kept or made at the service for their sake.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { FolderId } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let root: FolderId;
let folder: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  folder = drive.addFolder(root, 'F');
  drive.addFile(folder, 'a', 'base');
  written = await writtenDrive(drive);
  const { program } = written;
  for (const path of ['P', 'P/F']) await passing(program.readdir(path));
  await passing(program.writeFile('P/F/.DS_Store', 'of this machine'));
  await pass(5_000);
});
afterEach(() => written.stop());

it('a folder that others remove goes with what stayed here of it', async () => {
  const { made, program } = written;
  drive.remove(root, 'F');
  drive.dropFolder(folder);
  await passing(made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal));
  expect(await passing(program.readdir('P'))).toEqual([]);
  await pass(120_000);
  expect(drive.entries(root)).toEqual([]);
  expect([...made.journal.records()]).toEqual([]);
  expect(made.tree.stagedFiles()).toEqual([]);
});

it('so does a syncpoint', async () => {
  const { made, program } = written;
  drive.syncpointList.splice(0);
  await passing(made.listings.refresh(made.tree.root(), nobody.signal));
  expect(await passing(program.readdir(''))).toEqual([]);
});

it('where something else is pending in it, the folder is made anew for that, and what stayed here is still there', async () => {
  const { made, program, pusher } = written;
  await pusher.pause();
  await passing(program.writeFile('P/F/a', 'ours'));
  drive.remove(root, 'F');
  drive.dropFolder(folder);
  await passing(made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal));
  pusher.resume();
  await passing(pusher.flush(nobody.signal));
  expect(await passing(program.readdir('P/F'))).toEqual(['.DS_Store', 'a']);
  const [made2] = drive.entries(root);
  expect(made2?.kind === 'folder' && drive.entries(made2.id).map(({ name }) => name)).toEqual(['a']);
});
