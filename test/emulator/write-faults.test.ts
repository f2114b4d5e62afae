// What goes wrong while something is written: before, within and after the request's body, and by chance.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Faults } from '../../src/emulator/faults.ts';
import type { Fault } from '../../src/emulator/faults.ts';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { fileNamed, Services, storeKinds, tree } from './stores.ts';
import type { Service } from './stores.ts';
import { BOUNDARY, call, chunk, formBody, query, told, upload, usualParts } from './upload-client.ts';

const services = new Services();
afterEach(() => services.stop());

const LARGE = 'x'.repeat(300_000);

function etagOf(response: Response): string {
  return response.headers.get('etag') ?? '';
}

async function faulty(fault: Fault): Promise<Service> {
  const service = await services.start('memory');
  service.emulator.setFaults([fault]);
  return service;
}

describe('acting, then failing', () => {
  test('lost-reply stores, then resets the connection', async () => {
    const service = await faulty({ kind: 'lost-reply', endpoint: 'saveFile' });
    await expect(upload(service, 'a', 'x')).rejects.toThrow('fetch failed');
    expect(await tree(service)).toEqual({ a: 'x' });
    expect(await told(upload(service, 'a', 'x'))).toBe('200 Already Stored');
  });

  test('status-after stores, then says it did not', async () => {
    const service = await faulty({ kind: 'status-after', status: 500 });
    expect(await told(upload(service, 'a', 'x'))).toBe('500 Injected fault');
    expect(await tree(service)).toEqual({ a: 'x' });
  });

  test('at the gateway too', async () => {
    const service = await faulty({ kind: 'lost-reply', endpoint: 'folderFoldersPost' });
    const path = `/sync/folder_folders.svc/${service.syncpointId}/folder/${service.rootFolderId}/folders`;
    await expect(call(service.session, 'POST', path, [{ Name: 'd', Status: 1 }])).rejects.toThrow('fetch failed');
    expect(await tree(service)).toEqual({ 'd/': '' });
  });
});

describe('within the body', () => {
  test.each<[string, Fault]>([
    ['cut-request', { kind: 'cut-request', afterBytes: 100_000 }],
    ['reset', { kind: 'reset', afterRequestBytes: 100_000 }],
  ])('%s resets the connection after so many bytes, and stores nothing', async (_what, fault) => {
    const service = await faulty(fault);
    await expect(upload(service, 'a', LARGE)).rejects.toThrow('fetch failed');
    expect(await tree(service)).toEqual({});
    expect(service.emulator.calls().vaultBytesIn).toBe(100_000);
    expect(await told(upload(service, 'a', LARGE))).toBe('200 Stored');
  });

  test('a status is told before all was sent', async () => {
    const service = await faulty({ kind: 'status', status: 503, afterRequestBytes: 1000 });
    expect(await told(upload(service, 'a', LARGE))).toBe('503 Injected fault');
    expect(await tree(service)).toEqual({});
    expect(await told(upload(service, 'a', LARGE))).toBe('200 Stored');
  });

  test('a token ends, and with it the sessionKey', async () => {
    const service = await faulty({ kind: 'expired-token', afterRequestBytes: 1000 });
    expect((await upload(service, 'a', LARGE)).status).toBe(401);
    expect(await tree(service)).toEqual({});
  });

  test('slow waits and goes on', async () => {
    const service = await faulty({ kind: 'slow', delayMs: 60, afterRequestBytes: 100_000 });
    const before = performance.now();
    expect(await told(upload(service, 'a', LARGE))).toBe('200 Stored');
    expect(performance.now() - before).toBeGreaterThan(55);
    expect(await tree(service)).toEqual({ a: LARGE });
  });

  test('hang keeps the connection and says nothing', async () => {
    const service = await faulty({ kind: 'hang', afterRequestBytes: 1000 });
    const hanging = upload(service, 'a', LARGE).then(
      () => 'replied',
      () => 'broke off',
    );
    const other = upload(service, 'b', 'x').then(() => 'other call');
    expect(await Promise.race([hanging, other])).toBe('other call');
    await service.emulator.stop();
    expect(await hanging).toBe('broke off');
  });
});

test('a chance strikes about as often as told, the same calls each time, until cleared', () => {
  const faults = new Faults();
  const struck = (seed: number): boolean[] => {
    faults.set([{ kind: 'lost-reply', probability: 0.1, seed }]);
    return Array.from({ length: 5000 }, () => faults.take('saveFile') !== undefined);
  };
  const first = struck(7);
  const count = first.filter(Boolean).length;
  expect(count).toBeGreaterThan(400);
  expect(count).toBeLessThan(600);
  expect(struck(7)).toEqual(first);
  expect(struck(8)).not.toEqual(first);
  faults.set([{ kind: 'reset', probability: 1, count: 2 }]);
  expect([1, 2, 3].map(() => faults.take('x')?.kind)).toEqual(['reset', 'reset', undefined]);
});

describe.each(storeKinds)('a chunk that breaks off, %s store', (kind) => {
  test.each<[Dialect['brokenChunk'], (stored: number) => boolean]>([
    ['dropped', (stored) => stored === 10],
    ['kept', (stored) => stored > 10 && stored < 10 + LARGE.length],
  ])('is %s', async (brokenChunk, isExpected) => {
    const service = await services.start(kind, { dialect: { brokenChunk } });
    const first = await chunk(service, 'a', '0123456789', { start: 0, ifMatch: etagOf(await query(service, 'a')) });
    service.emulator.setFaults([{ kind: 'cut-request', endpoint: 'saveFile', afterBytes: 200_000 }]);
    await expect(chunk(service, 'a', LARGE, { start: 10, ifMatch: etagOf(first) })).rejects.toThrow('fetch failed');
    const asked = await query(service, 'a', { ifMatch: etagOf(first) });
    const stored = Number(asked.headers.get('range')?.split('-')[1]);
    expect(stored).toSatisfy(isExpected);
    const whole = `0123456789${LARGE}`;
    const rest = chunk(service, 'a', whole.slice(stored), { start: stored, ifMatch: etagOf(asked), isLast: true });
    expect(await told(rest)).toBe('200 Stored');
    expect(await tree(service)).toEqual({ a: whole });
  });

  test('and hangs gives way to the next request of its session', async () => {
    const service = await services.start(kind);
    const begun = await query(service, 'a');
    const socket = await halfSent(service, etagOf(begun));
    const asked = await query(service, 'a', { ifMatch: etagOf(begun) });
    expect(asked.headers.get('range')).toBe('0-0');
    const last = chunk(service, 'a', 'new', { start: 0, ifMatch: etagOf(asked), isLast: true });
    expect(await told(last)).toBe('200 Stored');
    expect(await tree(service)).toEqual({ a: 'new' });
    socket.destroy();
  });
});

/** A chunk of which the head and some bytes were sent, and received: the connection stays open. */
async function halfSent(service: Service, ifMatch: string): Promise<Socket> {
  const { port, host } = new URL(service.emulator.vaultUrl);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  const body = formBody(usualParts(service, LARGE));
  const { AppKey = '', Authorization = '' } = service.session.headers;
  const head = [
    'POST /saveFile.php?filepath=a HTTP/1.1',
    `Host: ${host}`,
    `AppKey: ${AppKey}`,
    `Authorization: ${Authorization}`,
    'User-Agent: test',
    `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
    'Content-Range: 0-*/*',
    `If-Match: ${ifMatch}`,
    `Content-Length: ${body.byteLength}`,
  ];
  const received = service.emulator.calls().vaultBytesIn;
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  socket.write(body.subarray(0, 100_000));
  // The emulator's own count tells that it has them.
  while (service.emulator.calls().vaultBytesIn < received + 100_000) await new Promise(setImmediate);
  return socket;
}

test('calls and bytes are counted for gateway and vault', async () => {
  const service = await services.start('memory');
  service.emulator.resetCalls();
  await upload(service, 'a', 'x');
  await upload(service, 'b', 'x', { url: 'v2/mime/files' });
  const { versionId } = await fileNamed(service, 'a');
  await call(service.session, 'DELETE', `/sync/file.svc/${service.syncpointId}/file/${versionId}`);
  expect(service.emulator.calls()).toMatchObject({
    total: 3,
    gateway: 1,
    vault: 2,
    byEndpoint: { saveFile: 1, v2mime: 1, fileDelete: 1 },
    vaultBytesIn: 2 * formBody(usualParts(service, 'x')).byteLength,
  });
});

test('uploads share the bandwidth', async () => {
  const service = await services.start('memory', { bandwidthMbit: 24 });
  const before = performance.now();
  const replies = await Promise.all(['a', 'b'].map((name) => upload(service, name, LARGE)));
  expect(replies.map(({ status }) => status)).toEqual([200, 200]);
  expect(performance.now() - before).toBeGreaterThan(180);
});

test.each(storeKinds)('the snapshot is all a %s store holds, in process and by the admin call', async (kind) => {
  const service = await services.start(kind);
  await service.store.createFolder(service.syncpointId, service.rootFolderId, 'd');
  await upload(service, 'd\\a', 'hello', { modified: '2020-01-02T03:04:05.0000001Z' });
  await upload(service, 'gone', 'x');
  await service.store.removeFile(service.syncpointId, (await fileNamed(service, 'gone')).id);
  const snapshot = await service.emulator.snapshot();
  expect(snapshot.syncpoints).toMatchObject([
    {
      id: service.syncpointId,
      name: 'data',
      entries: [
        { kind: 'folder', path: 'd' },
        {
          kind: 'file',
          path: 'd/a',
          lengthBytes: 5,
          sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
          modified: '2020-01-02T03:04:05.0000001Z',
        },
      ],
    },
  ]);
  const headers = { 'X-Emulator-Key': service.emulator.adminKey };
  const told = await fetch(`${service.emulator.gatewayUrl}/_emulator/snapshot`, { headers });
  expect(await told.json()).toEqual(snapshot);
});
