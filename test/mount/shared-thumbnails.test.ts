// `.sh_thumbnails` through the real kernel: what programs see of the pictures of a folder, what it costs, and that nothing of it is met by
// those who do not ask, or can be changed.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode } from 'fast-png';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { pictureColour } from '../../src/emulator/thumbnails.ts';
import { Drive, fuseExists, run } from './drive.ts';
import { lacks } from '../machine.ts';

let drive: Drive;
let id: number;
let root: number;
let photos: string;

beforeEach(() => {
  drive = new Drive();
  ({ id, rootFolderId: root } = drive.store.addSyncpoint('Photos'));
  photos = join(drive.mountpoint, 'Photos');
});

afterEach(async () => {
  await drive.stop();
});

async function open(dialect: Partial<Dialect> = {}): Promise<void> {
  await drive.serve({ dialect });
  await drive.mount();
}

const hash = (text: string): string => createHash('md5').update(text).digest('hex');
const thumbnail = (name: string, size = 'normal'): string =>
  join(photos, '.sh_thumbnails', size, `${hash(`./${encodeURIComponent(name)}`)}.png`);

function calls(): Readonly<Record<string, number>> {
  return { ...drive.emulator.calls().byEndpoint };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
  );
}

function expectColour(png: Uint8Array, versionId: number): void {
  const { data } = decode(png);
  pictureColour(versionId).forEach((value, channel) => {
    expect(Math.abs((data[channel] as number) - value)).toBeLessThan(8);
  });
}

describe.skipIf(!fuseExists)('.sh_thumbnails', () => {
  it('has the picture of a file under the names that readers look for', async () => {
    const { versionId } = drive.store.addFile(id, root, 'me at sea.png', Buffer.from('not looked at'));
    await open();
    const { mtimeMs } = await stat(join(photos, 'me at sea.png'));
    const plain = join(photos, '.sh_thumbnails', 'normal', `${hash('me at sea.png')}.png`);
    for (const [path, uri] of [
      [thumbnail('me at sea.png'), './me%20at%20sea.png'],
      [thumbnail('me at sea.png', 'large'), './me%20at%20sea.png'],
      [plain, 'me at sea.png'],
    ] as const) {
      const { size, mode } = await stat(path);
      const png = await readFile(path);
      expect(png.length).toBe(size);
      expect(mode & 0o777).toBe(0o644);
      expectColour(png, versionId);
      expect(decode(png).text).toMatchObject({
        'Thumb::URI': uri,
        'Thumb::MTime': String(Math.floor(mtimeMs / 1000)),
        'Thumb::Size': '13',
      });
    }
    const { thumbnail: fetched, retrieveFile, v2files } = calls();
    expect([fetched, retrieveFile, v2files]).toEqual([1, undefined, undefined]);
  });

  it('is reached by name alone, and costs nothing until somebody looks for a picture', async () => {
    for (const name of ['a.png', 'b.jpg', 'c.txt']) drive.store.addFile(id, root, name, Buffer.from(name));
    await open();
    expect((await readdir(photos)).sort()).toEqual(['a.png', 'b.jpg', 'c.txt']);
    const { stdout } = await run('find', [drive.mountpoint]);
    expect(stdout).not.toContain('.sh_thumbnails');
    // The drive asks for the room there is once, behind everybody.
    await expect.poll(() => calls()['storageendpoints']).toBe(1);
    const before = calls();
    expect((await readdir(join(photos, '.sh_thumbnails'))).sort()).toEqual(['large', 'normal']);
    expect(await codeOf(stat(join(photos, '.sh_thumbnails', 'x-large')))).toBe('ENOENT');
    expect(await codeOf(stat(thumbnail('no such file.png')))).toBe('ENOENT');
    expect(calls()).toEqual(before);
    const names = (await readdir(join(photos, '.sh_thumbnails', 'normal'))).sort();
    expect(names).toEqual(['a.png', 'b.jpg'].map((name) => `${hash(`./${name}`)}.png`).sort());
    expect(calls()).toEqual({ ...before, folder: (before['folder'] ?? 0) + 1 });
  });

  it('asks for a picture once, whoever looks', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `${index}.jpg`);
    for (const name of names) drive.store.addFile(id, root, name, Buffer.from(name));
    await open();
    await readdir(photos);
    const { folder = 0 } = calls();
    await Promise.all(
      names.flatMap((name) => [readFile(thumbnail(name)), readFile(thumbnail(name, 'large')), stat(thumbnail(name))]),
    );
    const listed = await run('ls', ['-l', join(photos, '.sh_thumbnails', 'normal')]);
    expect(listed.stdout.split('\n').filter((line) => /\s[1-9]\d*\s.*\.png$/.test(line))).toHaveLength(12);
    expect(calls()['thumbnail']).toBe(12);
    expect(calls()['folder']).toBe(folder + 1);
  });

  it('is empty where no file has a picture', async () => {
    drive.store.addFile(id, root, 'letter.txt', Buffer.from('text'));
    await open();
    expect(await readdir(join(photos, '.sh_thumbnails', 'normal'))).toEqual([]);
    expect(await codeOf(readFile(thumbnail('letter.txt')))).toBe('ENOENT');
    expect(calls()['thumbnail']).toBeUndefined();
  });

  it.each<[string, Partial<Dialect>]>([
    ['a format that nobody knows here', { thumbnailFormat: 'gif' }],
    ['nothing', { thumbnails: 'absent' }],
  ])('has no picture where the service has %s', async (_name, dialect) => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open(dialect);
    expect(await codeOf(readFile(thumbnail('a.png')))).toBe('ENOENT');
    const { thumbnail: fetched } = calls();
    expect(await codeOf(readFile(thumbnail('a.png')))).toBe('ENOENT');
    expect(calls()['thumbnail']).toBe(fetched);
  });

  it.each(['relative', 'vault', 'elsewhere'] as const)('has pictures that are %s', async (thumbnails) => {
    const { versionId } = drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open({ thumbnails, folderCall: '404', idBase: 2n ** 60n });
    expectColour(await readFile(thumbnail('a.png')), versionId);
  });

  it('shows no content that is not stored yet, and the new one afterwards', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    const before = await readFile(thumbnail('a.png'));
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(join(photos, 'a.png'), 'another picture');
    expect(await codeOf(readFile(join(photos, '.sh_thumbnails', 'large', `${hash('a.png')}.png`)))).toBe('ENOENT');
    await drive.succeed(['resume', drive.mountpoint]);
    await drive.succeed(['flush', drive.mountpoint]);
    await drive.succeed(['refresh', photos]);
    const after = await readFile(join(photos, '.sh_thumbnails', 'large', `${hash('a.png')}.png`));
    expect(after.equals(before)).toBe(false);
    expect(decode(after).text['Thumb::Size']).toBe('15');
  });

  it('follows a file that is renamed', async () => {
    const { versionId } = drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    await readFile(thumbnail('a.png'));
    await rename(join(photos, 'a.png'), join(photos, 'b.png'));
    await drive.succeed(['flush', drive.mountpoint]);
    await drive.succeed(['refresh', photos]);
    await expect.poll(() => codeOf(readFile(thumbnail('b.png'))), { timeout: 5_000 }).toBe('done');
    expectColour(await readFile(thumbnail('b.png')), versionId);
  });

  it('gives way to a folder of the service of that name', async () => {
    const own = drive.store.addFolder(id, root, '.sh_thumbnails');
    drive.store.addFile(id, own.id, 'mine', Buffer.from('mine'));
    await open();
    expect(await readdir(join(photos, '.sh_thumbnails'))).toEqual(['mine']);
  });

  it.skipIf(lacks('getfattr'))('refuses every change with EROFS', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    const path = thumbnail('a.png');
    await readFile(path);
    const refused = [
      unlink(path),
      writeFile(path, 'x'),
      writeFile(join(photos, '.sh_thumbnails', 'normal', 'new'), 'x'),
      rename(path, join(photos, 'a.thumb.png')),
      rmdir(join(photos, '.sh_thumbnails')),
      mkdir(join(photos, '.sh_thumbnails', 'x-large')),
    ];
    expect(await Promise.all(refused.map(codeOf))).toEqual(refused.map(() => 'EROFS'));
    const { stdout } = await run('getfattr', ['-d', '--absolute-names', path]).catch(() => ({ stdout: undefined }));
    if (stdout !== undefined) expect(stdout).toContain('user.syncplicity.file_id');
  });

  it('says EIO, not that there is no picture, while the service cannot be reached', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    await readdir(photos);
    await drive.interruptService(async () => {
      expect(await codeOf(readFile(thumbnail('a.png')))).toBe('EIO');
    });
    expect(await codeOf(readFile(thumbnail('a.png')))).toBe('done');
  });

  it('keeps no address on this machine', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open({ thumbnails: 'elsewhere' });
    await readFile(thumbnail('a.png'));
    await drive.unmount();
    const { stdout, code } = await run('grep', ['-rla', '/pictures/', drive.user.home]);
    expect([code, stdout]).toEqual([1, '']);
  });
});
