// The gateway's changing calls as the documents have them, against both stores: folders made, files and folders removed and moved.
import { afterEach, describe, expect, test } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { getJson } from './client.ts';
import { fileNamed, listed, Services, storeKinds, textOf, tree } from './stores.ts';
import type { Service } from './stores.ts';
import { call, sha256, told, upload } from './upload-client.ts';

const services = new Services();
afterEach(() => services.stop());

/** A service holding `d/in` and `a`. */
async function filled(kind: 'memory' | 'directory', dialect: Partial<Dialect> = {}): Promise<Service> {
  const service = await services.start(kind, { dialect });
  await service.store.createFolder(service.syncpointId, service.rootFolderId, 'd');
  await upload(service, '\\d\\in', 'inner');
  await upload(service, '\\a', 'outer');
  return service;
}

async function folderNamed(service: Service, name: string): Promise<number> {
  const { folders } = await listed(service.store, service.syncpointId, service.rootFolderId);
  return folders.find((folder) => folder.name === name)?.id ?? 0;
}

function makeFolders(service: Service, names: readonly string[], folderId = service.rootFolderId): Promise<Response> {
  const path = `/sync/folder_folders.svc/${service.syncpointId}/folder/${folderId}/folders`;
  return call(
    service.session,
    'POST',
    path,
    names.map((Name) => ({ Name, Status: 1 })),
  );
}

async function lastEvent({ store }: Service): Promise<number | undefined> {
  return (await store.syncpoints())[0]?.lastEventId;
}

/** The file as section 14 sends it in a PUT. */
async function moveFile(service: Service, name: string, changes: Record<string, unknown>): Promise<Response> {
  const { id, folderId, lengthBytes, versionId } = await fileNamed(service, name);
  return call(service.session, 'PUT', `/sync/file.svc/${service.syncpointId}/file`, {
    SyncpointId: service.syncpointId,
    FileId: id,
    Filename: name,
    Length: lengthBytes,
    LatestVersionId: versionId,
    FolderId: folderId,
    Status: 6,
    ...changes,
  });
}

async function moveFolder(service: Service, name: string, changes: Record<string, unknown>): Promise<Response> {
  return call(service.session, 'PUT', `/sync/folder.svc/${service.syncpointId}/folder`, {
    SyncpointId: service.syncpointId,
    FolderId: await folderNamed(service, name),
    VirtualPath: `\\${name}\\`,
    Name: name,
    Status: 6,
    Files: [],
    Folders: [],
    ...changes,
  });
}

describe.each(storeKinds)('%s store', (kind) => {
  describe('Folders POST', () => {
    test('makes up to twenty folders and tells them; each change moves LastEvent', async () => {
      const service = await filled(kind);
      const before = (await lastEvent(service)) ?? 0;
      const names = Array.from({ length: 20 }, (_, index) => `f ${index}`);
      const reply = (await (await makeFolders(service, names)).json()) as { FolderId: number }[];
      expect(reply).toHaveLength(20);
      expect(reply[0]).toEqual({
        SyncpointId: service.syncpointId,
        FolderId: expect.any(Number) as number,
        VirtualPath: '\\f 0\\',
        Name: 'f 0',
        Status: 1,
        Files: [],
        Folders: [],
        ParentFolderId: service.rootFolderId,
      });
      expect((await lastEvent(service)) ?? 0).toBeGreaterThan(before);
      const again = await service.restart();
      const { folders } = await listed(again.store, again.syncpointId, again.rootFolderId);
      expect(new Set(folders.map(({ id }) => id))).toEqual(
        new Set([await folderNamed(again, 'd'), ...reply.map(({ FolderId }) => FolderId)]),
      );
    });

    test.each<[string, unknown, string]>([
      ['nothing', [], 'Bad Request'],
      ['no array', { Name: 'x', Status: 1 }, 'Bad Request'],
      ['too many', Array.from({ length: 21 }, (_, n) => ({ Name: `${n}`, Status: 1 })), 'Max Limit Is 20'],
      ['different statuses', [1, 4].map((Status) => ({ Name: 'x', Status })), 'Different Statuses Are Not Allowed'],
      ['another status', [{ Name: 'x', Status: 2 }], 'Invalid Status'],
      ['no status', [{ Name: 'x' }], 'Invalid Status'],
      ['an empty name', [{ Name: ' ', Status: 1 }], 'Empty Folder Names Not Allowed'],
      ['a bad name', [{ Name: 'a/b', Status: 1 }], 'Invalid Folder Name'],
      [
        'a taken name',
        [
          { Name: 'new', Status: 1 },
          { Name: 'd', Status: 1 },
        ],
        'Folder With The Same Name Already Exists',
      ],
      ['a file’s name', [{ Name: 'a', Status: 1 }], 'Folder With The Same Name Already Exists'],
      ['one name twice', [1, 1].map((Status) => ({ Name: 'x', Status })), 'Folder With The Same Name Already Exists'],
    ])('%s is refused and makes nothing', async (_what, body, text) => {
      const service = await filled(kind);
      const path = `/sync/folder_folders.svc/${service.syncpointId}/folder/${service.rootFolderId}/folders`;
      expect(await told(call(service.session, 'POST', path, body))).toBe(`400 ${text}`);
      expect(Object.keys(await tree(service))).toEqual(['a', 'd/', 'd/in']);
    });

    test('by path, with what is missing on the way', async () => {
      const service = await filled(kind);
      const { syncpointId: SyncpointId, session } = service;
      const path = `/sync/folders.svc/${SyncpointId}/folders`;
      const body = [{ SyncpointId, VirtualPath: '\\d\\x\\y\\', Name: 'ignored', Status: 1 }];
      expect(await (await call(session, 'POST', path, body)).json()).toMatchObject([
        { Name: 'y', VirtualPath: '\\d\\x\\y\\' },
      ]);
      expect(await told(call(session, 'POST', path, body))).toBe('400 Folder With The Same Name Already Exists');
      expect(await told(call(session, 'POST', path, [{ ...body[0], SyncpointId: 1 }]))).toBe(
        '400 SyncpointId Does Not Match',
      );
      expect(Object.keys(await tree(service))).toEqual(['a', 'd/', 'd/in', 'd/x/', 'd/x/y/']);
    });
  });

  describe('File DELETE', () => {
    const remove = ({ session, syncpointId }: Service, versionId: number, query = ''): Promise<string> =>
      told(call(session, 'DELETE', `/sync/file.svc/${syncpointId}/file/${versionId}${query}`));

    test('puts the file into the trash, where listings that ask show it, also after a restart', async () => {
      const service = await filled(kind);
      const { id, versionId } = await fileNamed(service, 'a');
      const before = (await lastEvent(service)) ?? 0;
      expect(await remove(service, versionId)).toBe('200 OK');
      expect((await lastEvent(service)) ?? 0).toBeGreaterThan(before);
      const again = await service.restart();
      expect(Object.keys(await tree(again))).toEqual(['d/', 'd/in']);
      const path = `/sync/folder.svc/${again.syncpointId}/folder/${again.rootFolderId}?include=active,deleted`;
      expect(await getJson(again.session, path)).toMatchObject({
        Files: [{ FileId: id, Status: 3, LatestVersionId: versionId, Filename: 'a', Length: 5 }],
      });
      expect(await remove(again, versionId)).toBe('400 File Already Deleted');
    });

    test('is permanent in a second step only', async () => {
      const service = await filled(kind);
      const { versionId } = await fileNamed(service, 'a');
      expect(await remove(service, versionId, '?modifier=permanently')).toBe('400 Purging Active File Not Allowed');
      expect(await remove(service, versionId, '?modifier=no')).toBe('400 Bad Request');
      await remove(service, versionId);
      expect(await remove(service, versionId, '?modifier=permanently')).toBe('200 OK');
      expect(await remove(service, versionId, '?modifier=permanently')).toBe('400 Invalid Version ID');
    });

    test('wants the latest version id, not the file’s', async () => {
      const service = await filled(kind);
      const { id, versionId } = await fileNamed(service, 'a');
      expect(await remove(service, id)).toBe('400 Invalid Version ID');
      await upload(service, 'a', 'newer');
      expect(await remove(service, versionId)).toBe('400 Invalid Version ID');
      const other = await service.restart({ dialect: { staleVersionDelete: 'deletes' } });
      expect(await remove(other, versionId)).toBe('200 OK');
      expect(Object.keys(await tree(other))).toEqual(['d/', 'd/in']);
    });

    test('an id given to a removed file is never another’s', async () => {
      const service = await filled(kind);
      const first = await fileNamed(service, 'a');
      await remove(service, first.versionId);
      await upload(service, 'b', 'another');
      const second = await fileNamed(service, 'b');
      expect(second.id).not.toBe(first.id);
      expect(second.versionId).not.toBe(first.versionId);
    });

    test('many at once by path', async () => {
      const service = await filled(kind);
      const { syncpointId: SyncpointId, session } = service;
      const body = [
        { SyncpointId, VirtualPath: '\\d\\', Filename: 'in', Status: 3 },
        { SyncpointId, VirtualPath: '\\', Filename: 'a', Status: 3 },
      ];
      expect(await told(call(session, 'DELETE', `/sync/files.svc/${SyncpointId}/files`, body))).toBe('200 OK');
      expect(Object.keys(await tree(service))).toEqual(['d/']);
    });
  });

  describe('Folder DELETE', () => {
    const remove = ({ session, syncpointId }: Service, folderId: number, query = ''): Promise<string> =>
      told(call(session, 'DELETE', `/sync/folder.svc/${syncpointId}/folder/${folderId}${query}`));

    test('takes all it holds; purging is the second step', async () => {
      const service = await filled(kind);
      const id = await folderNamed(service, 'd');
      expect(await remove(service, id, '?modifier=permanently')).toBe('400 Purging Active Folder Not Allowed');
      expect(await remove(service, id)).toBe('200 OK');
      const again = await service.restart();
      expect(Object.keys(await tree(again))).toEqual(['a']);
      const path = `/sync/folder_folders.svc/${again.syncpointId}/folder/${again.rootFolderId}/folders`;
      expect(await getJson(again.session, `${path}?include=deleted`)).toMatchObject([{ FolderId: id, Status: 4 }]);
      expect(await remove(again, id)).toBe('400 Folder Already Deleted');
      expect(await remove(again, id, '?modifier=permanently')).toBe('200 OK');
      expect(await remove(again, id)).toBe('400 Invalid Folder ID');
    });

    test('the root stays', async () => {
      const service = await filled(kind);
      expect(await remove(service, service.rootFolderId)).toBe('400 Invalid Folder ID');
    });

    test('many at once', async () => {
      const service = await filled(kind);
      await makeFolders(service, ['e']);
      const body = [await folderNamed(service, 'd'), await folderNamed(service, 'e')].map((FolderId) => ({
        FolderId,
        Status: 4,
      }));
      const path = `/sync/folder_folders.svc/${service.syncpointId}/folder/${service.rootFolderId}/folders`;
      expect(await told(call(service.session, 'DELETE', path, body))).toBe('200 OK');
      expect(Object.keys(await tree(service))).toEqual(['a']);
    });
  });

  describe('PUT with Status 6', () => {
    test('renames and moves a file; ids, version and times stay', async () => {
      const service = await filled(kind);
      const before = await fileNamed(service, 'a');
      const folderId = await folderNamed(service, 'd');
      const reply = await moveFile(service, 'a', { Filename: 'b', FolderId: folderId });
      expect([reply.status, await reply.json()]).toMatchObject([200, { FileId: before.id, Filename: 'b' }]);
      const again = await service.restart();
      expect(await tree(again)).toEqual({ 'd/': '', 'd/b': 'outer', 'd/in': 'inner' });
      const after = (await listed(again.store, again.syncpointId, folderId)).files.find(({ name }) => name === 'b');
      expect(after).toEqual({ ...before, name: 'b', folderId });
      // And back, so that the id lies in a range of neither folder's own.
      await again.store.moveFile(again.syncpointId, before.id, again.rootFolderId, 'c');
      expect(await (await again.restart()).store.file(again.syncpointId, before.id)).toEqual({ ...before, name: 'c' });
    });

    test('renames and moves a folder with all it holds', async () => {
      const service = await filled(kind);
      await makeFolders(service, ['e']);
      const id = await folderNamed(service, 'd');
      const target = await folderNamed(service, 'e');
      const inner = (await listed(service.store, service.syncpointId, id)).files;
      expect((await moveFolder(service, 'd', { Name: 'x', ParentFolderId: target })).status).toBe(200);
      const again = await service.restart();
      expect(await tree(again)).toEqual({ a: 'outer', 'e/': '', 'e/x/': '', 'e/x/in': 'inner' });
      expect(await again.store.folder(again.syncpointId, id)).toMatchObject({
        virtualPath: '\\e\\x\\',
        parentId: target,
      });
      expect((await listed(again.store, again.syncpointId, id)).files).toEqual(inner);
      expect(await told(moveFolder(again, 'e', { ParentFolderId: id }))).toBe('400 Invalid Parent Folder Id');
      expect(await told(moveFolder(again, 'e', { ParentFolderId: target }))).toBe('400 Invalid Parent Folder Id');
    });

    test('a rename to the same name, or to another case of it, is one', async () => {
      const service = await filled(kind, dialects['ignores-case']);
      expect((await moveFile(service, 'a', {})).status).toBe(200);
      expect((await moveFile(service, 'a', { Filename: 'A' })).status).toBe(200);
      expect((await moveFolder(service, 'd', { Name: 'D' })).status).toBe(200);
      expect(Object.keys(await tree(service))).toEqual(['A', 'D/', 'D/in']);
    });

    test.each<[string, Record<string, unknown>, string]>([
      ['FolderId 0', { FolderId: 0 }, '400 Invalid Folder ID'],
      ['no FolderId', { FolderId: undefined }, '400 Bad Request'],
      ['no LatestVersionId', { LatestVersionId: undefined }, '400 Bad Request'],
      ['another Status', { Status: 1 }, '400 Invalid Status'],
      ['another syncpoint', { SyncpointId: 1 }, '400 SyncpointId Does Not Match'],
      ['an unknown file', { FileId: 1 }, '404 File Not Found'],
      ['a bad name', { Filename: 'x<y' }, '400 Invalid File Name'],
      ['a folder’s name', { Filename: 'd' }, '400 Folder With The Same Name Already Exists'],
    ])('%s is refused', async (_what, changes, expected) => {
      const service = await filled(kind);
      expect(await told(moveFile(service, 'a', changes))).toBe(expected);
      expect(Object.keys(await tree(service))).toEqual(['a', 'd/', 'd/in']);
    });

    test('onto a taken name: refused, or under another one', async () => {
      const service = await filled(kind);
      await upload(service, 'b.txt', 'taken');
      expect(await told(moveFile(service, 'a', { Filename: 'b.txt' }))).toBe(
        '400 File With The Same Name Already Exists',
      );
      const other = await service.restart({ dialect: dialects['files-move-only'] });
      expect(await (await moveFile(other, 'a', { Filename: 'b.txt' })).json()).toMatchObject({ Filename: 'b (1).txt' });
      expect(await tree(other)).toMatchObject({ 'b (1).txt': 'outer', 'b.txt': 'taken' });
    });
  });

  test('older versions survive renames, and end with a purge', async () => {
    const service = await filled(kind);
    const first = await fileNamed(service, 'a');
    await upload(service, 'a', 'newer');
    await moveFile(service, 'a', { Filename: 'b' });
    const second = await fileNamed(service, 'b');
    expect(await textOf(service.store, second, first.versionId)).toBe('outer');
    await service.store.removeFile(service.syncpointId, second.id);
    expect(await textOf(service.store, second)).toBe('newer');
    await service.store.purge(service.syncpointId, second.id);
    for (const { versionId } of [first, second]) {
      expect(await service.store.open(service.syncpointId, versionId)).toBeUndefined();
    }
  });

  test('Hash is told where asked for', async () => {
    const service = await filled(kind);
    const { id } = await fileNamed(service, 'a');
    const path = `/sync/file.svc/${service.syncpointId}/file/${id}`;
    const told = (await getJson(service.session, `${path}?include=hash`)) as { Hash: string };
    expect(told.Hash).toBe(sha256('outer'));
    expect(await getJson(service.session, path)).not.toHaveProperty('Hash');
    const files = `/sync/folder_files.svc/${service.syncpointId}/folder/${service.rootFolderId}/files`;
    expect(await getJson(service.session, `${files}?include=active,hash`)).toMatchObject([{ Hash: told.Hash }]);
  });
});

describe('permissions', () => {
  test.each([2, 3] as const)('permission %i reads only', async (permission) => {
    const service = await services.start('memory', {}, { permission });
    const text = '403 Syncpoint Shared With Reader Permission';
    expect(await told(makeFolders(service, ['x']))).toBe(text);
    const { syncpointId, rootFolderId, session } = service;
    expect(await told(call(session, 'DELETE', `/sync/folder.svc/${syncpointId}/folder/${rootFolderId}`))).toBe(text);
    expect(await told(call(session, 'DELETE', `/sync/file.svc/${syncpointId}/file/5`))).toBe(text);
    expect(await told(call(session, 'PUT', `/sync/file.svc/${syncpointId}/file`, {}))).toBe(text);
    expect(await told(call(session, 'PUT', `/sync/folder.svc/${syncpointId}/folder`, {}))).toBe(text);
  });

  test('a private syncpoint takes no folders; what another owns is not purged', async () => {
    const hidden = await services.start('memory', {}, { type: 7 });
    expect(await told(makeFolders(hidden, ['x']))).toBe('403 Creating Directory In Private Folder Not Allowed');
    const owner = { id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477', emailAddress: 'a@b.c', firstName: 'A', lastName: 'B' };
    const service = await services.start('memory', {}, { owner });
    await makeFolders(service, ['x']);
    const path = `/sync/folder.svc/${service.syncpointId}/folder/${await folderNamed(service, 'x')}`;
    expect(await told(call(service.session, 'DELETE', path))).toBe('200 OK');
    expect(await told(call(service.session, 'DELETE', `${path}?modifier=permanently`))).toBe('403 Not An Owner');
  });
});

describe('dialects', () => {
  test.each<[Partial<Dialect>, string, readonly string[]]>([
    [{}, '400 Folder With The Same Name Already Exists', []],
    [{ takenFolderName: '400-after-some' }, '400 Folder With The Same Name Already Exists', ['new 1']],
    [{ takenFolderName: 'returned' }, '200 new 1,d,new 2', ['new 1', 'new 2']],
    [{ takenFolderName: 'left-out' }, '200 new 1,new 2', ['new 1', 'new 2']],
  ])('%o: a taken name among new ones', async (dialect, expected, made) => {
    const service = await filled('memory', dialect);
    const response = await makeFolders(service, ['new 1', 'd', 'new 2']);
    const reply = (await response.json()) as { Name: string }[] | { StatusDescription: string };
    const text = Array.isArray(reply) ? reply.map(({ Name }) => Name).join(',') : reply.StatusDescription;
    expect(`${response.status} ${text}`).toBe(expected);
    const { folders } = await listed(service.store, service.syncpointId, service.rootFolderId);
    expect(folders.map(({ name }) => name).filter((name) => name !== 'd')).toEqual(made);
  });

  test('VirtualPath with slashes', async () => {
    const service = await filled('memory', { createdPath: 'slash' });
    expect(await (await makeFolders(service, ['x'])).json()).toMatchObject([{ VirtualPath: '/x/' }]);
  });

  test.each<[Dialect['fileMove'], number, string, string]>([
    ['404', 6, '404 Not Found', 'a'],
    ['405', 6, '405 Method Not Allowed', 'a'],
    ['drive-only-400', 6, '400 Invalid Syncpoint Type', 'a'],
    ['drive-only-403', 6, '403 Folder Move Is Forbidden', 'a'],
    ['drive-only-403', 8, '200', 'b'],
    ['ignored', 6, '200', 'a'],
  ])('a move where it is %s in a syncpoint of type %i', async (behaviour, type, expected, name) => {
    const service = await services.start(
      'memory',
      { dialect: { fileMove: behaviour, folderMove: behaviour } },
      { type },
    );
    await upload(service, 'a', 'x');
    await makeFolders(service, ['d']);
    expect(await told(moveFile(service, 'a', { Filename: 'b' }))).toContain(expected);
    expect(await told(moveFolder(service, 'd', { Name: 'e' }))).toContain(expected);
    expect(Object.keys(await tree(service))).toEqual([name, name === 'a' ? 'd/' : 'e/']);
  });

  test.each<[Dialect['hash'], RegExp]>([
    ['upper-hex', /^[0-9A-F]{64}$/],
    ['base64', /^[\w+/]{43}=$/],
  ])('Hash as %s', async (hash, form) => {
    const service = await filled('memory', { hash });
    const { id } = await fileNamed(service, 'a');
    const path = `/sync/file.svc/${service.syncpointId}/file/${id}?include=hash`;
    expect(((await getJson(service.session, path)) as { Hash: string }).Hash).toMatch(form);
  });

  test('ids past 2^53 arrive digit by digit', async () => {
    const service = await filled('memory', { idBase: 2n ** 60n });
    const { id, folderId, versionId } = await fileNamed(service, 'a');
    const body = JSON.stringify({ Filename: 'b 1234567890123456789', Status: 6, SyncpointId: service.syncpointId });
    const ids = { FileId: id, FolderId: folderId, LatestVersionId: versionId };
    const members = Object.entries(ids).map(([key, value]) => `,"${key}":${2n ** 60n + BigInt(value)}`);
    const response = await fetch(`${service.emulator.gatewayUrl}/sync/file.svc/${service.syncpointId}/file/`, {
      method: 'PUT',
      headers: service.session.headers,
      body: body.replace('}', `${members.join('')}}`),
    });
    expect(response.status).toBe(200);
    expect(Object.keys(await tree(service))).toContain('b 1234567890123456789');
  });
});
