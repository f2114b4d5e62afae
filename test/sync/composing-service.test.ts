// A service that composes the accents of names: what is spelled otherwise here is stored once, and keeps its spelling here.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import type {
  CallOptions,
  FolderId,
  RemoteEntry,
  RemoteSyncpoint,
  SyncpointId,
  UploadOutcome,
  UploadRequest,
} from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { pushedDrive, type PushedDrive } from './support/pushed-drive.ts';

const composed = '\u00e9.txt';
const decomposed = 'e\u0301.txt';

/** Tells no ids of what it stored, and moves nothing. */
class ComposingDrive extends MemoryDrive {
  override composes = true;
  override moves = 'unsupported' as const;

  override async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    const outcome = await super.upload(request, options);
    if (outcome.state !== 'stored') return outcome;
    return { state: 'stored', fileId: undefined, versionId: undefined, already: false };
  }

  override async *list(syncpoint: SyncpointId, folder: FolderId, options?: CallOptions): AsyncGenerator<RemoteEntry[]> {
    for await (const batch of super.list(syncpoint, folder, options)) {
      yield batch.map((entry) => (this.composes ? { ...entry, name: entry.name.normalize('NFC') } : entry));
    }
  }
}

let drive: ComposingDrive;
let syncpoint: RemoteSyncpoint;
let made: PushedDrive['made'];
let pusher: PushedDrive['pusher'];
let program: PushedDrive['program'];
let flush: PushedDrive['flush'];
let relist: PushedDrive['relist'];
let stop: PushedDrive['stop'];

beforeEach(async () => {
  drive = new ComposingDrive();
  syncpoint = drive.addSyncpoint('P');
  ({ made, pusher, program, flush, relist, stop } = await pushedDrive(drive));
});

afterEach(() => stop());

async function flushAndRelist(): Promise<void> {
  await flush();
  await relist();
  await flush();
  expect(pusher.progress()).toEqual([]);
}

const changes = (): string[] => drive.calls.filter((call) => /^(upload|move|deleteF|createF)/.test(call));

it('a file and a folder keep their spelling, and nothing is sent again', async () => {
  await program.writeFile(`P/${decomposed}`, 'ours');
  await program.mkdir('P/A\u0308');
  await flushAndRelist();
  expect((await program.readdir('P')).toSorted()).toEqual(['A\u0308', decomposed]);
  expect(await program.readFile(`P/${decomposed}`)).toBe('ours');
  expect(changes()).toHaveLength(2);
});

it('a removal and a rename find what is spelled otherwise at the service', async () => {
  await program.writeFile(`P/${decomposed}`, 'ours');
  await program.writeFile('P/u\u0308.txt', 'removed');
  await flushAndRelist();
  await program.rename(`P/${decomposed}`, 'P/o\u0308.txt');
  await program.unlink('P/u\u0308.txt');
  await flushAndRelist();
  expect(await program.readdir('P')).toEqual(['o\u0308.txt']);
  expect(drive.entries(syncpoint.rootFolderId).map(({ name }) => name.normalize('NFC'))).toEqual(['\u00f6.txt']);
});

it.each(['renamed', 'removed', 'moved'])(
  'what is %s while it is sent under another spelling is no second file',
  async (how) => {
    await program.mkdir('P/d');
    await flushAndRelist();
    drive.reply = async (call) => {
      if (!call.startsWith('upload')) return;
      drive.reply = () => Promise.resolve();
      if (how === 'removed') await program.unlink(`P/${decomposed}`);
      else await program.rename(`P/${decomposed}`, how === 'moved' ? `P/d/${decomposed}` : 'P/other.txt');
      throw new RemoteError('unavailable', 'no answer');
    };
    await program.writeFile(`P/${decomposed}`, 'ours');
    await flushAndRelist();
    expect(made.tree.conflicts()).toEqual([]);
    const left = how === 'renamed' ? ['d', 'other.txt'] : ['d'];
    expect((await program.readdir('P')).toSorted()).toEqual(left);
    expect(await program.readdir('P/d')).toEqual(how === 'moved' ? [decomposed] : []);
    expect(
      drive
        .entries(syncpoint.rootFolderId)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(left);
  },
);

it('two names that differ by their composition are two where the service has both', async () => {
  drive.composes = false;
  await program.writeFile(`P/${decomposed}`, 'ours');
  await flushAndRelist();
  drive.addFile(syncpoint.rootFolderId, composed, 'theirs');
  await flushAndRelist();
  expect((await program.readdir('P')).toSorted()).toEqual([decomposed, composed]);
  expect(await program.readFile(`P/${composed}`)).toBe('theirs');
});
