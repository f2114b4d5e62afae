// A listing that shows what another one stored under a change of ours that is closed and not sent yet: both are kept (J7).
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { FileId, RemoteSyncpoint, VersionId } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem, nobody } from '../fs-ops/support/test-file-system.ts';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let program: Program;

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  made = await TestFileSystem.start(drive);
  program = new Program(made.fileSystem);
});
afterEach(() => made.stop());

function relist(): Promise<void> {
  return made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);
}

/** The name that is not `name`, of two. */
async function otherThan(name: string): Promise<string> {
  const names = await program.readdir('P');
  expect(names).toHaveLength(2);
  return names.find((found) => found !== name) ?? '';
}

it('a stored file changed on both sides: theirs has the name and is another object, ours keeps its bytes and its inode', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a.txt', 'first');
  await program.writeFile('P/a.txt', 'ours');
  const { inode } = await program.stat('P/a.txt');
  drive.write(syncpoint.rootFolderId, 'a.txt', 'theirs');
  await relist();

  const ours = await otherThan('a.txt');
  expect(ours).toMatch(/^a \(.+'s conflicting version .+\)\.txt$/);
  expect(await program.readFile(`P/${ours}`)).toBe('ours');
  expect((await program.stat(`P/${ours}`)).inode).toBe(inode);
  expect(await program.readFile('P/a.txt')).toBe('theirs');
  expect(made.journal.get(inode)).toMatchObject({ content: true, at: undefined });
  expect(made.journal.get((await program.stat('P/a.txt')).inode)).toBeUndefined();
  expect(made.tree.conflicts()).toMatchObject([{ path: '/P/a.txt', keptAs: `/P/${ours}` }]);

  await relist();
  expect(await otherThan('a.txt')).toBe(ours);
});

it('a file of one name made on both sides: theirs has the name, ours goes on beside it', async () => {
  await program.readdir('P');
  await program.writeFile('P/new.txt', 'ours');
  drive.addFile(syncpoint.rootFolderId, 'new.txt', 'theirs');
  await relist();

  const ours = await otherThan('new.txt');
  expect(await program.readFile(`P/${ours}`)).toBe('ours');
  expect(await program.readFile('P/new.txt')).toBe('theirs');
});

it('a conflict is told until its copy is renamed or removed, also after a restart', async () => {
  for (const name of ['a.txt', 'b.txt']) {
    drive.addFile(syncpoint.rootFolderId, name, 'first');
    await program.writeFile(`P/${name}`, 'ours');
    drive.write(syncpoint.rootFolderId, name, 'theirs');
  }
  await relist();
  const copies = made.tree.conflicts().map(({ keptAs }) => keptAs.slice(1));
  expect(copies).toHaveLength(2);
  await program.rename(copies[0] ?? '', 'P/merged.txt');
  expect(made.tree.conflicts().map(({ keptAs }) => keptAs.slice(1))).toEqual([copies[1]]);
  await program.unlink(copies[1] ?? '');
  expect(made.tree.conflicts()).toEqual([]);
});

it('a file removed here that another one replaced by a new object is theirs again, and nothing is left to remove', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a.txt', 'first');
  await program.readdir('P');
  const { inode } = await program.stat('P/a.txt');
  await program.unlink('P/a.txt');
  drive.remove(syncpoint.rootFolderId, 'a.txt');
  drive.addFile(syncpoint.rootFolderId, 'a.txt', 'theirs');
  await relist();

  expect(await program.readdir('P')).toEqual(['a.txt']);
  expect(await program.readFile('P/a.txt')).toBe('theirs');
  expect(made.journal.get(inode)).toBeUndefined();
});

it('a file renamed elsewhere keeps its removal, whatever took its name', async () => {
  drive.addFile(syncpoint.rootFolderId, 'a.txt', 'first');
  await program.readdir('P');
  const { inode } = await program.stat('P/a.txt');
  await program.unlink('P/a.txt');
  drive.rename(syncpoint.rootFolderId, 'a.txt', 'b.txt');
  drive.addFile(syncpoint.rootFolderId, 'a.txt', 'theirs');
  await relist();

  expect(await program.readdir('P')).toEqual(['a.txt']);
  expect(made.journal.get(inode)?.gone).toBeDefined();
});

it('a rename that the service counts as a version is no change of the content: what is pending stays pending', async () => {
  const file = drive.addFile(syncpoint.rootFolderId, 'a.txt', 'first');
  await program.readdir('P');
  await program.rename('P/a.txt', 'P/b.txt');
  await program.writeFile('P/b.txt', 'ours');
  const { inode } = await program.stat('P/b.txt');
  const entries = drive.entries(syncpoint.rootFolderId);
  entries[0] = { ...file, name: 'b.txt', versionId: 'after the rename' as VersionId };
  await relist();

  expect(await program.readdir('P')).toEqual(['b.txt']);
  expect(await program.readFile('P/b.txt')).toBe('ours');
  expect(made.tree.conflicts()).toEqual([]);
  expect(made.journal.get(inode)).toMatchObject({ content: true, at: { name: 'b.txt' } });
});

it('the version that is known here is no change, whatever id its file has now', async () => {
  const file = drive.addFile(syncpoint.rootFolderId, 'a.txt', 'first');
  await program.readdir('P');
  await program.writeFile('P/a.txt', 'ours');
  drive.entries(syncpoint.rootFolderId)[0] = { ...file, id: 'another' as FileId };
  await relist();

  expect(await program.readdir('P')).toEqual(['a.txt']);
  expect(await program.readFile('P/a.txt')).toBe('ours');
  expect(made.tree.conflicts()).toEqual([]);
});
