// What the service did and this machine did not hear of at once: it is known again, without being looked for in vain.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import type {
  CallOptions,
  MoveOutcome,
  RemoteSyncpoint,
  UploadOutcome,
  UploadRequest,
} from '../../src/remote-drive.ts';
import type { Pusher } from '../../src/sync/pusher.ts';
import { enterVirtualTime, leaveVirtualTime, passing } from '../crash/support/virtual-time.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { memoryDirectory } from '../fakes/temporary-directory.ts';
import { Program } from '../fs-ops/support/program.ts';
import { TestFileSystem, nobody } from '../fs-ops/support/test-file-system.ts';
import { pusherFor } from './support/pusher-for.ts';
import { heldIn } from './support/written-drive.ts';

/** Far less than a look in vain takes. */
const AT_ONCE_MS = 900;

/** Tells no ids of what it stored; may carry a rename out and never say so. */
class UntellingDrive extends MemoryDrive {
  answersMoves = true;

  override async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    await super.upload(request, options);
    return { state: 'stored', fileId: undefined, versionId: undefined, already: false };
  }

  override async moveFile(...args: Parameters<MemoryDrive['moveFile']>): Promise<MoveOutcome> {
    const outcome = await super.moveFile(...args);
    if (this.answersMoves) return outcome;
    return new Promise((_resolve, reject) => {
      const signal = args.at(-1) as CallOptions;
      signal.signal?.addEventListener('abort', () => reject(signal.signal?.reason as Error));
    });
  }
}

let drive: UntellingDrive;
let made: TestFileSystem;
let pusher: Pusher;
let program: Program;

beforeEach(async () => {
  enterVirtualTime();
  drive = new UntellingDrive();
  drive.addSyncpoint('P');
  made = await TestFileSystem.start(drive, { state: memoryDirectory() });
  program = new Program(made.fileSystem);
  start();
});

afterEach(async () => {
  leaveVirtualTime();
  await pusher.stop();
  await made.stop();
});

function start(): void {
  pusher = pusherFor(made, drive);
  pusher.start();
}

/** Flushes, and tells how long that took. */
async function flushMs(): Promise<number> {
  const begunMs = Date.now();
  await passing(pusher.flush(nobody.signal));
  return Date.now() - begunMs;
}

it('a folder that is gone, and whose removal is refused in words that nobody knows, is removed', async () => {
  await passing(program.mkdir('P/d'));
  await passing(program.writeFile('P/d/file', 'one'));
  await flushMs();
  drive.reply = (call) => {
    if (!call.startsWith('deleteFolder')) return Promise.resolve();
    drive.gate = (again) =>
      again.startsWith('deleteFolder')
        ? Promise.reject(new RemoteError('protocol', 'Bad Request (HTTP 400)'))
        : Promise.resolve();
    return Promise.reject(new RemoteError('unavailable', 'no answer'));
  };
  await passing(program.unlink('P/d/file'));
  await passing(program.rmdir('P/d'));
  expect(await flushMs()).toBeLessThan(5_000);
  expect(pusher.progress()).toEqual([]);
});

it('a new version stored under an id not told is known before it counts as done, and not looked for again', async () => {
  await passing(program.writeFile('P/file', 'one'));
  await flushMs();
  await passing(program.writeFile('P/file', 'number two'));
  await flushMs();
  const { inode } = await program.stat('P/file');
  expect(made.journal.get(inode)).toMatchObject({ content: false, sent: [] });

  await passing(program.writeFile('P/file', 'and three'));
  expect(await flushMs()).toBeLessThan(AT_ONCE_MS);
});

it('a file renamed there and back, the way back unheard of, is where it is to be', async () => {
  await passing(program.writeFile('P/a', 'content'));
  await flushMs();
  await passing(program.rename('P/a', 'P/b'));
  await flushMs();
  drive.answersMoves = false;
  await passing(program.rename('P/b', 'P/a'));
  await passing(new Promise((resolve) => setTimeout(resolve, 100)));
  await pusher.stop();

  drive.answersMoves = true;
  start();
  expect(await flushMs()).toBeLessThan(AT_ONCE_MS);
  const { inode } = await program.stat('P/a');
  expect(made.journal.get(inode)?.failed).toBeUndefined();
  expect(made.journal.get(inode)?.doneAtMs).toBeDefined();
});

it.each(['file', 'directory'] as const)(
  'a file moved to another version, and removed before a listing told of it, is gone, where it goes as a %s',
  async (what) => {
    drive.movesMakeVersions = true;
    const root = (drive.syncpointList[0] as RemoteSyncpoint).rootFolderId;
    await passing(program.mkdir('P/folder'));
    await passing(program.writeFile('P/a', 'content'));
    await flushMs();
    drive.gate = (call) =>
      drive.calls.some((one) => one.startsWith('move a')) && call.startsWith('list')
        ? Promise.reject(new RemoteError('unavailable', 'the listing broke'))
        : Promise.resolve();
    await passing(program.rename('P/a', 'P/folder/b'));
    await passing(new Promise((resolve) => setTimeout(resolve, 5_000)));
    expect(drive.entries(root).map(({ name }) => name)).toEqual(['folder']);
    await passing(program.unlink('P/folder/b'));
    if (what === 'directory') await passing(program.rmdir('P/folder'));
    drive.gate = () => Promise.resolve();
    await flushMs();

    const [folder] = drive.entries(root);
    expect(folder?.kind === 'folder' ? drive.entries(folder.id) : []).toEqual([]);
    expect(drive.entries(root)).toHaveLength(what === 'file' ? 1 : 0);
  },
);

it.each([
  ['keeps its version', false],
  ['makes a version', true],
])(
  'a file that goes to another syncpoint after a move that nobody heard of and that %s is there once',
  async (_, makes) => {
    drive.movesMakeVersions = makes;
    const [from] = drive.syncpointList;
    const to = drive.addSyncpoint('Q');
    await passing(made.listings.refresh(made.tree.root(), nobody.signal));
    await passing(program.mkdir('P/folder'));
    await passing(program.writeFile('P/a', 'content'));
    await flushMs();
    drive.answersMoves = false;
    await passing(program.rename('P/a', 'P/folder/a'));
    await passing(new Promise((resolve) => setTimeout(resolve, 5_000)));
    await pusher.stop();

    drive.answersMoves = true;
    await passing(program.rename('P/folder/a', 'Q/a'));
    start();
    await flushMs();
    const [folder, ...more] = drive.entries((from as RemoteSyncpoint).rootFolderId);
    expect(more).toEqual([]);
    expect(folder?.kind === 'folder' ? drive.entries(folder.id) : undefined).toEqual([]);
    expect(heldIn(drive, to.rootFolderId)).toEqual(['a: content']);
  },
);
