// What happens around every call: tokens, refusals, retries, errors, addresses, secrets.
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import type { FileId, FolderId, SyncpointId } from '../../src/remote-drive.ts';
import { createSyncplicityDrive } from '../../src/syncplicity/drive.ts';
import type { SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { emailHash } from '../../src/syncplicity/rols.ts';
import { failure } from './failure.ts';
import { FixtureServer, reply } from './fixture-server.ts';
import type { Route } from './fixture-server.ts';

let server: FixtureServer;
afterEach(() => server.stop());

const file = { FileId: 1, Filename: 'a', Length: 3, LatestVersionId: 2 };
const isFile = (path: string): boolean => path.startsWith('/sync/file.svc/');
const serveFile: Route = (request, response) => isFile(request.path) && reply(response, 200, file);
const ask = (drive: SyncplicityDrive, signal?: AbortSignal): Promise<unknown> =>
  drive.file('3' as SyncpointId, '1' as FileId, { signal });

/** Accepts only the newest token. */
const newestTokenOnly =
  (status: number, body: unknown, headers = {}): Route =>
  (request, response) =>
    isFile(request.path) &&
    request.headers.authorization !== `Bearer tok-${server.tokensIssued}` &&
    reply(response, status, body, headers);

test('200 callers at once fetch one token, and one more when it expires under them', async () => {
  server = await FixtureServer.start((request, response) => newestTokenOnly(401, '')(request, response), serveFile);
  const drive = server.drive({ budget: { perSecond: 10_000 } });
  await Promise.all(Array.from({ length: 200 }, () => ask(drive)));
  expect(server.tokensIssued).toBe(1);
  // The service forgets tok-1 and knows only the one it issues next.
  server.routes.unshift(
    (request, response) =>
      isFile(request.path) &&
      request.headers.authorization === 'Bearer tok-1' &&
      reply(response, 401, { StatusCode: 401, StatusDescription: 'Not Authorized' }),
  );
  await Promise.all(Array.from({ length: 200 }, () => ask(drive)));
  expect(server.tokensIssued).toBe(2);
});

test.each([
  [
    401,
    {
      fault: {
        faultstring: 'Access Token expired',
        detail: { errorcode: 'keymanagement.service.access_token_expired' },
      },
    },
  ],
  [401, ''],
  [403, ''],
  [403, { StatusCode: 403, StatusDescription: 'Forbidden' }],
])('a stale token answered with %d %j is renewed once and the call repeated', async (status, body) => {
  server = await FixtureServer.start(serveFile);
  const drive = server.drive();
  await ask(drive);
  server.routes.unshift(
    (request, response) =>
      isFile(request.path) && request.headers.authorization === 'Bearer tok-1' && reply(response, status, body),
  );
  await ask(drive);
  expect(server.tokensIssued).toBe(2);
});

test.each([
  [401, ''],
  [403, ''],
])('a token that has ended when it is first used, after %d, is renewed as well', async (status, body) => {
  server = await FixtureServer.start(serveFile);
  const drive = server.drive();
  await ask(drive);
  server.routes.unshift(
    (request, response) =>
      isFile(request.path) &&
      request.headers.authorization !== 'Bearer tok-3' &&
      server.tokensIssued < 4 &&
      reply(response, status, body),
  );
  await ask(drive);
  expect(server.tokensIssued).toBe(3);
});

test.each([
  [401, ''],
  [403, ''],
])(
  'a call whose tokens end one after the other, always found out by others first, is made in the end, after %d',
  async (status, body) => {
    const rounds = 6;
    let ended = 0;
    const held: (() => void)[] = [];
    server = await FixtureServer.start((request, response) => {
      if (!isFile(request.path)) return false;
      const isSlow = request.path.endsWith('/1');
      const issued = Number(/tok-(\d+)/.exec(request.headers.authorization ?? '')?.[1]);
      const answer = (): unknown =>
        issued > ended ? reply(response, 200, { ...file, FileId: isSlow ? 1 : 2 }) : reply(response, status, body);
      if (isSlow && ended < rounds) held.push(answer);
      else answer();
      return true;
    });
    const drive = server.drive({ budget: { perSecond: 10_000 } });
    const askFor = (id: string): Promise<unknown> => drive.file('3' as SyncpointId, id as FileId);
    await askFor('2');
    const slow = askFor('1');
    // Awaited below; until then its failure is nobody's.
    slow.catch(() => undefined);
    while (ended < rounds) {
      await expect.poll(() => held.length, { interval: 1 }).toBe(1);
      ended += 1;
      await askFor('2');
      held.pop()?.();
    }
    await slow;
    expect(server.tokensIssued).toBe(rounds + 1);
  },
);

test('an account that was served and then is not any more is told so after few tokens, and to the next call after one', async () => {
  server = await FixtureServer.start(serveFile);
  const drive = server.drive();
  await ask(drive);
  server.routes.unshift((request, response) => isFile(request.path) && reply(response, 401, ''));
  expect((await failure(ask(drive))).kind).toBe('unauthenticated');
  expect(server.tokensIssued).toBe(4);
  expect((await failure(ask(drive))).kind).toBe('unauthenticated');
  expect(server.tokensIssued).toBe(5);
});

test('a bare 403 that a new token does not cure is a refusal, and asks for no token again soon', async () => {
  server = await FixtureServer.start((request, response) => isFile(request.path) && reply(response, 403, ''));
  const drive = server.drive();
  expect((await failure(ask(drive))).kind).toBe('forbidden');
  expect((await failure(ask(drive))).kind).toBe('forbidden');
  expect([server.tokensIssued, server.count('/sync/file.svc')]).toEqual([2, 3]);
});

test('a token that ends after a bare 403 was a refusal is given up all the same', async () => {
  let refused = '1';
  let good = 0;
  server = await FixtureServer.start(
    (request, response) => request.path === `/sync/file.svc/3/file/${refused}` && reply(response, 403, ''),
    (request, response) =>
      request.headers.authorization !== `Bearer tok-${good}` &&
      request.path !== '/oauth/token' &&
      reply(response, 403, ''),
    serveFile,
    (request, response) =>
      request.path.startsWith('/sync/folder.svc/') && reply(response, 200, { FolderId: 1, Files: [file] }),
  );
  const drive = server.drive();
  const askFor = (id: string): Promise<unknown> => drive.file('3' as SyncpointId, id as FileId);
  const list = async (): Promise<void> => {
    for await (const entries of drive.list('3' as SyncpointId, '1' as FolderId)) expect(entries).toHaveLength(1);
  };
  good = 2;
  expect((await failure(askFor('1'))).kind).toBe('forbidden');
  await askFor('2');
  expect(server.tokensIssued).toBe(2);
  // Another call finds out at once.
  good = 3;
  await list();
  await askFor('2');
  expect(server.tokensIssued).toBe(3);
  // The same call needs a few refusals in a row.
  good = 4;
  for (let tried = 0; tried < 2; tried += 1) expect((await failure(askFor('2'))).kind).toBe('forbidden');
  await askFor('2');
  expect(server.tokensIssued).toBe(4);
  // What is refused whatever the token does not fetch one after the other.
  refused = '2';
  for (let tried = 0; tried < 20; tried += 1) expect((await failure(askFor('2'))).kind).toBe('forbidden');
  expect(server.tokensIssued).toBeLessThan(7);
});

test('a 403 with a text is a refusal at once', async () => {
  server = await FixtureServer.start(
    (request, response) =>
      isFile(request.path) &&
      reply(response, 403, { StatusCode: 403, StatusDescription: 'Syncpoint Shared With Reader Permission' }),
  );
  const error = await failure(ask(server.drive()));
  expect([error.kind, error.message]).toEqual([
    'forbidden',
    'file.svc GET: file 1 of syncpoint 3: Syncpoint Shared With Reader Permission (HTTP 403)',
  ]);
  expect(server.tokensIssued).toBe(1);
});

test('refused credentials fail at once for everybody and are not tried again for a while', async () => {
  server = await FixtureServer.start(
    (request, response) =>
      request.path === '/oauth/token' &&
      reply(response, 401, { error: 'invalid_client', error_description: 'Client credentials are invalid' }),
  );
  const drive = server.drive();
  const errors = await Promise.all(Array.from({ length: 20 }, () => failure(ask(drive))));
  await failure(ask(drive));
  expect(new Set(errors.map((error) => error.kind))).toEqual(new Set(['unauthenticated']));
  expect(errors[0]?.message).toContain('Client credentials are invalid');
  expect(server.count('/oauth/token')).toBe(1);
});

test('a gateway that does nothing but fail is asked once each time, and counts as out of reach until it does a call', async () => {
  let isDown = true;
  server = await FixtureServer.start(
    (request, response) => isDown && isFile(request.path) && reply(response, 500, { Message: 'Internal error' }),
    serveFile,
  );
  const drive = server.drive();
  const asked = async (): Promise<number> => {
    const before = server.count('/sync/file.svc');
    await ask(drive).catch(() => undefined);
    return server.count('/sync/file.svc') - before;
  };
  expect([await asked(), drive.statistics().online]).toEqual([4, true]);
  expect([await asked(), drive.statistics().online]).toEqual([4, false]);
  expect(drive.statistics().lastError).toContain('Internal error (HTTP 500)');
  expect([await asked(), await asked(), drive.statistics().online]).toEqual([1, 1, false]);
  isDown = false;
  expect([await asked(), drive.statistics().online]).toEqual([1, true]);
  isDown = true;
  expect(await asked()).toBe(4);
});

test.each([400, 403, 404])('a web page that answers %d for the token service is no refusal', async (status) => {
  server = await FixtureServer.start(
    (request, response) =>
      request.path === '/oauth/token' && reply(response, status, '<html><title>Request Too Long</title></html>'),
    serveFile,
  );
  const drive = server.drive();
  const { kind, message } = await failure(ask(drive));
  expect(kind).toBe('unavailable');
  expect(message).toContain(`HTTP ${status}: a web page came instead of an answer ("Request Too Long")`);
  server.routes.shift();
  await ask(drive);
});

test('an outage of the token service is no refusal', async () => {
  server = await FixtureServer.start(
    (request, response) => request.path === '/oauth/token' && reply(response, 503, '<html><title>x</title></html>'),
    serveFile,
  );
  const drive = server.drive();
  expect(await failure(ask(drive))).toMatchObject({
    kind: 'unavailable',
    message: `token POST: the credentials for ${new URL(server.url).host}: Service Unavailable (HTTP 503)`,
  });
  expect(server.count('/oauth/token')).toBe(4);
  server.routes.shift();
  await ask(drive);
});

test.each([500, 502, 503, 504])('%d is tried again, a bounded number of times', async (status) => {
  let failures = 2;
  server = await FixtureServer.start(
    (request, response) => isFile(request.path) && failures-- > 0 && reply(response, status, 'down'),
    serveFile,
  );
  const drive = server.drive();
  await ask(drive);
  expect(server.count('/sync/file.svc')).toBe(3);
  failures = Infinity;
  expect((await failure(ask(drive))).kind).toBe('unavailable');
  expect(server.count('/sync/file.svc')).toBe(7);
});

test('broken connections and cut replies are tried again', async () => {
  let failures = 2;
  server = await FixtureServer.start((request, response) => {
    if (!isFile(request.path) || failures-- <= 0) return false;
    if (failures === 1) response.destroy();
    else response.writeHead(200, { 'content-length': 100 }).write('{"FileId"', () => response.destroy());
    return true;
  }, serveFile);
  const drive = server.drive();
  await ask(drive);
  expect(drive.statistics()).toMatchObject({ online: true, byEndpoint: { 'file.svc GET': 3 } });
});

test('a server that is gone is unavailable and shows as offline', async () => {
  server = await FixtureServer.start();
  const gone = await FixtureServer.start();
  const url = gone.url;
  await gone.stop();
  const drive = server.drive({ apiUrl: url });
  expect((await failure(ask(drive))).message).toContain('connection refused');
  expect(drive.statistics()).toMatchObject({ online: false });
  expect(drive.statistics().lastError).toContain('connection refused');
});

test('a server that does not answer is unavailable after the time limit', async () => {
  server = await FixtureServer.start((request) => isFile(request.path));
  const drive = server.drive({ timeouts: { headersMs: 100 }, retries: { attempts: 1, delayMs: 1 } });
  expect((await failure(ask(drive))).message).toContain('took too long');
});

test('an abort ends a call that hangs at once, with the reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  server = await FixtureServer.start((request) => {
    if (isFile(request.path)) controller.abort(reason);
    return isFile(request.path);
  });
  await expect(ask(server.drive(), controller.signal)).rejects.toBe(reason);
});

test('Retry-After is obeyed, and one that outlasts the caller is said', async () => {
  let refusals = 1;
  server = await FixtureServer.start(
    (request, response) => isFile(request.path) && refusals-- > 0 && reply(response, 429, '', { 'retry-after': '1' }),
    serveFile,
  );
  const drive = server.drive();
  const started = performance.now();
  await ask(drive);
  expect(performance.now() - started).toBeGreaterThan(950);
  server.routes.unshift(
    (request, response) => isFile(request.path) && reply(response, 429, 'Too many', { 'retry-after': '600' }),
  );
  const error = await failure(ask(drive));
  expect([error.kind, error.message]).toEqual([
    'throttled',
    'the call budget of this app key is spent: the next call is possible in 10 min',
  ]);
});

test.each([
  [400, { StatusDescription: 'Invalid Folder ID' }, 'not-found'],
  [404, { StatusDescription: 'File Not Found' }, 'not-found'],
  [404, '', 'not-found'],
  [403, { StatusDescription: 'Request Came From An Unapproved IP Address' }, 'forbidden'],
  [403, { StatusDescription: 'SyncPoint Does Not Exist' }, 'not-found'],
  [403, { StatusDescription: 'Max Limit On Creation Reached' }, 'quota'],
  [400, { StatusDescription: 'Folder With The Same Name Already Exists' }, 'exists'],
  [400, { StatusDescription: 'Max Limit Is 1000' }, 'protocol'],
  [409, '', 'conflict'],
  [412, '', 'conflict'],
  [402, '', 'quota'],
  [507, '', 'quota'],
  [302, '', 'protocol'],
])('%d %j is %s', async (status, body, kind) => {
  server = await FixtureServer.start(
    (request, response) =>
      isFile(request.path) && reply(response, status, body, status === 302 ? { location: '/elsewhere' } : {}),
  );
  expect((await failure(ask(server.drive()))).kind).toBe(kind);
  expect(server.count('/elsewhere')).toBe(0);
});

test.each([
  'http://example.com',
  'ftp://127.0.0.1',
  'nonsense',
  'https://u:p@example.com',
  'http://127.0.0.1.example.com',
])('the address %s gets no token', async (apiUrl) => {
  server = await FixtureServer.start();
  expect(() =>
    createSyncplicityDrive({ credentials: { clientId: 'a', clientSecret: 'b', appToken: 'c' }, apiUrl }),
  ).toThrow(RemoteError);
});

test('the home region is looked up by the e-mail hash and gets the calls', async () => {
  expect(emailHash(' User@Domain.com ')).toBe('58809ef69e0cceb9af2c57a42baa47cc');
  server = await FixtureServer.start(
    (request, response) =>
      request.path === '/gol/api/v1/rols' &&
      reply(response, 200, [
        { Id: 1, ApigeeUrl: 'https://api.example.test', IsHome: false },
        { Id: '2', apigeeurl: `${server.url}/eu/`, IsHome: 'true' },
      ]),
    (request, response) =>
      request.path === '/eu/oauth/token' && reply(response, 200, { access_token: 't', user_id: 'u' }),
  );
  const drive = server.drive({
    apiUrl: undefined,
    golUrl: `${server.url}/gol`,
    credentials: { clientId: 'a', clientSecret: 'b', appToken: 'c', email: 'user@domain.com' },
  });
  expect((await drive.account()).userId).toBe('u');
  expect(server.requests[0]?.query.get('uhid')).toBe('58809ef69e0cceb9af2c57a42baa47cc');
  expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
});

test('no error and no statistic shows a secret', async () => {
  server = await FixtureServer.start(
    (request, response) => isFile(request.path) && reply(response, 404, { StatusDescription: 'Nothing' }),
  );
  const drive = server.drive({
    credentials: {
      clientId: 'key-1',
      clientSecret: 'hidden-secret',
      appToken: 'hidden-app',
      storageToken: 'hidden-storage',
    },
  });
  const error = await failure(ask(drive));
  const shown = `${error.message} ${error.stack ?? ''} ${JSON.stringify(error)} ${JSON.stringify(drive.statistics())}`;
  expect(shown).not.toMatch(/hidden|tok-1|Bearer|Basic/);
  expect(server.requests.map((request) => request.query.toString()).join()).not.toMatch(/hidden|tok-1/);
  expect(() =>
    createSyncplicityDrive({ credentials: { clientId: 'a', clientSecret: 'hidden\n', appToken: 'c' } }),
  ).toThrow(/client_?secret/i);
});

test('calls go through the proxy of the environment, but not to this machine unless asked', async () => {
  server = await FixtureServer.start(serveFile);
  const proxyEnvironment = { https_proxy: server.url, http_proxy: server.url };
  await ask(server.drive({ proxyEnvironment }));
  const direct = server.requests.length;
  // A tunnel is asked for with CONNECT.
  const asked = server.refuseTunnels();
  const error = await failure(
    ask(server.drive({ proxyEnvironment, proxyLoopback: true, retries: { attempts: 1, delayMs: 1 } })),
  );
  expect([error.kind, server.requests.length, asked.length > 0]).toEqual(['unavailable', direct, true]);
  await ask(server.drive({ proxyEnvironment: { ...proxyEnvironment, NO_PROXY: '127.0.0.1' }, proxyLoopback: true }));
  expect(server.requests.length).toBe(direct * 2);
});

test('stop ends calls under way and leaves no connection behind', async () => {
  let arrived: () => void;
  const arrival = new Promise<void>((resolve) => (arrived = resolve));
  server = await FixtureServer.start((request) => {
    if (isFile(request.path)) arrived();
    return isFile(request.path);
  });
  const drive = server.drive();
  const call = failure(ask(drive));
  await arrival;
  await drive.stop();
  expect((await call).kind).toBe('unavailable');
  while (server.openConnections > 0) await new Promise((resolve) => setImmediate(resolve));
});

test.each(Object.entries({ gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }))(
  'replies in %s are understood',
  async (encoding, encode) => {
    let cut = 0;
    server = await FixtureServer.start((request, response) => {
      if (!isFile(request.path)) return false;
      expect(request.headers['accept-encoding']).toContain(encoding);
      const bytes = encode(JSON.stringify(file));
      response.writeHead(200, { 'content-encoding': encoding }).end(cut-- > 0 ? bytes.subarray(0, 12) : bytes);
      return true;
    });
    const drive = server.drive();
    await ask(drive);
    // A reply cut short is asked for again.
    cut = 1;
    await ask(drive);
    expect(server.count('/sync/file.svc')).toBe(3);
  },
);

test('an encoding nobody asked for is a protocol error', async () => {
  server = await FixtureServer.start(
    (request, response) => isFile(request.path) && reply(response, 200, file, { 'content-encoding': 'zstd' }),
  );
  expect((await failure(ask(server.drive()))).kind).toBe('protocol');
});

test('a call that never left this machine is not counted, be it for a token or with one', async () => {
  server = await FixtureServer.start();
  const left = (drive: SyncplicityDrive): number => drive.statistics().budget.leftThisHour;
  const nowhere = server.drive({ apiUrl: 'http://127.0.0.1:1', budget: { perHour: 100 } });
  expect(await failure(ask(nowhere))).toMatchObject({ kind: 'unavailable' });
  expect(left(nowhere)).toBe(100);

  const away = await FixtureServer.start(serveFile);
  const drive = server.drive({ apiUrl: away.url, budget: { perHour: 100 } });
  await ask(drive);
  expect(left(drive)).toBe(98);
  await away.stop();
  expect(await failure(ask(drive))).toMatchObject({ kind: 'unavailable' });
  expect(left(drive)).toBe(98);
});
