// Participants GET, POST, DELETE and Users PII as the guide has them: what goes out to the letter, and each spelling of what comes back.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SyncpointId } from '../../../src/remote-drive.ts';
import { participantsOf, share, unshare, type Invitation } from '../../../src/syncplicity/content/participants.ts';
import { usersById } from '../../../src/syncplicity/content/users-pii.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';
import { emailHash } from '../../../src/syncplicity/rols.ts';
import { FixtureServer, reply, type Recorded } from '../fixture-server.ts';

const id = '5698124' as SyncpointId;
const path = '/syncpoint/syncpoint_participants.svc/5698124/participants';
const groupId = '22222222-2222-2222-2222-222222222222';
const abroadId = 'bbe998e2-e759-495b-897e-6afaa76bb8c0';
const homeId = '64443e0b-1e02-4b20-a27a-0d0d82cfaef7';
const bearer = 'AAAA.BBBB.one-time';
const jo: Invitation = { sharee: { kind: 'user', email: 'jo@example.com' }, permission: 'read-only' };
const team: Invitation = { sharee: { kind: 'group', id: groupId }, permission: 'read-write' };
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

async function open(): Promise<ContentApi> {
  const credentials = { clientId: 'key-1', clientSecret: 'secret-1', appToken: 'app-token-1' };
  const members = [{ credentials, apiUrl: server.url }] as const;
  api = await openContentApi({ members, proxyEnvironment: {}, retries: { delayMs: 1 } }, {});
  return api;
}

/** Answers a call with a body and a status; gives back the requests it got. */
function answer(method: string, to: string, body: unknown, status = 200): Recorded[] {
  const got: Recorded[] = [];
  server.routes.push((request, response) => {
    if (request.method !== method || request.path !== to) return false;
    got.push(request);
    return reply(response, status, body);
  });
  return got;
}

describe('Participants GET', () => {
  it.each([
    [
      "the guide's",
      [
        {
          User: { EmailAddress: 'al@example.com', FirstName: 'Al', LastName: 'Bo' },
          Permission: 1,
          Mapped: true,
          IsOwner: true,
          IsExplicit: true,
        },
        {
          User: { Id: abroadId, EmailAddress: '', FirstName: '', LastName: '', OriginalRolId: 2 },
          Inviter: { Id: homeId, EmailAddress: 'al@example.com', FirstName: 'Al', LastName: 'Bo' },
          Permission: 1,
          IsExplicit: true,
        },
        { Group: { Id: groupId, Name: 'Team' }, Permission: 3, Mapped: false, IsExplicit: false },
      ],
    ],
    [
      'one of strings in lower case, defaults left out',
      [
        {
          user: { emailaddress: 'al@example.com', firstname: 'Al ', lastname: 'Bo' },
          permission: '1',
          isowner: 'true',
        },
        {
          user: { id: abroadId.toUpperCase(), orgininalrolid: '2' },
          inviter: { emailaddress: 'al@example.com' },
          permission: '1',
        },
        { group: { id: `{${groupId}}`, name: 'Team' }, permission: '3', isexplicit: 'False' },
        {},
      ],
    ],
  ])('reads a reply like %s', async (_like, body) => {
    answer('GET', path, body);
    const found = await participantsOf((await open()).gateway, id, {});
    const user = {
      kind: 'user',
      isOwner: false,
      isExplicit: true,
      id: undefined,
      inviter: undefined,
      rolId: undefined,
    };
    expect(found).toEqual([
      { ...user, email: 'al@example.com', name: 'Al Bo', permission: 'read-write', isOwner: true },
      {
        ...user,
        id: abroadId,
        email: undefined,
        name: undefined,
        permission: 'read-write',
        inviter: 'al@example.com',
        rolId: 2,
      },
      {
        ...user,
        kind: 'group',
        id: groupId,
        email: undefined,
        name: 'Team',
        permission: 'read-only',
        isExplicit: false,
      },
    ]);
  });

  it('is refused in the words of the service', async () => {
    answer('GET', path, { StatusCode: 403, StatusDescription: 'User Not Authorized For Action' }, 403);
    await expect(participantsOf((await open()).gateway, id, {})).rejects.toThrow(
      'syncpoint_participants.svc GET: the participants of syncpoint 5698124: User Not Authorized For Action (HTTP 403)',
    );
  });
});

describe('Participants POST', () => {
  it("sends the guide's body, mails or not", async () => {
    const got = answer('POST', path, []);
    const { gateway } = await open();
    expect(await share(gateway, id, [jo, team], { isSent: true, note: 'Hello "all"' }, {})).toEqual([]);
    await share(gateway, id, [jo], { isSent: false, note: undefined }, {});
    const [first, second] = got;
    expect(JSON.parse(first?.body ?? '')).toEqual([
      { User: { EmailAddress: 'jo@example.com' }, Permission: 3, SharingInviteNote: 'Hello "all"' },
      { Group: { Id: groupId }, Permission: 1, SharingInviteNote: 'Hello "all"' },
    ]);
    expect(first?.headers['content-type']).toBe('application/json');
    expect([first?.query.get('modifier'), second?.query.get('modifier')]).toEqual([null, 'no_email']);
    expect(second?.body).toBe('[{"User":{"EmailAddress":"jo@example.com"},"Permission":3}]');
  });

  it.each<[string, unknown, Invitation[]]>([
    ['echoes both', [{ User: { EmailAddress: 'JO@example.com' }, Permission: '3' }, { Group: { Id: groupId } }], []],
    ['is empty', '', []],
    ['has one of them', [{ Group: { Id: groupId.toUpperCase() } }], [jo]],
    ['has the other, by an id of another region', [{ User: { Id: abroadId, EmailAddress: '' } }], [team]],
  ])('tells who was not taken where the reply %s', async (_what, body, left) => {
    answer('POST', path, body);
    const { gateway } = await open();
    expect(await share(gateway, id, [jo, team], { isSent: true, note: undefined }, {})).toEqual(left);
  });

  it('is not made again where it may have been acted on', async () => {
    const got: Recorded[] = [];
    server.routes.push((request, response) => {
      if (request.method !== 'POST' || request.path !== path) return false;
      got.push(request);
      response.destroy();
      return true;
    });
    const failed = share((await open()).gateway, id, [jo], { isSent: true, note: undefined }, {});
    await expect(failed).rejects.toThrow('it may have been done nevertheless');
    expect(got).toHaveLength(1);
  });
});

it('Participants DELETE sends a body', async () => {
  const got = answer('DELETE', path, '');
  await unshare((await open()).gateway, id, [jo.sharee, team.sharee], {});
  expect(got.map(({ body }) => body)).toEqual([
    `[{"User":{"EmailAddress":"jo@example.com"}},{"Group":{"Id":"${groupId}"}}]`,
  ]);
  expect(got[0]?.headers['content-type']).toBe('application/json');
});

describe('Users PII', () => {
  const home = {
    RolUserPIIs: [
      {
        Users: [{ Id: homeId, EmailAddress: 'some@email.com', FirstName: 'some', LastName: 'one' }],
        HomeRolId: 1,
        Bearer: '',
      },
      { Users: [{ Id: abroadId }], HomeRolId: 2, Bearer: bearer },
    ],
  };
  const abroad = {
    RolUserPIIs: [
      { Users: [{ Id: abroadId, EmailAddress: 'an@email.eu', FirstName: 'An' }], HomeRolId: 2, Bearer: '' },
    ],
  };

  /** The lookup knows region 2, at a path of this server. */
  function knowRegions(): Recorded[] {
    return answer('GET', '/api/v1/rols', [
      { Id: 1, ApigeeUrl: server.url, IsHome: true, HasData: true },
      { Id: 2, ApigeeUrl: `${server.url}/eu/`, IsHome: false, HasData: true },
    ]);
  }

  it('asks the region of each user, with the token made for that', async () => {
    const lookups = knowRegions();
    const asked = answer('POST', '/rol/users_pii.svc/', home);
    const askedAbroad = answer('POST', '/eu/rol/users_pii.svc/', abroad);
    const { gateway, regions } = await open();
    expect(await usersById(gateway, regions, [homeId, abroadId], {})).toEqual({
      users: [
        { id: homeId, email: 'some@email.com', name: 'some one', rolId: 1 },
        { id: abroadId, email: 'an@email.eu', name: 'An', rolId: 2 },
      ],
      failures: [],
    });
    expect(asked.map(({ body }) => body)).toEqual([JSON.stringify([homeId, abroadId])]);
    expect(askedAbroad.map(({ body, headers }) => [body, headers.authorization, headers['appkey']])).toEqual([
      [JSON.stringify([abroadId]), `Bearer ${bearer}`, 'key-1'],
    ]);
    expect(lookups.map(({ query }) => query.get('uhid'))).toEqual([emailHash('jo@example.com')]);
  });

  it('is a GET with a body where POST is not known', async () => {
    knowRegions();
    answer('POST', '/rol/users_pii.svc/', 'Method Not Allowed', 405);
    const asked = answer('GET', '/rol/users_pii.svc', home);
    const askedAbroad = answer('GET', '/eu/rol/users_pii.svc', abroad);
    const { gateway, regions } = await open();
    const { users } = await usersById(gateway, regions, [homeId, abroadId], {});
    expect(users.map(({ email }) => email)).toEqual(['some@email.com', 'an@email.eu']);
    expect([asked[0]?.body, askedAbroad[0]?.body]).toEqual([
      JSON.stringify([homeId, abroadId]),
      JSON.stringify([abroadId]),
    ]);
  });

  it('tells those that it knows where another region refuses, and shows no token', async () => {
    knowRegions();
    answer('POST', '/rol/users_pii.svc/', home);
    answer('POST', '/eu/rol/users_pii.svc/', { StatusCode: 403, StatusDescription: `no ${bearer}` }, 403);
    const { gateway, regions } = await open();
    const { users, failures } = await usersById(gateway, regions, [homeId, abroadId], {});
    expect(users.map(({ email }) => email)).toEqual(['some@email.com']);
    expect(failures.map(({ message }) => message)).toEqual([
      `users_pii.svc POST: users of other regions, at ${new URL(server.url).host}: no [secret] (HTTP 403)`,
    ]);
  });

  it('says so where nobody knows the region', async () => {
    answer('GET', '/api/v1/rols', [{ Id: 1, ApigeeUrl: server.url, IsHome: true }]);
    answer('POST', '/rol/users_pii.svc/', home);
    const { gateway, regions } = await open();
    const { failures } = await usersById(gateway, regions, [homeId, abroadId], {});
    expect(failures.map(({ message }) => message)).toEqual(['ROLs GET: no region 2 is known']);
  });

  it('is asked of a hundred at a time', async () => {
    const asked = answer('POST', '/rol/users_pii.svc/', { RolUserPIIs: [] });
    const { gateway, regions } = await open();
    const ids = Array.from(
      { length: 101 },
      (_, index) => `00000000-0000-0000-0000-${String(index + 1).padStart(12, '0')}`,
    );
    await usersById(gateway, regions, ids, {});
    expect(asked.map(({ body }) => (JSON.parse(body) as string[]).length)).toEqual([100, 1]);
  });
});
