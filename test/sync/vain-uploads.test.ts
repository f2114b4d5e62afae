// A service that answers an upload as if it had stored it, and has not, or a part only: nothing is lost, nothing asked for without end.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CallOptions, RemoteSyncpoint, UploadOutcome, UploadRequest } from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import type { Program } from '../fs-ops/support/program.ts';
import { nobody, type TestFileSystem } from '../fs-ops/support/test-file-system.ts';
import { writtenDrive, type WrittenDrive } from './support/written-drive.ts';

/** Tells no ids, and stores nothing of what it is told to ignore. */
class SilentDrive extends MemoryDrive {
  ignores: (request: UploadRequest) => boolean = ({ lengthBytes }) => lengthBytes === 0;
  /** Takes the first bytes for the whole file. */
  cutsShort: (request: UploadRequest) => boolean = () => false;
  readonly uploadedAtMs: number[] = [];
  /** Of content in chunks: each is acknowledged but the last. */
  acknowledges = false;
  readonly sessions: (string | undefined)[] = [];

  override async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    this.uploadedAtMs.push(Date.now());
    this.sessions.push(request.session);
    if (this.acknowledges) {
      request.onSession?.('all but the last chunk');
      return { state: 'unclear', reason: 'the reply to the last chunk was lost' };
    }
    if (this.cutsShort(request)) {
      await super.upload({ ...request, lengthBytes: 5, sha256: undefined }, options);
      return { state: 'unclear', reason: 'the vault took a part for the whole file' };
    }
    if (!this.ignores(request)) await super.upload(request, options);
    return { state: 'stored', fileId: undefined, versionId: undefined, already: false };
  }
}

let drive: SilentDrive;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;
let written: WrittenDrive;

beforeEach(async () => {
  drive = new SilentDrive();
  drive.addSyncpoint('P');
  written = await writtenDrive(drive);
  ({ made, pusher, program } = written);
});

afterEach(() => written.stop());

it('an empty file that is never stored fails after two uploads, is kept, and goes with its first byte', async () => {
  await passing(program.writeFile('P/empty', ''));
  await passing(pusher.flush(nobody.signal));

  expect(drive.uploadedAtMs).toHaveLength(2);
  const { inode } = await program.stat('P/empty');
  expect(made.journal.get(inode)).toMatchObject({ content: true, failed: { kind: 'invalid' } });

  await passing(program.writeFile('P/empty', 'not any more'));
  await passing(pusher.flush(nobody.signal));
  expect(made.journal.get(inode)).toMatchObject({ content: false, failed: undefined });
});

it('an upload that no listing shows is sent again, later each time, and status tells why', async () => {
  let tries = 0;
  drive.ignores = () => (tries += 1) < 6;
  await passing(program.writeFile('P/file', 'content'));
  let troubles: (string | undefined)[] = [];
  await passing(
    new Promise<void>((resolve) => {
      const stop = made.journal.onChange(() => {
        troubles = [...troubles, ...pusher.progress().map(({ trouble }) => trouble?.message)];
        if (pusher.progress().length > 0) return;
        stop();
        resolve();
      });
    }),
  );

  expect(drive.uploadedAtMs).toHaveLength(6);
  const pauses = drive.uploadedAtMs.slice(1).map((at, index) => at - (drive.uploadedAtMs[index] ?? 0));
  expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
  expect(troubles).toContain('the service told of no error, but no listing shows what was sent');
});

it('a part that the service took for the whole file is ours, and the whole becomes its next version', async () => {
  const { rootFolderId } = drive.syncpointList[0] as RemoteSyncpoint;
  drive.cutsShort = () => drive.uploadedAtMs.length === 1;
  await passing(program.writeFile('P/new', 'content of the new one'));
  await passing(pusher.flush(nobody.signal));
  drive.cutsShort = () => drive.uploadedAtMs.length === 3;
  await passing(program.writeFile('P/new', 'other content, also longer'));
  await passing(pusher.flush(nobody.signal));

  expect(drive.uploadedAtMs).toHaveLength(4);
  expect(made.tree.conflicts()).toEqual([]);
  const [entry, ...more] = drive.entries(rootFolderId);
  expect(more).toEqual([]);
  expect(entry?.kind === 'file' && Buffer.from(drive.content(entry.versionId)).toString()).toBe(
    'other content, also longer',
  );
});

it('an upload whose last chunk nobody saw arrive goes on with its session once, for the vault may take nothing but the rest', async () => {
  await passing(program.writeFile('P/long', 'content'));
  drive.acknowledges = true;
  const flushed = pusher.flush(nobody.signal);
  await passing(
    new Promise<void>((resolve) => {
      const stop = made.journal.onChange(() => {
        if (drive.sessions.length < 3) return;
        drive.acknowledges = false;
        stop();
        resolve();
      });
    }),
  );
  await passing(flushed);

  expect(drive.sessions.slice(0, 3)).toEqual([undefined, 'all but the last chunk', undefined]);
});

it('a file that is removed while nobody knows that its overwriting came to nothing is gone', async () => {
  const { rootFolderId } = drive.syncpointList[0] as RemoteSyncpoint;
  await passing(program.writeFile('P/a', 'first'));
  await passing(pusher.flush(nobody.signal));
  drive.ignores = () => true;
  await passing(program.writeFile('P/a', 'second'));
  await passing(
    new Promise<void>((resolve) => {
      const stop = made.journal.onChange(() => {
        if (drive.uploadedAtMs.length < 2) return;
        stop();
        resolve();
      });
    }),
  );
  await passing(program.unlink('P/a'));
  await passing(pusher.flush(nobody.signal));

  expect(drive.entries(rootFolderId)).toEqual([]);
  expect(drive.uploadedAtMs).toHaveLength(2);
});
