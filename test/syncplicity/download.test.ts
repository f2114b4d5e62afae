// Downloads: every behaviour of ranges a vault may show, every way a reply can lie, streams, addresses and storage tokens.
import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import type { ContentReference, ContentStream, SyncpointId, VaultId, VersionId } from '../../src/remote-drive.ts';
import { parseContentRange } from '../../src/syncplicity/download/content-range.ts';
import { FixtureServer, reply, sendRange, vaultId } from './fixture-server.ts';
import type { Recorded, Route } from './fixture-server.ts';

let server: FixtureServer;
afterEach(() => server.stop());

const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 253));
const version: ContentReference = {
  syncpointId: '3' as SyncpointId,
  versionId: '9' as VersionId,
  vaultId: vaultId as VaultId,
  lengthBytes: content.length,
};

async function bytesOf(stream: ContentStream): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

type Vault = (request: Recorded, response: ServerResponse) => true;
const onRetrieve =
  (vault: Vault): Route =>
  (request, response) =>
    request.path === '/retrieveFile.php' && vault(request, response);

const whole: Vault = (_request, response) => {
  response.writeHead(200, { 'content-length': content.length }).end(content);
  return true;
};
const chunked: Vault = (_request, response) => {
  response.writeHead(200).end(content);
  return true;
};
const part = (
  response: ServerResponse,
  start: number,
  end: number,
  status: number,
  headers: Record<string, string | number> = {},
): true => {
  response.writeHead(status, { 'content-length': end - start, ...headers }).end(content.subarray(start, end));
  return true;
};
const rangeOf = (request: Recorded): RegExpExecArray | null =>
  /^(bytes=)?(\d+)-(\d*)$/.exec(request.headers.range ?? '');

const vaults: Record<string, { vault: Vault; support: string; requests: number }> = {
  bounded: { vault: (request, response) => sendRange(request, response, content), support: 'bounded', requests: 1 },
  'open only, ends ignored': {
    vault: (request, response) => {
      const range = rangeOf(request);
      const start = Number(range?.[2]);
      if (range?.[1] === undefined) return whole(request, response);
      return part(response, start, content.length, 206, { 'content-range': `bytes ${start}-${content.length - 1}/*` });
    },
    support: 'open',
    requests: 1,
  },
  'bytes=a- only': {
    vault: (request, response) => {
      const range = rangeOf(request);
      if (range?.[1] === undefined || range[3] !== '') return whole(request, response);
      const start = Number(range[2]);
      return part(response, start, content.length, 206, {
        'content-range': `bytes ${start}-${content.length - 1}/${content.length}`,
      });
    },
    support: 'open',
    requests: 2,
  },
  'raw only, 200 with the rest': {
    vault: (request, response) => {
      const range = rangeOf(request);
      if (range === null) return whole(request, response);
      if (range[1] !== undefined) return reply(response, 400, 'Bad request');
      return part(response, Number(range[2]), content.length, 200);
    },
    support: 'open',
    requests: 3,
  },
  none: { vault: whole, support: 'none', requests: 4 },
  'none, without lengths': { vault: chunked, support: 'none', requests: 4 },
  '416 for all': {
    vault: (request, response) =>
      request.headers.range === undefined ? whole(request, response) : reply(response, 416, ''),
    support: 'none',
    requests: 4,
  },
};

test.each(Object.entries(vaults))('a vault with ranges %s', async (_name, { vault, support, requests }) => {
  server = await FixtureServer.start(onRetrieve(vault));
  const drive = server.drive();
  const read = async (offsetBytes: number, lengthBytes: number): Promise<void> => {
    const stream = await drive.read(version, { offsetBytes, lengthBytes });
    expect(stream.offsetBytes).toBeLessThanOrEqual(offsetBytes);
    expect(stream.endBytes).toBeGreaterThanOrEqual(offsetBytes + lengthBytes);
    const bytes = await bytesOf(stream);
    expect(bytes.equals(content.subarray(stream.offsetBytes, stream.endBytes))).toBe(true);
  };
  await read(1000, 500);
  expect(drive.rangeSupport(version)).toBe(support);
  expect(server.count('/retrieveFile.php')).toBe(requests);
  await read(200_000, 100);
  expect(server.count('/retrieveFile.php')).toBe(requests + 1);
  await read(content.length - 1, 1);
  await read(0, 10);
  await read(0, content.length);
  expect(drive.rangeSupport(version)).toBe(support);
});

const lies: Record<string, Vault> = {
  'another start': (_request, response) =>
    part(response, 5, 505, 206, { 'content-range': `bytes 5-504/${content.length}` }),
  'another total': (_request, response) => part(response, 1000, 1500, 206, { 'content-range': 'bytes 1000-1499/1500' }),
  'no Content-Range': (_request, response) => part(response, 1000, 1500, 206),
  'an unreadable Content-Range': (_request, response) =>
    part(response, 1000, 1500, 206, { 'content-range': 'bytes 1499-1000/x' }),
  'too few': (_request, response) =>
    part(response, 1000, 1400, 206, { 'content-range': `bytes 1000-1399/${content.length}` }),
  'a length that belies its range': (_request, response) =>
    part(response, 1000, 1400, 206, { 'content-range': `bytes 1000-1499/${content.length}` }),
  'another length': (_request, response) => part(response, 0, 1234, 200),
  'an encoded body': (_request, response) =>
    part(response, 1000, 1500, 206, {
      'content-range': `bytes 1000-1499/${content.length}`,
      'content-encoding': 'gzip',
    }),
  'a redirect': (_request, response) => reply(response, 302, '', { location: '/retrieveFile.php?elsewhere' }),
  'nothing at all': (_request, response) => reply(response, 204, ''),
};

test.each(Object.entries(lies))('a reply with %s is an error, never data', async (_name, vault) => {
  server = await FixtureServer.start(onRetrieve(vault));
  const error: unknown = await server
    .drive()
    .read(version, { offsetBytes: 1000, lengthBytes: 500 })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RemoteError);
  expect(['protocol', 'unavailable']).toContain((error as RemoteError).kind);
  expect(server.requests.every((request) => !request.query.has('elsewhere'))).toBe(true);
});

test('a fault of a vault that is known to give ranges is tried again, not believed', async () => {
  let faults = 0;
  server = await FixtureServer.start(
    onRetrieve((request, response) =>
      faults-- > 0 ? whole(request, response) : sendRange(request, response, content),
    ),
  );
  const drive = server.drive();
  await bytesOf(await drive.read(version, { offsetBytes: 1, lengthBytes: 5 }));
  faults = 1;
  const stream = await drive.read(version, { offsetBytes: 1000, lengthBytes: 5 });
  expect([stream.offsetBytes, stream.endBytes]).toEqual([1000, 1005]);
  stream.close();
  expect(drive.rangeSupport(version)).toBe('bounded');
});

test.each([
  [0, 0],
  [-1, 5],
  [300_000, 1],
  [299_999, 2],
  [NaN, 1],
])('asking for %d and %d bytes reaches no vault', async (offsetBytes, lengthBytes) => {
  server = await FixtureServer.start();
  await expect(server.drive().read(version, { offsetBytes, lengthBytes })).rejects.toMatchObject({ kind: 'protocol' });
  expect(server.requests).toHaveLength(0);
});

test.each(['content-length', 'chunked'])('a body cut short (%s) throws unavailable', async (how) => {
  server = await FixtureServer.start(
    onRetrieve((_request, response) => {
      if (how === 'content-length')
        response
          .writeHead(200, { 'content-length': content.length })
          .write(content.subarray(0, 9000), () => response.destroy());
      else response.writeHead(200).end(content.subarray(0, 9000));
      return true;
    }),
  );
  const stream = await server.drive().read(version, { offsetBytes: 0, lengthBytes: content.length });
  await expect(bytesOf(stream)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('a body longer than its file throws and gives out no byte too many', async () => {
  server = await FixtureServer.start(
    onRetrieve((_request, response) => {
      response.writeHead(200).end(Buffer.concat([content, Buffer.alloc(5000)]));
      return true;
    }),
  );
  const stream = await server.drive().read(version, { offsetBytes: 0, lengthBytes: content.length });
  let bytes = 0;
  await expect(
    (async () => {
      for await (const chunk of stream) bytes += chunk.length;
    })(),
  ).rejects.toMatchObject({ kind: 'unavailable' });
  expect(bytes).toBeLessThanOrEqual(content.length);
});

test('a body that stands still throws unavailable', async () => {
  server = await FixtureServer.start(
    onRetrieve((_request, response) => {
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 9000));
      return true;
    }),
  );
  const stream = await server
    .drive({ timeouts: { bodyIdleMs: 200 } })
    .read(version, { offsetBytes: 0, lengthBytes: content.length });
  await expect(bytesOf(stream)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('close gives the connection back at once, and may be called twice', async () => {
  let closed: () => void;
  const close = new Promise<void>((resolve) => (closed = resolve));
  server = await FixtureServer.start(
    onRetrieve((_request, response) => {
      response.on('close', () => closed());
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 9000));
      return true;
    }),
  );
  const stream = await server.drive().read(version, { offsetBytes: 0, lengthBytes: content.length });
  stream.close();
  stream.close();
  await close;
});

test('close ends an iteration under way and says nothing bad about the vault', async () => {
  server = await FixtureServer.start(
    onRetrieve((_request, response) => {
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 9000));
      return true;
    }),
  );
  const drive = server.drive();
  const stream = await drive.read(version, { offsetBytes: 0, lengthBytes: content.length });
  const bytes = bytesOf(stream);
  stream.close();
  await expect(bytes).rejects.toMatchObject({
    kind: 'unavailable',
    message: 'download of version 9 of syncpoint 3: the stream was closed',
  });
  expect(drive.statistics().online).toBe(true);
});

test('an abort ends the stream with its reason', async () => {
  server = await FixtureServer.start(
    onRetrieve((_request, response) => {
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 9000));
      return true;
    }),
  );
  const controller = new AbortController();
  const reason = new Error('enough');
  const stream = await server
    .drive()
    .read(version, { offsetBytes: 0, lengthBytes: content.length }, { signal: controller.signal });
  const bytes = bytesOf(stream);
  controller.abort(reason);
  await expect(bytes).rejects.toBe(reason);
});

test('a reader that does not read holds the vault back', async () => {
  const total = 64 << 20;
  let sent = 0;
  server = await FixtureServer.start(
    onRetrieve((_request, response) => {
      response.writeHead(200, { 'content-length': total });
      const piece = Buffer.alloc(1 << 16);
      const more = (): void => {
        while (sent < total) {
          sent += piece.length;
          if (!response.write(piece)) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      more();
      return true;
    }),
  );
  const stream = await server.drive().read({ ...version, lengthBytes: total }, { offsetBytes: 0, lengthBytes: total });
  let before = -1;
  while (before !== sent) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(sent).toBeLessThan(total / 2);
  stream.close();
});

test('a vault with only the newer URL is found, remembered, and asked alone', async () => {
  server = await FixtureServer.start(
    (request, response) => request.path === '/v2/files' && sendRange(request, response, content),
  );
  const drive = server.drive();
  await bytesOf(await drive.read(version, { offsetBytes: 1, lengthBytes: 5 }));
  await bytesOf(await drive.read(version, { offsetBytes: 1, lengthBytes: 5 }));
  expect([server.count('/retrieveFile.php'), server.count('/v2/files')]).toEqual([1, 2]);
  expect(server.requests.at(-1)?.query.toString()).toBe('syncpoint_id=3&file_version_id=9');
  expect(drive.statistics().capabilities.vaults).toEqual({
    [vaultId]: { ranges: 'bounded', download: 'v2/files GET' },
  });
});

test.each([
  [400, 'Bad Request'],
  [403, 'Forbidden'],
  [403, 'The request was blocked'],
])(
  'a vault that answers %d %s to the documented URL is asked by the newer one, and that is remembered',
  async (status, text) => {
    server = await FixtureServer.start(
      onRetrieve((_request, response) => reply(response, status, { StatusDescription: text })),
      (request, response) => request.path === '/v2/files' && sendRange(request, response, content),
    );
    const drive = server.drive();
    await bytesOf(await drive.read(version, { offsetBytes: 1, lengthBytes: 5 }));
    const asked = server.count('/retrieveFile.php');
    const bytes = await bytesOf(await drive.read(version, { offsetBytes: 7, lengthBytes: 5 }));
    expect(bytes.equals(content.subarray(7, 12))).toBe(true);
    expect([server.count('/retrieveFile.php'), server.count('/v2/files')]).toEqual([asked, 2]);
  },
);

test('a vault that refuses the documented URL and knows the newer one without ranges is read', async () => {
  server = await FixtureServer.start(
    onRetrieve((_request, response) => reply(response, 403, 'blocked')),
    (request, response) =>
      request.path === '/v2/files' &&
      (request.headers.range === undefined ? whole(request, response) : reply(response, 400, 'Bad range')),
  );
  const stream = await server.drive().read(version, { offsetBytes: 1000, lengthBytes: 5 });
  expect((await bytesOf(stream)).equals(content)).toBe(true);
});

test.each([
  [403, 'User Not Authorized For Action', 'forbidden', 0],
  [403, 'Syncpoint Shared With Reader Permission', 'forbidden', 0],
  [400, 'Invalid File ID', 'not-found', 0],
  [403, 'blocked', 'forbidden', 1],
])('a refusal %d %s is %s (requests by the newer URL: %d)', async (status, text, kind, asked) => {
  server = await FixtureServer.start(
    onRetrieve((_request, response) => reply(response, status, { StatusDescription: text })),
  );
  const read = server.drive().read(version, { offsetBytes: 0, lengthBytes: content.length });
  await expect(read).rejects.toMatchObject({ kind });
  expect(server.count('/v2/files')).toBe(asked);
});

test('once the documented URL worked, a refusal is believed at once', async () => {
  let refuses = false;
  server = await FixtureServer.start(
    onRetrieve((request, response) =>
      refuses ? reply(response, 403, 'blocked') : sendRange(request, response, content),
    ),
  );
  const drive = server.drive();
  await bytesOf(await drive.read(version, { offsetBytes: 1, lengthBytes: 5 }));
  refuses = true;
  await expect(drive.read(version, { offsetBytes: 1, lengthBytes: 5 })).rejects.toMatchObject({ kind: 'forbidden' });
  expect(server.count('/v2/files')).toBe(0);
});

test('a version that neither URL knows is not-found', async () => {
  server = await FixtureServer.start();
  await expect(server.drive().read(version, { offsetBytes: 0, lengthBytes: 5 })).rejects.toMatchObject({
    kind: 'not-found',
  });
});

test('a token the vault refuses is renewed once', async () => {
  server = await FixtureServer.start(
    onRetrieve((request, response) =>
      request.headers.authorization === 'Bearer tok-1'
        ? reply(response, 401, '')
        : sendRange(request, response, content),
    ),
  );
  await bytesOf(await server.drive().read(version, { offsetBytes: 1, lengthBytes: 5 }));
  expect(server.tokensIssued).toBe(2);
});

const endpoints =
  (list: unknown, byId: Record<string, unknown>, fallback?: unknown): Route =>
  (request, response) => {
    if (request.path === '/storage/storageendpoints.svc/') return reply(response, 200, list);
    if (!request.path.startsWith('/storage/storageendpoint.svc/')) return false;
    const id = request.path.slice('/storage/storageendpoint.svc/'.length);
    if (id === '') return reply(response, 200, fallback ?? {});
    return id in byId
      ? reply(response, 200, byId[id])
      : reply(response, 403, { StatusDescription: 'User Not Authorized For Action' });
  };

test('a dead address of a vault is passed over for the next one', async () => {
  const gone = await FixtureServer.start();
  const dead = gone.url;
  await gone.stop();
  server = await FixtureServer.start(
    (request, response) =>
      endpoints(
        [{ Id: vaultId, Name: 'v', Urls: [{ Url: dead }, { Url: 'http://example.com' }, { Url: server.url }] }],
        {},
      )(request, response),
    onRetrieve((request, response) => sendRange(request, response, content)),
  );
  await bytesOf(await server.drive().read(version, { offsetBytes: 1, lengthBytes: 5 }));
});

test('who tries again by itself is told of trouble at once, and of a vault that asks to be asked later not at all', async () => {
  let status = 500;
  server = await FixtureServer.start(
    onRetrieve((request, response) => {
      if (status === 200) return sendRange(request, response, content);
      reply(response, status, {}, status === 429 ? { 'retry-after': '0' } : {});
      status = status === 429 ? 200 : status;
      return true;
    }),
  );
  const drive = server.drive();
  const read = (once: boolean): Promise<ContentStream> =>
    drive.read(version, { offsetBytes: 1, lengthBytes: 5 }, { once });
  await expect(read(true)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(server.count('/retrieveFile.php')).toBe(1);
  await expect(read(false)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(server.count('/retrieveFile.php')).toBe(5);
  status = 429;
  await bytesOf(await read(true));
});

test('a vault that is down is looked for again once, not with each read', async () => {
  server = await FixtureServer.start(onRetrieve((_request, response) => reply(response, 500, {})));
  const drive = server.drive();
  for (let reads = 0; reads < 5; reads += 1) {
    await expect(drive.read(version, { offsetBytes: 1, lengthBytes: 5 })).rejects.toMatchObject({
      kind: 'unavailable',
    });
  }
  expect(server.count('/storage/storageendpoints')).toBe(2);
});

test('a vault that moved, and left another server behind, is found again', async () => {
  let at = '/gone';
  server = await FixtureServer.start(
    (request, response) =>
      endpoints([{ Id: vaultId, Name: 'v', Urls: [{ Url: server.url + at }] }], {})(request, response),
    onRetrieve((request, response) => sendRange(request, response, content)),
  );
  const drive = server.drive();
  const read = (): Promise<Buffer> =>
    drive.read(version, { offsetBytes: 1, lengthBytes: 5 }).then((stream) => bytesOf(stream));
  await expect(read()).rejects.toMatchObject({ kind: 'not-found' });
  await expect(read()).rejects.toMatchObject({ kind: 'not-found' });
  // Asked for again once a minute.
  expect(server.count('/storage/storageendpoints')).toBe(2);

  server.routes.unshift((request) => {
    if (request.path.startsWith('/gone')) at = '';
    return false;
  });
  const other = server.drive();
  expect(await bytesOf(await other.read(version, { offsetBytes: 1, lengthBytes: 5 }))).toEqual(content.subarray(1, 6));
});

test('a version that a vault says to be gone is not looked for elsewhere', async () => {
  server = await FixtureServer.start((request, response) => {
    if (!/\/(retrieveFile\.php|v2\/files)$/.test(request.path)) return false;
    return reply(response, 404, { StatusCode: 404, StatusDescription: 'File Not Found' });
  });
  const reading = server.drive().read(version, { offsetBytes: 1, lengthBytes: 5 });
  await expect(reading).rejects.toMatchObject({ kind: 'not-found' });
  expect(server.count('/storage/storageendpoints')).toBe(1);
});

test.each(['by id', 'by default'])('a vault missing in the list is found %s', async (how) => {
  const endpoint = (): unknown => [{ Id: vaultId, Name: 'v', Urls: [{ Url: server.url }] }];
  server = await FixtureServer.start(
    (request, response) =>
      endpoints([], how === 'by id' ? { [vaultId]: endpoint() } : {}, endpoint())(request, response),
    onRetrieve((request, response) => sendRange(request, response, content)),
  );
  await bytesOf(await server.drive().read(version, { offsetBytes: 1, lengthBytes: 5 }));
});

test('no token goes to a vault over http on another machine', async () => {
  server = await FixtureServer.start(
    endpoints([{ Id: vaultId, Name: 'v', Urls: [{ Url: 'http://vault.example.test' }] }], {}),
  );
  await expect(server.drive().read(version, { offsetBytes: 1, lengthBytes: 5 })).rejects.toMatchObject({
    kind: 'protocol',
    message: /not https/ as unknown as string,
  });
});

test('the storage token goes to vaults that ask for it, and nowhere else', async () => {
  const second = '22222222-2222-2222-2222-222222222222';
  server = await FixtureServer.start(
    (request, response) =>
      endpoints(
        [
          { Id: vaultId, Name: 'sva', Urls: [{ Url: server.url }], RequiresStorageAuthentication: 'true' },
          { Id: second, Name: 'plain', Urls: [server.url] },
        ],
        {},
      )(request, response),
    onRetrieve((request, response) => sendRange(request, response, content)),
  );
  const credentials = { clientId: 'k', clientSecret: 's', appToken: 'a' };
  const withToken = server.drive({ credentials: { ...credentials, storageToken: 'SSOUser-1' } });
  await bytesOf(await withToken.read(version, { offsetBytes: 1, lengthBytes: 5 }));
  await bytesOf(await withToken.read({ ...version, vaultId: second as VaultId }, { offsetBytes: 1, lengthBytes: 5 }));
  expect(
    server.requests
      .map((request) => request.headers['syncplicity-storage-authorization'])
      .filter((token) => token !== undefined),
  ).toEqual(['SSOUser-1']);
  await expect(server.drive({ credentials }).read(version, { offsetBytes: 1, lengthBytes: 5 })).rejects.toMatchObject({
    kind: 'unauthenticated',
  });
});

test('Content-Range is read strictly', () => {
  expect(parseContentRange('bytes 5-9/10')).toEqual({ startBytes: 5, endBytes: 10, totalBytes: 10 });
  expect(parseContentRange('5-9/*')).toEqual({ startBytes: 5, endBytes: 10, totalBytes: undefined });
  for (const value of [
    undefined,
    '',
    'bytes */10',
    'bytes 9-5/10',
    'bytes 5-10/10',
    'bytes 5-9',
    'items 5-9/10',
    'bytes -5/10',
  ])
    expect(parseContentRange(value)).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (start, length, rest) => {
      expect(parseContentRange(`bytes ${start}-${start + length}/${start + length + 1 + rest}`)).toEqual({
        startBytes: start,
        endBytes: start + length + 1,
        totalBytes: start + length + 1 + rest,
      });
    }),
  );
});
