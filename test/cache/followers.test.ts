// Whoever follows the tree may fail, on a full disk for example: the change was made all the same, and the journal knows it.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem } from '../fs-ops/support/test-file-system.ts';

let made: TestFileSystem;
let program: Program;

beforeEach(async () => {
  const drive = new MemoryDrive();
  drive.addSyncpoint('P');
  made = await TestFileSystem.start(drive);
  program = new Program(made.fileSystem);
  await program.readdir('P');
});
afterEach(() => made.stop());

it('a follower of changes that fails', async () => {
  const heard: string[] = [];
  made.tree.onChange(() => {
    throw new Error('the disk is full');
  });
  made.tree.onChange((change) => heard.push(change.kind));
  await program.mkdir('P/new');
  expect(await program.readdir('P')).toEqual(['new']);
  expect([...made.journal.records()]).toEqual([...made.tree.pendingRecords()]);
  expect([...made.journal.records()]).toHaveLength(1);
  expect(heard).toContain('added');
});

it('a follower of released content that fails', async () => {
  made.tree.onReleased(() => {
    throw new Error('the disk is full');
  });
  await program.writeFile('P/new', 'content');
  await program.unlink('P/new');
  expect(await program.readdir('P')).toEqual([]);
  expect([...made.journal.records()]).toEqual([]);
});
