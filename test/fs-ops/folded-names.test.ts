// Which names of a directory are taken for one, followed through changes and kept within bounds.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TreeFile } from '../../src/cache/tree.ts';
import { FoldedNames } from '../../src/fs-ops/folded-names.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { Program } from './support/program.ts';
import { TestFileSystem } from './support/test-file-system.ts';

let made: TestFileSystem;
let program: Program;

beforeEach(async () => {
  const drive = new MemoryDrive();
  drive.addSyncpoint('P');
  made = await TestFileSystem.start(drive);
  program = new Program(made.fileSystem);
});

afterEach(() => made.stop());

describe('the folded names of a directory', () => {
  it('follow what is made, renamed and removed', async () => {
    const folded = new FoldedNames(made.tree);
    made.tree.onChange((change) => folded.treeChanged(change));
    const { inode } = await program.stat('P');
    expect(folded.alike(inode, 'A')).toEqual([]);
    await program.writeFile('P/a', '');
    expect(folded.alike(inode, 'A')).toEqual(['a']);
    await program.rename('P/a', 'P/b');
    expect([folded.alike(inode, 'A'), folded.alike(inode, 'B')]).toEqual([[], ['b']]);
    await program.mkdir('P/d');
    const directory = (await program.stat('P/d')).inode;
    expect(folded.alike(directory, 'x')).toEqual([]);
    await program.rename('P/b', 'P/d/b');
    expect([folded.alike(inode, 'B'), folded.alike(directory, 'B')]).toEqual([[], ['b']]);
    await program.unlink('P/d/b');
    await program.rmdir('P/d');
    expect(folded.count).toBe(0);
  });

  it('are read once for many files made in one directory, and again when too many others came between', async () => {
    const scanned: number[] = [];
    const folded = new FoldedNames({
      *children(directory) {
        scanned.push(directory);
        if (directory < 100) yield* made.tree.children(directory);
        else for (let i = 0; i < 150_000; i += 1) yield { ...some, name: `${i}`, remoteName: `${i}` };
      },
    });
    made.tree.onChange((change) => folded.treeChanged(change));
    const { inode } = await program.stat('P');
    for (let i = 0; i < 100; i += 1) {
      expect(folded.alike(inode, `FILE ${i}`)).toEqual([]);
      await program.mknod(`P/file ${i}`);
      expect(folded.alike(inode, `FILE ${i}`)).toEqual([`file ${i}`]);
    }
    const some = made.tree.node((await program.stat('P/file 1')).inode) as TreeFile;
    expect(scanned).toEqual([inode]);
    expect(folded.alike(1000, '5')).toEqual(['5']);
    expect(folded.alike(1001, '5')).toEqual(['5']);
    expect(folded.count).toBe(150_000);
    expect(folded.alike(inode, 'FILE 7')).toEqual(['file 7']);
    expect(scanned).toEqual([inode, 1000, 1001, inode]);
  });
});
