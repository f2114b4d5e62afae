// Uploads as the documents have them, against both stores: whole files, sessions of chunks, what is refused.
import { readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { download } from './client.ts';
import { fileNamed, Services, storeKinds, textOf, tree } from './stores.ts';
import { BOUNDARY, chunk, formBody, postForm, query, sha256, told, upload, usualParts } from './upload-client.ts';

const services = new Services();
afterEach(() => services.stop());

describe.each(storeKinds)('%s store', (kind) => {
  test('a file in one request is stored with its bytes and times, and kept over a restart', async () => {
    const service = await services.start(kind);
    expect(await told(upload(service, '\\a ä.txt', 'hello'))).toBe('200 Stored');
    const file = await fileNamed(service, 'a ä.txt');
    expect(file).toMatchObject({
      lengthBytes: 5,
      created: 14_459_872_743_268_208n,
      modified: 14_459_872_824_128_366n,
    });
    expect(await (await download(service.session, service.syncpointId, file.versionId)).text()).toBe('hello');
    const again = await service.restart();
    expect(await fileNamed(again, 'a ä.txt')).toEqual(file);
    expect(await textOf(again.store, file)).toBe('hello');
  });

  test('/v2/mime/files answers the ids', async () => {
    const service = await services.start(kind);
    const reply = (await (await upload(service, 'a', 'hello', { url: 'v2/mime/files' })).json()) as object;
    const { id, versionId } = await fileNamed(service, 'a');
    expect(reply).toEqual({ data_file_id: id, data_file_version_id: versionId });
  });

  test('the same path again is the next version of the same file; the older one stays readable', async () => {
    const service = await services.start(kind);
    await upload(service, 'a', 'first', { modified: '2020-01-01T00:00:00.0000001Z' });
    const first = await fileNamed(service, 'a');
    expect(await told(upload(service, 'a', 'second'))).toBe('200 Stored');
    const second = await fileNamed(service, 'a');
    expect([second.id, second.lengthBytes]).toEqual([first.id, 6]);
    expect(second.versionId).toBeGreaterThan(first.versionId);
    const { store, syncpointId } = await service.restart();
    expect(await textOf(store, second, first.versionId)).toBe('first');
    expect(await textOf(store, second)).toBe('second');
    expect(await store.versions(syncpointId, second.versionId)).toMatchObject([
      { id: second.versionId, action: 1, lengthBytes: 6 },
      { id: first.versionId, action: 0, lengthBytes: 5 },
    ]);
  });

  test('the same bytes again are already stored and change nothing', async () => {
    const service = await services.start(kind);
    await upload(service, 'a', 'same');
    const before = await fileNamed(service, 'a');
    expect(await told(upload(service, 'a', 'same', { modified: '2020-01-01T00:00Z' }))).toBe('200 Already Stored');
    expect(await fileNamed(service, 'a')).toEqual(before);
  });

  test('an empty file is stored', async () => {
    const service = await services.start(kind);
    expect(await told(upload(service, 'empty', ''))).toBe('200 Stored');
    expect(await textOf(service.store, await fileNamed(service, 'empty'))).toBe('');
  });

  test('a session: query, chunks, a last one', async () => {
    const service = await services.start(kind, { dialect: { chunkSizeBytes: 10 } });
    const begun = await query(service, '\\a');
    expect([begun.status, begun.headers.get('range'), await begun.text()]).toEqual([308, '0-0', 'Resume Incomplete']);
    expect(begun.headers.get('syncplicity-chunk-size')).toBe('10');
    const first = await chunk(service, '\\a', '0123456789', { start: 0, ifMatch: etagOf(begun) });
    expect([first.status, first.headers.get('range')]).toEqual([308, '0-10']);
    expect(etagOf(first)).not.toBe(etagOf(begun));
    const second = await chunk(service, '\\a', 'abcdefghij', { start: 10, ifMatch: etagOf(first) });
    expect(await tree(service)).toEqual({});
    const last = chunk(service, '\\a', 'end', { start: 20, ifMatch: etagOf(second), isLast: true });
    expect(await told(last)).toBe('200 Stored');
    expect(await tree(service)).toEqual({ a: '0123456789abcdefghijend' });
    const { versionId } = await fileNamed(service, 'a');
    expect(await service.store.sha256(service.syncpointId, versionId)).toBe(sha256('0123456789abcdefghijend'));
  });

  test('a session goes on after a restart, from what was acknowledged', async () => {
    const before = await services.start(kind, { dialect: { chunkSizeBytes: 10 } });
    const begun = await query(before, 'a');
    const first = await chunk(before, 'a', '0123456789', { start: 0, ifMatch: etagOf(begun) });
    const service = await before.restart();
    const asked = await query(service, 'a', { ifMatch: etagOf(begun) });
    expect(asked.headers.get('range')).toBe('0-10');
    expect((await chunk(service, 'a', 'x', { start: 10, ifMatch: etagOf(first) })).status).toBe(412);
    const last = chunk(service, 'a', 'abc', { start: 10, ifMatch: etagOf(asked), isLast: true });
    expect(await told(last)).toBe('200 Stored');
    expect(await tree(service)).toEqual({ a: '0123456789abc' });
  });

  test('a chunk sent again replaces what it covers; one past the end, a stale or a strange ETag are refused', async () => {
    const service = await services.start(kind);
    const begun = await query(service, 'a');
    const first = await chunk(service, 'a', '0123456789', { start: 0, ifMatch: etagOf(begun) });
    expect((await chunk(service, 'a', 'x', { start: 0, ifMatch: etagOf(begun) })).status).toBe(412);
    expect((await chunk(service, 'a', 'x', { start: 0, ifMatch: '"no.1"' })).status).toBe(412);
    expect((await chunk(service, 'b', 'x', { start: 0, ifMatch: etagOf(first) })).status).toBe(400);
    expect((await chunk(service, 'a', 'x', { start: 11, ifMatch: etagOf(first) })).status).toBe(400);
    const asked = await query(service, 'a', { ifMatch: etagOf(first) });
    expect(asked.headers.get('range')).toBe('0-10');
    const last = chunk(service, 'a', 'END', { start: 4, ifMatch: etagOf(asked), isLast: true });
    expect(await told(last)).toBe('200 Stored');
    expect(await tree(service)).toEqual({ a: '0123END' });
    const { versionId } = await fileNamed(service, 'a');
    expect(await service.store.sha256(service.syncpointId, versionId)).toBe(sha256('0123END'));
  });

  test('a session is over once stored', async () => {
    const service = await services.start(kind);
    const begun = await query(service, 'a');
    await chunk(service, 'a', 'all', { start: 0, ifMatch: etagOf(begun), isLast: true });
    expect((await query(service, 'a', { ifMatch: etagOf(begun) })).status).toBe(412);
    expect(await service.store.kept()).toEqual([]);
  });

  test('paths: either separator, leading or not, form encoding, folders below folders', async () => {
    const service = await services.start(kind, { dialect: { missingFolder: 'made' } });
    expect(await told(upload(service, '\\d\\e\\a b+c.txt', '1'))).toBe('200 Stored');
    expect(await told(upload(service, 'd/e/2', '2'))).toBe('200 Stored');
    const plus = await fetch(`${service.emulator.vaultUrl}/saveFile.php?filepath=%5Cd%5Cx+y`, {
      method: 'POST',
      headers: uploadHeaders(service.session.headers),
      body: formBody(usualParts(service, '3')),
    });
    expect(plus.status).toBe(200);
    expect(await tree(service)).toEqual({ 'd/': '', 'd/e/': '', 'd/e/a b+c.txt': '1', 'd/e/2': '2', 'd/x y': '3' });
  });

  test.each(['', '\\', 'a<b', 'a>b', '..', 'd\\..\\a', '.', 'x\\\\y', 'nul\0', 'n'.repeat(300)])(
    'the path %j is refused',
    async (path) => {
      const service = await services.start(kind);
      const response = await upload(service, path, 'x');
      // A store in memory has no limit on the length of names.
      expect(response.status).toBe(kind === 'memory' && path.length === 300 ? 200 : 400);
    },
  );

  test('a folder in the file’s place is refused and stays', async () => {
    const service = await services.start(kind);
    await service.store.createFolder(service.syncpointId, service.rootFolderId, 'd');
    expect((await upload(service, 'd', 'x')).status).toBe(400);
    expect((await upload(service, 'd\\a', 'x')).status).toBe(200);
    expect((await upload(service, 'd\\a\\b', 'x')).status).toBe(400);
    expect(await tree(service)).toEqual({ 'd/': '', 'd/a': 'x' });
  });
});

describe('forms', () => {
  test('parts in any order, values in the query, the data part called file, gzip', async () => {
    const service = await services.start('memory');
    const parts = usualParts(service, 'x');
    expect(await told(upload(service, 'a', '', { parts: [...parts].reverse() }))).toBe('200 Stored');
    const file = { name: 'file', value: 'y', fileName: 'ü.txt' };
    const values = parts.filter(({ name }) => name !== 'fileData');
    const inQuery = values.map(({ name, value }) => `&${name}=${encodeURIComponent(value as string)}`).join('');
    expect(await told(upload(service, 'b', '', { parts: [file], query: inQuery.replace(sha256('x'), '') }))).toBe(
      '200 Stored',
    );
    const headers = { 'Content-Encoding': 'gzip' };
    expect(await told(postForm(service, 'c', Buffer.from(gzipSync(formBody(parts))), { headers }))).toBe('200 Stored');
    expect(await tree(service)).toEqual({ a: 'x', b: 'y', c: 'x' });
  });

  test.each([
    ['no blank line after the head of fileDone', '\r\n\r\n\r\n--', '\r\n\r\n--'],
    ['no line at all after the head of fileDone', '\r\n\r\n\r\n--', '\r\n--'],
    ['no closing boundary', `--${BOUNDARY}--\r\n`, ''],
    ['a part without a name', '; name="fileDone"', ''],
  ])('%s is the server’s 500 and stores nothing', async (_what, found, replacement) => {
    const service = await services.start('memory');
    const body = formBody(usualParts(service, 'x')).toString('latin1');
    expect(body).toContain(found);
    const response = await postForm(service, 'a', Buffer.from(body.replace(found, replacement), 'latin1'));
    expect(response.status).toBe(500);
    expect(await tree(service)).toEqual({});
    expect((await upload(service, 'a', 'x')).status).toBe(200);
  });

  test.each(['fileData', 'sha256', 'virtualFolderId', 'creationTimeUtc', 'lastWriteTimeUtc', 'sessionKey'])(
    'a form without %s is refused',
    async (name) => {
      const service = await services.start('memory');
      const parts = usualParts(service, name === 'fileData' ? '' : 'x').filter((part) => part.name !== name);
      const response = await upload(service, 'a', '', { parts });
      expect(response.status).toBe(name === 'sessionKey' ? 401 : 400);
      expect(await tree(service)).toEqual({});
    },
  );
});

describe('access', () => {
  test.each<[string, Record<string, string>, number]>([
    ['another AppKey', { AppKey: 'no' }, 401],
    ['another token', { Authorization: 'Bearer no' }, 401],
    ['no boundary', { 'Content-Type': 'multipart/form-data' }, 400],
    ['another Content-Type', { 'Content-Type': 'application/json' }, 400],
    ['a strange Content-Range', { 'Content-Range': 'bytes 0-1/2' }, 400],
    ['a strange Content-Encoding', { 'Content-Encoding': 'br' }, 415],
  ])('%s is refused', async (_what, headers, status) => {
    const service = await services.start('memory');
    expect((await upload(service, 'a', 'x', { headers })).status).toBe(status);
  });

  test('a sessionKey that is no token, or lacks Bearer, is refused', async () => {
    const service = await services.start('memory');
    expect((await upload(service, 'a', 'x', { sessionKey: 'Bearer no' })).status).toBe(401);
    expect((await upload(service, 'a', 'x', { sessionKey: service.session.token })).status).toBe(401);
  });

  test('a request without User-Agent is refused', async () => {
    const service = await services.start('memory');
    const status = await new Promise((resolve, reject) => {
      const headers = uploadHeaders(service.session.headers);
      const sent = request(`${service.emulator.vaultUrl}/saveFile.php?filepath=a`, { method: 'POST', headers });
      sent.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
      sent.end(formBody(usualParts(service, 'x')));
    });
    expect(status).toBe(400);
  });

  test.each([2, 3] as const)(
    'a syncpoint with permission %i is refused with the documented text',
    async (permission) => {
      const service = await services.start('memory', {}, { permission });
      expect(await told(upload(service, 'a', 'x'))).toBe('403 Syncpoint Shared With Reader Permission');
    },
  );

  test('an unknown syncpoint is refused', async () => {
    const service = await services.start('memory');
    expect(await told(upload(service, 'a', 'x', { syncpointId: 12 }))).toBe('404 SyncPoint Does Not Exist');
  });
});

test('a directory store keeps plain files with their times, and nothing else beside them', async () => {
  const service = await services.start('directory');
  await upload(service, 'a', 'first');
  await upload(service, 'a', 'second');
  expect(readFileSync(join(service.data, 'a'), 'utf8')).toBe('second');
  expect(statSync(join(service.data, 'a')).mtimeMs).toBeCloseTo(Date.parse('2015-10-27T23:08:02.412Z') + 0.8366, 2);
  expect(await tree(service)).toEqual({ a: 'second' });
});

function etagOf(response: Response): string {
  return response.headers.get('etag') ?? '';
}

function uploadHeaders({ AppKey = '', Authorization = '' }: Record<string, string>): Record<string, string> {
  return { AppKey, Authorization, 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
}
