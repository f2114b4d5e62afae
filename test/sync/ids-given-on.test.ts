// A service that gives what is stored next the id of what others removed, and tells nobody: it is not taken for that.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type {
  CallOptions,
  FolderId,
  RemoteEntry,
  RemoteFile,
  UploadOutcome,
  UploadRequest,
} from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

class GivingOnDrive extends MemoryDrive {
  /** What the next new file gets. */
  free: string | undefined;

  protected override idFor(kind: RemoteEntry['kind'], parent: FolderId, name: string): string {
    const { free } = this;
    if (kind === 'folder' || free === undefined) return super.idFor(kind, parent, name);
    this.free = undefined;
    return free;
  }

  override async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    const outcome = await super.upload(request, options);
    return outcome.state === 'stored' ? { ...outcome, fileId: undefined, versionId: undefined } : outcome;
  }
}

let drive: GivingOnDrive;
let root: FolderId;
let folder: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new GivingOnDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  folder = drive.addFolder(root, 'folder');
  drive.addFile(root, 'a', 'to be moved');
  written = await writtenDrive(drive);
  for (const path of ['P', 'P/folder']) await passing(written.program.readdir(path));
  await written.pusher.pause();
});
afterEach(() => written.stop());

it('a file stored while one moved here was removed there is that file, and no new content of the other', async () => {
  const { program } = written;
  await passing(program.rename('P/a', 'P/folder/moved'));
  await passing(program.writeFile('P/folder/new', 'second'));
  const [theirs] = drive.entries(root).splice(1) as RemoteFile[];
  drive.free = theirs?.id;
  await written.store();
  await written.relist('P/folder');
  await written.store();
  expect(heldIn(drive, folder)).toEqual(['new: second']);
  expect(await passing(program.readdir('P/folder'))).toEqual(['new']);
  expect(heldIn(drive, root)).toEqual(['']);
});
