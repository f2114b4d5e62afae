// What goes wrong on demand: each fault, the limits of the gateway, the admin calls, a clean stop.
import { once } from 'node:events';
import { get as httpGet } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { startEmulator } from '../../src/emulator/emulator.ts';
import type { Emulator, EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { Throttle } from '../../src/emulator/throttle.ts';
import { download, get, getJson, requestToken, signIn } from './client.ts';
import type { Session } from './client.ts';

const running: Emulator[] = [];
afterEach(async () => {
  for (const emulator of running.splice(0)) await emulator.stop();
});

interface Started {
  readonly session: Session;
  readonly emulator: Emulator;
  readonly store: MemoryStore;
  readonly syncpointId: number;
  readonly versionId: number;
}

async function start(options: Partial<EmulatorOptions> = {}): Promise<Started> {
  const store = new MemoryStore();
  const { id: syncpointId, rootFolderId } = store.addSyncpoint('Projects');
  const { versionId } = store.addFile(syncpointId, rootFolderId, 'a', Buffer.alloc(300_000, 'x'));
  const emulator = await startEmulator({ store, ...options });
  running.push(emulator);
  return { session: await signIn(emulator), emulator, store, syncpointId, versionId };
}

const LIST = '/syncpoint/syncpoints.svc/';

describe('faults', () => {
  test('strike as often as told, at the endpoint told, after the calls told', async () => {
    const { session, emulator } = await start();
    emulator.setFaults([
      { kind: 'status', status: 503, endpoint: 'syncpoints', count: 2, after: 1 },
      { kind: 'status', status: 500, text: 'Broken', endpoint: 'storageendpoint' },
    ]);
    const statuses: number[] = [];
    for (let call = 0; call < 4; call++) statuses.push((await get(session, LIST)).status);
    expect(statuses).toEqual([200, 503, 503, 200]);
    const broken = await get(session, '/storage/storageendpoint.svc/');
    expect([broken.status, broken.statusText]).toEqual([500, 'Broken']);
    expect((await get(session, '/storage/storageendpoint.svc/')).status).toBe(200);
  });

  test('throttle answers the spike arrest with Retry-After', async () => {
    const { session, emulator } = await start();
    emulator.setFaults([{ kind: 'throttle', retryAfterSeconds: 7 }]);
    const response = await get(session, LIST);
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '7']);
    expect(await response.json()).toMatchObject({
      fault: { detail: { errorcode: 'policies.ratelimit.SpikeArrestViolation' } },
    });
    expect(emulator.calls().throttled).toBe(1);
  });

  test('reset breaks the connection before a reply', async () => {
    const { session, emulator } = await start();
    emulator.setFaults([{ kind: 'reset' }]);
    await expect(get(session, LIST)).rejects.toThrow('fetch failed');
    expect((await get(session, LIST)).status).toBe(200);
  });

  test('truncate sends so many bytes of the announced length, then breaks', async () => {
    const { session, emulator, syncpointId, versionId } = await start();
    emulator.setFaults([{ kind: 'truncate', afterBytes: 1000, endpoint: 'retrieveFile' }]);
    const response = await raw(session, syncpointId, versionId);
    expect(response.headers['content-length']).toBe('300000');
    const received: Buffer[] = [];
    response.on('data', (chunk: Buffer) => received.push(chunk));
    await expect(once(response, 'end')).rejects.toThrow('aborted');
    expect(Buffer.concat(received).byteLength).toBe(1000);
  });

  test('short ends early as if whole', async () => {
    const { session, emulator, syncpointId, versionId } = await start();
    emulator.setFaults([{ kind: 'short', afterBytes: 1000 }]);
    const response = await download(session, syncpointId, versionId);
    expect((await response.arrayBuffer()).byteLength).toBe(1000);
    expect(response.headers.get('content-length')).toBe('1000');
  });

  test('stall sends so many bytes and keeps the connection; hang sends nothing', async () => {
    const { session, emulator, syncpointId, versionId } = await start();
    emulator.setFaults([{ kind: 'stall', afterBytes: 1000 }]);
    const response = await raw(session, syncpointId, versionId);
    let received = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      received += chunk.byteLength;
      if (received === 1000) break;
    }
    expect(received).toBe(1000);
    emulator.setFaults([{ kind: 'hang' }]);
    const leave = new AbortController();
    const hanging = fetch(emulator.gatewayUrl + LIST, { headers: session.headers, signal: leave.signal });
    const first = await Promise.race([hanging.then(() => 'replied'), get(session, LIST).then(() => 'next call')]);
    expect(first).toBe('next call');
    leave.abort();
    await expect(hanging).rejects.toThrow('aborted');
  });

  test('expired-token ends the token presented, until a new one is asked for', async () => {
    const { session, emulator } = await start();
    emulator.setFaults([{ kind: 'expired-token', endpoint: 'syncpoints' }]);
    expect((await get(session, LIST)).status).toBe(401);
    expect((await get(session, LIST)).status).toBe(401);
    expect((await get(await signIn(emulator), LIST)).status).toBe(200);
  });

  test('garbage-json is a 200 that does not parse', async () => {
    const { session, emulator } = await start();
    emulator.setFaults([{ kind: 'garbage-json' }]);
    const response = await get(session, LIST);
    expect(response.status).toBe(200);
    await expect(response.json()).rejects.toThrow(SyntaxError);
  });

  test('slow and latency hold the reply back', async () => {
    const { session, emulator } = await start({ latencyMs: 30 });
    emulator.setFaults([{ kind: 'slow', delayMs: 60 }]);
    const before = performance.now();
    await get(session, LIST);
    expect(performance.now() - before).toBeGreaterThan(85);
  });
});

test('all downloads share the bandwidth', async () => {
  const { session, syncpointId, versionId } = await start({ bandwidthMbit: 24 });
  const before = performance.now();
  const bodies = await Promise.all(
    [1, 2].map(async () => (await download(session, syncpointId, versionId)).arrayBuffer()),
  );
  expect(bodies.map((body) => body.byteLength)).toEqual([300_000, 300_000]);
  // 600,000 bytes at 3,000,000 a second.
  expect(performance.now() - before).toBeGreaterThan(180);
});

describe('limits', () => {
  function at(...times: number[]): { next: () => number } {
    return { next: () => times.shift() ?? Number.NaN };
  }

  test('smoothed: one call per 67 ms', () => {
    const throttle = new Throttle({ mode: 'smoothed' }, at(0, 66, 67, 100, 134).next);
    const refused = [1, 2, 3, 4, 5].map(() => throttle.admit()?.code.split('.').at(-1));
    expect(refused).toEqual([undefined, 'SpikeArrestViolation', undefined, 'SpikeArrestViolation', undefined]);
  });

  test('windowed: fifteen in any second', () => {
    const times = [...Array<number>(16).fill(0), 999, 1000];
    const throttle = new Throttle({ mode: 'windowed' }, at(...times).next);
    const admitted = times.map(() => throttle.admit() === undefined);
    expect(admitted).toEqual([...Array<boolean>(15).fill(true), false, false, true]);
  });

  test('an hour holds so many calls and says when the next begins', () => {
    const throttle = new Throttle({ mode: 'windowed', perHour: 2 }, at(0, 1, 600_000, 3_600_000).next);
    expect([throttle.admit(), throttle.admit()]).toEqual([undefined, undefined]);
    expect(throttle.admit()).toMatchObject({ retryAfterSeconds: 3000, code: 'policies.ratelimit.QuotaViolation' });
    expect(throttle.admit()).toBeUndefined();
  });

  test('a throttled gateway refuses a burst; its vault does not', async () => {
    const { session, emulator, syncpointId, versionId } = await start({
      throttle: { mode: 'windowed', perSecond: 3, retryAfterSeconds: 2 },
    });
    const calls = await Promise.all([1, 2, 3, 4, 5].map(() => get(session, LIST)));
    const refused = calls.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(refused[0]?.headers.get('retry-after')).toBe('2');
    expect(emulator.calls().throttled).toBe(refused.length);
    for (let call = 0; call < 5; call++) {
      const response = await download(session, syncpointId, versionId);
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
  });

  test('tokens expire', async () => {
    const { session } = await start({ tokenLifetimeSeconds: 0.001 });
    // It may be quicker than the millisecond.
    await expect.poll(async () => (await get(session, LIST)).status).toBe(401);
  });
});

describe('admin calls', () => {
  const admin = (emulator: Emulator, method: string, name: string, body?: unknown): Promise<Response> =>
    fetch(`${emulator.gatewayUrl}/_emulator/${name}`, {
      method,
      headers: { 'X-Emulator-Key': emulator.adminKey },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });

  test('need the admin key', async () => {
    const { emulator } = await start();
    expect((await fetch(`${emulator.gatewayUrl}/_emulator/calls`)).status).toBe(401);
  });

  test('set and clear faults, read and zero counters, expire tokens', async () => {
    const { session, emulator } = await start();
    await admin(emulator, 'POST', 'faults', [{ kind: 'status', status: 500, count: 9 }]);
    expect((await get(session, LIST)).status).toBe(500);
    expect(await (await admin(emulator, 'GET', 'faults')).json()).toEqual({ pending: 1 });
    await admin(emulator, 'DELETE', 'faults');
    expect((await get(session, LIST)).status).toBe(200);
    const counts = await (await admin(emulator, 'GET', 'calls')).json();
    expect(counts).toMatchObject({ byEndpoint: { syncpoints: 2 }, total: 3, peakPerSecond: 3 });
    await admin(emulator, 'DELETE', 'calls');
    expect(emulator.calls().total).toBe(0);
    await admin(emulator, 'POST', 'expire-tokens');
    expect((await get(session, LIST)).status).toBe(401);
  });

  test('change content behind the client', async () => {
    const { session, emulator, store, syncpointId } = await start();
    const [syncpoint] = await store.syncpoints();
    const names = async (): Promise<string[]> => {
      const path = `/sync/folder.svc/${syncpointId}/folder/${syncpoint?.rootFolderId ?? 0}?include=active`;
      const { Files, Folders } = (await getJson(session, path)) as {
        Files: { Filename: string }[];
        Folders: { Name: string }[];
      };
      return [...Files.map((file) => file.Filename), ...Folders.map((folder) => folder.Name)];
    };
    const mutate = async (change: object): Promise<number> =>
      (await admin(emulator, 'POST', 'mutate', { syncpointId, ...change })).status;
    expect(await mutate({ change: 'make-folder', path: '/d' })).toBe(200);
    expect(await mutate({ change: 'write', path: '/d/new', text: 'text' })).toBe(200);
    expect(await mutate({ change: 'move', path: '/d/new', to: '/moved' })).toBe(200);
    expect(await mutate({ change: 'remove', path: '/a' })).toBe(200);
    expect(await mutate({ change: 'remove', path: '/a' })).toBe(409);
    expect((await names()).sort()).toEqual(['d', 'moved']);
  });
});

test('stop closes idle, hanging and half-open connections', async () => {
  const { session, emulator } = await start();
  await get(session, LIST);
  emulator.setFaults([{ kind: 'hang' }]);
  const hanging = get(session, LIST).catch((error: unknown) => error);
  const socket = connect(Number(new URL(emulator.gatewayUrl).port), '127.0.0.1');
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await emulator.stop();
  await emulator.stop();
  await closed;
  expect(await hanging).toBeInstanceOf(Error);
  await expect(requestToken(emulator)).rejects.toThrow('fetch failed');
});

function raw(session: Session, syncpointId: number, versionId: number): Promise<IncomingMessage> {
  const { AppKey = '', Authorization = '' } = session.headers;
  const url = `${session.emulator.vaultUrl}/retrieveFile.php?vToken=${syncpointId}-${versionId}`;
  return new Promise((resolve, reject) => {
    httpGet(url, { headers: { AppKey, Authorization } }, resolve).once('error', reject);
  });
}
