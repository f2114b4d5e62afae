// A service that gives what is stored under the name of something removed the id which that had.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TreeDirectory } from '../../src/cache/tree.ts';
import type {
  CallOptions,
  FolderId,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
  RemoteSyncpoint,
  SyncpointId,
  UploadOutcome,
  UploadRequest,
  VersionId,
} from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { nobody } from '../fs-ops/support/test-file-system.ts';
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

/** Gives a folder that is made the id of the one removed last. */
class FolderRevivingDrive extends MemoryDrive {
  /** What listings of that folder show instead of what is there. */
  shown: readonly RemoteEntry[] | undefined;
  #told: FolderId | undefined;
  #real: FolderId | undefined;

  override async deleteFolder(syncpoint: SyncpointId, folder: FolderId, options?: CallOptions): Promise<void> {
    await super.deleteFolder(syncpoint, this.#realId(folder), options);
    this.#told = folder;
  }

  override async createFolders(...args: Parameters<MemoryDrive['createFolders']>): Promise<RemoteFolder[]> {
    const made = await super.createFolders(...args);
    const { id } = made[0] as RemoteFolder;
    if (this.#told !== undefined) this.#real = id;
    return made.map((folder) => this.#toldAs(folder));
  }

  override async *list(...args: Parameters<MemoryDrive['list']>): AsyncGenerator<RemoteEntry[]> {
    const [syncpoint, folder, options] = args;
    if (folder === this.#told && this.shown !== undefined) yield [...this.shown];
    else
      for await (const entries of super.list(syncpoint, this.#realId(folder), options))
        yield entries.map((entry) => this.#toldAs(entry));
  }

  #realId(folder: FolderId): FolderId {
    return folder === this.#told ? (this.#real ?? folder) : folder;
  }

  #toldAs<T extends RemoteEntry>(entry: T): T {
    return entry.id === this.#real ? { ...entry, id: this.#told } : entry;
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

it('a folder made anew under the id of a removed one holds what is put into it, and nothing of that one', async () => {
  await stop();
  const folders = new FolderRevivingDrive();
  const top = folders.addSyncpoint('P').rootFolderId;
  ({ made, pusher, program, flush, relist, stop } = await pushedDrive(folders));
  const listD = async (): Promise<void> => {
    const parent = made.tree.child(1, 'P') as TreeDirectory;
    await made.listings.refresh(made.tree.child(parent.inode, 'd') as TreeDirectory, nobody.signal);
  };
  await program.mkdir('P/d');
  await program.writeFile('P/d/a', 'old a');
  await program.writeFile('P/d/b', 'old b');
  await flush();
  await listD();
  const [first] = folders.entries(top) as [RemoteFolder];
  const before = [...folders.entries(first.id)];
  expect(before).toHaveLength(2);
  await program.unlink('P/d/a');
  await program.unlink('P/d/b');
  await program.rmdir('P/d');
  await flush();
  expect(folders.calls.filter((call) => call.startsWith('delete'))).toEqual([`deleteFolder ${first.id}`]);
  await program.mkdir('P/d');
  await flush();
  folders.shown = before;
  await program.writeFile('P/d/a', 'new a');
  await listD();
  expect(await program.readdir('P/d')).toEqual(['a']);
  await flush();
  await listD();
  expect(await program.readdir('P/d')).toEqual(['a']);
  expect(made.tree.conflicts()).toEqual([]);
  folders.shown = undefined;
  await listD();
  expect(await program.readdir('P/d')).toEqual(['a']);
  expect(await program.readFile('P/d/a')).toBe('new a');
  const [second] = folders.entries(top) as [RemoteFolder];
  expect(folders.entries(second.id).map(({ name }) => name)).toEqual(['a']);
});
