// A file moved where the service moves nothing is stored anew from its old place. Others remove that, for good, before it was copied.
import { constants } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isPending, type PendingRecord } from '../../src/cache/journal.ts';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type { CallOptions, ContentReference, ContentStream, FolderId } from '../../src/remote-drive.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import { Decisions } from '../../src/sync/decisions.ts';
import { pass, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

class LosingDrive extends MemoryDrive {
  readonly lost = new Set<string>();

  override async read(
    content: ContentReference,
    range: { offsetBytes: number; lengthBytes: number },
    options?: CallOptions,
  ): Promise<ContentStream> {
    if (this.lost.has(content.versionId))
      throw new RemoteError('not-found', `version ${content.versionId}: File Not Found`);
    return super.read(content, range, options);
  }
}

let drive: LosingDrive;
let from: FolderId;
let to: FolderId;
let written: WrittenDrive;
let decisions: Decisions;

beforeEach(async () => {
  drive = new LosingDrive();
  from = drive.addSyncpoint('From').rootFolderId;
  to = drive.addSyncpoint('To').rootFolderId;
  drive.addFile(from, 'report', 'only there');
  written = await writtenDrive(drive);
  const { made, program, pusher } = written;
  decisions = new Decisions({
    journal: made.journal,
    content: { seal: (staged, signal) => made.staging.seal(staged, signal), version: unused, keep: unused },
    pusher,
    unfinishedContent: unused,
    restore: unused,
    drop: unused,
  });
  for (const path of ['From', 'To']) await passing(program.readdir(path));
  await pusher.pause();
  await passing(program.rename('From/report', 'To/report'));
  const [entry] = drive.entries(from);
  if (entry?.kind !== 'file') throw new Error('there is no file');
  drive.lost.add(entry.versionId);
  drive.remove(from, 'report');
});
afterEach(() => written.stop());

function unused(): never {
  throw new Error('nothing here needs that');
}

const records = (): PendingRecord[] => [...written.made.journal.records()].filter(isPending);

it('is told as failed, after some tries, and keeps nobody waiting', async () => {
  written.pusher.resume();
  await passing(written.pusher.flush(nobody.signal));
  expect(drive.calls.filter((call) => call.startsWith('upload')).length).toBeLessThanOrEqual(4);
  const failed = records().map((record) => record.failed);
  // The removal of what it was moved from waits for it.
  expect(failed).toHaveLength(2);
  expect(failed).toContainEqual(
    expect.objectContaining({
      kind: 'not-found',
      message: expect.stringContaining('of its content is gone at the service') as string,
    }),
  );
});

it('is stored when others have brought it back and the user retries', async () => {
  written.pusher.resume();
  await passing(written.pusher.flush(nobody.signal));
  drive.lost.clear();
  await decisions.retry('/To/report');
  await passing(written.pusher.flush(nobody.signal));
  expect(records()).toEqual([]);
  expect(heldIn(drive, to)).toEqual(['report: only there']);
});

it('is gone when the user discards it', async () => {
  written.pusher.resume();
  await passing(written.pusher.flush(nobody.signal));
  expect(decisions.discard('/To/report')).toBe(1);
  await passing(written.pusher.flush(nobody.signal));
  expect(records()).toEqual([]);
  expect(await passing(written.program.readdir('To'))).toEqual([]);
});

it('is stored without a word where the vault was only behind for a moment', async () => {
  written.pusher.resume();
  const flushed = written.pusher.flush(nobody.signal);
  await pass(2_000);
  drive.lost.clear();
  await passing(flushed);
  expect(records()).toEqual([]);
  expect(heldIn(drive, to)).toEqual(['report: only there']);
});

it('a file of which a part was written here, and the rest was never fetched: the same', async () => {
  const { program, pusher } = written;
  const file = drive.addFile(from, 'large', Buffer.alloc(400_000, 'x'));
  await passing(written.made.listings.refresh(written.made.tree.child(1, 'From') as TreeDirectory, nobody.signal));
  const descriptor = await passing(program.open('From/large', constants.O_RDWR));
  await passing(program.pwrite(descriptor, 200_000, 'ours'));
  await passing(program.close(descriptor));
  drive.lost.add(file.versionId);
  drive.remove(from, 'large');
  pusher.resume();
  await passing(pusher.flush(nobody.signal));
  // The one that was moved, and no more than that, went with its source.
  expect(records()).toMatchObject([{ failed: { kind: 'not-found' } }]);
  drive.lost.clear();
  await decisions.retry('/');
  await passing(pusher.flush(nobody.signal));
  expect(records()).toEqual([]);
  expect(heldIn(drive, from)).toEqual([`large: ${'x'.repeat(200_000)}ours${'x'.repeat(199_996)}`]);
});
