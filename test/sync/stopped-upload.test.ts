// A pusher that is stopped while the service has its last request already: the upload is ours, also for the next process.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { waitFor } from '../../src/base/abort.ts';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { CallOptions, UploadOutcome, UploadRequest } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem, nobody } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';

/** Ends an upload as soon as it is told to, as drives do, whether or not the service went through with it. */
class ImpatientDrive extends MemoryDrive {
  override upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    return waitFor(super.upload(request, options), options.signal);
  }
}

let drive: MemoryDrive;
let made: TestFileSystem;
let pusher: Pusher;

async function start(state?: TestFileSystem['state']): Promise<Program> {
  made = await TestFileSystem.start(drive, state === undefined ? {} : { state });
  pusher = pusherFor(made, drive);
  return new Program(made.fileSystem);
}

async function stop(keepState = false): Promise<void> {
  await pusher.stop();
  await made.stop(keepState);
}

beforeEach(() => {
  drive = new ImpatientDrive();
});

afterEach(() => stop());

it('an upload whose reply was cut off by the end of the mount is adopted, never a conflict', async () => {
  const { rootFolderId } = drive.addSyncpoint('P');
  let program = await start();
  const stored = new Promise<void>((resolve) => {
    drive.reply = (call) => {
      if (call.startsWith('upload')) resolve();
      return new Promise(() => undefined);
    };
  });
  pusher.start();
  await program.writeFile('P/a', 'ours');
  await stored;
  const { state } = made;
  await stop(true);
  expect(drive.entries(rootFolderId).map(({ name }) => name)).toEqual(['a']);
  drive.reply = () => Promise.resolve();
  program = await start(state);
  pusher.start();
  await made.listings.refresh(made.tree.child(1, 'P') as TreeDirectory, nobody.signal);
  expect(await program.readdir('P')).toEqual(['a']);
  await pusher.flush(nobody.signal);
  expect(drive.entries(rootFolderId).map(({ name }) => name)).toEqual(['a']);
  expect(await program.xattr('P/a', 'state')).toBe('stored');
});
