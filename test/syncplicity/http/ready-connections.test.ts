// Connections made before they are needed, over real sockets.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { dirSync } from 'tmp';
import { Agent } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ReadyConnections, type ReadyTimes } from '../../../src/syncplicity/http/ready-connections.ts';
import { localCertificate } from '../certificate.ts';
import { lacks } from '../../machine.ts';

const long: ReadyTimes = { readyMs: 60_000, pauseMs: 60_000 };
const directory = dirSync({ unsafeCleanup: true });
let pem: { key: string; cert: string };
let server: Server;
/** Each connection that the server saw. */
let sockets: Socket[];
let ready: ReadyConnections;
let agent: Agent;

beforeAll(() => {
  pem = localCertificate(directory.name);
});
afterAll(() => directory.removeCallback());
beforeEach(() => (sockets = []));
afterEach(async () => {
  ready.stop();
  await agent.destroy();
  for (const socket of sockets) socket.destroy();
  server.close();
});

async function start(protocol: 'http:' | 'https:', times: ReadyTimes = long): Promise<URL> {
  const answer = 'a'.repeat(300_000);
  server =
    protocol === 'http:'
      ? createServer((_request, response) => response.end(answer))
      : createTlsServer(pem, (_request, response) => response.end(answer));
  server.on(protocol === 'http:' ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  ready = new ReadyConnections(protocol === 'http:' ? {} : { ca: pem.cert }, times);
  agent = new Agent({ connect: ready.connect });
  return new URL(`${protocol}//localhost:${(server.address() as AddressInfo).port}`);
}

async function lengthAt(url: URL): Promise<number> {
  const { body } = await agent.request({ origin: url.origin, path: '/', method: 'GET' });
  return (await body.text()).length;
}

const connected = (count: number): Promise<void> => expect.poll(() => sockets.length).toBe(count);

test.skipIf(lacks('openssl')).each(['http:', 'https:'] as const)(
  'the next request over %s has the connection that was made ready',
  async (protocol) => {
    const url = await start(protocol);
    ready.prepare(url);
    ready.prepare(url);
    await connected(1);
    expect(await lengthAt(url)).toBe(300_000);
    // The library has it back only then.
    await setImmediate();
    expect(await lengthAt(url)).toBe(300_000);
    expect(sockets).toHaveLength(1);
    // It was of use: the next one may be made at once.
    ready.prepare(url);
    await connected(2);
  },
);

test.skipIf(lacks('openssl'))('a request waits for one that is being made, and others make their own', async () => {
  const url = await start('https:');
  ready.prepare(url);
  expect(await Promise.all([lengthAt(url), lengthAt(url)])).toEqual([300_000, 300_000]);
  expect(sockets).toHaveLength(2);
});

test.skipIf(lacks('openssl')).each<[string, (socket: Socket) => void]>([
  ['ends', (socket) => socket.end()],
  ['breaks', (socket) => socket.resetAndDestroy()],
  ['speaks on unasked', (socket) => socket.write('HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n')],
])('one that the server %s is of no use, and nobody notices', async (_, act) => {
  const url = await start('http:');
  ready.prepare(url);
  await connected(1);
  const first = sockets[0] as Socket;
  const closed = once(first, 'close');
  act(first);
  await closed;
  expect(await lengthAt(url)).toBe(300_000);
  expect(sockets).toHaveLength(2);
});

test.skipIf(lacks('openssl'))('one that nobody takes is ended, and none is made for a while', async () => {
  const url = await start('http:', { readyMs: 50, pauseMs: 60_000 });
  ready.prepare(url);
  await connected(1);
  await expect.poll(() => (sockets[0] as Socket).destroyed).toBe(true);
  ready.prepare(url);
  expect(await lengthAt(url)).toBe(300_000);
  expect(sockets).toHaveLength(2);
});

test.skipIf(lacks('openssl'))('a host that cannot be reached costs nothing but the pause', async () => {
  const url = await start('http:');
  server.close();
  await once(server, 'close');
  ready.prepare(url);
  await expect(lengthAt(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(lengthAt(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test.skipIf(lacks('openssl'))('stop ends one that is ready and one that is being made', async () => {
  const url = await start('https:');
  ready.prepare(url);
  ready.stop();
  ready.prepare(new URL(`https://127.0.0.1:${url.port}`));
  await expect.poll(() => sockets.filter((socket) => !socket.destroyed)).toEqual([]);
});

test.skipIf(lacks('openssl'))(
  'options that no connection can be made with are an error of the request, not of the process',
  async () => {
    const url = await start('https:');
    const broken = new ReadyConnections({ ca: pem.cert, minVersion: 'TLSv1.9' as 'TLSv1.2' }, long);
    const other = new Agent({ connect: broken.connect });
    broken.prepare(url);
    const asked = (): Promise<unknown> => other.request({ origin: url.origin, path: '/', method: 'GET' });
    await expect(asked()).rejects.toThrow(/TLSv1.9/);
    await expect(asked()).rejects.toThrow(/TLSv1.9/);
    broken.stop();
    await other.destroy();
  },
);
