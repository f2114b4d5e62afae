// The dashboard's server as a page, a stranger's page and another user of this machine meet it.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlHandlers } from '../../src/control/methods.ts';
import { serveControl } from '../../src/control/server.ts';
import { socketFiles } from '../../src/control/socket-directory.ts';
import type { MountStatus } from '../../src/control/status.ts';
import { Guard } from '../../src/dashboard/guard.ts';
import { startDashboard, type Dashboard } from '../../src/dashboard/server.ts';
import type { MountView, Update } from '../../src/dashboard/view.ts';
import { FakeMount, storing } from '../fakes/fake-mount.ts';
import { serveSilence } from '../fakes/silent-daemon.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../fakes/temporary-directory.ts';

const INTERVAL_MS = 30;
const page = { type: 'text/html; charset=utf-8', content: Buffer.from('<!doctype html>') };

let directory: TemporaryDirectory;
let runtimeDirectory: string;
let dashboard: Dashboard;
let dead: string[];
let stops: (() => Promise<void> | void)[];

beforeEach(async () => {
  directory = temporaryDirectory();
  runtimeDirectory = join(directory.path, 'run');
  dead = [];
  stops = [];
  dashboard = await startDashboard({
    runtimeDirectories: [runtimeDirectory],
    savesDirectory: join(directory.path, 'saved'),
    deadMounts: () => Promise.resolve(dead),
    assets: new Map([['/', page]]),
    host: '127.0.0.1',
    port: 0,
    intervalMs: INTERVAL_MS,
  });
});
afterEach(async () => {
  await dashboard.stop();
  for (const stop of stops.reverse()) await stop();
  directory.remove();
});

async function mount(mountpoint: string): Promise<{ readonly fake: FakeMount; readonly unmount: () => Promise<void> }> {
  const fake = new FakeMount(mountpoint);
  const server = await serveControl({
    runtimeDirectories: [runtimeDirectory],
    mountpoint,
    handlers: controlHandlers(fake),
  });
  stops.push(() => server.stop());
  return { fake, unmount: () => server.stop() };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What fetch would not send: any header as it is. */
function ask(
  path: string,
  options: { readonly method?: string; readonly headers?: OutgoingHttpHeaders; readonly body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = options;
    const request = httpRequest(new URL(path, dashboard.url), { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        // One line of a stream is what is wanted of it.
        if (response.headers['content-type']?.startsWith('application/x-ndjson') && text.includes('\n'))
          response.destroy();
      });
      response.on('close', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

const bearer = (): OutgoingHttpHeaders => ({ authorization: `Bearer ${dashboard.token}` });
const origin = (): string => new URL(dashboard.url).origin;
const port = (): string => new URL(dashboard.url).port;

function act(action: unknown, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
  return ask('/api/actions', {
    method: 'POST',
    headers: { ...bearer(), origin: origin(), 'content-type': 'application/json', ...headers },
    body: typeof action === 'string' ? action : JSON.stringify(action),
  });
}

/** Updates of a page that is open until it has seen enough. */
async function watchUntil(isEnough: (update: Update) => boolean): Promise<Update[]> {
  const leaving = new AbortController();
  const response = await fetch(new URL('/api/updates', dashboard.url), {
    headers: { authorization: `Bearer ${dashboard.token}` },
    signal: leaving.signal,
  });
  const seen: Update[] = [];
  let rest = '';
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + Buffer.from(chunk).toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const update = JSON.parse(line) as Update;
        seen.push(update);
        if (isEnough(update)) return seen;
      }
    }
  } finally {
    leaving.abort();
  }
  throw new Error('the stream ended');
}

const shows =
  (mountpoint: string, state?: MountView['state']) =>
  ({ mounts }: Update): boolean =>
    mounts.some((view) => view.mountpoint === mountpoint && (state === undefined || view.state === state));

describe('the page', () => {
  it('is served to anybody, with nothing in it and locked down', async () => {
    const { status, headers, body } = await ask('/');
    expect(status).toBe(200);
    expect(body).toBe('<!doctype html>');
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    const policy = String(headers['content-security-policy']).split('; ');
    expect(policy).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]),
    );
    expect(policy.join()).not.toContain('unsafe');
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });

  it.each(['/../../etc/passwd', '/%2e%2e/package.json', '/index.html', '/api', '//', '/dashboard/page/..%2fserver.js'])(
    'has nothing at %s',
    async (path) => {
      const socket = connect(Number(port()), '127.0.0.1');
      socket.end(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port()}\r\nconnection: close\r\n\r\n`);
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      expect(text).toMatch(/^HTTP\/1\.1 404 /);
    },
  );

  it('listens on the loopback address alone', async () => {
    const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    const others = addresses.filter(({ address }) => address !== '127.0.0.1' && !address.startsWith('fe80'));
    for (const { address } of others) {
      const socket = connect(Number(port()), address);
      const outcome = await new Promise((resolve) => {
        socket.once('connect', () => resolve('connected'));
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      });
      socket.destroy();
      expect([address, outcome]).toEqual([address, 'ECONNREFUSED']);
    }
  });
});

describe('what may be read', () => {
  beforeEach(() => mount('/mnt/secret-drive'));

  it('is told to who has the token', async () => {
    const { status, body } = await ask('/api/updates', { headers: bearer() });
    expect(status).toBe(200);
    expect(body).toContain('/mnt/secret-drive');
  });

  it('is at localhost as well', async () => {
    const headers = { ...bearer(), host: `localhost:${port()}` };
    expect((await ask('/api/updates', { headers })).status).toBe(200);
  });

  const refused: [string, number, () => { path?: string; headers: OutgoingHttpHeaders }][] = [
    ['without a token', 401, () => ({ headers: {} })],
    ['with another token', 401, () => ({ headers: { authorization: `Bearer ${'A'.repeat(43)}` } })],
    ['with a part of it', 401, () => ({ headers: { authorization: `Bearer ${dashboard.token.slice(0, -1)}` } })],
    ['with more than it', 401, () => ({ headers: { authorization: `Bearer ${dashboard.token}A` } })],
    ['with another scheme', 401, () => ({ headers: { authorization: `Basic ${dashboard.token}` } })],
    ['with the token in the address', 401, () => ({ path: `/api/updates?token=${dashboard.token}`, headers: {} })],
    ['with the token in a cookie', 401, () => ({ headers: { cookie: `token=${dashboard.token}` } })],
    ['by another name', 421, () => ({ headers: { ...bearer(), host: 'evil.example' } })],
    ['by another name with the port', 421, () => ({ headers: { ...bearer(), host: `evil.example:${port()}` } })],
    ['at another port', 421, () => ({ headers: { ...bearer(), host: '127.0.0.1:1' } })],
    ['without the port', 421, () => ({ headers: { ...bearer(), host: '127.0.0.1' } })],
    ['from a page of another site', 403, () => ({ headers: { ...bearer(), 'sec-fetch-site': 'cross-site' } })],
    ['from another port of this machine', 403, () => ({ headers: { ...bearer(), 'sec-fetch-site': 'same-site' } })],
    ['from another origin', 403, () => ({ headers: { ...bearer(), origin: 'http://evil.example' } })],
  ];
  it.each(refused)('is not told %s', async (_how, expected, request) => {
    const { path = '/api/updates', headers } = request();
    const { status, body, headers: answered } = await ask(path, { headers });
    expect(status).toBe(expected);
    expect(body).not.toContain('secret-drive');
    expect(body).not.toContain(dashboard.token);
    expect(answered['access-control-allow-origin']).toBeUndefined();
  });

  it.runIf(process.platform === 'linux')('is at no name but its own where it has an address of its own', async () => {
    await dashboard.stop();
    dashboard = await startDashboard({
      runtimeDirectories: [runtimeDirectory],
      savesDirectory: directory.path,
      deadMounts: () => Promise.resolve([]),
      assets: new Map(),
      host: '127.4.5.6',
      port: 0,
    });
    expect(new URL(dashboard.url).hostname).toBe('127.4.5.6');
    expect((await ask('/api/updates', { headers: bearer() })).status).toBe(200);
    for (const host of ['127.0.0.1', 'localhost'])
      expect((await ask('/api/updates', { headers: { ...bearer(), host: `${host}:${port()}` } })).status).toBe(421);
  });

  it("is at http's own port, which browsers leave out", () => {
    const guard = new Guard({ host: '127.0.0.1', port: 80 }, dashboard.token);
    const asked = (host: string): IncomingMessage =>
      ({ headers: { ...bearer(), host, origin: `http://${host}` } }) as unknown as IncomingMessage;
    expect(guard.refusesHost(asked('127.0.0.1'))).toBeUndefined();
    expect(guard.refusesChanging(asked('localhost'))).toBeUndefined();
    expect(guard.refusesHost(asked('evil.example'))?.status).toBe(421);
  });

  it('has a token of its own each time', async () => {
    const { token } = dashboard;
    expect(Buffer.from(token, 'base64url').byteLength).toBeGreaterThanOrEqual(16);
    await dashboard.stop();
    dashboard = await startDashboard({
      runtimeDirectories: [runtimeDirectory],
      savesDirectory: directory.path,
      deadMounts: () => Promise.resolve([]),
      assets: new Map(),
      host: '127.0.0.1',
      port: 0,
    });
    expect(dashboard.token).not.toBe(token);
    expect((await ask('/api/updates', { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
  });
});

describe('what may be done', () => {
  let fake: FakeMount;
  beforeEach(async () => {
    ({ fake } = await mount('/mnt/drive'));
    fake.fail('/Project/plan.txt', 'Storage Quota Exceeded');
  });

  it('retries, gives up, pauses and goes on', async () => {
    expect(await act({ mountpoint: '/mnt/drive', method: 'pause' })).toMatchObject({ status: 200 });
    expect(fake.paused).toBe(true);
    expect(await act({ mountpoint: '/mnt/drive', method: 'resume' })).toMatchObject({ status: 200 });
    expect(fake.paused).toBe(false);
    const retried = await act({ mountpoint: '/mnt/drive', method: 'retry', path: '/' });
    expect(JSON.parse(retried.body)).toEqual({ changes: 1 });
    fake.fail('/Project/plan.txt', 'Storage Quota Exceeded');
    const discarded = await act({ mountpoint: '/mnt/drive', method: 'discard', path: '/Project/plan.txt' });
    expect(JSON.parse(discarded.body)).toEqual({ changes: 1 });
    expect(fake.failed).toEqual([]);
  });

  it('saves copies in one directory, over nothing', async () => {
    const save = { mountpoint: '/mnt/drive', method: 'save', path: '/Project/plan.txt', to: '/etc/passwd' };
    const first = join(directory.path, 'saved', 'plan.txt');
    expect(JSON.parse((await act(save)).body)).toEqual({ savedAs: first });
    writeFileSync(first, '');
    expect(JSON.parse((await act(save)).body)).toEqual({ savedAs: join(directory.path, 'saved', 'plan (2).txt') });
    expect(fake.saved.map(([, to]) => to)).toEqual([first, join(directory.path, 'saved', 'plan (2).txt')]);
  });

  it("says the mount's reason where it refuses, and that a mount is gone", async () => {
    fake.pause = () => Promise.reject(new Error('it cannot be paused now'));
    expect(await act({ mountpoint: '/mnt/drive', method: 'pause' })).toMatchObject({
      status: 409,
      body: '{"problem":"it cannot be paused now"}\n',
    });
    const { status, body } = await act({ mountpoint: '/mnt/other', method: 'pause' });
    expect([status, body]).toEqual([409, '{"problem":"/mnt/other is not mounted any more"}\n']);
  });

  const discard = { mountpoint: '/mnt/drive', method: 'discard', path: '/' };
  const refused: [string, number, () => Promise<Answer>][] = [
    ['without a token', 401, () => act(discard, { authorization: '' })],
    [
      'without an origin',
      403,
      () =>
        ask('/api/actions', {
          method: 'POST',
          headers: { ...bearer(), 'content-type': 'application/json' },
          body: JSON.stringify(discard),
        }),
    ],
    ['from another origin', 403, () => act(discard, { origin: 'http://evil.example' })],
    ['from a page without an origin', 403, () => act(discard, { origin: 'null' })],
    ['from another port', 403, () => act(discard, { origin: 'http://127.0.0.1:1' })],
    ['from its other name', 403, () => act(discard, { origin: `http://localhost:${port()}` })],
    ['by another name', 421, () => act(discard, { host: 'evil.example', origin: 'http://evil.example' })],
    ['as a form', 400, () => act(JSON.stringify(discard), { 'content-type': 'text/plain' })],
    ['with GET', 404, () => ask('/api/actions', { headers: { ...bearer(), origin: origin() } })],
    ['with a method of the socket that is none of the page', 400, () => act({ ...discard, method: 'unmount' })],
    ['with what tells secrets', 400, () => act({ ...discard, method: 'service' })],
    ['with a method of objects', 400, () => act({ ...discard, method: 'constructor' })],
    ['without a path', 400, () => act({ mountpoint: '/mnt/drive', method: 'discard' })],
    ['with a path that is none', 400, () => act({ ...discard, path: 7 })],
    ['as no JSON', 400, () => act('{')],
    ['as too much', 400, () => act({ ...discard, path: `/${'x'.repeat(40_000)}` })],
  ];
  it.each(refused)('not %s', async (_how, expected, request) => {
    const before = fake.failed.length;
    expect((await request()).status).toBe(expected);
    expect(fake.failed).toHaveLength(before);
    expect(fake.unmounted).toBe(false);
  });
});

describe('watching', () => {
  it('asks each mount as often for many pages as for one, and not at all for none', async () => {
    const { fake } = await mount('/mnt/drive');
    const [one, two] = await Promise.all([0, 1].map(() => watchUntil(() => fake.itemsAsked.length >= 5)));
    expect(one?.length).toBeLessThanOrEqual(6);
    expect(two?.length).toBeLessThanOrEqual(6);
    // One look may have been under way.
    await delay(3 * INTERVAL_MS);
    const asked = fake.itemsAsked.length;
    expect(asked).toBeLessThanOrEqual(8);
    await delay(5 * INTERVAL_MS);
    expect(fake.itemsAsked).toHaveLength(asked);
  });

  it('shows mounts that come and go', async () => {
    const { unmount } = await mount('/mnt/one');
    await watchUntil(shows('/mnt/one', 'serving'));
    await mount('/mnt/two');
    const seen = await watchUntil(shows('/mnt/two', 'serving'));
    expect(seen.at(-1)?.mounts.map(({ mountpoint }) => mountpoint)).toEqual(['/mnt/one', '/mnt/two']);
    await unmount();
    await watchUntil((update) => !shows('/mnt/one')(update));
  });

  it('is not held up by a mount that does not answer, and shows it as such', async () => {
    const { directory: place, sidecar } = socketFiles(runtimeDirectory, '/mnt/hung');
    await mount('/mnt/drive');
    stops.push(await serveSilence(runtimeDirectory, '/mnt/hung'));
    writeFileSync(join(place, sidecar.slice(place.length + 1)), '{"mountpoint":"/mnt/hung","pid":4711}');
    const begun = performance.now();
    await watchUntil(shows('/mnt/drive', 'serving'));
    expect(performance.now() - begun).toBeLessThan(1_500);
    const seen = await watchUntil(shows('/mnt/hung', 'silent'));
    expect(seen.at(-1)?.mounts).toMatchObject([{ mountpoint: '/mnt/drive', state: 'serving' }, { pid: 4711 }]);
    // While the hung one was waited for, the other was told of all the time.
    expect(seen.length).toBeGreaterThan(3);
  });

  it('watches a dozen mounts without a word on the terminal', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    stops.push(() => void process.off('warning', note));
    for (let index = 0; index < 12; index += 1) await mount(`/mnt/${index}`);
    await watchUntil(({ mounts }) => mounts.length === 12);
    expect(warnings).toEqual([]);
  });

  it('says when a daemon is of another version, or cannot tell how it is', async () => {
    const [old, broken] = [await mount('/mnt/old'), await mount('/mnt/broken')];
    // What it does not tell counts as nothing; what it tells in another shape cannot be read.
    old.fake.status = () => Promise.resolve({ pending: { items: [] }, calls: null } as unknown as MountStatus);
    broken.fake.status = () => Promise.reject(new Error('the journal cannot be read'));
    const { mounts } = (await watchUntil(shows('/mnt/old'))).at(-1) as Update;
    expect(mounts).toMatchObject([
      { mountpoint: '/mnt/broken', state: 'failing', problem: 'the journal cannot be read' },
      { mountpoint: '/mnt/old', state: 'failing', problem: expect.stringContaining('another version') as string },
    ]);
  });

  it('shows dead mounts', async () => {
    dead = ['/mnt/dead'];
    await watchUntil(shows('/mnt/dead', 'dead'));
  });

  it('tells the beginning of long lists, and how long they are', async () => {
    const { fake } = await mount('/mnt/drive');
    fake.pending = Array.from({ length: 10_000 }, (_none, index) => storing(`/Project/${index}`));
    for (let index = 0; index < 500; index += 1) fake.fail(`/refused/${index}`, 'no');
    const view = (await watchUntil(shows('/mnt/drive', 'serving'))).at(-1)?.mounts[0];
    if (view?.state !== 'serving') throw new Error('not served');
    expect(view.status.pending).toMatchObject({ files: 10_000 });
    expect(view.status.pending.items).toHaveLength(100);
    expect(view.status.failed.count).toBe(500);
    expect(view.status.failed.items).toHaveLength(100);
    expect(Math.max(...fake.itemsAsked)).toBe(100);
  });

  it('counts what a decision about a folder is about', async () => {
    const { fake } = await mount('/mnt/drive');
    fake.failed.push({ path: '/new', change: 'make-folder', error: 'no', since: '2026-01-01T00:00:00.000Z' });
    for (const path of ['/new/a', '/new/b/c', '/newer']) fake.fail(path, 'no');
    const view = (await watchUntil(shows('/mnt/drive', 'serving'))).at(-1)?.mounts[0];
    if (view?.state !== 'serving') throw new Error('not served');
    expect(view.status.failed.items.map(({ path, below }) => [path, below])).toEqual([
      ['/new', 2],
      ['/new/a', 0],
      ['/new/b/c', 0],
      ['/newer', 0],
    ]);
  });

  it('gives a new page what others have seen of the last minutes', async () => {
    await mount('/mnt/drive');
    await watchUntil(shows('/mnt/drive', 'serving'));
    const [first, second] = await watchUntil(({ history }) => history === undefined);
    expect(first?.history?.['/mnt/drive']?.length).toBeGreaterThan(0);
    expect(second?.history).toBeUndefined();
  });

  it('has a limit of pages', async () => {
    await mount('/mnt/drive');
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${dashboard.token}` };
    const open = (): Promise<Response> =>
      fetch(new URL('/api/updates', dashboard.url), { headers, signal: leaving.signal });
    const answers = await Promise.all(Array.from({ length: 17 }, open));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array.from({ length: 16 }, () => 200), 503]);
    leaving.abort();
    await Promise.allSettled(answers.map((answer) => answer.text()));
    await expect.poll(async () => (await ask('/api/updates', { headers })).status).toBe(200);
  });

  it('has a limit of connections', async () => {
    const sockets = Array.from({ length: 70 }, () => connect(Number(port()), '127.0.0.1'));
    const dropped = sockets.map((socket) =>
      once(
        socket.on('error', () => undefined),
        'close',
      ),
    );
    // Reading what comes is what lets the end of a connection be seen.
    for (const socket of sockets) socket.resume();
    const counted: unknown[] = [];
    for (const one of dropped) void one.then(() => counted.push(one));
    await expect.poll(() => counted.length).toBe(6);
    for (const socket of sockets) socket.destroy();
    await Promise.all(dropped);
    await expect.poll(async () => (await ask('/')).status).toBe(200);
  });

  it('ends at once, whoever watches and whatever hangs', async () => {
    stops.push(await serveSilence(runtimeDirectory, '/mnt/hung'));
    const watching = watchUntil(() => false);
    const ended = expect(watching).rejects.toThrow();
    await delay(2 * INTERVAL_MS);
    const begun = performance.now();
    await dashboard.stop();
    expect(performance.now() - begun).toBeLessThan(2_000);
    await ended;
  });
});
