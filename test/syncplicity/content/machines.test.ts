// Machines: registered at the gateway and at the legacy host with the documents' bodies, listed, refused, and no token in any error.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { MemoryStore } from '../../../src/emulator/memory-store.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';
import {
  isUnserved,
  machinesOf,
  registerMachine,
  registerMachineAtLegacyHost,
} from '../../../src/syncplicity/content/machines.ts';
import { failure } from '../failure.ts';
import { FixtureServer, reply } from '../fixture-server.ts';
import { emulatedService } from './emulated.ts';

const id = '5b0b2de1-aaaa-4f4e-8c07-6dbb5c0f0001';
const documented = {
  Id: id.toUpperCase(),
  Name: 'desk',
  SystemName: 'Windows',
  SystemVersion: '9.9.9',
  ClientVersion: '9.9.9',
  Token: 'hidden-token-1',
};
const gatewayPath = '/provisioning/machines.svc/';
const legacyPath = '/1.1/auth/machines.svc/';
const all = { user: undefined, withInactive: false };

let server: FixtureServer;
let api: ContentApi;

beforeEach(async () => {
  server = await FixtureServer.start();
  const credentials = { clientId: 'key-1', clientSecret: 'secret-of-the-app', appToken: 'app-token-1' };
  const members = [
    { credentials: { ...credentials, asUser: '7dae61c7-bf7a-499b-8ede-6481aba49ac8' }, apiUrl: server.url },
  ] as const;
  server.routes.push((request, response) =>
    request.path === '/syncpoint/syncpoints.svc/' ? reply(response, 200, []) : false,
  );
  api = await openContentApi({ members, proxyEnvironment: {}, retries: { delayMs: 1 } }, {});
});
afterEach(async () => {
  await api.stop();
  await server.stop();
});

function answer(url: string, status: number, body: unknown): void {
  server.routes.unshift((request, response) => (request.url === url ? reply(response, status, body) : false));
}

const atLegacyHost = (): ReturnType<typeof registerMachineAtLegacyHost> =>
  registerMachineAtLegacyHost({
    xmlUrl: `${server.url}/`,
    appToken: 'hidden-token-app',
    name: 'desk',
    ca: undefined,
    signal: AbortSignal.timeout(10_000),
  });

describe('a machine', () => {
  const guide = [{ Name: 'desk', SystemName: 'Windows', SystemVersion: '9.9.9', ClientVersion: '9.9.9' }];

  it.each([
    ['in a list', [documented]],
    ['alone, in other cases', { ID: id, token: ' hidden-token-1 ' }],
  ])('is registered at the gateway, in the own name of the account (%s)', async (_spelling, body) => {
    answer(gatewayPath, 200, body);
    expect(await registerMachine(api.gateway, 'desk', {})).toEqual({ id, token: 'hidden-token-1' });
    const sent = server.requests.at(-1);
    expect([sent?.method, JSON.parse(sent?.body ?? '')]).toEqual(['POST', guide]);
    expect(sent?.headers).toMatchObject({ appkey: 'key-1', authorization: 'Bearer tok-1' });
    expect(sent?.headers['as-user']).toBeUndefined();
  });

  it('is registered at the legacy host with the application token alone', async () => {
    answer(legacyPath, 200, [documented]);
    expect(await atLegacyHost()).toEqual({ id, token: 'hidden-token-1' });
    const sent = server.requests.at(-1);
    expect([sent?.method, JSON.parse(sent?.body ?? '')]).toEqual(['POST', guide]);
    expect(sent?.headers).toMatchObject({ authorization: 'Application hidden-token-app', accept: 'application/json' });
    expect(sent?.headers['appkey']).toBeUndefined();
  });

  it.each([
    [401, { fault: { faultstring: 'Invalid ApiKey for given resource' } }, true],
    [403, 'User Not Authorized For Action', true],
    [404, '', true],
    [405, '', true],
    [400, 'Invalid System Name', false],
    [409, 'Machine With The Same Name Already Exists', false],
    [414, 'Machine Name Too Long', false],
    [419, 'Client Version Too Old', false],
  ])('refused with %i may be registered elsewhere: %j: %s', async (status, body, elsewhere) => {
    answer(gatewayPath, status, body);
    const refused = await failure(registerMachine(api.gateway, 'desk', {}));
    expect(refused).toMatchObject({ status });
    expect(isUnserved(refused)).toBe(elsewhere);
    answer(legacyPath, status, body);
    expect(await failure(atLegacyHost())).toMatchObject({ status });
  });

  it.each([
    ['is no JSON', 'Token=hidden-token-1'],
    ['has no token', [{ ...documented, Token: undefined }]],
    ['has one that no header can carry', [{ ...documented, Token: 'hidden-token-1\n' + 'x' }]],
    ['is empty', ''],
  ])('whose reply %s is an error that shows none', async (_what, body) => {
    for (const path of [gatewayPath, legacyPath]) answer(path, 200, body);
    for (const register of [() => registerMachine(api.gateway, 'desk', {}), atLegacyHost]) {
      const { message } = await failure(register());
      expect(message).toContain('machines.svc POST');
      expect(message).not.toContain('hidden-token');
    }
  });

  it('is refused without what the server repeats of the request', async () => {
    answer(legacyPath, 401, 'Application hidden-token-app is unknown');
    const { message } = await failure(atLegacyHost());
    expect(message).toContain('Application [secret] is unknown');
  });

  it('is not registered over plain http elsewhere', async () => {
    const asked = { xmlUrl: 'http://xml.example.com', appToken: 'a', name: 'n', ca: undefined };
    const failed = registerMachineAtLegacyHost({ ...asked, signal: AbortSignal.timeout(10_000) });
    await expect(failed).rejects.toThrow('is not https');
  });
});

describe('machines', () => {
  it('are listed with what the service tells of each', async () => {
    const owner = { Id: '7dae61c7-bf7a-499b-8ede-6481aba49ac9', EmailAddress: 'jo@example.com' };
    answer(gatewayPath, 200, [
      { Id: id, Name: 'desk', Token: 'hidden-token-1', Owner: owner },
      { id: id, systemName: '' },
    ]);
    expect(await machinesOf(api.gateway, all, {})).toEqual([
      { id, name: 'desk', ownerEmail: 'jo@example.com', system: undefined, token: 'hidden-token-1' },
      { id, name: '', ownerEmail: undefined, system: undefined, token: undefined },
    ]);
  });

  it.each([
    [400, 'Invalid user ID', 'protocol'],
    [403, 'Not A Business Admin', 'forbidden'],
    [404, 'User Not Found', 'not-found'],
  ])('of another user are refused with %i %s', async (status, text, kind) => {
    answer(`${gatewayPath}?user=x&include=inactive`, status, { StatusCode: status, StatusDescription: text });
    expect(await failure(machinesOf(api.gateway, { user: 'x', withInactive: true }, {}))).toMatchObject({ kind });
  });

  it('show nothing of a reply that is no JSON', async () => {
    answer(gatewayPath, 200, 'Token=hidden-token-1');
    expect((await failure(machinesOf(api.gateway, all, {}))).message).not.toContain('hidden-token');
  });
});

describe('machines over each dialect', () => {
  it.each(Object.keys(dialects) as DialectName[])('%s', async (name) => {
    const service = await emulatedService(new MemoryStore(), dialects[name]);
    const { api: own, emulator } = service;
    try {
      if (dialects[name].machinesCall === 'legacy') {
        expect(isUnserved(await failure(registerMachine(own.gateway, 'desk', {})))).toBe(true);
        const { appToken } = emulator.credentials;
        const asked = { xmlUrl: emulator.gatewayUrl, appToken, name: 'desk', ca: undefined };
        const signal = AbortSignal.timeout(10_000);
        expect((await registerMachineAtLegacyHost({ ...asked, signal })).token).toMatch(/^emulated-machine-/);
        return;
      }
      const registered = await registerMachine(own.gateway, 'desk', {});
      const listed = await machinesOf(own.gateway, all, {});
      expect(listed.map((machine) => machine.id)).toContain(registered.id);
    } finally {
      await service.stop();
    }
  });
});
