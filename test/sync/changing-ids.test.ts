// A service that gives a file another id with each version, and tells none of them: what was overwritten and removed stays removed.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { CallOptions, FileId, RemoteSyncpoint, UploadOutcome, UploadRequest } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { pushedDrive, type PushedDrive } from './support/pushed-drive.ts';

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
let made: PushedDrive['made'];
let pusher: PushedDrive['pusher'];
let program: PushedDrive['program'];
let flush: PushedDrive['flush'];
let relist: PushedDrive['relist'];
let stop: PushedDrive['stop'];

beforeEach(async () => {
  drive = new ChangingDrive();
  syncpoint = drive.addSyncpoint('P');
  ({ made, pusher, program, flush, relist, stop } = await pushedDrive(drive));
});

afterEach(() => stop());

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
