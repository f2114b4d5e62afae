// Both sides move the same object to the same place, or others move it to where something is stored here: its old self is itself by then,
// and is not removed.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallOptions, FolderId, RemoteFolder, SyncpointId } from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

/** May answer a folder that is there already as if it had been made. */
class WillingDrive extends MemoryDrive {
  givesWhatIsThere = false;

  override async createFolders(
    syncpoint: SyncpointId,
    parent: FolderId,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<RemoteFolder[]> {
    const there = this.entries(parent).filter(
      (entry): entry is RemoteFolder => this.givesWhatIsThere && entry.kind === 'folder' && names.includes(entry.name),
    );
    const missing = names.filter((name) => there.every((entry) => entry.name !== name));
    const made = missing.length === 0 ? [] : await super.createFolders(syncpoint, parent, missing, options);
    return [...there, ...made];
  }
}

let drive: WillingDrive;
let root: FolderId;
let folder: FolderId;
let inner: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new WillingDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  drive.addFile(root, 'a', 'content of a');
  folder = drive.addFolder(root, 'folder');
  inner = drive.addFolder(root, 'inner');
  drive.addFile(inner, 'b', 'content of b');
  drive.addFolder(inner, 'empty');
  written = await writtenDrive(drive);
  for (const path of ['P', 'P/folder', 'P/inner', 'P/inner/empty']) await passing(written.program.readdir(path));
  await written.pusher.pause();
});
afterEach(() => written.stop());

/** Others move an entry of the syncpoint into the folder. */
function theyMove(name: string): void {
  const entry = drive.entries(root).find((one) => one.name === name);
  if (entry === undefined) throw new Error(`there is no ${name}`);
  drive.remove(root, name);
  drive.entries(folder).push(entry);
}

describe.each(['work', 'unsupported', 'ignored'] as const)('where moves are: %s', (moves) => {
  beforeEach(() => {
    drive.moves = moves;
  });

  it('a file that both move is where they moved it', async () => {
    await passing(written.program.rename('P/a', 'P/folder/a'));
    theyMove('a');
    await written.store();
    expect(heldIn(drive, folder)).toEqual(['a: content of a']);
    expect(await written.relist('P/folder')).toEqual(['a']);
    expect(await written.relist('P')).toEqual(['folder', 'inner']);
  });

  it('a folder removed here that others give the name for which a file left it: the file comes there, the folder goes', async () => {
    const { program } = written;
    await passing(program.rename('P/inner/b', 'P/b'));
    await passing(program.rmdir('P/inner/empty'));
    await passing(program.rmdir('P/inner'));
    drive.rename(root, 'inner', 'b');
    await written.store();
    expect(heldIn(drive, root).sort()).toEqual(['', 'a: content of a', 'b: content of b']);
    expect(await written.relist('P')).toEqual(['a', 'b', 'folder']);
  });

  it('a file removed here and moved by others to where another one is stored does not take that along', async () => {
    await passing(written.program.unlink('P/a'));
    await passing(written.program.writeFile('P/folder/a', 'new'));
    theyMove('a');
    await written.store();
    expect(heldIn(drive, folder)).toEqual(['a: new']);
    expect(await written.relist('P/folder')).toEqual(['a']);
  });

  it.each([false, true])(
    'a folder that both move is where they moved it, with what it holds; returned: %s',
    async (returned) => {
      drive.givesWhatIsThere = returned;
      await passing(written.program.rename('P/inner', 'P/folder/inner'));
      theyMove('inner');
      await written.store();
      expect(await written.relist('P')).toEqual(['a', 'folder']);
      expect(await written.relist('P/folder')).toEqual(['inner']);
      expect(await written.relist('P/folder/inner')).toEqual(['b', 'empty']);
      expect(await passing(written.program.readFile('P/folder/inner/b'))).toBe('content of b');
      const [moved, ...more] = drive.entries(folder);
      expect(more).toEqual([]);
      expect(heldIn(drive, moved?.id as FolderId)).toContain('b: content of b');
    },
  );
});

it.each(['P/inner', 'P/inner/empty'])(
  'a folder moved to %s, which others move into that very folder, is in one made anew, with all it holds',
  async (to) => {
    await passing(written.program.rename('P/folder', `${to}/folder`));
    theyMove('inner');
    await written.store();
    expect(await written.relist('P')).toEqual(['a', 'inner']);
    await written.relist(`${to}/folder`);
    expect(await written.relist(`${to}/folder/inner`)).toEqual(['b', 'empty']);
    const names = to.split('/').slice(1);
    let at = root;
    for (const name of [...names, 'folder', 'inner'])
      at = drive.entries(at).find((entry) => entry.name === name)?.id as FolderId;
    expect(heldIn(drive, at)).toEqual(['b: content of b', '']);
    expect(drive.entries(root).map(({ name }) => name)).toEqual(['a', 'inner']);
  },
);
