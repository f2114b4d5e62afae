// The gateway as the documents describe it: who may call, what is answered, how calls are refused.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startEmulator } from '../../src/emulator/emulator.ts';
import type { Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { FileRecord, FolderRecord, SyncpointRecord } from '../../src/emulator/store.ts';
import { get, getJson, requestToken, signIn } from './client.ts';
import type { Session } from './client.ts';

const MODIFIED = 14_736_626_719_000_007n; // 2016-09-12T06:44:31.9000007Z

let emulator: Emulator;
let session: Session;
let store: MemoryStore;
let projects: SyncpointRecord;
let file: FileRecord;
let folder: FolderRecord;

beforeEach(async () => {
  store = new MemoryStore();
  projects = store.addSyncpoint('Projects');
  store.addSyncpoint('Drive', { type: 8, permission: 3 });
  file = store.addFile(projects.id, projects.rootFolderId, 'a.zip', Buffer.from('hello'), { modified: MODIFIED });
  folder = store.addFolder(projects.id, projects.rootFolderId, '2017');
  store.addFile(projects.id, folder.id, 'inner.txt', Buffer.from('inner'));
  emulator = await startEmulator({ store });
  session = await signIn(emulator);
});
afterEach(() => emulator.stop());

const root = (): string => `${projects.id}/folder/${projects.rootFolderId}`;

describe('signing in', () => {
  test('a token reply names the user and the lifetime', async () => {
    const reply = (await (await requestToken(emulator)).json()) as Record<string, unknown>;
    expect(reply).toMatchObject({
      token_type: 'Bearer',
      expires_in: '5100',
      user_id: emulator.credentials.userId,
      user_email: emulator.credentials.email,
    });
    expect(String(reply['access_token']).length).toBeGreaterThan(400);
  });

  test.each([
    ['a wrong app secret', { Authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }, 401],
    ['a wrong application token', { 'Sync-App-Token': 'x' }, 401],
    ['no form', { 'Content-Type': 'application/json' }, 400],
  ])('%s is refused', async (_what, headers, status) => {
    expect((await requestToken(emulator, headers)).status).toBe(status);
  });

  test('a machine token signs in too', async () => {
    const { machineToken, appKey, appSecret } = emulator.credentials;
    const response = await fetch(`${emulator.gatewayUrl}/oauth/token`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`${appKey}:${appSecret}`).toString('base64')}`,
        'Sync-Machine-Token': machineToken,
      },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    expect(response.status).toBe(200);
  });

  test('a revoked token no longer opens anything', async () => {
    expect((await get(session, '/oauth/revoke')).status).toBe(200);
    expect((await get(session, '/syncpoint/syncpoints.svc/')).status).toBe(401);
  });

  test('a secured session token opens its vault and not the gateway', async () => {
    const { appKey, appSecret } = emulator.credentials;
    const [syncpoint] = (await getJson(session, '/syncpoint/syncpoints.svc/')) as { StorageEndpointId: string }[];
    const response = await fetch(`${emulator.gatewayUrl}/oauth/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from(`${appKey}:${appSecret}`).toString('base64')}` },
      body: new URLSearchParams({
        grant_type: 'urn:syncplicity:oauth:grant-type:access-token',
        token: session.token,
        resource: `urn:syncplicity:resources:storage:${syncpoint?.StorageEndpointId ?? ''}`,
      }),
    });
    const { access_token: sst } = (await response.json()) as { access_token: string };
    const headers = { AppKey: appKey, Authorization: `Bearer ${sst}`, Accept: 'application/json' };
    const vault = `${emulator.vaultUrl}/v2/files?syncpoint_id=${projects.id}&file_version_id=${file.versionId}`;
    expect(await (await fetch(vault, { headers })).text()).toBe('hello');
    expect((await get({ ...session, headers }, '/storage/storageendpoint.svc/')).status).toBe(401);
  });

  test('the GOL knows the home region by the hash of the address', async () => {
    const { emailHash } = await import('../../src/emulator/gateway-access.ts');
    expect(emailHash(' User@Domain.com ')).toBe('58809ef69e0cceb9af2c57a42baa47cc');
    const rols = await fetch(`${emulator.gatewayUrl}/api/v1/rols?uhid=${emailHash(emulator.credentials.email)}`);
    expect(await rols.json()).toMatchObject([{ Id: 1, ApigeeUrl: emulator.gatewayUrl, IsHome: true }]);
    const unknown = await fetch(`${emulator.gatewayUrl}/api/v1/rols?uhid=${emailHash('no@one')}`);
    expect(await unknown.json()).toEqual([]);
  });
});

describe('required headers', () => {
  test.each([
    ['AppKey', 401],
    ['Authorization', 401],
    ['Content-Type', 400],
  ])('a call without %s is refused', async (name, status) => {
    const headers = { ...session.headers };
    Reflect.deleteProperty(headers, name);
    const response = await get({ ...session, headers }, '/syncpoint/syncpoints.svc/');
    expect(response.status).toBe(status);
  });

  test('Storage Endpoint GET needs no Content-Type', async () => {
    const { 'Content-Type': _omitted = '', ...headers } = session.headers;
    expect((await get({ ...session, headers }, '/storage/storageendpoint.svc/')).status).toBe(200);
    expect(_omitted).not.toBe('');
  });

  test('a known path with another method is 405, an unknown path 404', async () => {
    const put = await fetch(`${emulator.gatewayUrl}/syncpoint/syncpoints.svc/`, { method: 'PUT' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, POST']);
    expect((await get(session, '/sync/no.svc/')).status).toBe(404);
  });
});

describe('syncpoints and vaults', () => {
  test('type 8 is listed only when asked for', async () => {
    const names = async (query: string): Promise<unknown[]> =>
      ((await getJson(session, `/syncpoint/syncpoints.svc/${query}`)) as { Name: string }[]).map((one) => one.Name);
    expect(await names('')).toEqual(['Projects']);
    expect(await names('?includeType=1,2,3,4,5,6,8')).toEqual(['Projects', 'Drive']);
    expect(await names('?includeType=8')).toEqual(['Drive']);
  });

  test('LastEvent is told when asked for, and moves with every change', async () => {
    const path = `/syncpoint/syncpoint.svc/${projects.id}`;
    const event = async (): Promise<unknown> =>
      ((await getJson(session, `${path}?include=lastnewsfeedevent`)) as { LastEvent: { Id: number } }).LastEvent.Id;
    expect(await getJson(session, path)).not.toHaveProperty('LastEvent');
    const before = await event();
    expect(await event()).toBe(before);
    store.rename(projects.id, file.id, 'b.zip');
    expect(await event()).not.toBe(before);
  });

  test('the vault of a syncpoint is found by id, as default and in the list', async () => {
    const { StorageEndpointId: id } = (await getJson(session, `/syncpoint/syncpoint.svc/${projects.id}`)) as {
      StorageEndpointId: string;
    };
    const wanted = { Id: id, Urls: [{ Url: emulator.vaultUrl }], Default: true };
    expect(await getJson(session, '/storage/storageendpoint.svc/')).toMatchObject(wanted);
    expect(await getJson(session, `/storage/storageendpoint.svc/${id}`)).toMatchObject(wanted);
    expect(await getJson(session, '/storage/storageendpoints.svc/')).toMatchObject([wanted]);
  });
});

describe('folders and files', () => {
  test('folder.svc lists files and folders with include=active and only itself without', async () => {
    expect(await getJson(session, `/sync/folder.svc/${root()}?include=active`)).toEqual({
      SyncpointId: projects.id,
      FolderId: projects.rootFolderId,
      VirtualPath: '\\',
      Name: '',
      Status: 1,
      Files: [
        expect.objectContaining({
          SyncpointId: projects.id,
          FileId: file.id,
          Filename: 'a.zip',
          Length: 5,
          LastWriteTimeUtc: '2016-09-12T06:44:31.9000007Z',
          LatestVersionId: file.versionId,
          Status: 1,
        }),
      ],
      Folders: [
        {
          SyncpointId: projects.id,
          FolderId: folder.id,
          VirtualPath: '\\2017\\',
          Name: '2017',
          Status: 1,
          Files: [],
          Folders: [],
          ParentFolderId: projects.rootFolderId,
        },
      ],
    });
    expect(await getJson(session, `/sync/folder.svc/${root()}`)).toMatchObject({ Files: [], Folders: [] });
  });

  test('Files GET, Folders GET and file.svc tell the same entries', async () => {
    const files = await getJson(session, `/sync/folder_files.svc/${root()}/files?include=active`);
    expect(files).toMatchObject([{ FileId: file.id, FolderId: projects.rootFolderId, Length: 5 }]);
    const [first] = files as unknown[];
    expect(await getJson(session, `/sync/file.svc/${projects.id}/file/${file.id}`)).toEqual(first);
    const folders = await getJson(session, `/sync/folder_folders.svc/${root()}/folders`);
    expect(folders).toMatchObject([{ FolderId: folder.id, Name: '2017' }]);
  });

  test('versions are told newest first, by a version id', async () => {
    const newer = store.writeFile(projects.id, file.id, Buffer.from('hello again'));
    const path = `/sync/versions.svc/${projects.id}/file/${newer.versionId}/versions`;
    expect(await getJson(session, path)).toMatchObject([
      { Id: newer.versionId, Action: 1, Length: 11 },
      { Id: file.versionId, Action: 0, Length: 5 },
    ]);
    const byFileId = await get(session, `/sync/versions.svc/${projects.id}/file/${file.id}/versions`);
    expect([byFileId.status, byFileId.statusText]).toEqual([400, 'Invalid Version ID']);
  });

  test.each([
    ['/syncpoint/syncpoint.svc/12', 404, 'SyncPoint Does Not Exist'],
    ['/syncpoint/syncpoint.svc/abc', 400, 'Invalid SyncPoint ID'],
    ['/sync/folder.svc/12/folder/13?include=active', 404, 'SyncPoint Does Not Exist'],
    ['/sync/folder.svc/SP/folder/13?include=active', 400, 'Invalid Folder ID'],
    ['/sync/folder.svc/SP/folder/FILE?include=active', 400, 'Invalid Folder ID'],
    ['/sync/folder.svc/DRIVE/folder/ROOT?include=active', 400, 'Invalid Folder ID'],
    ['/sync/folder_folders.svc/SP/folder/13/folders', 404, 'Unknown Folder Id'],
    ['/sync/folder_folders.svc/12/folder/13/folders', 404, 'Unknown Syncpoint Id'],
    ['/sync/folder_files.svc/SP/folder/13/files', 404, 'Directory Not Found'],
    ['/sync/folder_files.svc/12/folder/13/files', 404, 'VirtualFolder Not Found'],
    ['/sync/folder_files.svc/SP/folder/ROOT/files?limit=1001', 400, 'Max Limit Is 1000'],
    ['/sync/file.svc/SP/file/VERSION', 404, 'File Not Found'],
    ['/sync/file.svc/DRIVE/file/FILE', 404, 'File Not Found'],
    ['/storage/storageendpoint.svc/11111111-1111-1111-1111-111111111111', 404, 'Storage Endpoint Not Found'],
  ])('%s is refused as documented', async (template, status, text) => {
    const path = template
      .replace('SP', String(projects.id))
      .replace('DRIVE', String(projects.id + 1))
      .replace('ROOT', String(projects.rootFolderId))
      .replace('FILE', String(file.id))
      .replace('VERSION', String(file.versionId));
    const response = await get(session, path);
    expect([response.status, response.statusText, await response.json()]).toEqual([
      status,
      text,
      { StatusCode: status, StatusDescription: text },
    ]);
  });

  test('calls are counted by endpoint', () => {
    expect(emulator.calls()).toMatchObject({ total: 1, byEndpoint: { token: 1 }, throttled: 0 });
  });
});
