// Acting for others: whom As-User names, on which requests, and what is said where the account may not.
import { afterEach, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { RemoteEntry, RemoteSyncpoint } from '../../src/remote-drive.ts';
import { createPoolDrive, createSyncplicityDrive, type SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { failure } from './failure.ts';
import { FixtureServer, reply } from './fixture-server.ts';

const bob = {
  id: 'b0b00000-0000-4000-8000-00000000000b',
  emailAddress: 'Bob@example.com',
  firstName: 'Bob',
  lastName: 'Bee',
};

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(
  company: EmulatorOptions['company'],
  dialect: EmulatorOptions['dialect'] = {},
): Promise<{ emulator: Emulator; driveFor: (asUser: string) => SyncplicityDrive }> {
  const store = new MemoryStore();
  const own = store.addSyncpoint("admin's");
  store.addFile(own.id, own.rootFolderId, 'own.txt', Buffer.from('own'));
  const his = store.addSyncpoint("Bob's", { owner: bob, permission: 0 });
  store.addFile(his.id, his.rootFolderId, 'his.txt', Buffer.from('his'));
  const emulator = await startEmulator({ store, dialect, company: { people: [bob], ...company } });
  stops.push(() => emulator.stop());
  const { appKey: clientId, appSecret: clientSecret, appToken } = emulator.credentials;
  const driveFor = (asUser: string): SyncplicityDrive => {
    const credentials = { clientId, clientSecret, appToken, asUser };
    const drive = createSyncplicityDrive({
      credentials,
      apiUrl: emulator.gatewayUrl,
      proxyEnvironment: {},
      retries: { delayMs: 1 },
    });
    stops.push(() => drive.stop());
    return drive;
  };
  return { emulator, driveFor };
}

const admin = { isAdministrator: true, actsForOthers: 'fully' } as const;

async function entriesOf(drive: SyncplicityDrive, { id, rootFolderId }: RemoteSyncpoint): Promise<RemoteEntry[]> {
  const entries: RemoteEntry[] = [];
  for await (const batch of drive.list(id, rootFolderId)) entries.push(...batch);
  return entries;
}

describe('an administrator', () => {
  it.each([bob.id.toUpperCase(), 'bob@EXAMPLE.com'])(
    'acts for %s: sees, reads and writes what is theirs',
    async (who) => {
      const { emulator, driveFor } = await serve(admin);
      const drive = driveFor(who);
      expect(await drive.account()).toEqual({
        userId: emulator.credentials.userId,
        email: emulator.credentials.email,
        actsFor: bob.id,
      });
      const [syncpoint, ...more] = await drive.syncpoints();
      if (syncpoint === undefined) throw new Error('nothing to see');
      expect(more).toEqual([]);
      expect(syncpoint).toMatchObject({ name: "Bob's", permission: 'read-write' });
      const [file] = await entriesOf(drive, syncpoint);
      if (file?.kind !== 'file') throw new Error('no file');
      const stream = await drive.read(
        { syncpointId: syncpoint.id, versionId: file.versionId, vaultId: syncpoint.vaultId, lengthBytes: 3 },
        { offsetBytes: 0, lengthBytes: 3 },
      );
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(Buffer.from(chunk));
      expect(Buffer.concat(chunks).toString()).toBe('his');
      await drive.createFolders(syncpoint.id, syncpoint.rootFolderId, ['made']);
      expect((await entriesOf(drive, syncpoint)).map(({ name }) => name)).toContain('made');
      // Whom an address belongs to is asked once, that it works too.
      await drive.account();
      expect(emulator.calls().byEndpoint['user'] ?? 0).toBe(who.includes('@') ? 1 : 0);
    },
  );

  it('is told that nobody has an address', async () => {
    const { driveFor } = await serve(admin);
    const error = await failure(driveFor('nobody@example.com').account());
    expect(error.kind).toBe('forbidden');
    expect(error.message).toContain('the user nobody@example.com, to act for: Not A Business Admin (HTTP 403)');
    expect(error.message).not.toContain('\n');
  });

  it('is told that nobody has a GUID', async () => {
    const { driveFor } = await serve(admin);
    const error = await failure(driveFor('00000000-0000-4000-8000-000000000000').account());
    expect(error).toMatchObject({ kind: 'not-found', message: expect.stringContaining('User Not Found') as unknown });
  });

  it('for eDiscovery reads, and hears why it may not write', async () => {
    const { driveFor } = await serve({ isAdministrator: true, actsForOthers: 'reading' });
    const drive = driveFor(bob.id);
    const [syncpoint] = await drive.syncpoints();
    if (syncpoint === undefined) throw new Error('nothing to see');
    expect((await entriesOf(drive, syncpoint)).map(({ name }) => name)).toEqual(['his.txt']);
    const error = await failure(drive.createFolders(syncpoint.id, syncpoint.rootFolderId, ['made']));
    expect(error.kind).toBe('forbidden');
    expect(error.message).toContain('an eDiscovery administrator may only read for others');
    // The token was good: reading goes on.
    expect((await entriesOf(drive, syncpoint)).map(({ name }) => name)).toEqual(['his.txt']);
  });
});

describe('an account that may not act for others', () => {
  it.each([
    ['ignored', "Syncplicity shows the account's own folders instead"],
    ['403', 'User has no OnBehalfOf permission (HTTP 403)'],
  ] as const)(
    'hears which privilege it lacks where As-User is answered with: %s',
    async (asUserUnprivileged, words) => {
      const { driveFor } = await serve({ isAdministrator: true }, { asUserUnprivileged });
      const error = await failure(driveFor('bob@example.com').account());
      expect(error.kind).toBe('forbidden');
      expect(error.message).toContain(words);
      expect(error.message).toContain('the privilege "Access content on behalf of managed users through API"');
      expect(error.message).not.toContain('\n');
    },
  );

  it('and is no administrator hears that a GUID would do', async () => {
    const { driveFor } = await serve({});
    const error = await failure(driveFor('bob@example.com').account());
    expect(error.message).toMatch(/only an administrator finds a managed user by e-mail address; give the user's GUID/);
  });
});

it('sends As-User with every request of gateway and vault, and with none that asks who somebody is', async () => {
  const server = await FixtureServer.start((request, response) => {
    if (request.path.startsWith('/provisioning/user.svc/')) return reply(response, 200, { Id: bob.id.toUpperCase() });
    return false;
  });
  stops.push(() => server.stop());
  const drive = server.drive({
    credentials: { clientId: 'key-1', clientSecret: 's', appToken: 'a', asUser: 'bob+x@example.com' },
  });
  await drive.vaults();
  const asked = server.requests.map(({ path, headers }) => [path, headers['as-user']]);
  expect(asked).toEqual([
    ['/oauth/token', undefined],
    ['/provisioning/user.svc/bob%2Bx%40example.com', undefined],
    ...asked.slice(2).map(([path]) => [path, bob.id]),
  ]);
  expect(asked.length).toBeGreaterThan(2);
});

it('all connections of a pool act for the same user, whatever each calls them', async () => {
  const { emulator } = await serve(admin);
  const { appKey: clientId, appSecret: clientSecret, appToken } = emulator.credentials;
  const member = (id: string, asUser: string) => ({
    id,
    name: id,
    credentials: { clientId, clientSecret, appToken, asUser },
    apiUrl: emulator.gatewayUrl,
  });
  const pool = createPoolDrive({
    members: [member('a', bob.id), member('b', 'bob@example.com')],
    proxyEnvironment: {},
  });
  stops.push(() => pool.stop());
  await pool.open(undefined);
  expect(pool.statistics().members.map(({ out }) => out)).toEqual([undefined, undefined]);
  expect((await pool.account()).actsFor).toBe(bob.id);
});
