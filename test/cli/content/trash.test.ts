// `trash list`, `restore` and `purge` by a user: over dialects that tell more and less of what was removed.
import { readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { Drive, fuseExists } from '../../mount/drive.ts';
import type { Outcome } from '../program.ts';

const modified = 14_459_872_820_000_000n;
let drive: Drive;
let id: number;
let root: number;
let oldId: number;

beforeEach(async () => {
  drive = new Drive();
  ({ id, rootFolderId: root } = drive.store.addSyncpoint('Projects'));
  ({ id: oldId } = drive.store.addFile(id, root, 'old.txt', Buffer.from('what it was'), { modified }));
  drive.store.addFile(id, root, 'kept.txt', Buffer.from('kept'));
  const { id: folder } = drive.store.addFolder(id, root, 'folder');
  const { id: inner } = drive.store.addFolder(id, folder, 'inner');
  drive.store.addFile(id, folder, 'a.txt', Buffer.from('a'));
  drive.store.addFile(id, inner, 'empty', Buffer.alloc(0));
  await drive.store.removeFile(id, oldId);
  await drive.store.removeFolder(id, folder);
});

afterEach(async () => {
  await drive.stop();
});

const trash = (...args: string[]): Promise<Outcome> => drive.user.run(['trash', ...args]);

interface Listed {
  readonly id: string;
  readonly path: string;
}

async function listed(...more: string[]): Promise<Listed[]> {
  const { stdout } = await drive.succeed(['trash', 'list', 'test:/Projects', '--json', ...more]);
  return JSON.parse(stdout) as Listed[];
}

/** What the account has: paths, and texts of files. */
async function present(folderId = root, path = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const listing = await drive.store.list(id, folderId, { deleted: false });
  for (const file of listing?.files ?? []) {
    const content = await drive.store.open(id, file.versionId);
    const pieces: Uint8Array[] = [];
    for await (const piece of content?.stream(0, content.lengthBytes) ?? []) pieces.push(piece);
    found[`${path}/${file.name}`] = Buffer.concat(pieces).toString();
  }
  for (const folder of listing?.folders ?? []) {
    found[`${path}/${folder.name}/`] = '';
    Object.assign(found, await present(folder.id, `${path}/${folder.name}`));
  }
  return found;
}

describe('trash list', () => {
  it.each<DialectName>(['observed', 'guide', 'paged-inclusive', 'all-strings', 'large-ids', 'wcf', 'terse'])(
    'tells what was removed from a folder of %s',
    async (dialect) => {
      await drive.serve({ dialect: dialects[dialect] });
      const entries = await listed();
      expect(entries.map(({ path }) => path).sort()).toEqual(['/Projects/folder', '/Projects/old.txt']);
      expect(entries.find(({ path }) => path.endsWith('old.txt'))).toEqual({
        id: expect.stringMatching(/^\d+$/) as string,
        kind: 'file',
        path: '/Projects/old.txt',
        version: expect.stringMatching(/^\d+$/) as string,
        bytes: 11,
        modified: '2015-10-27T23:08:02.000Z',
      });
    },
  );

  it('goes through folders and removed folders with -r', async () => {
    await drive.serve();
    expect((await listed('-r')).map(({ path }) => path).sort()).toEqual([
      '/Projects/folder',
      '/Projects/folder/a.txt',
      '/Projects/folder/inner',
      '/Projects/folder/inner/empty',
      '/Projects/old.txt',
    ]);
  });

  it('says where the service does not tell what a removed folder held', async () => {
    await drive.serve({ dialect: dialects['trash-closed'] });
    const { stdout, stderr, code } = await trash('list', 'test:/Projects', '-r');
    expect(stdout.trimEnd().split('\n')).toHaveLength(3);
    expect(stdout).toMatch(/^Id +Kind +Bytes +Modified +Path\n/);
    expect(stderr).toBe('syncplicityfs: Syncplicity does not tell what /Projects/folder held\n');
    expect(code).toBe(0);
  });

  it.each([
    ['test:/Projects/kept.txt', 'test:/Projects/kept.txt is a file: only folders have a trash'],
    ['test:/', 'test:/ is the whole drive: name a folder of a syncpoint'],
  ])('refuses %j', async (path, message) => {
    await drive.serve();
    expect(await trash('list', path)).toMatchObject({ code: 1, stderr: `syncplicityfs: ${message}\n`, stdout: '' });
  });
});

describe('trash restore', () => {
  it.each<DialectName>(['observed', 'guide', 'uploads-silent', 'uploads-v2', 'lagging'])(
    'stores a file of %s under its name again, with its times',
    async (dialect) => {
      await drive.serve({ dialect: dialects[dialect] });
      await drive.succeed(['trash', 'restore', 'test:/Projects/old.txt']);
      expect(await present()).toEqual({ '/kept.txt': 'kept', '/old.txt': 'what it was' });
      const child = await drive.store.child(id, root, 'old.txt', { ignoreCase: false });
      expect(child?.kind === 'file' && child.file.modified).toBe(modified);
    },
  );

  it('restores a folder with what it held', async () => {
    await drive.serve();
    const { stdout } = await drive.succeed(['trash', 'restore', 'test:/Projects/folder', '--json']);
    expect(JSON.parse(stdout)).toEqual([
      { path: '/Projects/folder', kind: 'folder', error: null },
      { path: '/Projects/folder/a.txt', kind: 'file', error: null },
      { path: '/Projects/folder/inner', kind: 'folder', error: null },
      { path: '/Projects/folder/inner/empty', kind: 'file', error: null },
    ]);
    const folder = { '/folder/': '', '/folder/a.txt': 'a', '/folder/inner/': '', '/folder/inner/empty': '' };
    expect(await present()).toEqual({ '/kept.txt': 'kept', ...folder });
  });

  it('replaces nothing that has the name now', async () => {
    drive.store.addFile(id, root, 'OLD.txt', Buffer.from('another'));
    drive.store.addFile(id, root, 'folder', Buffer.from('a file'));
    await drive.serve();
    for (const name of ['old.txt', 'folder']) {
      const { code, stderr } = await trash('restore', `test:/Projects/${name}`);
      expect(code).toBe(1);
      expect(stderr).toContain(`syncplicityfs: /Projects/${name} is there already: rename it first\n`);
    }
    expect(await present()).toEqual({ '/kept.txt': 'kept', '/OLD.txt': 'another', '/folder': 'a file' });
  });

  it('says so where the service does not give what was removed, and makes nothing', async () => {
    await drive.serve({ dialect: dialects['trash-closed'] });
    const file = await trash('restore', 'test:/Projects/old.txt');
    expect([file.code, file.stdout]).toEqual([1, '']);
    expect(file.stderr).toContain('User Not Authorized For Action');
    const folder = await trash('restore', 'test:/Projects/folder');
    expect([folder.code, folder.stdout]).toEqual([1, '']);
    expect(folder.stderr).toContain('does not tell what /Projects/folder held: restore it on its web page');
    expect(await present()).toEqual({ '/kept.txt': 'kept' });
  });

  it('asks which one is meant where several had the name', async () => {
    const { id: again } = drive.store.addFile(id, root, 'old.txt', Buffer.from('younger'));
    await drive.store.removeFile(id, again);
    await drive.serve();
    const path = 'test:/Projects/old.txt';
    const { code, stderr } = await trash('restore', path);
    expect([code, stderr]).toEqual([
      1,
      `syncplicityfs: several things that were ${path} lie in the trash: say which with --id, one of ${oldId}, ${again}\n`,
    ]);
    await drive.succeed(['trash', 'restore', path, '--id', String(again)]);
    expect((await present())['/old.txt']).toBe('younger');
    expect((await trash('restore', path, '--id', '1')).stderr).toContain('nothing with the id 1 lies in the trash');
  });

  it.skipIf(!fuseExists)('takes the path that it had in a mounted drive, which shows it at once', async () => {
    await drive.serve();
    await drive.mount();
    const path = join(drive.mountpoint, 'Projects', 'kept.txt');
    await unlink(path);
    await drive.succeed(['flush', drive.mountpoint]);
    await drive.succeed(['trash', 'restore', path]);
    expect((await present())['/kept.txt']).toBe('kept');
    expect(await readFile(path, 'utf8')).toBe('kept');
  });
});

describe('trash purge', () => {
  it('deletes one thing for good', async () => {
    await drive.serve();
    const { stdout } = await drive.succeed(['trash', 'purge', 'test:/Projects/old.txt']);
    expect(stdout).toBe('/Projects/old.txt is deleted for good\n');
    expect((await listed()).map(({ path }) => path)).toEqual(['/Projects/folder']);
    expect((await trash('purge', 'test:/Projects/old.txt')).stderr).toContain('nothing lies in the trash that was');
  });

  it('deletes all that was removed from a folder, if it is meant', async () => {
    await drive.serve();
    const refused = await trash('purge', '--all', 'test:/Projects');
    expect([refused.code, refused.stderr]).toEqual([
      2,
      'syncplicityfs: --all deletes for good: say --yes where nobody can be asked\n',
    ]);
    expect(await listed()).toHaveLength(2);
    const { stdout } = await drive.succeed(['trash', 'purge', '--all', '--yes', 'test:/Projects', '--json']);
    expect((JSON.parse(stdout) as { purged: Listed[] }).purged).toHaveLength(2);
    expect(await listed()).toEqual([]);
    expect(await present()).toEqual({ '/kept.txt': 'kept' });
  });

  it('says what the service said', async () => {
    await drive.serve();
    drive.emulator.setFaults([{ kind: 'status', endpoint: 'fileDelete', status: 403, text: 'Not An Owner' }]);
    const { code, stderr } = await trash('purge', 'test:/Projects/old.txt');
    expect(code).toBe(1);
    expect(stderr).toMatch(/file\.svc DELETE: version \d+ of syncpoint \d+: Not An Owner \(HTTP 403\)\nask the owner/);
  });
});
