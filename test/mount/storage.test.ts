// What lies below a mount on this machine goes wrong: directories removed, databases damaged, disks full.
import { randomBytes } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, renameSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { open, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/base/process-alive.ts';
import { programFile } from '../cli/program.ts';
import { Drive, fuseExists, pattern } from './drive.ts';

const MiB = 2 ** 20;

let drive: Drive;
const disks: string[] = [];

beforeEach(() => {
  drive = new Drive();
});

afterEach(async () => {
  // The drive's end removes what they are mounted on.
  const mounted = readFileSync('/proc/self/mounts', 'utf8').includes(` ${drive.mountpoint} `);
  if (mounted) await drive.user.run(['unmount', drive.mountpoint]);
  for (const disk of disks.splice(0)) spawnSync('umount', ['-l', disk]);
  await drive.stop();
});

/** Two large files and a small one. */
async function serveFiles(): Promise<void> {
  const syncpoint = drive.store.addSyncpoint('Projects');
  for (const [name, lengthBytes] of Object.entries({ a: 300_000, b: 300_000, c: 3_000 })) {
    drive.store.addFile(syncpoint.id, syncpoint.rootFolderId, name, pattern(lengthBytes, name.charCodeAt(0)));
  }
  await drive.serve();
}

/** Whether a file of serveFiles() has its bytes. */
async function readsRight(name: string): Promise<boolean> {
  const bytes = await readFile(join(drive.mountpoint, 'Projects', name));
  return bytes.equals(pattern(bytes.length, name.charCodeAt(0))) && bytes.length > 0;
}

/** The one daemon's log. */
function logText(): string {
  const directory = drive.user.directory('.local', 'state', 'syncplicityfs', 'logs');
  return readdirSync(directory)
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('');
}

/** The one file of that name below the user's state. */
function stateFile(below: string, name: string): string {
  const directory = drive.user.directory('.local', 'state', 'syncplicityfs', below);
  const [found] = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(name));
  if (found === undefined) throw new Error(`there is no ${name} below ${directory}`);
  return join(directory, found);
}

/** A disk of that size, with nothing on it. */
function smallDisk(size: string): string {
  const disk = drive.user.directory('small');
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk]);
  if (status !== 0) throw new Error('no tmpfs could be mounted');
  disks.push(disk);
  return disk;
}

/** A disk without a free byte. */
function fullDisk(): string {
  const disk = smallDisk('1m');
  spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=64k']);
  return disk;
}

async function addDirectoryConnection(): Promise<string> {
  const data = drive.user.directory('data', 'docs');
  writeFileSync(join(data, 'a.txt'), 'hello');
  await drive.succeed(
    ['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'],
    JSON.stringify({ uri: data }),
  );
  return data;
}

/** The emulator that a daemon started. */
function emulatorOf(daemon: number): number {
  const children = readFileSync(`/proc/${daemon}/task/${daemon}/children`, 'utf8').trim().split(' ').map(Number);
  const found = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0emulator\0'));
  if (found === undefined) throw new Error('there is no emulator');
  return found;
}

describe.skipIf(!fuseExists)('a mount', () => {
  it('outlives the removal of its cache, says so once, and reads on', async () => {
    await serveFiles();
    await drive.mount();
    const pid = await drive.pid();
    expect([await readsRight('a'), await readsRight('c')]).toEqual([true, true]);
    // What was read just now may still be on its way to the disk: moved away first, nothing is added while it is deleted.
    const cache = join(drive.user.home, '.cache', 'syncplicityfs');
    renameSync(cache, `${cache}-removed`);
    rmSync(`${cache}-removed`, { recursive: true });
    for (const name of ['b', 'a', 'c']) expect(await readsRight(name), name).toBe(true);
    await expect.poll(logText).toContain('caching on disk pauses: the cache directory was removed');
    expect(await readsRight('b')).toBe(true);
    await drive.unmount();
    expect(logText().match(/caching on disk pauses/g)).toHaveLength(1);
    expect(logText()).not.toMatch(/internal error|SIG/);
    expect(isAlive(pid)).toBe(false);
    await drive.mount();
    expect(await readsRight('a')).toBe(true);
  });

  it('is refused over a damaged tree, which stays as it is, and works once that was moved away', async () => {
    await serveFiles();
    await drive.mount();
    expect(await readsRight('a')).toBe(true);
    await drive.unmount();
    const path = stateFile('accounts', 'tree/data.mdb');
    truncateSync(path, 8192);
    const damaged = readFileSync(path);
    const refused = await drive.user.run(['mount', 'test', drive.mountpoint]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/the tree in \S+ is damaged .*; move it away to start anew/);
    expect(readFileSync(path).equals(damaged)).toBe(true);
    rmSync(join(path, '..'), { recursive: true });
    await drive.mount();
    expect(await readsRight('a')).toBe(true);
  });

  it('makes a damaged index of its emulator anew, says so, and shows the directory', async () => {
    const data = await addDirectoryConnection();
    await drive.succeed(['mount', 'local', drive.mountpoint]);
    expect(await readFile(join(drive.mountpoint, 'docs', 'a.txt'), 'utf8')).toBe('hello');
    await drive.unmount();
    writeFileSync(stateFile('emulators', 'index/data.mdb'), randomBytes(65_536));
    writeFileSync(join(data, 'b.txt'), 'other');
    await drive.succeed(['mount', 'local', drive.mountpoint]);
    expect(await readdir(join(drive.mountpoint, 'docs'))).toEqual(['a.txt', 'b.txt']);
    expect(await readFile(join(drive.mountpoint, 'docs', 'a.txt'), 'utf8')).toBe('hello');
    expect(await readFile(join(drive.mountpoint, 'docs', 'b.txt'), 'utf8')).toBe('other');
    expect(logText()).toMatch(/the index in \S+ is damaged/);
    await drive.unmount();
  });

  it('goes without a cache on disk where that is full', async () => {
    await serveFiles();
    const disk = fullDisk();
    const mounted = await drive.user.run(['mount', 'test', drive.mountpoint], { env: { XDG_CACHE_HOME: disk } });
    expect(mounted).toMatchObject({ code: 0 });
    expect([await readsRight('a'), await readsRight('c')]).toEqual([true, true]);
    expect(logText()).toContain(`there is no disk cache: no space left on the disk of ${disk}`);
  });

  it('caches no more than its disk has to spare, and gives that up for what is written', async () => {
    const syncpoint = drive.store.addSyncpoint('Projects');
    for (const name of ['a', 'b', 'c']) {
      drive.store.addFile(syncpoint.id, syncpoint.rootFolderId, name, pattern(30 * MiB, name.charCodeAt(0)));
    }
    await drive.serve();
    const disk = smallDisk('100m');
    const environment = { XDG_CACHE_HOME: join(disk, 'cache'), XDG_STATE_HOME: join(disk, 'state') };
    // Nothing that is written here is stored meanwhile.
    const options = ['--stage-reserve', '16M', '--settle', '1h'];
    const mounted = await drive.user.run(['mount', 'test', drive.mountpoint, ...options], { env: environment });
    expect(mounted).toMatchObject({ code: 0 });
    const freeBytes = (): number => {
      const { bavail, bsize } = statfsSync(disk);
      return bavail * bsize;
    };
    for (const name of ['a', 'b', 'c']) expect(await readsRight(name), name).toBe(true);
    await expect.poll(freeBytes, { timeout: 10_000 }).toBeLessThan(75 * MiB);
    expect(freeBytes()).toBeGreaterThan(20 * MiB);

    const written = await open(join(drive.mountpoint, 'Projects', 'written'), 'w');
    await written.write(pattern(MiB, 7));
    await expect.poll(freeBytes, { timeout: 10_000 }).toBeGreaterThan(80 * MiB);
    for (let at = 1; at < 60; at += 1) await written.write(pattern(MiB, 7), 0, MiB, at * MiB);
    await written.close();
    expect(await readsRight('a')).toBe(true);
    await drive.user.run(['unmount', '--no-wait', drive.mountpoint], { env: environment });
  });

  it('is refused where the disk of its state is full, naming the directory and what to do', async () => {
    await serveFiles();
    const disk = fullDisk();
    const refused = await drive.user.run(['mount', 'test', drive.mountpoint], { env: { XDG_STATE_HOME: disk } });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`no space left on the disk of ${disk}/syncplicityfs`);
    expect(refused.stderr).toContain('free some, or set XDG_STATE_HOME');
  });

  it('ends on Ctrl-C without starting its emulator again', async () => {
    await addDirectoryConnection();
    // A process group of its own, as a shell gives it.
    const foreground = spawn(process.execPath, [programFile, 'mount', '--foreground', 'local', drive.mountpoint], {
      env: drive.user.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let said = '';
    for (const stream of [foreground.stdout, foreground.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    const ended = new Promise((resolve) => foreground.once('close', resolve));
    await expect.poll(() => said, { timeout: 20_000 }).toContain('is mounted on');
    const emulator = emulatorOf(await drive.pid());
    process.kill(-(foreground.pid ?? 0), 'SIGINT');
    await ended;
    expect(said).toContain('unmounted');
    expect(said).not.toContain('started again');
    expect(isAlive(emulator)).toBe(false);
  });

  it('takes its emulator along when it is killed', async () => {
    await addDirectoryConnection();
    await drive.succeed(['mount', 'local', drive.mountpoint]);
    const daemon = await drive.pid();
    const emulator = emulatorOf(daemon);
    process.kill(daemon, 'SIGKILL');
    await expect.poll(() => isAlive(emulator), { timeout: 10_000 }).toBe(false);
  });
});
