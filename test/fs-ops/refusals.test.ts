// Every errno of the writing verbs, and that a refused verb has changed nothing.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import { LocalChanges } from '../../src/cache/local-changes.ts';
import type { TreeFile } from '../../src/cache/tree.ts';
import { RemoteError, type FolderId, type RemoteSyncpoint, type VaultId } from '../../src/remote-drive.ts';
import { ROOT_NODE } from '../../src/fs-ops/operations.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, Program } from './support/program.ts';
import { TestFileSystem, nobody, type TestFileSystemOptions } from './support/test-file-system.ts';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let folder: FolderId;
let made: TestFileSystem;
let program: Program;

async function start(options: TestFileSystemOptions = {}): Promise<void> {
  made = await TestFileSystem.start(drive, options);
  program = new Program(made.fileSystem);
}

async function again(options: TestFileSystemOptions): Promise<void> {
  await made.stop();
  await start(options);
}

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  drive.addFile(syncpoint.rootFolderId, 'file', 'content');
  folder = drive.addFolder(syncpoint.rootFolderId, 'folder');
  drive.addFile(folder, 'deep', 'deep');
  const shared = drive.addSyncpoint('R', { permission: 'read-only' });
  drive.addFile(shared.rootFolderId, 'file', 'theirs');
  drive.addFolder(shared.rootFolderId, 'folder');
  await start();
});

afterEach(async () => {
  expect(made.fileSystem.counts()).toEqual({ files: 0, directories: 0, nodes: 0 });
  await made.stop();
});

async function fails(number: number, work: Promise<unknown>): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: 'FsError', errno: number });
}

describe('what cannot be written', () => {
  it('is EROFS on a read-only mount', async () => {
    await again({ readOnly: true });
    for (const work of changes('P')) await fails(errno.EROFS, work());
    await fails(errno.EROFS, program.mkdir('new'));
    expect(await program.readFile('P/file')).toBe('content');
  });

  it('is EACCES where the user may only read, with the reason', async () => {
    for (const work of changes('R')) await fails(errno.EACCES, work());
    await fails(errno.EACCES, program.rename('P/file', 'R/new'));
    await fails(errno.EACCES, program.rename('R/file', 'P/new'));
    expect(await program.stat('R/file')).toMatchObject({ permissions: 0o444 });
    expect(await program.stat('R/folder')).toMatchObject({ permissions: 0o555 });
    expect(made.failures).toContainEqual(expect.stringContaining('you may only read /R'));
    expect([...made.journal.records()]).toEqual([]);
  });

  it('is EPERM at the top level, where the syncpoints are', async () => {
    await fails(errno.EPERM, program.mkdir('new'));
    await fails(errno.EPERM, program.open('new', O_WRONLY | O_CREAT));
    await fails(errno.EPERM, program.mknod('new'));
    await fails(errno.EPERM, program.rmdir('P'));
    await fails(errno.EPERM, program.rename('P', 'Q'));
    await fails(errno.EPERM, program.rename('P/file', 'file'));
    await fails(errno.EPERM, program.rename('P', 'P/folder/P'));
    await fails(errno.EPERM, program.setattr('', { permissions: 0o700 }));
    expect([...made.journal.records()]).toEqual([]);
  });

  it("is EPERM for a desktop's trash at the top of a folder that is mounted alone, and below as anywhere", async () => {
    const rootInode = (await program.stat('P')).inode;
    await made.stop(true);
    await start({ rootInode, state: made.state });
    for (const name of ['.Trash', '.Trash-1000']) {
      await fails(errno.EPERM, program.mkdir(name));
      await program.mkdir(`folder/${name}`);
    }
    expect(await program.readdir('')).toEqual(['file', 'folder']);
  });

  it('is EDQUOT where the vault told that it has no room, with the reason; what fits is taken', async () => {
    drive.vaultList.splice(0, 1, { id: 'vault-1' as VaultId, name: 'Small', sizeBytes: 1_000, consumedBytes: 400 });
    await program.stat('P/file');
    made.listings.refreshVaults(true);
    await expect.poll(() => made.fileSystem.capacity(ROOT_NODE).freeBytes).toBe(600);
    const descriptor = await program.open('P/large', O_WRONLY | O_CREAT);
    expect(await program.pwrite(descriptor, 0, Buffer.alloc(600))).toBe(600);
    await fails(errno.EDQUOT, program.pwrite(descriptor, 600, Buffer.alloc(1)));
    await program.close(descriptor);
    expect(await program.stat('P/large')).toMatchObject({ sizeBytes: 600 });
    expect(made.failures).toContainEqual(expect.stringContaining('Small has no room for 601 bytes'));
  });

  function changes(top: string): (() => Promise<unknown>)[] {
    return [
      () => program.open(`${top}/new`, O_WRONLY | O_CREAT),
      () => program.open(`${top}/file`, O_WRONLY),
      () => program.open(`${top}/file`, O_RDONLY | O_TRUNC),
      () => program.mknod(`${top}/new`),
      () => program.mkdir(`${top}/new`),
      () => program.unlink(`${top}/file`),
      () => program.rmdir(`${top}/folder`),
      () => program.rename(`${top}/file`, `${top}/new`),
      () => program.setattr(`${top}/file`, { permissions: 0o600 }),
      () => program.setattr(`${top}/file`, { sizeBytes: 1 }),
      () => program.setattr(`${top}/file`, { modified: 'now' }),
      async () => {
        const { node } = await made.fileSystem.lookup(1, top, nobody);
        try {
          made.fileSystem.access(node, 2);
        } finally {
          made.fileSystem.forget(node, 1);
        }
      },
    ];
  }
});

describe('names', () => {
  it('of more than 255 bytes are ENAMETOOLONG', async () => {
    const long = 'ü'.repeat(128);
    await fails(errno.ENAMETOOLONG, program.mkdir(`P/${long}`));
    await fails(errno.ENAMETOOLONG, program.mknod(`P/${long}`));
    await fails(errno.ENAMETOOLONG, program.rename('P/file', `P/${long}`));
    await fails(errno.ENAMETOOLONG, program.unlink(`P/${long}`));
    const longest = `${'ü'.repeat(127)}x`;
    await program.writeFile(`P/${longest}`, '');
    expect(await program.readdir('P')).toContain(longest);
  });

  it.each(['a\\b', 'a<b', 'a>b', ' a', 'a ', 'a%2Fb', 'a%00b', '%2E', '%2E%2E', '%-', '%uD800', '%uD83D%uDE00'])(
    'that the service refuses are EINVAL at once, with the reason: %j',
    async (name) => {
      await fails(errno.EINVAL, program.open(`P/${name}`, O_WRONLY | O_CREAT));
      await fails(errno.EINVAL, program.mkdir(`P/${name}`));
      await fails(errno.EINVAL, program.mknod(`P/${name}`));
      await fails(errno.EINVAL, program.rename('P/file', `P/${name}`));
      expect(made.failures).toHaveLength(4);
      expect(made.failures[0]).toContain(`the name ${JSON.stringify(name)}`);
      expect(made.fileSystem.failures()[0]).toMatchObject({ verb: 'create', path: '/P' });
      expect(await program.readdir('P')).toEqual(['file', 'folder']);
    },
  );

  it.each(['a:b?*"|', '100%', 'a%20b', '50%25 off', 'a%2fb', '%2Ehidden', '日本語', 'line\nfeed', '...', 'a.', 'CON'])(
    'that it takes are given as they are: %j',
    async (name) => {
      await program.writeFile(`P/${name}`, 'x');
      expect(await program.readFile(`P/${name}`)).toBe('x');
      const { inode } = await program.stat(`P/${name}`);
      expect(made.tree.node(inode)).toMatchObject({ name, remoteName: name });
    },
  );

  it('that escape an escape are one with it', async () => {
    await program.writeFile('P/a%252Fb', 'x');
    expect(made.tree.node((await program.stat('P/a%252Fb')).inode)).toMatchObject({ remoteName: 'a%2Fb' });
  });
});

describe('open', () => {
  it('refuses what it cannot mean', async () => {
    await fails(errno.EINVAL, program.open('P/file', 3));
    await fails(errno.EISDIR, program.open('P/folder', O_RDWR));
    await fails(errno.EEXIST, program.open('P/folder', O_RDWR | O_CREAT | O_EXCL));
    await fails(errno.ENOENT, program.open('P/none', O_RDWR));
    // A name that was there when the kernel looked, and is now.
    const { node } = await made.fileSystem.lookup(1, 'P', nobody);
    const create = async (name: string): Promise<unknown> => made.fileSystem.create(node, name, 0o644, O_RDWR, nobody);
    await fails(errno.EISDIR, create('folder'));
    const opened = await made.fileSystem.create(node, 'file', 0o600, O_RDWR, nobody);
    expect(opened.entry.attributes).toMatchObject({ sizeBytes: 7, permissions: 0o644 });
    made.fileSystem.release(opened.opened.handle);
    made.fileSystem.forget(opened.entry.node, 1);
    made.fileSystem.forget(node, 1);
  });

  it('for reading does not let write, and a dead descriptor nothing', async () => {
    const descriptor = await program.open('P/file', O_RDONLY);
    await fails(errno.EBADF, program.pwrite(descriptor, 0, 'x'));
    await fails(errno.EBADF, program.ftruncate(descriptor, 0));
    await fails(errno.EBADF, program.fallocate(descriptor, 0, 0, 100));
    await program.close(descriptor);
    await fails(errno.EBADF, program.close(descriptor));
  });

  it('gives a length no vault could store EFBIG, and changes nothing', async () => {
    const descriptor = await program.open('P/file', O_RDWR);
    await fails(errno.EFBIG, program.pwrite(descriptor, 2 ** 52, 'x'));
    await fails(errno.EFBIG, program.ftruncate(descriptor, 2 ** 52));
    await fails(errno.EFBIG, program.setattr('P/file', { sizeBytes: 2 ** 52 }));
    await fails(errno.EFBIG, program.fallocate(descriptor, 0, 2 ** 52, 1));
    expect((await program.fstat(descriptor)).sizeBytes).toBe(7);
    await program.close(descriptor);
    expect([...made.journal.records()]).toEqual([]);
  });

  it('lets nothing be allocated in ways that only disks know', async () => {
    const descriptor = await program.open('P/file', O_RDWR);
    await fails(errno.EINVAL, program.fallocate(descriptor, 0, 0, 0));
    for (const mode of [2, 4, 8, 9, 32, 64]) await fails(errno.ENOTSUP, program.fallocate(descriptor, mode, 0, 4));
    await program.fallocate(descriptor, 1, 0, 100);
    expect((await program.fstat(descriptor)).sizeBytes).toBe(7);
    await program.fallocate(descriptor, 0, 0, 10);
    await program.fallocate(descriptor, 3, 1, 2);
    await program.fallocate(descriptor, 16, 8, 4);
    await program.close(descriptor);
    expect(await program.readFile('P/file')).toBe('c\0\0tent\0\0\0\0\0');
  });
});

describe('directories', () => {
  it('are removed when they are empty as the service knows them, not as this machine does', async () => {
    await fails(errno.ENOTEMPTY, program.rmdir('P/folder'));
    await fails(errno.ENOTDIR, program.rmdir('P/file'));
    await fails(errno.ENOENT, program.rmdir('P/none'));
    await fails(errno.EISDIR, program.unlink('P/folder'));
    await fails(errno.ENOENT, program.unlink('P/none'));
    await program.unlink('P/folder/deep');
    await program.rmdir('P/folder');
    await fails(errno.ENOENT, program.stat('P/folder'));
  });

  it('cannot be removed while the service does not tell what is in them', async () => {
    await program.stat('P/folder');
    drive.gate = () => Promise.reject(new RemoteError('unavailable', 'no line'));
    await fails(errno.EIO, program.rmdir('P/folder'));
    drive.gate = () => Promise.resolve();
  });

  it('are there once', async () => {
    await fails(errno.EEXIST, program.mkdir('P/folder'));
    await fails(errno.EEXIST, program.mkdir('P/file'));
    await fails(errno.EEXIST, program.mknod('P/file'));
    await fails(errno.ENOTDIR, program.mkdir('P/file/new'));
    await fails(errno.ENOENT, program.mkdir('P/none/new'));
  });

  it('need no call when they were made here', async () => {
    await program.readdir('P');
    drive.calls.length = 0;
    await program.mkdir('P/new');
    await program.writeFile('P/new/a', 'x');
    expect(await program.readdir('P/new')).toEqual(['a']);
    await program.unlink('P/new/a');
    await program.rmdir('P/new');
    expect(drive.calls).toEqual([]);
  });
});

describe('rename', () => {
  it('says what does not fit', async () => {
    await program.mkdir('P/empty');
    await fails(errno.ENOENT, program.rename('P/none', 'P/x'));
    await fails(errno.EINVAL, program.rename('P/folder', 'P/folder/sub'));
    await fails(errno.ENOTDIR, program.rename('P/folder', 'P/file'));
    await fails(errno.EISDIR, program.rename('P/file', 'P/empty'));
    await fails(errno.ENOTEMPTY, program.rename('P/empty', 'P/folder'));
    await fails(errno.EEXIST, program.rename('P/file', 'P/empty', { noReplace: true }));
    await fails(errno.ENOENT, program.rename('P/file', 'P/none', { exchange: true }));
    await fails(errno.EINVAL, program.rename('P/folder', 'P/folder/deep', { exchange: true }));
    await program.rename('P/file', 'P/file');
    await program.rename('P/folder', 'P/empty');
    expect(await program.readdir('P')).toEqual(['empty', 'file']);
    expect(await program.readFile('P/empty/deep')).toBe('deep');
  });

  it('exchanges, also a file and a directory, and keeps inode numbers', async () => {
    const [file, directory] = [await program.stat('P/file'), await program.stat('P/folder')];
    await program.rename('P/file', 'P/folder', { exchange: true });
    expect((await program.stat('P/folder')).inode).toBe(file.inode);
    expect((await program.stat('P/file')).inode).toBe(directory.inode);
    expect(await program.readFile('P/file/deep')).toBe('deep');
  });

  it('to another syncpoint moves files, and directories that are small or never stored', async () => {
    drive.addSyncpoint('Q');
    await made.listings.refresh(made.tree.root(), nobody.signal);
    await again({ moves: { filesMax: 1, bytesMax: 100 } });
    await program.rename('P/file', 'Q/file');
    expect(await program.readFile('Q/file')).toBe('content');
    // Nobody has looked into it: there may be anything.
    await fails(errno.EXDEV, program.rename('P/folder', 'Q/folder'));
    await program.readdir('P/folder');
    await program.rename('P/folder', 'Q/folder');
    await program.mkdir('P/new');
    for (let i = 0; i < 5; i += 1) await program.writeFile(`P/new/${i}`, 'x');
    await program.rename('P/new', 'Q/new');
    drive.addFile(folder, 'deeper', 'x'.repeat(200));
    drive.addFile(folder, 'deepest', '');
    await made.listings.refresh(made.tree.node((await program.stat('Q/folder')).inode) as never, nobody.signal);
    await fails(errno.EXDEV, program.rename('Q/folder', 'P/folder'));
    await fails(
      errno.EINVAL,
      program.rename('Q/file', 'P/file', { exchange: true }).catch(async (error: unknown) => {
        // Nothing is there to exchange with.
        expect(error).toMatchObject({ errno: errno.ENOENT });
        await program.writeFile('P/file', 'other');
        await program.rename('Q/file', 'P/file', { exchange: true });
      }),
    );
  });

  it('counts the bytes that would have to be fetched, not those that are here', async () => {
    drive.addSyncpoint('Q');
    drive.addFile(folder, 'large', 'x'.repeat(2000));
    await again({ moves: { bytesMax: 1000 } });
    await program.readdir('P/folder');
    await fails(errno.EXDEV, program.rename('P/folder', 'Q/folder'));
    await program.writeFile('P/folder/large', 'y'.repeat(2000));
    await program.rename('P/folder', 'Q/folder');
  });

  it('within a syncpoint is refused only where the service cannot move', async () => {
    await again({ moves: { cost: () => 'copy', filesMax: 0 } });
    await program.readdir('P/folder');
    await fails(errno.EXDEV, program.rename('P/folder', 'P/other'));
    await fails(errno.EINVAL, program.rename('P/folder', 'P/file', { exchange: true }));
    await program.rename('P/file', 'P/other');
  });
});

describe('a full disk', () => {
  it('is ENOSPC when a program writes, with the reason, and what was there stays', async () => {
    await program.writeFile('P/b', 'kept');
    const { state } = made;
    await made.stop(true);
    await start({ state, reserveBytes: 2 ** 60 });
    const descriptor = await program.open('P/b', O_RDWR);
    await fails(errno.ENOSPC, program.pwrite(descriptor, 0, 'xxxx'));
    await fails(errno.ENOSPC, program.fallocate(descriptor, 0, 0, 100));
    expect((await program.fstat(descriptor)).sizeBytes).toBe(4);
    await program.close(descriptor);
    expect(await program.readFile('P/b')).toBe('kept');
    expect(made.failures[0]).toContain('write /P/b');
  });

  it('that the journal meets is ENOSPC at close, and the next close makes it good', async () => {
    let full = true;
    class FullDisk extends LocalChanges {
      override commitContent(...args: Parameters<LocalChanges['commitContent']>): TreeFile {
        if (full) throw Object.assign(new Error('No space left on device'), { code: errno.ENOSPC });
        return super.commitContent(...args);
      }
    }
    await again({ changes: (journal, nowMs) => new FullDisk(journal, nowMs) });
    const descriptor = await program.open('P/file', O_RDWR);
    await program.pwrite(descriptor, 0, 'C');
    await fails(errno.ENOSPC, program.closeDuplicate(descriptor));
    await fails(errno.ENOSPC, program.fsync(descriptor));
    expect([...made.journal.records()]).toEqual([]);
    full = false;
    await program.closeDuplicate(descriptor);
    full = true;
    await program.pwrite(descriptor, 1, 'O');
    await fails(errno.ENOSPC, program.closeDuplicate(descriptor));
    await program.pwrite(descriptor, 2, 'N');
    full = false;
    await program.close(descriptor);
    const { state } = made;
    await made.stop(true);
    await start({ state });
    expect(await program.readFile('P/file')).toBe('CONtent');
  });

  it('leaves nothing unfinished of what was stored after all', async () => {
    let full = false;
    class FullDisk extends LocalChanges {
      override commitContent(...args: Parameters<LocalChanges['commitContent']>): TreeFile {
        if (full) throw Object.assign(new Error('No space left on device'), { code: errno.ENOSPC });
        return super.commitContent(...args);
      }
    }
    await again({ changes: (journal, nowMs) => new FullDisk(journal, nowMs) });
    const descriptor = await program.open('P/file', O_RDWR);
    await program.pwrite(descriptor, 0, 'C');
    await expect.poll(() => made.tree.unfinished()).toHaveLength(1);
    full = true;
    await fails(errno.ENOSPC, program.closeDuplicate(descriptor));
    await program.pwrite(descriptor, 1, 'O');
    full = false;
    await program.close(descriptor);
    expect(made.tree.unfinished()).toEqual([]);
    expect(await program.readFile('P/file')).toBe('COntent');
  });

  it('that stays full keeps nothing of a file that could not be closed', async () => {
    class FullDisk extends LocalChanges {
      override commitContent(): never {
        throw Object.assign(new Error('No space left on device'), { code: errno.ENOSPC });
      }
    }
    await again({ changes: (journal, nowMs) => new FullDisk(journal, nowMs) });
    const descriptor = await program.open('P/file', O_RDWR);
    await program.pwrite(descriptor, 0, 'C');
    await fails(errno.ENOSPC, program.closeDuplicate(descriptor));
    await program.pwrite(descriptor, 1, 'O');
    await expect.poll(() => made.tree.unfinished()).toHaveLength(1);
    await fails(errno.ENOSPC, program.close(descriptor));
    await made.staging.idle();
    expect(made.tree.unfinished()).toEqual([]);
    expect(made.staging.statistics().files).toBe(0);
  });

  it('that is met when a new file is closed leaves it empty, and to be sent once there is room', async () => {
    let full = false;
    class FullDisk extends LocalChanges {
      override commitContent(...args: Parameters<LocalChanges['commitContent']>): TreeFile {
        if (full) throw Object.assign(new Error('No space left on device'), { code: errno.ENOSPC });
        return super.commitContent(...args);
      }
      override endContent(generation: number): void {
        if (full) throw Object.assign(new Error('No space left on device'), { code: errno.ENOSPC });
        super.endContent(generation);
      }
    }
    await again({ changes: (journal, nowMs) => new FullDisk(journal, nowMs) });
    const descriptor = await program.open('P/new', O_WRONLY | O_CREAT);
    await program.pwrite(descriptor, 0, 'content');
    // Long enough for the journal to name what is being written.
    await expect.poll(() => made.tree.unfinished()).toHaveLength(1);
    full = true;
    await fails(errno.ENOSPC, program.close(descriptor));
    const { inode } = await program.stat('P/new');
    made.fileSystem.commitOpenFiles(0);
    expect(made.journal.get(inode)).toMatchObject({ unclosed: true });
    full = false;
    made.fileSystem.commitOpenFiles(0);
    expect(made.journal.get(inode)).toMatchObject({ unclosed: false, content: true });
    expect(await program.stat('P/new')).toMatchObject({ sizeBytes: 0 });
  });

  it('that is met after the last close is told in the log', async () => {
    class FullDisk extends LocalChanges {
      override commitContent(): never {
        throw Object.assign(new Error('No space left on device'), { code: 'ENOSPC' });
      }
    }
    await again({ changes: (journal, nowMs) => new FullDisk(journal, nowMs) });
    const descriptor = await program.open('P/file', O_RDWR);
    await program.pwrite(descriptor, 0, 'C');
    program.unmap(descriptor);
    expect(made.failures).toEqual([expect.stringContaining('release /P/file: No space left on device')]);
    expect(await program.readFile('P/file')).toBe('content');
  });
});

describe('attributes', () => {
  it('that are not kept are refused as a file system without them does', async () => {
    const { node } = await made.fileSystem.lookup(1, 'P', nobody);
    const set = (name: string): Promise<unknown> =>
      Promise.resolve().then(() => made.fileSystem.setExtendedAttribute(node, name, Buffer.from('x'), 0, nobody));
    await fails(errno.ENOTSUP, set('user.mime_type'));
    // Whoever makes two files' attributes alike finds ours at both, and goes on.
    await set('user.syncplicity.state');
    expect(await program.xattr('P', 'state')).toBe('stored');
    made.fileSystem.forget(node, 1);
  });

  it('a length of a directory is EISDIR', async () => {
    await fails(errno.EISDIR, program.setattr('P/folder', { sizeBytes: 0 }));
  });

  it('the owner of a mount for one user is fixed', async () => {
    await program.setattr('P/file', { uid: 7, gid: 8 });
    await fails(errno.EPERM, program.setattr('P/file', { uid: 0 }));
    await fails(errno.EPERM, program.setattr('P/file', { gid: 0, permissions: 0o600 }));
    expect(await program.stat('P/file')).toMatchObject({ uid: 7, gid: 8, permissions: 0o644 });
  });
});
