// `participants list`, `add`, `remove` and `set` by a user, over dialects that reply in each known way.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import type { PeopleOptions } from '../../../src/emulator/people.ts';
import { Drive } from '../../mount/drive.ts';
import type { Outcome } from '../program.ts';

const self = 'user@emulator.invalid';
const groupId = '22222222-2222-4222-8222-222222222222';
const otherGroupId = '33333333-3333-4333-8333-333333333333';
const abroad = {
  id: 'bbe998e2-e759-495b-897e-6afaa76bb8c0',
  emailAddress: 'an@abroad.eu',
  firstName: 'An',
  lastName: 'B',
};
const people: PeopleOptions = {
  abroad: [{ ...abroad, rolId: 2 }],
  groups: [
    { id: groupId, name: 'Sales Team' },
    { id: otherGroupId, name: 'Board' },
  ],
  forbiddenDomains: ['rival.com'],
};
const path = 'test:/Projects';
let drive: Drive;

beforeEach(() => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('plan'));
  drive.store.addFolder(id, rootFolderId, 'plans');
});
afterEach(async () => {
  await drive.stop();
});

async function serve(dialect: DialectName = 'observed'): Promise<void> {
  await drive.serve({ dialect: dialects[dialect], emulator: { people } });
}

const run = (args: readonly string[], input?: string): Promise<Outcome> =>
  drive.user.run(['participants', ...args], input === undefined ? {} : { input });

interface Listed {
  readonly email: string | null;
  readonly name: string | null;
  readonly permission: string;
}

async function listed(): Promise<Listed[]> {
  const { stdout } = await drive.succeed(['participants', 'list', path, '--json']);
  return JSON.parse(stdout) as Listed[];
}

/** Who may what, besides the owner. */
async function rights(): Promise<Record<string, string>> {
  const others = (await listed()).slice(1);
  return Object.fromEntries(others.map(({ email, name, permission }) => [email ?? name ?? '', permission]));
}

/** The calls made since this was asked last, but for signing in and finding paths. */
function changesMade(): Record<string, number> {
  const { byEndpoint } = drive.emulator.calls();
  drive.emulator.resetCalls();
  return Object.fromEntries(
    ['participantsPost', 'participantsDelete'].flatMap((name) =>
      byEndpoint[name] === undefined ? [] : [[name, byEndpoint[name]]],
    ),
  );
}

describe('participants', () => {
  it.each<DialectName>(['observed', 'guide', 'all-strings', 'terse', 'sharing-silent', 'camel', 'text-errors'])(
    'are added, changed, listed and removed in %s',
    async (dialect) => {
      await serve(dialect);
      const added = await drive.succeed([
        'participants',
        'add',
        path,
        'jo@x.com',
        'al@x.com=write',
        `group:${groupId}`,
      ]);
      expect(added.stdout).toBe(
        `jo@x.com is added, may read\nal@x.com is added, may write\n${groupId} is added, may read\n`,
      );
      expect(await rights()).toEqual({ 'jo@x.com': 'read-only', 'al@x.com': 'read-write', 'Sales Team': 'read-only' });
      const changed = await drive.succeed([
        'participants',
        'add',
        path,
        '-p',
        'editor',
        'JO@x.com',
        'group:sales team',
      ]);
      expect(changed.stdout).toBe('jo@x.com may write now\nSales Team may write now\n');
      const removed = await drive.succeed(['participants', 'remove', path, 'jo@x.com', 'group:Sales Team', 'no@x.com']);
      expect(removed.stdout).toBe('no@x.com takes no part\njo@x.com is removed\nSales Team is removed\n');
      expect(await rights()).toEqual({ 'al@x.com': 'read-write' });
    },
  );

  it('are a table', async () => {
    await serve();
    await drive.succeed(['participants', 'add', path, 'jo@x.com']);
    const { stdout } = await drive.succeed(['participants', 'list', path]);
    expect(stdout.split('\n').map((line) => line.split(/ {1,}/))).toEqual([
      ['Participant', 'Name', 'Kind', 'Permission', 'Invited', 'by'],
      [self, 'Emulated', 'User', 'owner', 'read-write'],
      ['jo@x.com', 'jo', 'user', 'read-only', self],
      [''],
    ]);
  });

  it('have keys in JSON that stay', async () => {
    await serve();
    const { stdout } = await drive.succeed(['participants', 'add', path, 'jo@x.com', '--json']);
    expect(JSON.parse(stdout)).toEqual([
      { kind: 'user', participant: 'jo@x.com', change: 'added', permission: 'read-only', error: null },
    ]);
    const [owner] = await listed();
    expect(owner).toEqual({
      kind: 'user',
      id: drive.emulator.credentials.userId,
      email: self,
      name: 'Emulated User',
      permission: 'read-write',
      owner: true,
      explicit: true,
      inviter: null,
      region: null,
    });
  });

  it('who are left as they are cost no call and get no mail', async () => {
    await serve();
    await drive.succeed(['participants', 'add', path, 'jo@x.com=write']);
    expect(changesMade()).toEqual({ participantsPost: 1 });
    const { stdout } = await drive.succeed(['participants', 'add', path, 'jo@x.com', self]);
    expect(stdout).toBe(`jo@x.com may write already\n${self} may write already\n`);
    expect(changesMade()).toEqual({});
  });

  it('come from stdin, split over calls of a hundred', async () => {
    await serve();
    const lines = Array.from(
      { length: 250 },
      (_, index) => `u${index}@x.com${[' write', ',read', '\t3', ''][index % 4]}`,
    );
    const input = ['# the list', '', ...lines, `group:${groupId} write`].join('\r\n');
    const { code, stderr } = await run(['add', path, '-', 'last@x.com', '--no-email'], input);
    expect([code, stderr]).toEqual([0, '']);
    expect(changesMade()).toEqual({ participantsPost: 3 });
    const found = await rights();
    expect(Object.keys(found)).toHaveLength(252);
    expect([found['u0@x.com'], found['u1@x.com'], found['u248@x.com'], found['Sales Team']]).toEqual([
      'read-write',
      'read-only',
      'read-write',
      'read-write',
    ]);
    const kept = await drive.succeed(['participants', 'set', path, 'u0@x.com']);
    expect(kept.stdout.split('\n').filter((line) => line.endsWith('is removed'))).toHaveLength(251);
    expect(changesMade()).toEqual({ participantsDelete: 3 });
  });

  it('of other regions are found out by a token for one call', async () => {
    await serve();
    await drive.succeed(['participants', 'add', path, abroad.emailAddress]);
    expect((await listed())[1]).toMatchObject({ id: abroad.id, email: abroad.emailAddress, name: 'An B', region: 2 });
    await drive.succeed(['participants', 'remove', path, abroad.id]);
    expect(await rights()).toEqual({});
  });

  it('of other regions are shown by id where their region does not tell', async () => {
    await serve();
    await drive.succeed(['participants', 'add', path, abroad.emailAddress]);
    drive.emulator.setFaults([{ kind: 'status', endpoint: 'usersPiiAbroad', status: 403, text: 'Not Authorized' }]);
    const { stdout, stderr, code } = await run(['list', path]);
    expect([code, stdout.includes(abroad.id)]).toEqual([0, true]);
    expect(stderr).toMatch(
      /^syncplicityfs: users_pii\.svc POST: users of other regions, at [^ ]+: Not Authorized \(HTTP 403\)\n$/,
    );
  });
});

describe('participants set', () => {
  it('makes the list what is named, permissions that are not named stay', async () => {
    await serve();
    await drive.succeed(['participants', 'add', path, 'a@x.com=write', 'b@x.com', 'c@x.com', `group:${otherGroupId}`]);
    changesMade();
    const dry = await drive.succeed(['participants', 'set', path, 'a@x.com', 'b@x.com=write', 'd@x.com', '-n']);
    expect(dry.stdout).toBe(
      [
        'a@x.com may write already',
        'b@x.com would be allowed to write',
        'd@x.com would be added, may read',
        'c@x.com would be removed',
        'Board would be removed',
        '',
      ].join('\n'),
    );
    expect(changesMade()).toEqual({});
    const { stdout } = await drive.succeed([
      'participants',
      'set',
      path,
      'a@x.com',
      'b@x.com=write',
      'd@x.com',
      '--json',
    ]);
    expect((JSON.parse(stdout) as { change: string }[]).map((one) => one.change)).toEqual([
      'unchanged',
      'changed',
      'added',
      'removed',
      'removed',
    ]);
    expect(changesMade()).toEqual({ participantsPost: 1, participantsDelete: 1 });
    expect(await rights()).toEqual({ 'a@x.com': 'read-write', 'b@x.com': 'read-write', 'd@x.com': 'read-only' });
  });

  it("leaves owner and caller, in another's syncpoint", async () => {
    const owner = {
      id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477',
      emailAddress: 'al@x.com',
      firstName: 'Al',
      lastName: 'X',
    };
    drive.store.addSyncpoint('Theirs', { owner });
    await serve();
    const theirs = 'test:/Theirs';
    await drive.succeed(['participants', 'set', theirs, 'jo@x.com']);
    const { stdout } = await drive.succeed(['participants', 'list', theirs, '--json']);
    expect((JSON.parse(stdout) as Listed[]).map(({ email }) => email)).toEqual(['al@x.com', self, 'jo@x.com']);
    const refused = await run(['remove', theirs, 'al@x.com']);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      'syncplicityfs: al@x.com is the owner: syncpoints transfer gives it to another first\n',
    ]);
    // Oneself, by name, may go.
    await drive.succeed(['participants', 'remove', theirs, self]);
  });
});

describe('participants refuse', () => {
  it.each<[string[], number, string, string?]>([
    [['list', 'test:/'], 1, 'test:/ is the whole drive: name a syncpoint of it'],
    [['list', `${path}/plan.txt`], 1, `${path}/plan.txt is a file: name its syncpoint, Projects`],
    [
      ['list', `${path}/plans`],
      1,
      `${path}/plans is a folder that is not shared by itself: name its syncpoint, Projects`,
    ],
    [['add', path, 'jo'], 2, '"jo" names nobody'],
    [['add', path, 'jo@x.com=all'], 2, '"all" is no permission'],
    [['add', path, 'jo@x.com=co-owner'], 2, 'a syncpoint has one owner: syncpoints transfer gives it to another'],
    [['add', path, '-p', 'none', 'jo@x.com'], 2, '"none" is no permission'],
    [['add', path, 'jo@x.com=read', 'JO@x.com=write'], 2, 'JO@x.com is named twice, with different permissions'],
    [['set', path, '-'], 2, 'stdin is empty', ''],
    [['set', path, '-'], 2, 'nobody is named on stdin', '# nobody\n\n'],
    [['remove', path, 'jo@x.com=read'], 2, 'jo@x.com is to be removed: a permission has no meaning there'],
    [['add', path, 'group:Nobody'], 1, 'no group called "Nobody" takes part: name a new one by its GUID, group:GUID'],
    [
      ['add', path, abroad.id],
      1,
      `${abroad.id} takes no part: Syncplicity shares with addresses, not with GUIDs of users`,
    ],
    [['add', path, 'jo@rival.com'], 1, 'Policy Prohibits Sharing (HTTP 403)'],
    [['add', path, 'group:44444444-4444-4444-8444-444444444444'], 1, 'Group Not Found (HTTP 404)'],
  ])('%j', async (args, code, message, input) => {
    await serve();
    const outcome = await run(args, input);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(outcome.stderr).toContain(message);
    expect(await rights()).toEqual({});
  });

  it('to change what the account may only read', async () => {
    const owner = {
      id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477',
      emailAddress: 'al@x.com',
      firstName: 'Al',
      lastName: 'X',
    };
    drive.store.addSyncpoint('Theirs', { owner, permission: 3 });
    await serve();
    const { code, stderr } = await run(['add', 'test:/Theirs', 'jo@x.com']);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        'User Not Authorized For Action (HTTP 403)\nask the owner, or your Syncplicity administrator',
      ),
    ]);
  });

  it('whom policy forbids, alone: the others are shared with, in few calls', async () => {
    await serve();
    const names = Array.from({ length: 150 }, (_, index) => (index === 70 ? 'jo@rival.com' : `u${index}@x.com`));
    const { code, stdout, stderr } = await run(['add', path, '-', '--json'], names.join('\n'));
    const done = JSON.parse(stdout) as { participant: string; error: string | null }[];
    const failed = done.filter(({ error }) => error !== null);
    expect([code, done.length, failed.map(({ participant }) => participant)]).toEqual([1, 150, ['jo@rival.com']]);
    expect(failed[0]?.error).toContain('Policy Prohibits Sharing');
    expect(stderr).toContain('syncplicityfs: jo@rival.com: syncpoint_participants.svc POST');
    expect(Object.keys(await rights())).toHaveLength(149);
    expect(changesMade()['participantsPost']).toBeLessThan(20);
  });

  it('everybody, where everybody is refused, before many calls are made', async () => {
    await serve();
    const names = Array.from({ length: 300 }, (_, index) => `u${index}@rival.com`);
    const { code, stderr } = await run(['add', path, '-'], names.join('\n'));
    expect([code, stderr.split('\n').filter((line) => line.includes('Policy Prohibits Sharing')).length]).toEqual([
      1, 4,
    ]);
    expect(changesMade()['participantsPost']).toBeLessThan(20);
  });
});
