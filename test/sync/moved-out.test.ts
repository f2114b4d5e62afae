// What was moved out of a folder outlives that folder: others remove it before the service heard of the move.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RemoteError, type ContentStream, type FolderId } from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

/** Has a version under its syncpoint only. */
class StrictDrive extends MemoryDrive {
  override read(...[content, ...others]: Parameters<MemoryDrive['read']>): Promise<ContentStream> {
    const [home] = this.syncpointList;
    if (content.syncpointId === home?.id) return super.read(content, ...others);
    throw new RemoteError('not-found', `version ${content.versionId}: File Not Found`);
  }
}

let drive: StrictDrive;
let root: FolderId;
let other: FolderId;
let folder: FolderId;
let third: FolderId;
let inside: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new StrictDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  other = drive.addSyncpoint('Q').rootFolderId;
  folder = drive.addFolder(root, 'folder');
  third = drive.addFolder(root, 'third');
  inside = drive.addFolder(folder, 'inside');
  drive.addFile(folder, 'a', 'of the folder');
  drive.addFile(inside, 'b', 'further in');
  written = await writtenDrive(drive);
  for (const path of ['P', 'Q', 'P/folder', 'P/folder/inside', 'P/third']) await passing(written.program.readdir(path));
  await written.pusher.pause();
});
afterEach(() => written.stop());

/** Others remove the folder, with all that it holds at the service. */
function theyRemoveIt(): void {
  drive.remove(root, 'folder');
  drive.dropFolder(folder);
  drive.dropFolder(inside);
}

describe.each([{ removedHere: true }, { removedHere: false }])('where it is removed here: $removedHere', (where) => {
  async function weMayRemoveItToo(): Promise<void> {
    if (!where.removedHere) return;
    for (const name of await passing(written.program.readdir('P/folder'))) {
      if (name !== 'inside') await passing(written.program.unlink(`P/folder/${name}`));
      else {
        for (const within of await passing(written.program.readdir('P/folder/inside')))
          await passing(written.program.unlink(`P/folder/inside/${within}`));
        await passing(written.program.rmdir('P/folder/inside'));
      }
    }
    await passing(written.program.rmdir('P/folder'));
  }

  it('a file is stored anew at its new place', async () => {
    await passing(written.program.rename('P/folder/a', 'P/kept'));
    await weMayRemoveItToo();
    theyRemoveIt();
    await written.store();
    expect(heldIn(drive, root)).toEqual(['', 'kept: of the folder']);
    expect(await passing(written.program.readFile('P/kept'))).toBe('of the folder');
  });

  it('so is one that went to a third folder, before anybody looks where the gone one was', async () => {
    await passing(written.program.rename('P/folder/a', 'P/third/kept'));
    await weMayRemoveItToo();
    theyRemoveIt();
    await written.store();
    expect(heldIn(drive, third)).toEqual(['kept: of the folder']);
  });

  it('so is one of another folder within', async () => {
    await passing(written.program.rename('P/folder/inside/b', 'P/kept'));
    await weMayRemoveItToo();
    theyRemoveIt();
    await written.store();
    expect(heldIn(drive, root)).toEqual(['', 'kept: further in']);
  });

  it('so is a directory with its files', async () => {
    await passing(written.program.rename('P/folder/inside', 'P/kept'));
    await weMayRemoveItToo();
    theyRemoveIt();
    await written.store();
    const kept = drive.entries(root).find(({ name }) => name === 'kept');
    expect(kept).toMatchObject({ kind: 'folder' });
    expect(heldIn(drive, kept?.id as FolderId)).toEqual(['b: further in']);
  });

  it('so is what was moved to another syncpoint', async () => {
    await passing(written.program.rename('P/folder/a', 'Q/kept'));
    await weMayRemoveItToo();
    theyRemoveIt();
    await written.relist('P');
    await written.store();
    expect(heldIn(drive, other)).toEqual(['kept: of the folder']);
  });

  it('it is read meanwhile', async () => {
    await passing(written.program.rename('P/folder/a', 'Q/kept'));
    await weMayRemoveItToo();
    theyRemoveIt();
    await written.relist('P');
    expect(await passing(written.program.readFile('Q/kept'))).toBe('of the folder');
  });
});
