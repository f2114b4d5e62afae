// Syncpoints POST, Syncpoint GET, PUT and DELETE as the guide has them: what goes out to the letter, and each spelling of what comes back.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SyncpointId, VaultId } from '../../../src/remote-drive.ts';
import {
  allSyncpoints,
  createSyncpoint,
  deleteSyncpoint,
  mapSyncpoint,
  renameSyncpoint,
  type SyncpointDetails,
  syncpointById,
  transferSyncpoint,
} from '../../../src/syncplicity/content/syncpoints.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';
import { FixtureServer, reply, userId, vaultId, type Recorded } from '../fixture-server.ts';

const id = '5698124' as SyncpointId;
const machineId = '44444444-4444-4444-4444-444444444444';
const one = '/syncpoint/syncpoint.svc/5698124';
const several = '/syncpoint/syncpoints.svc/';
const entry = { Id: 5698124, Type: 6, Name: 'Projects', RootFolderId: 264841158, Permission: 1 };
let server: FixtureServer;
let api: ContentApi | undefined;

beforeEach(async () => {
  server = await FixtureServer.start();
});
afterEach(async () => {
  await api?.stop();
  api = undefined;
  await server.stop();
});

async function open(): Promise<ContentApi> {
  const credentials = { clientId: 'key-1', clientSecret: 'secret-1', appToken: 'app-token-1' };
  const members = [{ credentials, apiUrl: server.url }] as const;
  api = await openContentApi({ members, proxyEnvironment: {}, retries: { delayMs: 1 } }, {});
  return api;
}

/** Answers a call as `body` says; gives back the requests it got. */
function answer(method: string, to: string, body: (request: Recorded) => unknown, status = 200): Recorded[] {
  const got: Recorded[] = [];
  server.routes.push((request, response) => {
    if (request.method !== method || request.path !== to) return false;
    got.push(request);
    return reply(response, status, body(request));
  });
  return got;
}

async function details(): Promise<SyncpointDetails> {
  answer('GET', one, () => entry);
  return syncpointById((await open()).gateway, id, userId, {});
}

describe('Syncpoints GET', () => {
  it.each([
    [
      'as observed',
      {
        Id: 5698124,
        Type: 8,
        Name: 'Sub',
        RootFolderId: 264841158,
        Shared: true,
        Owner: { Id: userId, EmailAddress: 'jo@example.com', FirstName: 'Jo', LastName: 'Doe' },
        EffectivePermission: 3,
        Permission: 1,
        Mappings: [{ Machine: { Id: machineId }, Path: 'C:\\x', Mapped: true }],
        StorageEndpointId: vaultId,
        Parent: { Id: 7 },
        PathToRoot: '\\Dept\\Sub\\',
        SyncpointSize: 6702574,
      },
    ],
    [
      "in the guide's spelling",
      {
        ID: '5698124',
        Type: '8',
        Name: 'Sub',
        RootFolderID: '264841158',
        Shared: 'true',
        Owner: { ID: userId, EmailAddress: 'jo@example.com', FirstName: 'Jo', LastName: 'Doe' },
        Permission: '3',
        Mappings: { Mapping: { Machine: { ID: machineId, Path: 'C:\\x' }, Mapped: 'true' } },
        StorageEndpointID: vaultId,
        Parent: { ID: '7' },
        PathToRoot: '/Dept/Sub/',
        SyncpointSize: '6702574',
      },
    ],
  ])('tells all %s', async (_spelling, body) => {
    const got = answer('GET', several, () => [body, { ...body, Id: 5, ID: 5, Status: 2 }]);
    const found = await allSyncpoints((await open()).gateway, userId, {});
    expect(found).toEqual([
      {
        id,
        name: 'Sub',
        type: 'drive',
        typeCode: 8,
        permission: 'read-only',
        ownerId: userId,
        owner: 'jo@example.com',
        ownerName: 'Jo Doe',
        isShared: true,
        rootFolderId: '264841158',
        vaultId,
        parentId: '7',
        parentPath: 'Dept/Sub',
        sizeBytes: 6702574,
        mappings: [{ machineId, path: 'C:\\x', isMapped: true }],
      },
    ]);
    expect(got[0]?.query.get('includeType')).toBe('1,2,3,4,5,6,8');
  });

  it('makes do without what serialisers leave out', async () => {
    const found = await details();
    expect(found).toMatchObject({ type: 'folder', owner: undefined, sizeBytes: undefined, mappings: undefined });
  });
});

describe('Syncpoints POST', () => {
  it('sends all that the guide calls required', async () => {
    const got = answer('POST', several, () => [entry]);
    const { gateway } = await open();
    const made = await createSyncpoint(gateway, { name: 'Projects', type: 'folder', vaultId: undefined }, userId, {});
    expect(made).toMatchObject({ id, name: 'Projects', rootFolderId: '264841158' });
    const fields = { Mapped: false, Path: '\\', DownloadEnabled: true, UploadEnabled: true };
    expect(JSON.parse(got[0]?.body ?? '')).toEqual([
      { Type: 6, Name: 'Projects', ...fields, StorageEndpointID: '', StorageEndpointId: '' },
    ]);
    await createSyncpoint(gateway, { name: 'Projects', type: 'drive', vaultId: vaultId as VaultId }, userId, {});
    expect(JSON.parse(got[1]?.body ?? '')).toMatchObject([
      { Type: 8, StorageEndpointID: vaultId, StorageEndpointId: vaultId },
    ]);
  });

  it('leaves the storage endpoint out where an empty one is refused', async () => {
    const bodies: string[] = [];
    server.routes.push(({ method, path, body }, response) => {
      if (method !== 'POST' || path !== several) return false;
      bodies.push(body);
      const isRefused = body.includes('StorageEndpoint');
      return reply(response, isRefused ? 400 : 200, isRefused ? 'Invalid syncpoints list' : [entry]);
    });
    await createSyncpoint((await open()).gateway, { name: 'Projects', type: 'folder', vaultId: undefined }, userId, {});
    expect(bodies).toHaveLength(2);
  });

  it('fails where the reply lists nothing: nothing was made', async () => {
    answer('POST', several, () => []);
    const made = createSyncpoint((await open()).gateway, { name: 'A', type: 'folder', vaultId: undefined }, userId, {});
    await expect(made).rejects.toThrow('syncpoints.svc POST: "A" is not among what was made');
  });

  it('is refused in the words of the service', async () => {
    answer('POST', several, () => ({ StatusCode: 403, StatusDescription: 'Max Limit On Creation Reached' }), 403);
    const made = createSyncpoint((await open()).gateway, { name: 'A', type: 'folder', vaultId: undefined }, userId, {});
    await expect(made).rejects.toMatchObject({ kind: 'quota' });
  });
});

describe('Syncpoint PUT', () => {
  it('renames with the type that it has, and looks whether that was done', async () => {
    let name = 'Projects';
    answer('GET', one, () => ({ ...entry, Type: '8', Name: name }));
    const { gateway } = await open();
    const before = await syncpointById(gateway, id, userId, {});
    const got = answer('PUT', one, ({ body }) => {
      ({ Name: name } = JSON.parse(body) as { Name: string });
      return {};
    });
    expect((await renameSyncpoint(gateway, before, 'Plans', userId, {})).name).toBe('Plans');
    expect(got.map(({ body }) => body)).toEqual(['{"Type":8,"Name":"Plans"}']);
  });

  it('fails where a rename is acknowledged and ignored', async () => {
    const before = await details();
    answer('PUT', one, () => entry);
    await expect(renameSyncpoint((await open()).gateway, before, 'Plans', userId, {})).rejects.toThrow(
      'syncpoint 5698124 is still called "Projects"',
    );
  });

  it('gives it to another owner', async () => {
    const before = await details();
    const got = answer('PUT', one, () => entry);
    await transferSyncpoint((await open()).gateway, before, 'al@example.com', {});
    expect(got.map(({ body }) => body)).toEqual(['{"Type":6,"Owner":{"EmailAddress":"al@example.com"}}']);
  });

  it.each([
    ['as observed', 'array', 1],
    ["in the guide's form, where the other is ignored", 'ignored', 2],
    ["in the guide's form, where the other is refused", 'refused', 2],
    ['in both, where nothing is told of mappings', 'untold', 2],
  ])('maps it to a machine %s', async (_how, reading, calls) => {
    let mapped = false;
    const mapping = { Machine: { Id: machineId }, Path: '/data', Mapped: true };
    answer('GET', one, () => ({ ...entry, ...(reading === 'untold' ? {} : { Mappings: mapped ? [mapping] : [] }) }));
    const { gateway } = await open();
    const before = await syncpointById(gateway, id, userId, {});
    const bodies: unknown[] = [];
    server.routes.push(({ method, path, body }, response) => {
      if (method !== 'PUT' || path !== one) return false;
      bodies.push(JSON.parse(body));
      const isWrapped = body.includes('"Mapping":');
      mapped ||= reading === 'array' || isWrapped;
      const isRefused = reading === 'refused' && !isWrapped;
      return reply(response, isRefused ? 400 : 200, isRefused ? 'Invalid Machine ID' : entry);
    });
    const wanted = { machineId, path: '/data', isMapped: true, downloads: true, uploads: false };
    await mapSyncpoint(gateway, before, wanted, userId, {});
    expect(bodies).toHaveLength(calls);
    const facts = { Path: '/data', Mapped: true, DownloadEnabled: true, UploadEnabled: false };
    expect(bodies[0]).toEqual({ Type: 6, Mappings: [{ SyncPointId: 5698124, Machine: { Id: machineId }, ...facts }] });
    if (calls < 2) return;
    expect(bodies[1]).toEqual({
      Type: 6,
      Mappings: [{ Mapping: { SyncPointId: 5698124, Machine: { ID: machineId }, ...facts } }],
    });
  });

  it('says what was refused where no form is taken', async () => {
    const before = await details();
    answer('PUT', one, () => 'Invalid Machine ID', 400);
    const wanted = { machineId, path: '/data', isMapped: true, downloads: true, uploads: true };
    await expect(mapSyncpoint((await open()).gateway, before, wanted, userId, {})).rejects.toThrow(
      'Invalid Machine ID',
    );
  });
});

it('Syncpoint DELETE names it in the path, without a body', async () => {
  const got = answer('DELETE', one, () => '');
  await deleteSyncpoint((await open()).gateway, id, {});
  expect(got.map(({ url, body, headers }) => [url, body, headers['content-type']])).toEqual([
    [one, '', 'application/json'],
  ]);
});
