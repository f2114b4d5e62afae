// Moves that the service cannot do, through the kernel: a directory goes where storing it anew fetches little, else the program is told.
import { readFile, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Drive, fuseExists, pattern } from './drive.ts';

const content = pattern(3_000_000, 1);
let drive: Drive;

beforeEach(() => {
  drive = new Drive();
});
afterEach(async () => {
  await drive.stop();
});

describe.skipIf(!fuseExists)('a directory that is renamed to another syncpoint', () => {
  it('may not hold more than the limit that is not cached; what was read counts for nothing', async () => {
    const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
    const other = drive.store.addSyncpoint('Archive');
    const folder = drive.store.addFolder(id, rootFolderId, 'plans');
    drive.store.addFile(id, folder.id, 'plan', content);
    await drive.serve();
    await drive.mount({ mount: ['--move-max-size', '2M'] });
    const [from, to] = [join(drive.mountpoint, 'Projects/plans'), join(drive.mountpoint, 'Archive/plans')];
    await readdir(from);

    await expect(rename(from, to)).rejects.toMatchObject({ code: 'EXDEV' });
    expect((await readFile(join(from, 'plan'))).equals(content)).toBe(true);
    await rename(from, to);

    expect((await readFile(join(to, 'plan'))).equals(content)).toBe(true);
    await drive.succeed(['flush', drive.mountpoint]);
    const [moved] = (await drive.store.list(other.id, other.rootFolderId, { deleted: false }))?.folders ?? [];
    expect(moved?.name).toBe('plans');
  });
});
