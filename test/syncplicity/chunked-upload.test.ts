// Uploads in chunks: every "either way" of the documents, sessions that break and go on, and what is never sent twice.
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import { failure } from './failure.ts';
import { FixtureServer, reply, vaultId } from './fixture-server.ts';
import type { Route } from './fixture-server.ts';
import { FixtureVault, formParts, sha256 } from './fixture-vault.ts';
import type { VaultDialect } from './fixture-vault.ts';
import { contentOf, uploadOf } from './upload-request.ts';

const path = '\\2017\\r\u00e9sum\u00e9s\\a b.zip';
const limit = 5_242_880;
const content = contentOf(limit * 2 + 100_000);

let server: FixtureServer;
let vault: FixtureVault;
afterEach(() => server.stop());

async function start(dialect: Partial<VaultDialect> = {}, ...routes: Route[]): Promise<void> {
  vault = new FixtureVault(dialect);
  server = await FixtureServer.start(...routes, vault.route);
}

const uploads = (): typeof server.requests =>
  server.requests.filter((request) => request.method === 'POST' && request.path !== '/oauth/token');
const storedFile = (): Buffer | undefined => vault.stored.get(path)?.bytes;
const isStored = (wanted: Buffer): boolean => storedFile()?.equals(wanted) === true;

test('one byte more than a request holds is a query and two chunks, to the byte', async () => {
  await start();
  const request = uploadOf(content.subarray(0, limit + 1));
  expect(await server.drive().upload(request)).toMatchObject({ state: 'stored' });
  const [query, first, last] = uploads();
  if (query === undefined || first === undefined || last === undefined) throw new Error('too few requests');
  const boundary = /boundary=(.*)$/.exec(query.headers['content-type'] ?? '')?.[1];
  expect(query.body).toBe(
    `--${boundary}\r\nContent-Disposition: form-data; name="sessionKey"\r\n\r\nBearer tok-1\r\n--${boundary}--\r\n`,
  );
  expect(query.headers['content-range']).toBe('*/*');
  expect(query.headers).not.toHaveProperty('if-match');
  expect([first.headers['content-range'], first.headers['if-match']]).toEqual(['0-*/*', '"e2"']);
  expect([last.headers['content-range'], last.headers['if-match']]).toEqual(['5242880-*/*', '"e3"']);
  const names = ['fileData', 'sha256', 'sessionKey', 'virtualFolderId', 'creationTimeUtc', 'lastWriteTimeUtc'];
  expect(formParts(first).map((part) => part.name)).toEqual(names);
  expect(formParts(last).map((part) => part.name)).toEqual([...names, 'fileDone']);
  expect(formParts(last)[1]?.bytes.toString()).toBe(sha256(content.subarray(limit, limit + 1)));
  expect(isStored(content.subarray(0, limit + 1))).toBe(true);
  expect(request.told).toMatchObject({ sent: [limit, limit + 1], beforeLast: 1 });
  expect(request.told.marks).toHaveLength(1);
});

test('content that ends with a chunk has its end in the last chunk', async () => {
  await start();
  await server.drive().upload(uploadOf(content.subarray(0, 2 * limit)));
  expect([vault.asked, isStored(content.subarray(0, 2 * limit))]).toEqual([['query', '0-', '5242880-!'], true]);
});

test('the chunk size is the newest the vault tells, and each chunk carries the newest ETag', async () => {
  await start({ chunkBytes: [4_000_000, 3_000_000, 1_000_000] });
  const drive = server.drive();
  await drive.upload(uploadOf(content));
  expect([isStored(content), vault.asked]).toEqual([true, ['query', '0-', '4000000-', '7000000-', '10000000-!']]);
  expect(drive.statistics().capabilities.uploads[vaultId]?.chunkBytes).toBe(3_000_000);
});

test('query and chunks go over one connection, which is warm by then', async () => {
  await start({ chunkBytes: [500_000] });
  const ports = new Map<string | undefined, number>();
  server.onHeaders = ({ url, socket }) => {
    if (url?.startsWith('/saveFile') === true)
      ports.set(`${socket.remotePort}`, (ports.get(`${socket.remotePort}`) ?? 0) + 1);
  };
  await server.drive().upload(uploadOf(content));
  expect([...ports.values()]).toEqual([1 + Math.ceil(content.length / 500_000)]);
});

const dialects: fc.Arbitrary<Partial<VaultDialect>> = fc.record({
  urls: fc.constantFrom<string[]>(['/saveFile.php'], ['/v2/mime/files'], ['/saveFile.php', '/v2/mime/files']),
  unknownUrl: fc.constantFrom(404, 405, 400, 403),
  query: fc.constantFrom<VaultDialect['query']>('works', 'works', 'works', 400, 404, 405, 200, 500),
  chunkBytes: fc.constantFrom<number[] | undefined>(
    undefined,
    [limit],
    [2_000_000, 4_000_000],
    [20_000_000],
    [777_777],
  ),
  queryFinds: fc.constantFrom('path', 'etag', 'nothing'),
  etag: fc.constantFrom('reply', 'session'),
  range: fc.constantFrom('exclusive', 'inclusive', 'absent'),
  unit: fc.boolean(),
  key: fc.constantFrom('with', 'bare'),
  hash: fc.constantFrom('unchecked', 'request', 'whole'),
  oneRequestMax: fc.constantFrom(Infinity, 5_000_000),
  tooLarge: fc.constantFrom(400, 413),
  firstChunkNeedsEtag: fc.boolean(),
  misreads: fc.constantFrom(false, false, false, true),
  blindFinals: fc.constantFrom(0, 0, 1),
});

test('whatever the dialect, the file arrives as it is, and a second one too', async () => {
  await fc.assert(
    fc.asyncProperty(
      dialects,
      fc.constantFrom(limit - 100, limit + 1, 2 * limit, content.length),
      async (dialect, length) => {
        // A vault that takes chunks for files and refuses large requests takes no large files at all.
        fc.pre(
          dialect.oneRequestMax === Infinity ||
            !(dialect.misreads || (dialect.query !== 'works' && dialect.firstChunkNeedsEtag)),
        );
        await start(dialect);
        try {
          const drive = server.drive({ retries: { delayMs: 1 } });
          expect(await drive.upload(uploadOf(content.subarray(0, length)))).toMatchObject({ state: 'stored' });
          expect(isStored(content.subarray(0, length))).toBe(true);
          const other = contentOf(limit + 5, 9);
          const request = uploadOf(other, { name: 'other', sha256: sha256(other) });
          expect(await drive.upload(request)).toMatchObject({ state: 'stored' });
          expect(vault.stored.get(path.replace('a b.zip', 'other'))?.bytes.equals(other)).toBe(true);
        } finally {
          await server.stop();
        }
      },
    ),
    { numRuns: 30 },
  );
});

describe('a session that breaks', () => {
  /** Stops the first upload when `count` chunks are stored; resolves with its mark. */
  async function interrupted(count: number, dialect: Partial<VaultDialect> = {}): Promise<string> {
    await start(dialect);
    const aborting = new AbortController();
    const request = uploadOf(content);
    let mark: string | undefined;
    const upload = server.drive().upload(
      {
        ...request,
        onSession: (session) => {
          mark = session;
          count -= 1;
          if (count === 0) aborting.abort(new Error('killed'));
        },
      },
      { signal: aborting.signal },
    );
    await expect(upload).rejects.toThrow('killed');
    if (mark === undefined) throw new Error('no mark');
    vault.receivedBytes = 0;
    vault.asked.length = 0;
    return mark;
  }

  test.each([
    { range: 'exclusive' },
    { range: 'inclusive', unit: true },
    { range: 'exclusive', etag: 'session' },
    { range: 'absent', etag: 'session' },
    { range: 'absent', queryFinds: 'etag' },
    { range: 'exclusive', queryFinds: 'etag' },
    { range: 'inclusive', queryFinds: 'etag', etag: 'session' },
  ] as const)('goes on in another process without a stored chunk sent again: %j', async (dialect) => {
    const session = await interrupted(2, { chunkBytes: [2_000_000], ...dialect });
    const request = uploadOf(content, { session });
    expect(await server.drive().upload(request)).toMatchObject({ state: 'stored' });
    expect([isStored(content), vault.asked[1], vault.receivedBytes]).toEqual([
      true,
      '4000000-',
      content.length - 4_000_000,
    ]);
    expect(request.told.reads[0]).toEqual([4_000_000, 2_000_000]);
  });

  test('goes on where the vault has one chunk more than the mark', async () => {
    const session = await interrupted(2, { chunkBytes: [2_000_000] });
    const held = vault.sessions.get(path);
    if (held !== undefined) held.bytes = content.subarray(0, 6_000_000);
    await server.drive().upload(uploadOf(content, { session }));
    expect([isStored(content), vault.asked[1]]).toEqual([true, '6000000-']);
  });

  test('goes on in the middle of a chunk that a vault kept in part', async () => {
    const session = await interrupted(2, { chunkBytes: [2_000_000] });
    const held = vault.sessions.get(path);
    if (held !== undefined) held.bytes = content.subarray(0, 4_000_123);
    await server.drive().upload(uploadOf(content, { session }));
    expect([isStored(content), vault.asked[1]]).toEqual([true, '4000123-']);
  });

  test('begins anew where the vault has forgotten it', async () => {
    const session = await interrupted(2, { chunkBytes: [2_000_000] });
    vault.sessions.clear();
    const request = uploadOf(content, { session });
    await server.drive().upload(request);
    expect([isStored(content), vault.asked[1], request.told.sent[0]]).toEqual([true, '0-', 0]);
  });

  test.each(['lengthBytes', 'modified', 'name', 'sha256', 'folder'] as const)(
    'is not gone on with for other content: another %s',
    async (what) => {
      const session = await interrupted(2, { chunkBytes: [2_000_000] });
      const other = contentOf(what === 'lengthBytes' ? content.length - 1 : content.length, 2);
      const request = uploadOf(other, { session });
      const changed = {
        lengthBytes: {},
        modified: { modified: { seconds: 1, nanoseconds: 0 } },
        name: { name: 'c' },
        folder: { folder: { ...request.folder, folderNames: [] } },
        sha256: { sha256: sha256(other) },
      }[what];
      const sent = what === 'sha256' ? session.replace('{', `{"sha256":"${sha256(content)}",`) : session;
      await server.drive().upload({ ...request, ...changed, session: sent });
      const stored = [...vault.stored.values()].at(-1)?.bytes;
      expect(stored?.equals(other)).toBe(true);
    },
  );

  test.each(['', 'null', '{}', '[1]', '{"version":1}', 'x'])('the mark %j is none', async (session) => {
    await start();
    expect(await server.drive().upload(uploadOf(content, { session }))).toMatchObject({ state: 'stored' });
    expect(isStored(content)).toBe(true);
  });

  test.each([400, 409, 412, 416] as const)(
    'a session of the same path that holds somebody else\u2019s bytes, and wants to be gone on with (%d), is left alone',
    async (wrongStart) => {
      await start({ chunkBytes: [2_000_000], wrongStart });
      vault.sessions.set(path, { etag: 77, etags: new Set([77]), bytes: contentOf(2_000_000, 5) });
      expect(await server.drive().upload(uploadOf(content))).toMatchObject({ state: 'stored' });
      expect(isStored(content)).toBe(true);
    },
  );

  test('a session in the way of content that is too large for one request is no refusal of the content', async () => {
    await start({ chunkBytes: [2_000_000], wrongStart: 400, oneRequestMax: 5_000_000 });
    vault.sessions.set(path, { etag: 77, etags: new Set([77]), bytes: contentOf(2_000_000, 5) });
    expect(await failure(server.drive().upload(uploadOf(content)))).toMatchObject({ kind: 'protocol' });
    vault.sessions.clear();
    expect(await server.drive().upload(uploadOf(content))).toMatchObject({ state: 'stored' });
    expect(isStored(content)).toBe(true);
  });
});

describe('trouble with one request', () => {
  const faults: Record<string, (vault: FixtureVault) => FixtureVault['fault']> = {
    'a lost reply': (here) => (request, response) => {
      here.act(request);
      response.destroy();
      return true;
    },
    'a cut connection': () => (_request, response) => {
      response.destroy();
      return true;
    },
    'a 500': () => (_request, response) => reply(response, 500, ''),
    'a 503 after it acted': (here) => (request, response) => {
      here.act(request);
      return reply(response, 503, '');
    },
    'a 412': () => (_request, response) => reply(response, 412, 'Precondition Failed'),
    'a 409': () => (_request, response) => reply(response, 409, ''),
    'a 400': () => (_request, response) => reply(response, 400, 'Bad request'),
    'a 429': () => (_request, response) => reply(response, 429, '', { 'retry-after': '0' }),
    'a stale token': () => (_request, response) => reply(response, 401, 'Not Authorized'),
  };
  const chunks = { query: 'query', first: '0-', second: '2000000-', 'last but one': '8000000-' };
  test.each(Object.keys(faults).flatMap((fault) => Object.keys(chunks).map((chunk) => [fault, chunk] as const)))(
    '%s at the %s request is got over',
    async (fault, chunk) => {
      await start({ chunkBytes: [2_000_000], range: 'inclusive' });
      let once = true;
      const trouble = faults[fault]?.(vault);
      vault.fault = (request, response, asked) => {
        if (!once || asked !== chunks[chunk as keyof typeof chunks]) return false;
        once = false;
        return trouble?.(request, response, asked) ?? false;
      };
      expect(await server.drive().upload(uploadOf(content))).toMatchObject({ state: 'stored' });
      expect([once, isStored(content)]).toEqual([false, true]);
      // One chunk more than needed is the most that a single fault costs, unless the session itself was refused.
      if (chunk !== 'query') expect(vault.receivedBytes).toBeLessThanOrEqual(content.length + 2_000_000);
    },
  );

  test.each([
    ['a lost reply', true],
    ['a cut connection', false],
    ['a 500', false],
    ['a 503 after it acted', true],
  ] as const)('%s at the last request is unclear, and the mark leads back to it', async (fault, isDone) => {
    await start({ chunkBytes: [2_000_000] });
    const trouble = faults[fault]?.(vault);
    vault.fault = (request, response, asked) => asked.endsWith('!') && (trouble?.(request, response, asked) ?? false);
    const request = uploadOf(content);
    expect(await server.drive().upload(request)).toMatchObject({ state: 'unclear' });
    expect([isStored(content), vault.asked.filter((asked) => asked.endsWith('!'))]).toEqual([isDone, ['10000000-!']]);
    vault.fault = () => false;
    vault.asked.length = 0;
    await server.drive().upload(uploadOf(content, { session: request.told.marks.at(-1) }));
    expect([isStored(content), vault.asked[1]]).toEqual([true, isDone ? '0-' : '10000000-!']);
  });

  test('a vault that fails for good is tried a bounded number of times, and the mark stays', async () => {
    await start({ chunkBytes: [2_000_000] });
    vault.fault = (_request, response, asked) => asked === '4000000-' && reply(response, 500, '');
    const request = uploadOf(content);
    expect((await failure(server.drive().upload(request))).kind).toBe('unavailable');
    expect(vault.asked.filter((asked) => asked === '4000000-')).toHaveLength(4);
    vault.fault = () => false;
    vault.asked.length = 0;
    await server.drive().upload(uploadOf(content, { session: request.told.marks.at(-1) }));
    expect([isStored(content), vault.asked[1]]).toEqual([true, '4000000-']);
  });

  test('a token that expires in every second request is renewed each time, and the session goes on', async () => {
    await start({ chunkBytes: [2_000_000] });
    let count = 0;
    vault.fault = (_request, response) => {
      count += 1;
      return count % 2 === 0 && reply(response, 401, '');
    };
    await server.drive().upload(uploadOf(content));
    expect([isStored(content), vault.receivedBytes, new Set(vault.asked).size]).toEqual([true, content.length, 7]);
  });

  test('a refusal in words ends the upload at once', async () => {
    await start();
    vault.fault = (_request, response, asked) =>
      asked === '5242880-' && reply(response, 403, { StatusCode: 403, StatusDescription: 'Storage Quota Exceeded' });
    expect((await failure(server.drive().upload(uploadOf(content)))).kind).toBe('quota');
    expect(vault.asked).toEqual(['query', '0-', '5242880-']);
  });

  test('beforeLast that rejects before the last chunk leaves nothing to be seen, and the mark', async () => {
    await start();
    const request = uploadOf(content, { beforeLast: () => Promise.reject(new RemoteError('conflict', 'changed')) });
    expect((await failure(server.drive().upload(request))).kind).toBe('conflict');
    expect([vault.stored.size, vault.asked, request.told.marks.length]).toEqual([0, ['query', '0-', '5242880-'], 2]);
  });
});

describe('servers of their own kind', () => {
  test('a first chunk taken for the whole file is mended by one request of all, and remembered', async () => {
    await start({ query: 404, firstChunkNeedsEtag: true });
    const drive = server.drive();
    const request = uploadOf(content);
    expect(await drive.upload(request)).toMatchObject({ state: 'stored' });
    expect([isStored(content), vault.asked]).toEqual([true, ['query', 'query', '0-', '0-!']]);
    // A part was visible: the check comes before that, too.
    expect(request.told.beforeLast).toBe(2);
    vault.asked.length = 0;
    await drive.upload(uploadOf(content, { name: 'next' }));
    expect(vault.asked).toEqual(['0-!']);
  });

  test('where only a part was stored in the end, that is not nothing', async () => {
    await start({ misreads: true });
    vault.fault = (_request, response, asked) => asked === '0-!' && reply(response, 400, 'Invalid File Name');
    expect(await server.drive().upload(uploadOf(content))).toMatchObject({ state: 'unclear' });
    expect(storedFile()?.length).toBe(limit);
  });

  test('chunks of 5 MiB refused with 413 are sent as 5,000,000 bytes from then on', async () => {
    await start({ chunkBytes: undefined });
    vault.fault = (request, response) =>
      (formParts(request)[0]?.bytes.length ?? 0) > 5_000_000 && reply(response, 413, '');
    const drive = server.drive();
    await drive.upload(uploadOf(content));
    expect([isStored(content), vault.asked]).toEqual([true, ['query', '0-', 'query', '0-', '5000000-', '10000000-!']]);
    await drive.upload(uploadOf(content.subarray(0, 5_100_000), { name: 'next' }));
    expect(vault.asked.slice(6)).toEqual(['query', '0-', '5000000-!']);
  });

  test('a whole file refused with 413 goes in chunks, and one too large for those as well is too large', async () => {
    await start({ oneRequestMax: 3_000_000, chunkBytes: [2_000_000] });
    await server.drive().upload(uploadOf(content.subarray(0, 4_500_000)));
    expect(vault.asked).toEqual(['0-!', 'query', '0-', '2000000-', '4000000-!']);
    vault.fault = (_request, response, asked) => asked !== 'query' && reply(response, 413, '');
    expect((await failure(server.drive().upload(uploadOf(content)))).kind).toBe('too-large');
  });

  test('the whole file\u2019s hash in the last chunk is found out by a 400, and remembered', async () => {
    await start({ hash: 'whole' });
    const drive = server.drive();
    await drive.upload(uploadOf(content));
    expect([isStored(content), vault.asked]).toEqual([
      true,
      ['query', '0-', '5242880-', '10485760-!', 'query', '10485760-!'],
    ]);
    vault.asked.length = 0;
    await drive.upload(uploadOf(content, { name: 'next' }));
    expect(vault.asked).toEqual(['query', '0-', '5242880-', '10485760-!']);
  });

  test('a last chunk whose end was not seen is ended by an empty one', async () => {
    await start({ blindFinals: 1 });
    const request = uploadOf(content);
    expect(await server.drive().upload(request)).toMatchObject({ state: 'stored' });
    expect([isStored(content), vault.asked.slice(-3)]).toEqual([true, ['10485760-!', 'query', `${content.length}-!`]]);
    const last = uploads().at(-1);
    expect(
      last &&
        formParts(last)
          .slice(0, 2)
          .map((part) => part.bytes.length),
    ).toEqual([0, 0]);
    expect(request.told.beforeLast).toBe(2);
  });

  test('a vault that never ends a session is given the whole file', async () => {
    await start({ blindFinals: 100 });
    expect(await server.drive().upload(uploadOf(content))).toMatchObject({ state: 'stored' });
    expect([isStored(content), vault.asked.at(-1)]).toEqual([true, '0-!']);
  });

  test('Range that fits nothing sent leads to one request of all', async () => {
    await start({});
    const chunkRoute = vault.route;
    server.routes.splice(0, server.routes.length, (request, response) => {
      const writeHead = response.writeHead.bind(response);
      response.writeHead = ((status: number, headers: Record<string, string>) =>
        writeHead(status, status === 308 ? { ...headers, range: '0-1234567' } : headers)) as typeof response.writeHead;
      return chunkRoute(request, response);
    });
    expect(await server.drive().upload(uploadOf(content))).toMatchObject({ state: 'stored' });
    expect([isStored(content), vault.asked.at(-1)]).toEqual([true, '0-!']);
  });

  test('several uploads at once do not mix', async () => {
    await start({ chunkBytes: [1_000_000] });
    const drive = server.drive();
    const all = Array.from({ length: 6 }, (_, index) => contentOf(limit + 1 + index * 1000, index));
    await Promise.all(all.map((bytes, index) => drive.upload(uploadOf(bytes, { name: `f${index}` }))));
    for (const [index, bytes] of all.entries()) {
      expect(vault.stored.get(path.replace('a b.zip', `f${index}`))?.bytes.equals(bytes)).toBe(true);
    }
  });

  test('308 is never followed, even with a Location', async () => {
    await start();
    const chunkRoute = vault.route;
    server.routes.splice(0, server.routes.length, (request, response) => {
      response.setHeader('location', `${server.url}/elsewhere`);
      return chunkRoute(request, response);
    });
    await server.drive().upload(uploadOf(content));
    expect([isStored(content), server.count('/elsewhere')]).toEqual([true, 0]);
  });
});

test.each([400, 409, 412] as const)(
  'the hash of the whole file is found out also where each query begins another session, which answers %d',
  async (wrongStart) => {
    await start({ hash: 'whole', queryFinds: 'nothing', range: 'absent', wrongStart });
    const drive = server.drive();
    expect(await drive.upload(uploadOf(content))).toMatchObject({ state: 'stored' });
    expect(isStored(content)).toBe(true);
    const before = vault.asked.length;
    await drive.upload(uploadOf(content));
    expect(vault.asked.slice(before)).toEqual(['query', '0-', '5242880-', '10485760-!']);
  },
);

test('a web page in place of an answer to a chunk says nothing of what the vault makes of chunks', async () => {
  await start();
  let asked = 0;
  vault.fault = (_request, response) => {
    asked += 1;
    if (asked !== 2) return false;
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><title>Sign in</title>');
    return true;
  };
  const drive = server.drive();
  expect(await drive.upload(uploadOf(content))).toMatchObject({ state: 'stored' });
  expect([isStored(content), vault.asked]).toEqual([true, ['query', '0-', 'query', '0-', '5242880-', '10485760-!']]);
});

test('a vault whose chunks looked misread gets chunks again where it takes nothing longer', async () => {
  await start({ misreads: true, oneRequestMax: limit });
  const drive = server.drive();
  for (let time = 0; time < 2; time += 1)
    expect(await drive.upload(uploadOf(content))).toMatchObject({ state: 'unclear' });
  Object.assign(vault.dialect, { misreads: false });
  expect(await drive.upload(uploadOf(content))).toMatchObject({ state: 'stored' });
  const before = uploads().length;
  expect(await drive.upload(uploadOf(content))).toMatchObject({ state: 'stored' });
  expect(
    Math.max(
      ...uploads()
        .slice(before)
        .map(({ bytes }) => bytes.length),
    ),
  ).toBeLessThan(limit + 2_000);
});
