// --manage-syncpoints through the kernel: mkdir, mv and rmdir at the top make, rename and delete syncpoints, and nothing else does.
import { mkdir, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../src/emulator/dialect.ts';
import { Drive, fuseExists } from './drive.ts';

let drive: Drive;

beforeEach(() => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('plan'));
});
afterEach(async () => {
  await drive.stop();
});

const at = (...names: string[]): string => join(drive.mountpoint, ...names);
const names = async (): Promise<string[]> => (await drive.store.syncpoints()).map(({ name }) => name);

async function mount(dialect: DialectName = 'observed', ...more: string[]): Promise<void> {
  await drive.serve({ dialect: dialects[dialect] });
  await drive.mount({ mount: ['--manage-syncpoints', ...more] });
}

describe.skipIf(!fuseExists)('with --manage-syncpoints', () => {
  it.each<DialectName>(['observed', 'guide', 'large-ids-as-strings', 'sharing-silent'])(
    'syncpoints of %s are made, filled, renamed, emptied and deleted',
    async (dialect) => {
      await mount(dialect);
      await mkdir(at('New one'));
      expect(await names()).toEqual(['Projects', 'New one']);
      expect((await stat(at('New one'))).isDirectory()).toBe(true);
      await writeFile(at('New one', 'a.txt'), 'content');
      const { ino } = await stat(at('New one'));
      await rename(at('New one'), at('Newer'));
      expect(await readdir(drive.mountpoint)).toEqual(['Newer', 'Projects']);
      expect((await stat(at('Newer'))).ino).toBe(ino);
      expect(await names()).toEqual(['Projects', 'Newer']);
      await drive.succeed(['flush', drive.mountpoint]);
      // Its content first, as programs do; what is still to be sent of that goes before.
      await rm(at('Newer'), { recursive: true });
      expect(await readdir(drive.mountpoint)).toEqual(['Projects']);
      expect(await names()).toEqual(['Projects']);
      const { pending, failed } = await drive.status();
      expect([pending.items, failed]).toEqual([[], []]);
    },
  );

  it('one that is not empty stays, also where somebody else has stored into it meanwhile', async () => {
    const { id, rootFolderId } = drive.store.addSyncpoint('Empty');
    await mount();
    await expect(rmdir(at('Projects'))).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    expect(await readdir(at('Empty'))).toEqual([]);
    drive.store.addFile(id, rootFolderId, 'theirs', Buffer.from('new'));
    await expect(rmdir(at('Empty'))).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    expect(await names()).toEqual(['Projects', 'Empty']);
    expect(await readdir(at('Empty'))).toEqual(['theirs']);
  });

  it('what the service refuses is refused, and names that it has already', async () => {
    const owner = {
      id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477',
      emailAddress: 'al@x.com',
      firstName: 'Al',
      lastName: 'X',
    };
    drive.store.addSyncpoint('Theirs', { owner });
    await mount();
    await expect(mkdir(at('Projects'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(mkdir(at('projects'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(mkdir(at('a<b'))).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(mkdir(at('x'.repeat(51)))).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
    await expect(rename(at('Theirs'), at('Mine'))).rejects.toMatchObject({ code: 'EACCES' });
    await expect(rename(at('Theirs'), at('Projects'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(rename(at('Nothing'), at('A'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(rename(at('Theirs'), at('Projects', 'Theirs'))).rejects.toMatchObject({ code: 'EPERM' });
    await expect(rename(at('Projects', 'plan.txt'), at('plan.txt'))).rejects.toMatchObject({ code: 'EPERM' });
    await expect(writeFile(at('file'), '')).rejects.toMatchObject({ code: 'EPERM' });
    expect(await names()).toEqual(['Projects', 'Theirs']);
  });

  it('what the service refuses reaches the program, and may work later', async () => {
    drive.store.addSyncpoint('Empty');
    await mount();
    const text = 'Virtual Folder Is Shared Via The Group Permissions';
    drive.emulator.setFaults([{ kind: 'status', endpoint: 'syncpointDelete', status: 403, text }]);
    await expect(rmdir(at('Empty'))).rejects.toMatchObject({ code: 'EACCES' });
    await rmdir(at('Empty'));
    expect(await names()).toEqual(['Projects']);
  });

  it('a read-only drive changes none', async () => {
    await mount('observed', '--read-only');
    await expect(mkdir(at('New'))).rejects.toMatchObject({ code: 'EROFS' });
    await expect(rmdir(at('Projects'))).rejects.toMatchObject({ code: 'EROFS' });
  });
});

it.skipIf(!fuseExists)('without --manage-syncpoints the top cannot be changed', async () => {
  await drive.serve();
  await drive.mount();
  await expect(mkdir(at('New'))).rejects.toMatchObject({ code: 'EPERM' });
  await expect(rename(at('Projects'), at('Plans'))).rejects.toMatchObject({ code: 'EPERM' });
  await expect(rmdir(at('Projects'))).rejects.toMatchObject({ code: 'EPERM' });
  expect(await names()).toEqual(['Projects']);
});
