// A pool of connections as one drive: who makes which call, who is left out and comes back, what stays with one member.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { dirSync } from 'tmp';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ContentReference, FileId, FolderId, SyncpointId, VaultId, VersionId } from '../../src/remote-drive.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import type { PoolDrive } from '../../src/syncplicity/drive.ts';
import type { PoolOptions } from '../../src/syncplicity/options.ts';
import { failure } from './failure.ts';
import { FixtureServer, appKeyOf, reply, sendRange, userId, vaultId } from './fixture-server.ts';
import type { Recorded, Route } from './fixture-server.ts';
import { FixtureVault } from './fixture-vault.ts';
import { contentOf, uploadOf } from './upload-request.ts';

const sp = '3' as SyncpointId;
const projects = { Id: 3, Name: 'Projects', RootFolderId: 4, Permission: 1, Type: 6 };
const spikeArrest = { fault: { faultstring: 'Spike arrest violation', detail: { errorcode: 'x' } } };
const names = ['ann', 'bob', 'cyd'];
/** Members that are looked at again before a test is over, or not. */
const soon = { lookAfterMs: 50 };
const late = { lookAfterMs: 3_600_000 };

let server: FixtureServer;
let lines: string[];
/** App keys whose requests are refused at the door. */
let refused: Set<string>;
/** What each member's list of syncpoints holds, where it differs. */
let views: Map<string, unknown[]>;
afterEach(() => server.stop());

async function start(...routes: Route[]): Promise<void> {
  lines = [];
  refused = new Set();
  views = new Map();
  server = await FixtureServer.start(
    (request, response) =>
      refused.has(appKeyOf(request)) && reply(response, 401, { StatusCode: 401, StatusDescription: 'Unknown App' }),
    ...routes,
    (request, response) => {
      if (request.path.startsWith('/syncpoint/syncpoints.svc'))
        return reply(response, 200, views.get(appKeyOf(request)) ?? [projects]);
      if (request.method === 'DELETE') return reply(response, 200, {});
      const id = /^\/sync\/file\.svc\/3\/file\/(\d+)$/.exec(request.path)?.[1];
      if (id === undefined || request.method !== 'GET') return false;
      return reply(response, 200, { FileId: Number(id), Filename: `f${id}`, Length: 3, LatestVersionId: 2 });
    },
  );
}

async function open(
  options: Partial<PoolOptions> = {},
  members: Parameters<FixtureServer['pool']>[0] = names,
): Promise<PoolDrive> {
  const pool = server.pool(members, { ...late, report: (line) => lines.push(line), ...options });
  await pool.open(undefined);
  server.requests.length = 0;
  return pool;
}

const fileCalls = (): Recorded[] => server.requests.filter(({ path }) => path.startsWith('/sync/file.svc/'));
const callers = (requests: Recorded[]): string[] => requests.map(appKeyOf);
const countsOf = (requests: Recorded[]): Record<string, number> =>
  Object.fromEntries(names.map((name) => [name, callers(requests).filter((key) => key === name).length]));
const outs = (pool: PoolDrive): (string | undefined)[] => pool.statistics().members.map(({ out }) => out?.reason);
const file = (pool: PoolDrive, id: number): Promise<unknown> => pool.file(sp, String(id) as FileId);

describe('calls', () => {
  test('go to each member in turn, and all have what all are allowed', async () => {
    await start();
    const pool = await open({ budget: { perSecond: 5, perHour: 100 } });
    const begun = performance.now();
    // One of each five is the look at the start.
    await Promise.all(Array.from({ length: 9 }, (_, id) => file(pool, id + 1)));
    expect(performance.now() - begun).toBeLessThan(900);
    expect(countsOf(fileCalls())).toEqual({ ann: 3, bob: 3, cyd: 3 });
    expect(pool.statistics()).toMatchObject({
      total: 15,
      budget: { perSecond: 15, perHour: 300, leftThisHour: 285 },
      members: names.map((name) => ({ name, total: 5, throttled: 0, out: undefined, budget: { leftThisHour: 95 } })),
    });
  });

  test('that are asked for at once spread over all members, though one of them could serve sooner', async () => {
    await start();
    const pool = await open({ budget: { perSecond: 5 } });
    // Whoever made this one has to wait before the next.
    await file(pool, 1);
    server.requests.length = 0;
    await Promise.all(Array.from({ length: 18 }, (_, id) => file(pool, id + 2)));
    const counts = Object.values(countsOf(fileCalls()));
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...counts)).toBeLessThanOrEqual(7);
  });

  test('go to those who have some left in this hour', async () => {
    await start();
    const directory = dirSync({ unsafeCleanup: true });
    try {
      const stateFile = join(directory.name, 'ann.json');
      const minute = Math.floor(Date.now() / 60_000);
      await writeFile(stateFile, JSON.stringify({ version: 1, calls: { another: { [minute]: 98 } } }));
      const members = [{ name: 'ann', stateFile }, 'bob', 'cyd'];
      // The look at the start takes the last two.
      const pool = await open({ budget: { perHour: 100, interactiveReserve: 0 } }, members);
      expect(outs(pool)).toEqual([expect.stringContaining('its call budget is spent') as string, undefined, undefined]);
      for (let id = 1; id <= 4; id += 1) await file(pool, id);
      expect(countsOf(fileCalls())).toEqual({ ann: 0, bob: 2, cyd: 2 });
      expect(lines).toEqual([]);
    } finally {
      await server.stop();
      directory.removeCallback();
    }
  });

  test('that one is refused for its budget are made by another at once, those that wait for it too', async () => {
    await start((request, response) => {
      if (appKeyOf(request) !== 'ann' || !request.path.startsWith('/sync/')) return false;
      return reply(response, 429, spikeArrest, { 'retry-after': '25' });
    });
    const pool = await open({ budget: { perSecond: 4 } });
    const begun = performance.now();
    await Promise.all(Array.from({ length: 24 }, (_, id) => file(pool, id + 1)));
    // Two others make four calls in a second each.
    expect(performance.now() - begun).toBeLessThan(8_000);
    const done = fileCalls().filter((request) => appKeyOf(request) !== 'ann');
    expect(new Set(done.map(({ path }) => path)).size).toBe(24);
    expect(done).toHaveLength(24);
    expect(pool.statistics().members[0]?.out).toEqual({
      reason: expect.stringMatching(/^its call budget is spent: .* 2\d s$/) as string,
      sinceMs: undefined,
    });
    expect(pool.statistics()).toMatchObject({
      online: true,
      throttled: callers(fileCalls()).filter((key) => key === 'ann').length,
    });
  });

  test('of members with one app key share its budget', async () => {
    await start();
    const twins = [{ name: 'ann' }, { name: 'bob', credentials: app('ann') }];
    const pool = await open({ budget: { perSecond: 5, perHour: 100 } }, twins);
    expect(pool.statistics().budget).toMatchObject({ perSecond: 5, perHour: 100 });
    const begun = performance.now();
    await Promise.all(Array.from({ length: 6 }, (_, id) => file(pool, id + 1)));
    expect(performance.now() - begun).toBeGreaterThan(1_000);
  });

  test('that are refused for what they ask are refused once', async () => {
    await start((request, response) => {
      if (!request.path.startsWith('/sync/')) return false;
      return reply(response, 403, { StatusCode: 403, StatusDescription: 'Syncpoint Shared With Reader Permission' });
    });
    const pool = await open();
    expect((await failure(file(pool, 1))).kind).toBe('forbidden');
    expect(fileCalls()).toHaveLength(1);
    expect(outs(pool)).toEqual([undefined, undefined, undefined]);
  });

  test('that all members are refused with 401 put nobody out', async () => {
    await start((request, response) => request.path.startsWith('/sync/') && reply(response, 401, 'No Writing Here'));
    const pool = await open();
    expect((await failure(file(pool, 1))).kind).toBe('unauthenticated');
    expect(outs(pool)).toEqual([undefined, undefined, undefined]);
    expect(fileCalls()).toHaveLength(6);
  });
});

describe('a member', () => {
  test('whose credentials stop working is left out, unnoticed, and comes back', async () => {
    await start();
    const pool = await open(soon);
    refused.add('bob');
    await Promise.all(Array.from({ length: 9 }, (_, id) => file(pool, id + 1)));
    expect(
      new Set(
        fileCalls()
          .filter((request) => appKeyOf(request) !== 'bob')
          .map(({ path }) => path),
      ).size,
    ).toBe(9);
    expect(outs(pool)).toEqual([undefined, expect.stringContaining('Unknown App') as string, undefined]);
    expect(lines).toEqual([expect.stringMatching(/^"bob" is left out of the pool: .*Unknown App/)]);
    refused.clear();
    await vi.waitUntil(() => lines.length === 2, { timeout: 5_000 });
    expect([lines[1], outs(pool)]).toEqual(['"bob" is in the pool again', [undefined, undefined, undefined]]);
    server.requests.length = 0;
    for (let id = 1; id <= 3; id += 1) await file(pool, id);
    expect(countsOf(fileCalls())).toEqual({ ann: 1, bob: 1, cyd: 1 });
  });

  test('that cannot be reached is left out, its calls are made by others', async () => {
    await start();
    const other = await FixtureServer.start((request, response) =>
      request.path.startsWith('/syncpoint/') ? reply(response, 200, [projects]) : false,
    );
    const pool = await open({}, ['ann', { name: 'bob', apiUrl: other.url }]);
    expect(outs(pool)).toEqual([undefined, undefined]);
    await other.stop();
    for (let id = 1; id <= 4; id += 1) await file(pool, id);
    expect(callers(fileCalls())).toEqual(['ann', 'ann', 'ann', 'ann']);
    expect(outs(pool)).toEqual([undefined, expect.stringContaining('no answer from') as string]);
    expect(pool.statistics().online).toBe(true);
  });

  test('that does not answer any more is left out, and what it was asked is asked of others', async () => {
    let hangs = false;
    // Taken, and never answered.
    await start((request) => hangs && appKeyOf(request) === 'bob');
    const pool = await open({ silenceMs: 100 });
    hangs = true;
    const begun = performance.now();
    await Promise.all(Array.from({ length: 9 }, (_, id) => file(pool, id + 1)));
    // It gets five seconds to prove that it lives.
    expect(performance.now() - begun).toBeLessThan(7_000);
    expect(outs(pool)).toEqual([undefined, 'the service did not answer within 5 s', undefined]);
    server.requests.length = 0;
    for (let id = 1; id <= 3; id += 1) await file(pool, id);
    expect(countsOf(fileCalls())['bob']).toBe(0);
  });

  test('that takes its time over one call stays, and is waited for', async () => {
    await start(async (request) => {
      if (request.path.startsWith('/sync/')) await new Promise((resolve) => setTimeout(resolve, 1_000));
      return false;
    });
    const pool = await open({ silenceMs: 50 });
    await file(pool, 1);
    expect(fileCalls()).toHaveLength(1);
    expect(outs(pool)).toEqual([undefined, undefined, undefined]);
    expect(server.count('/syncpoint/')).toBe(1);
  });

  test('that does not answer a change is not helped by anybody: it may have been made', async () => {
    let hangs = false;
    await start((request) => hangs && appKeyOf(request) === 'ann');
    const pool = await open({ silenceMs: 50, timeouts: { headersMs: 6_000, connectMs: 100 } });
    hangs = true;
    const ends = await Promise.allSettled(names.map((_, index) => pool.deleteFolder(sp, String(index) as FolderId)));
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    const changes = server.requests.filter(({ method }) => method === 'DELETE');
    expect(new Set(changes.map(({ path }) => path)).size).toBe(3);
    expect(changes).toHaveLength(3);
    expect(outs(pool)[0]).toContain('did not answer');
  });

  test.each([
    ['signs in as another user', 'it signs in as another user (al@example.com)', (): void => undefined],
    [
      'does not see a syncpoint',
      'it does not show what "ann" shows: it does not see "Projects" (syncpoint 3)',
      (): void => void views.set('bob', []),
    ],
    [
      'sees one more',
      'only it sees "More" (syncpoint 9)',
      (): void => void views.set('bob', [projects, { ...projects, Id: 9, Name: 'More' }]),
    ],
    [
      'may only read',
      'to it "Projects" is read-only',
      (): void => void views.set('bob', [{ ...projects, Permission: 3 }]),
    ],
  ])('that %s is refused', async (how, reason, prepare) => {
    await start((request, response) => {
      if (!how.startsWith('signs') || request.path !== '/oauth/token' || appKeyOf(request) !== 'bob') return false;
      return reply(response, 200, { access_token: 'other', user_id: 'other', user_email: 'al@example.com' });
    });
    prepare();
    const pool = await open();
    expect(lines).toEqual([expect.stringContaining(`"bob" is left out of the pool: it is refused: `)]);
    expect(lines[0]).toContain(reason);
    expect(lines[0]).toContain('connections pool unassign');
    for (let id = 1; id <= 4; id += 1) await file(pool, id);
    // Whoever can sooner: who looked last waits a moment longer.
    const { ann, bob, cyd } = countsOf(fileCalls());
    expect([(ann ?? 0) + (cyd ?? 0), bob]).toEqual([4, 0]);
    expect(Math.min(ann ?? 0, cyd ?? 0)).toBeGreaterThan(0);
  });

  test('that shows another account than the user the pool was before is refused, though it is the first', async () => {
    await start((request, response) => {
      if (request.path !== '/oauth/token' || appKeyOf(request) !== 'ann') return false;
      return reply(response, 200, { access_token: 'other', user_id: 'other' });
    });
    const pool = server.pool(names, late);
    await pool.open(userId);
    expect(await pool.account()).toMatchObject({ userId });
    expect(outs(pool)).toEqual([expect.stringContaining('another user (other)') as string, undefined, undefined]);
  });

  test('makes no call before it was looked at, and comes in when it shows the same at last', async () => {
    await start();
    views.set('bob', []);
    const unopened = server.pool(names, late);
    await file(unopened, 1);
    const [first] = server.requests.filter(({ path }) => path.startsWith('/sync/'));
    expect(server.requests.indexOf(first as Recorded)).toBeGreaterThan(5);
    expect(outs(unopened)[1]).toContain('it is refused');
    const pool = await open(soon);
    views.clear();
    await vi.waitUntil(() => outs(pool)[1] === undefined, { timeout: 5_000 });
  });
});

describe('without any member', () => {
  test('calls fail in a line that names each, for good only where all credentials are refused', async () => {
    await start();
    const pool = await open();
    for (const name of names) refused.add(name);
    const error = await failure(file(pool, 1));
    expect(error.kind).toBe('unauthenticated');
    const next = await failure(file(pool, 1));
    expect(next.kind).toBe('unauthenticated');
    for (const name of names) expect(next.message).toContain(`"${name}": `);
    expect(next.message).not.toContain('secret');
    expect(pool.statistics().online).toBe(false);
  });

  test('a call looks for one that works again, by itself', async () => {
    await start();
    const pool = await open();
    for (const name of names) refused.add(name);
    await failure(file(pool, 1));
    refused.delete('cyd');
    await vi.waitFor(() => file(pool, 2), { timeout: 5_000 });
    expect(outs(pool)).toEqual([expect.any(String) as string, expect.any(String) as string, undefined]);
  });

  test('at the start, the service being away is no reason to give up for good', async () => {
    await start((request, response) => appKeyOf(request) !== 'ann' && reply(response, 503, 'Away'));
    refused.add('ann');
    const pool = server.pool(names, { ...late, retries: { attempts: 1 } });
    await pool.open(undefined);
    expect((await failure(pool.account())).kind).toBe('unavailable');
  });
});

describe('content', () => {
  const bytes = contentOf(10_000);
  const content: ContentReference = {
    syncpointId: sp,
    versionId: '2' as VersionId,
    vaultId: vaultId as VaultId,
    lengthBytes: bytes.length,
  };
  const isDownload = ({ path }: Recorded): boolean => path === '/retrieveFile.php';
  const download: Route = (request, response) => isDownload(request) && sendRange(request, response, bytes);

  async function readAll(pool: PoolDrive): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for await (const piece of await pool.read(content, { offsetBytes: 0, lengthBytes: bytes.length }))
      pieces.push(piece);
    return Buffer.concat(pieces);
  }

  test('is read by each in turn, by others where one is refused', async () => {
    await start(download);
    const pool = await open();
    for (let time = 0; time < 3; time += 1) expect((await readAll(pool)).equals(bytes)).toBe(true);
    expect(countsOf(server.requests.filter(isDownload))).toEqual({ ann: 1, bob: 1, cyd: 1 });
    refused.add('ann');
    refused.add('cyd');
    for (let time = 0; time < 3; time += 1) expect((await readAll(pool)).equals(bytes)).toBe(true);
    expect(outs(pool).map((reason) => reason === undefined)).toEqual([false, true, false]);
  });

  const large = contentOf(3_000_000);
  const uploads = (): Recorded[] =>
    server.requests.filter(({ path, method }) => method === 'POST' && /saveFile|mime/.test(path));

  test('is sent by one member from its first chunk to its last, files side by side by several', async () => {
    const vault = new FixtureVault({ chunkBytes: [1_000_000], oneRequestMax: 1_000_000 });
    await start(vault.route);
    const pool = await open();
    await Promise.all(names.map((name) => pool.upload(uploadOf(large, { name }))));
    const byFile = names.map((name) => uploads().filter(({ url }) => url.endsWith(name)));
    expect(byFile.map((requests) => new Set(callers(requests)).size)).toEqual([1, 1, 1]);
    expect(new Set(callers(uploads())).size).toBe(3);
    expect(byFile.every((requests) => requests.length >= 3)).toBe(true);
    for (const { bytes: stored } of vault.stored.values()) expect(stored.equals(large)).toBe(true);
  });

  test('goes on with whoever began it after a restart, and anew with another where that one is out', async () => {
    const vault = new FixtureVault();
    await start(vault.route);
    const longer = contentOf(5_242_880 + 100_000);
    const cutOff = async (
      session?: string,
    ): Promise<{ by: string[]; ranges: unknown[]; session: string | undefined }> => {
      const pool = await open();
      const beforeLast = (): Promise<void> => Promise.reject(new RemoteError('unavailable', 'the power went'));
      const request = uploadOf(longer, { name: 'f', session, beforeLast });
      expect((await failure(pool.upload(request))).message).toBe('the power went');
      const ranges = uploads().map(({ headers }) => headers['content-range']);
      return { by: [...new Set(callers(uploads()))], ranges, session: request.told.marks.at(-1) };
    };
    const first = await cutOff();
    const [owner = ''] = first.by;
    expect(first.ranges).toContain('0-*/*');
    // Twice, lest it be their turn by chance.
    for (let time = 0; time < 2; time += 1) {
      const next = await cutOff(first.session);
      expect([next.by, next.ranges]).toEqual([[owner], ['*/*']]);
    }
    refused.add(owner);
    const pool = await open();
    expect(await pool.upload(uploadOf(longer, { name: 'f', session: first.session }))).toMatchObject({
      state: 'stored',
    });
    expect(callers(uploads())).not.toContain(owner);
    expect(uploads()[0]?.headers['if-match']).toBeUndefined();
    expect(vault.stored.get('\\2017\\r\u00e9sum\u00e9s\\f')?.bytes.equals(longer)).toBe(true);
  });
});

/** What the gateway does to one change of one member. */
const fates = ['ok', 'throttle', 'unauthorized', 'drop', 'lose', 'break'] as const;
type Fate = (typeof fates)[number];

test('whatever is refused to whom, a change is made once at most, and once where the drive says so', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...fates), { maxLength: 12 }),
      fc.integer({ min: 1, max: 6 }),
      async (plan, changes) => {
        const made: string[] = [];
        const left: Fate[] = [...plan];
        await start((request, response) => {
          if (request.method !== 'DELETE') return false;
          const fate = left.shift() ?? 'ok';
          switch (fate) {
            case 'throttle':
              return reply(response, 429, spikeArrest, { 'retry-after': '0' });
            case 'unauthorized':
              return reply(response, 401, 'Not Authorized');
            case 'drop':
              // Nothing was carried out, which the client cannot know.
              response.socket?.destroy();
              return true;
            case 'lose':
              made.push(request.path);
              response.socket?.destroy();
              return true;
            case 'break':
              made.push(request.path);
              return reply(response, 503, 'Broken');
            case 'ok':
              made.push(request.path);
              return reply(response, 200, {});
          }
        });
        try {
          const pool = await open({ budget: { perSecond: 0, backoffMs: 10 } });
          const ids = Array.from({ length: changes }, (_, index) => String(index + 1));
          const outcomes = await Promise.allSettled(ids.map((id) => pool.deleteFolder(sp, id as FolderId)));
          outcomes.forEach((outcome, index) => {
            const times = made.filter((path) => path.includes(`/folder/${ids[index]}`)).length;
            if (outcome.status === 'fulfilled') expect(times).toBe(1);
            else expect(times).toBeLessThanOrEqual(1);
          });
        } finally {
          await server.stop();
        }
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);

function app(key: string): { clientId: string; clientSecret: string; appToken: string } {
  return { clientId: key, clientSecret: `secret-of-${key}`, appToken: `app-token-of-${key}` };
}
