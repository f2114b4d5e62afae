// What changes at the service while programs write here, what the kernel is told of which side's changes, and what waits for the service.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import type { TreeDirectory, TreeFile } from '../../src/cache/tree.ts';
import { RemoteError, type FileId, type RemoteSyncpoint, type VersionId } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_RDONLY, O_RDWR, Program } from './support/program.ts';
import { ROOT_NODE, type Entry, type NodeId } from '../../src/fs-ops/operations.ts';
import { TestFileSystem, nobody, type TestFileSystemOptions } from './support/test-file-system.ts';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let program: Program;

async function start(options: TestFileSystemOptions = {}): Promise<void> {
  made = await TestFileSystem.start(drive, options);
  program = new Program(made.fileSystem);
}

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await start();
  await program.readdir('P');
});

afterEach(async () => {
  expect(made.fileSystem.counts()).toEqual({ files: 0, directories: 0, nodes: 0 });
  await made.stop();
});

function relist(): Promise<void> {
  return made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);
}

function file(name: string): TreeFile {
  return made.tree.child((made.tree.child(1, 'P') as TreeDirectory).inode, name) as TreeFile;
}

/** What the pusher does when a file was stored. */
function stored(name: string): void {
  const node = file(name);
  made.journal.change('push', (transaction) => {
    transaction.put<TreeFile>({
      ...node,
      fileId: '77' as FileId,
      versionId: '78' as VersionId,
      lengthBytes: node.staged?.lengthBytes ?? 0,
    });
    transaction.dropRecord(node.inode);
  });
}

describe('a file that the service replaces while it is written here', () => {
  it('is kept twice: theirs under its name, ours beside it, and the descriptor goes on with ours', async () => {
    const descriptor = await program.open('P/a', O_RDWR);
    await program.pwrite(descriptor, 0, 'OURS');
    drive.write(syncpoint.rootFolderId, 'a', 'theirs');
    await relist();
    expect(await program.readFile('P/a')).toBe('theirs');
    expect((await program.pread(descriptor, 0, 10)).toString()).toBe('OURSt');
    await program.closeDuplicate(descriptor);
    const [, conflict = ''] = await program.readdir('P');
    expect(conflict).toMatch(/^a \(.*conflicting version.*\)$/);
    expect(await program.readFile(`P/${conflict}`)).toBe('OURSt');
    expect(made.tree.conflicts()).toMatchObject([{ path: '/P/a', keptAs: `/P/${conflict}` }]);
    await program.pwrite(descriptor, 5, '!');
    await program.close(descriptor);
    expect(await program.readFile(`P/${conflict}`)).toBe('OURSt!');
    expect(await program.readFile('P/a')).toBe('theirs');
    expect(await program.readdir('P')).toEqual(['a', conflict]);
  });

  it('and was only opened shows its old version until it is closed, and leaves nothing behind', async () => {
    const descriptor = await program.open('P/a', O_RDWR);
    drive.write(syncpoint.rootFolderId, 'a', 'theirs');
    await relist();
    expect((await program.pread(descriptor, 0, 10)).toString()).toBe('first');
    await program.close(descriptor);
    expect(await program.readdir('P')).toEqual(['a']);
    expect([...made.journal.records()]).toEqual([]);
  });

  it('and lost at the service is stored anew', async () => {
    const descriptor = await program.open('P/a', O_RDWR);
    await program.pwrite(descriptor, 0, 'F');
    drive.remove(syncpoint.rootFolderId, 'a');
    await relist();
    await program.close(descriptor);
    expect(await program.readFile('P/a')).toBe('First');
    expect(made.journal.get((await program.stat('P/a')).inode)).toMatchObject({ content: true, at: undefined });
    expect(made.tree.conflicts()).toEqual([]);
  });

  it('and whose folder went stays, and the folder with it', async () => {
    const folder = drive.addFolder(syncpoint.rootFolderId, 'd');
    drive.addFile(folder, 'b', 'x');
    await relist();
    const descriptor = await program.open('P/d/b', O_RDWR);
    await program.pwrite(descriptor, 0, 'y');
    drive.remove(syncpoint.rootFolderId, 'd');
    await relist();
    await program.pwrite(descriptor, 1, 'z');
    await program.close(descriptor);
    expect(await program.readFile('P/d/b')).toBe('yz');
    const { inode } = await program.stat('P/d/b');
    expect(made.journal.get(inode)).toMatchObject({ content: true, at: undefined });
  });

  it.each([
    ['at once', false],
    ['later', true],
  ])(
    'for the first time after others removed the folders above it, %s, is kept in folders made anew',
    async (_, later) => {
      const folder = drive.addFolder(drive.addFolder(syncpoint.rootFolderId, 'd'), 'e');
      drive.addFile(folder, 'b', 'content');
      await relist();
      const descriptor = await program.open('P/d/e/b', O_RDWR);
      await program.setattr('P/d', { permissions: 0o700 });
      drive.remove(syncpoint.rootFolderId, 'd');
      await relist();
      // What hung below the folder is swept from the tree by and by.
      while (later && made.tree.sweepOrphans());
      expect(await program.readdir('P')).toEqual(['a']);
      expect(await program.fstat(descriptor)).toMatchObject({ sizeBytes: 7, linkCount: 0 });
      await program.pwrite(descriptor, 0, 'C');
      await program.closeDuplicate(descriptor);
      expect(await program.readFile('P/d/e/b')).toBe('Content');
      expect((await program.stat('P/d')).permissions).toBe(0o700);
      const { inode } = await program.stat('P/d/e/b');
      expect(made.journal.get(inode)).toMatchObject({ content: true, at: undefined });
      while (made.tree.sweepOrphans());
      await program.pwrite(descriptor, 7, ', more');
      await program.close(descriptor);
      expect(await program.readFile('P/d/e/b')).toBe('Content, more');
      expect(await program.readdir('P/d')).toEqual(['e']);
    },
  );

  it('for the first time after others removed its folder is kept beside what has such a name in the one made here since', async () => {
    drive.addFile(drive.addFolder(syncpoint.rootFolderId, 'd'), 'b', 'content');
    await relist();
    const descriptor = await program.open('P/d/b', O_RDWR);
    drive.remove(syncpoint.rootFolderId, 'd');
    await relist();
    await program.mkdir('P/D');
    await program.writeFile('P/D/B', 'another');
    await program.pwrite(descriptor, 0, 'C');
    await program.close(descriptor);
    expect(await program.readdir('P')).toEqual(['D', 'a']);
    const [another, ours = ''] = await program.readdir('P/D');
    expect([another, await program.readFile('P/D/B')]).toEqual(['B', 'another']);
    expect(ours).toMatch(/^b \(.*conflicting version/);
    expect(await program.readFile(`P/D/${ours}`)).toBe('Content');
  });

  it('for the first time after others put a file in the place of its folder is kept beside that', async () => {
    drive.addFile(drive.addFolder(syncpoint.rootFolderId, 'd'), 'b', 'content');
    await relist();
    const descriptor = await program.open('P/d/b', O_RDWR);
    drive.remove(syncpoint.rootFolderId, 'd');
    drive.addFile(syncpoint.rootFolderId, 'd', 'theirs');
    await relist();
    await program.pwrite(descriptor, 0, 'C');
    await program.close(descriptor);
    const [, theirs, ours = ''] = await program.readdir('P');
    expect([theirs, await program.readFile('P/d')]).toEqual(['d', 'theirs']);
    expect(await program.readFile(`P/${ours}/b`)).toBe('Content');
  });

  it('for the first time after its syncpoint went says so when it is closed', async () => {
    const other = drive.addSyncpoint('Q');
    drive.addFile(other.rootFolderId, 'b', 'x');
    await made.listings.refresh(made.tree.root(), nobody.signal);
    const descriptor = await program.open('Q/b', O_RDWR);
    drive.syncpointList.splice(drive.syncpointList.indexOf(other), 1);
    await made.listings.refresh(made.tree.root(), nobody.signal);
    expect(await program.readdir('')).toEqual(['P']);
    await program.pwrite(descriptor, 0, 'y');
    await expect(program.close(descriptor)).rejects.toMatchObject({ errno: errno.ESTALE });
    expect(made.failures).toContainEqual(expect.stringContaining('gone'));
  });
});

describe('a directory that others move elsewhere while it is looked at for a program, and the service goes away', () => {
  const attempts: [string, (top: NodeId, node: NodeId) => Promise<unknown>][] = [
    ['create', async (_, node) => made.fileSystem.create(node, 'new', 0o644, O_RDWR, nobody)],
    ['mknod', async (_, node) => made.fileSystem.makeFile(node, 'new', 0o644, nobody)],
    ['mkdir', async (_, node) => made.fileSystem.makeDirectory(node, 'new', 0o755, nobody)],
    ['unlink', async (_, node) => made.fileSystem.unlink(node, 'b', nobody)],
    [
      'rename',
      async (top, node) => {
        const flags = { noReplace: false, exchange: false };
        await made.fileSystem.rename({ parent: top, name: 'a' }, { parent: node, name: 'a' }, flags, nobody);
      },
    ],
  ];

  it.each(attempts)('is gone for %s, of which nothing is left', async (_, attempt) => {
    const { fileSystem, tree } = made;
    const folder = drive.addFolder(syncpoint.rootFolderId, 'd');
    const other = drive.addFolder(syncpoint.rootFolderId, 'other');
    drive.addFile(folder, 'b', 'content');
    await relist();
    await program.readdir('P/d');
    made.tree.expireListing((await program.stat('P/d')).inode);
    const top = (await fileSystem.lookup(ROOT_NODE, 'P', nobody)) as Entry;
    const { node } = (await fileSystem.lookup(top.node, 'd', nobody)) as Entry;
    const entries = drive.entries(syncpoint.rootFolderId);
    drive.gate = async (call) => {
      const at = entries.findIndex(({ name }) => name === 'd');
      if (call !== `list ${folder}` || at < 0) return;
      drive.entries(other).push(...entries.splice(at, 1));
      await relist();
      throw new RemoteError('unavailable', 'the service went away');
    };
    await expect(attempt(top.node, node)).rejects.toMatchObject({ errno: errno.ENOENT });
    expect(drive.entries(other).map(({ name }) => name)).toEqual(['d']);
    expect([...made.journal.records()]).toEqual([]);
    expect([...tree.children((tree.child(1, 'P') as TreeDirectory).inode)].map(({ name }) => name)).toEqual([
      'a',
      'other',
    ]);
    fileSystem.forget(node, 1);
    fileSystem.forget(top.node, 1);
  });
});

describe('what was changed here', () => {
  it('does not come back with a listing of what the service still has', async () => {
    drive.addFolder(syncpoint.rootFolderId, 'd');
    drive.addFile(syncpoint.rootFolderId, 'b', 'second');
    await relist();
    await program.unlink('P/b');
    await program.mkdir('P/new');
    await program.rename('P/d', 'P/new/d');
    await program.rename('P/a', 'P/new/a');
    await relist();
    await relist();
    expect(await program.readdir('P')).toEqual(['new']);
    expect(await program.readdir('P/new')).toEqual(['a', 'd']);
    expect(await program.readFile('P/new/a')).toBe('first');
  });

  it('is no news to the kernel, nor is that it was stored', async () => {
    made.kernel.length = 0;
    await program.writeFile('P/b', 'mine');
    const reader = await program.open('P/b', O_RDONLY);
    await program.mkdir('P/d');
    await program.rename('P/b', 'P/c');
    await program.unlink('P/a');
    stored('c');
    expect((await program.pread(reader, 0, 10)).toString()).toBe('mine');
    await program.close(reader);
    expect(made.kernel).toEqual([]);
    expect(await program.xattr('P/c', 'file_id')).toBe('77');
    expect(await program.xattr('P/c', 'state')).toBe('stored');
  });

  it('keeps the kernel’s pages when it was stored', async () => {
    await program.writeFile('P/b', 'mine');
    const { node } = await made.fileSystem.lookup((await made.fileSystem.lookup(1, 'P', nobody)).node, 'b', nobody);
    const first = made.fileSystem.open(node, O_RDONLY, nobody);
    stored('b');
    const second = made.fileSystem.open(node, O_RDONLY, nobody);
    expect([first.keepCache, second.keepCache]).toEqual([false, true]);
    made.fileSystem.release(first.handle);
    made.fileSystem.release(second.handle);
    made.fileSystem.forget(node, 1);
    made.fileSystem.forget((await made.fileSystem.lookup(1, 'P', nobody)).node, 2);
  });

  it('tells its state as an attribute, and ids only where there are any', async () => {
    const sending = new Set<number>();
    await made.stop();
    await start({
      storing: { nudge: () => undefined, settled: () => Promise.resolve(), sending: (inode) => sending.has(inode) },
    });
    await program.writeFile('P/b', 'mine');
    expect(await program.xattr('P/b', 'state')).toBe('pending');
    await expect(program.xattr('P/b', 'file_id')).rejects.toMatchObject({ errno: errno.ENODATA });
    const { inode } = await program.stat('P/b');
    sending.add(inode);
    expect(await program.xattr('P/b', 'state')).toBe('sending');
    sending.clear();
    made.journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record !== undefined)
        transaction.updateRecord({ ...record, failed: { kind: 'forbidden', message: 'no', sinceMs: 0 } });
    });
    expect(await program.xattr('P/b', 'state')).toBe('failed');
    expect(await program.xattr('P/a', 'state')).toBe('stored');
    const descriptor = await program.open('P/a', O_RDWR);
    await program.pwrite(descriptor, 0, 'x');
    expect(await program.xattr('P/a', 'state')).toBe('pending');
    await program.close(descriptor);
  });
});

describe('files that stay open', () => {
  it('are named as unfinished soon, and only then', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const quick = await program.open('P/quick', O_RDWR | O_CREAT);
      await program.pwrite(quick, 0, 'x');
      await program.close(quick);
      const slow = await program.open('P/slow', O_RDWR | O_CREAT);
      await program.pwrite(slow, 0, 'x');
      expect(made.tree.unfinished()).toEqual([]);
      vi.advanceTimersByTime(1000);
      expect(made.tree.unfinished()).toMatchObject([{ path: '/P/slow', abandoned: false }]);
      const unlinked = await program.open('P/unlinked', O_RDWR | O_CREAT);
      await program.pwrite(unlinked, 0, 'x');
      await program.unlink('P/unlinked');
      vi.advanceTimersByTime(1000);
      expect(made.tree.unfinished()).toHaveLength(1);
      await program.unlink('P/slow');
      expect(made.tree.unfinished()).toEqual([]);
      await program.close(slow);
      await program.close(unlinked);
    } finally {
      vi.useRealTimers();
    }
  });

  it('are committed when that is asked for, if they have changed for so long', async () => {
    let clockMs = 1_000_000;
    await made.stop();
    await start({ nowMs: () => clockMs });
    const descriptor = await program.open('P/a', O_RDWR);
    await program.pwrite(descriptor, 0, 'x');
    made.fileSystem.commitOpenFiles(1000);
    expect([...made.journal.records()]).toEqual([]);
    clockMs += 1000;
    made.fileSystem.commitOpenFiles(1000);
    expect(file('a').staged).toBeDefined();
    await program.pwrite(descriptor, 1, 'y');
    made.fileSystem.commitOpenFiles(0);
    expect(made.journal.isOpenForWriting(file('a').inode)).toBe(true);
    await program.close(descriptor);
    expect(made.journal.isOpenForWriting(file('a').inode)).toBe(false);
    expect(await program.readFile('P/a')).toBe('xyrst');
  });
});

describe('with --write-through', () => {
  it('close, mkdir, unlink, rmdir, rename and truncate answer when the service has it', async () => {
    const settled: (readonly number[])[] = [];
    await made.stop();
    await start({
      writeThrough: true,
      storing: {
        nudge: () => undefined,
        settled: (inodes) => Promise.resolve(settled.push(inodes)).then(() => undefined),
      },
    });
    await program.writeFile('P/b', 'x');
    const { inode } = await program.stat('P/b');
    expect(settled.splice(0)).toEqual([[inode]]);
    await program.setattr('P/b', { sizeBytes: 9 });
    expect(settled.splice(0)).toEqual([[inode]]);
    const replaced = await program.stat('P/a');
    await program.rename('P/b', 'P/a');
    expect(settled.splice(0)).toEqual([[inode, replaced.inode]]);
    await program.unlink('P/a');
    expect(settled.splice(0)).toEqual([[inode]]);
    await program.mkdir('P/d');
    const directory = await program.stat('P/d');
    await program.rmdir('P/d');
    expect(settled.splice(0)).toEqual([[directory.inode], [directory.inode]]);
  });

  it('they fail as the service refuses it', async () => {
    await made.stop();
    await start({
      writeThrough: true,
      storing: { nudge: () => undefined, settled: () => Promise.reject(new RemoteError('quota', 'full')) },
    });
    await expect(program.writeFile('P/b', 'x')).rejects.toMatchObject({ errno: errno.EDQUOT });
    await expect(program.mkdir('P/d')).rejects.toMatchObject({ errno: errno.EDQUOT });
    expect(made.failures).toContainEqual(expect.stringContaining('full'));
  });
});
