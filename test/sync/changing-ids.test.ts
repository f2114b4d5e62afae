// A service that gives a file another id with each version, and tells none of them: what was overwritten and removed stays removed.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { CallOptions, FileId, RemoteSyncpoint, UploadOutcome, UploadRequest } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem, nobody } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';

class ChangingDrive extends MemoryDrive {
  #changes = 0;

  override async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    await super.upload(request, options);
    const entries = this.entries((this.syncpointList[0] as RemoteSyncpoint).rootFolderId);
    const at = entries.findIndex(({ name }) => name === request.name);
    const entry = entries[at];
    this.#changes += 1;
    if (entry?.kind === 'file') entries[at] = { ...entry, id: `changed ${this.#changes}` as FileId };
    return { state: 'stored', fileId: undefined, versionId: undefined, already: false };
  }
}

let drive: ChangingDrive;
let syncpoint: RemoteSyncpoint;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;

beforeEach(async () => {
  drive = new ChangingDrive();
  syncpoint = drive.addSyncpoint('P');
  made = await TestFileSystem.start(drive);
  pusher = pusherFor(made, drive);
  program = new Program(made.fileSystem);
  pusher.start();
});

afterEach(async () => {
  await pusher.stop();
  await made.stop();
});

const flush = (): Promise<unknown> => pusher.flush(AbortSignal.timeout(10_000));
const relist = (): Promise<void> => made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);

it('an overwritten file is shown once, with its new content', async () => {
  await program.writeFile('P/a', 'first');
  await flush();
  await program.writeFile('P/a', 'second');
  await flush();
  await relist();
  expect(await program.readdir('P')).toEqual(['a']);
  expect(await program.readFile('P/a')).toBe('second');
  expect(made.tree.conflicts()).toEqual([]);
});

it.each(['at once', 'once it is listed'])('a file that was overwritten and is removed %s is gone', async (when) => {
  await program.writeFile('P/a', 'first');
  await flush();
  await program.writeFile('P/a', 'second, longer');
  await flush();
  if (when === 'once it is listed') await relist();
  await program.unlink('P/a');
  await flush();
  await relist();
  expect(await program.readdir('P')).toEqual([]);
  expect(drive.entries(syncpoint.rootFolderId)).toEqual([]);
  expect(pusher.progress()).toEqual([]);
});

it('a file that is removed right after it was overwritten, before a listing tells of that, is gone', async () => {
  await program.writeFile('P/a', 'first');
  await flush();
  await program.writeFile('P/a', 'second, longer');
  await vi.waitFor(() => {
    expect(drive.entries(syncpoint.rootFolderId)).toMatchObject([{ name: 'a', lengthBytes: 14 }]);
  });
  await program.unlink('P/a');
  await flush();
  await relist();
  expect(await program.readdir('P')).toEqual([]);
  expect(drive.entries(syncpoint.rootFolderId)).toEqual([]);
  expect(pusher.progress()).toEqual([]);
});
