// Who asks for the metrics and what they get: the right question from the right place gets the text, all else a status; nobody holds it up.
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { deferred } from '../../src/base/deferred.ts';
import { Metrics, openMetrics } from '../../src/metrics/metrics.ts';
import { type MetricsServer, serveMetrics } from '../../src/metrics/server.ts';
import type { Readings } from '../../src/metrics/readings.ts';
import { parseExposition, valueOf } from './exposition-format.ts';
import { quietReadings } from './readings.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const TEXT = 'numbers\n';
const page = (): Promise<{ contentType: string; text: string }> =>
  Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: TEXT });

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(...args: Parameters<typeof serveMetrics>): Promise<MetricsServer> {
  const server = await serveMetrics(...args);
  stops.push(() => server.stop());
  return server;
}

interface Reply {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function ask(url: string, options: { method?: string; host?: string } = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', host } = options;
    const asked = request(url, { method, agent: false, ...(host === undefined ? {} : { headers: { host } }) });
    asked.on('error', reject);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    asked.end();
  });
}

/** A connection as it is, and what came from it until its end. */
function open(url: string, sent: string): { socket: Socket; ended: Promise<string> } {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  stops.push(() => void socket.destroy());
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  // A reset is an end as well.
  socket.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => socket.on('close', () => resolve(text)));
  socket.write(sent);
  return { socket, ended };
}

describe('the server', () => {
  it('gives the text for GET and HEAD of /metrics, and nothing else', async () => {
    const { url } = await serve(LOOPBACK, page);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const got = await ask(url);
    expect(got).toMatchObject({ status: 200, text: TEXT });
    expect(got.headers).toMatchObject({ 'content-type': 'text/plain; version=0.0.4', 'cache-control': 'no-store' });
    expect(await ask(`${url}?name=x`)).toMatchObject({ status: 200, text: TEXT });
    const head = await ask(url, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers['content-length']).toBe(String(TEXT.length));
    for (const path of ['/', '/metrics/', '/metricsx', '//metrics', '/favicon.ico'])
      expect((await ask(new URL(url).origin + path)).status, path).toBe(404);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const refused = await ask(url, { method });
      expect(refused, method).toMatchObject({ status: 405 });
      expect(refused.headers['allow']).toBe('GET, HEAD');
    }
  });

  it('tells a page whose name points here nothing', async () => {
    const { url } = await serve(LOOPBACK, page);
    for (const host of ['127.0.0.1', 'localhost:80', 'LOCALHOST', '[::1]:9', '127.9.9.9'])
      expect(await ask(url, { host }), host).toMatchObject({ status: 200 });
    for (const host of ['rebound.example', '127.0.0.1.rebound.example', 'localhost.example:80', '10.0.0.1', '[::2]']) {
      const { status, text } = await ask(url, { host });
      expect(status, host).toBe(403);
      expect(text).not.toContain(TEXT);
    }
    expect(await open(url, 'GET /metrics HTTP/1.0\r\n\r\n').ended).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('answers to any name where it was put on an address that others reach', async () => {
    const server = await serve({ host: '0.0.0.0', port: 0 }, page);
    expect(server.isLoopback).toBe(false);
    const { port } = new URL(server.url);
    expect(await ask(`http://127.0.0.1:${port}/metrics`, { host: 'drive.example' })).toMatchObject({ status: 200 });
  });

  it('says so while there is nothing to tell, and when gathering fails, without the reason', async () => {
    const nothing = await serve(LOOPBACK, () => undefined);
    expect(await ask(nothing.url)).toMatchObject({ status: 503 });
    const failing = await serve(LOOPBACK, () => Promise.reject(new Error('/Project/secret plan.txt')));
    const { status, text } = await ask(failing.url);
    expect(status).toBe(500);
    expect(text).not.toContain('plan');
  });

  it('names an address that is taken, or is not there, in one line', async () => {
    const { url } = await serve(LOOPBACK, page);
    const { port } = new URL(url);
    await expect(serveMetrics({ host: '127.0.0.1', port: Number(port) }, page)).rejects.toThrow(
      `metrics cannot be told at 127.0.0.1:${port}: another program, or another mount, has this address; choose another port`,
    );
    await expect(serveMetrics({ host: '203.0.113.1', port: 0 }, page)).rejects.toThrow(
      /203\.0\.113\.1:0: this machine has no such address/,
    );
  });

  it('frees its address at once, whoever is being answered', async () => {
    const server = await serve(LOOPBACK, () => new Promise(() => undefined));
    const { ended } = open(server.url, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const { port } = new URL(server.url);
    await expect.poll(() => ask(new URL('/', server.url).href).then(({ status }) => status)).toBe(404);
    await server.stop();
    expect(await ended).toBe('');
    await serve({ host: '127.0.0.1', port: Number(port) }, page);
  });

  it('cuts off who asks slowly, or keeps a connection to itself', async () => {
    const { url } = await serve(LOOPBACK, page, { connectionsMax: 16, connectionMs: 150 });
    const silent = open(url, '');
    const slow = open(url, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
    const dripping = setInterval(() => slow.socket.write('x'), 20);
    stops.push(() => clearInterval(dripping));
    expect(await silent.ended).toBe('');
    expect(await slow.ended).not.toContain(TEXT);
    const whole = await open(url, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n').ended;
    expect(whole).toContain(TEXT);
    expect(whole.toLowerCase()).toContain('connection: close');
  });

  it('refuses more connections than it has places, until one is free', async () => {
    const { url } = await serve(LOOPBACK, page, { connectionsMax: 2, connectionMs: 60_000 });
    const held = [open(url, 'G'), open(url, 'G')];
    await Promise.all(held.map(({ socket }) => once(socket, 'connect')));
    await expect
      .poll(() =>
        ask(url).then(
          () => 'answered',
          () => 'refused',
        ),
      )
      .toBe('refused');
    held[0]?.socket.destroy();
    await expect
      .poll(() =>
        ask(url).then(
          ({ status }) => status,
          () => 'refused',
        ),
      )
      .toBe(200);
  });

  it('looks at one question of a connection, however many are sent behind it', async () => {
    const gathered = deferred<undefined>();
    let times = 0;
    const { url } = await serve(LOOPBACK, async () => {
      times += 1;
      await gathered.promise;
      return page();
    });
    const { socket, ended } = open(url, '');
    const questions = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100_000);
    let isSent = false;
    socket.write(questions, () => (isSent = true));
    await expect.poll(() => times).toBeGreaterThan(0);
    // Another's turn: by then all of it would have been read.
    for (let turn = 0; turn < 20; turn += 1) await ask(new URL('/', url).href);
    expect(isSent).toBe(false);
    gathered.resolve(undefined);
    expect((await ended).split(TEXT)).toHaveLength(2);
    expect(times).toBe(1);
  });

  it('takes no header that fills memory', async () => {
    const { url } = await serve(LOOPBACK, page);
    const text = await open(url, `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(100_000)}`).ended;
    expect(text).not.toContain(TEXT);
    expect(text).toMatch(/^(HTTP\/1\.1 431 |$)/);
  });
});

describe('metrics', () => {
  it('are gathered once for all who ask meanwhile and shortly after', async () => {
    const metrics = new Metrics();
    expect(metrics.page()).toBeUndefined();
    const gathered = deferred<Readings>();
    let times = 0;
    await metrics.begin(() => {
      times += 1;
      return gathered.promise;
    });
    const pages = [metrics.page(), metrics.page()];
    gathered.resolve({ ...quietReadings, online: false });
    pages.push(metrics.page());
    for (const found of pages) {
      const exposed = parseExposition((await found)?.text ?? '');
      expect(valueOf(exposed, 'syncplicityfs_online')).toBe(0);
    }
    await metrics.page();
    expect(times).toBe(1);
    await expect.poll(async () => (await metrics.page(), times)).toBe(2);
  });

  it('recover from a gathering that failed', async () => {
    const metrics = new Metrics();
    let fails = true;
    await metrics.begin(() => (fails ? Promise.reject(new Error('no')) : Promise.resolve(quietReadings)));
    await expect(metrics.page()).rejects.toThrow('no');
    fails = false;
    await expect
      .poll(() =>
        metrics.page()?.then(
          () => 'told',
          () => 'failed',
        ),
      )
      .toBe('told');
  });

  it('end once nothing is gathered any more, and give the address up', async () => {
    const gathering = deferred<Readings>();
    const metrics = await openMetrics(LOOPBACK);
    stops.push(() => metrics.stop());
    expect(await ask(metrics.url)).toMatchObject({ status: 503 });
    const asked = deferred<undefined>();
    await metrics.begin(() => {
      asked.resolve(undefined);
      return gathering.promise;
    });
    const { ended } = open(metrics.url, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await asked.promise;
    let isStopped = false;
    const stopping = metrics.stop().then(() => (isStopped = true));
    expect(await ended).toBe('');
    expect(isStopped).toBe(false);
    gathering.resolve(quietReadings);
    await stopping;
    await metrics.stop();
    await expect(ask(metrics.url)).rejects.toThrow('ECONNREFUSED');
  });
});
