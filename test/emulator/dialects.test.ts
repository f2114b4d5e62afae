// Each named dialect tells the same tree, in its own words.
import { afterEach, describe, expect, test } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { startEmulator } from '../../src/emulator/emulator.ts';
import type { Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { get, signIn } from './client.ts';
import type { Session } from './client.ts';

const running: Emulator[] = [];
afterEach(async () => {
  for (const emulator of running.splice(0)) await emulator.stop();
});

async function start(dialect: Partial<Dialect>, files = 3): Promise<{ session: Session; path: string; id: number }> {
  const store = new MemoryStore();
  const { id, rootFolderId } = store.addSyncpoint('Projects');
  for (let index = 0; index < files; index++) {
    store.addFile(id, rootFolderId, `f${index}/x`, Buffer.alloc(index), { modified: 14_736_626_719_000_007n });
  }
  store.addFolder(id, rootFolderId, 'sub');
  const emulator = await startEmulator({ store, dialect });
  running.push(emulator);
  const root = BigInt(rootFolderId) + (dialect.idBase ?? 0n);
  return { session: await signIn(emulator), path: `${id}/folder/${root}`, id };
}

async function text(session: Session, path: string): Promise<string> {
  return (await get(session, path)).text();
}

test.each(Object.entries(dialects))('%s lists every file, in valid JSON', async (_name, dialect) => {
  const { session, path } = await start(dialect);
  const listing = await text(session, `/sync/folder_files.svc/${path}/files?include=active`);
  const files = JSON.parse(listing.replace(/^\uFEFF/, '')) as Record<string, unknown>[];
  const names = files.map((file) => Object.entries(file).find(([key]) => key.toLowerCase() === 'filename')?.[1]);
  expect(names.sort()).toEqual(['f0/x', 'f1/x', 'f2/x']);
  const folder = await get(session, `/sync/folder.svc/${path}?include=active`);
  expect(folder.status).toBe(dialect.folderCall === 'present' ? 200 : Number(dialect.folderCall));
  if (folder.status === 200) JSON.parse((await folder.text()).replace(/^\uFEFF/, ''));
});

describe('spelling', () => {
  test.each<[string, Partial<Dialect>, RegExp]>([
    ['keys in lower case', { keys: 'lower' }, /"rootfolderid":264000001/],
    ['keys in camel case', { keys: 'camel' }, /"rootFolderId":264000001/],
    ['ID for Id', { keys: 'upper-id' }, /^\[\{"ID":5698001,.*"RootFolderID":264000001,.*"StorageEndpointID":/],
    ['ids as strings', { numbers: 'ids-as-strings' }, /"RootFolderId":"264000001".*"Permission":1,/],
    ['numbers as strings', { numbers: 'strings' }, /"RootFolderId":"264000001".*"Permission":"1",/],
    ['ids past 2^53', { idBase: 2n ** 60n }, /"RootFolderId":1152921504870846977,/],
    ['members with defaults left out', { omitDefaults: true }, /^\[\{"Id":\d+,(?!.*"(Mapped|Mappings|SyncpointSize)")/],
    ['no EffectivePermission', { effectivePermission: false }, /^(?!.*EffectivePermission)/],
    ['unknown members', { unknownFields: true }, /"NewIn2031":/],
    ['a byte order mark', { byteOrderMark: true }, /^\[/],
    ['escaped slashes', { escapedSlashes: true }, /^\[/],
  ])('%s', async (_what, dialect, expected) => {
    const { session } = await start(dialect);
    const response = await get(session, '/syncpoint/syncpoints.svc/');
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes.subarray(0, 3).equals(Buffer.from('\uFEFF'))).toBe(dialect.byteOrderMark === true);
    expect(bytes.toString('utf8').replace(/^\uFEFF/, '')).toMatch(expected);
  });

  test.each<[Dialect['fileTimes'], string]>([
    ['iso-7', '2016-09-12T06:44:31.9000007Z'],
    ['iso-3', '2016-09-12T06:44:31.900Z'],
    ['iso-0', '2016-09-12T06:44:31Z'],
    ['iso-7-no-zone', '2016-09-12T06:44:31.9000007'],
    ['wcf', '\\/Date(1473662671900)\\/'],
    ['wcf-offset', '\\/Date(1473662671900-0500)\\/'],
  ])('times as %s', async (fileTimes, expected) => {
    const { session, path } = await start({ fileTimes, escapedSlashes: true });
    const listing = await text(session, `/sync/folder.svc/${path}?include=active`);
    expect(listing).toContain(`"LastWriteTimeUtc":"${expected}"`);
  });
});

describe('paging', () => {
  async function page(dialect: Partial<Dialect>, query: string): Promise<number[]> {
    const { session, path } = await start(dialect, 5);
    const listing = await text(session, `/sync/folder_files.svc/${path}/files?include=active${query}`);
    return (JSON.parse(listing) as { FileId: number }[]).map((file) => file.FileId - 264_000_002);
  }
  test.each<[Partial<Dialect>, string, number[]]>([
    [{}, '', [0, 1, 2, 3, 4]],
    [{}, '&limit=2', [0, 1]],
    [{}, '&limit=2&offset=264000003', [2, 3]],
    [{ paging: 'inclusive' }, '&limit=2&offset=264000003', [1, 2]],
    [{ paging: 'ignored' }, '&limit=2&offset=264000003', [0, 1, 2, 3, 4]],
    [{ order: 'id-descending' }, '&limit=2&offset=264000003', [0]],
    [{ pageLimitDefault: 3 }, '', [0, 1, 2]],
  ])('%o %s', async (dialect, query, expected) => {
    expect(await page(dialect, query)).toEqual(expected);
  });
});

describe('refusals', () => {
  test.each<[Partial<Dialect>, string, string]>([
    [{}, 'Invalid Folder ID', '{"StatusCode":400,"StatusDescription":"Invalid Folder ID"}'],
    [{ errors: 'text' }, 'Bad Request', 'Invalid Folder ID'],
    [{ errors: 'reason-only' }, 'Invalid Folder ID', ''],
    [
      { errors: 'fault' },
      'Bad Request',
      '{"fault":{"faultstring":"Invalid Folder ID","detail":{"errorcode":"refused"}}}',
    ],
  ])('%o', async (dialect, reason, body) => {
    const { session, id } = await start(dialect);
    const response = await get(session, `/sync/folder.svc/${id}/folder/1?include=active`);
    expect([response.status, response.statusText, await response.text()]).toEqual([400, reason, body]);
  });

  test('an expired token is 401, or a 403 that says just Forbidden', async () => {
    for (const [expired, status, reason] of [
      ['401', 401, 'Not Authorized'],
      ['bare-403', 403, 'Forbidden'],
    ] as const) {
      const { session } = await start({ expired });
      session.emulator.expireTokens();
      const response = await get(session, '/syncpoint/syncpoints.svc/');
      expect([response.status, response.statusText]).toEqual([status, reason]);
    }
  });
});

test('Folders GET is an array of subfolders or the folder itself', async () => {
  const array = await start({});
  expect(JSON.parse(await text(array.session, `/sync/folder_folders.svc/${array.path}/folders`))).toMatchObject([
    { Name: 'sub' },
  ]);
  const object = await start({ foldersReply: 'object' });
  const reply = JSON.parse(await text(object.session, `/sync/folder_folders.svc/${object.path}/folders`)) as unknown;
  expect(reply).toMatchObject({ VirtualPath: '\\', Files: [{}, {}, {}], Folders: [{ Name: 'sub' }] });
});

test('large listings come without a length, small ones with it, or as the dialect says', async () => {
  const length = async (dialect: Partial<Dialect>, files: number): Promise<boolean> => {
    const { session, path } = await start(dialect, files);
    const response = await get(session, `/sync/folder.svc/${path}?include=active`);
    const listed = (JSON.parse(await response.text()) as { Files: unknown[] }).Files.length;
    expect(listed).toBe(files);
    return response.headers.has('content-length');
  };
  expect(await length({}, 3)).toBe(true);
  expect(await length({}, 1000)).toBe(false);
  expect(await length({ transfer: 'length' }, 1000)).toBe(true);
  expect(await length({ transfer: 'chunked' }, 3)).toBe(false);
});
