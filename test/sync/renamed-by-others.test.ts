// Others rename a file whose content is pending here: what is pending goes along, and their change stands.
import { constants } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Deferred, deferred } from '../../src/base/deferred.ts';
import type { CallOptions, FolderId, RemoteSyncpoint, UploadOutcome, UploadRequest } from '../../src/remote-drive.ts';
import { LAG_WINDOW_MS } from '../../src/cache/journal.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

/** Its uploads of some names wait before they reach the service. */
class SlowDrive extends MemoryDrive {
  readonly held = new Map<string, Deferred<undefined>>();

  override async upload(request: UploadRequest, options?: CallOptions): Promise<UploadOutcome> {
    await this.held.get(request.name)?.promise;
    return super.upload(request, options);
  }
}

let drive: SlowDrive;
let root: FolderId;
let other: FolderId;
let written: WrittenDrive;
let inode: number;

beforeEach(async () => {
  drive = new SlowDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  other = drive.addFolder(root, 'other');
  drive.addFile(root, 'draft', 'base', '77');
  written = await writtenDrive(drive);
  const { program, pusher } = written;
  for (const path of ['P', 'P/other']) await passing(program.readdir(path));
  await pusher.pause();
  await passing(program.writeFile('P/draft', 'ours'));
  ({ inode } = await passing(program.stat('P/draft')));
});
afterEach(() => written.stop());

async function store(): Promise<void> {
  await written.store();
  expect(written.made.tree.conflicts()).toEqual([]);
}

it('renamed: ours becomes the next version under the new name', async () => {
  drive.rename(root, 'draft', 'final');
  expect(await written.relist('P')).toEqual(['final', 'other']);
  expect(await passing(written.program.readFile('P/final'))).toBe('ours');
  expect((await passing(written.program.stat('P/final'))).inode).toBe(inode);
  await store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'final: ours']);
  expect(drive.entries(root).find(({ name }) => name === 'final')?.id).toBe('77');
  expect(drive.calls.filter((call) => call.startsWith('move'))).toEqual([]);
});

it('seen only by the look before the upload: the same', async () => {
  drive.rename(root, 'draft', 'final');
  await pass(600_000);
  await store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'final: ours']);
  expect(await written.relist('P')).toEqual(['final', 'other']);
});

it('moved to another folder: ours is stored anew where it was', async () => {
  drive.entries(other).push(...drive.entries(root).splice(1));
  expect(await written.relist('P/other')).toEqual(['draft']);
  expect(await written.relist('P')).toEqual(['draft', 'other']);
  await store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'draft: ours']);
  expect(heldIn(drive, other)).toEqual(['draft: base']);
});

it.each(['moved', 'restored'])(
  '%s to a folder with something pending, as soon as listings no longer lag: the first one shows it',
  async (how) => {
    await store();
    const [entry] = drive.entries(root).filter(({ kind }) => kind === 'file');
    if (entry === undefined) throw new Error('it was not stored');
    if (how === 'restored') {
      await passing(written.program.unlink('P/draft'));
      await store();
    }
    const { doneAtMs = 0 } = written.made.journal.get(inode) ?? {};
    await written.pusher.pause();
    await passing(written.program.writeFile('P/other/new', 'ours'));
    await pass(doneAtMs + LAG_WINDOW_MS + 1 - Date.now());
    drive.entries(other).push(entry);
    expect(await written.relist('P/other')).toEqual(['draft', 'new']);
  },
);

it('renamed there and here: ours is what is wanted', async () => {
  await passing(written.program.rename('P/draft', 'P/mine'));
  drive.rename(root, 'draft', 'final');
  expect(await written.relist('P')).toEqual(['mine', 'other']);
  await store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'mine: ours']);
});

it('renamed to a name that a new file has here: both are kept', async () => {
  await passing(written.program.writeFile('P/final', 'new here'));
  drive.rename(root, 'draft', 'final');
  await written.relist('P');
  await store();
  const held = heldIn(drive, root).sort();
  expect(held).toHaveLength(3);
  expect(held.join()).toContain(': ours');
  expect(held.join()).toContain(': new here');
});

it('renamed while a program has it open: what it writes goes along', async () => {
  const { program } = written;
  const descriptor = await passing(program.open('P/draft', constants.O_RDWR));
  drive.rename(root, 'draft', 'final');
  await written.relist('P');
  await passing(program.pwrite(descriptor, 0, 'OURS'));
  await passing(program.close(descriptor));
  await store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'final: OURS']);
});

it('renamed a moment after ours was stored: it shows at once, and the next change goes there', async () => {
  const { program, pusher } = written;
  await store();
  drive.rename(root, 'draft', 'final');
  expect(await written.relist('P')).toEqual(['final', 'other']);
  await pusher.pause();
  await passing(program.writeFile('P/final', 'ours again'));
  await store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'final: ours again']);
  expect(drive.entries(root).find(({ name }) => name === 'final')?.id).toBe('77');
});

it('renamed so where a rename makes a version: the same', async () => {
  await store();
  drive.remove(root, 'draft');
  const ours = drive.addFile(root, 'final', 'ours', '77');
  const { modified } = await passing(written.program.stat('P/draft'));
  drive.entries(root).splice(-1, 1, { ...ours, modified });
  expect(await written.relist('P')).toEqual(['final', 'other']);
  expect(await passing(written.program.readFile('P/final'))).toBe('ours');
});

it('renamed here, stored, and shown under its former name by a listing that lags: nothing follows that', async () => {
  const { program, pusher } = written;
  await store();
  await passing(program.rename('P/draft', 'P/mine'));
  await store();
  await pusher.pause();
  drive.rename(root, 'mine', 'draft');
  expect(await written.relist('P')).toEqual(['mine', 'other']);
  drive.rename(root, 'draft', 'mine');
  expect(await written.relist('P')).toEqual(['mine', 'other']);
});

it('renamed to the name of a file made here, which goes into it: the two are one', async () => {
  const { program, pusher } = written;
  await store();
  await pusher.pause();
  drive.rename(root, 'draft', 'final');
  await passing(program.writeFile('P/final', 'made here'));
  await store();
  expect(heldIn(drive, root).sort()).toEqual(['', 'final: made here']);
  expect(await written.relist('P')).toEqual(['final', 'other']);
  expect(await passing(program.readFile('P/final'))).toBe('made here');
});

it('renamed to the name of a file that is on its way from here, where nothing can be renamed: all is stored, and nobody waits', async () => {
  const { program, pusher } = written;
  drive.moveSeen((drive.syncpointList[0] as RemoteSyncpoint).id, 'file', false);
  for (const name of ['draft', 'final']) drive.held.set(name, deferred());
  await passing(program.writeFile('P/final', 'made here'));
  const flushed = pusher.flush(nobody.signal);
  pusher.resume();
  await pass(100, 50);
  drive.rename(root, 'draft', 'final');
  await written.relist('P');
  for (const name of ['final', 'draft']) {
    drive.held.get(name)?.resolve(undefined);
    await pass(100, 50);
  }
  const begunMs = Date.now();
  await passing(flushed);
  await store();
  expect(Date.now() - begunMs).toBeLessThan(30_000);
  const held = heldIn(drive, root).sort().join();
  expect(held).toContain(': ours');
  expect(held).toContain(': made here');
  expect(drive.calls.filter((call) => call.startsWith('deleteFile')).length).toBeLessThan(5);
});
