// How changes of programs are kept: what a crash takes back anyway costs no write of its own, what was acknowledged outlives the process.
import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from '../../src/cache/journal.ts';
import { LocalChanges } from '../../src/cache/local-changes.ts';
import { Tree, type StagedContent, type TreeDirectory } from '../../src/cache/tree.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let trees: Tree[];

beforeEach(() => {
  directory = temporaryDirectory();
  trees = [];
});

afterEach(async () => {
  for (const tree of trees) await tree.close();
  directory.remove();
});

function open(name: string): { readonly tree: Tree; readonly journal: Journal; readonly changes: LocalChanges } {
  const tree = Tree.open(join(directory.path, name));
  trees.push(tree);
  const journal = new Journal(tree);
  return { tree, journal, changes: new LocalChanges(journal) };
}

/** A process that is killed now, and the one after it. */
function killed(name: string, as: string): ReturnType<typeof open> {
  mkdirSync(join(directory.path, as));
  for (const file of ['data.mdb', 'log'])
    copyFileSync(join(directory.path, name, file), join(directory.path, as, file));
  return open(as);
}

const loggedBytes = (name: string): number => statSync(join(directory.path, name, 'log')).size;
const staged = (id: number): StagedContent => ({
  id,
  lengthBytes: 1,
  base: undefined,
  baseEndBytes: 0,
  extents: [],
  sha256: undefined,
});
const at = (parent: TreeDirectory, name: string): { parent: TreeDirectory; name: string; remoteName: string } => ({
  parent,
  name,
  remoteName: name,
});

describe('changes of programs', () => {
  it('write down a new file when it is closed, with all that was done to it until then', () => {
    const { tree, changes } = open('one');
    const folder = changes.makeDirectory(at(tree.root(), 'folder'), {});
    changes.createFile(at(folder, 'first'), {}, false);
    const before = loggedBytes('one');
    const file = changes.createFile(at(folder, 'second'), {}, true);
    const changed = changes.setAttributes(file, { permissions: 0o600 });
    expect(loggedBytes('one')).toBe(before);
    expect(killed('one', 'open').tree.child(folder.inode, 'second')).toBeUndefined();
    if (changed.kind !== 'file') throw new Error('not a file');
    changes.commitContent(changed, staged(1), { seconds: 5, nanoseconds: 0 });
    expect(killed('one', 'closed').tree.child(folder.inode, 'second')).toMatchObject({
      inode: file.inode,
      staged: staged(1),
      local: { permissions: 0o600, modified: { seconds: 5 } },
    });
  });

  it('write down attributes of a closed file at once', () => {
    const { tree, changes } = open('one');
    const file = changes.createFile(at(tree.root(), 'file'), {}, true);
    const closed = changes.commitContent(file, staged(1), { seconds: 5, nanoseconds: 0 });
    changes.setAttributes(closed, { modified: { seconds: 7, nanoseconds: 0 } });
    expect(killed('one', 'two').tree.child(tree.root().inode, 'file')?.local?.modified?.seconds).toBe(7);
  });

  it('leave no later change without an earlier one', () => {
    const { tree, changes } = open('one');
    const folder = changes.makeDirectory(at(tree.root(), 'folder'), {});
    const opened = changes.createFile(at(folder, 'opened'), {}, true);
    changes.beginContent(opened, 3);
    const after = killed('one', 'two');
    // The file is taken back; its bytes are found.
    expect(after.tree.child(folder.inode, 'opened')).toBeUndefined();
    expect(after.journal.unfinished()).toMatchObject([{ generation: 3, path: '/folder/opened' }]);
  });

  it('T2: never give an inode number twice, not even one that a crash took back', () => {
    const { tree, changes } = open('one');
    let last = 0;
    for (let turn = 0; turn < 600; turn += 1)
      last = changes.createFile(at(tree.root(), `file ${turn}`), {}, true).inode;
    const after = killed('one', 'two');
    expect(after.changes.createFile(at(after.tree.root(), 'another'), {}, true).inode).toBeGreaterThan(last);
  });

  it('know the names in a new folder through renames, removals and what came to nothing', () => {
    const { tree, journal, changes } = open('one');
    const folder = changes.makeDirectory(at(tree.root(), 'folder'), {});
    const file = changes.createFile(at(folder, 'a'), {}, false);
    expect(tree.child(folder.inode, 'a')?.inode).toBe(file.inode);
    const moved = changes.rename(file, at(folder, 'b'), undefined);
    expect(tree.child(folder.inode, 'a')).toBeUndefined();
    expect(tree.child(folder.inode, 'b')?.inode).toBe(file.inode);
    expect(() =>
      journal.change('local', (transaction) => {
        transaction.remove(moved);
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(tree.child(folder.inode, 'b')?.inode).toBe(file.inode);
    changes.remove(moved);
    expect(tree.child(folder.inode, 'b')).toBeUndefined();
    changes.remove(tree.node(folder.inode) ?? folder);
    expect(tree.child(folder.inode, 'b')).toBeUndefined();
  });
});

describe('the tree', () => {
  it('tells of a vault what it was told last', () => {
    const { tree } = open('one');
    const id = 'vault' as Parameters<Tree['vault']>[0];
    expect(tree.vault(id)).toBeUndefined();
    tree.putVaults([{ id, name: 'v', sizeBytes: 10, consumedBytes: 1 }]);
    expect(tree.vault(id)).toMatchObject({ consumedBytes: 1 });
    tree.putVaults([{ id, name: 'v', sizeBytes: 10, consumedBytes: 2 }]);
    expect(tree.vault(id)).toMatchObject({ consumedBytes: 2 });
  });
});
