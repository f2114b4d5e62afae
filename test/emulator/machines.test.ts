// The emulator's machines, storage sign-in and tokens for one vault, over bare HTTP, with the documents' errors.
import { afterEach, describe, expect, test } from 'vitest';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { get, requestToken, signIn, type Session } from './client.ts';

let emulator: Emulator;
let session: Session;
let content: string;

async function serve(dialect: Partial<Dialect> = {}, options: Partial<EmulatorOptions> = {}): Promise<void> {
  const store = new MemoryStore();
  const { id, rootFolderId } = store.addSyncpoint('Projects');
  const { versionId } = store.addFile(id, rootFolderId, 'a.txt', Buffer.from('hello'));
  emulator = await startEmulator({ store, dialect, ...options });
  session = await signIn(emulator);
  content = `${emulator.vaultUrl}/retrieveFile.php?vToken=${id}-${versionId}`;
}

afterEach(async () => {
  await emulator.stop();
});

/** As the guide has it. */
const documented = [{ Name: 'API-migration', SystemName: 'Windows', SystemVersion: '9.9.9', ClientVersion: '9.9.9' }];

interface Registered {
  readonly Id: string;
  readonly Token: string;
}

function post(path: string, body: unknown, headers: Record<string, string> = session.headers): Promise<Response> {
  return fetch(emulator.gatewayUrl + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

const gatewayPath = '/provisioning/machines.svc/';
const legacyPath = '/1.1/auth/machines.svc/';
const legacyHeaders = (): Record<string, string> => ({
  Authorization: `Application ${emulator.credentials.appToken}`,
  'Content-Type': 'application/json',
});

async function machine(body: unknown = documented): Promise<Registered> {
  const [registered] = (await (await post(gatewayPath, body)).json()) as [Registered];
  return registered;
}

describe('a machine', () => {
  test('is registered, told with its owner, and signs in', async () => {
    await serve();
    const registered = await machine();
    expect(registered).toMatchObject(documented[0] ?? {});
    const one = await (await get(session, `/provisioning/machine.svc/${registered.Id}`)).json();
    const { userId, email } = emulator.credentials;
    expect(one).toMatchObject({ Name: 'API-migration', Owner: { Id: userId, EmailAddress: email } });
    const all = (await (await get(session, `${gatewayPath}?user=&include=inactive`)).json()) as Registered[];
    expect(all.map(({ Id }) => Id)).toContain(registered.Id);
    // An application token beside it would win.
    const { appKey, appSecret } = emulator.credentials;
    const signedIn = await fetch(`${emulator.gatewayUrl}/oauth/token`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`${appKey}:${appSecret}`).toString('base64')}`,
        'Sync-Machine-Token': registered.Token,
      },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    expect(signedIn.status).toBe(200);
    expect((await requestToken(emulator, { 'Sync-App-Token': registered.Token })).status).toBe(401);
  });

  test('is registered at the legacy host with the application token alone', async () => {
    await serve({ machinesCall: 'legacy' });
    expect((await post(gatewayPath, documented)).status).toBe(404);
    expect((await post(legacyPath, documented)).status).toBe(401);
    const [registered] = (await (await post(legacyPath, documented, legacyHeaders())).json()) as [Registered];
    expect(registered.Token).toMatch(/^emulated-machine-/);
  });

  test.each([
    ['no list', { Name: 'a' }, 400, 'Only One Machine Per Request'],
    ['two at once', [{ Name: 'a' }, { Name: 'b' }], 400, 'Only One Machine Per Request'],
    ['no name', [{}], 400, 'Invalid Machine Name'],
    ['a long name', [{ Name: 'x'.repeat(51) }], 414, 'Machine Name Too Long'],
    ['an unknown system', [{ Name: 'a', SystemName: 'Linux' }], 400, 'Invalid System Name'],
    ['a short version', [{ Name: 'a', SystemVersion: '9.9' }], 400, 'Invalid System Version'],
    ['a name that is taken', [{ Name: 'Emulated Machine' }], 409, 'Machine With The Same Name Already Exists'],
  ])('is refused for %s', async (_what, body, status, text) => {
    await serve();
    const reply = await post(gatewayPath, body);
    expect([reply.status, await reply.json()]).toEqual([status, { StatusCode: status, StatusDescription: text }]);
  });

  test.each([
    [`${gatewayPath}?user=x`, 400],
    [`${gatewayPath}?user=7dae61c7-bf7a-499b-8ede-6481aba49ac9`, 403],
    ['/provisioning/machine.svc/7dae61c7-bf7a-499b-8ede-6481aba49ac9', 404],
  ])('%s is refused', async (path, status) => {
    await serve();
    expect((await get(session, path)).status).toBe(status);
  });
});

describe("a vault's own sign-in", () => {
  const storage = { storageSignIn: true };

  /** Follows the redirects as a browser does, up to the address that is none of http's. */
  async function storageToken(machineId: string, scheme = 'syncpsso253751160://'): Promise<string> {
    let url = new URL(`${emulator.vaultUrl}/v2/auth`);
    url.searchParams.set('machine_id', machineId);
    url.searchParams.set('scheme', scheme);
    for (;;) {
      const reply = await fetch(url, { redirect: 'manual' });
      const location = reply.headers.get('location');
      if (location === null) throw new Error(`HTTP ${reply.status}`);
      const next = new URL(location, url);
      if (next.origin !== url.origin) return location;
      url = next;
    }
  }

  test('gives a token that opens it to its machine, and nothing to others', async () => {
    await serve({}, storage);
    const registered = await machine();
    const location = await storageToken(registered.Id);
    expect(location).toMatch(/^syncpsso253751160:\/\/token\/SSOUser/);
    const token = decodeURIComponent(location.slice('syncpsso253751160://token/'.length));
    expect(token).not.toBe(location.slice('syncpsso253751160://token/'.length));
    const withToken = { 'Syncplicity-Storage-Authorization': token };
    expect((await fetch(content, { headers: session.headers })).status).toBe(401);
    // The bearer of no machine.
    expect((await fetch(content, { headers: { ...session.headers, ...withToken } })).status).toBe(401);
    const { appKey, appSecret } = emulator.credentials;
    const signedIn = await fetch(`${emulator.gatewayUrl}/oauth/token`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`${appKey}:${appSecret}`).toString('base64')}`,
        'Sync-Machine-Token': registered.Token,
      },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    const { access_token: bearer } = (await signedIn.json()) as { access_token: string };
    const headers = { AppKey: appKey, Authorization: `Bearer ${bearer}`, ...withToken };
    expect(await (await fetch(content, { headers })).text()).toBe('hello');
    emulator.endStorageSignIns();
    expect((await fetch(content, { headers })).status).toBe(401);
  });

  test('ends at the address it is asked for, in the dialect with a query', async () => {
    await serve({ storageCallback: 'query', storageBearer: 'any' }, storage);
    const location = await storageToken((await machine()).Id, 'http://127.0.0.1:9/x/');
    const token = new URL(location).searchParams.get('token') ?? '';
    const headers = { ...session.headers, 'Syncplicity-Storage-Authorization': token };
    expect((await fetch(content, { headers })).status).toBe(200);
  });

  test.each([
    ['?machine_id=7dae61c7-bf7a-499b-8ede-6481aba49ac9&scheme=a://', 400],
    ['?scheme=a://', 400],
  ])('%s is refused', async (query, status) => {
    await serve({}, storage);
    expect((await fetch(`${emulator.vaultUrl}/v2/auth${query}`, { redirect: 'manual' })).status).toBe(status);
    await expect(storageToken((await machine()).Id, 'nowhere')).rejects.toThrow('HTTP 400');
  });
});

describe('a token for one vault', () => {
  test.each([
    ['downloads', 200],
    ['both', 200],
    ['refused-by-vault', 401],
    ['refused-by-gateway', undefined],
  ] as const)('%s', async (vaultTokens, status) => {
    await serve({ vaultTokens });
    const { appKey, appSecret } = emulator.credentials;
    const [{ Id }] = (await (await get(session, '/storage/storageendpoints.svc/')).json()) as [{ Id: string }];
    const reply = await fetch(`${emulator.gatewayUrl}/oauth/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from(`${appKey}:${appSecret}`).toString('base64')}` },
      body: new URLSearchParams({
        grant_type: 'urn:syncplicity:oauth:grant-type:access-token',
        token: session.token,
        resource: `urn:syncplicity:resources:storage:${Id}`,
      }),
    });
    if (status === undefined) {
      expect(reply.status).toBe(400);
      return;
    }
    const { access_token: token } = (await reply.json()) as { access_token: string };
    const headers = { AppKey: appKey, Authorization: `Bearer ${token}` };
    expect((await fetch(content, { headers })).status).toBe(status);
    const upload = await fetch(`${emulator.vaultUrl}/saveFile.php?filepath=%5Cb.txt`, { method: 'POST', headers });
    expect(upload.status === 401).toBe(vaultTokens !== 'both');
  });
});
