// A service that gives what is stored under the name of something removed the id which that had.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type {
  CallOptions,
  RemoteEntry,
  RemoteFile,
  RemoteSyncpoint,
  SyncpointId,
  UploadOutcome,
  UploadRequest,
  VersionId,
} from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { pushedDrive, type PushedDrive } from './support/pushed-drive.ts';

class RevivingDrive extends MemoryDrive {
  /** Whether replies name what was stored. */
  tellsIds = false;
  /** What listings show instead of what is there. */
  shown: readonly RemoteEntry[] | undefined;
  readonly #removed = new Map<string, RemoteFile>();

  override async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    await super.upload(request, options);
    const entries = this.entries((this.syncpointList[0] as RemoteSyncpoint).rootFolderId);
    const at = entries.findIndex(({ name }) => name === request.name);
    const entry = entries[at];
    const former = this.#removed.get(request.name.toLowerCase());
    if (entry?.kind === 'file' && former !== undefined) entries[at] = { ...entry, id: former.id };
    const stored = this.tellsIds && entries[at]?.kind === 'file' ? entries[at] : undefined;
    return { state: 'stored', fileId: stored?.id, versionId: stored?.versionId, already: false };
  }

  override async *list(...args: Parameters<MemoryDrive['list']>): AsyncGenerator<RemoteEntry[]> {
    if (this.shown === undefined) yield* super.list(...args);
    else yield [...this.shown];
  }

  override async deleteFile(syncpoint: SyncpointId, version: VersionId, options?: CallOptions): Promise<void> {
    for (const entry of this.entries((this.syncpointList[0] as RemoteSyncpoint).rootFolderId))
      if (entry.kind === 'file' && entry.versionId === version) this.#removed.set(entry.name.toLowerCase(), entry);
    await super.deleteFile(syncpoint, version, options);
  }
}

let drive: RevivingDrive;
let syncpoint: RemoteSyncpoint;
let made: PushedDrive['made'];
let pusher: PushedDrive['pusher'];
let program: PushedDrive['program'];
let flush: PushedDrive['flush'];
let relist: PushedDrive['relist'];
let stop: PushedDrive['stop'];

beforeEach(async () => {
  drive = new RevivingDrive();
  syncpoint = drive.addSyncpoint('P');
  ({ made, pusher, program, flush, relist, stop } = await pushedDrive(drive));
});

afterEach(() => stop());

const names = (): string[] => drive.entries(syncpoint.rootFolderId).map(({ name }) => name);

/** Does something while the next upload of a file is stored and not yet answered. */
function beforeTheReply(work: () => Promise<void>): void {
  drive.reply = async (call) => {
    if (!call.startsWith('upload')) return;
    drive.reply = () => Promise.resolve();
    await work();
  };
}

it('what is stored in place of a removed file is one file', async () => {
  await program.writeFile('P/a', 'first');
  await flush();
  await program.unlink('P/a');
  await flush();
  await program.writeFile('P/a', 'second, longer');
  await flush();
  await relist();
  expect(await program.readdir('P')).toEqual(['a']);
  expect(await program.readFile('P/a')).toBe('second, longer');
  expect(made.tree.conflicts()).toEqual([]);
});

it('what is replaced before a listing shows it has not been changed by anybody else', async () => {
  await program.writeFile('P/a', 'first');
  await flush();
  await program.unlink('P/a');
  await flush();
  beforeTheReply(async () => {
    await program.writeFile('P/new', 'third, the longest');
    await program.rename('P/new', 'P/a');
  });
  await program.writeFile('P/a', 'second, longer');
  await flush();
  await relist();
  expect(await program.readdir('P')).toEqual(['a']);
  expect(await program.readFile('P/a')).toBe('third, the longest');
  expect(made.tree.conflicts()).toEqual([]);
  expect(names()).toEqual(['a']);
});

it('what is removed before a listing shows it is gone', async () => {
  await program.writeFile('P/a', 'first');
  await flush();
  await program.unlink('P/a');
  await flush();
  beforeTheReply(() => program.unlink('P/a'));
  await program.writeFile('P/a', 'second, longer');
  await flush();
  await relist();
  expect(await program.readdir('P')).toEqual([]);
  expect(names()).toEqual([]);
  expect(pusher.progress()).toEqual([]);
});

it('what is renamed before a listing shows it goes to its new name', async () => {
  await program.writeFile('P/a', 'first');
  await flush();
  await program.unlink('P/a');
  await flush();
  beforeTheReply(() => program.rename('P/a', 'P/b'));
  await program.writeFile('P/a', 'second, longer');
  await flush();
  await relist();
  expect(await program.readdir('P')).toEqual(['b']);
  expect(names()).toEqual(['b']);
  expect(made.tree.conflicts()).toEqual([]);
});

it.each([true, false])(
  'what is stored anew under the same id, told: %s, stays what it is while listings lag',
  async (tells) => {
    drive.tellsIds = tells;
    drive.moves = 'unsupported';
    drive.ignoresCase = true;
    await program.writeFile('P/a', 'first');
    await flush();
    await relist();
    const before = [...drive.entries(syncpoint.rootFolderId)];
    await program.rename('P/a', 'P/A');
    await flush();
    expect(names()).toEqual(['A']);
    drive.shown = before;
    await relist();
    expect(await program.readdir('P')).toEqual(['A']);
    await program.writeFile('P/A', 'second, longer');
    await relist();
    expect(await program.readdir('P')).toEqual(['A']);
    expect(made.tree.conflicts()).toEqual([]);
    drive.shown = undefined;
    await flush();
    expect(names()).toEqual(['A']);
    expect(await program.readFile('P/A')).toBe('second, longer');
  },
);

it('a file removed and written anew with the same bytes is not sent again', async () => {
  await program.writeFile('P/a', 'the same');
  await flush();
  await relist();
  await program.unlink('P/a');
  await program.writeFile('P/a', 'the same');
  await flush();
  await relist();
  expect(pusher.progress()).toEqual([]);
  expect(await program.readFile('P/a')).toBe('the same');
  expect(drive.calls.filter((call) => /^(upload|delete)/.test(call))).toEqual(['upload a']);
  expect(names()).toEqual(['a']);
});
