// Mount options about what writing does at the service and on this machine, through the kernel.
import { readdirSync } from 'node:fs';
import { rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dialect } from '../../src/emulator/dialect.ts';
import type { FileRecord } from '../../src/emulator/store.ts';
import { Drive, fuseExists } from './drive.ts';

let drives: Drive[];
let drive: Drive;

beforeEach(() => {
  drives = [];
  drive = another();
});

afterEach(async () => {
  for (const one of drives) {
    await one.user.run(['unmount', one.mountpoint]);
    await one.stop();
  }
});

function another(): Drive {
  const made = new Drive();
  drives.push(made);
  return made;
}

/** Serves the syncpoint Projects with a file in it, and mounts. */
async function start(one: Drive, options: readonly string[] = [], dialect: Partial<Dialect> = {}): Promise<FileRecord> {
  const syncpoint = one.store.addSyncpoint('Projects');
  const file = one.store.addFile(syncpoint.id, syncpoint.rootFolderId, 'report', Buffer.from('content'));
  await one.serve({ dialect });
  await one.mount({ mount: options });
  await stat(join(one.mountpoint, 'Projects', 'report'));
  return file;
}

/** In units of 100 ns. */
const timeOfSeconds = (seconds: number): bigint => BigInt(seconds) * 10_000_000n;

const stagedNames = ({ user }: Drive): string[] => {
  const below = user.directory('.local', 'state', 'syncplicityfs', 'accounts');
  return readdirSync(below, { recursive: true, encoding: 'utf8' }).filter((name) => /\/staging\/\d+$/.test(name));
};

describe.runIf(fuseExists)('mounting', { timeout: 60_000 }, () => {
  it('with --delete permanently purges what is removed; without, the trash keeps it', async () => {
    const kept = another();
    const [gone, trashed] = [await start(drive, ['--delete', 'permanently']), await start(kept)];
    for (const one of [drive, kept]) {
      await rm(join(one.mountpoint, 'Projects', 'report'));
      await one.succeed(['flush', one.mountpoint]);
    }
    expect(await drive.store.fileOfVersion(gone.versionId)).toBeUndefined();
    expect((await kept.store.fileOfVersion(trashed.versionId))?.file.deleted).toBe(true);
    expect((await drive.status()).purges).toEqual({ pending: 0, refused: [] });
  });

  it.each(['times-changed', 'stored', 'unchanged'] as const)(
    'with --store-mtime stores a time that is set without a change of content, where bytes sent again are %s',
    async (sameContent) => {
      const file = await start(drive, ['--store-mtime'], { sameContent });
      const path = join(drive.mountpoint, 'Projects', 'report');
      await utimes(path, 1_577_836_800, 1_577_836_800);
      await drive.succeed(['flush', drive.mountpoint]);
      const stored = await drive.store.file(file.syncpointId, file.id);
      const expected = sameContent === 'unchanged' ? file.modified : timeOfSeconds(1_577_836_800);
      expect(stored?.modified).toBe(expected);
      expect((await stat(path)).mtimeMs).toBe(1_577_836_800_000);
      expect((await drive.status()).pending.files).toBe(0);
    },
  );

  it('with --read-only makes no empty files for what might be written', async () => {
    const writable = another();
    await start(drive, ['--read-only']);
    await start(writable);
    await writeFile(join(writable.mountpoint, 'Projects', 'new'), 'x');
    await expect.poll(() => stagedNames(writable).length, { timeout: 20_000 }).toBeGreaterThan(10);
    // That one was mounted before.
    expect(stagedNames(drive)).toEqual([]);
  });
});
