// What the user decides about changes that the service refused and about files that were never closed, through a real mount.
import { mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists } from './drive.ts';
import { leaveUnfinished } from './unfinished-file.ts';

// The daemon makes and removes staged files meanwhile: one that went after it was listed takes no room.
async function allocatedBytes(path: string): Promise<{ sizeBytes: number; blocksBytes: number }> {
  try {
    const { size, blocks } = await stat(path);
    return { sizeBytes: size, blocksBytes: blocks * 512 };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { sizeBytes: 0, blocksBytes: 0 };
    throw error;
  }
}

describe.skipIf(!fuseExists)('decisions', () => {
  let drive: Drive;
  let top: string;

  beforeEach(() => {
    drive = new Drive();
    drive.store.addSyncpoint('Project');
    top = join(drive.mountpoint, 'Project');
  });
  afterEach(() => drive.stop());

  async function stored(name: string): Promise<string | undefined> {
    const [tree] = (await drive.emulator.snapshot()).syncpoints;
    const file = tree?.entries.find(({ path }) => path.endsWith(name));
    return file?.kind === 'file' ? file.sha256 : undefined;
  }

  describe('about what the service refused', () => {
    beforeEach(async () => {
      await drive.serve({ emulator: { quotaBytes: 5_000 } });
      await drive.mount({ mount: ['--settle', '0s'] });
      await writeFile(join(top, 'small'), 'fits');
      await writeFile(join(top, 'large'), Buffer.alloc(20_000, 'x'));
      const { code, stderr } = await drive.user.run(['flush', drive.mountpoint]);
      expect(code).toBe(1);
      expect(stderr).toContain('/Project/large');
    });

    it('shows it with the reason, keeps the content readable and saves it elsewhere', async () => {
      const { failed, pending } = await drive.status();
      expect(failed).toMatchObject([{ path: '/Project/large', change: 'store' }]);
      expect(failed[0]?.error).not.toBe('');
      expect(pending.files).toBe(0);
      expect(await readFile(join(top, 'large'))).toHaveLength(20_000);
      const copy = join(drive.user.directory('copies'), 'large');
      await drive.succeed(['status', drive.mountpoint, '--save', '/Project/large', copy]);
      expect(await readFile(copy)).toEqual(Buffer.alloc(20_000, 'x'));
    });

    it('gives a new file up where the user says so', async () => {
      await drive.succeed(['status', drive.mountpoint, '--discard', '/Project/large']);
      expect((await drive.status()).failed).toEqual([]);
      expect(await readdir(top)).toEqual(['small']);
      await drive.succeed(['flush', drive.mountpoint]);
    });

    it('gives a change up: the file shows what the service has', async () => {
      await writeFile(join(top, 'small'), Buffer.alloc(30_000, 'y'));
      expect((await drive.user.run(['flush', drive.mountpoint])).code).toBe(1);
      await drive.succeed(['status', drive.mountpoint, '--discard', '/Project/small']);
      expect(await readFile(join(top, 'small'), 'utf8')).toBe('fits');
    });

    it('tries it again when told, or when the file is changed, and it goes when there is room', async () => {
      await drive.succeed(['status', drive.mountpoint, '--retry', '/Project']);
      await expect.poll(async () => (await drive.status()).failed.length, { timeout: 10_000 }).toBe(1);
      await writeFile(join(top, 'large'), 'short now');
      await drive.succeed(['flush', drive.mountpoint]);
      expect(await stored('large')).toBeDefined();
    });
  });

  it('what the disk below a directory of this machine cannot name is failed, and nothing else waits for it', async () => {
    let data = drive.user.directory('data');
    while (data.length < 3_800) data = join(data, 'x'.repeat(200));
    await mkdir(data, { recursive: true });
    await drive.succeed(
      ['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'],
      JSON.stringify({ uri: data }),
    );
    await drive.succeed(['mount', 'local', drive.mountpoint, '--settle', '0s']);
    const shown = join(drive.mountpoint, basename(data));
    const long = 'y'.repeat(255);
    await mkdir(join(shown, 'folder'));
    await writeFile(join(shown, 'folder', `${long.slice(4)}.txt`), 'kept');
    await mkdir(join(shown, 'folder', long));
    await writeFile(join(shown, 'folder', long, 'below'), 'kept too');
    await writeFile(join(shown, 'short'), 'stored');
    const { code, stderr } = await drive.user.run(['flush', drive.mountpoint]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Invalid File Name') as unknown,
    });
    const { failed, pending } = await drive.status();
    expect(failed.map(({ path }) => basename(path)).toSorted()).toEqual([`${long.slice(4)}.txt`, long].toSorted());
    expect(pending.items.map(({ path }) => basename(path))).toEqual(['below']);
    expect(await readdir(data)).toEqual(['folder', 'short']);
    await rename(join(shown, 'folder', long), join(shown, 'folder', 'y'));
    await rename(join(shown, 'folder', `${long.slice(4)}.txt`), join(shown, 'folder', 'y.txt'));
    await drive.succeed(['flush', drive.mountpoint]);
    expect(await readFile(join(data, 'folder', 'y', 'below'), 'utf8')).toBe('kept too');
    expect(await readFile(join(data, 'folder', 'y.txt'), 'utf8')).toBe('kept');
  });

  it('a file that was open when the daemon was killed is unfinished: not stored, shown, restored when told', async () => {
    await drive.serve();
    await drive.mount({ mount: ['--settle', '0s'] });
    await leaveUnfinished(drive, join(top, 'report'), 'half\n');
    await drive.mount({ mount: ['--settle', '0s'] });

    const { unfinished } = await drive.status();
    expect(unfinished).toMatchObject([{ path: '/Project/report', bytes: 5 }]);
    expect(await readdir(top)).toEqual([]);
    await drive.succeed(['flush', drive.mountpoint]);
    expect(await stored('report')).toBeUndefined();

    await drive.succeed(['status', drive.mountpoint, '--retry', '/Project/report']);
    expect(await readFile(join(top, 'report'), 'utf8')).toBe('half\n');
    await drive.succeed(['flush', drive.mountpoint]);
    expect(await stored('report')).toBeDefined();
    expect((await drive.status()).unfinished).toEqual([]);
    await rm(join(top, 'report'));
  });

  it('an unfinished file with holes is restored with them', async () => {
    const holeBytes = 512 * 2 ** 20;
    await drive.serve();
    await drive.mount();
    await leaveUnfinished(drive, join(top, 'image'), 'end', holeBytes);
    await drive.mount();
    await drive.succeed(['pause', drive.mountpoint]);
    await drive.succeed(['status', drive.mountpoint, '--retry', '/Project/image']);
    expect((await stat(join(top, 'image'))).size).toBe(holeBytes + 3);
    const file = await open(join(top, 'image'));
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, holeBytes - 5);
    await file.close();
    expect(buffer.toString()).toBe('\0\0\0\0\0end');
    const accounts = drive.user.directory('.local', 'state', 'syncplicityfs', 'accounts');
    const staged = (await readdir(accounts, { recursive: true })).filter((name) => /staging.\d+$/.test(name));
    const sizes = await Promise.all(staged.map((name) => allocatedBytes(join(accounts, name))));
    expect(Math.max(...sizes.map(({ sizeBytes }) => sizeBytes))).toBe(holeBytes + 3);
    expect(sizes.reduce((sum, { blocksBytes }) => sum + blocksBytes, 0)).toBeLessThan(4 * 2 ** 20);
    await rm(join(top, 'image'));
    await drive.succeed(['resume', drive.mountpoint]);
  });
});
