// `files` and `folders` by a user: single calls about an account without a mount, and about what a mounted drive shows, which sees them at once.
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { Drive, fuseExists } from '../../mount/drive.ts';

let drive: Drive;

beforeEach(() => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  const { id: folder } = drive.store.addFolder(id, rootFolderId, 'plans');
  drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('first'));
  drive.store.addFile(id, folder, 'deep.txt', Buffer.from('deep'));
});
afterEach(() => drive.stop());

const local = (name: string): string => join(drive.user.home, name);

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse((await drive.succeed([...args, '--json'])).stdout) as T;
}

const names = async (path: string): Promise<string[]> =>
  (await json<{ name: string }[]>('files', 'list', path)).map(({ name }) => name);

describe.each<DialectName>(['observed', 'guide', 'all-strings', 'large-ids'])('of %s', (dialect) => {
  beforeEach(() => drive.serve({ dialect: dialects[dialect] }));

  it('files are listed, shown, fetched, stored and deleted', async () => {
    const [file, ...more] = await json<Record<string, unknown>[]>('files', 'list', 'test:/Projects');
    expect(more).toEqual([]);
    expect(Object.keys(file ?? {})).toEqual(['id', 'version', 'name', 'bytes', 'modified', 'created']);
    expect(file).toMatchObject({ name: 'plan.txt', bytes: 5 });
    expect(await json('files', 'show', 'test:/Projects/plan.txt')).toEqual(file);

    expect((await drive.succeed(['files', 'get', 'test:/Projects/plans/deep.txt', '-o', '-'])).stdout).toBe('deep');
    await drive.succeed(['files', 'get', 'test:/Projects/plan.txt', '-o', local('got.txt')]);
    expect(await readFile(local('got.txt'), 'utf8')).toBe('first');
    expect((await stat(local('got.txt'))).mtime.toISOString()).toBe(file?.['modified']);

    await writeFile(local('new.txt'), 'new content');
    await utimes(local('new.txt'), 1_600_000_000, 1_600_000_000);
    const stored = await json<{ version: string }>('files', 'put', local('new.txt'), 'test:/Projects/plans');
    expect(stored).toMatchObject({ name: 'new.txt', bytes: 11, modified: '2020-09-13T12:26:40.000Z' });
    const next = await json<{ version: string }>('files', 'put', local('got.txt'), 'test:/Projects/plans/new.txt');
    expect(next.version).not.toBe(stored.version);
    expect((await drive.succeed(['files', 'get', 'test:/Projects/plans/new.txt', '-o', '-'])).stdout).toBe('first');
    // Into a syncpoint itself, and one of no bytes.
    await writeFile(local('empty'), '');
    await drive.succeed(['files', 'put', local('empty'), 'test:/Projects']);
    expect(await names('test:/Projects')).toEqual(['empty', 'plan.txt']);

    await drive.succeed(['files', 'delete', 'test:/Projects/empty', 'test:/Projects/plans/deep.txt']);
    expect(await names('test:/Projects')).toEqual(['plan.txt']);
    expect(await names('test:/Projects/plans')).toEqual(['new.txt']);
  });

  it('folders are listed, made and deleted', async () => {
    const made = await json<{ id: string }>('folders', 'create', 'test:/Projects/plans/new');
    expect(await json('folders', 'list', 'test:/Projects/plans')).toEqual([{ id: made.id, name: 'new' }]);
    await drive.succeed(['folders', 'delete', 'test:/Projects/plans/new']);
    expect(await json('folders', 'list', 'test:/Projects/plans')).toEqual([]);

    const refused = await drive.user.run(['folders', 'delete', 'test:/Projects/plans']);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('is not empty: say --yes where nobody can be asked');
    await drive.succeed(['folders', 'delete', 'test:/Projects/plans', '--yes']);
    expect(await json('folders', 'list', 'test:/Projects')).toEqual([]);
  });
});

describe('refusals', () => {
  beforeEach(() => drive.serve());

  it.each([
    [['files', 'list', 'test:/'], 1, 'is the drive, which holds syncpoints'],
    [['files', 'list', 'test:/Projects/plan.txt'], 1, 'is a file, not a folder'],
    [['files', 'show', 'test:/Projects/plans'], 1, 'is a folder, not a file'],
    [['files', 'get', 'test:/Projects/none'], 1, 'none'],
    [['files', 'get', 'test:/Projects/plan.txt', '-o', '-', '--json'], 2, 'cannot both go to stdout'],
    [['files', 'put', '/etc', 'test:/Projects'], 2, '/etc is no file'],
    [['files', 'delete', 'test:/Projects/plan.txt', 'test:/Projects/plans'], 1, 'is a folder, not a file'],
    [['folders', 'create', 'test:/Projects/plans'], 1, 'something of that name is there already'],
    [['folders', 'create', 'test:/New'], 1, 'is the drive, which holds syncpoints'],
    [['folders', 'delete', 'test:/Projects', '--yes'], 1, 'is a syncpoint: syncpoints delete ends those'],
  ] as const)('of %j', async (args, code, message) => {
    const before = drive.emulator.calls().byEndpoint;
    const outcome = await drive.user.run(args);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(outcome.stderr).toContain(message);
    // Nothing was removed on the way to the refusal.
    expect(drive.emulator.calls().byEndpoint['fileDelete']).toBe(before['fileDelete']);
    expect(await names('test:/Projects')).toEqual(['plan.txt']);
  });
});

it.skipIf(!fuseExists)('a mounted drive shows at once what was done by paths in it', async () => {
  await drive.serve();
  await drive.mount({ mount: ['--poll-interval', '1h'] });
  const projects = join(drive.mountpoint, 'Projects');
  expect(await readdir(projects)).toEqual(['plan.txt', 'plans']);
  await writeFile(local('new.txt'), 'new');
  await drive.succeed(['folders', 'create', join(projects, 'made')]);
  await drive.succeed(['files', 'put', local('new.txt'), join(projects, 'made')]);
  await drive.succeed(['files', 'put', local('new.txt'), join(projects, 'plan.txt')]);
  expect(await readdir(projects)).toEqual(['made', 'plan.txt', 'plans']);
  expect(await readFile(join(projects, 'made', 'new.txt'), 'utf8')).toBe('new');
  expect(await readFile(join(projects, 'plan.txt'), 'utf8')).toBe('new');
  await drive.succeed(['files', 'delete', join(projects, 'plan.txt')]);
  await drive.succeed(['folders', 'delete', join(projects, 'made'), '--yes']);
  expect(await readdir(projects)).toEqual(['plans']);

  // What is written and not sent is nobody's to delete by an older version.
  await drive.succeed(['pause', drive.mountpoint]);
  await writeFile(join(projects, 'plans', 'deep.txt'), 'newer');
  const refused = await drive.user.run(['files', 'delete', join(projects, 'plans', 'deep.txt')]);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('what was written last is not at Syncplicity yet');
  await drive.succeed(['resume', drive.mountpoint]);
  await drive.succeed(['flush', drive.mountpoint]);
});
