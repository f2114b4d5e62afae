// `versions list` by a user: of an account without a mount, of a mounted drive, and of a directory behind an emulator of its own.
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists } from '../../mount/drive.ts';
import type { Outcome } from '../program.ts';

let drive: Drive;
let id: number;
let fileId: number;

beforeEach(() => {
  drive = new Drive();
  const { id: syncpointId, rootFolderId } = drive.store.addSyncpoint('Projects');
  id = syncpointId;
  ({ id: fileId } = drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('first')));
  drive.store.writeFile(id, fileId, Buffer.from('the second'));
});

afterEach(async () => {
  await drive.stop();
});

const list = (path: string, ...more: string[]): Promise<Outcome> => drive.user.run(['versions', 'list', path, ...more]);

interface Version {
  readonly id: string;
  readonly bytes: number;
  readonly action: string;
}

async function versionsOf(path: string, ...more: string[]): Promise<Version[]> {
  const { stdout, stderr, code } = await list(path, '--json', ...more);
  expect([stderr, code]).toEqual(['', 0]);
  return JSON.parse(stdout) as Version[];
}

describe('of an account that is not mounted', () => {
  it('prints a table', async () => {
    await drive.serve();
    const { stdout, code } = await list('test:/Projects/plan.txt');
    const [header, ...rows] = stdout.trimEnd().split('\n');
    expect(header).toMatch(/^Version +Added +Bytes Action User +Source$/);
    expect(rows.map((row) => row.split(/ +/).slice(3, 5))).toEqual([
      ['10', 'edited'],
      ['5', 'added'],
    ]);
    expect(code).toBe(0);
  });

  it('prints JSON with keys that stay', async () => {
    await drive.serve();
    const [first] = await versionsOf('test:/Projects/plan.txt');
    expect(Object.keys(first ?? {})).toEqual(['id', 'added', 'bytes', 'action', 'user', 'email', 'source']);
    expect(first).toMatchObject({ bytes: 10, action: 'edited', email: drive.emulator.credentials.email });
  });

  it('counts its calls in the budget that mounts use', async () => {
    await drive.serve();
    await versionsOf('test:/Projects/plan.txt');
    const directory = drive.user.directory('.local', 'state', 'syncplicityfs', 'budgets');
    const [name, ...others] = await readdir(directory);
    expect(others).toEqual([]);
    const { calls } = JSON.parse(await readFile(join(directory, name ?? ''), 'utf8')) as {
      calls: Record<string, Record<string, number>>;
    };
    const counts = Object.values(calls).flatMap((minutes) => Object.values(minutes));
    // Token, syncpoints, listing, versions.
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4);
  });

  it.each([
    ['test:/Projects/no.txt', 1, 'there is nothing at /Projects/no.txt'],
    ['test:/Projects', 1, 'test:/Projects is a folder: only files have versions'],
    ['test:/', 1, 'test:/ is a folder: only files have versions'],
    ['other:/Projects/plan.txt', 2, 'there is no connection "other"'],
    ['/etc/passwd', 1, '/etc/passwd is not in a drive of syncplicityfs of yours'],
    ['', 2, 'the path is empty'],
  ])('refuses %j', async (path, code, message) => {
    await drive.serve();
    const outcome = await list(path);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toContain(`syncplicityfs: ${message}\n`);
    expect(outcome.stdout).toBe('');
  });

  it('says what the service said, and what to do', async () => {
    await drive.serve();
    drive.emulator.setFaults([{ kind: 'status', endpoint: 'versions', status: 403, text: 'Not An Owner' }]);
    const { code, stderr } = await list('test:/Projects/plan.txt');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^syncplicityfs: versions\.svc GET: version \d+ of syncpoint \d+: Not An Owner \(HTTP 403\)\nask the owner/,
    );
  });
});

describe.skipIf(!fuseExists)('of a mounted drive', () => {
  it('lists by path, says what is not stored yet, and reaches the service of the mount', async () => {
    await drive.serve();
    await drive.mount();
    const path = join(drive.mountpoint, 'Projects', 'plan.txt');
    expect((await versionsOf(path)).map(({ bytes }) => bytes)).toEqual([10, 5]);
    await drive.succeed(['pause', drive.mountpoint]);
    await appendFile(path, '!');
    const { stderr, stdout } = await list(path);
    expect(stderr).toContain('what was written last is not at Syncplicity yet');
    expect(stdout.trimEnd().split('\n')).toHaveLength(3);
    await writeFile(join(drive.mountpoint, 'Projects', 'new.txt'), 'new');
    const refused = await list(join(drive.mountpoint, 'Projects', 'new.txt'));
    expect([refused.code, refused.stderr]).toEqual([
      1,
      'syncplicityfs: /Projects/new.txt is not stored at Syncplicity yet: flush first\n',
    ]);
    await drive.succeed(['resume', drive.mountpoint]);
    await drive.succeed(['flush', drive.mountpoint]);
    expect((await versionsOf(path)).map(({ bytes }) => bytes)).toEqual([11, 10, 5]);
  });
});

describe('of a directory', () => {
  it.skipIf(!fuseExists)(
    'reaches the emulator that runs for its mount, and one of its own without a mount',
    async () => {
      const directory = drive.user.directory('things');
      await mkdir(join(directory, 'sub'));
      await writeFile(join(directory, 'sub', 'a.txt'), 'one');
      await drive.user.addDirectory('local', directory);
      const before = await versionsOf('local:/things/sub/a.txt');
      expect(before.map(({ bytes, action }) => [bytes, action])).toEqual([[3, 'added']]);
      await drive.succeed(['mount', 'local', drive.mountpoint]);
      const path = join(drive.mountpoint, 'things', 'sub', 'a.txt');
      await appendFile(path, 'two');
      await drive.succeed(['flush', drive.mountpoint]);
      const mounted = await versionsOf(path);
      expect(mounted.map(({ bytes }) => bytes)).toEqual([6, 3]);
      expect(mounted[1]).toEqual(before[0]);
      expect(await versionsOf('local:/things/sub/a.txt')).toEqual(mounted);
      await drive.unmount();
      expect(await versionsOf('local:/things/sub/a.txt')).toEqual(mounted);
    },
  );
});
