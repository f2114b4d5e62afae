// Uploads in one request: what is sent, to the byte, and what each answer means.
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import { uploadReplyLimitMs } from '../../src/syncplicity/http/transport.ts';
import type { SyncpointId, VaultId, VersionId } from '../../src/remote-drive.ts';
import { failure } from './failure.ts';
import { FixtureServer, reply, vaultId } from './fixture-server.ts';
import type { Route } from './fixture-server.ts';
import { FixtureVault, formParts, sha256 } from './fixture-vault.ts';
import type { VaultDialect } from './fixture-vault.ts';
import { contentOf, filepath, folder, uploadOf } from './upload-request.ts';

let server: FixtureServer;
let vault: FixtureVault;
afterEach(() => server.stop());

async function start(dialect: Partial<VaultDialect> = {}, ...routes: Route[]): Promise<void> {
  vault = new FixtureVault(dialect);
  server = await FixtureServer.start(...routes, vault.route);
}

const isUpload = (path: string): boolean => path === '/saveFile.php' || path === '/v2/mime/files';
const uploads = (): typeof server.requests => server.requests.filter((request) => isUpload(request.path));
const storedFile = (): Buffer | undefined => vault.stored.get('\\2017\\r\u00e9sum\u00e9s\\a b.zip')?.bytes;

test('a small file is one POST with all seven parts in their order, to the byte', async () => {
  await start();
  const request = uploadOf(Buffer.from('hello'));
  expect(await server.drive().upload(request)).toEqual({
    state: 'stored',
    fileId: undefined,
    versionId: undefined,
    already: false,
  });
  const [sent] = uploads();
  if (sent === undefined) throw new Error('nothing was sent');
  const boundary = /^multipart\/form-data; boundary=(-------[0-9a-f]{32})$/.exec(
    sent.headers['content-type'] ?? '',
  )?.[1];
  const part = (name: string, value: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  expect(sent.body).toBe(
    `--${boundary}\r\nContent-Disposition: form-data; name="fileData"; filename="a b.zip"\r\n` +
      'Content-Transfer-Encoding: binary\r\nContent-Type: application/octet-stream\r\n\r\nhello\r\n' +
      part('sha256', '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824') +
      part('sessionKey', 'Bearer tok-1') +
      part('virtualFolderId', '5698124') +
      part('creationTimeUtc', '1969-12-31T23:59:59.1234567Z') +
      part('lastWriteTimeUtc', '2016-09-12T06:44:31.9000000Z') +
      part('fileDone', '') +
      `--${boundary}--\r\n`,
  );
  expect(sent.headers).toMatchObject({
    appkey: 'key-1',
    authorization: 'Bearer tok-1',
    'content-range': '0-*/*',
    'content-length': String(sent.bytes.length),
    'user-agent': 'syncplicityfs',
  });
  expect(sent.headers).not.toHaveProperty('if-match');
  expect(sent.headers).not.toHaveProperty('transfer-encoding');
  expect(sent.headers).not.toHaveProperty('content-encoding');
  expect([sent.path, sent.query.get('filepath')]).toEqual(['/saveFile.php', '\\2017\\r\u00e9sum\u00e9s\\a b.zip']);
  expect([request.told.beforeLast, request.told.sent, request.told.marks]).toEqual([1, [5], []]);
});

test('the path is percent-encoded UTF-8 on the wire, and a name in a form is quoted as browsers do', async () => {
  await start();
  const drive = server.drive();
  let url = '';
  server.routes.unshift((request) => {
    if (isUpload(request.path)) url = request.url;
    return false;
  });
  await drive.upload(uploadOf(Buffer.from('x')));
  expect(url).toBe(`/saveFile.php?filepath=${filepath}`);
  await drive.upload(uploadOf(Buffer.from('x'), { name: '50%+"q"&\u4e2d\n' }));
  expect(url).toBe('/saveFile.php?filepath=%5C2017%5Cr%C3%A9sum%C3%A9s%5C50%25%2B%22q%22%26%E4%B8%AD%0A');
  const sent = uploads().at(-1);
  expect(sent && formParts(sent)[0]?.head).toContain('filename="50%+%22q%22&\u4e2d%0A"');
});

test.each(['a\\b', 'a/b', '', 'a\0', '\ud800'])(
  'the name %j would name another place: nothing is sent',
  async (name) => {
    await start();
    expect((await failure(server.drive().upload(uploadOf(Buffer.from('x'), { name })))).kind).toBe('invalid');
    expect(uploads()).toHaveLength(0);
  },
);

test('an empty file is one POST with an empty fileData and the hash of nothing', async () => {
  await start();
  expect(await server.drive().upload(uploadOf(Buffer.alloc(0)))).toMatchObject({ state: 'stored' });
  const [sent] = uploads();
  const parts = new Map(sent && formParts(sent).map((part) => [part.name, part.bytes.toString()]));
  expect([...parts.keys()]).toEqual([
    'fileData',
    'sha256',
    'sessionKey',
    'virtualFolderId',
    'creationTimeUtc',
    'lastWriteTimeUtc',
    'fileDone',
  ]);
  expect(parts.get('sha256')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test.each([0, 1, 262_144, 262_145, 5_242_880])('%d bytes are one request and arrive as they are', async (length) => {
  await start();
  const content = contentOf(length);
  await server.drive().upload(uploadOf(content, { sha256: sha256(content) }));
  expect(vault.asked).toEqual(['0-!']);
  expect(storedFile()?.equals(content)).toBe(true);
});

test.each([
  ['Stored', undefined, undefined, false],
  [' already stored\r\n', undefined, undefined, true],
  ['"Stored"', undefined, undefined, false],
  [{ data_file_id: 743320707, data_file_version_id: '999211663001234567' }, '743320707', '999211663001234567', false],
  [{ Status: 'ok', Result: [{ File: { FileId: '12', LatestVersionId: 13 } }] }, '12', '13', false],
  [{ data_file_id: 7, status: 'AlreadyStored' }, '7', undefined, true],
] as const)('the reply %j means stored', async (text, fileId, versionId, already) => {
  await start({ stored: () => text });
  const outcome = await server.drive().upload(uploadOf(Buffer.from('x')));
  expect(outcome).toEqual({ state: 'stored', fileId, versionId, already });
});

test.each([
  '',
  'ok',
  '<html>Stored</html>',
  '{}',
  { data_file_id: 0 },
  { StatusCode: 500, StatusDescription: 'x' },
  'Already Sto',
])('the reply 200 %j is unclear', async (text) => {
  await start({ stored: () => text });
  expect(await server.drive().upload(uploadOf(Buffer.from('x')))).toMatchObject({ state: 'unclear' });
  expect(uploads()).toHaveLength(1);
});

test.each([500, 502, 503, 504])('%d after the last request is unclear, and nothing is sent again', async (status) => {
  await start({});
  vault.fault = (_request, response) => reply(response, status, 'Internal Server Error');
  expect(await server.drive().upload(uploadOf(Buffer.from('x')))).toMatchObject({ state: 'unclear' });
  expect(uploads()).toHaveLength(1);
});

test('a reply that is lost after everything was sent is unclear', async () => {
  await start();
  vault.fault = (request, response) => {
    vault.act(request);
    response.destroy();
    return true;
  };
  expect(await server.drive().upload(uploadOf(contentOf(1_000_000)))).toMatchObject({ state: 'unclear' });
  expect([uploads().length, storedFile()?.length]).toEqual([1, 1_000_000]);
});

test('a connection cut within the body stored nothing: the file is sent again', async () => {
  await start();
  let cuts = 2;
  server.onHeaders = (incoming) => {
    if (!isUpload(new URL(incoming.url ?? '', server.url).pathname) || cuts === 0) return;
    cuts -= 1;
    incoming.once('data', () => incoming.destroy());
  };
  const request = uploadOf(contentOf(5_000_000));
  expect(await server.drive().upload(request)).toMatchObject({ state: 'stored' });
  expect([cuts, request.told.beforeLast, storedFile()?.length]).toEqual([0, 3, 5_000_000]);
});

test.each([
  [400, 'Invalid File Name', 'invalid'],
  [403, 'Syncpoint Shared With Reader Permission', 'forbidden'],
  [403, 'User Not Authorized For Action', 'forbidden'],
  [402, 'Payment Required', 'quota'],
  [403, 'Storage Quota Exceeded', 'quota'],
  [507, 'Insufficient Storage', 'quota'],
  [413, 'Request Entity Too Large', 'too-large'],
  [404, 'Directory Not Found', 'not-found'],
  [404, 'VirtualFolder Not Found', 'not-found'],
  [409, 'Conflict', 'conflict'],
  [400, 'Bad request', 'protocol'],
  [302, 'Found', 'protocol'],
] as const)('a refusal %d %s is %s', async (status, text, kind) => {
  await start();
  vault.fault = (_request, response) => reply(response, status, { StatusCode: status, StatusDescription: text });
  const drive = server.drive();
  const error = await failure(drive.upload(uploadOf(Buffer.from('x'))));
  expect([error.kind, error.message]).toEqual([kind, expect.stringContaining(text)]);
  expect(error.message).not.toContain('tok-1');
});

test.each([400, 411, 422])(
  'a bare %d for an empty file leaves it to a listing whether it is stored',
  async (status) => {
    await start();
    vault.fault = (_request, response) => reply(response, status, 'Bad request');
    expect(await server.drive().upload(uploadOf(Buffer.alloc(0)))).toMatchObject({
      state: 'unclear',
      reason: expect.stringContaining(`Bad request (HTTP ${status})`) as string,
    });
  },
);

test('an empty file that is refused for a reason is refused', async () => {
  await start();
  vault.fault = (_request, response) => reply(response, 400, 'Invalid File Name');
  expect((await failure(server.drive().upload(uploadOf(Buffer.alloc(0))))).kind).toBe('invalid');
});

test.each([404, 405, 400, 403])(
  'a vault that answers %d to saveFile.php is given the newer URL, and keeps it',
  async (status) => {
    await start({ urls: ['/v2/mime/files'], unknownUrl: status });
    const drive = server.drive();
    await drive.upload(uploadOf(Buffer.from('one')));
    await drive.upload(uploadOf(Buffer.from('two')));
    expect(uploads().filter((request) => request.path === '/v2/mime/files')).toHaveLength(2);
    expect(drive.statistics().capabilities.uploads).toEqual({
      [vaultId]: { upload: 'v2/mime/files POST', oneRequestBytesMax: 5_242_880, chunkBytes: undefined },
    });
    // A bare 403 asks for a new token first.
    expect(uploads()).toHaveLength(status === 403 ? 4 : 3);
  },
);

test('a vault with neither URL is an error of the vault, not of the folder', async () => {
  await start({ urls: [] });
  expect((await failure(server.drive().upload(uploadOf(Buffer.from('x'))))).kind).toBe('protocol');
});

test('a stale token is renewed and the file sent again, with the new token in both places', async () => {
  await start({});
  vault.fault = (request, response) =>
    request.headers.authorization === 'Bearer tok-1' && reply(response, 401, 'Not Authorized');
  expect(await server.drive().upload(uploadOf(Buffer.from('x')))).toMatchObject({ state: 'stored' });
  expect([uploads().length, server.tokensIssued]).toEqual([2, 2]);
});

test('a vault that wants the bare session key gets it after one 401 with Bearer, and from then on', async () => {
  await start({ key: 'bare' });
  const drive = server.drive();
  await drive.upload(uploadOf(Buffer.from('one')));
  await drive.upload(uploadOf(Buffer.from('two')));
  const keys = uploads().map((request) =>
    formParts(request)
      .find((part) => part.name === 'sessionKey')
      ?.bytes.toString(),
  );
  expect(keys).toEqual(['Bearer tok-1', 'Bearer tok-2', 'tok-2', 'tok-2']);
});

test('a file refused for its key while another one learns which is wanted is sent with that one too', async () => {
  await start({ key: 'bare' });
  const drive = server.drive();
  let learnt: Promise<unknown> = Promise.resolve();
  vault.fault = (request, response) => {
    if (!request.body.includes('slow') || !request.body.includes('\r\n\r\nBearer ')) return false;
    void learnt.then(() => reply(response, 401, 'Not Authorized'));
    return true;
  };
  const slow = drive.upload(uploadOf(Buffer.from('slow')));
  learnt = drive.upload(uploadOf(Buffer.from('quick')));
  expect(await slow).toMatchObject({ state: 'stored' });
});

test('a token that no spelling helps is an end', async () => {
  await start();
  vault.fault = (_request, response) => reply(response, 401, 'Not Authorized');
  expect((await failure(server.drive().upload(uploadOf(Buffer.from('x'))))).kind).toBe('unauthenticated');
  expect(uploads()).toHaveLength(3);
});

test('429 of a vault is waited for and costs no gateway call', async () => {
  await start();
  let refusals = 2;
  vault.fault = (_request, response) => refusals-- > 0 && reply(response, 429, '', { 'retry-after': '0' });
  const drive = server.drive();
  expect(await drive.upload(uploadOf(Buffer.from('x')))).toMatchObject({ state: 'stored' });
  const { byEndpoint, total, bytesOut } = drive.statistics();
  expect([byEndpoint['saveFile.php POST'], total, bytesOut]).toEqual([3, 2, 3]);
});

test('an address that does not answer is passed over for the next, and the file arrives once', async () => {
  await start();
  server.routes.unshift(
    (request, response) =>
      request.path.startsWith('/storage/storageendpoints') &&
      reply(response, 200, [
        { Id: vaultId, Name: 'V', Urls: [{ Url: 'http://127.0.0.1:1' }, { Url: server.url }], Default: true },
      ]),
  );
  expect(await server.drive().upload(uploadOf(Buffer.from('x')))).toMatchObject({ state: 'stored' });
  expect(uploads()).toHaveLength(1);
});

test('a vault with authentication of its own gets the storage token; without one nothing is sent', async () => {
  const endpoint = (): unknown => [
    { Id: vaultId, Name: 'SVA', Urls: [{ Url: server.url }], RequiresStorageAuthentication: true },
  ];
  const sva: Route = (request, response) => request.path.startsWith('/storage/') && reply(response, 200, endpoint());
  await start({}, sva);
  const credentials = { clientId: 'key-1', clientSecret: 'secret-1', appToken: 'app-token-1' };
  await server.drive({ credentials: { ...credentials, storageToken: 'SSOUser-1' } }).upload(uploadOf(Buffer.from('x')));
  expect(uploads()[0]?.headers['syncplicity-storage-authorization']).toBe('SSOUser-1');
  expect((await failure(server.drive().upload(uploadOf(Buffer.from('x'))))).kind).toBe('unauthenticated');
  expect(uploads()).toHaveLength(1);
});

test('content that turns out longer, shorter or other than told is not stored', async () => {
  await start();
  const drive = server.drive();
  const content = contentOf(1_000_000);
  for (const wrong of [
    { lengthBytes: 999_999, read: uploadOf(content).read.bind(undefined, 0, 1_000_000) },
    { lengthBytes: 1_000_001, read: uploadOf(content).read.bind(undefined, 0, 1_000_000) },
    { sha256: sha256(Buffer.from('other')) },
  ]) {
    expect((await failure(drive.upload(uploadOf(content, wrong)))).kind).toBe('invalid');
  }
  expect([vault.stored.size, vault.asked]).toEqual([0, []]);
});

test('what the source of the bytes throws is what the upload throws', async () => {
  await start();
  const broken = new Error('disk');
  const request = uploadOf(contentOf(1_000_000), {
    async *read() {
      await Promise.resolve();
      throw broken;
    },
  });
  await expect(server.drive().upload(request)).rejects.toBe(broken);
});

test('where beforeLast rejects, nothing is sent', async () => {
  await start();
  const changed = new RemoteError('conflict', 'changed');
  const request = uploadOf(Buffer.from('x'), { beforeLast: () => Promise.reject(changed) });
  await expect(server.drive().upload(request)).rejects.toBe(changed);
  expect(uploads()).toHaveLength(0);
});

test('an abort ends an upload at once, in the body and in the wait for the reply', async () => {
  await start();
  const drive = server.drive();
  for (const length of [1, 4_000_000]) {
    const aborting = new AbortController();
    vault.fault = () => {
      aborting.abort(new Error('enough'));
      return new Promise(() => undefined);
    };
    await expect(drive.upload(uploadOf(contentOf(length)), { signal: aborting.signal })).rejects.toThrow('enough');
  }
  const aborting = new AbortController();
  const request = uploadOf(contentOf(1_000_000), {
    async *read() {
      yield await Promise.resolve(Buffer.alloc(10));
      aborting.abort(new Error('enough'));
      await new Promise(() => undefined);
    },
  });
  await expect(drive.upload(request, { signal: aborting.signal })).rejects.toThrow('enough');
});

test('a vault that takes no bytes for the stall time is given up', async () => {
  // More than the socket buffers of both ends hold.
  const length = 100_000_000;
  await start({ chunkBytes: [length] });
  server.onHeaders = (incoming) => Number(incoming.headers['content-length']) > length && new Promise(() => undefined);
  const piece = Buffer.alloc(1 << 20);
  const request = uploadOf(Buffer.alloc(0), {
    lengthBytes: length,
    async *read(_offset: number, bytes: number) {
      for (let left = bytes; left > 0; left -= piece.length) yield await Promise.resolve(piece.subarray(0, left));
    },
  });
  const drive = server.drive({ timeouts: { stallMs: 150 }, retries: { attempts: 1 } });
  expect(await failure(drive.upload(request))).toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('not taken for too long') as string,
  });
});

test('a reply may take longer than the stall time, but not for ever', async () => {
  await start();
  vault.fault = async () => {
    await wait(300);
    return false;
  };
  const drive = server.drive({ timeouts: { stallMs: 100, uploadReplyMs: 5_000 } });
  expect(await drive.upload(uploadOf(contentOf(1_000_000)))).toMatchObject({ state: 'stored' });
  const impatient = server.drive({ timeouts: { uploadReplyMs: 100 } });
  expect(await impatient.upload(uploadOf(contentOf(1_000_000)))).toMatchObject({ state: 'unclear' });
});

test.each([
  ['a small file', 16_384, 61],
  ['a chunk', 5_242_880, 101],
  ['a file of gigabytes', 5 * 2 ** 30, 42_004],
])('the longer a body, the longer its reply may take: %s', (_what, lengthBytes, seconds) => {
  expect(Math.ceil(uploadReplyLimitMs(lengthBytes) / 1000)).toBe(seconds);
});

test('a vault that does not answer is asked for anew once, and tried a bounded number of times', async () => {
  await start();
  server.routes.unshift(
    (request, response) =>
      request.path.startsWith('/storage/storageendpoints') &&
      reply(response, 200, [{ Id: vaultId, Name: 'V', Urls: [{ Url: 'http://127.0.0.1:1' }], Default: true }]),
  );
  const error = await failure(server.drive().upload(uploadOf(Buffer.from('x'))));
  expect([error.kind, server.count('/storage/storageendpoints')]).toEqual(['unavailable', 2]);
});

test.each([1, 6_000_000])(
  'a vault that moved, and left another server behind, is found again: %d bytes',
  async (length) => {
    await start();
    const at = ['/gone', '/gone', ''];
    server.routes.unshift(
      (request, response) =>
        request.path.startsWith('/storage/storageendpoints') &&
        reply(response, 200, [{ Id: vaultId, Name: 'V', Urls: [{ Url: `${server.url}${at.shift() ?? ''}` }] }]),
    );
    const content = contentOf(length);
    // It knows of the move no sooner than the gateway does.
    expect((await failure(server.drive().upload(uploadOf(content)))).kind).toBe('protocol');
    at.unshift('/gone');
    expect(await server.drive().upload(uploadOf(content))).toMatchObject({ state: 'stored' });
    expect([storedFile()?.equals(content), server.count('/storage/storageendpoints')]).toEqual([true, 4]);
  },
);

test('a refusal of the vault costs no more than it says: an upload into the root of a syncpoint', async () => {
  await start();
  await server.drive().upload(uploadOf(Buffer.from('x'), { folder: { ...folder, folderNames: [] } }));
  expect([...vault.stored.keys()]).toEqual(['\\a b.zip']);
});

test('a vault that asks for minutes is left alone by uploads and downloads, and whoever asked is told how long', async () => {
  await start({});
  vault.fault = (_request, response) => {
    response.writeHead(429, { 'retry-after': '120' }).end();
    return true;
  };
  const drive = server.drive();
  const refused = await failure(drive.upload(uploadOf(Buffer.from('x'))));
  expect([refused.kind, refused.retryAfterMs]).toEqual(['throttled', 120_000]);
  const content = {
    syncpointId: '3' as SyncpointId,
    vaultId: vaultId as VaultId,
    versionId: '7' as VersionId,
    lengthBytes: 5,
  };
  const later = [
    await failure(drive.upload(uploadOf(Buffer.from('y')))),
    await failure(drive.read(content, { offsetBytes: 0, lengthBytes: 5 })),
  ];
  for (const { kind, message, retryAfterMs } of later) {
    expect([kind, message]).toEqual(['throttled', expect.stringMatching(/asks to be left alone for 1[12]\d s more/)]);
    expect(retryAfterMs).toBeGreaterThan(110_000);
  }
  expect([uploads().length, server.requests.filter(({ method }) => method === 'GET').map(({ path }) => path)]).toEqual([
    1,
    expect.not.arrayContaining(['/retrieveFile.php', '/v2/files']),
  ]);
});

test('a vault that asks for a moment is waited for, also by those who did not hear of it', async () => {
  await start({});
  vault.fault = (_request, response) => {
    vault.fault = () => false;
    response.writeHead(503, { 'retry-after-ms': '700' }).end();
    return true;
  };
  const drive = server.drive();
  await drive.upload(uploadOf(Buffer.from('x')));
  const begunMs = performance.now();
  await drive.upload(uploadOf(Buffer.from('y')));
  expect(performance.now() - begunMs).toBeGreaterThan(500);
});
