// The attribute `user.syncplicity.link` through the kernel, with the programs that people use: read by name, set and removed, and what
// lists or copies attributes makes neither calls nor links.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../src/emulator/dialect.ts';
import { LinkStore, type LinkRecord } from '../../src/emulator/links.ts';
import type { SyncpointRecord } from '../../src/emulator/store.ts';
import { Drive, fuseExists, run, type DriveOptions } from './drive.ts';
import { lacks } from '../machine.ts';

const LINK = 'user.syncplicity.link';
let drive: Drive;
let syncpoint: SyncpointRecord;

beforeEach(() => {
  drive = new Drive();
  syncpoint = drive.store.addSyncpoint('P');
  const { id, rootFolderId } = syncpoint;
  drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('plan'));
  const folder = drive.store.addFolder(id, rootFolderId, 'dir');
  for (const name of ['plan.txt', 'b.txt', 'c.txt']) drive.store.addFile(id, folder.id, name, Buffer.from(name));
});

afterEach(async () => {
  await drive.stop();
});

const at = (path: string): string => join(drive.mountpoint, 'P', path);

async function mounted(options: DriveOptions = {}): Promise<void> {
  await drive.serve(options);
  await drive.mount(options);
}

async function get(path: string): Promise<string> {
  const { code, stdout, stderr } = await run('getfattr', ['--only-values', '-n', LINK, at(path)]);
  return code === 0 ? stdout : (/: (No such attribute|[^:]*)$/.exec(stderr.trim())?.[1] ?? stderr);
}

async function set(path: string, value: string | undefined): Promise<string> {
  const what = value === undefined ? ['-x', LINK] : ['-n', LINK, '-v', value];
  const { stderr } = await run('setfattr', [...what, at(path)]);
  return stderr.trim().split(': ').at(-1) ?? '';
}

interface Link {
  readonly token: string;
  readonly url: string;
  readonly policy: string;
}

async function listed(...args: string[]): Promise<Link[]> {
  return JSON.parse((await drive.succeed(['links', 'list', '--json', ...args])).stdout) as Link[];
}

const linkCalls = (): number => {
  const { byEndpoint } = drive.emulator.calls();
  return ['links', 'linksPost', 'link', 'linkPut', 'linkDelete'].reduce(
    (sum, name) => sum + (byEndpoint[name] ?? 0),
    0,
  );
};

describe.skipIf(!fuseExists || lacks('getfattr'))('the link of an object', () => {
  it('is read by name, of files and folders', async () => {
    await mounted();
    const { stdout } = await drive.succeed(['links', 'create', at('plan.txt'), at('dir')]);
    const urls = stdout.trimEnd().split('\n');
    expect([await get('plan.txt'), await get('dir')]).toEqual(urls);
    // One of the same name elsewhere, and the top, have none.
    expect([await get('dir/plan.txt'), await get('')]).toEqual(['No such attribute', 'No such attribute']);
    expect((await run('getfattr', ['-n', LINK, drive.mountpoint])).stderr).toContain('No such attribute');
    // All of that from one list.
    expect(drive.emulator.calls().byEndpoint['links']).toBe(1);
  });

  it('costs a walk over a thousand objects one call, however many links there are', async () => {
    const { id, rootFolderId } = syncpoint;
    const many = drive.store.addFolder(id, rootFolderId, 'many');
    const files = Array.from({ length: 1000 }, (_, index) =>
      drive.store.addFile(id, many.id, `${index}.txt`, Buffer.from('x')),
    );
    const records = Array.from({ length: 10_000 }, (_, index): LinkRecord => {
      const file = files[(index * 2) % 1000];
      return {
        ...{ token: `t${index}`, syncpointId: id, kind: 'file', objectId: file?.id ?? 0, virtualPath: '', policy: 3 },
        ...{ outlookPolicy: 3, hasPassword: false, expireInDays: 0, users: [], groups: [], message: '' },
        ...{ sharedMs: index, downloads: 0 },
      };
    });
    await mounted({ emulator: { links: LinkStore.inMemory(records) } });
    await run('ls', [at('many')]);
    const { stdout, ms } = await run('getfattr', ['-R', '--only-values', '-n', LINK, at('many')]);
    // Every other file, by its newest of twenty.
    expect(stdout.match(/download\/t9[5-9]\d\d(?=https|$)/g)).toHaveLength(500);
    expect(drive.emulator.calls().byEndpoint['links']).toBe(1);
    expect(ms).toBeLessThan(10_000);
  });

  it('is the newest that has not expired, and goes with a file that is renamed here', async () => {
    await mounted();
    await drive.succeed(['links', 'create', at('plan.txt')]);
    const { stdout } = await drive.succeed(['links', 'create', at('plan.txt')]);
    expect(await get('plan.txt')).toBe(stdout.trimEnd());
    await drive.succeed(['pause', drive.mountpoint]);
    await run('mv', [at('plan.txt'), at('dir/new.txt')]);
    expect(await get('dir/new.txt')).toBe(stdout.trimEnd());
    await drive.succeed(['resume', drive.mountpoint]);
  });

  it('is made by setting it, changed, and revoked by removing it', async () => {
    await mounted();
    expect(await set('plan.txt', 'internal')).toBe('');
    const [link] = await listed(at('plan.txt'));
    expect(link?.policy).toBe('internal');
    expect(await get('plan.txt')).toBe(link?.url);
    expect(await set('plan.txt', 'all')).toBe('');
    expect(await listed()).toMatchObject([{ token: link?.token, policy: 'all' }]);
    // What restores attributes finds it there.
    expect(await set('plan.txt', link?.url ?? '')).toBe('');
    await drive.succeed(['links', 'create', at('plan.txt')]);
    expect(await set('plan.txt', undefined)).toBe('');
    expect(await listed()).toEqual([]);
    expect(await get('plan.txt')).toBe('No such attribute');
    expect(await set('plan.txt', undefined)).toBe('No such attribute');
  });

  it.each(['', 'none', 'intended', 'https://my.emulator.invalid/ui/download/x'])('is not set to %j', async (value) => {
    await mounted();
    expect(await set('plan.txt', value)).toBe('Invalid argument');
    expect(await listed()).toEqual([]);
  });

  it('is refused where the policy, the drive or what is pending forbids it', async () => {
    await mounted({ emulator: { shareLinkPolicy: 2 } });
    expect(await set('plan.txt', 'all')).toBe('Permission denied');
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(at('new.txt'), 'new');
    expect([await get('new.txt'), await set('new.txt', 'internal')]).toEqual([
      'No such attribute',
      'Device or resource busy',
    ]);
    await drive.succeed(['resume', drive.mountpoint]);
    await drive.succeed(['flush', drive.mountpoint]);
    expect(await set('new.txt', 'internal')).toBe('');
    await drive.unmount();
    await drive.mount({ mount: ['--read-only'] });
    expect(await set('plan.txt', 'internal')).toBe('Read-only file system');
    expect(await get('new.txt')).toMatch(/^https:/);
  });

  it('is nothing that listings, copies and archives ask for or make', async () => {
    await mounted();
    await drive.succeed(['links', 'create', at('plan.txt')]);
    const before = linkCalls();
    expect((await run('getfattr', ['-m', '-', '-d', at('plan.txt')])).stdout).not.toContain('link');
    await run('ls', ['-laR', drive.mountpoint]);
    expect((await run('cp', ['-a', at('plan.txt'), at('copy.txt')])).code).toBe(0);
    expect((await run('cp', ['-a', at('plan.txt'), drive.user.home])).code).toBe(0);
    await run('tar', ['--xattrs', '--xattrs-include=*', '-cf', join(drive.user.home, 'a.tar'), '-C', at(''), '.']);
    expect(linkCalls()).toBe(before);
    expect(await get('copy.txt')).toBe('No such attribute');
    expect(await listed()).toHaveLength(1);
  });

  it('waits for nobody else, and says why it failed', async () => {
    await mounted();
    drive.emulator.setFaults([
      { kind: 'status', endpoint: 'links', status: 403, text: 'User Not Authorized For Action' },
    ]);
    expect(await get('plan.txt')).toBe('Permission denied');
    expect(await get('plan.txt')).toBe('No such attribute');
  });
});

describe
  .skipIf(!fuseExists || lacks('getfattr'))
  .each<DialectName>(['guide', 'links-terse', 'links-misspelt', 'large-ids'])('%s', (name) => {
  it('has it too', async () => {
    await mounted({ dialect: dialects[name] });
    expect(await set('dir/b.txt', 'internal')).toBe('');
    expect(await get('dir/b.txt')).toMatch(/^https:/);
    expect(await get('dir/c.txt')).toBe('No such attribute');
    expect(await set('dir/b.txt', undefined)).toBe('');
    expect(await get('dir/b.txt')).toBe('No such attribute');
  });
});
