// The gateway's calls about shared links as the documents have them, over HTTP and against both stores: every refusal of their tables,
// every spelling of their replies, and that links outlive the process while passwords do not.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import type { DialectName } from '../../src/emulator/dialect.ts';
import type { EmulatorOptions } from '../../src/emulator/emulator.ts';
import { LinkStore, type LinkRecord } from '../../src/emulator/links.ts';
import { get, getJson } from './client.ts';
import { fileNamed, Services, storeKinds } from './stores.ts';
import type { Service } from './stores.ts';
import { call, told, upload } from './upload-client.ts';

const services = new Services();
afterEach(() => services.stop());

type Wire = Record<string, unknown>;

/** A service holding `d/in` and `a`. */
async function filled(kind: 'memory' | 'directory', options: Partial<EmulatorOptions> = {}): Promise<Service> {
  const service = await services.start(kind, options);
  await service.store.createFolder(service.syncpointId, service.rootFolderId, 'd');
  await upload(service, '\\d\\in', 'inner');
  await upload(service, '\\a', 'outer');
  return service;
}

function post(service: Service, links: readonly Wire[], query = ''): Promise<Response> {
  return call(service.session, 'POST', `/syncpoint/links.svc/${query}`, links);
}

const linkTo = (service: Service, VirtualPath: string, more: Wire = {}): Wire => ({
  SyncPointId: service.syncpointId,
  VirtualPath,
  ShareLinkPolicy: 3,
  ...more,
});

async function made(service: Service, VirtualPath: string, more: Wire = {}): Promise<Wire> {
  const response = await post(service, [linkTo(service, VirtualPath, more)]);
  const [link] = (await response.json()) as [Wire];
  return link;
}

describe.each(storeKinds)('the %s store', (kind) => {
  test('a link is made, shown, listed, changed and revoked', async () => {
    const service = await filled(kind);
    const { id } = await fileNamed(service, 'a');
    const link = await made(service, '\\a', {
      PasswordProtectPolicy: 2,
      Password: 'secret',
      Users: [{ EmailAddress: 'a@example.com' }],
      Groups: [{ Id: '7dae61c7-bf7a-499b-8ede-6481aba49ac9' }],
      Message: 'look',
      LinkExpirationPolicy: 1,
      LinkExpireInDays: 14,
    });
    const token = String(link['Token']);
    expect(link).toMatchObject({
      SyncPointId: service.syncpointId,
      VirtualPath: '\\a',
      ShareLinkPolicy: 3,
      PasswordProtectPolicy: 2,
      Users: [{ EmailAddress: 'a@example.com' }],
      Groups: [{ Id: '7dae61c7-bf7a-499b-8ede-6481aba49ac9' }],
      DownloadUrl: `https://my.emulator.invalid/ui/download/${token}`,
      LinkUsage: { DownloadCount: 0 },
      LinkExpireInDays: 14,
      IsExpired: false,
      LinkExpirationPolicy: 1,
      File: { FileId: id, Filename: 'a', FolderId: 0, Length: 0 },
      Message: 'look',
    });
    expect(link['SharedDateUtc']).toMatch(/^\/Date\(\d{13}\)\/$/);
    expect(JSON.stringify(link)).not.toContain('secret');
    expect(await getJson(service.session, `/syncpoint/link.svc/${token}`)).toEqual(link);
    expect(await getJson(service.session, '/syncpoint/links.svc')).toEqual([link]);
    const changes = { ShareLinkPolicy: 2, PasswordProtectPolicy: 2, Password: 'another', LinkExpirationPolicy: 2 };
    const changed = await call(service.session, 'PUT', `/syncpoint/link.svc/${token}?modifier=send_email`, changes);
    expect(await changed.json()).toMatchObject({ ShareLinkPolicy: 2, Password: 'another', LinkExpireInDays: 0 });
    const now = (await getJson(service.session, `/syncpoint/link.svc/${token}`)) as Wire;
    expect(now).toEqual({ ...link, ShareLinkPolicy: 2, LinkExpirationPolicy: 2, LinkExpireInDays: 0 });
    expect((await call(service.session, 'DELETE', `/syncpoint/link.svc/${token}`)).status).toBe(200);
    expect(await told(get(service.session, `/syncpoint/link.svc/${token}`))).toBe('404 Token Not found');
    expect(await getJson(service.session, '/syncpoint/links.svc/')).toEqual([]);
  });

  test('a link goes where its file goes', async () => {
    const service = await filled(kind);
    const link = await made(service, '\\a');
    const { id } = await fileNamed(service, 'a');
    await service.store.moveFile(service.syncpointId, id, service.rootFolderId, 'b');
    const path = `/syncpoint/link.svc/${String(link['Token'])}`;
    expect(await getJson(service.session, path)).toMatchObject({ VirtualPath: '\\b', File: { Filename: 'b' } });
    await service.store.removeFile(service.syncpointId, id);
    expect(await getJson(service.session, path)).toHaveProperty('Token', link['Token']);
  });

  test('folders are linked too, with or without their last separator; what is missing is left out', async () => {
    const service = await filled(kind);
    const paths = ['\\d\\', '\\d', '\\d\\in', '\\no', '\\no\\in', '\\'];
    const response = await post(
      service,
      paths.map((path) => linkTo(service, path)),
    );
    const links = (await response.json()) as Wire[];
    expect(links.map((link) => link['VirtualPath'])).toEqual(['\\d\\', '\\d\\', '\\d\\in', '\\']);
  });
});

describe('refusals', () => {
  test.each<[string, Wire | Wire[], string]>([
    ['no syncpoint', { SyncPointId: undefined }, '403 spVirtualFolderGetById did not return a result'],
    ['an unknown syncpoint', { SyncPointId: 1 }, '403 spVirtualFolderGetById did not return a result'],
    ['a password that is empty', { PasswordProtectPolicy: 2 }, '400 Password policy Prohibits sharing'],
    ['a policy that is none', { ShareLinkPolicy: 5 }, '400 Bad Request'],
    ['an end without days', { LinkExpirationPolicy: 1 }, '400 Bad Request'],
    ['users without an address', { Users: [{ Name: 'x' }] }, '400 Bad Request'],
    ['more than a hundred', Array.from({ length: 101 }, () => ({})), '400 Max Limit Is 100'],
    ['nothing at all', [], '400 Bad Request'],
  ])('of %s', async (_what, more, text) => {
    const service = await filled('memory');
    const links = (Array.isArray(more) ? more : [more]).map((one) => linkTo(service, '\\a', one));
    expect(await told(post(service, links))).toContain(text);
    expect(await getJson(service.session, '/syncpoint/links.svc')).toEqual([]);
  });

  test('of links wider than the account allows', async () => {
    const internal = await filled('memory', { shareLinkPolicy: 2 });
    expect(await told(post(internal, [linkTo(internal, '\\a')]))).toBe('406 Policy Prohibits Sharing');
    const link = await made(internal, '\\a', { ShareLinkPolicy: 2 });
    const path = `/syncpoint/link.svc/${String(link['Token'])}`;
    expect(await told(call(internal.session, 'PUT', path, { ShareLinkPolicy: 3 }))).toBe(
      '406 Policy Prohibits Sharing',
    );
    const none = await filled('memory', { shareLinkPolicy: 1 });
    expect(await told(post(none, [linkTo(none, '\\a', { ShareLinkPolicy: 2 })]))).toBe('406 Policy Prohibits Sharing');
    expect(await getJson(none.session, '/syncpoint/syncpoints.svc')).toMatchObject([
      { Policy: { ShareLinkPolicy: 1 } },
    ]);
  });

  test.each(['GET', 'PUT', 'DELETE'])('of an unknown token: %s', async (method) => {
    const service = await filled('memory');
    const body = method === 'PUT' ? { Message: 'x' } : undefined;
    expect(await told(call(service.session, method, '/syncpoint/link.svc/none', body))).toBe('404 Token Not found');
  });

  test('of a changed link whose password would be empty, and of unknown modifiers', async () => {
    const service = await filled('memory');
    const path = `/syncpoint/link.svc/${String((await made(service, '\\a'))['Token'])}`;
    const changes = { PasswordProtectPolicy: 2, Password: '' };
    expect(await told(call(service.session, 'PUT', path, changes))).toBe('400 Password policy Prohibits sharing');
    expect(await told(call(service.session, 'PUT', `${path}?modifier=shout`, {}))).toBe('400 Bad Request');
    expect(await told(post(service, [linkTo(service, '\\a')], '?modifier=shout'))).toBe('400 Bad Request');
  });

  test('of other users’ links, and of those without a token', async () => {
    const service = await filled('memory');
    const { userId } = service.emulator.credentials;
    expect((await get(service.session, `/syncpoint/links.svc/?user=${userId}`)).status).toBe(200);
    const other = get(service.session, '/syncpoint/links.svc/?user=e3938cb5-e985-4fb1-be37-b4f2c8891477');
    expect(await told(other)).toBe('403 User Not Authorized For Action');
    expect((await get(service.session, '/syncpoint/links.svc/', { Authorization: 'Bearer no' })).status).toBe(401);
  });
});

describe('spellings', () => {
  test('a server of the specification takes the working names only', async () => {
    const service = await filled('memory');
    const { SyncPointId, ...others } = linkTo(service, '\\a');
    expect(await told(post(service, [{ SyncpointId: SyncPointId, ...others }]))).toContain(
      '403 spVirtualFolderGetById',
    );
  });

  test.each(['SharedLinkPolicy', 'SharedLinkPlicy', 'ShareLinkPolicy'])('one of the guide takes %s', async (key) => {
    const service = await filled('memory', { dialect: dialects.guide });
    const response = await post(service, [
      { SyncpointId: service.syncpointId, VirtualPath: '\\a', [key]: 2, OutlookSharePolicy: 1 },
      { SyncpointId: service.syncpointId, VirtualPath: '\\a', [key]: 1, OutlookSharePolicy: 1 },
    ]);
    const links = (await response.json()) as Wire[];
    expect(links[0]).toMatchObject({ SharedLinkPlicy: 2, OutlookSharePolicy: 1, File: 'File information' });
    expect(links[1]).toMatchObject({ SharedLinkPolicy: 1 });
    expect(links[0]).not.toHaveProperty('VirtualPath');
  });

  test.each<[DialectName, string, number]>([
    ['observed', 'fileId=FILE&syncpointId=SYNCPOINT', 1],
    ['observed', 'file_id=FILE', 2],
    ['guide', 'file_id=FILE', 1],
    ['large-ids', 'fileId=FILE&syncpointId=SYNCPOINT', 1],
    ['links-misspelt', 'fileId=FILE&syncpointId=SYNCPOINT&file_id=FILE', 2],
  ])('%s asked with %s', async (name, query, count) => {
    const dialect = dialects[name];
    const service = await filled('memory', { dialect });
    for (const path of ['\\a', '\\d\\in']) await made(service, path);
    const { id } = await fileNamed(service, 'a');
    const asked = query
      .replaceAll('FILE', String(BigInt(id) + dialect.idBase))
      .replace('SYNCPOINT', `${service.syncpointId}`);
    expect(await getJson(service.session, `/syncpoint/links.svc/?${asked}`)).toHaveLength(count);
  });

  test('fileId needs syncpointId', async () => {
    const service = await filled('memory');
    expect(await told(get(service.session, '/syncpoint/links.svc/?fileId=1'))).toBe('400 Bad Request');
    expect(await told(get(service.session, '/syncpoint/links.svc/?syncpointId=1'))).toBe('400 Bad Request');
  });
});

/** As many links to `a` as are wanted, the first ten of them expired. */
function records(service: Service, objectId: number, count: number): LinkRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    token: `token-${index}`,
    syncpointId: service.syncpointId,
    kind: 'file',
    objectId,
    virtualPath: '\\a',
    policy: 3,
    outlookPolicy: 3,
    hasPassword: false,
    expireInDays: index < 10 ? 1 : 0,
    users: [],
    groups: [],
    message: '',
    sharedMs: index < 10 ? 0 : Date.now(),
    downloads: 0,
  }));
}

test('ten thousand links are all that a user has', async () => {
  const links = LinkStore.inMemory();
  const service = await filled('memory', { links });
  await links.put(records(service, (await fileNamed(service, 'a')).id, 10_000));
  expect(await told(post(service, [linkTo(service, '\\a')]))).toBe('403 Max Limit On Links Reached');
  expect(await getJson(service.session, '/syncpoint/links.svc/')).toHaveLength(9990);
  expect(await getJson(service.session, '/syncpoint/links.svc/?include=expired')).toHaveLength(10_000);
});

test('links outlive the process, their passwords do not', async () => {
  const service = await filled('directory');
  mkdirSync(service.state, { recursive: true });
  const file = join(service.state, 'links.json');
  const kept = await service.restart({ links: await LinkStore.open(file) });
  const link = await made(kept, '\\a', { PasswordProtectPolicy: 2, Password: 'secret-of-the-link' });
  await Promise.all(['\\d', '\\d\\in'].map((path) => made(kept, path)));
  expect(readFileSync(file, 'utf8')).not.toContain('secret-of-the-link');
  const again = await kept.restart({ links: await LinkStore.open(file) });
  const path = `/syncpoint/link.svc/${String(link['Token'])}`;
  expect(await getJson(again.session, path)).toEqual(link);
  expect(await getJson(again.session, '/syncpoint/links.svc/')).toHaveLength(3);
  await call(again.session, 'DELETE', path);
  const last = await again.restart({ links: await LinkStore.open(file) });
  expect(await getJson(last.session, '/syncpoint/links.svc/')).toHaveLength(2);
});
