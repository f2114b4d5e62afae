// The connection store: what is put in comes back, and nothing - another process, a crash, a wrong mode - loses or shows it.
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import tmp from 'tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAuth, serializeAuth } from '../../src/connections/auth-file.ts';
import { withFileLock } from '../../src/connections/file-lock.ts';
import { type ConnectionStore, openConnectionStore } from '../../src/connections/store.ts';
import type { VaultId } from '../../src/remote-drive.ts';

let directory: tmp.DirResult;
let config: string;
let file: string;
let warnings: string[];
let store: ConnectionStore;

const fsAuth = { platform: 'fs', directory: '/some/directory' } as const;
const cloudAuth = parseAuth('syncplicity', {
  client_id: 'key',
  client_secret: 'hidden-secret',
  app_token: 'hidden-token',
  admin_mode: true,
  api_url: 'https://eu.example.com/',
}).auth;

beforeEach(() => {
  directory = tmp.dirSync({ unsafeCleanup: true });
  config = join(directory.name, 'config', 'syncplicityfs');
  file = join(config, 'connections.json');
  warnings = [];
  store = openConnectionStore(config, (message) => warnings.push(message));
});
afterEach(() => directory.removeCallback());

function put(text: string, mode = 0o600): void {
  mkdirSync(config, { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('the store', () => {
  it('is empty, and makes no file, until something is added', async () => {
    expect(await store.list()).toEqual([]);
    expect(await store.remove('0'.repeat(32))).toBe(false);
    expect(existsSync(file)).toBe(false);
  });

  it('gives back what was added, in that order, under ids of 32 hexadecimal digits', async () => {
    const first = await store.add({ name: 'first', auth: fsAuth });
    const second = await store.add({ name: 'second', auth: cloudAuth });
    expect(first.id).toMatch(/^[0-9a-f]{32}$/);
    expect(await store.list()).toEqual([first, second]);
    expect(await store.auth(first.id)).toEqual(fsAuth);
    expect(await store.auth(second.id)).toMatchObject(cloudAuth);
    expect(second).toEqual({
      id: second.id,
      name: 'second',
      platform: 'syncplicity',
      disabled: false,
      pool: undefined,
      group: false,
    });
  });

  it('keeps a machine and sign-ins at vaults, which are found as they are stored now', async () => {
    const { id } = await store.add({ name: 'my work', auth: cloudAuth });
    const opened = await store.auth(id);
    if (opened.platform === 'fs') throw new Error('a directory');
    const { storage } = opened.credentials;
    expect(await storage?.tokenFor('V1' as VaultId)).toBeUndefined();
    expect(storage?.remedy).toBe("sign in to it with: syncplicityfs connections storage-login 'my work'");
    await store.keepMachine(id, { id: 'machine-1', token: 'hidden-token-m' });
    await store.keepStorageToken(id, 'V1', 'hidden-token-1');
    await store.keepStorageToken(id, 'v2', 'hidden-token-2');
    await store.keepStorageToken(id, 'v1', 'hidden-token-3');
    expect(await storage?.machineToken()).toBe('hidden-token-m');
    expect(await storage?.tokenFor('v1' as VaultId)).toBe('hidden-token-3');
    expect(await storage?.tokenFor('V2' as VaultId)).toBe('hidden-token-2');
    expect(await storage?.tokenFor('v3' as VaultId)).toBeUndefined();
    expect(await store.auth(id)).toMatchObject({
      machineId: 'machine-1',
      storageTokens: { v1: 'hidden-token-3', v2: 'hidden-token-2' },
      credentials: { machineToken: 'hidden-token-m', appToken: 'hidden-token' },
    });
    await expect(store.keepMachine('0'.repeat(32), { id: 'x', token: 'y' })).rejects.toThrow('there is no connection');
  });

  it('falls back to the one storage token that an auth file gave for all vaults', async () => {
    const { auth } = parseAuth('syncplicity', { ...serializeAuth(cloudAuth), storage_token: 'hidden-token-all' });
    const { id } = await store.add({ name: 'old', auth });
    await store.keepStorageToken(id, 'v1', 'hidden-token-1');
    const opened = await store.auth(id);
    const tokenFor = async (vault: string): Promise<string | undefined> =>
      opened.platform === 'fs' ? undefined : opened.credentials.storage?.tokenFor(vault as VaultId);
    expect([await tokenFor('v1'), await tokenFor('v2')]).toEqual(['hidden-token-1', 'hidden-token-all']);
  });

  it('finds by id in any case, and by name', async () => {
    const added = await store.add({ name: 'My drive', auth: fsAuth });
    expect(await store.find(added.id.toUpperCase())).toEqual(added);
    expect(await store.find('My drive')).toEqual(added);
    expect(await store.find('my drive')).toBeUndefined();
  });

  it('refuses a name that is taken', async () => {
    await store.add({ name: 'one', auth: fsAuth });
    await expect(store.add({ name: 'one', auth: fsAuth })).rejects.toThrow('"one" exists already');
  });

  it('forgets what was removed, with its secrets', async () => {
    const { id } = await store.add({ name: 'gone', auth: cloudAuth });
    expect(await store.remove(id)).toBe(true);
    expect(await store.list()).toEqual([]);
    expect(readFileSync(file, 'utf8')).not.toContain('hidden');
    await expect(store.auth(id)).rejects.toThrow('no connection');
  });

  it('shows the pool of a member and marks the pool', async () => {
    const [member, pool] = ['a'.repeat(32), 'b'.repeat(32)];
    put(
      JSON.stringify({
        schema: 1,
        connections: [
          { id: member, name: 'Box', platform: 'fs', pool, auth: { uri: '/x' } },
          { id: pool, name: 'TestPool', platform: 'fs', group: true },
        ],
      }),
    );
    expect(await store.list()).toMatchObject([
      { pool: { id: pool, name: 'TestPool' }, group: false },
      { pool: undefined, group: true },
    ]);
    await expect(store.auth(pool)).rejects.toThrow('holds no credentials');
  });

  it('makes a pool that is named for the first time, moves members between pools, and takes them out', async () => {
    const one = await store.add({ name: 'one', auth: cloudAuth });
    const two = await store.add({ name: 'two', auth: cloudAuth });
    const assigned = await store.assign(one.id, { name: 'fast' });
    const pool = assigned.pool as { id: string; name: string };
    expect(pool.name).toBe('fast');
    expect((await store.assign(two.id, { name: 'fast' })).pool).toEqual(pool);
    expect(await store.find('fast')).toMatchObject({ id: pool.id, group: true, platform: 'syncplicity' });
    expect((await store.members(pool.id)).map(({ name }) => name)).toEqual(['one', 'two']);
    const other = (await store.assign(one.id, { name: 'other' })).pool as { id: string };
    expect((await store.members(pool.id)).map(({ name }) => name)).toEqual(['two']);
    expect((await store.assign(one.id, { id: pool.id })).pool).toEqual(pool);
    expect(await store.members(other.id)).toEqual([]);
    expect((await store.unassign(one.id))?.pool).toBeUndefined();
    expect(await store.unassign(one.id)).toMatchObject({ id: one.id, pool: undefined });
    for (const { id } of [one, two]) expect(await store.auth(id)).toMatchObject(cloudAuth);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      connections: [{ id: one.id }, { id: two.id }, {}, {}],
    });
  });

  it('lets members of a pool that is deleted stay, free', async () => {
    const one = await store.add({ name: 'one', auth: cloudAuth });
    const { pool } = await store.assign(one.id, { name: 'fast' });
    expect(await store.remove(pool?.id ?? '')).toBe(true);
    expect(await store.list()).toMatchObject([{ id: one.id, pool: undefined }]);
    expect(readFileSync(file, 'utf8')).not.toContain(pool?.id);
  });

  it('refuses what does not go together, and changes nothing', async () => {
    const cloud = await store.add({ name: 'cloud', auth: cloudAuth });
    const disk = await store.add({ name: 'disk', auth: fsAuth });
    const { pool } = await store.assign(cloud.id, { name: 'fast' });
    const before = readFileSync(file, 'utf8');
    const id = pool?.id ?? '';
    await expect(store.assign(disk.id, { id })).rejects.toThrow(
      '"disk" is a My Computer connection, the pool "fast" holds Syncplicity ones',
    );
    await expect(store.assign(disk.id, { name: 'cloud' })).rejects.toThrow('"cloud" is a connection, not a pool');
    await expect(store.assign(disk.id, { id: cloud.id })).rejects.toThrow('"cloud" is a connection, not a pool');
    await expect(store.assign(disk.id, { id: 'f'.repeat(32) })).rejects.toThrow('there is no pool');
    await expect(store.assign(id, { name: 'more' })).rejects.toThrow('"fast" is a pool itself');
    await expect(store.assign('f'.repeat(32), { name: 'more' })).rejects.toThrow('there is no connection');
    expect(await store.unassign(id)).toBeUndefined();
    expect(await store.unassign('f'.repeat(32))).toBeUndefined();
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('keeps keys of the same schema that it does not know', async () => {
    put(JSON.stringify({ schema: 1, note: 'kept', connections: [] }));
    await store.add({ name: 'one', auth: fsAuth });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ note: 'kept' });
  });
});

describe('a link in place of the file, to where dotfiles are kept', () => {
  let kept: string;

  beforeEach(() => {
    kept = join(directory.name, 'dotfiles', 'connections.json');
    mkdirSync(join(kept, '..'));
    mkdirSync(config, { recursive: true });
    symlinkSync(kept, file);
  });

  it('stays one, and what it leads to is changed, as a whole', async () => {
    writeFileSync(kept, '{"schema":1,"connections":[]}', { mode: 0o600 });
    const first = await store.add({ name: 'first', auth: fsAuth });
    await store.add({ name: 'second', auth: cloudAuth });
    expect(await store.remove(first.id)).toBe(true);
    expect(readlinkSync(file)).toBe(kept);
    expect(readFileSync(kept, 'utf8')).toContain('"second"');
    expect([modeOf(kept), readdirSync(join(kept, '..'))]).toEqual([0o600, ['connections.json']]);
  });

  it('is not replaced while what it leads to is not there', async () => {
    await expect(store.add({ name: 'first', auth: fsAuth })).rejects.toThrow(
      `is a link to ${kept}, which is not there`,
    );
    expect(readlinkSync(file)).toBe(kept);
    rmSync(file);
    await store.add({ name: 'first', auth: fsAuth });
  });
});

describe('modes', () => {
  it('makes the directory 0700 and the file 0600 whatever the umask', async () => {
    const earlier = process.umask(0);
    try {
      await store.add({ name: 'one', auth: fsAuth });
    } finally {
      process.umask(earlier);
    }
    expect([modeOf(config), modeOf(file)]).toEqual([0o700, 0o600]);
  });

  it('closes a file that was open to others, and says so once', async () => {
    put(JSON.stringify({ schema: 1, connections: [] }), 0o644);
    await store.list();
    await store.list();
    expect(modeOf(file)).toBe(0o600);
    expect(warnings).toEqual([expect.stringContaining('mode 0644')]);
  });
});

describe('a file that cannot be understood', () => {
  const id = 'a'.repeat(32);
  it.each([
    ['cut off', '{"schema":1,"connections":[{"id":"hidden-secret', 'not valid JSON'],
    ['empty', '', 'not valid JSON'],
    ['an array', '[]', 'no schema'],
    ['without a list', '{"schema":1}', 'no list'],
    ['with a bad id', '{"schema":1,"connections":[{"id":"../x","name":"n","platform":"fs"}]}', 'no valid id'],
    ['without a name', `{"schema":1,"connections":[{"id":"${id}","platform":"fs"}]}`, 'no name'],
    [
      'of another platform',
      `{"schema":1,"connections":[{"id":"${id}","name":"n","platform":"box"}]}`,
      'no known platform',
    ],
    ['of a newer program', '{"schema":2,"connections":[]}', 'newer syncplicityfs (schema 2)'],
  ])('%s is refused and left as it is', async (_, text, message) => {
    put(text);
    await expect(store.list()).rejects.toThrow(message);
    await expect(store.add({ name: 'one', auth: fsAuth })).rejects.toThrow(message);
    await expect(store.list()).rejects.not.toThrow('hidden-secret');
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});

describe('concurrency', () => {
  it('loses no edit of many made at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `c${index}`);
    await Promise.all(names.map((name) => store.add({ name, auth: fsAuth })));
    expect((await store.list()).map(({ name }) => name).sort()).toEqual([...names].sort());
    expect(readdirSync(config).sort()).toEqual(['connections.json', 'connections.json.lock']);
  });

  it('gets the lock when its holder dies, and not before', async () => {
    const path = join(directory.name, 'lock');
    let release = (): void => undefined;
    const holding = new Promise<void>((resolve) => (release = resolve));
    const order: string[] = [];
    let hold = (): void => undefined;
    const held = new Promise<void>((resolve) => (hold = resolve));
    const first = withFileLock(path, 5_000, async () => {
      hold();
      await holding;
      order.push('first');
    });
    await held;
    await expect(withFileLock(path, 30, () => Promise.resolve())).rejects.toThrow('locked by another process');
    const second = withFileLock(path, 5_000, () => Promise.resolve(void order.push('second')));
    release();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  it('is given back by the kernel when the holding process is killed', async () => {
    const path = join(directory.name, 'lock');
    writeFileSync(path, '');
    // flock(1) holds the lock while its command runs; the command kills it.
    await promisify(execFile)('flock', [path, 'sh', '-c', 'kill -9 $PPID; exit 0']).catch((error: unknown) => error);
    expect(await withFileLock(path, 2_000, () => Promise.resolve('got it'))).toBe('got it');
  });
});
