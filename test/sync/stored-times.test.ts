// With --store-mtime: a modification time set without a change of content is stored, by an upload of the content that is there.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LocalChanges } from '../../src/cache/local-changes.ts';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { CallOptions, RemoteSyncpoint, UploadOutcome, UploadRequest } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { enterVirtualTime, leaveVirtualTime, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { memoryDirectory } from '../fakes/temporary-directory.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem, nobody } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';

/** What services do with bytes that they have already: some take the new time, some don't. */
class TimedDrive extends MemoryDrive {
  takesTimes = true;
  uploads = 0;
  /** So many of the next uploads are answered as if they had been stored. */
  loses = 0;
  /** Tells nothing of what became of an upload. */
  isSilent = false;

  override async upload(request: UploadRequest, options?: CallOptions): Promise<UploadOutcome> {
    this.uploads += 1;
    const untold = { state: 'stored', fileId: undefined, versionId: undefined, already: false } as const;
    this.loses -= 1;
    if (this.loses >= 0) return untold;
    const outcome = await super.upload(request, options);
    const entries = this.entries(syncpoint.rootFolderId);
    const at = entries.findIndex(({ name }) => name === request.name);
    const entry = entries[at];
    const { seconds, nanoseconds } = request.modified;
    if (entry?.kind === 'file' && this.takesTimes)
      entries[at] = { ...entry, modified: { seconds, nanoseconds: nanoseconds - (nanoseconds % 100) } };
    return this.isSilent ? untold : outcome;
  }
}

const day = { seconds: 1_577_836_800, nanoseconds: 123_456_789 };

let drive: TimedDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;

beforeEach(async () => {
  enterVirtualTime();
  drive = new TimedDrive();
  syncpoint = drive.addSyncpoint('P');
  drive.addFile(syncpoint.rootFolderId, 'a', 'first');
  await start(true);
});

async function start(storesTimes: boolean): Promise<void> {
  made = await TestFileSystem.start(drive, {
    state: memoryDirectory(),
    changes: (journal, nowMs) => new LocalChanges(journal, nowMs, { storesTimes }),
  });
  pusher = pusherFor(made, drive, 2, { storesTimes });
  program = new Program(made.fileSystem);
  pusher.start();
  await passing(program.readdir('P'));
}

async function stop(): Promise<void> {
  await pusher.stop();
  await made.stop();
}

afterEach(async () => {
  leaveVirtualTime();
  await stop();
});

const atService = (name: string): { readonly modified: unknown; readonly content: string } => {
  const entry = drive.entries(syncpoint.rootFolderId).find((one) => one.name === name);
  if (entry?.kind !== 'file') throw new Error(`no file ${name}`);
  return { modified: entry.modified, content: Buffer.from(drive.content(entry.versionId)).toString() };
};
const flush = (): Promise<unknown> => passing(pusher.flush(nobody.signal));
const relist = (): Promise<void> =>
  passing(made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal));

it('the time of a file that was never read is stored with its bytes', async () => {
  await program.setattr('P/a', { modified: day });
  await flush();
  expect(atService('a')).toEqual({ modified: { ...day, nanoseconds: 123_456_700 }, content: 'first' });
  expect(drive.uploads).toBe(1);
  expect((await program.stat('P/a')).modified).toEqual(day);
  await flush();
  expect(drive.uploads).toBe(1);
});

it('the time of a file that was written here is stored after its content was', async () => {
  await passing(program.writeFile('P/b', 'written'));
  await flush();
  await program.setattr('P/b', { modified: day });
  await flush();
  expect(atService('b')).toMatchObject({ modified: { seconds: day.seconds }, content: 'written' });
  expect(drive.uploads).toBe(2);
});

it('the same bytes written anew have their new time stored', async () => {
  await passing(program.writeFile('P/b', 'same'));
  await program.setattr('P/b', { modified: day });
  await flush();
  await passing(program.writeFile('P/b', 'same'));
  await program.setattr('P/b', { modified: { ...day, seconds: day.seconds + 60 } });
  await flush();
  expect(atService('b')).toMatchObject({ modified: { seconds: day.seconds + 60 }, content: 'same' });
});

it('a time that the service has already, to what it keeps of it, sends nothing', async () => {
  const { modified } = await program.stat('P/a');
  await program.setattr('P/a', { modified: { ...modified, nanoseconds: modified.nanoseconds + 1 } });
  await program.setattr('P/a', { permissions: 0o600 });
  await flush();
  expect(drive.uploads).toBe(0);
});

it('bytes that another one stored meanwhile win, and nothing is kept twice', async () => {
  await pusher.pause();
  await program.setattr('P/a', { modified: day });
  drive.write(syncpoint.rootFolderId, 'a', 'theirs');
  await relist();
  pusher.resume();
  await flush();
  expect(await passing(program.readFile('P/a'))).toBe('theirs');
  expect(await passing(program.readdir('P'))).toEqual(['a']);
  expect(drive.uploads).toBe(0);
});

it('a file that another one removed, or replaced by a new one, meanwhile does not come back', async () => {
  drive.addFile(syncpoint.rootFolderId, 'b', 'old');
  await relist();
  await pusher.pause();
  await program.setattr('P/a', { modified: day });
  await program.setattr('P/b', { modified: day });
  drive.remove(syncpoint.rootFolderId, 'a');
  drive.remove(syncpoint.rootFolderId, 'b');
  drive.addFile(syncpoint.rootFolderId, 'b', 'new');
  await relist();
  pusher.resume();
  await flush();
  expect(await passing(program.readdir('P'))).toEqual(['b']);
  expect(await passing(program.readFile('P/b'))).toBe('new');
  expect(drive.uploads).toBe(0);
});

it('what is written after the time was set is ours, and a conflict as any other', async () => {
  await pusher.pause();
  await program.setattr('P/a', { modified: day });
  await passing(program.writeFile('P/a', 'ours'));
  drive.write(syncpoint.rootFolderId, 'a', 'theirs');
  await relist();
  pusher.resume();
  await flush();
  expect(await passing(program.readFile('P/a'))).toBe('theirs');
  expect(await passing(program.readdir('P'))).toHaveLength(2);
});

it('where the service keeps its own time for bytes it has, the time stays here, and is not sent again', async () => {
  drive.takesTimes = false;
  await program.setattr('P/a', { modified: day });
  await flush();
  await relist();
  await flush();
  expect(drive.uploads).toBe(1);
  expect((await program.stat('P/a')).modified).toEqual(day);
});

it('a time is stored though the vault lost the bytes that were to bring it, twice', async () => {
  drive.loses = 2;
  await program.setattr('P/a', { modified: day });
  await flush();
  expect(drive.uploads).toBe(3);
  expect(atService('a').modified).toEqual({ ...day, nanoseconds: 123_456_700 });
});

it('so is that of the same bytes written anew', async () => {
  await passing(program.writeFile('P/b', 'same'));
  await flush();
  await passing(program.writeFile('P/b', 'same'));
  await program.setattr('P/b', { modified: day });
  drive.loses = 2;
  await flush();
  expect(drive.uploads).toBe(4);
  expect(atService('b').modified).toEqual({ ...day, nanoseconds: 123_456_700 });
});

it('where the service keeps its own time for bytes it has, and tells nothing, the time is given up after three uploads', async () => {
  drive.takesTimes = false;
  drive.isSilent = true;
  await program.setattr('P/a', { modified: day });
  await flush();
  expect(drive.uploads).toBe(3);
  expect((await program.stat('P/a')).modified).toEqual(day);
});

it('without the option the time stays here', async () => {
  await stop();
  await start(false);
  await program.setattr('P/a', { modified: day });
  await flush();
  expect(drive.uploads).toBe(0);
  expect((await program.stat('P/a')).modified).toEqual(day);
});
