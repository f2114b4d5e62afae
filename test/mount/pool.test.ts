// A pool mounted as a user does it: three app keys of one account, real HTTP, the kernel. Programs see one drive; the service sees
// three callers.
import { readFileSync, readdirSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { documentedThrottle } from '../../src/emulator/throttle.ts';
import { Drive, fuseExists, pattern, run } from './drive.ts';

const FOLDERS = 120;
/** The emulator takes what it gets unless it throttles. */
const UNPACED = ['--calls-per-second', '0'];
let drive: Drive;
let others: Emulator[];

beforeEach(() => {
  drive = new Drive();
  others = [];
});
afterEach(async () => {
  await drive.stop();
  for (const emulator of others) await emulator.stop();
});

/** A connection of one of an emulator's apps, in the pool `team`. */
async function addMember(name: string, emulator: Emulator, index: number): Promise<void> {
  const app = emulator.apps[index];
  const auth = {
    client_id: app?.appKey,
    client_secret: app?.appSecret,
    app_token: emulator.credentials.appToken,
    api_url: emulator.gatewayUrl,
  };
  const named = ['-p', 'syncplicity', '--name', name, '--auth-input', '--no-verify'];
  await drive.succeed(['connections', 'add', ...named], JSON.stringify(auth));
  await drive.succeed(['connections', 'pool', 'assign', name, '--name', 'team']);
}

async function serve(throttled = false): Promise<void> {
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  for (let index = 0; index < FOLDERS; index += 1) {
    const folder = drive.store.addFolder(id, rootFolderId, `d${index}`);
    drive.store.addFile(id, folder.id, 'f', pattern(2_000, index));
  }
  await drive.serve({ emulator: { appCount: 3, ...(throttled ? { throttle: documentedThrottle } : {}) } });
  await drive.succeed(['connections', 'pool', 'assign', 'test', '--name', 'team']);
  for (const index of [1, 2]) await addMember(`more${index}`, drive.emulator, index);
}

const mountTeam = (...options: string[]): ReturnType<Drive['succeed']> =>
  drive.succeed(['mount', 'team', drive.mountpoint, ...UNPACED, ...options]);

async function walk(): Promise<void> {
  const { code, stdout, stderr } = await run('find', [drive.mountpoint]);
  if (code !== 0) throw new Error(stderr);
  expect(stdout.split('\n').filter((line) => line !== '')).toHaveLength(2 * FOLDERS + 2);
}

describe.skipIf(!fuseExists)('a pool', () => {
  it('is one drive whose calls, reads and uploads are made by all its members', async () => {
    await serve();
    await drive.succeed(['mount', 'team', drive.mountpoint, '--settle', '0s']);
    await walk();
    for (let index = 0; index < 9; index += 1) {
      const path = join(drive.mountpoint, 'Projects', `d${index}`, 'f');
      expect((await readFile(path)).equals(pattern(2_000, index))).toBe(true);
      await writeFile(join(drive.mountpoint, 'Projects', `new${index}`), pattern(3_000, index));
    }
    await drive.succeed(['flush', drive.mountpoint]);
    const { byApp, gateway } = drive.emulator.calls();
    const calls = drive.emulator.apps.map(({ appKey }) => byApp[appKey]);
    for (const call of calls) {
      expect(call?.gateway).toBeGreaterThan(FOLDERS / 6);
      expect(call?.vault).toBeGreaterThan(2);
    }
    const status = await drive.status();
    expect(status).toMatchObject({ connection: 'team', online: true, failed: [] });
    expect(status.members.map(({ name, out }) => [name, out])).toEqual([
      ['test', null],
      ['more1', null],
      ['more2', null],
    ]);
    expect(status.members.reduce((sum, member) => sum + member.calls, 0)).toBe(status.calls.total);
    expect(status.calls.total).toBe(gateway);
    expect(status.calls.budget).toEqual({ perSecond: 45, perHour: 32_400, leftThisHour: 32_400 - gateway });
    const { stdout } = await drive.succeed(['status', drive.mountpoint]);
    expect(stdout).toMatch(/members +3\n +test: \d+, \d+ of 10800 left this hour\n +more1: /);
  });

  it('shares the account with its members: one tree, one mount at a time', async () => {
    await serve();
    await mountTeam();
    await walk();
    const inode = (await run('stat', ['-c', '%i', join(drive.mountpoint, 'Projects', 'd5', 'f')])).stdout;
    const second = drive.user.directory('second');
    const refused = await drive.user.run(['mount', 'more1', second]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`this account is mounted already on ${drive.mountpoint}`);
    await drive.unmount();
    drive.emulator.resetCalls();
    await drive.succeed(['mount', 'more1', drive.mountpoint, ...UNPACED]);
    await walk();
    expect((await run('stat', ['-c', '%i', join(drive.mountpoint, 'Projects', 'd5', 'f')])).stdout).toBe(inode);
    expect(drive.emulator.calls().byEndpoint['folder'] ?? 0).toBe(0);
    expect(readdirSync(join(drive.user.home, '.local/state/syncplicityfs/accounts'))).toHaveLength(1);
    expect((await drive.status()).members).toEqual([]);
  });

  it('works while one member does, and takes the others back', async () => {
    await serve();
    const [first, second, third] = drive.emulator.apps.map(({ appKey }) => appKey) as [string, string, string];
    drive.emulator.suspendApp(first);
    const { stderr } = await mountTeam();
    expect(stderr).toMatch(
      /^syncplicityfs: "test" is left out of the pool: token POST: .*Invalid client \(HTTP 401\).*\n$/,
    );
    drive.emulator.suspendApp(third);
    drive.emulator.resetCalls();
    await walk();
    const { byApp } = drive.emulator.calls();
    expect(byApp[second]?.gateway).toBeGreaterThanOrEqual(FOLDERS);
    const { members, online } = await drive.status();
    expect([online, ...members.map(({ out }) => out === null)]).toEqual([true, false, true, false]);
    expect(members[2]?.out?.reason).toContain('Invalid client');
    const { stdout } = await drive.succeed(['status', drive.mountpoint]);
    expect(stdout).toMatch(/ more2: .*, OUT for \d+ s: token POST: .*Invalid client/);
    for (const { appSecret } of drive.emulator.apps) expect(JSON.stringify(members) + stdout).not.toContain(appSecret);
    drive.emulator.suspendApp(first, false);
    drive.emulator.suspendApp(third, false);
    await expect
      .poll(async () => (await drive.status()).members.filter(({ out }) => out === null).length, {
        timeout: 20_000,
        interval: 200,
      })
      .toBe(3);
    const [log = ''] = readdirSync(join(drive.user.home, '.local/state/syncplicityfs/logs'));
    const text = readFileSync(join(drive.user.home, '.local/state/syncplicityfs/logs', log), 'utf8');
    expect(text).toContain('"more2" is in the pool again');
  });

  it('stores all that is written, once, while members go and come', async () => {
    await serve();
    await mountTeam('--settle', '0s');
    const directory = join(drive.mountpoint, 'Projects', 'd0');
    const contents = Array.from({ length: 18 }, (_, index) => pattern(index % 6 === 0 ? 6_000_000 : 4_000, index));
    for (const [index, content] of contents.entries()) {
      // Each is away while six files are written and sent.
      const { appKey = '' } = drive.emulator.apps[Math.floor(index / 6)] ?? {};
      if (index % 6 === 0) drive.emulator.suspendApp(appKey);
      await writeFile(join(directory, `n${index}`), content);
      if (index % 6 !== 5) continue;
      await drive.succeed(['flush', drive.mountpoint, '--timeout', '60s']);
      drive.emulator.suspendApp(appKey, false);
    }
    const { members, failed, conflicts } = await drive.status();
    expect([failed, conflicts]).toEqual([[], []]);
    expect(members.some(({ out }) => out !== null)).toBe(true);
    const { syncpoints } = await drive.emulator.snapshot();
    const stored = syncpoints.flatMap(({ entries }) => entries.map(({ path }) => path));
    expect(stored.filter((path) => path.startsWith('d0/')).toSorted()).toEqual(
      ['d0/f', ...contents.map((_, index) => `d0/n${index}`)].toSorted(),
    );
    await drive.unmount();
    await drive.succeed(['mount', 'test', drive.mountpoint, '--instance', 'anew', ...UNPACED]);
    for (const [index, content] of contents.entries()) {
      expect((await readFile(join(directory, `n${index}`))).equals(content)).toBe(true);
    }
  });

  it('refuses a member of another user in a line that names it, and shows nothing of that account', async () => {
    await serve();
    const store = new MemoryStore();
    store.addSyncpoint('Private');
    const other = await startEmulator({ store });
    others.push(other);
    await addMember('stranger', other, 0);
    const { stderr } = await mountTeam();
    expect(stderr).toMatch(
      /^syncplicityfs: "stranger" is left out of the pool: it is refused: it signs in as another user \(user@emulator\.invalid\); take it out with connections pool unassign\n$/,
    );
    other.resetCalls();
    await walk();
    expect(await readdir(drive.mountpoint)).toEqual(['Projects']);
    expect(other.calls().total).toBe(0);
    await drive.unmount();
    // A pool may be filled anew: then it is whose its connections are.
    for (const name of ['test', 'more1', 'more2']) await drive.succeed(['connections', 'pool', 'unassign', name]);
    expect((await mountTeam()).stderr).toBe('');
    expect(await readdir(drive.mountpoint)).toEqual(['Private']);
  });

  it('does not mount where no member works, and says of each why', async () => {
    await serve();
    for (const { appKey } of drive.emulator.apps) drive.emulator.suspendApp(appKey);
    const { code, stderr } = await drive.user.run(['mount', 'team', drive.mountpoint]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^syncplicityfs: cannot mount team on .*: no connection of the pool can be used: "test": .*; "more1": .*; "more2": /,
    );
  });

  it('is mounted offline as what it was, and comes online by itself', async () => {
    await serve();
    await mountTeam();
    await walk();
    await drive.unmount();
    await drive.interruptService(
      async () => {
        await mountTeam();
        await walk();
        expect((await drive.status()).online).toBe(false);
      },
      { emulator: { appCount: 3 } },
    );
    await expect
      .poll(async () => (await drive.status()).members.every(({ out }) => out === null), {
        timeout: 30_000,
        interval: 200,
      })
      .toBe(true);
    expect((await drive.status()).online).toBe(true);
  });

  it('walks with an equal share of each member over a service that limits each app key', async () => {
    await serve(true);
    await drive.succeed(['mount', 'team', drive.mountpoint]);
    await walk();
    const { byApp } = drive.emulator.calls();
    // How much faster that is, `npm run bench` measures.
    for (const { appKey } of drive.emulator.apps) {
      expect(byApp[appKey]?.gateway).toBeGreaterThan(FOLDERS / 4);
      expect(byApp[appKey]?.gateway).toBeLessThan(FOLDERS / 2);
    }
  });

  it.each([
    { source: 'one connection', mount: ['test'], least: 8 + 8, most: 8 + 16 },
    { source: 'a pool of three', mount: ['team'], least: 8 + 24, most: 8 + 48 },
  ])('lists as much ahead of a walk as its members can: $source', async ({ mount, least, most }) => {
    await serve();
    await drive.succeed(['mount', ...mount, drive.mountpoint, ...UNPACED]);
    const projects = join(drive.mountpoint, 'Projects');
    const names = (await readdir(projects)).toSorted();
    for (const name of names.slice(0, 8)) await readdir(join(projects, name));
    const listed = (): number => (drive.emulator.calls().byEndpoint['folder'] ?? 0) - 1;
    await expect.poll(listed).toBeGreaterThanOrEqual(least);
    // Whoever looks on gets what was listed: nothing is asked for twice, and no more than is ahead of it.
    await readdir(join(projects, names[8] as string));
    expect(listed()).toBeLessThanOrEqual(most + 1);
  });

  it('is what is mounted without a name where all connections are in it, and in the form of fstab', async () => {
    await serve();
    await drive.succeed(['mount', drive.mountpoint]);
    expect((await drive.status()).connection).toBe('team');
    expect((await run('findmnt', ['-no', 'SOURCE', drive.mountpoint])).stdout.trim()).toBe('team');
    await drive.unmount();
    await drive.succeed(['team:/Projects/d7', drive.mountpoint, '-o', 'ro,noauto,_netdev']);
    expect(await readdir(drive.mountpoint)).toEqual(['f']);
    expect(await drive.status()).toMatchObject({ root: '/Projects/d7', readOnly: true });
  });
});
