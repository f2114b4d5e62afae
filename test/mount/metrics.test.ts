// `mount --metrics` as Prometheus has it: a real mount, the kernel's requests, the text over HTTP, and the dashboard that reads it.
import { readFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fuseNativeLibrary } from '../../src/mount/transports.ts';
import { requireNoSecret } from '../secrecy.ts';
import { type Exposed, parseExposition, seriesIn, valueIfAny, valueOf } from '../metrics/exposition-format.ts';
import { Drive, fuseExists, pattern } from './drive.ts';

const DURATION = 'syncplicityfs_fuse_request_duration_seconds';
const METRICS = ['--metrics', '0', '--settle', '0s', '--calls-per-second', '0'];
const SECRET_NAME = 'merger-with-acme.txt';

let drive: Drive;
let others: Server[];
beforeEach(() => {
  drive = new Drive();
  others = [];
});
afterEach(async () => {
  await drive.stop();
  for (const other of others) await new Promise((resolve) => other.close(resolve));
});

/** A folder of ten files. */
async function serve(): Promise<void> {
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  for (let index = 0; index < 10; index += 1)
    drive.store.addFile(id, rootFolderId, `file${index}`, pattern(20_000, index));
  drive.store.addFile(id, rootFolderId, SECRET_NAME, Buffer.from('secret'));
  await drive.serve({ emulator: { appCount: 2 } });
}

const at = (name: string): string => join(drive.mountpoint, 'Projects', name);

async function url(): Promise<string> {
  const { metrics } = await drive.status();
  if (metrics === null) throw new Error('the mount tells no metrics');
  return metrics;
}

async function text(): Promise<string> {
  const reply = await fetch(await url());
  expect(reply.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return reply.text();
}

/** What a page elsewhere would be answered that has itself called by this name; fetch() lets nobody choose it. */
function statusOf(where: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage): void => {
      response.resume();
      resolve(response.statusCode);
    };
    get(where, { headers: { host } }, answered).on('error', reject);
  });
}

async function scrape(): Promise<Exposed> {
  return parseExposition(await text());
}

/** Scrapes until what was done is in it: texts are shared for a moment. */
async function scrapeWhen(isThere: (exposed: Exposed) => boolean): Promise<Exposed> {
  let exposed = await scrape();
  await expect.poll(async () => isThere((exposed = await scrape()))).toBe(true);
  return exposed;
}

const requests = (exposed: Exposed, opcode: string): number =>
  valueIfAny(exposed, 'syncplicityfs_fuse_requests_total', { opcode }) ?? 0;

/** A port that nothing listens at, and that nothing else is given meanwhile by the kernel's turn. */
async function freePort(): Promise<number> {
  const server = await occupy();
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function occupy(): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const mounts = (): string => readFileSync('/proc/self/mounts', 'utf8');

const library = fuseNativeLibrary();
const transports = ['kernel', ...('missing' in library ? [] : ['fuse-native'])];

describe.skipIf(!fuseExists)('metrics of a mount', () => {
  it.each(transports)('through %s rise with what programs do, by the kind of request', async (transport) => {
    await serve();
    await drive.mount({ mount: [...METRICS, '--transport', transport] });
    const before = await scrape();
    for (let index = 0; index < 10; index += 1) await readFile(at(`file${index}`));
    for (let index = 0; index < 5; index += 1) {
      await expect(stat(at(`nothing${index}`))).rejects.toMatchObject({ code: 'ENOENT' });
    }
    await writeFile(at('mine'), pattern(30_000, 99));
    await drive.succeed(['flush', drive.mountpoint]);
    const after = await scrapeWhen((exposed) => valueOf(exposed, 'syncplicityfs_sent_bytes_total') >= 30_000);

    const risen = (name: string, labels = {}): number =>
      valueOf(after, name, labels) - (valueIfAny(before, name, labels) ?? 0);
    expect(requests(after, 'OPEN') - requests(before, 'OPEN')).toBeGreaterThanOrEqual(10);
    expect(requests(after, 'READ') - requests(before, 'READ')).toBeGreaterThanOrEqual(10);
    expect(requests(after, 'WRITE')).toBeGreaterThanOrEqual(1);
    expect(risen('syncplicityfs_fuse_read_bytes_total')).toBe(200_000);
    // What lies beside is fetched ahead.
    expect(risen('syncplicityfs_received_bytes_total')).toBeGreaterThanOrEqual(200_000);
    expect(risen('syncplicityfs_sent_bytes_total')).toBe(30_000);
    expect(risen('syncplicityfs_calls_total', { class: 'commit' })).toBeGreaterThan(0);
    expect(risen('syncplicityfs_cache_misses_total')).toBeGreaterThan(0);
    for (const opcode of ['OPEN', 'READ', 'WRITE']) {
      // Each was answered, and took some time.
      expect(valueOf(after, `${DURATION}_count`, { opcode })).toBe(requests(after, opcode));
      expect(valueOf(after, `${DURATION}_sum`, { opcode })).toBeGreaterThan(0);
      expect(valueOf(after, `${DURATION}_bucket`, { opcode, le: '30' })).toBe(requests(after, opcode));
    }
    const { calls, requests: asked } = await drive.status();
    for (const [endpoint, count] of Object.entries(calls.byEndpoint))
      expect(valueOf(after, 'syncplicityfs_endpoint_calls_total', { endpoint }), endpoint).toBeLessThanOrEqual(count);
    expect(Object.keys(asked)).toContain('READ');
    expect(seriesIn(after).find(({ name }) => name === 'syncplicityfs_build_info')?.labels).toEqual({
      version: (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
        .version,
      transport,
      node: process.versions.node,
    });
    // Counters only grow.
    for (const [name, { type, series }] of before) {
      if (type === 'gauge') continue;
      for (const one of series) expect(valueOf(after, one.name, one.labels), name).toBeGreaterThanOrEqual(one.value);
    }
  });

  it('tell what is pending, that sending is paused, that the service is away and who waits for it', async () => {
    await serve();
    await drive.mount({ mount: [...METRICS, '--op-timeout', '3s'] });
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(at('waits'), pattern(5_000, 1));
    const exposed = await scrapeWhen((now) => valueOf(now, 'syncplicityfs_pending_changes') === 1);
    expect(valueOf(exposed, 'syncplicityfs_pending_bytes')).toBe(5_000);
    expect(valueOf(exposed, 'syncplicityfs_paused')).toBe(1);
    expect(valueOf(exposed, 'syncplicityfs_online')).toBe(1);
    expect(valueOf(exposed, 'syncplicityfs_waiting_requests')).toBe(0);
    await drive.interruptService(async () => {
      const reading = readFile(at('file1')).catch((error: unknown) => (error as NodeJS.ErrnoException).code);
      await scrapeWhen(
        (now) =>
          valueOf(now, 'syncplicityfs_online') === 0 &&
          valueOf(now, 'syncplicityfs_waiting_requests') > 0 &&
          valueOf(now, 'syncplicityfs_fuse_pending_requests') > 0,
      );
      expect(await reading).toBe('EIO');
      const after = await scrapeWhen(
        (now) => (valueIfAny(now, 'syncplicityfs_fuse_errors_total', { opcode: 'READ' }) ?? 0) > 0,
      );
      // It waited as long as it may.
      const beyond = ['2.5', '5'].map((le) => valueOf(after, `${DURATION}_bucket`, { opcode: 'READ', le }));
      expect(beyond[1]).toBeGreaterThan(beyond[0] as number);
    });
  });

  it('count what is pending, refused and kept here as status does', async () => {
    drive.store.addSyncpoint('Projects');
    await drive.serve({ emulator: { quotaBytes: 5_000 } });
    await drive.mount({ mount: METRICS });
    await writeFile(at('large'), pattern(20_000, 1));
    await writeFile(at('.DS_Store'), pattern(700, 1));
    expect((await drive.user.run(['flush', drive.mountpoint])).code).toBe(1);
    await drive.succeed(['pause', drive.mountpoint]);
    for (let index = 0; index < 20; index += 1) await writeFile(at(`small${index}`), pattern(index, index));
    await mkdir(at('folder'));
    await rm(at('small0'));
    const { pending, failed, localOnly } = await drive.status();
    expect([pending.files, failed.length, localOnly]).toEqual([20, 1, { files: 1, bytes: 700 }]);
    const exposed = await scrapeWhen((now) => valueOf(now, 'syncplicityfs_pending_changes') === pending.files);
    expect(valueOf(exposed, 'syncplicityfs_pending_bytes')).toBe(pending.bytes);
    expect(valueOf(exposed, 'syncplicityfs_pending_sent_bytes')).toBe(pending.sent);
    expect(valueOf(exposed, 'syncplicityfs_failed_changes')).toBe(1);
    expect(valueOf(exposed, 'syncplicityfs_local_only_files')).toBe(1);
    expect(valueOf(exposed, 'syncplicityfs_local_only_bytes')).toBe(700);
  });

  it('hold no name of a file, no path and no secret, and are told to this machine only', async () => {
    await serve();
    await drive.mount({ mount: METRICS });
    await readFile(at(SECRET_NAME));
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(at('pending-of-mine.txt'), 'x');
    await scrapeWhen((now) => valueOf(now, 'syncplicityfs_pending_changes') === 1);
    const all = await text();
    for (const name of [SECRET_NAME, 'pending-of-mine', 'Projects', drive.mountpoint, drive.user.home])
      expect(all).not.toContain(name);
    requireNoSecret('the metrics', all);
    const { appKey, appSecret, appToken } = drive.emulator.credentials;
    for (const secret of [appKey, appSecret, appToken]) expect(all).not.toContain(secret);
    const where = await url();
    expect(where).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    expect((await fetch(new URL('/', where))).status).toBe(404);
    expect((await fetch(where, { method: 'POST', body: 'x' })).status).toBe(405);
    expect(await statusOf(where, 'evil.example')).toBe(403);
  });

  it('have the address that was asked for, until the unmount, and again after a kill -9', async () => {
    await serve();
    const port = await freePort();
    const wanted = `http://127.0.0.1:${port}/metrics`;
    await drive.mount({ mount: ['-o', `metrics=:${port}`] });
    expect(await url()).toBe(wanted);
    expect((await drive.succeed(['status', drive.mountpoint])).stdout).toContain(`metrics    ${wanted}`);
    process.kill(await drive.pid(), 'SIGKILL');
    await expect
      .poll(() =>
        fetch(wanted).then(
          ({ status }) => status,
          () => 'gone',
        ),
      )
      .toBe('gone');
    await drive.mount({ mount: ['--metrics', `localhost:${port}`] });
    expect(parseExposition(await (await fetch(wanted)).text()).size).toBeGreaterThan(0);
    await drive.unmount();
    await expect(fetch(wanted)).rejects.toThrow();
  });

  it('fail the mount at once, before anything is mounted or asked, where the address is taken', async () => {
    await serve();
    const other = await occupy();
    others.push(other);
    const { port } = other.address() as AddressInfo;
    drive.emulator.resetCalls();
    const { code, stderr } = await drive.user.run(['mount', 'test', drive.mountpoint, '--metrics', String(port)]);
    expect(code).toBe(1);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toContain(
      `metrics cannot be told at 127.0.0.1:${port}: another program, or another mount, has this address`,
    );
    expect(mounts()).not.toContain(drive.mountpoint);
    expect(drive.emulator.calls().byEndpoint).toEqual({});
    // The account is free: nothing was left behind.
    await drive.mount();
  });

  it('are off unless asked for, and warned of where others can reach them', async () => {
    await serve();
    await drive.mount();
    expect((await drive.status()).metrics).toBeNull();
    expect((await drive.succeed(['status', drive.mountpoint])).stdout).not.toContain('metrics');
    await drive.unmount();
    const { stderr } = await drive.succeed(['mount', 'test', drive.mountpoint, '--metrics', '0.0.0.0:0']);
    expect(stderr).toMatch(/whoever reaches http:\/\/0\.0\.0\.0:\d+\/metrics can read the metrics/);
  });

  it('are told of the demo as well', async () => {
    await drive.succeed(['mount', '--demo', '--metrics', '0', drive.mountpoint]);
    await readdir(drive.mountpoint);
    const exposed = await scrapeWhen((now) => requests(now, 'OPENDIR') > 0);
    expect(valueOf(exposed, 'syncplicityfs_online')).toBe(1);
  });

  it('are what the dashboard asks for, of a pool too', async () => {
    await serve();
    const app = drive.emulator.apps[1];
    const auth = {
      client_id: app?.appKey,
      client_secret: app?.appSecret,
      app_token: drive.emulator.credentials.appToken,
      api_url: drive.emulator.gatewayUrl,
    };
    const named = ['-p', 'syncplicity', '--name', 'second', '--auth-input', '--no-verify'];
    await drive.succeed(['connections', 'add', ...named], JSON.stringify(auth));
    for (const name of ['test', 'second'])
      await drive.succeed(['connections', 'pool', 'assign', name, '--name', 'team']);
    await drive.succeed(['mount', 'team', drive.mountpoint, '--metrics', '0', '--bwlimit', '100M']);
    await readFile(at('file1'));
    await writeFile(at('new'), 'x');
    await drive.succeed(['flush', drive.mountpoint]);
    const exposed = await scrapeWhen((now) => requests(now, 'READ') > 0 && requests(now, 'WRITE') > 0);
    const members = exposed.get('syncplicityfs_member_calls_total')?.series.map(({ labels }) => labels['member']);
    expect(members).toEqual(['test', 'second']);
    const left = members?.map((member) =>
      valueOf(exposed, 'syncplicityfs_member_call_budget_left', { member: member ?? '' }),
    );
    expect(left?.reduce((sum, one) => sum + one, 0)).toBe(valueOf(exposed, 'syncplicityfs_call_budget_left'));

    const labelsOf = new Map<string, Set<string>>();
    for (const { name, labels } of seriesIn(exposed)) {
      const known = labelsOf.get(name) ?? new Set(['instance', 'job']);
      labelsOf.set(name, new Set([...known, ...Object.keys(labels)]));
    }
    const expressions = dashboardExpressions();
    expect(expressions.length).toBeGreaterThan(30);
    for (const expression of expressions) {
      const names = metricNames(expression);
      expect(names.length, expression).toBeGreaterThan(0);
      for (const name of names) expect([...labelsOf.keys()], expression).toContain(name);
      const grouped = [...expression.matchAll(/\bby \(([^)]+)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/));
      for (const label of grouped)
        expect(
          names.some((name) => labelsOf.get(name)?.has(label)),
          `${label} in ${expression}`,
        ).toBe(true);
    }
  });
});

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

function dashboardExpressions(): string[] {
  const file = new URL('../../doc/grafana/syncplicityfs.json', import.meta.url);
  const dashboard = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly panels: readonly Panel[];
    readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
  };
  const variables = dashboard.templating.list;
  expect(variables.map(({ name }) => name)).toEqual(['datasource', 'instance']);
  const targets = dashboard.panels.flatMap((panel) => panel.targets ?? []);
  for (const { expr } of targets) expect(expr).toContain('{instance=~"$instance"}');
  return [
    ...targets.map(({ expr }) => expr),
    ...variables.flatMap(({ definition }) => (definition === undefined ? [] : [definition])),
  ];
}

/** The metrics an expression names: what is left of it without functions, labels and texts. */
function metricNames(expression: string): string[] {
  const bare = expression
    .replace(/"[^"]*"/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\bby \([^)]*\)/g, '')
    .replace(/label_values\(([^,]+),[^)]*\)/, '$1');
  return [...bare.matchAll(/[a-zA-Z_:][\w:]*(?!\w*\s*\()/g)]
    .map(([name]) => name)
    .filter((name) => !/^(sum|rate|increase|histogram_quantile)$/.test(name));
}
