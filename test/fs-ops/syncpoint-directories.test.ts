// Syncpoints made, renamed and removed by programs, over a service whose lists lag and refuse: what is waited for, and in which order.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import { RemoteError, type RemoteSyncpoint, type SyncpointId } from '../../src/remote-drive.ts';
import type { SyncpointCalls } from '../../src/fs-ops/syncpoint-directories.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { O_CREAT, O_WRONLY, Program } from './support/program.ts';
import { TestFileSystem, type TestFileSystemOptions } from './support/test-file-system.ts';

let drive: MemoryDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let program: Program;
let done: string[];
/** How many lists do not show a change yet. */
let lag: number;

/** Changes the drive's syncpoints, after as many lists as the lag says. */
function later(change: () => void): void {
  let left = lag;
  drive.gate = (call): Promise<void> => {
    if (call.startsWith('syncpoints') && left-- === 0) change();
    return Promise.resolve();
  };
}

const calls: SyncpointCalls = {
  create(name) {
    done.push(`create ${name}`);
    const id = String(900 + done.length) as SyncpointId;
    later(() => void drive.addSyncpoint(name, { id }));
    return Promise.resolve(id);
  },
  rename(id, name) {
    done.push(`rename ${name}`);
    later(() => {
      const at = drive.syncpointList.findIndex((one) => one.id === id);
      drive.syncpointList[at] = { ...(drive.syncpointList[at] as RemoteSyncpoint), name };
    });
    return Promise.resolve();
  },
  remove(id) {
    done.push('remove');
    later(() =>
      drive.syncpointList.splice(
        drive.syncpointList.findIndex((one) => one.id === id),
        1,
      ),
    );
    return Promise.resolve();
  },
};

async function start(options: TestFileSystemOptions = {}): Promise<void> {
  made = await TestFileSystem.start(drive, { syncpoints: calls, ...options });
  program = new Program(made.fileSystem);
}

beforeEach(() => {
  drive = new MemoryDrive();
  syncpoint = drive.addSyncpoint('P');
  done = [];
  lag = 0;
});
afterEach(async () => {
  await made.stop();
});

const tops = (): string[] => [...made.tree.children(made.tree.root().inode)].map(({ name }) => name).sort();

it('a list that lags behind is asked for until it shows the change', async () => {
  lag = 1;
  await start();
  await program.mkdir('New');
  expect(tops()).toEqual(['New', 'P']);
  await program.rename('P', 'Q');
  expect(tops()).toEqual(['New', 'Q']);
  await program.rmdir('Q');
  expect(tops()).toEqual(['New']);
  expect(done).toEqual(['create New', 'rename Q', 'remove']);
});

it('a change that no list shows in time is EIO', async () => {
  lag = 1_000;
  await start({ opTimeoutMs: 100 });
  await expect(program.mkdir('New')).rejects.toMatchObject({ errno: errno.EIO });
  expect(made.failures).toContainEqual(expect.stringContaining('no answer within 0.1 s'));
});

it('what is still to be sent of a syncpoint, or away from it, is stored before it is removed', async () => {
  const other = drive.addSyncpoint('Other');
  drive.addFile(syncpoint.rootFolderId, 'moved', 'content');
  drive.addFile(other.rootFolderId, 'untouched', 'content');
  const asked: string[][] = [];
  await start({
    storing: {
      nudge: () => done.push('nudge'),
      settled(inodes) {
        asked.push(inodes.map((inode) => made.journal.get(inode)?.at?.name ?? '?'));
        drive.remove(syncpoint.rootFolderId, 'moved');
        return Promise.resolve();
      },
    },
  });
  await program.rename('P/moved', 'Other/moved');
  await program.close(await program.open('Other/new', O_WRONLY | O_CREAT));
  await program.rmdir('P');
  expect(asked).toEqual([['moved']]);
  expect(done).toEqual(['nudge', 'remove']);
});

it('one whose last changes were refused stays', async () => {
  drive.addFile(syncpoint.rootFolderId, 'file', 'content');
  await start({
    storing: { nudge: () => undefined, settled: () => Promise.reject(new RemoteError('forbidden', 'not yours')) },
  });
  await program.unlink('P/file');
  await expect(program.rmdir('P')).rejects.toMatchObject({ errno: errno.EACCES });
  expect([done, tops()]).toEqual([[], ['P']]);
});

it("a desktop's trash is none: neither made here nor at the service", async () => {
  await start();
  for (const name of ['.Trash', '.Trash-1000']) {
    await expect(program.mkdir(name)).rejects.toMatchObject({ errno: errno.EPERM });
  }
  expect(done).toEqual([]);
});
