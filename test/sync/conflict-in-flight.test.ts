// Another one's version that a listing shows while the last request of our upload is on its way: both are kept, and all comes to rest.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { FolderId } from '../../src/remote-drive.ts';
import { isPending } from '../../src/cache/journal.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { passing } from '../crash/support/virtual-time.ts';
import type { Program } from '../fs-ops/support/program.ts';
import { nobody, type TestFileSystem } from '../fs-ops/support/test-file-system.ts';
import { SlowDrive } from './support/slow-drive.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

let drive: SlowDrive;
let root: FolderId;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new SlowDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  drive.addFile(root, 'a', 'base');
  written = await writtenDrive(drive);
  ({ made, pusher, program } = written);
});

afterEach(() => written.stop());

const held = (): string[] =>
  drive
    .entries(root)
    .map((entry) =>
      entry.kind === 'file' ? `${entry.name}: ${drive.content(entry.versionId).toString()}` : entry.name,
    )
    .sort();

it.each([true, false])('ours is stored beside it, ids told: %s', async (tellsIds) => {
  drive.tellsIds = tellsIds;
  await passing(program.readdir('P'));
  drive.meanwhile = async () => {
    drive.write(root, 'a', 'theirs');
    await made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);
  };
  await passing(program.writeFile('P/a', 'ours'));
  await passing(pusher.flush(nobody.signal));
  const [first, second, ...more] = held();
  // The writer in the window is overwritten: theirs is in the file's versions.
  expect(first).toMatch(/^a \(.*conflicting version.*\): ours$/);
  expect([second, more]).toEqual(['a: ours', []]);
  expect([...made.journal.records()].filter(isPending)).toEqual([]);
  await made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);
  const names = await program.readdir('P');
  expect(names).toHaveLength(2);
  for (const name of names) expect(await program.readFile(`P/${name}`)).toBe('ours');
});
