// Storage endpoints in each spelling, by each call that a server may have; and regions.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { MemoryStore } from '../../../src/emulator/memory-store.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';
import { defaultEndpoint, findEndpoints, storageEndpoints } from '../../../src/syncplicity/content/endpoints.ts';
import { findRegions } from '../../../src/syncplicity/home.ts';
import { FixtureServer, reply } from '../fixture-server.ts';
import { emulatedService } from './emulated.ts';

const id = '5b0b2de1-aaaa-4f4e-8c07-6dbb5c0f0001';
/** As the guide has it. */
const documented = {
  Id: id.toUpperCase(),
  Name: 'On premise',
  Description: 'in the basement',
  CompanyId: '9f398339-35fe-483e-82e9-eb1392ba1061',
  Active: true,
  Urls: [{ Url: 'https://10.10.10.100:9000' }],
  Auths: [{ AccessKey: 'emulated-accesskey-guide' }],
  Version: 0,
  SizeGb: 100,
  RequiresStorageAuthentication: true,
  UserHasStoragePassword: false,
  Company: { Id: '9f398339-35fe-483e-82e9-eb1392ba1061', Name: 'Example' },
  UserStoragePasswordStatus: 0,
  Default: true,
  IrmRmsOption: 0,
  ConsumedGb: 1,
  ProtocolVersion: 1.6,
};
const read = {
  id,
  name: 'On premise',
  description: 'in the basement',
  companyId: '9f398339-35fe-483e-82e9-eb1392ba1061',
  companyName: 'Example',
  urls: ['https://10.10.10.100:9000'],
  isActive: true,
  isDefault: true,
  sizeBytes: 100 * 2 ** 30,
  consumedBytes: 2 ** 30,
  requiresStorageToken: true,
  userHasPassword: false,
  protocolVersion: 1.6,
};

let server: FixtureServer;
let api: ContentApi;

beforeEach(async () => {
  server = await FixtureServer.start();
  const credentials = { clientId: 'key-1', clientSecret: 'secret-of-the-app', appToken: 'app-token-1' };
  const members = [{ credentials, apiUrl: server.url }] as const;
  api = await openContentApi({ members, proxyEnvironment: {}, retries: { delayMs: 1 } }, {});
});
afterEach(async () => {
  await api.stop();
  await server.stop();
});

function answer(path: string, status: number, body: unknown): void {
  server.routes.push((request, response) => (request.url === path ? reply(response, status, body) : false));
}

const all = '/storage/storageendpoints.svc/';
const one = '/storage/storageendpoint.svc/';

describe('storage endpoints', () => {
  it.each([
    ['as documented', [documented]],
    ['alone', documented],
    [
      'in other cases and types',
      [{ ...documented, default: 'true', Default: undefined, SizeGb: '100', Active: 'True' }],
    ],
  ])('are read %s, without access keys', async (_spelling, body) => {
    answer(all, 200, body);
    const found = await storageEndpoints(api.gateway, undefined, {});
    expect(found).toEqual([read]);
    expect(JSON.stringify(found)).not.toContain('emulated-accesskey');
  });

  it('are the default one where the server has no call for all', async () => {
    answer(all, 404, '');
    answer(one, 200, documented);
    expect(await storageEndpoints(api.gateway, undefined, {})).toEqual([read]);
  });

  it('of another user are asked for by GUID, and refused in words', async () => {
    answer(`${one}?user=7dae61c7`, 200, [documented]);
    expect(await defaultEndpoint(api.gateway, '7dae61c7', {})).toEqual(read);
    for (const path of [`${all}?user=other`, `${one}?user=other`]) {
      answer(path, 403, { StatusCode: 403, StatusDescription: 'User Not Authorized For Action' });
    }
    await expect(storageEndpoints(api.gateway, 'other', {})).rejects.toMatchObject({
      kind: 'forbidden',
      message: expect.stringContaining('User Not Authorized For Action') as unknown,
    });
  });

  it('are found by id, by name, and in the list where only administrators may ask for one', async () => {
    answer(`${one}${id}`, 403, { StatusCode: 403, StatusDescription: 'User Not Authorized For Action' });
    answer(all, 200, [documented, { ...documented, Id: '5b0b2de1-aaaa-4f4e-8c07-6dbb5c0f0002' }]);
    expect((await findEndpoints(api.gateway, id.toUpperCase(), {})).map((found) => found.id)).toEqual([id]);
    expect(await findEndpoints(api.gateway, 'on PREMISE', {})).toHaveLength(2);
    expect(await findEndpoints(api.gateway, 'nowhere', {})).toEqual([]);
  });

  it.each([
    [400, 'Invalid input', 'protocol'],
    [403, 'Request Came From An Unapproved IP Address', 'forbidden'],
    [404, 'Storage Endpoint Not Found', 'not-found'],
  ])('are refused: %i %s', async (status, text, kind) => {
    answer(one, status, { StatusCode: status, StatusDescription: text });
    await expect(defaultEndpoint(api.gateway, undefined, {})).rejects.toMatchObject({ kind });
  });

  it('show nothing of a reply that is no JSON: it may hold access keys', async () => {
    answer(one, 200, 'AccessKey=emulated-accesskey-broken');
    const failed = defaultEndpoint(api.gateway, undefined, {});
    await expect(failed).rejects.toThrow('storageendpoint.svc GET: the reply is not JSON');
    await expect(failed).rejects.not.toThrow('emulated-accesskey');
  });
});

describe('storage endpoints over each dialect', () => {
  it.each(Object.keys(dialects) as DialectName[])('%s', async (name) => {
    const service = await emulatedService(new MemoryStore(), dialects[name]);
    try {
      const expected = { name: 'Emulated vault', urls: [service.emulator.vaultUrl], isDefault: true };
      const found = await defaultEndpoint(service.api.gateway, undefined, {});
      expect(found).toMatchObject(expected);
      const listed = await storageEndpoints(service.api.gateway, undefined, {});
      if (name !== 'vaults-hidden') expect(listed).toEqual([found]);
      else expect(listed).toEqual([]);
    } finally {
      await service.stop();
    }
  });
});

describe('regions', () => {
  const question = (): Parameters<typeof findRegions>[0] => ({
    golUrl: server.url,
    email: ' User@Domain.com',
    ca: undefined,
    signal: AbortSignal.timeout(10_000),
  });

  it('are asked for with a hash of the address alone', async () => {
    answer('/api/v1/rols?uhid=58809ef69e0cceb9af2c57a42baa47cc', 200, [
      {
        Id: 1,
        Name: 'US',
        ApigeeUrl: 'https://api.syncplicity.com',
        MyUrl: 'https://my.syncplicity.com',
        IsHome: true,
        HasData: true,
      },
      { id: '2', apigeeurl: 'https://api.eu.syncplicity.com', isHome: 'false' },
    ]);
    expect(await findRegions(question())).toEqual([
      {
        id: '1',
        name: 'US',
        gatewayUrl: 'https://api.syncplicity.com',
        webUrl: 'https://my.syncplicity.com',
        isHome: true,
        hasData: true,
      },
      {
        id: '2',
        name: undefined,
        gatewayUrl: 'https://api.eu.syncplicity.com',
        webUrl: undefined,
        isHome: false,
        hasData: false,
      },
    ]);
    const { headers } = server.requests.at(-1) as { headers: Record<string, string> };
    expect([headers['authorization'], headers['appkey']]).toEqual([undefined, undefined]);
  });

  it('are none for an address that nobody knows, and fail as the look-up does', async () => {
    const path = '/api/v1/rols?uhid=58809ef69e0cceb9af2c57a42baa47cc';
    answer(path, 200, []);
    expect(await findRegions(question())).toEqual([]);
    server.routes.length = 0;
    answer(path, 400, 'Bad Request');
    await expect(findRegions(question())).rejects.toThrow('ROLs GET: the regions of a user: Bad Request (HTTP 400)');
  });
});
