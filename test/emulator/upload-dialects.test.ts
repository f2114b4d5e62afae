// Each reading of the upload protocol, as a client meets it.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { dialects } from '../../src/emulator/dialect.ts';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { StoreRefusal } from '../../src/emulator/store.ts';
import type { Staged } from '../../src/emulator/store.ts';
import { fileNamed, listed, Services, textOf, tree } from './stores.ts';
import type { Service } from './stores.ts';
import { chunk, query, sha256, told, upload, usualParts } from './upload-client.ts';
import type { UploadChanges } from './upload-client.ts';

const services = new Services();
afterEach(() => services.stop());

function start(dialect: Partial<Dialect>): Promise<Service> {
  return services.start('memory', { dialect });
}

function etagOf(response: Response): string {
  return response.headers.get('etag') ?? '';
}

/** What a client that knows each reading does for one file: the least that every dialect takes. */
async function uploadSomehow(service: Service, path: string, bytes: string, dialect: Dialect): Promise<void> {
  const changes: UploadChanges = {
    url: dialect.uploads === 'v2' ? 'v2/mime/files' : 'saveFile.php',
    sessionKey: `${dialect.sessionKey === 'bare' ? '' : 'Bearer '}${service.session.token}`,
  };
  const parts = [{ name: 'sessionKey', value: changes.sessionKey ?? '' }];
  const half = Math.ceil(bytes.length / 2);
  const begun =
    dialect.queryStep === 'supported'
      ? await query(service, path, { ...changes, parts })
      : await upload(service, path, bytes.slice(0, half), { ...changes, isLast: false });
  expect(begun.status).toBe(308);
  let start = dialect.queryStep === 'supported' ? 0 : half;
  let etag = etagOf(begun);
  if (start === 0) {
    const first = await chunk(service, path, bytes.slice(0, half), { ...changes, start, ifMatch: etag });
    expect(first.status).toBe(308);
    start = half;
    etag = etagOf(first);
  }
  const rest = bytes.slice(half);
  const hash = dialect.sha256Part === 'of-whole' ? sha256(bytes) : sha256(rest);
  const last = await chunk(service, path, rest, { ...changes, start, ifMatch: etag, isLast: true, sha256: hash });
  expect(last.status).toBe(dialect.uploadReply === 'empty' ? 201 : 200);
}

test.each(Object.entries(dialects))('%s stores a file in chunks', async (_name, dialect) => {
  const service = await start({ ...dialect, listingLagMs: 0 });
  await uploadSomehow(service, '\\a', '0123456789', dialect);
  expect(await tree(service)).toEqual({ a: '0123456789' });
});

describe('replies', () => {
  test.each<[Partial<Dialect>, UploadChanges['url'], string]>([
    [{}, 'saveFile.php', '200 Stored'],
    [{ uploads: 'v2' }, 'saveFile.php', '404 Not Found'],
    [{ uploads: 'saveFile' }, 'v2/mime/files', '404 Not Found'],
    [{ uploadReply: 'text' }, 'v2/mime/files', '200 Stored'],
    [{ uploadReply: 'json' }, 'saveFile.php', '200 {"data_file_id":264000002,"data_file_version_id":990000000001}'],
    [{ uploadReply: 'empty' }, 'saveFile.php', '201 Created'],
  ])('%o at %s', async (dialect, url = 'saveFile.php', expected) => {
    expect(await told(upload(await start(dialect), 'a', 'x', { url }))).toBe(expected);
  });

  test.each<[Partial<Dialect>, string | null, string | null, string | null]>([
    [{}, '0-0', '0-4', '4'],
    [{ rangeUnit: true }, 'bytes=0-0', 'bytes=0-4', '4'],
    [{ rangeReply: 'inclusive' }, null, '0-3', '4'],
    [{ rangeReply: 'absent' }, null, null, '4'],
    [{ chunkSizeTold: false }, '0-0', '0-4', null],
    [{ chunkSizes: 'halving' }, '0-0', '0-4', '4'],
  ])('%o: Range and Syncplicity-Chunk-Size of a 308', async (dialect, atFirst, later, size) => {
    const service = await start({ chunkSizeBytes: 4, ...dialect });
    let reply = await query(service, 'a');
    expect(reply.headers.get('range')).toBe(atFirst);
    if (dialect.chunkSizes === 'halving') {
      expect(reply.headers.get('syncplicity-chunk-size')).toBe('2');
      expect((await chunk(service, 'a', '012', { start: 0, ifMatch: etagOf(reply) })).status).toBe(413);
      reply = await chunk(service, 'a', '01', {
        start: 0,
        ifMatch: etagOf(await query(service, 'a', { ifMatch: etagOf(reply) })),
      });
      return;
    }
    const next = await chunk(service, 'a', '0123', { start: 0, ifMatch: etagOf(reply) });
    expect([next.headers.get('range'), next.headers.get('syncplicity-chunk-size')]).toEqual([later, size]);
  });

  test('one ETag for the session, with or without quotes', async () => {
    const service = await start({ etag: 'per-session', etagQuotes: false });
    const begun = await query(service, 'a');
    expect(etagOf(begun)).toMatch(/^[\w-]+\.0$/);
    const first = await chunk(service, 'a', '01', { start: 0, ifMatch: etagOf(begun) });
    expect(etagOf(first)).toBe(etagOf(begun));
    expect(await told(chunk(service, 'a', '2', { start: 2, ifMatch: etagOf(begun), isLast: true }))).toBe('200 Stored');
  });
});

describe('requests', () => {
  test.each<[Dialect['sessionKey'], number, number]>([
    ['bearer', 200, 401],
    ['bare', 401, 200],
    ['either', 200, 200],
  ])('a sessionKey that is %s', async (sessionKey, withPrefix, without) => {
    const service = await start({ sessionKey });
    const { token } = service.session;
    expect((await upload(service, 'a', 'x', { sessionKey: `Bearer ${token}` })).status).toBe(withPrefix);
    expect((await upload(service, 'a', 'x', { sessionKey: token })).status).toBe(without);
  });

  test.each<[Dialect['sha256Part'], readonly [number, number, number]]>([
    ['unchecked', [308, 200, 200]],
    ['of-request', [400, 400, 200]],
    ['of-whole', [308, 200, 400]],
  ])(
    'sha256 %s: a wrong one of a first chunk; of the last chunk that of all, that of itself',
    async (part, expected) => {
      const service = await start({ sha256Part: part });
      const statuses: number[] = [];
      const wrong = await chunk(service, 'a', '01', {
        start: 0,
        ifMatch: etagOf(await query(service, 'a')),
        sha256: sha256('no'),
      });
      statuses.push(wrong.status);
      for (const hash of [sha256('0123'), sha256('23')]) {
        const first = await chunk(service, 'a', '01', { start: 0, ifMatch: etagOf(await query(service, 'a')) });
        const last = await chunk(service, 'a', '23', { start: 2, ifMatch: etagOf(first), isLast: true, sha256: hash });
        statuses.push(last.status);
      }
      expect(statuses).toEqual(expected);
    },
  );

  test('a chunk refused for its hash can be sent again', async () => {
    const service = await start({});
    const first = await chunk(service, 'a', '01', { start: 0, ifMatch: etagOf(await query(service, 'a')) });
    const ifMatch = etagOf(first);
    expect((await chunk(service, 'a', '23', { start: 2, ifMatch, isLast: true, sha256: sha256('no') })).status).toBe(
      400,
    );
    expect((await chunk(service, 'a', '23', { start: 2, ifMatch, isLast: true })).status).toBe(200);
    expect(await tree(service)).toEqual({ a: '0123' });
  });

  test('the smallest known form', async () => {
    const service = await start({ formParts: 'minimum' });
    const parts = usualParts(service, 'x').filter(({ name }) => /fileData|sessionKey|virtualFolderId/.test(name));
    expect(await told(upload(service, 'a', '', { parts, contentRange: undefined }))).toBe('200 Stored');
    expect(Number((await fileNamed(service, 'a')).modified / 10_000n)).toBeGreaterThan(Date.now() - 60_000);
  });

  test.each<[Dialect['queryStep'], string]>([
    ['supported', '308 Resume Incomplete'],
    ['200', '200 Stored'],
    ['400', '400 Bad request'],
    ['404', '404 Bad request'],
    ['405', '405 Bad request'],
  ])('a query where it is %s stores nothing', async (queryStep, expected) => {
    for (const withoutIfMatch of ['session', 'whole-file'] as const) {
      const service = await start({ queryStep, withoutIfMatch });
      expect(await told(query(service, 'a'))).toBe(expected);
      expect(await tree(service)).toEqual({});
      const body = await told(upload(service, 'a', 'x', { contentRange: '*/*' }));
      expect(body).toBe(queryStep === 'supported' ? '308 Resume Incomplete' : '200 Stored');
    }
  });

  test('without If-Match a request is the whole file, or begins a session', async () => {
    const whole = await start({});
    expect(await told(upload(whole, 'a', '01', { isLast: false }))).toBe('200 Stored');
    expect(await tree(whole)).toEqual({ a: '01' });
    const session = await start({ withoutIfMatch: 'session' });
    const begun = await upload(session, 'a', '01', { isLast: false });
    expect([begun.status, await tree(session)]).toEqual([308, {}]);
    const last = chunk(session, 'a', '2', { start: 2, ifMatch: etagOf(begun), isLast: true });
    expect(await told(last)).toBe('200 Stored');
    expect(await told(upload(session, 'b', '01'))).toBe('200 Stored');
    expect(await tree(session)).toEqual({ a: '012', b: '01' });
    expect((await upload(session, 'c', '01', { contentRange: '2-*/*' })).status).toBe(400);
  });

  test('a query without If-Match finds the last session of the path, where it does', async () => {
    const service = await start({ queryFinds: 'by-path' });
    await chunk(service, 'a', '01', { start: 0, ifMatch: etagOf(await query(service, 'a')) });
    const asked = await query(service, 'a');
    expect(asked.headers.get('range')).toBe('0-2');
    expect((await query(service, 'b')).headers.get('range')).toBe('0-0');
    const other = await start({});
    await chunk(other, 'a', '01', { start: 0, ifMatch: etagOf(await query(other, 'a')) });
    expect((await query(other, 'a')).headers.get('range')).toBe('0-0');
  });

  test.each<[Partial<Dialect>, number]>([
    [{}, 413],
    [{ chunkTooLarge: '400' }, 400],
  ])('%o: a chunk larger than told is refused and can be sent smaller', async (dialect, status) => {
    const service = await start({ chunkSizeBytes: 4, ...dialect });
    const ifMatch = etagOf(await query(service, 'a'));
    expect((await chunk(service, 'a', '01234', { start: 0, ifMatch })).status).toBe(status);
    expect((await chunk(service, 'a', '0123', { start: 0, ifMatch })).status).toBe(308);
  });

  test.each<[Partial<Dialect>, number, number]>([
    [{}, 200, 200],
    [{ oneShotBytesMax: 4 }, 200, 413],
    [{ oneShotBytesMax: 4, oneShotTooLarge: '400' }, 200, 400],
    [{ oneShotBytesMax: 4, withoutIfMatch: 'session' }, 200, 413],
  ])('%o: whole files of 4 and 5 bytes', async (dialect, four, five) => {
    const service = await start(dialect);
    expect((await upload(service, 'a', '0123')).status).toBe(four);
    expect((await upload(service, 'b', '01234')).status).toBe(five);
    expect(await service.store.kept()).toEqual([]);
  });

  test('a session expires', async () => {
    const service = await start({ sessionLifetimeMs: 5 });
    const begun = await query(service, 'a');
    // The lifetime is what is tested: the clock has to pass.
    await sleep(20);
    expect((await chunk(service, 'a', 'x', { start: 0, ifMatch: etagOf(begun) })).status).toBe(412);
    expect(await service.store.kept()).toEqual([]);
  });
});

describe('results', () => {
  test.each<[Dialect['sameContent'], string, boolean, boolean]>([
    ['unchanged', '200 Already Stored', true, false],
    ['times-changed', '200 Already Stored', true, true],
    ['stored', '200 Stored', false, true],
  ])('the same content: %s', async (sameContent, expected, isSameVersion, hasNewTime) => {
    const service = await start({ sameContent });
    await upload(service, 'a', 'x');
    const before = await fileNamed(service, 'a');
    expect(await told(upload(service, 'a', 'x', { modified: '2020-01-01T00:00:00Z' }))).toBe(expected);
    const after = await fileNamed(service, 'a');
    expect([after.versionId === before.versionId, after.modified !== before.modified]).toEqual([
      isSameVersion,
      hasNewTime,
    ]);
  });

  test.each<[Dialect['missingFolder'], number, Record<string, string>]>([
    ['500-stored', 500, { 'd/': '', 'd/e/': '', 'd/e/a': 'x' }],
    ['500-not-stored', 500, {}],
    ['made', 200, { 'd/': '', 'd/e/': '', 'd/e/a': 'x' }],
  ])('a missing folder: %s', async (missingFolder, status, expected) => {
    const service = await start({ missingFolder });
    expect((await upload(service, 'd\\e\\a', 'x')).status).toBe(status);
    expect(await tree(service)).toEqual(expected);
  });

  test.each<[Dialect['zeroLength'], number, Record<string, string>]>([
    ['stored', 200, { a: '' }],
    ['not-stored', 200, {}],
    ['400', 400, {}],
  ])('an empty file: %s', async (zeroLength, status, expected) => {
    const service = await start({ zeroLength });
    expect((await upload(service, 'a', '')).status).toBe(status);
    expect(await tree(service)).toEqual(expected);
  });

  test.each(['memory', 'directory'] as const)('an overwritten file that gets a new id, in a %s store', async (kind) => {
    const service = await services.start(kind, { dialect: { overwrite: 'new-file' } });
    await upload(service, 'a', 'first');
    const first = await fileNamed(service, 'a');
    await upload(service, 'a', 'second');
    const second = await fileNamed(service, 'a');
    expect(second.id).not.toBe(first.id);
    expect(await service.store.file(service.syncpointId, first.id)).toBeUndefined();
    expect(await textOf(service.store, second)).toBe('second');
  });

  test.each(['memory', 'directory'] as const)('names that differ by case only, in a %s store', async (kind) => {
    const service = await services.start(kind, { dialect: { nameCase: 'insensitive', missingFolder: 'made' } });
    await upload(service, 'Dir\\a.txt', 'first');
    await upload(service, 'dIR\\A.TXT', 'second');
    expect(await tree(service)).toEqual({ 'Dir/': '', 'Dir/a.txt': 'second' });
    const sensitive = await services.start(kind);
    await upload(sensitive, 'a.txt', 'first');
    await upload(sensitive, 'A.TXT', 'second');
    expect(await tree(sensitive)).toEqual({ 'A.TXT': 'second', 'a.txt': 'first' });
  });

  test('trailing spaces', async () => {
    const truncated = await start({});
    await upload(truncated, 'a  ', 'x');
    const kept = await start({ trailingSpaces: 'kept' });
    await upload(kept, 'a  ', 'x');
    expect([await tree(truncated), await tree(kept)]).toEqual([{ a: 'x' }, { 'a  ': 'x' }]);
    expect((await upload(truncated, '   ', 'x')).status).toBe(400);
  });

  test.each(['memory', 'directory'] as const)('a quota holds for what is present, in a %s store', async (kind) => {
    const service = await services.start(kind, { quotaBytes: 10 });
    await upload(service, 'a', '01234567');
    expect(await told(upload(service, 'b', '012'))).toBe('402 Storage Quota Exceeded');
    expect(await told(upload(service, 'a', '0123456789'))).toBe('200 Stored');
    const { id } = await fileNamed(service, 'a');
    await service.store.removeFile(service.syncpointId, id);
    expect(await told(upload(service, 'b', '012'))).toBe('200 Stored');
    const other = await service.restart({ quotaBytes: 1, dialect: { quotaRefusal: '403' } });
    expect(await told(upload(other, 'c', '012'))).toBe('403 Max Limit On Storage Reached');
    expect(await tree(other)).toEqual({ b: '012' });
  });

  test.each(['402', '403'] as const)('a full disk is told as a spent quota: %s', async (quotaRefusal) => {
    class FullStore extends MemoryStore {
      override async stage(): Promise<Staged> {
        const staged = await super.stage();
        const refuse = (): Promise<void> => Promise.reject(new StoreRefusal('no space left on device', 'full'));
        return Object.assign(staged, { append: refuse });
      }
    }
    const store = new FullStore();
    store.addSyncpoint('data');
    const service = await services.serve(store, { dialect: { quotaRefusal } });
    expect((await upload(service, 'a', 'x')).status).toBe(Number(quotaRefusal));
    const begun = await query(service, 'a');
    expect((await chunk(service, 'a', 'x', { start: 0, ifMatch: etagOf(begun) })).status).toBe(Number(quotaRefusal));
    expect(await tree(service)).toEqual({});
  });

  test('listings that lag tell each change later, and LastEvent at once', async () => {
    const service = await services.start('directory', { dialect: { listingLagMs: 60_000 } });
    const before = (await service.store.syncpoints())[0]?.lastEventId ?? 0;
    await upload(service, 'a', 'x');
    const path = `/sync/folder.svc/${service.syncpointId}/folder/${service.rootFolderId}?include=active`;
    const response = await fetch(service.emulator.gatewayUrl + path, { headers: service.session.headers });
    expect(await response.json()).toMatchObject({ Files: [] });
    expect((await service.store.syncpoints())[0]?.lastEventId).toBeGreaterThan(before);
    expect((await listed(service.store, service.syncpointId, service.rootFolderId)).files).toHaveLength(1);
  });
});
