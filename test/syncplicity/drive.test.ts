// The client's everyday calls against canned replies: what it asks, and what it makes of the documents' fixtures.
import { afterEach, expect, test } from 'vitest';
import type {
  ContentReference,
  FileId,
  FolderId,
  RemoteEntry,
  SyncpointId,
  VaultId,
  VersionId,
} from '../../src/remote-drive.ts';
import { FixtureServer, reply, sendRange, userId, vaultId } from './fixture-server.ts';
import type { Route } from './fixture-server.ts';
import { SlowTunnels } from './slow-tunnels.ts';

let server: FixtureServer;
afterEach(() => server.stop());

const syncpoint = '5698124' as SyncpointId;
const folder = '264841158' as FolderId;

const syncpoints: Route = (request, response) =>
  request.path === '/syncpoint/syncpoints.svc/' &&
  reply(response, 200, [
    {
      Id: 5698124,
      Type: 6,
      Name: 'Projects',
      RootFolderId: 264841158,
      Mapped: false,
      Shared: true,
      Owner: { Id: userId, EmailAddress: 'jo@example.com', FirstName: 'Jo', LastName: 'Doe' },
      Permission: 1,
      EffectivePermission: 1,
      Mappings: [],
      StorageEndpointId: vaultId,
      PathToRoot: '\\',
      SyncpointSize: 6702574,
      LastEvent: { Id: 77, Type: 3 },
    },
    {
      ID: '5698125',
      Type: 8,
      Name: 'Drive',
      RootFolderID: '264841159',
      Permission: 3,
      EffectivePermission: 3,
      StorageEndpointID: vaultId.toUpperCase(),
      Owner: { Id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477', EmailAddress: 'al@example.com' },
    },
    {
      Id: 5698126,
      Type: 6,
      Name: 'Sub',
      RootFolderId: 264841160,
      Permission: 1,
      EffectivePermission: 1,
      Parent: { Id: 5698124 },
      PathToRoot: '\\Dept\\Sub\\',
    },
    { Id: 5698127, Type: 7, Name: 'Private', RootFolderId: 1, Permission: 1 },
    { Id: 5698128, Type: 6, Name: 'None', RootFolderId: 2, Permission: 1, EffectivePermission: 0 },
    { Id: 5698129, Type: 6, Name: 'Removed', RootFolderId: 3, Permission: 1, Status: 2 },
  ]);

const listing: Route = (request, response) =>
  request.path === '/sync/folder.svc/5698124/folder/264841158' &&
  reply(response, 200, {
    SyncpointId: 5698124,
    FolderId: 264841158,
    VirtualPath: '\\',
    Name: '',
    Status: 1,
    Files: [
      {
        SyncpointId: 5698124,
        FileId: 743320707,
        Filename: 'a.zip',
        Length: 259228,
        CreationTimeUtc: '2016-09-12T06:44:31.9000000Z',
        LastWriteTimeUtc: '2016-09-12T06:44:31.1234567Z',
        Status: 1,
        LatestVersionId: 999211663,
        Stored: true,
        DateAddedUtc: '2016-09-12T06:44:31.8570000Z',
      },
      { FileId: 743320708, Filename: 'gone', Length: 1, Status: 3, LatestVersionId: 5 },
    ],
    Folders: [
      {
        SyncpointId: 5698124,
        FolderId: 439745850223001,
        VirtualPath: '\\2017\\',
        Name: '2017',
        Status: 1,
        Files: [],
        Folders: [],
        ParentFolderId: 264841158,
      },
      { FolderId: 439745850223002, Name: 'gone', Status: 4 },
    ],
  });

async function all(batches: AsyncIterable<RemoteEntry[]>): Promise<RemoteEntry[]> {
  const entries: RemoteEntry[] = [];
  for await (const batch of batches) entries.push(...batch);
  return entries;
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('tells whose drive it is from one token request with the documented headers', async () => {
  server = await FixtureServer.start();
  expect(await server.drive().account()).toEqual({ userId, email: 'jo@example.com' });
  expect(server.requests).toHaveLength(1);
  expect(server.requests[0]).toMatchObject({
    method: 'POST',
    path: '/oauth/token',
    body: 'grant_type=client_credentials',
    headers: {
      authorization: `Basic ${Buffer.from('key-1:secret-1').toString('base64')}`,
      'sync-app-token': 'app-token-1',
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'syncplicityfs',
    },
  });
});

const otherUser = 'E3938CB5-E985-4FB1-BE37-B4F2C8891477';

test('lists the syncpoints a user may read, with their permission', async () => {
  server = await FixtureServer.start(syncpoints);
  const found = await server
    .drive({ credentials: { clientId: 'key-1', clientSecret: 's', machineToken: 'm', asUser: otherUser } })
    .syncpoints();
  expect(
    found.map(({ id, name, rootFolderId, permission, vaultId: vault, owner, parentId, lastEvent }) => [
      id,
      name,
      rootFolderId,
      permission,
      vault,
      owner,
      parentId,
      lastEvent,
    ]),
  ).toEqual([
    ['5698124', 'Projects', '264841158', 'read-write', vaultId, 'jo@example.com', undefined, '77'],
    ['5698125', 'Drive', '264841159', 'read-only', vaultId, 'al@example.com', undefined, undefined],
    ['5698126', 'Sub', '264841160', 'read-write', undefined, undefined, '5698124', undefined],
  ]);
  const call = server.requests.at(-1);
  expect(call?.query.get('includeType')).toBe('1,2,3,4,5,6,8');
  expect(call?.query.get('include')).toBe('lastnewsfeedevent');
  expect(call?.headers).toMatchObject({
    appkey: 'key-1',
    authorization: 'Bearer tok-1',
    accept: 'application/json',
    'as-user': otherUser.toLowerCase(),
  });
  expect(server.requests[0]?.headers['sync-machine-token']).toBe('m');
});

test('lists a folder with one call and leaves out what is removed', async () => {
  server = await FixtureServer.start(listing);
  const drive = server.drive();
  expect(await all(drive.list(syncpoint, folder))).toEqual([
    {
      kind: 'file',
      id: '743320707',
      name: 'a.zip',
      versionId: '999211663',
      lengthBytes: 259228,
      modified: { seconds: 1473662671, nanoseconds: 123456700 },
      created: { seconds: 1473662671, nanoseconds: 900000000 },
    },
    { kind: 'folder', id: '439745850223001', name: '2017' },
  ]);
  expect(server.requests.at(-1)?.query.get('include')).toBe('active');
  expect(drive.statistics()).toMatchObject({
    total: 2,
    byEndpoint: { 'folder.svc GET': 1, 'token POST': 1 },
    capabilities: { folderListing: 'folder.svc' },
  });
});

test('reads a range of a version and learns what the vault makes of ranges', async () => {
  const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));
  server = await FixtureServer.start(
    (request, response) => request.path === '/retrieveFile.php' && sendRange(request, response, content),
  );
  const drive = server.drive();
  const version: ContentReference = {
    syncpointId: syncpoint,
    versionId: '999211663' as VersionId,
    vaultId: vaultId as VaultId,
    lengthBytes: content.length,
  };
  expect(drive.rangeSupport(version)).toBe('unknown');
  const stream = await drive.read(version, { offsetBytes: 1000, lengthBytes: 5000 });
  expect([stream.offsetBytes, stream.endBytes]).toEqual([1000, 6000]);
  expect((await bytesOf(stream)).equals(content.subarray(1000, 6000))).toBe(true);
  expect(drive.rangeSupport(version)).toBe('bounded');
  const request = server.requests.at(-1);
  expect(request?.query.get('vToken')).toBe('5698124-999211663');
  expect(request?.headers).toMatchObject({ range: 'bytes=1000-5999', appkey: 'key-1', authorization: 'Bearer tok-1' });
  const whole = await drive.read(version, { offsetBytes: 0, lengthBytes: content.length });
  expect((await bytesOf(whole)).equals(content)).toBe(true);
  expect(server.requests.at(-1)?.headers.range).toBeUndefined();
  expect(drive.statistics().bytesIn).toBe(105_000);
});

test('tells a file and the vaults', async () => {
  server = await FixtureServer.start(
    (request, response) =>
      request.path === '/sync/file.svc/5698124/file/743320707' &&
      reply(response, 200, {
        FileId: '743320707',
        Filename: 'a',
        Length: '12',
        LatestVersionId: '9223372036854775807',
        LastWriteTimeUtc: '/Date(1491567679760-0500)/',
      }),
  );
  const drive = server.drive();
  expect(await drive.file(syncpoint, '743320707' as FileId)).toMatchObject({
    lengthBytes: 12,
    versionId: '9223372036854775807',
    modified: { seconds: 1491567679, nanoseconds: 760_000_000 },
  });
  expect(await drive.vaults()).toEqual([
    { id: vaultId, name: 'Cloud US', sizeBytes: 10 * 2 ** 30, consumedBytes: 1.5 * 2 ** 30 },
  ]);
});

test('who may read soon has a connection to the vault made, once, where that is known without a call', async () => {
  server = await FixtureServer.start();
  const drive = server.drive();
  drive.prepareRead(undefined);
  await drive.vaults();
  const calls = server.requests.length;
  // That of the calls: the vault was not known before.
  expect(server.openConnections).toBe(1);
  for (const vault of [undefined, vaultId as VaultId, 'another' as VaultId]) drive.prepareRead(vault);
  await expect.poll(() => server.openConnections).toBe(2);
  expect(server.requests.length).toBe(calls);
  await drive.stop();
  await expect.poll(() => server.openConnections).toBe(0);
});

test('nothing is made ready where a proxy stands in between', async () => {
  server = await FixtureServer.start();
  const tunnels = await SlowTunnels.start(() => 0);
  try {
    const drive = server.drive({ proxyEnvironment: { http_proxy: tunnels.url }, proxyLoopback: true });
    await drive.vaults();
    drive.prepareRead(undefined);
    // Whatever would have been made is made by then.
    await drive.vaults();
    expect([tunnels.made, server.openConnections]).toEqual([1, 1]);
  } finally {
    await tunnels.stop();
  }
});
