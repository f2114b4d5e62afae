// `syncplicityfs thumbnails` over a real mount: what file managers find in the user's cache afterwards, what it costs, and what it tells.
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
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

interface Told {
  readonly folders: number;
  readonly written: number;
  readonly present: number;
  readonly without: number;
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly failed: readonly { readonly path: string; readonly reason: string }[];
}

async function fill(path: string, ...args: string[]): Promise<Told> {
  const { stdout } = await drive.succeed(['thumbnails', path, '--json', ...args]);
  return JSON.parse(stdout) as Told;
}

/** Calls and requests by name, without those of signing in. */
function counted(): Record<string, number> {
  return { ...drive.emulator.calls().byEndpoint };
}

const hash = (text: string): string => createHash('md5').update(text).digest('hex');
const cached = (size: string, path: string): string =>
  join(drive.user.home, '.cache', 'thumbnails', size, `${hash(`file://${encodeURI(path)}`)}.png`);

describe.skipIf(!fuseExists)('thumbnails', () => {
  it('are where file managers look, say what they show, and cost no content', async () => {
    const file = drive.store.addFile(id, root, 'me at sea.png', Buffer.from('not looked at'));
    drive.store.addFile(id, root, 'letter.txt', Buffer.from('text'));
    await open();
    expect(await fill(photos)).toEqual({ folders: 1, written: 1, present: 0, without: 1, skipped: [], failed: [] });
    const shown = await stat(join(photos, 'me at sea.png'));
    for (const size of ['normal', 'large']) {
      const path = cached(size, join(photos, 'me at sea.png'));
      const { text, data, width, height } = decode(await readFile(path));
      expect(text).toMatchObject({
        'Thumb::URI': `file://${encodeURI(join(photos, 'me at sea.png'))}`,
        'Thumb::MTime': String(Math.floor(shown.mtimeMs / 1000)),
        'Thumb::Size': '13',
      });
      expect([width, height]).toEqual([40, 40]);
      // JPEG gives colours back nearly as they were.
      pictureColour(file.versionId).forEach((value, index) => {
        expect(Math.abs((data[index] as number) - value)).toBeLessThan(8);
      });
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
      expect(await readdir(join(path, '..'))).toHaveLength(1);
    }
    const { retrieveFile, v2files, thumbnail } = counted();
    expect([retrieveFile, v2files, thumbnail]).toEqual([undefined, undefined, 1]);
  });

  it('are not asked for where they are there, and made anew where the file changed', async () => {
    drive.store.addFile(id, root, 'a.jpg', Buffer.from('a'));
    const { id: fileId } = drive.store.addFile(id, root, 'b.jpg', Buffer.from('b'));
    await open();
    expect(await fill(photos)).toMatchObject({ written: 2, present: 0 });
    const before = counted();
    expect(await fill(photos)).toMatchObject({ written: 0, present: 2 });
    expect(counted()).toEqual({ ...before, token: (before['token'] ?? 0) + 1 });
    const old = await readFile(cached('normal', join(photos, 'b.jpg')));
    drive.store.writeFile(id, fileId, Buffer.from('b, newer'));
    await drive.succeed(['refresh', photos]);
    await rm(cached('large', join(photos, 'a.jpg')));
    expect(await fill(photos)).toMatchObject({ written: 2, present: 0 });
    expect((await readFile(cached('normal', join(photos, 'b.jpg')))).equals(old)).toBe(false);
  });

  it('of folders below are brought with --recursive alone', async () => {
    const trip = drive.store.addFolder(id, root, 'Trip');
    drive.store.addFile(id, trip.id, 'c.png', Buffer.from('c'));
    drive.store.addFile(id, drive.store.addFolder(id, trip.id, 'Day 1').id, 'd.png', Buffer.from('d'));
    await open();
    expect(await fill(photos)).toMatchObject({ folders: 1, written: 0, without: 0 });
    expect(await fill(drive.mountpoint, '-r')).toMatchObject({ folders: 4, written: 2, without: 0 });
    expect(decode(await readFile(cached('normal', join(photos, 'Trip', 'Day 1', 'd.png')))).width).toBe(40);
  });

  it('are called by the path that the user goes, also through a link', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    const link = join(drive.user.home, 'pictures');
    await symlink(drive.mountpoint, link);
    expect(await fill(join(link, 'Photos'))).toMatchObject({ written: 1 });
    await readFile(cached('normal', join(link, 'Photos', 'a.png')));
  });

  it('show no content that is not stored yet', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    await readdir(photos);
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(join(photos, 'a.png'), 'another picture');
    await writeFile(join(photos, 'new.png'), 'new');
    const { written, skipped } = await fill(photos);
    expect(written).toBe(0);
    expect(skipped.map(({ path }) => path).sort()).toEqual([join(photos, 'a.png'), join(photos, 'new.png')]);
    expect(skipped.every(({ reason }) => reason.includes('not'))).toBe(true);
    await drive.succeed(['resume', drive.mountpoint]);
    await drive.succeed(['flush', drive.mountpoint]);
    expect(await fill(photos)).toMatchObject({ written: 2, skipped: [] });
  });

  it('tell the time that the mounted file has', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    await utimes(join(photos, 'a.png'), 1_500_000_000.75, 1_500_000_000.75);
    await fill(photos);
    const { text } = decode(await readFile(cached('normal', join(photos, 'a.png'))));
    expect(text['Thumb::MTime']).toBe('1500000000');
  });

  it.each<[string, Partial<Dialect>, Record<string, number>]>([
    ['at the gateway, by the path alone', { thumbnails: 'relative', thumbnailFormat: 'png' }, { thumbnail: 1 }],
    ['at the vault', { thumbnails: 'vault' }, { vaultThumbnail: 1 }],
    ['at a vault that only its own call names', { thumbnails: 'vault', endpointsCall: 'empty' }, { vaultThumbnail: 1 }],
    ['elsewhere', { thumbnails: 'elsewhere' }, { picture: 1 }],
    [
      'in a folder without folder.svc',
      { folderCall: '404', filesHaveLength: false, idBase: 2n ** 60n },
      { thumbnail: 1 },
    ],
  ])('are found %s', async (_name, dialect, requests) => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open(dialect);
    expect(await fill(photos)).toMatchObject({ written: 1, failed: [], skipped: [] });
    expect(counted()).toMatchObject(requests);
  });

  it('say what cannot be shown, and fail for what cannot be had', async () => {
    drive.store.addFile(id, root, 'a.gif', Buffer.from('a'));
    await open({ thumbnailFormat: 'gif' });
    const { stdout, stderr } = await drive.succeed(['thumbnails', photos]);
    expect(stdout).toBe('0 thumbnails written, 1 skipped\n');
    expect(stderr).toContain(
      `${join(photos, 'a.gif')}: Syncplicity's picture cannot be shown: it is neither PNG nor JPEG`,
    );
    drive.emulator.setFaults([{ endpoint: 'thumbnail', kind: 'status', status: 404, text: 'File Not Found' }]);
    const failed = await drive.user.run(['thumbnails', photos]);
    expect(failed.code).toBe(1);
    expect(failed.stdout).toBe('0 thumbnails written, 1 failed\n');
    expect(failed.stderr).toContain('File Not Found (HTTP 404)');
  });

  it('are none where the service has none', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open({ thumbnails: 'absent' });
    expect(await fill(photos)).toMatchObject({ written: 0, without: 1 });
  });

  it('want a folder of a drive', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    const file = await drive.user.run(['thumbnails', join(photos, 'a.png')]);
    expect(file.stderr).toContain('is a file: name its folder');
    const elsewhere = await drive.user.run(['thumbnails', drive.user.home]);
    expect(elsewhere.stderr).toContain('is not in a drive of syncplicityfs');
    expect([file.code, elsewhere.code]).toEqual([1, 1]);
  });

  it('that are there already stay when the user interrupts', async () => {
    drive.store.addFile(id, root, 'a.png', Buffer.from('a'));
    await open();
    drive.emulator.setFaults([{ endpoint: 'thumbnail', kind: 'hang' }]);
    const child = drive.user.start(['thumbnails', photos]);
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    await expect.poll(() => counted()['thumbnail'], { timeout: 10_000 }).toBe(1);
    child.kill('SIGINT');
    expect(await ended).toBe(1);
    expect(stdout).toBe('0 thumbnails written\n');
    expect(stderr).toContain('interrupted: run it again for what is missing');
  });

  it.skipIf(lacks('python3'))('have names that GLib computes too', async () => {
    drive.store.addFile(id, root, "ü & $1 (a+b), 'c' 100%.png", Buffer.from('a'));
    await open();
    expect(await fill(photos)).toMatchObject({ written: 1 });
    const script = `
import sys, os, hashlib
allowed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$&'()*+,-./:=@_~"
path = os.fsencode(os.path.join(sys.argv[1], os.listdir(sys.argv[1])[0]))
uri = 'file://' + ''.join(chr(b) if b in allowed else '%%%02X' % b for b in path)
print(hashlib.md5(uri.encode()).hexdigest())
`;
    const { stdout } = await run('python3', ['-c', script, photos]);
    expect(await readdir(join(drive.user.home, '.cache', 'thumbnails', 'normal'))).toEqual([`${stdout.trim()}.png`]);
  });
});
