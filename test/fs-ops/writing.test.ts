import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import type { RemoteSyncpoint } from '../../src/remote-drive.ts';
import { ROOT_NODE } from '../../src/fs-ops/operations.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, Program } from './support/program.ts';
import { TestFileSystem, nobody, type TestFileSystemOptions } from './support/test-file-system.ts';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let program: Program;
let clockMs: number;

async function start(options: TestFileSystemOptions = {}): Promise<void> {
  made = await TestFileSystem.start(drive, { nowMs: () => clockMs, ...options });
  program = new Program(made.fileSystem);
}

async function restart(options: TestFileSystemOptions = {}): Promise<void> {
  await made.stop(true);
  await start({ ...options, state: made.state });
}

beforeEach(async () => {
  clockMs = Date.now();
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  await start();
});

afterEach(async () => {
  expect(made.fileSystem.counts()).toEqual({ files: 0, directories: 0, nodes: 0 });
  await made.stop();
});

/** The state of a file in the journal. */
async function record(path: string): Promise<unknown> {
  const { inode } = await program.stat(path);
  return made.journal.get(inode);
}

async function fails(work: Promise<unknown>, number: number): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: 'FsError', errno: number });
}

describe('files', () => {
  it('are made, written, read back and kept over a restart', async () => {
    await program.writeFile('P/a', 'hello');
    expect(await program.readFile('P/a')).toBe('hello');
    expect(await program.stat('P/a')).toMatchObject({ sizeBytes: 5, permissions: 0o644, uid: 7, gid: 8, linkCount: 1 });
    expect(await record('P/a')).toMatchObject({ content: true, unclosed: false, at: undefined });
    const { inode } = await program.stat('P/a');
    await restart();
    expect(await program.readFile('P/a')).toBe('hello');
    expect((await program.stat('P/a')).inode).toBe(inode);
  });

  it('show what was written before it is closed, through every descriptor', async () => {
    const writer = await program.open('P/a', O_WRONLY | O_CREAT);
    const reader = await program.open('P/a', O_RDONLY);
    await program.pwrite(writer, 3, 'xyz');
    expect((await program.pread(reader, 0, 100)).toString('latin1')).toBe('\0\0\0xyz');
    expect((await program.stat('P/a')).sizeBytes).toBe(6);
    expect(await record('P/a')).toMatchObject({ unclosed: true });
    await program.close(reader);
    await program.close(writer);
    expect(await record('P/a')).toMatchObject({ unclosed: false });
  });

  it('hold back who writes faster than their bytes are hashed, and nobody else', async () => {
    let catchUp: () => void = () => undefined;
    await made.stop();
    await start({ keptUp: () => new Promise((resolve) => (catchUp = resolve)) });
    const writer = await program.open('P/a', O_WRONLY | O_CREAT);
    let isAnswered = false;
    const written = program.pwrite(writer, 0, 'xyz').then(() => (isAnswered = true));
    const reader = await program.open('P/a', O_RDONLY);
    expect((await program.pread(reader, 0, 100)).toString()).toBe('xyz');
    expect(isAnswered).toBe(false);
    catchUp();
    await written;
    await program.close(reader);
    await program.close(writer);
  });

  it('that nobody wrote to are complete when the one that made them is closed', async () => {
    const maker = await program.open('P/a', O_RDONLY | O_CREAT);
    expect(await record('P/a')).toMatchObject({ unclosed: true, content: true });
    await program.close(maker);
    expect(await record('P/a')).toMatchObject({ unclosed: false, content: true });
    await program.mknod('P/b');
    expect(await record('P/b')).toMatchObject({ unclosed: false, content: true });
  });

  it('are committed by each close of a duplicate, and by nothing in between', async () => {
    const descriptor = await program.open('P/a', O_RDWR | O_CREAT);
    await program.pwrite(descriptor, 0, 'one');
    await program.closeDuplicate(descriptor);
    const first = await record('P/a');
    await program.closeDuplicate(descriptor);
    expect(await record('P/a')).toBe(first);
    await program.pwrite(descriptor, 3, 'two');
    expect(await record('P/a')).toBe(first);
    expect(await program.xattr('P/a', 'state')).toBe('pending');
    await program.close(descriptor);
    expect(await program.readFile('P/a')).toBe('onetwo');
    await restart();
    expect(await program.readFile('P/a')).toBe('onetwo');
  });

  it('keep what came after the last close, through a mapping', async () => {
    const descriptor = await program.open('P/a', O_RDWR | O_CREAT);
    const second = await program.open('P/a', O_RDWR);
    await program.closeDuplicate(descriptor);
    await program.pwrite(descriptor, 0, 'late');
    // RELEASE without FLUSH.
    program.unmap(descriptor);
    program.unmap(second);
    await restart();
    expect(await program.readFile('P/a')).toBe('late');
  });

  it('of the service are changed in place, without a call for what is overwritten', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', '0123456789');
    await program.stat('P/a');
    drive.calls.length = 0;
    await program.writeFile('P/a', 'entirely new');
    expect(drive.calls).toEqual([]);
    expect(await program.readFile('P/a')).toBe('entirely new');
    drive.addFile(syncpoint.rootFolderId, 'b', '0123456789');
    await made.listings.refresh(made.tree.child(1, 'P') as never, nobody.signal);
    const descriptor = await program.open('P/b', O_RDWR);
    await program.pwrite(descriptor, 4, 'xx');
    expect((await program.pread(descriptor, 0, 100)).toString()).toBe('0123xx6789');
    await program.close(descriptor);
    expect(await program.readFile('P/b')).toBe('0123xx6789');
    expect(await record('P/b')).toMatchObject({ content: true, at: { name: 'b' } });
  });

  it('are cut and grown, with and without a descriptor, open and closed', async () => {
    await program.writeFile('P/a', 'hello world');
    await program.setattr('P/a', { sizeBytes: 5 });
    expect(await program.readFile('P/a')).toBe('hello');
    await program.setattr('P/a', { sizeBytes: 7 });
    expect(await program.readFile('P/a')).toBe('hello\0\0');
    const descriptor = await program.open('P/a', O_RDWR);
    expect((await program.ftruncate(descriptor, 2)).sizeBytes).toBe(2);
    await program.setattr('P/a', { sizeBytes: 4 });
    expect((await program.pread(descriptor, 0, 100)).toString()).toBe('he\0\0');
    await program.close(descriptor);
    const emptied = await program.open('P/a', O_WRONLY | O_TRUNC);
    expect((await program.fstat(emptied)).sizeBytes).toBe(0);
    await program.close(emptied);
    await restart();
    expect(await program.readFile('P/a')).toBe('');
  });

  it('that are open are read, written and shown after they were unlinked, and leave nothing behind', async () => {
    await program.writeFile('P/a', 'hello');
    const descriptor = await program.open('P/a', O_RDWR);
    await program.pwrite(descriptor, 5, ' world');
    await program.unlink('P/a');
    await fails(program.stat('P/a'), errno.ENOENT);
    expect(await program.fstat(descriptor)).toMatchObject({ linkCount: 0, sizeBytes: 11 });
    await program.pwrite(descriptor, 0, 'J');
    expect((await program.pread(descriptor, 0, 100)).toString()).toBe('Jello world');
    expect((await program.fsetattr(descriptor, { permissions: 0o600 })).permissions).toBe(0o600);
    await program.fsync(descriptor);
    expect([...made.journal.records()]).toEqual([]);
    await program.close(descriptor);
    await made.staging.idle();
    expect(made.staging.statistics().files).toBe(0);
    expect(made.tree.unfinished()).toEqual([]);
  });

  it('go on when another one is renamed over them', async () => {
    await program.writeFile('P/old', 'old');
    await program.writeFile('P/new', 'new');
    const { inode } = await program.stat('P/new');
    const descriptor = await program.open('P/old', O_RDWR);
    await program.rename('P/new', 'P/old');
    expect(await program.readFile('P/old')).toBe('new');
    expect((await program.stat('P/old')).inode).toBe(inode);
    expect((await program.pread(descriptor, 0, 10)).toString()).toBe('old');
    expect((await program.fstat(descriptor)).linkCount).toBe(0);
    await program.close(descriptor);
    expect(await program.readdir('P')).toEqual(['old']);
  });

  it('are written to while they, and directories above them, are renamed', async () => {
    await program.mkdir('P/d');
    const descriptor = await program.open('P/d/a', O_RDWR | O_CREAT);
    await program.pwrite(descriptor, 0, 'one');
    await program.rename('P/d/a', 'P/d/b');
    await program.rename('P/d', 'P/e');
    await program.pwrite(descriptor, 3, 'two');
    await program.close(descriptor);
    expect(await program.readFile('P/e/b')).toBe('onetwo');
  });

  it('give no name twice, and none that Syncplicity takes for another', async () => {
    drive.addFile(syncpoint.rootFolderId, 'Straße.txt', '');
    await program.writeFile('P/README', 'x');
    await fails(program.open('P/README', O_WRONLY | O_CREAT | O_EXCL), errno.EEXIST);
    for (const name of ['readme', 'STRASSE.TXT', 'STRASSE.txt'.normalize('NFD')]) {
      await fails(program.open(`P/${name}`, O_WRONLY | O_CREAT), errno.EEXIST);
      await fails(program.mkdir(`P/${name}`), errno.EEXIST);
      await fails(program.mknod(`P/${name}`), errno.EEXIST);
    }
    await program.rename('P/README', 'P/Readme');
    expect(await program.readdir('P')).toEqual(['Readme', 'Straße.txt']);
    await program.writeFile('P/o', '');
    await fails(program.rename('P/o', 'P/rEADME'), errno.EEXIST);
    await program.unlink('P/Readme');
    await program.rename('P/o', 'P/rEADME');
  });

  it('lists a directory that is held and was removed here as empty, asking nobody', async () => {
    await program.mkdir('P/d');
    const top = await made.fileSystem.lookup(ROOT_NODE, 'P', nobody);
    const held = await made.fileSystem.lookup(top.node, 'd', nobody);
    await program.rmdir('P/d');
    clockMs += 3_600_000;
    const calls = drive.calls.length;
    const { handle } = await made.fileSystem.openDirectory(held.node, nobody);
    const rows: string[] = [];
    await made.fileSystem.readDirectory(held.node, handle, 0, true, (row) => rows.push(row.name) > 0, nobody);
    expect({ rows, calls: drive.calls.length - calls }).toEqual({ rows: [], calls: 0 });
    made.fileSystem.releaseDirectory(handle);
    made.fileSystem.forget(held.node, 1);
    made.fileSystem.forget(top.node, 1);
  });
});
