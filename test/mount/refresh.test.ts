// `syncplicityfs refresh` through the whole drive: what somebody else changed a moment ago shows when it returns, with listings and kernel
// caches that would have lived for an hour.
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists } from './drive.ts';

let drive: Drive;
let folder: string;
let id: number;
let rootFolderId: number;

beforeEach(async () => {
  drive = new Drive();
  ({ id, rootFolderId } = drive.store.addSyncpoint('Projects'));
  folder = join(drive.mountpoint, 'Projects');
  await drive.serve();
  await drive.mount({ mount: ['--listing-lifetime', '1h', '--poll-interval', '0'] });
});

afterEach(async () => {
  await drive.stop();
});

const add = (folderId: number, name: string, text: string): number =>
  drive.store.addFile(id, folderId, name, Buffer.from(text)).id;

/** Calls for a folder's listing: what vaults are there is asked at some time after the first of them. */
const listings = (): number => drive.emulator.calls().byEndpoint['folder'] ?? 0;

describe.skipIf(!fuseExists)('refresh', () => {
  it('a folder: new, changed and removed files, and a file that was known to be missing', async () => {
    const changes = add(rootFolderId, 'changes', 'before');
    const goes = add(rootFolderId, 'goes', 'here still');
    await drive.succeed(['refresh', folder]);
    expect(await readFile(join(folder, 'changes'), 'utf8')).toBe('before');
    await expect(stat(join(folder, 'new'))).rejects.toThrow('ENOENT');
    expect(await readdir(folder)).toEqual(['changes', 'goes']);

    drive.store.writeFile(id, changes, Buffer.from('behind it'));
    drive.store.remove(id, goes);
    add(rootFolderId, 'new', 'new');
    expect(await readFile(join(folder, 'changes'), 'utf8')).toBe('before');
    const before = listings();
    await drive.succeed(['refresh', folder]);
    expect(listings() - before).toBe(1);
    expect(await readFile(join(folder, 'changes'), 'utf8')).toBe('behind it');
    expect((await stat(join(folder, 'changes'))).size).toBe(9);
    expect(await readFile(join(folder, 'new'), 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['changes', 'new']);
  });

  it('a file stands for its folder, also one that is not known here yet', async () => {
    await readdir(folder);
    add(rootFolderId, 'new', 'new');
    add(rootFolderId, 'other', 'other');
    await drive.succeed(['refresh', join(folder, 'new')]);
    expect(await readdir(folder)).toEqual(['new', 'other']);
    const nothing = await drive.user.run(['refresh', join(folder, 'nothing')]);
    expect([nothing.code, nothing.stderr]).toEqual([1, 'syncplicityfs: the drive has nothing at /Projects/nothing\n']);
    add(rootFolderId, 'last', 'last');
    const both = await drive.user.run(['refresh', join(drive.mountpoint, 'nothing'), folder]);
    expect([both.code, both.stderr]).toEqual([1, 'syncplicityfs: the drive has nothing at /nothing\n']);
    expect(await readdir(folder)).toEqual(['last', 'new', 'other']);
  });

  it('--recursive looks into what was listed below, and at nothing else', async () => {
    const one = drive.store.addFolder(id, rootFolderId, 'one');
    const two = drive.store.addFolder(id, one.id, 'two');
    drive.store.addFolder(id, rootFolderId, 'unseen');
    expect(await readdir(folder)).toEqual(['one', 'unseen']);
    await readdir(join(folder, 'one', 'two'));
    add(two.id, 'deep', 'deep');
    await drive.succeed(['refresh', folder]);
    expect(await readdir(join(folder, 'one', 'two'))).toEqual([]);
    const before = listings();
    await drive.succeed(['refresh', '--recursive', folder]);
    expect(listings() - before).toBe(3);
    expect(await readdir(join(folder, 'one', 'two'))).toEqual(['deep']);
  });

  it('the mountpoint: syncpoints that came and went', async () => {
    expect(await readdir(drive.mountpoint)).toEqual(['Projects']);
    drive.store.addSyncpoint('Archive');
    await drive.succeed(['refresh', drive.mountpoint]);
    expect(await readdir(drive.mountpoint)).toEqual(['Archive', 'Projects']);
  });

  it('a folder that is gone at the service goes here', async () => {
    const one = drive.store.addFolder(id, rootFolderId, 'one');
    await drive.succeed(['refresh', '-r', drive.mountpoint]);
    expect(await readdir(join(folder, 'one'))).toEqual([]);
    drive.store.remove(id, one.id);
    await drive.succeed(['refresh', join(folder, 'one')]);
    expect(await readdir(folder)).toEqual([]);
  });

  it('where events are believed, what happened in other folders shows as well, for one call more', async () => {
    await drive.unmount();
    await drive.mount({ mount: ['--poll-interval', '1h'] });
    const one = drive.store.addFolder(id, rootFolderId, 'one');
    add(one.id, 'goes', 'here still');
    const archive = drive.store.addSyncpoint('Archive');
    await drive.succeed(['refresh', drive.mountpoint]);
    expect(await readdir(join(folder, 'one'))).toEqual(['goes']);
    expect(await readdir(join(drive.mountpoint, 'Archive'))).toEqual([]);
    drive.store.remove(id, one.id);
    drive.store.addFile(archive.id, archive.rootFolderId, 'new', Buffer.from('new'));
    expect(await readdir(folder)).toEqual(['one']);
    const { total } = drive.emulator.calls();
    await drive.succeed(['refresh', join(folder, 'one')]);
    expect(drive.emulator.calls().total - total).toBe(3);
    expect(await readdir(folder)).toEqual([]);
    expect(await readdir(join(drive.mountpoint, 'Archive'))).toEqual(['new']);
  });

  it('says that the service is away', async () => {
    await readdir(folder);
    await drive.emulator.stop();
    const { code, stderr } = await drive.user.run(['refresh', folder]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('connection refused')]);
    expect(await readdir(folder)).toEqual([]);
  });
});
