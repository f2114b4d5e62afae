// The transport through the package fuse-native, as its user sees it: what the rest of the mount suite, which can be run over it too,
// does not ask. Skipped, as loudly as a test can be, where the package could not be built.
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { open, readFile, readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/base/process-alive.ts';
import { fuseNativeLibrary } from '../../src/mount/transports.ts';
import { programFile } from '../cli/program.ts';
import { Drive, fuseExists, run } from './drive.ts';

const library = fuseNativeLibrary();
if ('missing' in library) console.error(`\n*** ${library.missing}: the transport fuse-native is not tested ***\n`);

let drive: Drive;
let syncpoint: { readonly id: number; readonly rootFolderId: number };

beforeEach(async () => {
  drive = new Drive();
  syncpoint = drive.store.addSyncpoint('Projects');
  await drive.serve();
});

afterEach(async () => {
  await drive.stop();
});

function at(...names: string[]): string {
  return join(drive.mountpoint, 'Projects', ...names);
}

/** The names the service has. */
async function names(): Promise<string[]> {
  const listing = await drive.store.list(syncpoint.id, syncpoint.rootFolderId, { deleted: false });
  return [...(listing?.files ?? [])].map(({ name }) => name).sort();
}

/** The same after everything was sent. */
async function stored(): Promise<string[]> {
  await drive.succeed(['flush', drive.mountpoint]);
  return names();
}

describe.skipIf(!fuseExists || 'missing' in library)('a mount through fuse-native', () => {
  beforeEach(async () => {
    await drive.mount({ mount: ['-o', 'transport=fuse-native', '--poll-interval', '1s', '--settle', '0'] });
  });

  it('says so, and that it goes through libfuse', async () => {
    const { transport, capabilities } = await drive.status();
    expect(transport).toBe('fuse-native');
    expect(capabilities['fuse']).toMatch(/^libfuse 2/);
    expect((await drive.succeed(['status', drive.mountpoint])).stdout).toMatch(/process .*, fuse-native\n/);
    expect((await drive.user.run(['doctor'])).stdout).toMatch(
      /transport\s+kernel; fuse-native can be had, with libfuse 2/,
    );
  });

  it('ends with its process', async () => {
    const pid = await drive.pid();
    await drive.unmount();
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('keeps an unlinked file for those who have it open, and tells the service nothing of hidden names', async () => {
    await writeFile(at('kept'), 'content');
    const file = await open(at('kept'), 'r+');
    try {
      await unlink(at('kept'));
      expect(await readdir(at())).toEqual([]);
      await file.write('CON', 0);
      expect((await file.stat()).nlink).toBe(0);
      expect((await file.readFile()).toString()).toBe('CONtent');
      await file.truncate(3);
      expect((await file.stat()).size).toBe(3);
      expect(await stored()).toEqual([]);
    } finally {
      await file.close();
    }
    expect(await stored()).toEqual([]);
  });

  it('replaces an open file in one step, as a new version', async () => {
    await writeFile(at('plan'), 'old');
    await stored();
    const reader = await open(at('plan'), 'r');
    // What is stored before it is renamed is a file of its own.
    await drive.succeed(['pause', drive.mountpoint]);
    try {
      await writeFile(at('plan.new'), 'new');
      await rename(at('plan.new'), at('plan'));
      expect((await readFile(at('plan'))).toString()).toBe('new');
      expect((await reader.readFile()).toString()).toBe('old');
    } finally {
      await reader.close();
    }
    await drive.succeed(['resume', drive.mountpoint]);
    expect(await stored()).toEqual(['plan']);
    const versions = await drive.succeed(['versions', 'list', at('plan'), '--json']);
    expect(JSON.parse(versions.stdout)).toHaveLength(2);
  });

  it('takes times that are set alone', async () => {
    await writeFile(at('a'), 'a');
    await run('touch', ['-m', '-d', '2001-02-03 04:05:06.789Z', at('a')]);
    expect((await stat(at('a'))).mtimeMs).toBe(Date.UTC(2001, 1, 3, 4, 5, 6, 789));
    await run('touch', ['-a', '-d', '2002-02-03 04:05:06Z', at('a')]);
    expect((await stat(at('a'))).mtimeMs).toBe(Date.UTC(2001, 1, 3, 4, 5, 6, 789));
  });

  it('makes a file exclusively, or not at all', async () => {
    await (await open(at('lock'), 'wx')).close();
    await expect(open(at('lock'), 'wx')).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it('shows what others change some seconds later, and lists thousands of entries', async () => {
    for (let i = 0; i < 5_000; i += 1)
      drive.store.addFile(syncpoint.id, syncpoint.rootFolderId, `file ${i} ü`, Buffer.from('x'));
    await expect.poll(async () => (await readdir(at())).length, { timeout: 10_000 }).toBe(5_000);
    drive.store.addFile(syncpoint.id, syncpoint.rootFolderId, 'one more', Buffer.from('y'));
    await expect.poll(() => readFile(at('one more'), 'utf8').catch(() => ''), { timeout: 10_000 }).toBe('y');
  });

  it('leaves nothing behind that the next mount, of either kind, cannot take over', async () => {
    await writeFile(at('a'), 'written before');
    for (const transport of ['kernel', 'fuse-native']) {
      process.kill(await drive.pid(), 'SIGKILL');
      await expect
        .poll(() => run('stat', [at('a')]).then(({ stderr }) => stderr))
        .toContain('Transport endpoint is not connected');
      await drive.mount({ mount: ['--transport', transport] });
      expect((await drive.status()).transport).toBe(transport);
      expect(await readFile(at('a'), 'utf8')).toBe('written before');
    }
  });

  it('goes on serving what is open after it was taken away lazily, and then sends what was written', async () => {
    const file = await open(at('late'), 'w+');
    const pid = await drive.pid();
    await run('umount', ['-l', drive.mountpoint]);
    await file.write('written late');
    expect((await file.stat()).size).toBe(12);
    await file.close();
    await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false);
    expect(await names()).toEqual(['late']);
  });
});

describe.skipIf(!fuseExists)('a machine without the package fuse-native', () => {
  it('mounts all the same, and says in one line why not through it when it is asked to', async () => {
    // The built program, with every package but that one.
    const copy = drive.user.directory('installed');
    const installed = dirname(dirname(dirname(programFile)));
    cpSync(join(installed, 'dist'), join(copy, 'dist'), { recursive: true });
    cpSync(join(installed, 'package.json'), join(copy, 'package.json'));
    mkdirSync(join(copy, 'node_modules'));
    for (const name of readdirSync(join(installed, 'node_modules'))) {
      if (name !== 'fuse-native') symlinkSync(join(installed, 'node_modules', name), join(copy, 'node_modules', name));
    }
    const program = join(copy, 'dist', 'bin', 'syncplicityfs.js');
    const asked = await run(
      process.execPath,
      [program, 'mount', '--transport', 'fuse-native', 'test', drive.mountpoint],
      {
        env: drive.user.environment,
      },
    );
    expect(asked.code).toBe(1);
    expect(asked.stderr).toMatch(
      /^syncplicityfs: cannot mount test on .*: the package fuse-native is not installed: .*\n$/,
    );
    const mounted = await run(process.execPath, [program, 'mount', 'test', drive.mountpoint], {
      env: drive.user.environment,
    });
    expect(mounted).toMatchObject({ code: 0, stderr: '' });
    expect((await drive.status()).transport).toBe('kernel');
    const doctor = await run(process.execPath, [program, 'doctor'], { env: drive.user.environment });
    expect(doctor.stdout).toMatch(/transport\s+kernel; no other: the package fuse-native is not installed/);
  });
});

describe('a transport nobody has', () => {
  it('is refused before anything is done', async () => {
    const refused = await drive.user.run(['mount', '--transport', 'carrier-pigeon', 'test', drive.mountpoint]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('"carrier-pigeon" is no transport');
  });
});
