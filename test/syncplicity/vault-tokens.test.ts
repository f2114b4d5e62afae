// Which tokens vaults are shown: one for them alone, a machine's, the account's, with what each side may refuse; and storage tokens that
// are replaced while a drive runs.
import { afterEach, describe, expect, test } from 'vitest';
import type { ContentReference, SyncpointId, VaultId, VersionId } from '../../src/remote-drive.ts';
import type { SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import type { SyncplicityCredentials } from '../../src/syncplicity/options.ts';
import { FixtureServer, reply, sendRange, userId, vaultId } from './fixture-server.ts';
import type { Recorded, Route } from './fixture-server.ts';
import { FixtureVault } from './fixture-vault.ts';
import { uploadOf } from './upload-request.ts';

let server: FixtureServer;
afterEach(() => server.stop());

const content = Buffer.from('what a vault holds');
const version: ContentReference = {
  syncpointId: '3' as SyncpointId,
  versionId: '9' as VersionId,
  vaultId: vaultId as VaultId,
  lengthBytes: content.length,
};
const plain: SyncplicityCredentials = { clientId: 'k', clientSecret: 'secret-1', appToken: 'app-token-1' };
const withMachine = { ...plain, machineToken: 'machine-token-1', storageToken: 'SSOUser-1' };

interface Service {
  /** The vault's name: the gateway's is 127.0.0.1. */
  readonly host?: string;
  readonly ownSignIn?: boolean;
  /** Answers an exchange; by default with `sst-N`. */
  readonly exchange?: (request: Recorded) => readonly [status: number, body: unknown] | undefined;
  /** The status of a download with this bearer. */
  readonly vault?: (bearer: string, request: Recorded) => number;
}

/** How many tokens of each kind were given. */
const given = { sst: 0, machine: 0, account: 0 };

async function start({ host = 'localhost', ownSignIn = false, ...service }: Service = {}): Promise<void> {
  Object.assign(given, { sst: 0, machine: 0, account: 0 });
  const endpoints: Route = (request, response) =>
    request.path.startsWith('/storage/storageendpoints') &&
    reply(response, 200, [
      {
        Id: vaultId,
        Name: 'Basement',
        Urls: [{ Url: server.url.replace('127.0.0.1', host) }],
        RequiresStorageAuthentication: ownSignIn,
        Default: true,
      },
    ]);
  const token: Route = (request, response) => {
    if (request.path !== '/oauth/token') return false;
    const form = new URLSearchParams(request.body);
    const isExchange = form.get('grant_type') === 'urn:syncplicity:oauth:grant-type:access-token';
    const refused = isExchange ? service.exchange?.(request) : undefined;
    if (refused !== undefined) return reply(response, refused[0], refused[1]);
    const kind = isExchange ? 'sst' : request.headers['sync-machine-token'] === undefined ? 'account' : 'machine';
    given[kind] += 1;
    return reply(response, 200, { access_token: `${kind}-${given[kind]}`, expires_in: '5099', user_id: userId });
  };
  const retrieve: Route = (request, response) => {
    if (request.path !== '/retrieveFile.php') return false;
    const bearer = (request.headers.authorization ?? '').replace('Bearer ', '');
    const status = service.vault?.(bearer, request) ?? 200;
    return status === 200 ? sendRange(request, response, content) : reply(response, status, 'no');
  };
  server = await FixtureServer.start(endpoints, token, retrieve);
}

async function read(drive: SyncplicityDrive): Promise<void> {
  const stream = await drive.read(version, { offsetBytes: 0, lengthBytes: content.length });
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  expect(Buffer.concat(chunks)).toEqual(content);
}

/** The bearers that the vault was shown, in order. */
const shown = (): string[] =>
  server.requests
    .filter(({ path }) => path === '/retrieveFile.php')
    .map(({ headers }) => (headers.authorization ?? '').replace('Bearer ', ''));
const exchanges = (): URLSearchParams[] =>
  server.requests
    .filter(({ path }) => path === '/oauth/token')
    .map(({ body }) => new URLSearchParams(body))
    .filter((form) => form.has('resource'));

describe('a vault outside the domain of the gateway', () => {
  test('is shown a token for it alone, asked for once and as the vendor has it', async () => {
    await start();
    const drive = server.drive({ credentials: plain });
    await Promise.all([read(drive), read(drive), read(drive)]);
    await read(drive);
    expect(new Set(shown())).toEqual(new Set(['sst-1']));
    expect(exchanges().map((form) => Object.fromEntries(form))).toEqual([
      {
        grant_type: 'urn:syncplicity:oauth:grant-type:access-token',
        token: 'account-1',
        resource: `urn:syncplicity:resources:storage:${vaultId}`,
      },
    ]);
    const { headers } = server.requests.find(({ body }) => body.includes('resource')) as Recorded;
    expect(headers.authorization).toBe(`Basic ${Buffer.from('k:secret-1').toString('base64')}`);
    expect(headers['sync-app-token']).toBeUndefined();
    expect(drive.statistics().byEndpoint['token POST']).toBe(2);
  });

  test('has it renewed when it is over, alone', async () => {
    const over = new Set<string>();
    await start({ vault: (bearer) => (over.has(bearer) ? 401 : 200) });
    const drive = server.drive({ credentials: plain });
    await read(drive);
    over.add('sst-1');
    await read(drive);
    await read(drive);
    expect(shown()).toEqual(['sst-1', 'sst-1', 'sst-2', 'sst-2']);
    expect(given).toEqual({ sst: 2, machine: 0, account: 1 });
  });

  test("has it asked for with a new token of the account's where that one is over", async () => {
    await start({
      exchange: ({ body }) => (body.includes('token=account-1&') ? [401, { error: 'invalid_token' }] : undefined),
    });
    await read(server.drive({ credentials: plain }));
    expect(shown()).toEqual(['sst-1']);
    expect(given.account).toBe(2);
  });

  test.each([
    [400, { error: 'unsupported_grant_type' }],
    [401, { error: 'invalid_client' }],
    [403, { fault: { faultstring: 'Not allowed' } }],
    [404, ''],
  ])('is shown the plain token from then on where the gateway refuses: %i', async (status, body) => {
    await start({ exchange: () => [status, body] });
    const drive = server.drive({ credentials: plain });
    await read(drive);
    await read(drive);
    expect(new Set(shown().map((bearer) => bearer.replace(/\d/, '')))).toEqual(new Set(['account-']));
    // A 401 may mean that the account's own token is over.
    expect(exchanges()).toHaveLength(status === 401 ? 2 : 1);
  });

  test.each([401, 403, 400])('is shown the plain token from then on where it refuses with %i', async (status) => {
    await start({ vault: (bearer) => (bearer.startsWith('sst') ? status : 200) });
    const drive = server.drive({ credentials: plain });
    await read(drive);
    await read(drive);
    expect(shown()).toEqual(['sst-1', 'account-1', 'account-1']);
    expect(exchanges()).toHaveLength(1);
  });

  test('goes on being tried with its own token where the plain one was refused as well', async () => {
    let isOpen = false;
    await start({ vault: () => (isOpen ? 200 : 401) });
    const drive = server.drive({ credentials: plain });
    await expect(read(drive)).rejects.toMatchObject({ kind: 'unauthenticated' });
    isOpen = true;
    await read(drive);
    expect(shown().at(-1)).toMatch(/^sst-/);
  });

  test('is read with the plain token while the gateway has no answer, and the exchange tried again later', async () => {
    await start({ exchange: () => [503, ''] });
    const drive = server.drive({ credentials: plain });
    await read(drive);
    await read(drive);
    expect(shown()).toEqual(['account-1', 'account-1']);
    expect(exchanges()).toHaveLength(1);
  });

  test('is sent uploads with the plain token', async () => {
    await start();
    const vault = new FixtureVault();
    server.routes.push(vault.route);
    await server.drive({ credentials: plain }).upload(uploadOf(Buffer.from('x')));
    const sent = server.requests.find(({ path }) => path === '/saveFile.php');
    expect(sent?.headers.authorization).toBe('Bearer account-1');
    expect(exchanges()).toEqual([]);
  });

  test('never has its tokens repeated in an error', async () => {
    await start({
      exchange: ({ body }) => [400, { StatusCode: 400, StatusDescription: `bad ${body}` }],
      vault: () => 404,
    });
    const failed = read(server.drive({ credentials: plain }));
    await expect(failed).rejects.not.toThrow(/account-1/);
  });
});

test('a vault in the domain of the gateway is shown the plain token, without a call for another', async () => {
  await start({ host: '127.0.0.1' });
  await read(server.drive({ credentials: plain }));
  expect(shown()).toEqual(['account-1']);
  expect(exchanges()).toEqual([]);
});

describe('a vault with authentication of its own', () => {
  test("is shown the machine's token, or one for it alone made of that, and the storage token", async () => {
    await start({ ownSignIn: true });
    const drive = server.drive({ credentials: withMachine });
    await read(drive);
    expect(shown()).toEqual(['sst-1']);
    expect(exchanges()[0]?.get('token')).toBe('machine-1');
    const vault = new FixtureVault();
    server.routes.push(vault.route);
    await drive.upload(uploadOf(Buffer.from('x')));
    const sent = server.requests.find(({ path }) => path === '/saveFile.php');
    expect(sent?.headers.authorization).toBe('Bearer machine-1');
    expect(sent?.headers['syncplicity-storage-authorization']).toBe('SSOUser-1');
    expect(given).toEqual({ sst: 1, machine: 1, account: 1 });
  });

  test("is shown the account's token where it takes no other", async () => {
    await start({ ownSignIn: true, vault: (bearer) => (bearer.startsWith('account') ? 200 : 401) });
    const drive = server.drive({ credentials: withMachine });
    await read(drive);
    await read(drive);
    expect(shown()).toEqual(['sst-1', 'machine-1', 'account-1', 'account-1']);
  });

  test('is read again with a token that is stored meanwhile, by all who were refused', async () => {
    let accepted = 'SSOUser-old';
    await start({
      ownSignIn: true,
      vault: (_bearer, { headers }) => (headers['syncplicity-storage-authorization'] === accepted ? 200 : 401),
    });
    const stored: { token?: string; machine?: string } = {};
    const storage = {
      tokenFor: () => Promise.resolve(stored.token),
      machineToken: () => Promise.resolve(stored.machine),
      remedy: 'sign in with: the command',
    };
    const drive = server.drive({ credentials: { ...plain, storage } });
    await expect(read(drive)).rejects.toThrow(
      'StorageVault Basement asks for its own authentication: sign in with: the command',
    );
    stored.token = 'SSOUser-old';
    await read(drive);
    accepted = 'SSOUser-new';
    await expect(read(drive)).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: expect.stringMatching(
        /the authentication of StorageVault Basement is over: sign in with: the command$/,
      ) as unknown,
    });
    stored.token = 'SSOUser-new';
    await Promise.all([read(drive), read(drive)]);
    expect(given.machine).toBe(0);
    Object.assign(stored, { token: 'SSOUser-third', machine: 'machine-token-2' });
    accepted = 'SSOUser-third';
    await read(drive);
    expect(exchanges().at(-1)?.get('token')).toBe('machine-1');
  });
});
