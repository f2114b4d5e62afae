// Versions GET in each of its spellings, over real HTTP; and signing in with the first member of a pool that is let in.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { MemoryStore } from '../../../src/emulator/memory-store.ts';
import type { FileId, FolderId, RemoteEntry, RemoteFile, SyncpointId, VersionId } from '../../../src/remote-drive.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';
import type { MemberOptions } from '../../../src/syncplicity/options.ts';
import { FixtureServer, reply } from '../fixture-server.ts';
import { emulatedService } from './emulated.ts';

const file = { syncpointId: '7' as SyncpointId, fileId: '12' as FileId, versionId: '9' as VersionId };
const secret = 'secret-of-the-app';
let server: FixtureServer;
let api: ContentApi | undefined;

beforeEach(async () => {
  server = await FixtureServer.start();
});
afterEach(async () => {
  await api?.stop();
  api = undefined;
  await server.stop();
});

function member(name: string): MemberOptions {
  return { credentials: { clientId: name, clientSecret: secret, appToken: 'app-token-1' }, apiUrl: server.url };
}

async function open(first = member('key-1'), ...more: MemberOptions[]): Promise<ContentApi> {
  api = await openContentApi({ members: [first, ...more], proxyEnvironment: {}, retries: { delayMs: 1 } }, {});
  return api;
}

/** Answers Versions GET of a version. */
function versions(versionId: string, status: number, body: unknown): void {
  server.routes.push((request, response) =>
    request.path === `/sync/versions.svc/7/file/${versionId}/versions` ? reply(response, status, body) : false,
  );
}

describe('versions', () => {
  it.each([
    [
      'as observed',
      [{ Id: 9, Action: 1, Length: 5, UserName: 'Jo Doe', DateAddedUtc: '2018-09-10T12:30:48.2170000Z' }],
    ],
    ['in texts', [{ ID: '9', action: '1', length: '5', userName: 'Jo Doe', DateAddedUtc: '/Date(1536582648217)/' }]],
    [
      'as one object',
      { id: 9, Action: 'Edited', LENGTH: 5, UserName: ' Jo Doe ', DateAddedUtc: '2018-09-10T12:30:48.217' },
    ],
  ])('are read %s', async (_spelling, body) => {
    versions('9', 200, body);
    const [version, ...more] = await (await open()).drive.versions(file, {});
    expect(more).toEqual([]);
    expect(version).toEqual({
      id: '9',
      action: 'edited',
      lengthBytes: 5,
      added: { seconds: 1_536_582_648, nanoseconds: 217_000_000 },
      userName: 'Jo Doe',
      userEmail: undefined,
      source: undefined,
    });
  });

  it('keep ids past 2^53, and what serialisers leave out', async () => {
    versions('9', 200, '[{"Id":9007199254740993,"User":{"EmailAddress":"jo@example.com"}},null,{"Id":8,"Action":77}]');
    const found = await (await open()).drive.versions(file, {});
    expect(found.map(({ id, action, lengthBytes, userEmail }) => [id, action, lengthBytes, userEmail])).toEqual([
      ['9007199254740993', 'added', 0, 'jo@example.com'],
      ['8', 'unknown', 0, undefined],
    ]);
  });

  it('are asked for by the latest version where the one at hand is refused', async () => {
    versions('9', 400, { StatusCode: 400, StatusDescription: 'Invalid Version ID' });
    versions('10', 200, [{ Id: 10 }, { Id: 9 }]);
    server.routes.push((request, response) =>
      request.path === '/sync/file.svc/7/file/12'
        ? reply(response, 200, { FileId: 12, Filename: 'a', LatestVersionId: 10, Length: 1 })
        : false,
    );
    expect((await (await open()).drive.versions(file, {})).map(({ id }) => id)).toEqual(['10', '9']);
  });

  it("are refused in the service's words, without what it repeats of the request", async () => {
    versions('9', 400, { StatusCode: 400, StatusDescription: `Virtual Folder Does Not Exist ${secret}` });
    const failed = (await open()).drive.versions(file, {});
    await expect(failed).rejects.toMatchObject({ kind: 'not-found' });
    await expect(failed).rejects.toThrow(
      'versions.svc GET: version 9 of syncpoint 7: Virtual Folder Does Not Exist [secret]',
    );
  });
});

describe('versions over each dialect', () => {
  it.each(Object.keys(dialects) as DialectName[])('%s', async (name) => {
    const store = new MemoryStore();
    const { id, rootFolderId } = store.addSyncpoint('Projects');
    const { id: fileId } = store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('first'));
    store.writeFile(id, fileId, Buffer.from('the second'));
    const service = await emulatedService(store, dialects[name]);
    try {
      const { drive } = service.api;
      const [syncpoint] = await drive.syncpoints();
      const syncpointId = syncpoint?.id as SyncpointId;
      const entries: RemoteEntry[] = [];
      for await (const batch of drive.list(syncpointId, syncpoint?.rootFolderId as FolderId)) entries.push(...batch);
      const [entry] = entries as [RemoteFile];
      const found = await service.api.drive.versions({ syncpointId, fileId: entry.id, versionId: entry.versionId }, {});
      expect(found.map(({ lengthBytes, action }) => [lengthBytes, action])).toEqual([
        [10, 'edited'],
        [5, 'added'],
      ]);
      expect(found[0]?.id).toBe(entry.versionId);
      expect(found[0]?.added?.seconds).toBeGreaterThan(1e9);
    } finally {
      await service.stop();
    }
  });
});

describe('signing in', () => {
  it('takes the first of several connections that is let in', async () => {
    server.routes.push((request, response) => {
      const [, basic = ''] = (request.headers.authorization ?? '').split(' ');
      const isRefused = Buffer.from(basic, 'base64').toString().startsWith('out:');
      return isRefused && request.path === '/oauth/token' ? reply(response, 401, { error: 'invalid_client' }) : false;
    });
    versions('9', 200, []);
    await (await open(member('out'), member('in'))).drive.versions(file, {});
    expect(server.requests.at(-1)?.headers['appkey']).toBe('in');
  });

  it('fails as the last of them does', async () => {
    server.routes.push((request, response) =>
      request.path === '/oauth/token' ? reply(response, 401, { error: 'invalid_client' }) : false,
    );
    await expect(open(member('one'), member('two'))).rejects.toMatchObject({ kind: 'unauthenticated' });
    expect(server.count('/oauth/token')).toBeGreaterThan(1);
  });
});
