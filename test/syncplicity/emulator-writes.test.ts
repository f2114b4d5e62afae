// The client's writing against the emulator in each of its dialects: whatever the client says, the store must hold. The result is
// read from the emulator's own store.
import { afterEach, expect, test } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import type { Dialect, DialectName } from '../../src/emulator/dialect.ts';
import { startEmulator } from '../../src/emulator/emulator.ts';
import type { Emulator, EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { SnapshotFile } from '../../src/emulator/store-snapshot.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import type {
  FolderId,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
  RemoteSyncpoint,
  UploadRequest,
} from '../../src/remote-drive.ts';
import { createSyncplicityDrive } from '../../src/syncplicity/drive.ts';
import type { SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { sha256 } from './fixture-vault.ts';
import { contentOf, uploadOf } from './upload-request.ts';

let emulator: Emulator;
let drive: SyncplicityDrive;
let projects: RemoteSyncpoint;
afterEach(async () => {
  await drive.stop();
  await emulator.stop();
});

const large = contentOf(6_000_000);

async function start(dialect: Partial<Dialect>, options: Partial<EmulatorOptions> = {}): Promise<void> {
  const store = new MemoryStore();
  store.addSyncpoint('Projects');
  store.addSyncpoint('Shared', { permission: 3 });
  emulator = await startEmulator({ store, dialect, ...options });
  const { appKey, appSecret, appToken } = emulator.credentials;
  drive = createSyncplicityDrive({
    credentials: { clientId: appKey, clientSecret: appSecret, appToken },
    apiUrl: emulator.gatewayUrl,
    proxyEnvironment: {},
    budget: { perSecond: 10_000 },
    retries: { delayMs: 5 },
  });
  projects = (await drive.syncpoints()).find((one) => one.name === 'Projects') as RemoteSyncpoint;
}

async function held(path: string): Promise<SnapshotFile | undefined> {
  const { syncpoints } = await emulator.snapshot();
  const entries = syncpoints.find((one) => one.name === 'Projects')?.entries ?? [];
  return entries.find((one): one is SnapshotFile => one.kind === 'file' && one.path === path);
}

async function paths(): Promise<string[]> {
  const { syncpoints } = await emulator.snapshot();
  return (syncpoints.find((one) => one.name === 'Projects')?.entries ?? []).map((entry) => entry.path).sort();
}

async function list(folder: FolderId = projects.rootFolderId): Promise<RemoteEntry[]> {
  const entries: RemoteEntry[] = [];
  for await (const batch of drive.list(projects.id, folder)) entries.push(...batch);
  return entries;
}

/** Listings may lag. */
async function listed(name: string, folder?: FolderId): Promise<RemoteEntry> {
  let found: RemoteEntry | undefined;
  await expect
    .poll(async () => (found = (await list(folder)).find((entry) => entry.name === name)), { timeout: 5_000 })
    .toBeDefined();
  return found as unknown as RemoteEntry;
}

function upload(content: Buffer, name: string, more: Partial<UploadRequest> = {}): ReturnType<typeof uploadOf> {
  const folder = { syncpointId: projects.id, vaultId: projects.vaultId, folderNames: ['sub'] };
  return uploadOf(content, { folder, name, ...more });
}

const state = async (request: UploadRequest): Promise<string> => (await drive.upload(request)).state;

test.each(Object.keys(dialects) as DialectName[])('dialect %s', async (name) => {
  const dialect = dialects[name];
  await start(dialect);
  const [sub] = (await drive.createFolders(projects.id, projects.rootFolderId, ['sub', 'other \u4e2d'])) as [
    RemoteFolder,
  ];
  expect(await paths()).toEqual(['other \u4e2d', 'sub']);
  const said = dialect.uploadReply === 'empty' ? 'unclear' : 'stored';

  // Small, large, and both once more with other bytes.
  expect(await state(upload(Buffer.from('one'), 'small'))).toBe(said);
  expect(await held('sub/small')).toMatchObject({
    sha256: sha256(Buffer.from('one')),
    modified: '2016-09-12T06:44:31.9000000Z',
    created: '1969-12-31T23:59:59.1234567Z',
  });
  expect(await state(upload(large, 'large \u00e9'))).toBe(said);
  expect((await held('sub/large \u00e9'))?.sha256).toBe(sha256(large));
  const first = await held('sub/small');
  expect(await state(upload(Buffer.from('two'), 'small'))).toBe(said);
  const second = await held('sub/small');
  expect([second?.lengthBytes, second?.versionId === first?.versionId]).toEqual([3, false]);
  expect(await state(upload(large.subarray(0, 5_100_000), 'large \u00e9'))).toBe(said);
  expect((await held('sub/large \u00e9'))?.sha256).toBe(sha256(large.subarray(0, 5_100_000)));

  // The same bytes again; nothing.
  const again = await drive.upload(upload(Buffer.from('two'), 'small'));
  if (again.state === 'stored' && again.already) expect(dialect.sameContent).not.toBe('stored');
  const empty = await drive.upload(upload(Buffer.alloc(0), 'empty'));
  if (dialect.zeroLength === '400') expect(empty).toMatchObject({ state: 'unclear' });
  expect((await held('sub/empty'))?.lengthBytes).toBe(dialect.zeroLength === 'stored' ? 0 : undefined);

  // A token that ends in between, and ids that agree with the listing.
  emulator.expireTokens();
  const outcome = await drive.upload(upload(Buffer.from('three'), 'third'));
  const third = (await listed('third', sub.id)) as RemoteFile;
  if (outcome.state === 'stored' && outcome.versionId !== undefined) expect(outcome.versionId).toBe(third.versionId);
  const hash = await drive.contentHash(projects.id, third.id);
  expect(hash).toBe(dialect.hash === 'absent' ? undefined : sha256(Buffer.from('three')));

  // Moves, and what they leave behind.
  const root = projects.rootFolderId;
  const moved = await drive.moveFile(projects.id, third, sub.id, { folderId: root, name: 'moved' });
  if (dialect.fileMove === 'supported') {
    expect(moved).not.toBe('unsupported');
    expect(await paths()).toContain('moved');
    const taken = drive.moveFile(projects.id, third, root, { folderId: sub.id, name: 'small' });
    if (dialect.moveOntoTaken === '400') await expect(taken).rejects.toMatchObject({ kind: 'exists' });
    else await taken;
  } else {
    expect(moved).toBe(dialect.fileMove === 'ignored' ? moved : 'unsupported');
    expect(await paths()).toContain('sub/third');
  }
  const other = (await listed('other \u4e2d')) as RemoteFolder;
  // Its path is told, or asked for where that is possible.
  const isTold = dialect.folderCall !== 'present' || name.length % 2 === 0;
  const placed = isTold ? { ...other, folderNames: [other.name] } : other;
  const movedFolder = await drive.moveFolder(projects.id, placed, root, { folderId: sub.id, name: 'in' });
  if (dialect.folderMove === 'supported') expect(await paths()).toContain('sub/in');
  else expect(movedFolder).toBe(dialect.folderMove === 'ignored' ? movedFolder : 'unsupported');

  // Removals, twice.
  const small = (await listed('small', sub.id)) as RemoteFile;
  await drive.deleteFile(projects.id, small.versionId);
  expect(await paths()).not.toContain('sub/small');
  await drive.deleteFile(projects.id, small.versionId);
  await drive.deleteFolder(projects.id, sub.id);
  expect((await paths()).filter((path) => path.startsWith('sub'))).toEqual([]);
  await drive.deleteFolder(projects.id, sub.id);

  // Purges, twice.
  for (let turn = 0; turn < 2; turn += 1) {
    await drive.purge({ kind: 'file', syncpointId: projects.id, versionId: small.versionId });
    await drive.purge({ kind: 'folder', syncpointId: projects.id, folderId: sub.id });
  }

  // Refusals.
  const shared = (await drive.syncpoints()).find((one) => one.name === 'Shared') as RemoteSyncpoint;
  const refused = drive.createFolders(shared.id, shared.rootFolderId, ['x']);
  await expect(refused).rejects.toMatchObject({ kind: 'forbidden' });
  const folder = { syncpointId: shared.id, vaultId: shared.vaultId, folderNames: [] };
  await expect(drive.upload(uploadOf(Buffer.from('x'), { folder }))).rejects.toMatchObject({ kind: 'forbidden' });
});

test.each(['observed', 'guide', 'uploads-v2', 'uploads-whole-hash', 'uploads-bare-key', 'uploads-no-query'] as const)(
  'an upload cut at any point goes on, or begins anew, and is whole in the end: %s',
  async (name) => {
    await start({ ...dialects[name], chunkSizeBytes: 1_000_000 });
    await drive.createFolders(projects.id, projects.rootFolderId, ['sub']);
    const endpoint = name === 'uploads-v2' ? 'v2mime' : 'saveFile';
    for (const [index, fault] of (
      [
        { kind: 'cut-request', afterBytes: 300_000 },
        { kind: 'lost-reply' },
        { kind: 'status', status: 503 },
        { kind: 'status-after', status: 500 },
        { kind: 'expired-token' },
      ] as const
    ).entries()) {
      const content = contentOf(6_000_000, index);
      let session: string | undefined;
      const request = upload(content, `cut ${index}`, { onSession: (mark) => (session = mark) });
      emulator.setFaults([{ ...fault, endpoint, after: 3 }]);
      const outcome = await drive.upload(request);
      if (outcome.state === 'unclear') await drive.upload({ ...request, session });
      expect((await held(`sub/cut ${index}`))?.sha256).toBe(sha256(content));
    }
  },
);

test('with one reply in ten lost, what was said to be stored is, and the rest is unclear or not there', async () => {
  await start({ chunkSizeBytes: 700_000 });
  await drive.createFolders(projects.id, projects.rootFolderId, ['sub']);
  emulator.setFaults([
    { kind: 'lost-reply', endpoint: 'saveFile', probability: 0.1, seed: 7 },
    { kind: 'cut-request', afterBytes: 100, endpoint: 'saveFile', probability: 0.1, seed: 8 },
  ]);
  const lengths = Array.from({ length: 24 }, (_, index) => (index % 6 === 0 ? 5_500_000 : 1 + index * 1000));
  for (const [index, length] of lengths.entries()) {
    const content = contentOf(length, index);
    const outcome = await drive.upload(upload(content, `file ${index}`)).catch((error: unknown) => error);
    const found = await held(`sub/file ${index}`);
    if (outcome instanceof RemoteError) expect(found).toBeUndefined();
    else if ((outcome as { state: string }).state === 'stored') expect(found?.sha256).toBe(sha256(content));
    else expect([undefined, sha256(content)]).toContain(found?.sha256);
  }
});

test('a missing folder is unclear where the server only says 500, and a full account is no room', async () => {
  await start({}, { quotaBytes: 10 });
  const missing = { syncpointId: projects.id, vaultId: projects.vaultId, folderNames: ['missing'] };
  expect(await state(uploadOf(Buffer.from('x'), { folder: missing }))).toBe('unclear');
  const root = { ...missing, folderNames: [] };
  await expect(drive.upload(uploadOf(Buffer.alloc(11), { folder: root }))).rejects.toMatchObject({ kind: 'quota' });
});

test('folders whose names are taken', async () => {
  for (const takenFolderName of ['400', '400-after-some', 'returned', 'left-out'] as const) {
    await start({ takenFolderName });
    const make = (): Promise<RemoteFolder[]> => drive.createFolders(projects.id, projects.rootFolderId, ['new', 'old']);
    const [old] = await drive.createFolders(projects.id, projects.rootFolderId, ['old']);
    if (takenFolderName.startsWith('400')) await expect(make()).rejects.toMatchObject({ kind: 'exists' });
    else
      expect((await make()).map((folder) => folder.name)).toEqual(
        takenFolderName === 'returned' ? ['new', 'old'] : ['new'],
      );
    expect((await listed('old')).id).toBe(old?.id);
    await drive.stop();
    await emulator.stop();
  }
});
