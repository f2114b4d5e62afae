// A service that is blind to case, and others who give a name that differs from one given here by case alone: the two meet as one name does.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FolderId, RemoteFile } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let root: FolderId;
let folder: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  drive.ignoresCase = true;
  root = drive.addSyncpoint('P').rootFolderId;
  folder = drive.addFolder(root, 'folder');
  drive.addFile(root, 'here', 'to be moved');
  written = await writtenDrive(drive);
  for (const path of ['P', 'P/folder']) await passing(written.program.readdir(path));
  await written.pusher.pause();
});
afterEach(() => written.stop());

/** A minute and more later, when what is known of the folder is looked at again. */
async function storedLater(): Promise<string[]> {
  await written.relist('P/folder');
  await written.store();
  return heldIn(drive, folder).sort();
}

const conflict = (name: string, content: string): unknown =>
  expect.stringMatching(new RegExp(`^${name} \\(.*conflicting version.*\\): ${content}$`));

it('a new file: theirs keeps its name and content, ours is beside it', async () => {
  await passing(written.program.writeFile('P/folder/Name', 'ours'));
  drive.addFile(folder, 'name', 'theirs');
  expect(await storedLater()).toEqual([conflict('Name', 'ours'), 'name: theirs']);
});

it('a file moved there: the same, and nobody goes on trying', async () => {
  await passing(written.program.rename('P/here', 'P/folder/Name'));
  drive.addFile(folder, 'name', 'theirs');
  expect(await storedLater()).toEqual([conflict('Name', 'to be moved'), 'name: theirs']);
});

it('a file renamed in its folder: the same, for its former name is still there and tells nothing', async () => {
  drive.addFile(folder, 'former', 'to be renamed');
  await written.relist('P/folder');
  await passing(written.program.rename('P/folder/former', 'P/folder/Name'));
  drive.addFile(folder, 'name', 'theirs');
  expect(await storedLater()).toEqual([conflict('Name', 'to be renamed'), 'name: theirs']);
});

it('a new folder: the two are one, under their name', async () => {
  const { program } = written;
  await passing(program.mkdir('P/folder/Name'));
  await passing(program.writeFile('P/folder/Name/file', 'ours'));
  const theirs = drive.addFolder(folder, 'name');
  expect(await storedLater()).toEqual(['']);
  expect(heldIn(drive, theirs)).toEqual(['file: ours']);
  expect(await passing(program.readdir('P/folder'))).toEqual(['name']);
});

it('where the service has both, it tells them apart, and so does the drive', async () => {
  drive.ignoresCase = false;
  await passing(written.program.writeFile('P/folder/Name', 'ours'));
  drive.addFile(folder, 'name', 'theirs');
  drive.addFile(folder, 'Name', 'theirs too');
  expect(await storedLater()).toEqual([conflict('Name', 'ours'), 'Name: theirs too', 'name: theirs']);
});

it.each([
  ['a moment ago', 0],
  ['long ago', 300_000],
])(
  'what was stored here %s, and others rename so while the new file is sent, is not taken for a part of that',
  async (_, agoMs) => {
    drive.ignoresCase = false;
    const { program, made } = written;
    const writeAt = async (path: string, content: string): Promise<void> => {
      await passing(program.writeFile(path, content));
      await passing(program.setattr(path, { modified: { seconds: 1_500_000_000, nanoseconds: 0 } }));
    };
    await writeAt('P/folder/stored', 'first');
    await written.store();
    await pass(agoMs);
    await writeAt('P/folder/Name', 'the second one');
    const { inode } = await passing(program.stat('P/folder'));
    drive.gate = (call) => {
      const entries = drive.entries(folder);
      const at = entries.findIndex(({ name }) => name === 'stored');
      if (call.startsWith('upload') && at >= 0) {
        entries.push({ ...entries.splice(at, 1)[0], name: 'name' } as RemoteFile);
        made.tree.expireListing(inode);
      }
      return Promise.resolve();
    };
    await written.store();
    expect(await storedLater()).toEqual([conflict('Name', 'the second one'), 'name: first']);
  },
);

it('a file changed here that others remove, and whose name they give to another one in another spelling: both are kept', async () => {
  drive.addFile(folder, 'name', 'base');
  drive.addFile(folder, 'other', 'theirs');
  const directory = written.made.tree.child(written.made.tree.child(1, 'P')?.inode ?? 0, 'folder');
  if (directory?.kind !== 'directory') throw new Error('no folder');
  await passing(written.made.listings.refresh(directory, nobody.signal));
  await passing(written.program.writeFile('P/folder/name', 'ours'));
  drive.remove(folder, 'name');
  drive.rename(folder, 'other', 'Name');
  expect(await storedLater()).toEqual(['Name: theirs', conflict('name', 'ours')]);
});
