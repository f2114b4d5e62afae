// Another object that has the name of a folder which is gone at the service, but not here: something of it is pending. A name is one
// object's at every moment, and what is pending comes to be stored.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { FolderId } from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: MemoryDrive;
let root: FolderId;
let former: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new MemoryDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  former = drive.addFolder(root, 'F');
  drive.addFile(former, 'a', 'base');
  drive.addFile(former, 'gone', 'base');
  written = await writtenDrive(drive);
  const { program, pusher } = written;
  for (const path of ['P', 'P/F']) await passing(program.readdir(path));
  await pusher.pause();
});
afterEach(() => written.stop());

const held = (folder = root, above = ''): string[] =>
  drive
    .entries(folder)
    .flatMap((entry) =>
      entry.kind === 'file'
        ? [`${above}${entry.name}: ${drive.content(entry.versionId).toString()}`]
        : [`${above}${entry.name}/`, ...held(entry.id, `${above}${entry.name}/`)],
    )
    .sort();

function vanish(): void {
  drive.remove(root, 'F');
  drive.dropFolder(former);
}

async function relist(name = 'P'): Promise<string[]> {
  const { made, program } = written;
  const directory = name === '' ? made.tree.root() : (made.tree.child(1, name) as TreeDirectory);
  await passing(made.listings.refresh(directory, nobody.signal));
  return passing(program.readdir(name));
}

it('a folder: the two are one, with what both have', async () => {
  const { program } = written;
  await passing(program.writeFile('P/F/a', 'ours'));
  await passing(program.mkdir('P/F/new'));
  await passing(program.writeFile('P/F/new/b', 'ours'));
  await passing(program.unlink('P/F/gone'));
  const { inode } = await passing(program.stat('P/F'));
  vanish();
  drive.addFile(drive.addFolder(root, 'F'), 'theirs', 'theirs');
  expect(await relist()).toEqual(['F']);
  expect(await passing(program.readdir('P/F'))).toEqual(['a', 'new', 'theirs']);
  expect((await passing(program.stat('P/F'))).inode).toBe(inode);
  await written.store();
  expect(held()).toEqual(['F/', 'F/a: ours', 'F/new/', 'F/new/b: ours', 'F/theirs: theirs']);
  expect(await relist()).toEqual(['F']);
});

it('a folder, and nothing of the former one is pending: it is gone with all it held', async () => {
  vanish();
  drive.addFile(drive.addFolder(root, 'F'), 'theirs', 'theirs');
  expect(await relist()).toEqual(['F']);
  expect(await passing(written.program.readdir('P/F'))).toEqual(['theirs']);
});

it('a folder that was known under another name: ours is kept beside it', async () => {
  const { program } = written;
  drive.addFile(drive.addFolder(root, 'G'), 'theirs', 'theirs');
  expect(await relist()).toEqual(['F', 'G']);
  await passing(program.writeFile('P/F/a', 'ours'));
  vanish();
  drive.rename(root, 'G', 'F');
  const names = await relist();
  expect(names).toHaveLength(2);
  expect(new Set(names).size).toBe(2);
  await written.store();
  const [first, ...rest] = held();
  expect(first).toMatch(/^F \(.*conflicting version.*\)\/$/);
  expect(rest).toEqual([`${first}a: ours`, 'F/', 'F/theirs: theirs']);
  expect(await relist()).toEqual([first?.slice(0, -1), 'F'].sort());
});

it('a file: ours is kept beside it', async () => {
  await passing(written.program.writeFile('P/F/a', 'ours'));
  vanish();
  drive.addFile(root, 'F', 'theirs');
  const names = await relist();
  expect(names).toHaveLength(2);
  expect(new Set(names).size).toBe(2);
  await written.store();
  const [first, ...rest] = held();
  expect(first).toMatch(/^F \(.*conflicting version.*\)\/$/);
  expect(rest).toEqual([`${first}a: ours`, 'F: theirs']);
});

it('a syncpoint: it has another name for as long as anything of the former one is pending', async () => {
  const { program } = written;
  await passing(program.writeFile('P/F/a', 'ours'));
  drive.syncpointList.splice(0);
  const other = drive.addSyncpoint('P');
  expect(await relist('')).toEqual(['P', `P #${other.id}`]);
});
