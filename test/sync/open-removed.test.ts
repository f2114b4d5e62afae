// Files that are removed while a program has them open: it reads them to their end, also where the service gives nothing of what is in its
// trash. The removal waits for that, and no flush does.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CallOptions, ContentReference, ContentStream, FolderId, VersionId } from '../../src/remote-drive.ts';
import { RemoteError, type SyncpointId } from '../../src/remote-drive.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

/** Gives nothing of what was removed. */
class ForgettingDrive extends MemoryDrive {
  readonly #gone = new Set<string>();

  override async read(
    content: ContentReference,
    range: { offsetBytes: number; lengthBytes: number },
    options?: CallOptions,
  ): Promise<ContentStream> {
    if (this.#gone.has(content.versionId)) throw new RemoteError('not-found', `version ${content.versionId}`);
    return super.read(content, range, options);
  }

  override async deleteFile(syncpoint: SyncpointId, version: VersionId, options?: CallOptions): Promise<void> {
    await super.deleteFile(syncpoint, version, options);
    this.#gone.add(version);
  }

  override async deleteFolder(syncpoint: SyncpointId, folder: FolderId, options?: CallOptions): Promise<void> {
    for (const entry of this.entries(folder)) if (entry.kind === 'file') this.#gone.add(entry.versionId);
    await super.deleteFolder(syncpoint, folder, options);
  }
}

let drive: ForgettingDrive;
let root: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new ForgettingDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  drive.addFile(root, 'a', 'content of a');
  drive.addFile(drive.addFolder(root, 'folder'), 'b', 'content of b');
  written = await writtenDrive(drive);
  for (const path of ['P', 'P/folder']) await passing(written.program.readdir(path));
});
afterEach(() => written.stop());

const removals = (): string[] => drive.calls.filter((call) => call.startsWith('delete'));

it.each([
  ['a file', 'P/a', ['P/a']],
  ['a folder that holds one', 'P/folder/b', ['P/folder/b', 'P/folder']],
])('%s is removed when it is closed', async (_, path, removed) => {
  const { program } = written;
  const descriptor = await passing(program.open(path, 0));
  for (const one of removed) await passing(one === 'P/folder' ? program.rmdir(one) : program.unlink(one));
  await pass(120_000);
  expect((await passing(program.pread(descriptor, 0, 100))).toString()).toBe(`content of ${path.slice(-1)}`);
  expect(removals()).toEqual([]);
  await passing(program.close(descriptor));
  await pass(10_000);
  expect(removals()).toHaveLength(1);
  expect([...written.made.journal.records()].filter(({ doneAtMs }) => doneAtMs === undefined)).toEqual([]);
});

it('a flush removes it at once', async () => {
  const { program, pusher } = written;
  const descriptor = await passing(program.open('P/a', 0));
  await passing(program.unlink('P/a'));
  await passing(pusher.flush(nobody.signal));
  expect(removals()).toHaveLength(1);
  await passing(program.close(descriptor));
});

it('who never closes it keeps it from being removed for an hour', async () => {
  const { program } = written;
  await passing(program.open('P/a', 0));
  await passing(program.unlink('P/a'));
  await pass(3_500_000);
  expect(removals()).toEqual([]);
  await pass(200_000);
  expect(removals()).toHaveLength(1);
});

it('what is open elsewhere keeps no folder', async () => {
  const { program } = written;
  await passing(program.open('P/a', 0));
  await passing(program.unlink('P/a'));
  await passing(program.unlink('P/folder/b'));
  await passing(program.rmdir('P/folder'));
  await pass(10_000);
  expect(removals()).toHaveLength(1);
});

it('what is to take its place keeps nobody waiting', async () => {
  const { program } = written;
  await passing(program.open('P/folder/b', 0));
  await passing(program.unlink('P/folder/b'));
  await passing(program.rmdir('P/folder'));
  await passing(program.mkdir('P/folder'));
  await passing(program.writeFile('P/folder/new', 'new'));
  await pass(10_000);
  const folder = drive.entries(root).find(({ kind }) => kind === 'folder');
  expect(heldIn(drive, folder?.id as FolderId)).toEqual(['new: new']);
});
