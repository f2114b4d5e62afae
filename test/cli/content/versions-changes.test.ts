// `versions get`, `restore` and `delete` by a user of an account, with and without a mount, against dialects that differ in what they tell.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DialectName } from '../../../src/emulator/dialect.ts';
import { dialects } from '../../../src/emulator/dialect.ts';
import { Drive, fuseExists, pattern } from '../../mount/drive.ts';
import type { Outcome } from '../program.ts';

const path = 'test:/Projects/plan.txt';
let drive: Drive;
let id: number;
let fileId: number;
let work: string;

beforeEach(() => {
  drive = new Drive();
  const { id: syncpointId, rootFolderId } = drive.store.addSyncpoint('Projects');
  id = syncpointId;
  ({ id: fileId } = drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('first')));
  drive.store.writeFile(id, fileId, Buffer.from('the second'));
  work = drive.user.directory('work');
});

afterEach(async () => {
  await drive.stop();
});

const versions = (...args: string[]): Promise<Outcome> => drive.user.run(['versions', ...args]);

interface Version {
  readonly id: string;
  readonly bytes: number;
  readonly added: string;
}

async function listed(): Promise<Version[]> {
  const { stdout } = await drive.succeed(['versions', 'list', path, '--json']);
  return JSON.parse(stdout) as Version[];
}

/** The id of the version of that age: 0 is the newest. */
async function idOf(age: number): Promise<string> {
  return (await listed())[age]?.id ?? 'none';
}

async function present(): Promise<string> {
  const record = await drive.store.file(id, fileId);
  const content = await drive.store.open(id, record?.versionId ?? 0);
  const pieces: Uint8Array[] = [];
  for await (const piece of content?.stream(0, content.lengthBytes) ?? []) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

describe('versions get', () => {
  it('writes an old version to a file, with the time it came to the service, and leaves nothing else behind', async () => {
    await drive.serve();
    const [, first] = await listed();
    const to = join(work, 'old.txt');
    await writeFile(to, 'what was there');
    const { stdout } = await drive.succeed(['versions', 'get', path, first?.id ?? '', '-o', to]);
    expect(stdout).toBe(`5 bytes written to ${to}\n`);
    expect(await readFile(to, 'utf8')).toBe('first');
    expect((await stat(to)).mtime.toISOString()).toBe(first?.added);
    expect(await readdir(work)).toEqual(['old.txt']);
  });

  it('writes to stdout, into a directory, and answers in JSON', async () => {
    await drive.serve();
    const first = await idOf(1);
    expect((await drive.succeed(['versions', 'get', path, first, '-o', '-'])).stdout).toBe('first');
    const { stdout } = await drive.succeed(['versions', 'get', path, first, '-o', work, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ id: first, bytes: 5, file: join(work, 'plan.txt') });
    expect(await readFile(join(work, 'plan.txt'), 'utf8')).toBe('first');
  });

  it('goes on where a download broke off, and writes nothing where it cannot', async () => {
    const bytes = pattern(3 << 20, 7);
    drive.store.writeFile(id, fileId, bytes);
    await drive.serve();
    const newest = await idOf(0);
    const to = join(work, 'copy');
    drive.emulator.setFaults([{ kind: 'truncate', endpoint: 'retrieveFile', afterBytes: 1 << 20, count: 1 }]);
    await drive.succeed(['versions', 'get', path, newest, '-o', to]);
    expect((await readFile(to)).equals(bytes)).toBe(true);
    const refusal = { kind: 'status', status: 403, text: 'Not An Owner', probability: 1 } as const;
    drive.emulator.setFaults([
      { ...refusal, endpoint: 'retrieveFile' },
      { ...refusal, endpoint: 'v2files' },
    ]);
    const outcome = await versions('get', path, newest, '-o', join(work, 'none'));
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('Not An Owner');
    expect(await readdir(work)).toEqual(['copy']);
  });

  it.each([
    [['get', path, '12'], 1, `${path} has no version 12: versions list shows those it has\n`],
    [['get', path, 'x'], 2, '"x" is no version\n'],
    [['get', path, '12', '-o', '-', '--json'], 2, '--json and the content cannot both go to stdout\n'],
    [['get', 'test:/Projects', '12'], 1, 'test:/Projects is a folder: only files have versions\n'],
    [['restore', path, '12'], 1, `${path} has no version 12: versions list shows those it has\n`],
    [['delete', path, '12'], 1, `${path} has no version 12: versions list shows those it has\n`],
  ])('refuses %j', async (args, code, message) => {
    await drive.serve();
    const outcome = await versions(...args);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(outcome.stderr).toContain(`syncplicityfs: ${message}`);
  });
});

describe('versions restore', () => {
  it('waits for a listing that lags, and says what is the present version then', async () => {
    await drive.serve({ dialect: { listingLagMs: 1_500, uploadReply: 'text' } });
    const old = await idOf(1);
    expect(await versions('restore', path, old)).toMatchObject({ code: 0, stderr: '' });
    expect(await present()).toBe('first');
  });

  it.each<DialectName>(['observed', 'guide', 'uploads-unchecked', 'ignores-case', 'uploads-silent'])(
    'stores the old bytes as the newest version of %s',
    async (dialect) => {
      await drive.serve({ dialect: dialects[dialect] });
      const first = await idOf(1);
      const { stdout } = await drive.succeed(['versions', 'restore', path, first, '--json']);
      const told = JSON.parse(stdout) as Record<string, unknown>;
      expect(told).toEqual({ restored: first, version: expect.stringMatching(/^\d+$/) as string, bytes: 5 });
      const [newest] = await listed();
      expect(newest).toMatchObject({ id: told['version'], bytes: 5 });
      expect(newest?.id).not.toBe(first);
    },
  );

  it('says so where it is the present one, and leaves what somebody stores meanwhile', async () => {
    await drive.serve();
    const [newest, first] = [await idOf(0), await idOf(1)];
    const same = await versions('restore', path, newest);
    expect(same.stderr).toBe(`syncplicityfs: version ${newest} is what ${path} has already\n`);
    drive.emulator.setFaults([{ kind: 'slow', endpoint: 'retrieveFile', delayMs: 1500 }]);
    const restoring = versions('restore', path, first);
    await expect.poll(() => drive.emulator.calls().byEndpoint['retrieveFile'] ?? 0, { timeout: 20_000 }).toBe(1);
    drive.store.writeFile(id, fileId, Buffer.from('theirs'));
    const { code, stderr } = await restoring;
    expect(code).toBe(1);
    expect(stderr).toContain(`${path} was changed meanwhile: nothing was restored\n`);
    expect(await present()).toBe('theirs');
  });

  it('leaves no copy on this machine', async () => {
    await drive.serve();
    await drive.succeed(['versions', 'restore', path, await idOf(1)]);
    expect(await present()).toBe('first');
    expect(await readdir(drive.user.directory('.cache', 'syncplicityfs'))).toEqual([]);
  });

  it.skipIf(!fuseExists)(
    'is seen in a mounted drive at once; not made before what was written there is stored',
    async () => {
      await drive.serve();
      await drive.mount();
      const file = join(drive.mountpoint, 'Projects', 'plan.txt');
      const first = await idOf(1);
      expect(await readFile(file, 'utf8')).not.toBe('first');
      await drive.succeed(['versions', 'restore', file, first]);
      expect(await readFile(file, 'utf8')).toBe('first');
      await drive.succeed(['pause', drive.mountpoint]);
      await writeFile(file, 'mine');
      const refused = await versions('restore', file, first);
      expect(refused.stderr).toBe(
        `syncplicityfs: ${file}: what was written last is not at Syncplicity yet: flush first\n`,
      );
      await drive.succeed(['resume', drive.mountpoint]);
    },
  );
});

describe('versions delete', () => {
  it('deletes old versions, and refuses the present one before it deletes any', async () => {
    drive.store.writeFile(id, fileId, Buffer.from('third'));
    await drive.serve();
    const [third = '', second = '', first = ''] = (await listed()).map((version) => version.id);
    const refused = await versions('delete', path, first, third);
    expect(refused.stderr).toBe(
      `syncplicityfs: version ${third} is what ${path} has now: remove the file, or restore another version first\n`,
    );
    expect(await listed()).toHaveLength(3);
    expect((await drive.succeed(['versions', 'delete', path, second])).stdout).toBe(`version ${second} is deleted\n`);
    expect((await listed()).map((version) => version.id)).toEqual([third, first]);
    const { stdout } = await drive.succeed(['versions', 'delete', path, first, '--json']);
    expect(JSON.parse(stdout)).toEqual({ deleted: [first] });
    expect((await listed()).map((version) => version.id)).toEqual([third]);
    expect(await present()).toBe('third');
  });

  it('says what the service said', async () => {
    await drive.serve();
    drive.emulator.setFaults([
      { kind: 'status', endpoint: 'versionDelete', status: 403, text: 'Syncpoint Shared With Reader Permission' },
    ]);
    const { stderr } = await versions('delete', path, await idOf(1));
    expect(stderr).toMatch(/version\.svc DELETE: version \d+ of file \d+: Syncpoint Shared With Reader Permission/);
  });
});
