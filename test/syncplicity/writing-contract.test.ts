// The writing half of RemoteDrive, asked of the real drive against an emulator and of the fake that the other rooms are tested
// with: what holds for one must hold for the other.
import { afterEach, describe, expect, test } from 'vitest';
import { startEmulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import type {
  FileId,
  FolderId,
  RemoteDrive,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
  RemotePath,
  RemoteSyncpoint,
  SyncpointId,
  UploadOutcome,
} from '../../src/remote-drive.ts';
import { createSyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { sha256 } from './fixture-vault.ts';
import { contentOf, uploadOf } from './upload-request.ts';

interface Setting {
  readonly drive: RemoteDrive;
  readonly own: RemoteSyncpoint;
  readonly shared: RemoteSyncpoint;
  stop(): Promise<void>;
}

async function real(): Promise<Setting> {
  const store = new MemoryStore();
  store.addSyncpoint('Own');
  store.addSyncpoint('Shared', { permission: 3 });
  const emulator = await startEmulator({ store, dialect: { chunkSizeBytes: 1_000_000 } });
  const { appKey, appSecret, appToken } = emulator.credentials;
  const drive = createSyncplicityDrive({
    credentials: { clientId: appKey, clientSecret: appSecret, appToken },
    apiUrl: emulator.gatewayUrl,
    proxyEnvironment: {},
    budget: { perSecond: 10_000 },
  });
  const [own, shared] = (await drive.syncpoints()).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (own === undefined || shared === undefined) throw new Error('no syncpoints');
  const stop = async (): Promise<void> => {
    await drive.stop();
    await emulator.stop();
  };
  return { drive, own, shared, stop };
}

function fake(): Promise<Setting> {
  const drive = new MemoryDrive();
  drive.chunkBytes = 1_000_000;
  const own = drive.addSyncpoint('Own');
  const shared = drive.addSyncpoint('Shared', { permission: 'read-only' });
  return Promise.resolve({ drive, own, shared, stop: () => drive.stop() });
}

describe.each([
  ['the drive', real],
  ['the fake', fake],
])('%s', (_name, make) => {
  let setting: Setting;
  afterEach(() => setting.stop());

  async function list(folder: FolderId): Promise<RemoteEntry[]> {
    const entries: RemoteEntry[] = [];
    for await (const batch of setting.drive.list(setting.own.id, folder)) entries.push(...batch);
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
  const place = (...folderNames: string[]): RemotePath => ({
    syncpointId: setting.own.id,
    vaultId: setting.own.vaultId,
    folderNames,
  });
  const store = (name: string, content: Buffer, folder = place()): Promise<UploadOutcome> =>
    setting.drive.upload(uploadOf(content, { name, folder }));
  const kindOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'resolved',
      (error: unknown) => (error instanceof RemoteError ? error.kind : String(error)),
    );
  async function file(name: string): Promise<RemoteFile> {
    const found = (await list(setting.own.rootFolderId)).find((entry) => entry.name === name);
    if (found?.kind !== 'file') throw new Error(`no file ${name}`);
    return found;
  }

  test('makes folders and stores files in them', async () => {
    setting = await make();
    const { drive, own } = setting;
    const made = await drive.createFolders(own.id, own.rootFolderId, ['b', 'a']);
    expect(made.map((folder) => folder.name)).toEqual(['b', 'a']);
    const [b] = made as [RemoteFolder];
    await drive.createFolders(own.id, b.id, ['c']);
    expect(await store('x', Buffer.from('hello'), place('b', 'c'))).toMatchObject({ state: 'stored', already: false });
    const [c] = (await list(b.id)) as [RemoteFolder];
    expect(await list(c.id)).toMatchObject([
      { name: 'x', lengthBytes: 5, modified: { seconds: 1_473_662_671, nanoseconds: 900_000_000 } },
    ]);
    expect(await kindOf(drive.createFolders(own.id, own.rootFolderId, ['a']))).toBe('exists');
    expect(await kindOf(drive.createFolders(own.id, own.rootFolderId, Array.from({ length: 21 }, String)))).toBe(
      'invalid',
    );
  });

  test('keeps the file and makes a version of it', async () => {
    setting = await make();
    await store('x', Buffer.from('one'));
    const first = await file('x');
    expect(await store('x', Buffer.from('one'))).toMatchObject({ state: 'stored', already: true });
    expect((await file('x')).versionId).toBe(first.versionId);
    expect(await store('x', Buffer.from('two'))).toMatchObject({ state: 'stored', already: false });
    const second = await file('x');
    expect([second.id === first.id, second.versionId === first.versionId]).toEqual([true, false]);
    expect(await setting.drive.contentHash(setting.own.id, second.id)).toBe(sha256(Buffer.from('two')));
    expect(await kindOf(setting.drive.contentHash(setting.own.id, '999' as FileId))).toBe('not-found');
    expect(await kindOf(setting.drive.deleteFile(setting.own.id, first.versionId))).toBe('conflict');
    await setting.drive.deleteFile(setting.own.id, second.versionId);
    expect(await list(setting.own.rootFolderId)).toEqual([]);
    expect(await kindOf(setting.drive.deleteFile(setting.own.id, second.versionId))).toBe('resolved');
  });

  test('goes on with a session where it ended', async () => {
    setting = await make();
    const content = contentOf(6_500_000);
    const aborting = new AbortController();
    const marks: (string | undefined)[] = [];
    const request = uploadOf(content, {
      name: 'x',
      folder: place(),
      onSession: (mark) => {
        if (marks.push(mark) === 3) aborting.abort(new Error('killed'));
      },
    });
    await expect(setting.drive.upload(request, { signal: aborting.signal })).rejects.toThrow('killed');
    expect(await list(setting.own.rootFolderId)).toEqual([]);
    const again = uploadOf(content, { name: 'x', folder: place(), session: marks.at(-1), sha256: sha256(content) });
    expect(await setting.drive.upload(again)).toMatchObject({ state: 'stored' });
    expect([again.told.reads[0]?.[0], again.told.sent.at(-1), again.told.beforeLast]).toEqual([
      3_000_000, 6_500_000, 1,
    ]);
    const stored = await file('x');
    expect(await setting.drive.contentHash(setting.own.id, stored.id)).toBe(sha256(content));
  });

  test('moves and renames files and folders, and removes a folder with all it holds', async () => {
    setting = await make();
    const { drive, own } = setting;
    const root = own.rootFolderId;
    const [a, b] = (await drive.createFolders(own.id, root, ['a', 'b'])) as [RemoteFolder, RemoteFolder];
    await store('x', Buffer.from('x'));
    const x = await file('x');
    expect(await drive.moveFile(own.id, x, root, { folderId: a.id, name: 'y' })).toBe('done');
    expect(await list(a.id)).toMatchObject([{ id: x.id, name: 'y' }]);
    const target = { folderId: b.id, name: 'c' };
    expect(await drive.moveFolder(own.id, { ...a, folderNames: ['a'] }, root, target)).toBe('done');
    expect(await list(root)).toMatchObject([{ name: 'b' }]);
    expect(await list(b.id)).toMatchObject([{ id: a.id, name: 'c' }]);
    await store('z', Buffer.from('z'), place('b'));
    const z = (await list(b.id)).find((entry) => entry.name === 'z') as RemoteFile;
    expect(await kindOf(drive.moveFile(own.id, z, b.id, { folderId: a.id, name: 'y' }))).toBe('exists');
    await drive.deleteFolder(own.id, b.id);
    expect(await list(root)).toEqual([]);
    expect(await kindOf(drive.deleteFolder(own.id, b.id))).toBe('resolved');
    expect(await kindOf(drive.moveFile(own.id, z, b.id, { folderId: root, name: 'z' }))).toBe('not-found');
    drive.moveSeen(own.id, 'file', true);
    expect([drive.moveSupport(own.id, 'file'), drive.moveSupport(own.id, 'folder')]).toEqual(['yes', 'unknown']);
  });

  test('refuses where the user may only read, and where there is nothing', async () => {
    setting = await make();
    const { drive, shared } = setting;
    const folder = { syncpointId: shared.id, vaultId: shared.vaultId, folderNames: [] };
    expect(await kindOf(drive.createFolders(shared.id, shared.rootFolderId, ['a']))).toBe('forbidden');
    expect(await kindOf(drive.upload(uploadOf(Buffer.from('x'), { folder })))).toBe('forbidden');
    expect(await kindOf(drive.createFolders('1' as SyncpointId, '2' as FolderId, ['a']))).toBe('not-found');
    const changed = new RemoteError('conflict', 'changed');
    const upload = uploadOf(Buffer.from('x'), { folder: place(), beforeLast: () => Promise.reject(changed) });
    expect(await kindOf(drive.upload(upload))).toBe('conflict');
    expect(await list(setting.own.rootFolderId)).toEqual([]);
  });
});
