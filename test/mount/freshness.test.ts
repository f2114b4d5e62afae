// What others change at the service, seen through the kernel, which keeps what it knows for as long as nothing is told to have changed.
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FolderRecord, SyncpointRecord } from '../../src/emulator/store.ts';
import { Drive, fuseExists, run } from './drive.ts';
import { kernelTransportOnly } from '../cli/program.ts';

const POLL_MS = 1_000;
/** Everything is good for an hour unless an event is told. */
const options = { mount: ['--poll-interval', '1s', '--backstop', '1h'] } as const;

let drive: Drive;
let projects: SyncpointRecord;
let folders: FolderRecord[];

beforeEach(() => {
  drive = new Drive();
  projects = drive.store.addSyncpoint('Projects');
  folders = Array.from({ length: 10 }, (_, index) => {
    const folder = drive.store.addFolder(projects.id, projects.rootFolderId, `folder${index}`);
    for (let file = 0; file < 10; file += 1)
      drive.store.addFile(projects.id, folder.id, `file${file}`, Buffer.from(`content ${file}`));
    return folder;
  });
});
afterEach(async () => {
  await drive.stop();
});

const at = (...path: string[]): string => join(drive.mountpoint, 'Projects', ...path);
const folderOf = (index: number): FolderRecord => folders[index] as FolderRecord;
const kernelRequests = async (): Promise<Record<string, number>> => (await drive.status()).requests;
/** A file that is not there yet has no content; whatever else keeps it from being read fails the test. */
const unlessMissing = (error: unknown): undefined => {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
};
const calls = (): number => Object.values(drive.emulator.calls().byEndpoint).reduce((sum, count) => sum + count, 0);
const calledFor = (endpoint: string): number => drive.emulator.calls().byEndpoint[endpoint] ?? 0;
const listingCalls = (): number => calls() - calledFor('syncpoints') - calledFor('token') - calledFor('retrieveFile');

/** Waits for the next time that the service is asked for events, and for what comes of it. */
async function untilPolled(): Promise<void> {
  const before = calledFor('syncpoints');
  await expect.poll(() => calledFor('syncpoints'), { timeout: 10_000 }).toBeGreaterThan(before + 1);
}

describe.skipIf(!fuseExists)('what others change', () => {
  it('is seen within a poll and a second, whatever it is, while the kernel keeps all else', async () => {
    await drive.serve();
    await drive.mount(options);
    await run('find', [drive.mountpoint, '-ls']);
    expect(await readFile(at('folder3', 'file3'), 'utf8')).toBe('content 3');
    await expect(stat(at('folder4', 'new'))).rejects.toThrow('ENOENT');
    const { id } = projects;
    const fileIds = new Map<string, number>();
    for (const { name, id: folder } of folders) {
      const listing = await drive.store.list(id, folder, { deleted: false });
      for (const file of listing?.files ?? []) fileIds.set(`${name}/${file.name}`, file.id);
    }
    const changes: (() => { readonly isSeen: () => Promise<boolean> })[] = [];
    const reads = (path: string, text: string) => async (): Promise<boolean> =>
      (await readFile(at(...path.split('/')), 'utf8').catch(unlessMissing)) === text;
    const lists = (folder: string, name: string, is: boolean) => async (): Promise<boolean> =>
      (await readdir(at(folder))).includes(name) === is;
    const missing = (path: string) => async (): Promise<boolean> =>
      stat(at(...path.split('/'))).then(
        () => false,
        (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
      );
    const fileId = (path: string): number => fileIds.get(path) ?? 0;
    for (let index = 0; index < 5; index += 1) {
      const folder = folderOf(index);
      const text = `changed ${index}`;
      changes.push(
        () => {
          drive.store.writeFile(id, fileId(`${folder.name}/file1`), Buffer.from(text));
          return { isSeen: reads(`${folder.name}/file1`, text) };
        },
        () => {
          drive.store.addFile(id, folder.id, 'new', Buffer.from(text));
          return { isSeen: reads(`${folder.name}/new`, text) };
        },
        () => {
          drive.store.remove(id, fileId(`${folder.name}/file2`));
          return { isSeen: missing(`${folder.name}/file2`) };
        },
        () => {
          drive.store.rename(id, fileId(`${folder.name}/file4`), 'renamed');
          return { isSeen: lists(folder.name, 'renamed', true) };
        },
        () => {
          drive.store.move(id, fileId(`${folder.name}/file5`), folderOf(9 - index).id, `moved${index}`);
          return { isSeen: lists(folder.name, 'file5', false) };
        },
      );
    }
    changes.push(() => {
      drive.store.addSyncpoint('Appeared');
      return { isSeen: async () => (await readdir(drive.mountpoint)).includes('Appeared') };
    });
    const late: string[] = [];
    for (const change of changes) {
      const { isSeen } = change();
      const begun = performance.now();
      while (!(await isSeen())) {
        if (performance.now() - begun > 20_000) throw new Error(`never seen: ${change.toString()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const ms = performance.now() - begun;
      if (ms > POLL_MS + 1_000) late.push(`${ms}: ${change.toString()}`);
    }
    expect(late).toEqual([]);
  }, 120_000);

  it.skipIf(kernelTransportOnly('through libfuse the kernel knows things for a second'))(
    'costs the kernel nothing while nothing changes: no request for what is known, no call',
    async () => {
      await drive.serve();
      await drive.mount(options);
      const look = async (): Promise<void> => {
        expect((await run('stat', [at('folder1', 'file1')])).code).toBe(0);
        expect((await run('stat', [at('folder1', 'missing')])).code).toBe(1);
        expect(await readFile(at('folder1', 'file1'), 'utf8')).toBe('content 1');
      };
      // Twice: what was read has another time of access, for which the kernel asks once.
      await look();
      await look();
      await untilPolled();
      // What the kernel asked before the service had answered was kept for a second.
      await look();
      const [before, listed] = [await kernelRequests(), listingCalls()];
      for (let time = 0; time < 10; time += 1) await look();
      await untilPolled();
      const after = await kernelRequests();
      // What opens a file is not kept by any kernel; what it reads is.
      for (const kind of ['LOOKUP', 'GETATTR', 'READ', 'READDIRPLUS', 'READDIR', 'ACCESS', 'GETXATTR'])
        expect([kind, (after[kind] ?? 0) - (before[kind] ?? 0)]).toEqual([kind, 0]);
      expect(listingCalls()).toBe(listed);
    },
  );

  it.skipIf(kernelTransportOnly('by libfuse a name shows one version, that which is open'))(
    'of a file that is open, its readers keep the version they opened',
    async () => {
      await drive.serve();
      await drive.mount(options);
      const path = at('folder0', 'file0');
      const reader = run('bash', [
        '-c',
        `exec < '${path}'; while [ ! -e '${at('folder0', 'go')}' ]; do sleep 0.1; done; cat`,
      ]);
      await expect.poll(async () => (await kernelRequests())['OPEN'] ?? 0).toBeGreaterThan(0);
      const listing = await drive.store.list(projects.id, folderOf(0).id, { deleted: false });
      const [file] = listing?.files ?? [];
      drive.store.writeFile(projects.id, file?.id ?? 0, Buffer.from('another version'));
      await expect.poll(() => readFile(path, 'utf8'), { timeout: 10_000 }).toBe('another version');
      drive.store.addFile(projects.id, folderOf(0).id, 'go', Buffer.from(''));
      expect((await reader).stdout).toBe('content 0');
    },
  );
});

describe.skipIf(!fuseExists)('where the service', () => {
  const changed = async (index: number): Promise<string> => {
    const listing = await drive.store.list(projects.id, folderOf(index).id, { deleted: false });
    const [file] = listing?.files ?? [];
    drive.store.writeFile(projects.id, file?.id ?? 0, Buffer.from(`changed ${index}`));
    return at(`folder${index}`, file?.name ?? '');
  };

  it('tells no events, listings live for a lifetime', async () => {
    await drive.serve({ dialect: { lastEvent: false } });
    await drive.mount({ mount: ['--poll-interval', '1s', '--listing-lifetime', '2s'] });
    await run('find', [drive.mountpoint, '-ls']);
    const path = await changed(4);
    await expect.poll(() => readFile(path, 'utf8'), { timeout: 10_000 }).toBe('changed 4');
    expect((await drive.status()).capabilities['lastEvent']).toBe('no');
  });

  it('lists with a lag behind its events, a change is seen all the same', async () => {
    await drive.serve({ dialect: { listingLagMs: 3_000 } });
    await drive.mount(options);
    await run('find', [drive.mountpoint, '-ls']);
    const second = drive.user.directory('second');
    await drive.succeed(['mount', 'test', second, '--instance', 'second', '--settle', '0s']);
    try {
      await writeFile(join(second, 'Projects', 'folder5', 'file5'), 'changed');
      // The listing that the event causes shows the file as it was; it is believed for seconds only.
      await expect.poll(() => readFile(at('folder5', 'file5'), 'utf8'), { timeout: 30_000 }).toBe('changed');
    } finally {
      await drive.succeed(['unmount', second]);
    }
  }, 60_000);
});

describe.skipIf(!fuseExists)('a mount that was there before', () => {
  it('trusts what it knew on the word of one call', async () => {
    await drive.serve();
    await drive.mount();
    await run('find', [drive.mountpoint, '-ls']);
    await expect.poll(() => calledFor('storageendpoints')).toBe(1);
    const first = calls();
    expect(first).toBeLessThanOrEqual(folders.length + 1 + 3);
    await drive.unmount();
    await drive.mount();
    const { stdout } = await run('find', [drive.mountpoint, '-ls']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(112);
    await run('du', ['-s', drive.mountpoint]);
    expect(calls() - first).toBe(2);
  });

  it('sees what changed while it was away, and looks into nothing that did not', async () => {
    const other = drive.store.addSyncpoint('Other');
    for (let index = 0; index < 5; index += 1) drive.store.addFolder(other.id, other.rootFolderId, `other${index}`);
    await drive.serve();
    await drive.mount();
    await run('find', [drive.mountpoint, '-ls']);
    await drive.unmount();
    drive.store.addFile(projects.id, folderOf(7).id, 'while away', Buffer.from('x'));
    const before = listingCalls();
    await drive.mount();
    expect(await readdir(at('folder7'))).toContain('while away');
    await run('find', [join(drive.mountpoint, 'Other')]);
    // folder7, and what lies on the way to it, behind.
    expect(listingCalls() - before).toBeLessThanOrEqual(2);
  });

  it('shows what it knew at once while the service is away, and comes back by itself', async () => {
    await drive.serve();
    await drive.mount(options);
    await run('find', [drive.mountpoint, '-ls']);
    await drive.unmount();
    await drive.interruptService(async () => {
      await drive.mount(options);
      await expect.poll(async () => (await drive.status()).online, { timeout: 20_000 }).toBe(false);
      const walk = await run('find', [drive.mountpoint, '-ls']);
      expect(walk.stdout.trimEnd().split('\n')).toHaveLength(112);
      expect(walk.ms).toBeLessThan(5_000);
      drive.store.addFile(projects.id, folderOf(2).id, 'meanwhile', Buffer.from('x'));
    });
    await expect.poll(() => readdir(at('folder2')), { timeout: 30_000 }).toContain('meanwhile');
    expect((await drive.status()).online).toBe(true);
  }, 90_000);

  it.skipIf(process.getuid?.() !== 0)(
    'is seen where something is mounted on a directory of the drive, and takes nothing of that away',
    async () => {
      await drive.serve();
      await drive.mount(options);
      const inside = at('folder1');
      await run('find', [drive.mountpoint, '-ls']);
      expect((await run('mount', ['-t', 'tmpfs', 'inside', inside])).code).toBe(0);
      try {
        await writeFile(join(inside, 'mine'), 'not for the service');
        const added = drive.store.addFile(projects.id, folderOf(2).id, 'new', Buffer.from('theirs'));
        expect(added.name).toBe('new');
        await untilPolled();
        expect(await readFile(at('folder2', 'new'), 'utf8')).toBe('theirs');
        expect(await readdir(inside)).toEqual(['mine']);
      } finally {
        await run('umount', [inside]);
      }
      expect(await readdir(inside)).toHaveLength(10);
    },
  );
});
