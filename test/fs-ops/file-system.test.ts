import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import { processName } from '../../src/base/process-name.ts';
import type { Listings } from '../../src/cache/listings.ts';
import type { Tree, TreeDirectory } from '../../src/cache/tree.ts';
import type { FileSystem } from '../../src/fs-ops/file-system.ts';
import { ROOT_NODE, type DirectoryRow, type Entry, type NoEntry, type NodeId } from '../../src/fs-ops/operations.ts';
import { RemoteError, type FolderId, type RemoteSyncpoint, type VersionId } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { TestFileSystem, nobody, type TestFileSystemOptions } from './support/test-file-system.ts';

let drive: MemoryDrive;
let made: TestFileSystem;
let fileSystem: FileSystem;
let tree: Tree;
let listings: Listings;
let syncpoint: RemoteSyncpoint;
let kernel: string[];
let failures: string[];

async function start(options: TestFileSystemOptions = {}): Promise<void> {
  made = await TestFileSystem.start(drive, options);
  ({ fileSystem, tree, listings, kernel, failures } = made);
}

beforeEach(async () => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('Projects', { owner: 'jo@example.com' });
  await start();
});

afterEach(() => made.stop());

async function walk(path: string): Promise<Entry> {
  let node: NodeId = ROOT_NODE;
  let entry: Entry | undefined;
  for (const name of path.split('/')) {
    const found: Entry | NoEntry = await fileSystem.lookup(node, name, nobody);
    if (found.node === 0) throw new Error(`no ${name}`);
    entry = found as Entry;
    node = found.node;
  }
  if (entry === undefined) throw new Error('empty path');
  return entry;
}

async function readAll(node: NodeId, handle: number): Promise<string> {
  return Buffer.concat(await fileSystem.read(node, handle, 0, 1 << 20, nobody)).toString();
}

async function relist(folder: string): Promise<void> {
  const { node } = await walk(folder);
  await listings.refresh(tree.node(node) as TreeDirectory, nobody.signal);
}

async function rows(node: NodeId, plus: boolean, room = Infinity): Promise<DirectoryRow[]> {
  const { handle } = await fileSystem.openDirectory(node, nobody);
  const all: DirectoryRow[] = [];
  for (let cookie = 0; ;) {
    const page: DirectoryRow[] = [];
    await fileSystem.readDirectory(
      node,
      handle,
      cookie,
      plus,
      (row) => page.length < room && page.push(row) > 0,
      nobody,
    );
    if (page.length === 0) break;
    all.push(...page);
    cookie = page.at(-1)?.cookie ?? 0;
  }
  fileSystem.releaseDirectory(handle);
  return all;
}

describe('file system', () => {
  it('shows what the service holds, with times, sizes and the permission of the syncpoint', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a.txt', 'hello');
    const shared = drive.addSyncpoint('Shared', { permission: 'read-only' });
    drive.addFile(shared.rootFolderId, 'b.txt', '');
    drive.addFolder(shared.rootFolderId, 'sub');
    const { attributes } = await walk('Projects/a.txt');
    expect(attributes).toMatchObject({
      type: 'file',
      permissions: 0o644,
      sizeBytes: 5,
      uid: 7,
      gid: 8,
      linkCount: 1,
      modified: { seconds: 1_473_662_671, nanoseconds: 900_000_000 },
    });
    expect((await walk('Projects')).attributes.permissions).toBe(0o755);
    expect((await walk('Shared')).attributes.permissions).toBe(0o555);
    expect((await walk('Shared/sub')).attributes.permissions).toBe(0o555);
    expect((await walk('Shared/b.txt')).attributes.permissions).toBe(0o444);
  });

  it('answers unknown names from the listing, without a call, for as long as the listing is trusted', async () => {
    await walk('Projects');
    drive.calls.length = 0;
    const { node } = await walk('Projects');
    await fileSystem.lookup(node, 'missing', nobody);
    const calls = drive.calls.length;
    const missing = await fileSystem.lookup(node, 'missing', nobody);
    expect(missing.node).toBe(0);
    expect(missing.entryLifetimeMs).toBeGreaterThan(50_000);
    expect(drive.calls).toHaveLength(calls);
  });

  it('lists a folder page by page with cookies that stay valid while entries come and go', async () => {
    for (let i = 0; i < 100; i += 1) drive.addFile(syncpoint.rootFolderId, `file${i}`, '');
    const { node } = await walk('Projects');
    const { handle } = await fileSystem.openDirectory(node, nobody);
    const seen: string[] = [];
    let cookie = 0;
    for (let page = 0; page < 40; page += 1) {
      let taken = 0;
      await fileSystem.readDirectory(
        node,
        handle,
        cookie,
        true,
        (row) => {
          if (taken === 3) return false;
          taken += 1;
          cookie = row.cookie;
          seen.push(row.name);
          return true;
        },
        nobody,
      );
      if (page === 5) {
        drive.remove(syncpoint.rootFolderId, 'file0');
        drive.remove(syncpoint.rootFolderId, 'file50');
        drive.addFile(syncpoint.rootFolderId, 'late', '');
        await relist('Projects');
      }
    }
    expect(new Set(seen).size).toBe(seen.length);
    const stayed = Array.from({ length: 100 }, (_, i) => `file${i}`).filter((name) => name !== 'file50');
    expect(seen).toEqual(['.', '..', ...stayed, 'late']);
  });

  it('counts a lookup for each accepted row of READDIRPLUS and none for READDIR, dots and refused rows', async () => {
    for (let i = 0; i < 10; i += 1) drive.addFile(syncpoint.rootFolderId, `file${i}`, '');
    const { node } = await walk('Projects');
    const held = fileSystem.counts().nodes;
    await rows(node, false);
    expect(fileSystem.counts().nodes).toBe(held);
    const listed = await rows(node, true, 3);
    expect(fileSystem.counts().nodes).toBe(held + 10);
    for (const row of listed) if (row.entry !== undefined) fileSystem.forget(row.entry.node, 1);
    expect(fileSystem.counts().nodes).toBe(held);
  });

  it('keeps an open file at its version: size, bytes and node, while its name shows the new one', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const before = await walk('Projects/a');
    const { handle } = fileSystem.open(before.node, 0, nobody);
    drive.write(syncpoint.rootFolderId, 'a', 'the second');
    await relist('Projects');
    const after = await walk('Projects/a');
    expect(after.node).not.toBe(before.node);
    expect(after.attributes.inode).toBe(before.attributes.inode);
    expect(kernel).toContain(`entry ${(await walk('Projects')).node} a`);
    expect(fileSystem.getAttributes(before.node).attributes.sizeBytes).toBe(5);
    expect(await readAll(before.node, handle)).toBe('first');
    const second = fileSystem.open(after.node, 0, nobody);
    expect(second.keepCache).toBe(false);
    expect(await readAll(after.node, second.handle)).toBe('the second');
    drive.write(syncpoint.rootFolderId, 'a', 'third');
    await relist('Projects');
    const third = await walk('Projects/a');
    expect(await readAll(before.node, handle)).toBe('first');
    expect(await readAll(after.node, second.handle)).toBe('the second');
    expect(new Set([before.node, after.node, third.node]).size).toBe(3);
    fileSystem.release(handle);
    fileSystem.release(second.handle);
  });

  it('finds a forgotten object by its number alone, and the one that it lies in, but none by a number that is no inode', async () => {
    const folder = drive.addFolder(syncpoint.rootFolderId, 'folder');
    drive.addFile(folder, 'a', 'first');
    const above = await walk('Projects/folder');
    const before = await walk('Projects/folder/a');
    fileSystem.open(before.node, 0, nobody);
    drive.write(folder, 'a', 'the second');
    await relist('Projects/folder');
    const after = await walk('Projects/folder/a');
    const held = fileSystem.counts().nodes;
    const again = await fileSystem.lookup(before.node, '.', nobody);
    expect(again).toMatchObject({ node: after.node, attributes: { sizeBytes: 10 } });
    fileSystem.forget(again.node, 1);
    expect(await fileSystem.lookup(before.node, '..', nobody)).toMatchObject({ node: above.node });
    expect(await fileSystem.lookup(ROOT_NODE, '..', nobody)).toMatchObject({ node: ROOT_NODE });
    expect(fileSystem.counts().nodes).toBe(held + 1);
    // Another process gives this number to another file.
    expect(() => fileSystem.lookup(after.node, '.', nobody)).toThrow(expect.objectContaining({ errno: errno.ESTALE }));
    await fileSystem.unlink(above.node, 'a', nobody);
    expect(() => fileSystem.lookup(before.node, '.', nobody)).toThrow(expect.objectContaining({ errno: errno.ESTALE }));
  });

  it('opens what was removed while it is open, and not once its last descriptor is closed', async () => {
    const above = await walk('Projects');
    const made = await fileSystem.create(above.node, 'a', 0o644, 2, nobody);
    await fileSystem.write(made.entry.node, made.opened.handle, 0, Buffer.from('written'), false, nobody);
    await fileSystem.unlink(above.node, 'a', nobody);
    const second = fileSystem.open(made.entry.node, 0, nobody);
    fileSystem.release(second.handle);
    fileSystem.release(made.opened.handle);
    expect(() => fileSystem.open(made.entry.node, 0, nobody)).toThrow(expect.objectContaining({ errno: errno.ESTALE }));
  });

  it('lets go of old versions when they are released and forgotten', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const before = await walk('Projects/a');
    const { handle } = fileSystem.open(before.node, 0, nobody);
    drive.write(syncpoint.rootFolderId, 'a', 'second');
    await relist('Projects');
    const after = await walk('Projects/a');
    fileSystem.release(handle);
    fileSystem.forget(before.node, 1);
    fileSystem.forget(after.node, 1);
    expect((await walk('Projects/a')).node).toBe(before.node);
  });

  it('tells the kernel to keep its pages while the version is the same, and to drop them when it is not', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const { node } = await walk('Projects/a');
    const first = fileSystem.open(node, 0, nobody);
    fileSystem.release(first.handle);
    const again = fileSystem.open(node, 0, nobody);
    fileSystem.release(again.handle);
    expect([first.keepCache, again.keepCache]).toEqual([false, true]);
    drive.write(syncpoint.rootFolderId, 'a', 'second');
    await relist('Projects');
    expect(kernel).toContain(`node ${node} content`);
    expect(fileSystem.open(node, 0, nobody).keepCache).toBe(false);
  });

  it('keeps a file readable that was removed while open, with no links', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const { node } = await walk('Projects/a');
    const { handle } = fileSystem.open(node, 0, nobody);
    drive.remove(syncpoint.rootFolderId, 'a');
    await relist('Projects');
    // Whoever has it open is to see that it has no links.
    expect(kernel).toContain(`node ${node}`);
    expect((await fileSystem.lookup((await walk('Projects')).node, 'a', nobody)).node).toBe(0);
    expect(fileSystem.getAttributes(node).attributes).toMatchObject({ linkCount: 0, sizeBytes: 5 });
    expect(await readAll(node, handle)).toBe('first');
    fileSystem.release(handle);
    fileSystem.forget(node, 1);
    expect(() => fileSystem.getAttributes(node)).toThrow(expect.objectContaining({ errno: errno.ESTALE }));
  });

  it('tells the kernel of names that appear and vanish', async () => {
    drive.addFile(syncpoint.rootFolderId, 'old', '');
    const { node } = await walk('Projects');
    await walk('Projects/old');
    drive.rename(syncpoint.rootFolderId, 'old', 'new');
    await relist('Projects');
    expect(kernel).toEqual(expect.arrayContaining([`entry ${node} old`, `entry ${node} new`, `node ${node} content`]));
  });

  it('gives a waiting request an errno when the time is over, and the next one an answer', async () => {
    await made.stop();
    // Long enough for what is answered on a busy machine.
    await start({ opTimeoutMs: 500 });
    let open: () => void = () => undefined;
    drive.gate = () => new Promise((resolve) => (open = resolve));
    const pending = Promise.resolve(fileSystem.lookup(ROOT_NODE, 'Projects', nobody));
    expect(fileSystem.waiting()).toMatchObject([{ verb: 'lookup', path: '/' }]);
    await expect(pending).rejects.toMatchObject({
      errno: errno.EIO,
      message: expect.stringContaining('no answer within') as string,
    });
    expect(failures).toEqual([expect.stringContaining('lookup /: no answer within 0.5 s')]);
    expect(fileSystem.failures()).toMatchObject([{ verb: 'lookup', path: '/' }]);
    drive.gate = () => Promise.resolve();
    open();
    expect((await fileSystem.lookup(ROOT_NODE, 'Projects', nobody)).node).not.toBe(0);
    expect(fileSystem.waiting()).toEqual([]);
  });

  it('lets the kernel repeat a failed read without another full wait', async () => {
    await made.stop();
    await start({ opTimeoutMs: 600 });
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const { node } = await walk('Projects/a');
    const { handle } = fileSystem.open(node, 0, nobody);
    drive.gate = () => new Promise(() => undefined);
    const failed: unknown = expect.objectContaining({
      errno: errno.EIO,
      message: expect.stringContaining('within 0.6 s') as string,
    });
    await expect(Promise.resolve(fileSystem.read(node, handle, 0, 5, nobody))).rejects.toEqual(failed);
    const repeated: unknown = expect.objectContaining({
      errno: errno.EIO,
      message: expect.stringContaining('within 0.25 s') as string,
    });
    await expect(Promise.resolve(fileSystem.read(node, handle, 0, 1, nobody))).rejects.toEqual(repeated);
  });

  it('tells what used up the time of a read', async () => {
    await made.stop();
    await start({ opTimeoutMs: 500, trouble: new RemoteError('unavailable', 'Internal error (HTTP 500)') });
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const { node } = await walk('Projects/a');
    const { handle } = fileSystem.open(node, 0, nobody);
    drive.gate = () => new Promise(() => undefined);
    const read = Promise.resolve(fileSystem.read(node, handle, 0, 5, nobody));
    const message = 'read /Projects/a: no answer within 0.5 s: Internal error (HTTP 500)';
    await expect(read).rejects.toMatchObject({ errno: errno.EIO, message });
    expect(failures).toEqual([message]);
  });

  it('ends a wait at once when the caller is interrupted', async () => {
    drive.gate = () => new Promise(() => undefined);
    const interrupt = new AbortController();
    const pending = Promise.resolve(fileSystem.lookup(ROOT_NODE, 'Projects', { ...nobody, signal: interrupt.signal }));
    interrupt.abort();
    await expect(pending).rejects.toMatchObject({ errno: errno.EINTR });
  });

  it.each([
    ['unavailable', errno.EIO],
    ['forbidden', errno.EACCES],
    ['unauthenticated', errno.EACCES],
    ['throttled', errno.EIO],
    ['not-found', errno.ENOENT],
    ['quota', errno.EDQUOT],
  ] as const)('answers a listing that fails as %s with errno %d', async (kind, number) => {
    drive.gate = () => Promise.reject(new RemoteError(kind, 'no'));
    await expect(Promise.resolve(fileSystem.lookup(ROOT_NODE, 'x', nobody))).rejects.toMatchObject({ errno: number });
  });

  it('never answers a failed read with bytes or an end of file', async () => {
    const file = drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const { node } = await walk('Projects/a');
    const { handle } = fileSystem.open(node, 0, nobody);
    drive.gate = () => Promise.reject(new RemoteError('unavailable', 'reset'));
    await expect(Promise.resolve(fileSystem.read(node, handle, 0, 5, nobody))).rejects.toMatchObject({
      errno: errno.EIO,
    });
    drive.gate = () => Promise.reject(new RemoteError('not-found', `version ${file.versionId}`));
    await expect(Promise.resolve(fileSystem.read(node, handle, 0, 5, nobody))).rejects.toMatchObject({
      errno: errno.ESTALE,
    });
    drive.gate = () => Promise.resolve();
    drive.calls.length = 0;
    await walk('Projects/a');
    expect(drive.calls).toEqual([`list ${syncpoint.rootFolderId}`]);
  });

  it('cuts reads at the end of the file', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const { node } = await walk('Projects/a');
    const { handle } = fileSystem.open(node, 0, nobody);
    expect(Buffer.concat(await fileSystem.read(node, handle, 3, 100, nobody)).toString()).toBe('st');
    expect(await fileSystem.read(node, handle, 5, 100, nobody)).toEqual([]);
    expect(await fileSystem.read(node, handle, 2 ** 40, 100, nobody)).toEqual([]);
  });

  it('refuses changes, wrong kinds, dead handles and long names with the errno a local disk gives', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', 'first');
    const file = await walk('Projects/a');
    const folder = await walk('Projects');
    const failing = (errorNumber: number): unknown => expect.objectContaining({ errno: errorNumber });
    expect(() => fileSystem.open(folder.node, 0, nobody)).toThrow(failing(errno.EISDIR));
    expect(() => fileSystem.openDirectory(file.node, nobody)).toThrow(failing(errno.ENOTDIR));
    expect(() => fileSystem.lookup(file.node, 'x', nobody)).toThrow(failing(errno.ENOTDIR));
    expect(() => fileSystem.read(file.node, 999, 0, 1, nobody)).toThrow(failing(errno.EBADF));
    expect(() => fileSystem.lookup(folder.node, 'x'.repeat(256), nobody)).toThrow(failing(errno.ENAMETOOLONG));
    expect(() => fileSystem.getAttributes(987_654)).toThrow(failing(errno.ESTALE));
  });

  it('tells ids, permission, owner and state as extended attributes', async () => {
    const folderId: FolderId = drive.addFolder(syncpoint.rootFolderId, 'sub');
    const remote = drive.addFile(folderId, 'a', 'first');
    const versionId: VersionId = remote.versionId;
    const { node } = await walk('Projects/sub/a');
    const value = (name: string): string =>
      Buffer.from(fileSystem.getExtendedAttribute(node, `user.syncplicity.${name}`, nobody) as Uint8Array).toString();
    expect(fileSystem.listExtendedAttributes(node).map((name) => [name, value(name.slice(17))])).toEqual([
      ['user.syncplicity.syncpoint_id', syncpoint.id],
      ['user.syncplicity.permission', 'read-write'],
      ['user.syncplicity.owner', 'jo@example.com'],
      ['user.syncplicity.state', 'stored'],
      ['user.syncplicity.file_id', remote.id],
      ['user.syncplicity.version_id', versionId],
    ]);
    const folder = await walk('Projects/sub');
    const told = await fileSystem.getExtendedAttribute(folder.node, 'user.syncplicity.folder_id', nobody);
    expect(Buffer.from(told).toString()).toBe(folderId);
    for (const name of ['user.other', 'security.capability', 'system.posix_acl_access', 'user.syncplicity.link']) {
      expect(() => fileSystem.getExtendedAttribute(node, name, nobody)).toThrow(
        expect.objectContaining({ errno: errno.ENODATA }),
      );
    }
  });

  it('tells the capacity of the vaults, never zero of zero, never waiting', async () => {
    expect(fileSystem.capacity(ROOT_NODE).totalBytes).toBeGreaterThan(0);
    await walk('Projects');
    await expect.poll(() => fileSystem.capacity(ROOT_NODE).totalBytes).toBe(1e12);
    expect(fileSystem.capacity((await walk('Projects')).node)).toMatchObject({
      totalBytes: 1e12,
      freeBytes: 6e11,
      nameBytesMax: 255,
    });
  });

  it('lets the kernel keep a directory it has read until the listing is brought anew', async () => {
    drive.addFile(syncpoint.rootFolderId, 'a', '');
    const { node } = await walk('Projects');
    const first = await fileSystem.openDirectory(node, nobody);
    const second = await fileSystem.openDirectory(node, nobody);
    expect([first.cacheEntries, first.keepCache, second.keepCache]).toEqual([true, false, true]);
    await relist('Projects');
    expect((await fileSystem.openDirectory(node, nobody)).keepCache).toBe(false);
  });

  it('makes a read ready where somebody looks around among files, not for who crawls through all of them', async () => {
    await rows(ROOT_NODE, true);
    expect(drive.prepared).toEqual([]);
    const { node } = await walk('Projects');
    // A process is known by its file's name.
    const program = join(made.state.path, 'updatedb');
    copyFileSync('/bin/sleep', program);
    const crawler = spawn(program, ['60']);
    try {
      await once(crawler, 'spawn');
      await expect.poll(() => processName(crawler.pid ?? 0)).toBe('updatedb');
      await fileSystem.openDirectory(node, { ...nobody, pid: crawler.pid ?? 0 });
    } finally {
      crawler.kill();
    }
    expect(drive.prepared).toEqual([]);
    await rows(node, true);
    expect(drive.prepared).toEqual([syncpoint.vaultId]);
  });
});
