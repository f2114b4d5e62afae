// The client against the emulator in each of its dialects: one account, walked, listed and read, always with the same result.
import { afterEach, expect, test } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import type { Dialect, DialectName } from '../../src/emulator/dialect.ts';
import { startEmulator } from '../../src/emulator/emulator.ts';
import type { Emulator, EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { ContentReference, RemoteEntry, RemoteFile, RemoteSyncpoint } from '../../src/remote-drive.ts';
import { createSyncplicityDrive } from '../../src/syncplicity/drive.ts';
import type { SyncplicityDrive } from '../../src/syncplicity/drive.ts';

let emulator: Emulator | undefined;
let drive: SyncplicityDrive | undefined;
afterEach(async () => {
  await drive?.stop();
  await emulator?.stop();
  drive = undefined;
  emulator = undefined;
});

const content = Buffer.from(Array.from({ length: 150_000 }, (_, index) => (index * 31) % 251));
const ticks = 14_736_626_719_000_000n;
const sortedNames = Array.from({ length: 1203 }, (_, index) => `small ${index} \u00e4\u4e2d`);

function filledStore(): MemoryStore {
  const store = new MemoryStore();
  const projects = store.addSyncpoint('Projects');
  store.addSyncpoint('Shared', {
    type: 8,
    permission: 3,
    owner: {
      id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477',
      emailAddress: 'al@example.com',
      firstName: 'Al',
      lastName: 'A',
    },
  });
  store.addSyncpoint('Hidden', { type: 7 });
  store.addFile(projects.id, projects.rootFolderId, 'large.bin', content, { modified: ticks, created: ticks });
  store.addFile(projects.id, projects.rootFolderId, 'empty', new Uint8Array(0), { modified: ticks, created: ticks });
  const many = store.addFolder(projects.id, projects.rootFolderId, 'many');
  for (const name of sortedNames) store.addFile(projects.id, many.id, name, Buffer.from(name), { modified: ticks });
  for (let index = 0; index < 30; index += 1) store.addFolder(projects.id, many.id, `sub ${index}`);
  store.addFolder(projects.id, many.id, 'with \u0001 control');
  return store;
}

async function start(dialect: Partial<Dialect>, options: Partial<EmulatorOptions> = {}): Promise<SyncplicityDrive> {
  emulator = await startEmulator({ store: filledStore(), dialect, ...options });
  const { appKey, appSecret, appToken } = emulator.credentials;
  drive = createSyncplicityDrive({
    credentials: { clientId: appKey, clientSecret: appSecret, appToken },
    apiUrl: emulator.gatewayUrl,
    proxyEnvironment: {},
    // One call a file where lengths are left out: the pace has tests of its own.
    budget: options.throttle === undefined ? { perSecond: 10_000 } : { backoffMs: 1_000 },
    retries: { delayMs: 20 },
  });
  return drive;
}

async function list(syncpoint: RemoteSyncpoint, folderId = syncpoint.rootFolderId): Promise<RemoteEntry[]> {
  const entries: RemoteEntry[] = [];
  for await (const batch of (drive as SyncplicityDrive).list(syncpoint.id, folderId)) entries.push(...batch);
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function read(file: ContentReference, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
  const stream = await (drive as SyncplicityDrive).read(file, { offsetBytes, lengthBytes });
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  expect(bytes.length).toBe(stream.endBytes - stream.offsetBytes);
  return bytes.subarray(offsetBytes - stream.offsetBytes, offsetBytes - stream.offsetBytes + lengthBytes);
}

function reference(syncpoint: RemoteSyncpoint, file: RemoteFile): ContentReference {
  return {
    syncpointId: syncpoint.id,
    versionId: file.versionId,
    vaultId: syncpoint.vaultId,
    lengthBytes: file.lengthBytes,
  };
}

test.each(Object.keys(dialects) as DialectName[])('dialect %s', async (name) => {
  await start(dialects[name]);
  const client = drive as SyncplicityDrive;
  expect((await client.account()).userId).toBe(emulator?.credentials.userId);
  const syncpoints = (await client.syncpoints()).sort((a, b) => (a.name < b.name ? -1 : 1));
  expect(syncpoints.map((one) => [one.name, one.permission])).toEqual([
    ['Projects', 'read-write'],
    ['Shared', 'read-only'],
  ]);
  const [projects] = syncpoints as [RemoteSyncpoint, RemoteSyncpoint];
  const root = await list(projects);
  expect(root.map((entry) => [entry.kind, entry.name, entry.kind === 'file' ? entry.lengthBytes : -1])).toEqual([
    ['file', 'empty', 0],
    ['file', 'large.bin', content.length],
    ['folder', 'many', -1],
  ]);
  const [empty, large, many] = root;
  if (empty?.kind !== 'file' || large?.kind !== 'file' || many?.kind !== 'folder') throw new Error('another listing');
  expect(large.modified.seconds).toBe(1_473_662_671);
  expect([900_000_000, 0]).toContain(large.modified.nanoseconds);
  const inside = await list(projects, many.id);
  expect(inside.filter((entry) => entry.kind === 'file').map((entry) => entry.name)).toEqual([...sortedNames].sort());
  expect(inside.filter((entry) => entry.kind === 'folder')).toHaveLength(31);
  expect(await client.file(projects.id, large.id)).toEqual(large);
  const version = reference(projects, large);
  for (const [offset, length] of [
    [1000, 2000],
    [0, 10],
    [140_000, 10_000],
    [0, content.length],
    [149_999, 1],
  ] as const) {
    expect((await read(version, offset, length)).equals(content.subarray(offset, offset + length))).toBe(true);
  }
  expect(client.rangeSupport(version)).not.toBe('unknown');
  const vaults = await client.vaults();
  expect(vaults.every((vault) => vault.id !== '')).toBe(true);
  emulator?.expireTokens();
  expect(await list(projects)).toHaveLength(3);
  await expect(client.file(projects.id, '1' as never)).rejects.toMatchObject({ kind: 'not-found' });
  await expect(list(projects, '1' as never)).rejects.toMatchObject({ kind: 'not-found' });
  await expect(
    client.read({ ...version, versionId: '1' as never }, { offsetBytes: 0, lengthBytes: 5 }),
  ).rejects.toMatchObject({
    kind: expect.stringMatching(/not-found|protocol/) as unknown,
  });
});

test.each(['smoothed', 'windowed'] as const)('the emulator throttles (%s), callers only wait', async (mode) => {
  const client = await start({}, { throttle: { mode } });
  const [projects] = (await client.syncpoints()) as [RemoteSyncpoint];
  const root = await Promise.all(Array.from({ length: 40 }, () => list(projects)));
  expect(root.every((entries) => entries.length === 3)).toBe(true);
  console.log(`${mode}: ${emulator?.calls().throttled ?? 0} of ${emulator?.calls().total ?? 0} calls refused`);
});

test('faults of gateway and vault are bridged, or end as the documented kinds', async () => {
  const client = await start({});
  const [projects] = (await client.syncpoints()) as [RemoteSyncpoint];
  const root = await list(projects);
  const large = root.find((entry) => entry.name === 'large.bin') as RemoteFile;
  for (const fault of [
    { kind: 'status', status: 503 },
    { kind: 'status', status: 500 },
    { kind: 'reset' },
    { kind: 'truncate', afterBytes: 50 },
    { kind: 'expired-token' },
    { kind: 'throttle', retryAfterSeconds: 1 },
    // JSON that ends in its middle: a transfer that broke.
    { kind: 'garbage-json' },
  ] as const) {
    emulator?.setFaults([fault]);
    expect(await list(projects)).toHaveLength(3);
  }
  for (const fault of [{ kind: 'reset' }, { kind: 'status', status: 502 }, { kind: 'expired-token' }] as const) {
    emulator?.setFaults([fault]);
    expect((await read(reference(projects, large), 5, 50)).equals(content.subarray(5, 55))).toBe(true);
  }
  for (const fault of [
    { kind: 'truncate', afterBytes: 50 },
    { kind: 'short', afterBytes: 50 },
  ] as const) {
    emulator?.setFaults([fault]);
    const bytes = await read(reference(projects, large), 0, content.length).catch((error: unknown) => error);
    if (Buffer.isBuffer(bytes)) expect(bytes.equals(content)).toBe(true);
    else expect(bytes).toMatchObject({ kind: expect.stringMatching(/unavailable|protocol/) as unknown });
  }
});
