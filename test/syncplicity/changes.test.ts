// Calls that change folders and files at the gateway: what is sent, to the byte, what each answer means, and that nothing which
// may have been done is done again.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import type { FileId, FolderId, RemoteFile, RemoteFolder, SyncpointId, VersionId } from '../../src/remote-drive.ts';
import { UnclearError } from '../../src/syncplicity/errors.ts';
import { failure } from './failure.ts';
import { FixtureServer, reply } from './fixture-server.ts';
import type { Recorded, Route } from './fixture-server.ts';

let server: FixtureServer;
afterEach(() => server.stop());

const syncpoint = '5698124' as SyncpointId;
const root = '264841158' as FolderId;
/** Beyond what a number holds. */
const longFolder = '9439745850223001234' as FolderId;

const changes = (): Recorded[] => server.requests.filter((request) => request.path.startsWith('/sync/'));
const refusing =
  (status: number, text: string): Route =>
  (request, response) =>
    request.path.startsWith('/sync/') && reply(response, status, { StatusCode: status, StatusDescription: text });
const answering =
  (body: unknown, status = 200): Route =>
  (request, response) =>
    request.path.startsWith('/sync/') && reply(response, status, body);
/** Drops the connection once the request is there. */
const losing: Route = (request, response) => {
  if (!request.path.startsWith('/sync/')) return false;
  response.destroy();
  return true;
};

async function kindOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    (value) => value,
    (reason: unknown) => reason,
  );
  return error instanceof RemoteError ? error.kind : `resolved: ${JSON.stringify(error)}`;
}

describe('making folders', () => {
  const make = (...names: string[]): Promise<RemoteFolder[]> => server.drive().createFolders(syncpoint, root, names);
  const made = (id: unknown, name: string, path = `\\${name}\\`): unknown => ({
    SyncpointId: 5698124,
    FolderId: id,
    VirtualPath: path,
    Name: name,
    Status: 1,
    Files: [],
    Folders: [],
  });

  test('is one POST of names with equal status, in UTF-8', async () => {
    server = await FixtureServer.start(answering([made('439745850223001', '\u4e2d "x"'), made(7, 'b', '/b/')]));
    expect(await make('\u4e2d "x"', 'b')).toEqual([
      { kind: 'folder', id: '439745850223001', name: '\u4e2d "x"' },
      { kind: 'folder', id: '7', name: 'b' },
    ]);
    const [sent] = changes();
    expect(sent?.body).toBe('[{"Name":"\u4e2d \\"x\\"","Status":1},{"Name":"b","Status":1}]');
    expect([sent?.method, sent?.path]).toEqual(['POST', '/sync/folder_folders.svc/5698124/folder/264841158/folders']);
    expect(sent?.headers).toMatchObject({
      appkey: 'key-1',
      authorization: 'Bearer tok-1',
      accept: 'application/json',
      'content-type': 'application/json',
    });
  });

  test.each([
    ['one object', made(7, 'a'), ['a']],
    ['another order', [made(8, 'b'), made(7, 'a')], ['a', 'b']],
    ['fewer than asked', [made(8, 'b')], ['b']],
    ['nothing', [], []],
    ['no JSON', 'OK', []],
    ['an empty body', '', []],
    ['names without their blanks', [made(8, 'b'), made(7, 'a ')], ['a', 'b']],
    ['ids of 0', [made(0, 'a'), made(8, 'b')], ['b']],
    ['strange entries', [null, 3, made(8, 'b')], ['b']],
  ])('a reply of %s gives those it names', async (_what, body, names) => {
    server = await FixtureServer.start(answering(body, 201));
    expect((await make('a', 'b')).map((folder) => folder.name)).toEqual(names);
  });

  test('a name that matches exactly is never given to one that matches after normalising', async () => {
    server = await FixtureServer.start(answering([made(1, 'e\u0301'), made(2, '\u00e9')]));
    const both = await make('\u00e9', 'e\u0301');
    expect(both.map((folder) => [folder.name, folder.id])).toEqual([
      ['\u00e9', '2'],
      ['e\u0301', '1'],
    ]);
  });

  test.each([
    [400, 'Folder With The Same Name Already Exists', 'exists'],
    [400, 'Empty Folder Names Not Allowed', 'invalid'],
    [400, 'Invalid Folder Name', 'invalid'],
    [400, 'Invalid Folder ID', 'not-found'],
    [400, 'Invalid Parent Folder Id', 'not-found'],
    [404, 'SyncPoint Does Not Exist', 'not-found'],
    [403, 'Syncpoint Shared With Reader Permission', 'forbidden'],
    [400, 'Creating Directory In Private Folder Not Allowed', 'forbidden'],
    [403, 'Max Limit On Creation Reached', 'quota'],
    [400, 'Different Statuses Are Not Allowed', 'protocol'],
    [500, 'x', 'unavailable'],
  ])('%d %s is %s, and is not asked again', async (status, text, kind) => {
    server = await FixtureServer.start(refusing(status, text));
    expect(await kindOf(make('a'))).toBe(kind);
    expect(changes()).toHaveLength(1);
  });

  test('an error within a 200 is an error', async () => {
    server = await FixtureServer.start(answering({ StatusCode: 400, StatusDescription: 'Already Exists' }));
    expect(await kindOf(make('a'))).toBe('exists');
  });

  test.each([
    { StatusCode: 500, StatusDescription: 'Internal Server Error' },
    { fault: { faultstring: 'Unexpected EOF at target', detail: { errorcode: 'x' } } },
  ])('after %j within a 200 nobody knows, and the call is not made again', async (body) => {
    server = await FixtureServer.start(answering(body));
    expect(await failure(make('a'))).toBeInstanceOf(UnclearError);
    expect(changes()).toHaveLength(1);
    await server.stop();
    server = await FixtureServer.start(answering(body));
    const removal = server.drive().deleteFile(syncpoint, '9' as VersionId);
    expect(await failure(removal)).toBeInstanceOf(UnclearError);
  });

  test('a lost reply is unavailable, and the call is not made again', async () => {
    server = await FixtureServer.start(losing);
    expect(await kindOf(make('a'))).toBe('unavailable');
    expect(changes()).toHaveLength(1);
  });

  test('a gateway that cannot be reached is tried again: nothing was made', async () => {
    server = await FixtureServer.start();
    const drive = server.drive({ apiUrl: 'http://127.0.0.1:1' });
    expect(await kindOf(drive.createFolders(syncpoint, root, ['a']))).toBe('unavailable');
    const { byEndpoint } = drive.statistics();
    expect(byEndpoint['token POST']).toBe(4);
  });

  test('a stale token and a spent budget are got over: nothing was made by the call before', async () => {
    let refusals = 1;
    server = await FixtureServer.start(
      (request, response) =>
        request.path.startsWith('/sync/') &&
        request.headers.authorization === 'Bearer tok-1' &&
        reply(response, 401, ''),
      (request, response) => request.path.startsWith('/sync/') && refusals-- > 0 && reply(response, 429, ''),
      answering([made(7, 'a')]),
    );
    expect(await make('a')).toHaveLength(1);
    expect([changes().length, server.tokensIssued]).toEqual([3, 2]);
  });

  test('nothing asks for nothing, and more than 20 are refused before a call', async () => {
    server = await FixtureServer.start(answering([]));
    expect(await make()).toEqual([]);
    expect(await kindOf(make(...Array.from({ length: 21 }, String)))).toBe('invalid');
    expect(changes()).toHaveLength(0);
  });

  test('the call is counted in the class of its caller', async () => {
    server = await FixtureServer.start(answering([]));
    const drive = server.drive();
    await drive.createFolders(syncpoint, root, ['a'], { callClass: 'commit' });
    expect(drive.statistics().byClass.commit).toBe(1);
    expect(drive.statistics().byEndpoint['folder_folders.svc POST']).toBe(1);
  });
});

describe('removing', () => {
  const file = (): Promise<void> => server.drive().deleteFile(syncpoint, '999211663' as VersionId);
  const folder = (): Promise<void> => server.drive().deleteFolder(syncpoint, longFolder);

  test('a file goes by its version id, a folder by its own, with a content type and without a modifier', async () => {
    server = await FixtureServer.start(answering(''));
    await file();
    await folder();
    expect(
      changes().map((request) => [request.method, request.url, request.headers['content-type'], request.body]),
    ).toEqual([
      ['DELETE', '/sync/file.svc/5698124/file/999211663', 'application/json', ''],
      ['DELETE', `/sync/folder.svc/5698124/folder/${longFolder}`, 'application/json', ''],
    ]);
  });

  test('what is in the trash is purged by the same ids and the modifier', async () => {
    server = await FixtureServer.start(answering(''));
    const drive = server.drive();
    await drive.purge({ kind: 'file', syncpointId: syncpoint, versionId: '999211663' as VersionId });
    await drive.purge({ kind: 'folder', syncpointId: syncpoint, folderId: longFolder });
    expect(changes().map((request) => [request.method, request.url, request.body])).toEqual([
      ['DELETE', '/sync/file.svc/5698124/file/999211663?modifier=permanently', ''],
      ['DELETE', `/sync/folder.svc/5698124/folder/${longFolder}?modifier=permanently`, ''],
    ]);
  });

  test.each([
    [400, 'Purging Active File Not Allowed', 'conflict'],
    [404, 'Purging Active Folder Not Allowed', 'conflict'],
    [400, 'Invalid Version ID', 'resolved: undefined'],
    [404, 'File Not Found', 'resolved: undefined'],
    [404, '', 'resolved: undefined'],
    [403, 'Not An Owner', 'forbidden'],
    [403, 'User Not Authorized For Action', 'forbidden'],
    [400, 'Invalid SyncPoint ID', 'not-found'],
  ])('purging: %d %s is %s', async (status, text, kind) => {
    server = await FixtureServer.start(refusing(status, text));
    const removed = { kind: 'file', syncpointId: syncpoint, versionId: '999211663' as VersionId } as const;
    expect(await kindOf(server.drive().purge(removed))).toBe(kind);
  });

  test.each([200, 202, 204])('%d is done, whatever the body', async (status) => {
    server = await FixtureServer.start((request, response) => {
      if (!request.path.startsWith('/sync/')) return false;
      response.writeHead(status).end(status === 204 ? undefined : '<ok/>');
      return true;
    });
    await file();
    await folder();
  });

  test.each([
    '<!DOCTYPE html><title>Welcome to the\nHotel</title>',
    '\ufeff<!-- proxy --><HTML lang="en"><head><title>Welcome to the Hotel</title>',
  ])('a 200 that is a web page, %j, is nobody knows what, and not asked for again at once', async (page) => {
    server = await FixtureServer.start((request, response) => {
      if (!request.path.startsWith('/sync/')) return false;
      response.writeHead(200, { 'content-type': 'text/html' }).end(page);
      return true;
    });
    const error = await failure(file());
    expect(error).toBeInstanceOf(UnclearError);
    expect(error.message).toMatch(/file\.svc DELETE.*a web page came instead of an answer \("Welcome to the Hotel"\)/);
    expect(changes()).toHaveLength(1);
    expect(await kindOf(folder())).toBe('unavailable');
  });

  test('a 200 whose body breaks is done', async () => {
    server = await FixtureServer.start((request, response) => {
      if (!request.path.startsWith('/sync/')) return false;
      response.writeHead(200, { 'content-length': '100' });
      response.write('{');
      setImmediate(() => response.destroy());
      return true;
    });
    await file();
  });

  test.each([
    [400, 'File Already Deleted', 'resolved: undefined'],
    [404, 'File Not Found', 'resolved: undefined'],
    [404, '', 'resolved: undefined'],
    [400, 'Invalid Version ID', 'conflict'],
    [400, 'Mismatched SyncPoint ID', 'not-found'],
    [400, 'Invalid SyncPoint ID', 'not-found'],
    [403, 'User Not Authorized For Action', 'forbidden'],
    [403, 'Syncpoint Shared With Reader Permission', 'forbidden'],
  ])('of a file: %d %s is %s', async (status, text, kind) => {
    server = await FixtureServer.start(refusing(status, text));
    expect(await kindOf(file())).toBe(kind);
  });

  test.each([
    [400, 'Folder Already Deleted', 'resolved: undefined'],
    [400, 'Invalid Folder ID', 'resolved: undefined'],
    [404, 'Directory Not Found', 'resolved: undefined'],
    [404, 'SyncPoint Does Not Exist', 'not-found'],
    [403, 'Not An Owner', 'forbidden'],
    [400, 'Purging Active Folder Not Allowed', 'forbidden'],
  ])('of a folder: %d %s is %s', async (status, text, kind) => {
    server = await FixtureServer.start(refusing(status, text));
    expect(await kindOf(folder())).toBe(kind);
  });

  test('a lost reply is unavailable, and the call is not made again', async () => {
    server = await FixtureServer.start(losing);
    expect([await kindOf(file()), await kindOf(folder()), changes().length]).toEqual(['unavailable', 'unavailable', 2]);
  });
});

describe('moving', () => {
  const file: RemoteFile = {
    kind: 'file',
    id: '743320707' as FileId,
    name: 'a.zip',
    versionId: '9999211663001234567' as VersionId,
    lengthBytes: 259228,
    modified: { seconds: 1_473_662_671, nanoseconds: 900_000_000 },
    created: { seconds: 1_473_662_671, nanoseconds: 900_000_000 },
  };
  const folder: RemoteFolder = { kind: 'folder', id: '439745850223001' as FolderId, name: '2017' };
  const placedFolder = { ...folder, folderNames: ['2017'] };
  const target = { folderId: root, name: 'b "\u00e9".zip' };
  const moved = { FileId: 743320707, Filename: target.name, Status: 6 };

  test('a file is a PUT of the whole object, its new name, its folder and status 6', async () => {
    server = await FixtureServer.start(answering(moved));
    expect(await server.drive().moveFile(syncpoint, file, longFolder, target)).toBe('done');
    const [sent] = changes();
    expect([sent?.method, sent?.url]).toEqual(['PUT', '/sync/file.svc/5698124/file']);
    expect(sent?.body).toBe(
      '{"SyncpointId":5698124,"FileId":743320707,"Filename":"b \\"\u00e9\\".zip","Length":259228,' +
        '"CreationTimeUtc":"2016-09-12T06:44:31.9000000Z","LastWriteTimeUtc":"2016-09-12T06:44:31.9000000Z",' +
        '"Status":6,"LatestVersionId":9999211663001234567,"Stored":true,"FolderId":264841158}',
    );
  });

  test('a folder is a PUT of its whole object with the new name and parent', async () => {
    server = await FixtureServer.start(answering([{ FolderId: 1, Name: 'x' }]));
    const placed = { ...folder, folderNames: ['a "b"', '2017'] };
    expect(await server.drive().moveFolder(syncpoint, placed, root, { folderId: longFolder, name: 'x' })).toBe('done');
    const [sent] = changes();
    expect(changes()).toHaveLength(1);
    expect([sent?.method, sent?.url]).toEqual(['PUT', '/sync/folder.svc/5698124/folder']);
    expect(sent?.body).toBe(
      '{"SyncpointId":5698124,"FolderId":439745850223001,"VirtualPath":"\\\\a \\"b\\"\\\\2017\\\\","Name":"x",' +
        `"Status":6,"Files":[],"Folders":[],"ParentFolderId":${longFolder}}`,
    );
  });

  test('the path of a folder that is not told is asked for', async () => {
    server = await FixtureServer.start(
      (request, response) =>
        request.method === 'GET' &&
        request.path.startsWith('/sync/') &&
        reply(response, 200, { SyncpointId: 5698124, FolderId: 439745850223001, VirtualPath: '\\up\\2017\\' }),
      answering({ FolderId: 1, Name: target.name }),
    );
    expect(await server.drive().moveFolder(syncpoint, folder, root, target)).toBe('done');
    const [asked, sent] = changes();
    expect(asked?.url).toBe('/sync/folder.svc/5698124/folder/439745850223001');
    expect(sent?.body).toContain('"VirtualPath":"\\\\up\\\\2017\\\\",');
  });

  test('a folder id of 0 is never sent', async () => {
    server = await FixtureServer.start(answering(moved));
    const drive = server.drive();
    const nowhere = { folderId: '0' as FolderId, name: 'x' };
    expect(await kindOf(drive.moveFile(syncpoint, file, root, nowhere))).toBe('invalid');
    expect(await kindOf(drive.moveFolder(syncpoint, placedFolder, root, nowhere))).toBe('invalid');
    expect(changes()).toHaveLength(0);
  });

  test.each([
    ['', 200],
    ['OK', 200],
    [{}, 200],
    [{ Filename: 'a.zip' }, 200],
    ['', 204],
  ])('the reply %j is unclear', async (body, status) => {
    server = await FixtureServer.start(answering(body, status));
    expect(await server.drive().moveFile(syncpoint, file, root, target)).toBe('unclear');
  });

  test.each([500, 503])('%d is unclear, and so is a lost reply; neither is asked again', async (status) => {
    server = await FixtureServer.start(refusing(status, 'x'));
    const drive = server.drive();
    expect(await drive.moveFile(syncpoint, file, root, target)).toBe('unclear');
    server.routes.splice(0, 1, losing);
    expect(await drive.moveFolder(syncpoint, placedFolder, root, target)).toBe('unclear');
    expect([changes().length, drive.moveSupport(syncpoint, 'file')]).toEqual([2, 'unknown']);
  });

  test('a file is tried at the address with a trailing slash too, which is then remembered', async () => {
    server = await FixtureServer.start(
      (request, response) => request.path === '/sync/file.svc/5698124/file' && reply(response, 404, '<html>'),
      answering(moved),
    );
    const drive = server.drive();
    expect(await drive.moveFile(syncpoint, file, root, target)).toBe('done');
    expect(await drive.moveFile(syncpoint, file, root, target)).toBe('done');
    expect(changes().map((request) => request.url)).toEqual([
      '/sync/file.svc/5698124/file',
      '/sync/file.svc/5698124/file/',
      '/sync/file.svc/5698124/file/',
    ]);
  });

  test.each([
    [404, '', true],
    [405, 'Method Not Allowed', true],
    [400, 'Invalid Syncpoint Type', true],
    [403, 'Folder Move Is Forbidden', true],
    [403, 'SyncplicityDrive Feature Is Disabled', true],
    [403, 'User Not Authorized For Action', false],
    [403, 'Forbidden', false],
    [400, 'Bad Request', false],
  ])('%d %s twice is unsupported; for good: %s', async (status, text, isBelieved) => {
    server = await FixtureServer.start(refusing(status, text));
    const drive = server.drive();
    expect(await drive.moveFolder(syncpoint, placedFolder, root, target)).toBe('unsupported');
    expect(drive.moveSupport(syncpoint, 'folder')).toBe('unknown');
    expect(await drive.moveFolder(syncpoint, placedFolder, root, target)).toBe('unsupported');
    expect(drive.moveSupport(syncpoint, 'folder')).toBe(isBelieved ? 'no' : 'unknown');
    const before = changes().length;
    expect(await drive.moveFolder(syncpoint, placedFolder, root, target)).toBe('unsupported');
    expect(changes().length > before).toBe(!isBelieved);
    // Neither files nor other syncpoints are concerned.
    expect(drive.moveSupport(syncpoint, 'file')).toBe('unknown');
    expect(drive.moveSupport('1' as SyncpointId, 'folder')).toBe('unknown');
  });

  test.each([
    [400, 'File With The Same Name Already Exists', 'exists'],
    [404, 'File Not Found', 'not-found'],
    [404, 'SyncPoint Does Not Exist', 'not-found'],
    [403, 'Syncpoint Shared With Reader Permission', 'forbidden'],
    [400, 'Invalid File Name', 'invalid'],
    [409, 'Conflict', 'conflict'],
  ])('%d %s is about this file: %s', async (status, text, kind) => {
    server = await FixtureServer.start(refusing(status, text));
    const drive = server.drive();
    for (let tried = 0; tried < 2; tried += 1) {
      expect(await kindOf(drive.moveFile(syncpoint, file, root, target))).toBe(kind);
    }
    expect(drive.moveSupport(syncpoint, 'file')).toBe('unknown');
  });

  test('what listings show decides: seen once is yes, ignored twice is no', async () => {
    server = await FixtureServer.start(answering(moved));
    const drive = server.drive();
    await drive.moveFile(syncpoint, file, root, target);
    expect(drive.moveSupport(syncpoint, 'file')).toBe('unknown');
    drive.moveSeen(syncpoint, 'file', true);
    expect(drive.moveSupport(syncpoint, 'file')).toBe('yes');
    drive.moveSeen(syncpoint, 'file', false);
    expect(drive.moveSupport(syncpoint, 'file')).toBe('unknown');
    drive.moveSeen(syncpoint, 'file', false);
    expect(drive.moveSupport(syncpoint, 'file')).toBe('no');
    expect(await drive.moveFile(syncpoint, file, root, target)).toBe('unsupported');
    expect(drive.statistics().capabilities.moves).toEqual({ '5698124': { file: 'no', folder: 'unknown' } });
    expect(changes()).toHaveLength(1);
  });

  test('moves that nobody answered and that came to nothing say nothing where moves work, and little elsewhere', async () => {
    server = await FixtureServer.start((request, response) =>
      request.path === '/sync/file.svc/1/file' ? reply(response, 200, moved) : losing(request, response),
    );
    const drive = server.drive({ budget: { perSecond: 0 } });
    const move = (at: SyncpointId): Promise<unknown> => drive.moveFile(at, file, root, target);
    const working = '1' as SyncpointId;
    await move(working);
    drive.moveSeen(working, 'file', true);
    server.routes.unshift(losing);
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      for (const at of [working, working, syncpoint, syncpoint]) {
        expect(await move(at)).toBe('unclear');
        drive.moveSeen(at, 'file', false);
      }
      expect(drive.moveSupport(working, 'file')).toBe('yes');
      expect(drive.moveSupport(syncpoint, 'file')).toBe('no');
      vi.advanceTimersByTime(600_000);
      expect(drive.moveSupport(syncpoint, 'file')).toBe('unknown');
    } finally {
      vi.useRealTimers();
    }
  });
});

test('that moves do not work is believed for a day', async () => {
  server = await FixtureServer.start();
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const drive = server.drive();
    drive.moveSeen(syncpoint, 'file', false);
    drive.moveSeen(syncpoint, 'file', false);
    vi.advanceTimersByTime(86_399_000);
    expect(drive.moveSupport(syncpoint, 'file')).toBe('no');
    vi.advanceTimersByTime(1_000);
    expect(drive.moveSupport(syncpoint, 'file')).toBe('unknown');
  } finally {
    vi.useRealTimers();
  }
});

describe('the hash of a file', () => {
  const hex = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  test.each([
    [hex, hex],
    [hex.toUpperCase(), hex],
    [Buffer.from(hex, 'hex').toString('base64'), hex],
    ['', undefined],
    [null, undefined],
    ['d41d8cd98f00b204e9800998ecf8427e', undefined],
  ])('%j is %j', async (hash, expected) => {
    server = await FixtureServer.start(
      answering([{ FileId: 1, Filename: 'a', Length: 0, LatestVersionId: 2, Hash: hash }]),
    );
    expect(await server.drive().contentHash(syncpoint, '1' as FileId)).toBe(expected);
    expect(changes()[0]?.url).toBe('/sync/file.svc/5698124/file/1?include=hash');
  });

  test('of a file that is gone is not-found', async () => {
    server = await FixtureServer.start(refusing(404, 'File Not Found'));
    expect(await kindOf(server.drive().contentHash(syncpoint, '1' as FileId))).toBe('not-found');
  });
});
