// Programs here and others at the service change the same: what one side left and nobody gave up is there in the end, once.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { FolderId } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_WRONLY } from '../fs-ops/support/program.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let root: FolderId;
let other: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  other = drive.addSyncpoint('Q').rootFolderId;
  drive.addFile(root, 'a', 'of P');
  drive.addFile(other, 'a', 'of Q');
  written = await writtenDrive(drive);
  for (const path of ['P', 'Q']) await passing(written.program.readdir(path));
  await written.pusher.pause();
});
afterEach(() => written.stop());

it('a file comes from another syncpoint in place of one that others changed: theirs has the name, ours is beside it', async () => {
  await passing(written.program.rename('Q/a', 'P/a'));
  drive.write(root, 'a', 'theirs');
  await written.store();
  expect(heldIn(drive, root).sort()).toEqual([
    expect.stringMatching(/^a \(.*conflicting version.*\): of Q$/),
    'a: theirs',
  ]);
  expect(heldIn(drive, other)).toEqual([]);
  const [theirs = '', ours = ''] = await written.relist('P');
  expect(await passing(written.program.readFile(`P/${theirs}`))).toBe('theirs');
  expect(await passing(written.program.readFile(`P/${ours}`))).toBe('of Q');
});

it('an empty folder removed here that others put something into is back, and what is in it stays', async () => {
  const { program, pusher } = written;
  const folder = drive.addFolder(root, 'folder');
  await written.relist('P');
  await passing(program.readdir('P/folder'));
  await passing(program.rmdir('P/folder'));
  drive.addFile(folder, 'theirs', 'not seen here');
  await written.store();
  await pusher.pause();
  await passing(program.writeFile('P/folder/ours', 'made in it'));
  await written.relist('P');
  expect(await passing(program.readdir('P/folder'))).toEqual(['ours', 'theirs']);
  await written.store();
  expect(heldIn(drive, folder).sort()).toEqual(['ours: made in it', 'theirs: not seen here']);
});

it('a file renamed here that others remove is gone, and nobody goes on asking for its move', async () => {
  const { program, pusher } = written;
  const folder = drive.addFolder(root, 'folder');
  drive.addFile(folder, 'b', 'theirs alone');
  await written.relist('P');
  await passing(program.readdir('P/folder'));
  await passing(program.rename('P/folder/b', 'P/b'));
  drive.remove(folder, 'b');
  pusher.resume();
  await pass(70_000);
  const begunMs = Date.now();
  await written.store();
  expect(Date.now() - begunMs).toBeLessThan(180_000);
  expect(await written.relist('P')).toEqual(['a', 'folder']);
});

it('a directory moved into a folder that others remove is in the one made anew, with all it holds, and nowhere else', async () => {
  const { program } = written;
  const target = drive.addFolder(root, 'target');
  const source = drive.addFolder(root, 'source');
  const moved = drive.addFolder(source, 'moved');
  drive.addFile(moved, 'inside', 'stays in it');
  drive.addFile(moved, 'out', 'taken out of it');
  await written.relist('P');
  for (const path of ['P/target', 'P/source', 'P/source/moved']) await passing(program.readdir(path));
  await passing(program.rename('P/source/moved/out', 'P/target/out'));
  await passing(program.rename('P/source/moved', 'P/target/moved'));
  drive.remove(root, 'target');
  drive.dropFolder(target);
  await written.relist('P');
  await written.store();
  expect(heldIn(drive, source)).toEqual([]);
  expect(await written.relist('P/target')).toEqual(['moved', 'out']);
  expect(await passing(program.readFile('P/target/moved/inside'))).toBe('stays in it');
  expect(await passing(program.readFile('P/target/out'))).toBe('taken out of it');
  expect(heldIn(drive, moved)).toEqual(['inside: stays in it']);
});

it('a file renamed and written to here, whose new name others gave to a folder: it is beside that, and not where it was', async () => {
  const { program } = written;
  const folder = drive.addFolder(root, 'folder');
  await written.relist('P');
  await passing(program.readdir('P/folder'));
  await passing(program.rename('P/a', 'P/folder/name'));
  await passing(program.writeFile('P/folder/name', 'written since'));
  drive.addFolder(folder, 'name');
  await written.store();
  expect(heldIn(drive, root)).toEqual(['']);
  expect(heldIn(drive, folder).sort()).toEqual([
    '',
    expect.stringMatching(/^name \(.*conflicting version.*\): written since$/),
  ]);
  expect(await written.relist('P')).toEqual(['folder']);
});

it('a file made here goes into one that others gave its name, and that is then moved here: both are kept', async () => {
  const { program } = written;
  const folder = drive.addFolder(root, 'folder');
  await written.relist('P');
  await passing(program.readdir('P/folder'));
  await passing(program.writeFile('P/b', 'made here'));
  drive.rename(root, 'a', 'b');
  await written.store();
  await passing(program.rename('P/a', 'P/folder/a'));
  await written.store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'b: made here']);
  expect(heldIn(drive, folder)).toEqual(['a: of P']);
  expect(drive.calls.filter((call) => call === 'moveSeen file false')).toEqual([]);
});

it('a file exchanged here that others change, where the service moves nothing: theirs has the name, and ours is beside it', async () => {
  const { program } = written;
  drive.moves = 'ignored';
  const folder = drive.addFolder(root, 'folder');
  drive.addFile(folder, 'a', 'of the folder');
  await written.relist('P');
  await passing(program.readdir('P/folder'));
  await passing(program.rename('P/a', 'P/folder/a', { exchange: true }));
  drive.write(root, 'a', 'theirs');
  await written.store();
  expect(heldIn(drive, root).sort()).toEqual([
    '',
    expect.stringMatching(/^a \(.*conflicting version.*\): of the folder$/),
    'a: theirs',
  ]);
  expect(heldIn(drive, folder)).toEqual(['a: of P']);
});

it('a file made here takes the name of one that is renamed and written to here, and others change that and take its new name: all are kept', async () => {
  const { program } = written;
  await passing(program.writeFile('P/b', 'made here'));
  await passing(program.rename('P/a', 'P/b', { exchange: true }));
  await passing(program.writeFile('P/b', 'written here'));
  drive.write(root, 'a', 'theirs');
  drive.addFile(root, 'b', 'theirs too');
  await written.store();
  expect(heldIn(drive, root).sort()).toEqual([
    expect.stringMatching(/^a \(.*conflicting version.*\): made here$/),
    'a: theirs',
    expect.stringMatching(/^b \(.*conflicting version.*\): written here$/),
    'b: theirs too',
  ]);
});

it('a file just stored gets the name that another one is made under here: both are kept', async () => {
  const { program, pusher } = written;
  await passing(program.writeFile('P/a', 'stored'));
  await written.store();
  await pusher.pause();
  await passing(program.writeFile('P/b', 'made here'));
  drive.rename(root, 'a', 'b');
  await written.relist('P');
  await written.store();
  expect(heldIn(drive, root).sort()).toEqual([
    expect.stringMatching(/^b \(.*conflicting version.*\): made here$/),
    'b: stored',
  ]);
});

it.each([
  ['P/folder', true],
  ['P/folder/below', true],
  ['P/folder', false],
  ['P/folder/below', false],
])(
  'what is written in %s to files that are open stays when others remove P/folder; before that, too: %s',
  async (path, begins) => {
    const { program } = written;
    const top = drive.addFolder(root, 'folder');
    const folder = path === 'P/folder' ? top : drive.addFolder(top, 'below');
    drive.addFile(folder, 'log', 'begun, ');
    await written.relist('P');
    for (const each of new Set(['P/folder', path])) await passing(program.readdir(each));
    const log = await passing(program.open(`${path}/log`, O_WRONLY));
    if (begins) await passing(program.pwrite(log, 7, 'goes on, '));
    drive.remove(root, 'folder');
    for (const gone of [top, folder]) drive.dropFolder(gone);
    await written.relist('P');
    if (!begins) await pass(60_000);
    if (!begins) await passing(program.pwrite(log, 7, 'goes on, '));
    await passing(program.pwrite(log, 16, 'ends'));
    await passing(program.close(log));
    await written.store();
    expect(await written.relist(path)).toEqual(['log']);
    expect(await passing(program.readFile(`${path}/log`))).toBe('begun, goes on, ends');
    const { inode } = await passing(program.stat(path));
    const stored = written.made.tree.node(inode) as TreeDirectory;
    expect(heldIn(drive, stored.remote?.folderId ?? root)).toEqual(['log: begun, goes on, ends']);
  },
);
