// What is pinned, through the whole drive: it is readable without the service, also after a remount; it is not evicted, follows what
// changes, goes on after an outage; what does not fit is refused before anything is lost.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists, pattern, run } from './drive.ts';
import { lacks } from '../machine.ts';

const MiB = 2 ** 20;
const LIFETIME = ['--listing-lifetime', '1h'];
let drive: Drive;
let folder: string;
let id: number;
let rootFolderId: number;

beforeEach(() => {
  drive = new Drive();
  ({ id, rootFolderId } = drive.store.addSyncpoint('Projects'));
  folder = join(drive.mountpoint, 'Projects');
});

afterEach(async () => {
  await drive.stop();
});

/** Files of all the sizes that the cache keeps differently, in a tree; their hashes by path. */
function addTree(): Map<string, string> {
  const hashes = new Map<string, string>();
  let seed = 0;
  const fill = (folderId: number, path: string, depth: number): void => {
    for (const size of [0, 700, 20_000, 300_000]) {
      const bytes = pattern(size, (seed += 1));
      drive.store.addFile(id, folderId, `file${size}`, bytes);
      hashes.set(`${path}/file${size}`, sha256(bytes));
    }
    if (depth === 0) return;
    for (const name of ['one', 'two']) {
      fill(drive.store.addFolder(id, folderId, name).id, `${path}/${name}`, depth - 1);
    }
  };
  fill(drive.store.addFolder(id, rootFolderId, 'tree').id, 'tree', 2);
  return hashes;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The tree as `tar` reads it. */
async function expectReadable(hashes: ReadonlyMap<string, string>): Promise<void> {
  const script =
    'set -o pipefail; tar -cf - tree | tar -xf - --to-command=\'echo "$(sha256sum | cut -c1-64) $TAR_FILENAME"\'';
  const { stdout, stderr, code } = await run('bash', ['-c', script], { cwd: folder });
  expect([stderr, code]).toEqual(['', 0]);
  const found = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => [line.slice(65), line.slice(0, 64)] as const),
  );
  expect(found).toEqual(hashes);
}

async function pinned(): Promise<Awaited<ReturnType<Drive['status']>>['pinned']> {
  return (await drive.status()).pinned;
}

async function untilKept(): Promise<void> {
  for (;;) {
    const { filesLeft, foldersLeft } = await pinned();
    if (filesLeft + foldersLeft === 0) return;
    await sleep(100);
  }
}

async function start(...mount: readonly string[]): Promise<void> {
  await drive.serve();
  await drive.mount({ mount });
}

describe.skipIf(!fuseExists)('pin', () => {
  it('keeps a tree readable without the service, also after a remount', async () => {
    const hashes = addTree();
    await start(...LIFETIME);
    await drive.succeed(['pin', join(folder, 'tree')]);
    const files = [...hashes.keys()].filter((path) => !path.endsWith('/file0')).length;
    expect(await pinned()).toMatchObject({
      paths: ['/Projects/tree'],
      files,
      filesLeft: 0,
      foldersLeft: 0,
      trouble: null,
    });
    await drive.emulator.stop();
    await expectReadable(hashes);
    await drive.unmount();
    await drive.mount({ mount: LIFETIME });
    expect((await drive.status()).online).toBe(false);
    await expectReadable(hashes);
    expect((await run('ls', ['-R', 'tree'], { cwd: folder })).stdout.split('\n').length).toBeGreaterThan(files);
    expect((await drive.succeed(['status'])).stdout).toMatch(
      /pinned +1 pin: all is here; 21 files, 2.2 MiB of the cache\n/,
    );
  });

  it('fetches again in the background what the cache has lost', async () => {
    const hashes = addTree();
    await start(...LIFETIME);
    await drive.succeed(['pin', join(folder, 'tree')]);
    await drive.unmount();
    await rm(drive.user.directory('.cache', 'syncplicityfs'), { recursive: true });
    await drive.mount({ mount: LIFETIME });
    await untilKept();
    await drive.emulator.stop();
    await expectReadable(hashes);
  });

  it('follows what is new and changed, once a listing shows it', async () => {
    const { id: folderId } = drive.store.addFolder(id, rootFolderId, 'tree');
    const { id: fileId } = drive.store.addFile(id, folderId, 'changes', pattern(30_000, 1));
    await start(...LIFETIME);
    await drive.succeed(['pin', join(folder, 'tree')]);
    const [changed, added] = [pattern(40_000, 2), pattern(50_000, 3)];
    drive.store.writeFile(id, fileId, changed);
    const sub = drive.store.addFolder(id, folderId, 'sub');
    drive.store.addFile(id, sub.id, 'new', added);
    await drive.succeed(['refresh', join(folder, 'tree')]);
    await untilKept();
    expect(await pinned()).toMatchObject({ files: 2 });
    await drive.emulator.stop();
    expect(sha256(await readFile(join(folder, 'tree', 'changes')))).toBe(sha256(changed));
    expect(sha256(await readFile(join(folder, 'tree', 'sub', 'new')))).toBe(sha256(added));
  });

  it('the service goes away half-way: what is missing is told, and comes when it is back', async () => {
    const { id: folderId } = drive.store.addFolder(id, rootFolderId, 'tree');
    const files = Array.from({ length: 8 }, (_, n) => pattern(2 * MiB, n));
    files.forEach((bytes, n) => drive.store.addFile(id, folderId, `file${n}`, bytes));
    await start('--bwlimit', 'off:2M', ...LIFETIME);
    const pinning = drive.user.run(['pin', join(folder, 'tree')]);
    while (drive.emulator.calls().vaultBytes < 5 * MiB) await sleep(50);
    await drive.interruptService(async () => {
      const { code, stderr } = await pinning;
      expect(code).toBe(1);
      expect(stderr).toMatch(/^syncplicityfs: \d of what is pinned could not be fetched yet, and are tried again:\n/);
      expect(stderr).toMatch(/\n {2}\/Projects\/tree\/file\d: .*127\.0\.0\.1/);
      const { filesLeft, trouble } = await pinned();
      expect(filesLeft).toBeGreaterThan(0);
      expect(trouble).toContain('127.0.0.1');
    });
    await untilKept();
    await drive.emulator.stop();
    for (const [n, bytes] of files.entries()) {
      expect(sha256(await readFile(join(folder, 'tree', `file${n}`)))).toBe(sha256(bytes));
    }
  }, 120_000);

  it('what does not fit is refused with nothing evicted; what is pinned stays while others are read', async () => {
    const { id: folderId } = drive.store.addFolder(id, rootFolderId, 'large');
    for (let n = 0; n < 8; n += 1) drive.store.addFile(id, folderId, `file${n}`, pattern(3 * MiB, n));
    const kept = pattern(2 * MiB, 20);
    drive.store.addFile(id, rootFolderId, 'kept', kept);
    const small = drive.store.addFolder(id, rootFolderId, 'small');
    const smallFiles = Array.from({ length: 40 }, (_, n) => pattern(9_000, n + 100));
    smallFiles.forEach((bytes, n) => drive.store.addFile(id, small.id, `file${n}`, bytes));
    await start('--cache-size', '16M', '--memory', '8M', ...LIFETIME);
    await readFile(join(folder, 'kept'));
    const before = (await drive.status()).cache.diskBytes;
    const refused = await drive.user.run(['pin', join(folder, 'large')]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /would take 24.0 MiB, and a cache of 16.0 MiB keeps 15.0 MiB at most: mount with --cache-size/,
    );
    expect((await drive.status()).cache.diskBytes).toBeGreaterThanOrEqual(before);
    expect(await pinned()).toMatchObject({ paths: [], files: 0 });

    await drive.succeed(['pin', join(folder, 'kept'), join(folder, 'small')]);
    for (let n = 0; n < 8; n += 1) await readFile(join(folder, 'large', `file${n}`));
    const { diskBytes } = (await drive.status()).cache;
    expect(diskBytes).toBeLessThanOrEqual(16 * MiB);
    await drive.unmount();
    await drive.emulator.stop();
    await drive.mount({ mount: ['--cache-size', '16M', '--memory', '8M', ...LIFETIME] });
    expect(await pinned()).toMatchObject({ files: 41, filesLeft: 0 });
    expect(sha256(await readFile(join(folder, 'kept')))).toBe(sha256(kept));
    for (const [n, bytes] of smallFiles.entries()) {
      expect(sha256(await readFile(join(folder, 'small', `file${n}`)))).toBe(sha256(bytes));
    }
  });

  it('--no-wait returns at once, pause stops the fetching, resume goes on', async () => {
    drive.store.addFile(id, rootFolderId, 'large', pattern(8 * MiB, 1));
    await start('--bwlimit', 'off:2M');
    const begun = performance.now();
    await drive.succeed(['pin', '--no-wait', join(folder, 'large')]);
    expect(performance.now() - begun).toBeLessThan(2_500);
    await drive.succeed(['pause', drive.mountpoint]);
    const { bytesIn } = (await drive.status()).transfers;
    await sleep(1_000);
    expect((await drive.status()).transfers.bytesIn).toBe(bytesIn);
    expect(await pinned()).toMatchObject({ filesLeft: 1, trouble: 'transfers are paused' });
    const refused = await drive.user.run(['pin', join(folder, 'large')]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('transfers are paused')]);
    await drive.succeed(['resume', drive.mountpoint]);
    await untilKept();
  });

  it('what is written below a pinned folder is kept, and a saved file stays pinned', async () => {
    await start('--settle', '0s', ...LIFETIME);
    await mkdir(join(folder, 'dir'));
    await writeFile(join(folder, 'dir', 'a'), 'first');
    await drive.succeed(['pin', join(folder, 'dir', 'a')]);
    await drive.succeed(['flush', drive.mountpoint]);
    await writeFile(join(folder, 'dir', 'a~'), 'second');
    await rename(join(folder, 'dir', 'a~'), join(folder, 'dir', 'a'));
    await drive.succeed(['flush', drive.mountpoint]);
    expect((await pinned()).paths).toEqual(['/Projects/dir/a']);
    await drive.unmount();
    await drive.emulator.stop();
    await drive.mount({ mount: LIFETIME });
    expect(await readFile(join(folder, 'dir', 'a'), 'utf8')).toBe('second');
  });

  it('is whole when pin returns, however the daemon ends', async () => {
    const hashes = addTree();
    await start(...LIFETIME);
    await drive.succeed(['pin', join(folder, 'tree')]);
    process.kill(await drive.pid(), 'SIGKILL');
    await drive.emulator.stop();
    await drive.mount({ mount: LIFETIME });
    await expectReadable(hashes);
  });

  it('unmounting ends it, and the next mount goes on', async () => {
    const bytes = pattern(6 * MiB, 1);
    drive.store.addFile(id, rootFolderId, 'large', bytes);
    await start('--bwlimit', 'off:1M', ...LIFETIME);
    const pinning = drive.user.run(['pin', join(folder, 'large')]);
    while (drive.emulator.calls().vaultBytes < MiB) await sleep(50);
    const begun = performance.now();
    await drive.unmount();
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect((await pinning).code).toBe(1);
    await drive.mount({ mount: LIFETIME });
    await untilKept();
    expect(await pinned()).toMatchObject({ paths: ['/Projects/large'], files: 1 });
  });

  it('a pin goes with what is removed', async () => {
    drive.store.addFile(id, rootFolderId, 'goes', pattern(1_000, 1));
    await start();
    await drive.succeed(['pin', join(folder, 'goes')]);
    await rm(join(folder, 'goes'));
    expect(await pinned()).toMatchObject({ paths: [], files: 0 });
  });
});

describe.skipIf(!fuseExists || lacks('getfattr'))('the attribute user.syncplicity.pinned', () => {
  const getfattr = (path: string): ReturnType<typeof run> =>
    run('getfattr', ['--only-values', '--absolute-names', '-n', 'user.syncplicity.pinned', path]);
  const setfattr = (...args: string[]): ReturnType<typeof run> => run('setfattr', args);

  it('tells, pins and unpins', async () => {
    const hashes = addTree();
    await start(...LIFETIME);
    const tree = join(folder, 'tree');
    expect((await getfattr(tree)).stderr).toContain('No such attribute');
    expect((await setfattr('-n', 'user.syncplicity.pinned', '-v', '1', tree)).code).toBe(0);
    await untilKept();
    for (const path of [tree, join(tree, 'one'), join(tree, 'file700')])
      expect((await getfattr(path)).stdout).toBe('1');
    // What copies attributes would pin the copies.
    expect((await run('getfattr', ['-d', '--absolute-names', tree])).stdout).not.toContain('pinned');
    expect((await setfattr('-x', 'user.syncplicity.pinned', join(tree, 'one'))).stderr).toContain('not permitted');
    expect((await setfattr('-n', 'user.syncplicity.pinned', '-v', 'yes', tree)).stderr).toContain('Invalid argument');
    await drive.emulator.stop();
    await expectReadable(hashes);
    expect((await setfattr('-x', 'user.syncplicity.pinned', tree)).code).toBe(0);
    expect((await getfattr(tree)).stderr).toContain('No such attribute');
    expect((await setfattr('-x', 'user.syncplicity.pinned', tree)).stderr).toContain('No such attribute');
    expect(await pinned()).toMatchObject({ paths: [], files: 0 });
  });

  it('a file that cannot fit is no space left', async () => {
    drive.store.addFile(id, rootFolderId, 'large', pattern(20 * MiB, 1));
    await start('--cache-size', '16M');
    const { stderr } = await setfattr('-n', 'user.syncplicity.pinned', '-v', '1', join(folder, 'large'));
    expect(stderr).toContain('No space left');
  });
});

describe.skipIf(!fuseExists)('free and unpin', () => {
  it('free gives up what is cached, but not what is pinned or pending', async () => {
    for (const name of ['cached', 'pinned']) drive.store.addFile(id, rootFolderId, name, pattern(MiB, name.length));
    await start('--settle', '1h');
    await readFile(join(folder, 'cached'));
    await drive.succeed(['pin', join(folder, 'pinned')]);
    await writeFile(join(folder, 'pending'), 'pending');
    const { stdout } = await drive.succeed(['free', folder]);
    expect(stdout).toBe('1.0 MiB of 1 file freed; left as they are: 1 file pinned, 1 file not at Syncplicity yet\n');
    const before = drive.emulator.calls().vaultBytes;
    await run('dd', [`if=${join(folder, 'cached')}`, 'of=/dev/null', 'iflag=direct', 'bs=1M']);
    expect(drive.emulator.calls().vaultBytes - before).toBe(MiB);
    await run('dd', [`if=${join(folder, 'pinned')}`, 'of=/dev/null', 'iflag=direct', 'bs=1M']);
    expect(drive.emulator.calls().vaultBytes - before).toBe(MiB);
    expect((await drive.succeed(['unpin', join(folder, 'pinned')])).stdout).toBe('');
    expect((await drive.succeed(['free', folder])).stdout).toMatch(
      /^2.0 MiB of 2 files freed; left as they are: 1 file not/,
    );
  });

  it('unpin says what is not pinned, and what is because of a folder above', async () => {
    addTree();
    await start();
    await drive.succeed(['pin', join(folder, 'tree'), join(folder, 'tree', 'one', 'file700')]);
    const kept = await drive.user.run(['unpin', join(folder, 'tree', 'two')]);
    expect([kept.code, kept.stderr]).toEqual([
      1,
      'syncplicityfs: /Projects/tree/two is kept because /Projects/tree is pinned: unpin that\n',
    ]);
    await drive.succeed(['unpin', join(folder, 'tree')]);
    expect((await pinned()).paths).toEqual([]);
    const not = await drive.user.run(['unpin', join(folder, 'tree')]);
    expect(not.stderr).toBe('syncplicityfs: /Projects/tree is not pinned\n');
    const outside = await drive.user.run(['pin', drive.user.home]);
    expect(outside.stderr).toMatch(/is not in a drive of syncplicityfs of yours\n$/);
    const nothing = await drive.user.run(['pin', join(folder, 'nothing')]);
    expect(nothing.stderr).toBe('syncplicityfs: the drive has nothing at /Projects/nothing\n');
  });
});
