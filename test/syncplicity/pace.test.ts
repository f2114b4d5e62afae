// Many calls at once against a gateway that counts: nobody is refused, and nobody waits longer than the limits demand.
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import type { FileId, SyncpointId } from '../../src/remote-drive.ts';
import { FixtureServer, reply } from './fixture-server.ts';
import { SlowTunnels } from './slow-tunnels.ts';

let server: FixtureServer;
afterEach(() => server.stop());

const file = { FileId: 1, Filename: 'a', Length: 3, LatestVersionId: 2 };
const isFile = (path: string): boolean => path.startsWith('/sync/file.svc/');
const fault = {
  fault: {
    faultstring: 'Spike arrest violation. Allowed rate : 15ps',
    detail: { errorcode: 'policies.ratelimit.SpikeArrestViolation' },
  },
};

test('200 queued calls against 15 a second: no refusal, at the full pace', async () => {
  const times: number[] = [];
  server = await FixtureServer.start((request, response) => {
    if (!isFile(request.path)) return false;
    times.push(request.atMs);
    const inSecond = times.filter((time) => request.atMs - time < 1000).length;
    return inSecond > 15 ? reply(response, 429, fault) : reply(response, 200, file);
  });
  const drive = server.drive();
  const started = performance.now();
  await Promise.all(
    Array.from({ length: 200 }, () => drive.file('3' as SyncpointId, '1' as FileId, { callClass: 'background' })),
  );
  const seconds = (performance.now() - started) / 1000;
  console.log(`200 calls in ${seconds.toFixed(1)} s, ${drive.statistics().throttled} refused`);
  // On an idle machine 0. One that stands still for a quarter of a second bunches up at the server what was sent in time.
  expect(drive.statistics().throttled).toBeLessThan(3);
  expect(seconds).toBeLessThan(30);
});

test('a gateway that smooths hardly ever refuses, and nobody sees it', async () => {
  let last = -Infinity;
  server = await FixtureServer.start((request, response) => {
    if (!isFile(request.path)) return false;
    const tooSoon = request.atMs - last < 1000 / 15;
    if (!tooSoon) last = request.atMs;
    return tooSoon ? reply(response, 429, fault) : reply(response, 200, file);
  });
  const drive = server.drive();
  await Promise.all(Array.from({ length: 60 }, () => drive.file('3' as SyncpointId, '1' as FileId)));
  const afterFirst = drive.statistics().throttled;
  // On an idle machine 0: calls are 70 ms apart from the first one on.
  expect(afterFirst).toBeLessThan(8);
  await Promise.all(Array.from({ length: 15 }, () => drive.file('3' as SyncpointId, '1' as FileId)));
  // Loaded test machines bunch up what was sent evenly: a rare refusal is repeated like any other.
  expect(drive.statistics().throttled - afterFirst).toBeLessThan(3);
});

test('calls over connections that take long to make come no closer to each other', async () => {
  const times: number[] = [];
  const waiting: ServerResponse[] = [];
  server = await FixtureServer.start((request, response) => {
    if (!isFile(request.path)) return false;
    times.push(request.atMs);
    // All at once, when the last call is here: so each needs a connection of its own.
    waiting.push(response);
    if (waiting.length === 8) for (const one of waiting) reply(one, 200, file);
    return true;
  });
  // As TCP and TLS over a long line, each second time.
  const tunnels = await SlowTunnels.start((index) => (index % 2 === 0 ? 100 : 0));
  try {
    const drive = server.drive({ proxyEnvironment: { http_proxy: tunnels.url }, proxyLoopback: true });
    await Promise.all(Array.from({ length: 8 }, () => drive.file('3' as SyncpointId, '1' as FileId)));
  } finally {
    await tunnels.stop();
  }
  expect(tunnels.made).toBeGreaterThanOrEqual(8);
  const apart = times.slice(1).map((time, index) => time - (times[index] as number));
  console.log(`calls came ${apart.map((ms) => ms.toFixed(0)).join(', ')} ms apart`);
  // 100 ms later and 100 ms earlier by turns, were they spaced as they are let go: 170 and -30.
  expect(Math.min(...apart)).toBeGreaterThan(50);
});
