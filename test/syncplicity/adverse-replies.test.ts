// Replies nobody documents but somebody may send: none may make a full folder look empty, a folder contain itself, a file seem to
// have no bytes, or a secret appear in a message.
import { afterEach, expect, test } from 'vitest';
import type { ServerResponse } from 'node:http';
import type { FolderId, RemoteEntry, SyncpointId } from '../../src/remote-drive.ts';
import type { SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { readFile, readFolder, readVault } from '../../src/syncplicity/wire/entities.ts';
import { failure } from './failure.ts';
import { FixtureServer, reply } from './fixture-server.ts';
import type { Recorded, Route } from './fixture-server.ts';

let server: FixtureServer;
afterEach(() => server.stop());

const syncpointId = '3' as SyncpointId;
const folderId = '12' as FolderId;

async function names(drive: SyncplicityDrive, id: FolderId = folderId): Promise<string[]> {
  const entries: RemoteEntry[] = [];
  for await (const batch of drive.list(syncpointId, id)) entries.push(...batch);
  return entries.map((entry) => entry.name).sort();
}

function at(path: string, answer: (request: Recorded, response: ServerResponse) => true): Route {
  return (request, response) => request.path.startsWith(path) && answer(request, response);
}

const file = (id: number, more: object = {}): object => ({
  FileId: id,
  Filename: `f${id}`,
  LatestVersionId: id + 100,
  Length: 5,
  Status: 1,
  ...more,
});
const subfolder = { FolderId: 13, Name: 'sub', Status: 1, Files: [], Folders: [] };
const self = { SyncpointId: 3, FolderId: 12, Name: '', Status: 1 };

const otherCalls = [
  at('/sync/folder_folders.svc/', (_, response) => reply(response, 200, [subfolder])),
  at('/sync/folder_files.svc/', (_, response) => reply(response, 200, [file(1)])),
];

test.each([
  ['without Files and Folders', self],
  ['with null for both', { ...self, Files: null, Folders: null }],
  ['with both empty', { ...self, Files: [], Folders: [] }],
])('a folder.svc reply of the folder alone, %s, is no empty folder', async (_, answer) => {
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_request, response) => reply(response, 200, answer)),
    ...otherCalls,
  );
  const drive = server.drive();
  expect(await names(drive)).toEqual(['f1', 'sub']);
  expect(await names(drive)).toEqual(['f1', 'sub']);
  const asked = server.count('/sync/folder.svc/');
  expect(asked).toBe(4);
  expect(await names(drive)).toEqual(['f1', 'sub']);
  expect(server.count('/sync/folder.svc/')).toBe(asked);
});

test('a folder that is filled while it is looked at twice is no proof against folder.svc', async () => {
  let asked = 0;
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) => {
      asked += 1;
      return reply(response, 200, { ...self, Files: [], Folders: asked === 1 ? [] : [subfolder] });
    }),
    at('/sync/folder_folders.svc/', (_, response) => reply(response, 200, [subfolder])),
    at('/sync/folder_files.svc/', (_, response) => reply(response, 200, [])),
  );
  const drive = server.drive();
  expect(await names(drive)).toEqual(['sub']);
  expect(await names(drive)).toEqual(['sub']);
  expect(server.count('/sync/folder_f')).toBe(2);
  expect(asked).toBe(3);
});

test('an empty folder is looked at twice only until folder.svc listed something', async () => {
  server = await FixtureServer.start(
    at('/sync/folder.svc/3/folder/12', (_, response) => reply(response, 200, { ...self, Files: [], Folders: [] })),
    at('/sync/folder.svc/3/folder/14', (_, response) =>
      reply(response, 200, { ...self, FolderId: 14, Files: [file(1)] }),
    ),
    at('/sync/folder_f', (_, response) => reply(response, 200, [])),
  );
  const drive = server.drive();
  expect(await names(drive)).toEqual([]);
  expect(server.count('/sync/folder_f')).toBe(2);
  expect(await names(drive, '14' as FolderId)).toEqual(['f1']);
  expect(await names(drive)).toEqual([]);
  expect(server.count('/sync/folder_f')).toBe(2);
});

test('an empty folder is empty where the other calls are missing', async () => {
  server = await FixtureServer.start(at('/sync/folder.svc/', (_, response) => reply(response, 200, self)));
  expect(await names(server.drive())).toEqual([]);
});

test('an empty folder is an error while the second opinion cannot be had', async () => {
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) => reply(response, 200, self)),
    at('/sync/folder_f', (_, response) => reply(response, 500, '')),
  );
  expect((await failure(names(server.drive()))).kind).toBe('unavailable');
});

test.each([
  ['folder.svc', '/sync/folder.svc/'],
  ['Folders GET', '/sync/folder_folders.svc/'],
])('an object within an array is the object, for %s', async (_, path) => {
  server = await FixtureServer.start(
    at(path, (_request, response) => reply(response, 200, [{ ...self, Files: [file(1)], Folders: [subfolder] }])),
    at('/sync/folder.svc/', (_request, response) => reply(response, 405, '')),
    at('/sync/folder_files.svc/', (_request, response) => reply(response, 200, [file(1)])),
  );
  expect(await names(server.drive())).toEqual(['f1', 'sub']);
});

test('a folder is no subfolder of its own', async () => {
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) =>
      reply(response, 200, { ...self, Files: [file(1)], Folders: [self, subfolder] }),
    ),
  );
  expect(await names(server.drive())).toEqual(['f1', 'sub']);
});

test.each([2300, 2000, 1000])('all of %i files are found where offset means a number of files', async (count) => {
  const files = Array.from({ length: count }, (_, index) => file(700_000 + index));
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) => reply(response, 405, '')),
    at('/sync/folder_folders.svc/', (_, response) => reply(response, 200, [])),
    at('/sync/folder_files.svc/', ({ query }, response) => {
      const start = Number(query.get('offset') ?? 0);
      return reply(response, 200, files.slice(start, start + Number(query.get('limit'))));
    }),
  );
  expect(await names(server.drive())).toHaveLength(count);
});

test('a number of files that is the id of none ends the listing where offset means an id', async () => {
  const files = Array.from({ length: 1000 }, (_, index) => file(700_000 + index));
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) => reply(response, 405, '')),
    at('/sync/folder_folders.svc/', (_, response) => reply(response, 200, [])),
    at('/sync/folder_files.svc/', ({ query }, response) => {
      const offset = query.get('offset');
      if (offset === null) return reply(response, 200, files);
      if (Number(offset) >= 700_000) return reply(response, 200, []);
      return reply(response, 400, { StatusCode: 400, StatusDescription: 'Invalid Offset' });
    }),
  );
  expect(await names(server.drive())).toHaveLength(1000);
});

test('files whose length nobody tells are an error, not empty files', async () => {
  const untold = file(1, { Length: undefined });
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) => reply(response, 200, { ...self, Files: [untold] })),
    at('/sync/file.svc/', (_, response) => reply(response, 200, untold)),
  );
  const error = await failure(names(server.drive()));
  expect(error.kind).toBe('protocol');
  expect(error.message).toContain('the length of any file');
});

test('a length that file.svc leaves out is 0 where it tells others', async () => {
  const untold = (id: number): object => file(id, { Length: undefined });
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) => reply(response, 200, { ...self, Files: [untold(1), untold(2)] })),
    at('/sync/file.svc/3/file/1', (_, response) => reply(response, 200, untold(1))),
    at('/sync/file.svc/3/file/2', (_, response) => reply(response, 200, file(2))),
  );
  expect(await names(server.drive())).toEqual(['f1', 'f2']);
});

test.each([
  ['Added', true],
  ['Updated', true],
  ['Removed', false],
  ['ConfirmedRemoved', false],
])('Status %s as a word: shown %j', async (status, shown) => {
  server = await FixtureServer.start();
  expect(readFile(file(1, { Status: status }), 'x') !== undefined).toBe(shown);
  expect(readFolder({ ...subfolder, Status: status }, 'x') !== undefined).toBe(shown);
});

test('one syncpoint without its array, empty entries, and ids written as decimal numbers are read', async () => {
  let answer: unknown = { Id: '5.0', Name: 'one', RootFolderId: '12.00', Permission: 1 };
  server = await FixtureServer.start(at('/syncpoint/syncpoints.svc/', (_, response) => reply(response, 200, answer)));
  const drive = server.drive();
  expect(await drive.syncpoints()).toMatchObject([{ id: '5', rootFolderId: '12' }]);
  answer = [null, answer];
  expect(await drive.syncpoints()).toMatchObject([{ id: '5' }]);
});

test.each([
  ['a form', 'access_token=very-secret&expires_in=5', 'protocol'],
  ['JSON cut short', '{"access_token":"very-secret', 'unavailable'],
  ['a token with a line break', JSON.stringify({ access_token: 'very-secret\r\nx: y' }), 'protocol'],
])('a token reply that cannot be used is never quoted: %s', async (_, body, kind) => {
  server = await FixtureServer.start(at('/oauth/token', (_request, response) => reply(response, 200, body)));
  const error = await failure(server.drive().account());
  expect(error.kind).toBe(kind);
  expect(`${error.message} ${String(error.cause)} ${error.stack ?? ''}`).not.toContain('very-secret');
});

test('secrets that a server repeats are taken out of its words', async () => {
  server = await FixtureServer.start(
    at('/oauth/token', (_, response) => reply(response, 200, { access_token: 'very-secret-token', expires_in: 5099 })),
    at('/sync/', ({ headers }, response) =>
      reply(response, 400, { StatusDescription: `what is ${headers.authorization ?? ''}?` }),
    ),
  );
  const error = await failure(names(server.drive()));
  expect(error.message).toContain('what is Bearer [secret]?');
});

test('credentials that a refused token request repeats are taken out', async () => {
  server = await FixtureServer.start(
    at('/oauth/token', ({ headers }, response) =>
      reply(response, 401, { error: `${headers.authorization ?? ''} ${String(headers['sync-app-token'])} secret-1` }),
    ),
  );
  const error = await failure(server.drive().account());
  expect(error.kind).toBe('unauthenticated');
  expect(error.message).toContain('Basic [secret] [secret] [secret]');
});

test('control characters of a server never reach a message', async () => {
  server = await FixtureServer.start(
    at('/sync/folder.svc/3/folder/12', (_, response) => reply(response, 200, '\u001b[31m\u009b5mhello')),
    at('/sync/folder.svc/3/folder/14', (_, response) =>
      reply(response, 400, { StatusDescription: 'no\u009b5m\u001b[2J\r\nthanks' }),
    ),
  );
  const drive = server.drive();
  for (const id of ['12', '14']) {
    const { message } = await failure(names(drive, id as FolderId));
    expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  }
});

const syncpoint = { Id: 5, Name: 'one', RootFolderId: 12, Permission: 1 };

test.each([
  ['a permission of letters', { ...syncpoint, Id: 6, Permission: 'all' }, 'syncpoint 6'],
  ['no name', { Id: 6, RootFolderId: 13 }, 'syncpoint 6'],
  ['an object for its id', { Id: {}, Name: 'x' }, 'syncpoint 2 of the list'],
  ['a text', 'x', 'syncpoint 2 of the list'],
])('one syncpoint with %s is left out and reported', async (_, unreadable, called) => {
  let answer: unknown = [syncpoint, unreadable, { ...syncpoint, Id: 7 }];
  server = await FixtureServer.start(at('/syncpoint/syncpoints.svc/', (_r, response) => reply(response, 200, answer)));
  const drive = server.drive();
  expect((await drive.syncpoints()).map(({ id }) => id)).toEqual(['5', '7']);
  const { lastError } = drive.statistics();
  expect(lastError?.startsWith(`${called}: syncpoints.svc GET[1]`)).toBe(true);
  expect(lastError).toContain('was left out');
  answer = [unreadable];
  expect((await failure(drive.syncpoints())).kind).toBe('protocol');
});

test('a syncpoint whose own reply cannot be read is left out', async () => {
  const rootless = { Id: 6, Name: 'x', Permission: 1 };
  server = await FixtureServer.start(
    at('/syncpoint/syncpoints.svc/', (_, response) => reply(response, 200, [rootless, syncpoint])),
    at('/syncpoint/syncpoint.svc/6', (_, response) => reply(response, 200, { Id: 6 })),
  );
  const drive = server.drive();
  expect((await drive.syncpoints()).map(({ id }) => id)).toEqual(['5']);
  expect(drive.statistics().lastError).toMatch(/^syncpoint 6: .*was left out$/);
});

/** Sends what a connection without a length and without chunks carries before it closes. */
function sendUntilClosed(response: ServerResponse, text: string): true {
  response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n${text}`);
  return true;
}

test.each([
  ['folder.svc', '/sync/folder.svc/', { ...self, Files: [file(1), file(2)], Folders: [subfolder] }],
  ['syncpoints.svc', '/syncpoint/syncpoints.svc/', [syncpoint]],
])('a reply of %s that ends in its middle is asked for again', async (_, path, answer) => {
  const text = JSON.stringify(answer);
  let cuts = 2;
  server = await FixtureServer.start(
    at(path, (_request, response) => sendUntilClosed(response, cuts-- > 0 ? text.slice(0, -20) : text)),
  );
  const drive = server.drive();
  const isListing = path.startsWith('/sync/');
  const ask = async (): Promise<unknown[]> => (isListing ? names(drive) : drive.syncpoints());
  expect(await ask()).toHaveLength(isListing ? 3 : 1);
  expect(server.count(path)).toBe(3);
  cuts = Infinity;
  expect((await failure(ask())).kind).toBe('unavailable');
  expect(server.count(path)).toBe(7);
  expect(drive.statistics().lastError).toContain('ends early');
});

test.each([
  ['404', 'Folder Not Found', 'not-found'],
  [403, 'User Not Authorized For Action', 'forbidden'],
  [500, 'Something Broke', 'unavailable'],
])('an error %j %s in a 200 is that error', async (StatusCode, StatusDescription, kind) => {
  const answer = { StatusCode, StatusDescription };
  server = await FixtureServer.start(
    at('/sync/folder', (_, response) => reply(response, 200, answer)),
    at('/syncpoint/', (_, response) => reply(response, 200, answer)),
  );
  const drive = server.drive();
  for (const call of [() => names(drive), () => drive.syncpoints()]) {
    const error = await failure(call());
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(`${StatusDescription} (HTTP ${StatusCode})`);
  }
});

test('a fault of the gateway in a 200 is no answer', async () => {
  const fault = {
    faultstring: 'Unexpected EOF at target',
    detail: { errorcode: 'messaging.adaptors.http.UnexpectedEOF' },
  };
  server = await FixtureServer.start(
    at('/sync/folder', (_, response) => reply(response, 200, { fault })),
    at('/syncpoint/', (_, response) => reply(response, 200, { fault })),
  );
  const drive = server.drive();
  for (const call of [() => names(drive), () => drive.syncpoints()]) {
    const error = await failure(call());
    expect(error.kind).toBe('unavailable');
    expect(error.message).toContain('Unexpected EOF at target');
  }
});

test('an error in a 200 repeats no secret', async () => {
  server = await FixtureServer.start(
    at('/sync/', ({ headers }, response) =>
      reply(response, 200, { StatusCode: 400, StatusDescription: `what is ${headers.authorization ?? ''} secret-1?` }),
    ),
  );
  expect((await failure(names(server.drive()))).message).toContain('what is Bearer tok-1 [secret]?');
});

test('Urls of a vault as one object are its only address', async () => {
  const vault = readVault({ Id: '1-2', Name: 'v', Urls: { Url: 'https://vault.example.test' } }, 'x');
  server = await FixtureServer.start();
  expect(vault.urls).toEqual(['https://vault.example.test']);
});

test.each(['/sync/folder.svc/', '/oauth/token'])(
  'a web page from %s in place of an answer passes like a broken connection',
  async (path) => {
    let pages = 0;
    server = await FixtureServer.start(
      at('/', ({ path: asked }, response) => {
        if (!asked.startsWith(path) || (pages += 1) > 2) return false as never;
        response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Sign in</title>');
        return true;
      }),
      at('/sync/folder.svc/', (_, response) => reply(response, 200, { ...self, Files: [file(1)] })),
    );
    expect(await names(server.drive())).toEqual(['f1']);
    expect(pages).toBe(3);
  },
);

test('a web page that does not go away is told of', async () => {
  server = await FixtureServer.start(
    at('/sync/folder.svc/', (_, response) => {
      response.writeHead(200).end('<html><head><title>Blocked by the proxy</title></head></html>');
      return true;
    }),
  );
  const { kind, message } = await failure(names(server.drive()));
  expect(kind).toBe('unavailable');
  expect(message).toMatch(/^folder\.svc GET: a web page came instead of an answer \("Blocked by the proxy"\): a proxy/);
});
