// The emulator's calls about syncpoints and people over bare HTTP: what they refuse, in the words of the documents, and what they keep.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryStore } from '../../src/emulator/directory-store.ts';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../fakes/temporary-directory.ts';
import { getJson, signIn, type Session } from './client.ts';

const machine = '44444444-4444-4444-8444-444444444444';
const abroad = {
  id: 'bbe998e2-e759-495b-897e-6afaa76bb8c0',
  emailAddress: 'an@abroad.eu',
  firstName: 'An',
  lastName: 'B',
};
const owner = {
  id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477',
  emailAddress: 'al@emulator.invalid',
  firstName: 'Al',
  lastName: 'X',
};
const several = '/syncpoint/syncpoints.svc/';
let emulator: Emulator | undefined;
let session: Session;
let store: MemoryStore;
let id: number;
let directoryOfTest: TemporaryDirectory | undefined;

beforeEach(() => {
  store = new MemoryStore();
  ({ id } = store.addSyncpoint('Projects'));
});
afterEach(async () => {
  await emulator?.stop();
  emulator = undefined;
  directoryOfTest?.remove();
  directoryOfTest = undefined;
});

async function serve(options: Partial<EmulatorOptions> = {}): Promise<void> {
  const people = { colleagues: [owner], abroad: [{ ...abroad, rolId: 2 }], forbiddenDomains: ['rival.com'] };
  emulator = await startEmulator({ store, people, ...options });
  session = await signIn(emulator);
}

/** Status and words of a call. */
async function send(method: string, path: string, body?: unknown): Promise<[number, unknown]> {
  const { headers, emulator: at } = session;
  const response = await fetch(at.gatewayUrl + path, {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return [response.status, text === '' ? '' : (JSON.parse(text) as unknown)];
}

const one = (): string => `/syncpoint/syncpoint.svc/${id}`;
const participants = (of = id): string => `/syncpoint/syncpoint_participants.svc/${of}/participants`;
const refused = (status: number, text: string): [number, unknown] => [
  status,
  { StatusCode: status, StatusDescription: text },
];
const folder = { Type: 6, Name: 'A' };

describe('Syncpoints POST', () => {
  test.each<[string, unknown, number, string]>([
    ['no array', folder, 400, 'Bad Request'],
    ['nothing', [], 400, 'Bad Request'],
    ['too many', Array.from({ length: 101 }, () => folder), 400, 'Max Limit Is 100'],
    ['no type', [{ Name: 'A' }], 400, 'Invalid syncpoints list'],
    ['the private type', [{ ...folder, Type: 7 }], 400, 'Invalid syncpoints list'],
    ['no name', [{ Type: 6, Name: '' }], 400, 'Invalid syncpoints list'],
    ['a long name', [{ Type: 6, Name: 'x'.repeat(51) }], 400, 'Invalid syncpoints list'],
    ['a vault that is none', [{ ...folder, StorageEndpointID: 'x' }], 400, 'Invalid syncpoints list'],
    ['another vault', [{ ...folder, StorageEndpointId: machine }], 404, 'Storage Endpoint not found'],
    ["another's", [{ ...folder, Owner: { EmailAddress: owner.emailAddress } }], 403, 'Not A Business Admin'],
  ])('refuses %s', async (_what, body, status, text) => {
    await serve();
    expect(await send('POST', several, body)).toEqual(refused(status, text));
    expect(await store.syncpoints()).toHaveLength(1);
  });

  test('makes one of each special type, and lists what it made', async () => {
    await serve();
    const [status, reply] = await send('POST', several, [{ Type: 1, Name: 'Docs' }, { Type: 1, Name: 'More' }, folder]);
    expect(status).toBe(200);
    expect(reply).toMatchObject([
      { Type: 1, Name: 'Docs', Permission: 1, Shared: false },
      { Type: 6, Name: 'A' },
    ]);
    expect((await store.syncpoints()).map(({ name }) => name)).toEqual(['Projects', 'Docs', 'A']);
  });

  test('ends at 200 for a user', async () => {
    for (let index = 1; index < 200; index += 1) store.addSyncpoint(`s${index}`);
    await serve();
    expect(await send('POST', several, [folder])).toEqual(refused(403, 'Max Limit On Creation Reached'));
  });
});

describe('Syncpoint PUT and DELETE', () => {
  test.each<[string, unknown, number, string]>([
    ['no type', { Name: 'A' }, 400, 'Bad Request'],
    ['another type', { Type: 1 }, 403, 'SyncpointType Change Forbidden'],
    ['a name that is none', { Type: 6, Name: 'a/b' }, 400, 'Invalid Folder Name'],
    ['a machine that is none', { Type: 6, Mappings: [{ Machine: { Id: 'x' } }] }, 400, 'Invalid Machine ID'],
    [
      'an owner nobody knows',
      { Type: 6, Owner: { EmailAddress: 'no@emulator.invalid' } },
      400,
      'Owner user does not exist',
    ],
    ['an owner elsewhere', { Type: 6, Owner: { EmailAddress: 'a@b.c' } }, 403, 'Only Company users Allowed'],
  ])('refuse %s', async (_what, body, status, text) => {
    await serve();
    expect(await send('PUT', one(), body)).toEqual(refused(status, text));
  });

  test("refuse what is another's to do", async () => {
    ({ id } = store.addSyncpoint('Theirs', { owner }));
    const { id: nested } = store.addSyncpoint('Nested', { parentSyncpointId: id, pathToRoot: '\\Nested\\' });
    await serve();
    expect(await send('PUT', one(), { Type: 6, Name: 'Mine' })).toEqual(refused(403, 'Syncpoint Rename Forbidden'));
    const give = { Type: 6, Owner: { EmailAddress: 'user@emulator.invalid' } };
    expect(await send('PUT', one(), give)).toEqual(refused(403, 'Syncpoint Change Owner Forbidden'));
    id = nested;
    const away = { Type: 6, Owner: { EmailAddress: owner.emailAddress } };
    expect(await send('PUT', one(), away)).toEqual(refused(403, 'Sub-folder Sharing Change Owner Forbidden'));
  });

  test('refuse what is not there, and to purge what is', async () => {
    await serve();
    expect(await send('DELETE', `${one()}?modifier=permanently`)).toEqual(
      refused(404, 'Purging Active Folder Not Allowed'),
    );
    expect(await send('DELETE', one())).toEqual([200, '']);
    expect(await send('DELETE', one())).toEqual(refused(404, 'SyncPoint Does Not Exist'));
    expect(await send('PUT', one(), folder)).toEqual(refused(404, 'SyncPoint Does Not Exist'));
    expect(await send('GET', participants())).toEqual(refused(404, 'SyncPoint Does Not Exist'));
  });

  test.each([
    ['array', [{ Machine: { Id: machine }, Path: '/x', Mapped: true }]],
    ['wrapped', [{ Mapping: { Machine: { Id: machine }, Path: '/x', Mapped: true } }]],
    ['object', { Mapping: { Machine: { Id: machine }, Path: '/x', Mapped: true } }],
  ] as const)('tell mappings as %s', async (mappingsReply, told) => {
    await serve({ dialect: { mappingsReply } });
    const mapping = { Machine: { Id: machine }, Path: '/x', Mapped: 'true' };
    expect(await send('PUT', one(), { Type: 6, Mappings: [mapping] })).toMatchObject([200, { Mappings: told }]);
  });
});

describe('Participants', () => {
  test.each<[string, unknown, number, string]>([
    ['no permission', [{ User: { EmailAddress: 'a@b.c' } }], 400, 'Bad Request'],
    ['another permission', [{ User: { EmailAddress: 'a@b.c' }, Permission: 2 }], 400, 'Bad Request'],
    ['nobody', [{ Permission: 1 }], 400, 'Bad Request'],
    ['no address', [{ User: { EmailAddress: 'a' }, Permission: 1 }], 400, 'Invalid Email Format'],
    ['a group nobody knows', [{ Group: { Id: machine }, Permission: 1 }], 404, 'Group Not Found'],
    [
      'whom policy forbids',
      [{ User: { EmailAddress: 'a@Rival.com' }, Permission: 1 }],
      403,
      'Policy Prohibits Sharing',
    ],
  ])('refuse %s', async (_what, body, status, text) => {
    await serve();
    expect(await send('POST', participants(), body)).toEqual(refused(status, text));
    expect(await send('GET', participants())).toMatchObject([200, [{ IsOwner: true }]]);
  });

  test('end at 1000, and with permission 0', async () => {
    await serve();
    const people = Array.from({ length: 1000 }, (_, index) => ({
      User: { EmailAddress: `u${index}@x.y` },
      Permission: '3',
    }));
    for (let at = 0; at < 900; at += 100) {
      expect((await send('POST', participants(), people.slice(at, at + 100)))[0]).toBe(200);
    }
    expect((await send('POST', participants(), people.slice(900, 999)))[0]).toBe(200);
    expect(await send('POST', participants(), people.slice(999))).toEqual(refused(403, 'Max Limit Is 1000'));
    await send('POST', participants(), [{ User: { EmailAddress: 'u0@x.y' }, Permission: 0 }]);
    expect(await getJson(session, participants())).toHaveLength(999);
  });

  test('pass over entries of both kinds, and remove whom they know', async () => {
    await serve();
    const both = { User: { EmailAddress: 'a@b.c' }, Group: { Id: machine } };
    expect(await send('DELETE', participants(), [both, { User: { EmailAddress: 'no@b.c' } }])).toEqual([200, '']);
    const me = [{ User: { EmailAddress: 'user@emulator.invalid' } }];
    expect(await send('DELETE', participants(), me)).toEqual(refused(403, 'User Not Authorized For Action'));
  });

  test('come with a list of syncpoints that asks for them', async () => {
    await serve();
    await send('POST', participants(), [{ User: { EmailAddress: 'a@b.c' }, Permission: 3 }]);
    expect(await getJson(session, `${several}?include=participants`)).toMatchObject([
      { Shared: true, Participants: [{ IsOwner: true }, { User: { EmailAddress: 'a@b.c' }, Permission: 3 }] },
    ]);
  });
});

describe('Users PII', () => {
  test('gives a token for one call of another region', async () => {
    await serve();
    const [status, reply] = await send('POST', '/rol/users_pii.svc/', [abroad.id, machine, 'x']);
    expect(reply).toEqual({
      RolUserPIIs: [{ Users: [{ Id: abroad.id }], HomeRolId: 2, Bearer: expect.any(String) as string }],
    });
    const { RolUserPIIs: groups } = reply as { RolUserPIIs: { Bearer: string }[] };
    session = { ...session, headers: { ...session.headers, Authorization: `Bearer ${groups[0]?.Bearer}` } };
    const there = (): Promise<[number, unknown]> => send('POST', '/rol-2/rol/users_pii.svc/', [abroad.id]);
    expect([status, await there()]).toMatchObject([200, [200, { RolUserPIIs: [{ Users: [{ FirstName: 'An' }] }] }]]);
    expect(await there()).toEqual(refused(401, 'Not Authorized'));
  });

  test('is a GET in the other reading', async () => {
    await serve({ dialect: { usersPii: 'get' } });
    expect((await send('POST', '/rol/users_pii.svc', [abroad.id]))[0]).toBe(405);
  });
});

describe('a store of directories', () => {
  test('makes, renames and removes them, and knows them again', async () => {
    const { path: root } = (directoryOfTest = temporaryDirectory());
    const [directory, stateDirectory] = [join(root, 'data'), join(root, 'state')];
    await mkdir(join(directory, 'One'), { recursive: true });
    await writeFile(join(directory, 'One', 'file'), 'content');
    const open = (): Promise<DirectoryStore> => DirectoryStore.open({ directory, stateDirectory, layout: 'children' });
    let of = await open();
    const [before] = await of.syncpoints();
    const made = await of.createSyncpoint('Two', 8);
    await of.changeSyncpoint(before?.id ?? 0, { name: 'First', owner });
    await expect(of.createSyncpoint('Two', 6)).rejects.toMatchObject({ reason: 'taken' });
    await expect(of.changeSyncpoint(made.id, { name: 'First' })).rejects.toMatchObject({ reason: 'taken' });
    await of.close();
    of = await open();
    const after = [...(await of.syncpoints())].sort((a, b) => a.id - b.id);
    expect(after).toMatchObject([
      { id: before?.id, name: 'First', rootFolderId: before?.rootFolderId, type: 6, owner },
      { id: made.id, name: 'Two', type: 8 },
    ]);
    await of.removeSyncpoint(before?.id ?? 0);
    expect(await readdir(directory)).toEqual(['Two']);
    expect(await readdir(join(stateDirectory, 'trash', String(before?.rootFolderId)))).toEqual(['file']);
    // Another one of that name is another one.
    expect((await of.createSyncpoint('First', 6)).id).toBeGreaterThan(made.id);
    await of.close();
  });
});
