// A service that tells no ids of what it stored, and other times than it was sent: what was stored is known all the same, and once is enough.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type {
  CallOptions,
  FolderId,
  RemoteEntry,
  SyncpointId,
  Timestamp,
  UploadOutcome,
} from '../../src/remote-drive.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
import { heldIn, writtenDrive, type WrittenDrive } from './support/written-drive.ts';

class OddDrive extends MemoryDrive {
  kept: (sent: Timestamp) => Timestamp = (sent) => sent;

  override async upload(...args: Parameters<MemoryDrive['upload']>): Promise<UploadOutcome> {
    const outcome = await super.upload(...args);
    return outcome.state === 'stored' ? { ...outcome, fileId: undefined, versionId: undefined } : outcome;
  }

  override async *list(id: SyncpointId, folder: FolderId, options?: CallOptions): AsyncGenerator<RemoteEntry[]> {
    for await (const batch of super.list(id, folder, options))
      yield batch.map((entry) => (entry.kind === 'file' ? { ...entry, modified: this.kept(entry.modified) } : entry));
  }
}

const services: Readonly<Record<string, (sent: Timestamp) => Timestamp>> = {
  'its own time': () => ({ seconds: 1_700_000_000, nanoseconds: 123_456_700 }),
  'none before 1970': ({ seconds, nanoseconds }) => ({ seconds: Math.max(0, seconds), nanoseconds }),
  'whole minutes': ({ seconds }) => ({ seconds: seconds - (seconds % 60), nanoseconds: 0 }),
};

let drive: OddDrive;
let root: FolderId;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new OddDrive();
  root = drive.addSyncpoint('P').rootFolderId;
  written = await writtenDrive(drive);
  await passing(written.program.readdir('P'));
});
afterEach(() => written.stop());

const held = (): string[] => heldIn(drive, root);

it.each(Object.keys(services))('%s', async (service) => {
  drive.kept = services[service] ?? drive.kept;
  const { program, pusher, made } = written;
  await passing(program.writeFile('P/a', 'first'));
  await passing(program.setattr('P/a', { modified: { seconds: -1_234, nanoseconds: 5_600_000 } }));
  const { inode } = await passing(program.stat('P/a'));
  await passing(pusher.flush(nobody.signal));
  expect(held()).toEqual(['a: first']);
  expect(await passing(program.readFile('P/a'))).toBe('first');
  await passing(program.writeFile('P/a', 'second'));
  await passing(pusher.flush(nobody.signal));
  expect(held()).toEqual(['a: second']);
  expect(await passing(program.readdir('P'))).toEqual(['a']);
  expect((await passing(program.stat('P/a'))).inode).toBe(inode);
  expect(made.tree.conflicts()).toEqual([]);
});

it('what another one stored there meanwhile is shown, for ours is a version before it', async () => {
  const { made, program, pusher } = written;
  await passing(program.writeFile('P/a', 'ours!!'));
  const upload = drive.upload.bind(drive);
  drive.upload = async (...args) => {
    const outcome = await upload(...args);
    drive.write(root, 'a', 'theirs');
    return outcome;
  };
  await passing(pusher.flush(nobody.signal));
  expect(held()).toEqual(['a: theirs']);
  expect(await passing(program.readdir('P'))).toEqual(['a']);
  expect(await passing(program.readFile('P/a'))).toBe('theirs');
  expect(made.tree.conflicts()).toEqual([]);
});
