// `links` by a user: made one and many, listed by the ten thousand, changed and revoked, refused as the documents have it; and passwords,
// which come from a terminal or stdin and appear nowhere.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LinkStore, type LinkRecord } from '../../../src/emulator/links.ts';
import { signIn } from '../../emulator/client.ts';
import { call } from '../../emulator/upload-client.ts';
import { FixtureServer, reply } from '../../syncplicity/fixture-server.ts';
import { Drive, type DriveOptions, fuseExists } from '../../mount/drive.ts';
import { programFile, type Outcome } from '../program.ts';
import { lacks } from '../../machine.ts';

let drive: Drive;
let id: number;
let fileId: number;

beforeEach(() => {
  drive = new Drive();
  const { id: syncpointId, rootFolderId } = drive.store.addSyncpoint('Projects');
  id = syncpointId;
  ({ id: fileId } = drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('plan')));
  const folder = drive.store.addFolder(id, rootFolderId, 'dir');
  for (let index = 0; index < 120; index += 1) {
    drive.store.addFile(id, folder.id, `${index}.txt`, Buffer.from(`${index}`));
  }
});

afterEach(async () => {
  await drive.stop();
});

const links = (args: readonly string[], input?: string): Promise<Outcome> =>
  drive.user.run(['links', ...args], input === undefined ? {} : { input });

interface Link {
  readonly token: string;
  readonly [key: string]: unknown;
}

async function json<T>(args: readonly string[], input?: string): Promise<T> {
  const { stdout, stderr, code } = await links([...args, '--json'], input);
  expect([stderr, code]).toEqual(['', 0]);
  return JSON.parse(stdout) as T;
}

const PLAN = 'test:/Projects/plan.txt';
const KEYS =
  'token url landingPage syncpoint path file name policy outlookPolicy password expiresInDays expired shared uses users groups message';

describe('links', () => {
  it('are made, and the URL stands alone on the last line', async () => {
    await drive.serve();
    const { stdout, stderr, code } = await links(['create', PLAN]);
    expect([stderr, code]).toEqual(['', 0]);
    expect(stdout).toMatch(/^https:\/\/my\.emulator\.invalid\/ui\/download\/\S+\n$/);
    const [link] = await json<Link[]>(['list']);
    expect(link).toMatchObject({ url: stdout.trim(), policy: 'internal', password: false });
  });

  it('are made with all that can be set', async () => {
    await drive.serve();
    const group = '7dae61c7-bf7a-499b-8ede-6481aba49ac9';
    const link = await json<Link>(
      ['create', PLAN, '--password', '--expires', '14', '--user', 'a@example.com', '--user', 'b@example.com'].concat([
        '--group',
        group,
        '--message',
        'look at this',
        '--outlook-policy',
        'none',
        '--send-email',
      ]),
      'hunter2\n',
    );
    expect(Object.keys(link).join(' ')).toBe(KEYS);
    const told = {
      ...{ syncpoint: String(id), path: '\\plan.txt', file: String(fileId), name: 'plan.txt', policy: 'intended' },
      ...{ outlookPolicy: 'none', password: true, expiresInDays: 14, expired: false, uses: 0 },
      ...{ users: ['a@example.com', 'b@example.com'], groups: [group], message: 'look at this' },
    };
    expect(link).toMatchObject(told);
    expect(await json<Link>(['show', link.token])).toEqual(link);
    expect(await json<Link[]>(['list', PLAN])).toEqual([link]);
    expect(await json<Link[]>(['list', 'test:/'])).toEqual([link]);
    expect(await json<Link[]>(['list', 'test:/Projects/dir/1.txt'])).toEqual([]);
  });

  it('are made for many paths: a hundred a call, each folder listed once', async () => {
    await drive.serve();
    const paths = Array.from({ length: 120 }, (_, index) => `test:/Projects/dir/${119 - index}.txt`);
    const { stdout, stderr, code } = await links(['create', ...paths]);
    expect([stderr, code]).toEqual(['', 0]);
    const urls = stdout.trimEnd().split('\n');
    const all = await json<Link[]>(['list']);
    expect(urls).toEqual(all.map(({ url }) => url));
    expect(all.map(({ path }) => path)).toEqual(paths.map((path) => `\\dir\\${path.split('/').at(-1) ?? ''}`));
    const { byEndpoint } = drive.emulator.calls();
    expect([byEndpoint['linksPost'], byEndpoint['folder']]).toEqual([2, 2]);
    expect(await json<Link[]>(['create', PLAN, paths[0] ?? ''])).toHaveLength(2);
  });

  it('are made for what can have one; the rest is named', async () => {
    await drive.serve({ dialect: { listingLagMs: 60_000 } });
    // Still listed, and gone.
    const { versionId } = (await drive.store.file(id, fileId)) ?? {};
    const session = await signIn(drive.emulator);
    await call(session, 'DELETE', `/sync/file.svc/${id}/file/${String(versionId)}`);
    const { stdout, stderr, code } = await links(['create', PLAN, 'test:/Projects/dir']);
    expect(stderr).toBe(`syncplicityfs: ${PLAN}: Syncplicity made no link, and does not say why\n`);
    expect([stdout.trimEnd().split('\n').length, code]).toEqual([1, 1]);
    const none = await links(['create', PLAN, '--json']);
    expect([none.stdout, none.code]).toEqual(['', 1]);
  });

  it('are changed and revoked', async () => {
    await drive.serve();
    const { token } = await json<Link>(['create', PLAN, '--expires', '3']);
    expect((await links(['update', token, '--policy', 'all', '--message', 'new'])).stdout).toBe(
      `link ${token} is changed\n`,
    );
    const changed = await json<Link>(['update', token, '--expires', '0', '--password'], 'hunter2');
    expect(changed).toMatchObject({ policy: 'all', message: 'new', expiresInDays: null, password: true });
    expect(await json<Link>(['update', token, '--no-password'])).toMatchObject({ password: false, policy: 'all' });
    expect(await json<Link[]>(['delete', token])).toEqual({ deleted: [token] });
    const shown = await links(['show', token]);
    expect([shown.code, shown.stderr.split('\n')[0]]).toEqual([
      1,
      `syncplicityfs: link.svc GET: link ${token}: Token Not found (HTTP 404)`,
    ]);
  });

  it('are listed in a table', async () => {
    await drive.serve();
    await links(['create', PLAN, '--policy', 'all', '--password'], 'hunter2');
    const { stdout } = await links(['list']);
    const [header, row] = stdout.trimEnd().split('\n');
    expect(header).toMatch(/^Token +Policy Password Shared +Path +URL$/);
    expect(row).toMatch(/^[0-9a-f]{32} +all +yes +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +\\plan\.txt +https:\S+$/);
  });

  it('are listed by the ten thousand, those that expired only when asked for', async () => {
    const record: LinkRecord = {
      ...{ token: '', syncpointId: id, kind: 'file', objectId: fileId, virtualPath: '\\plan.txt', policy: 3 },
      ...{ outlookPolicy: 3, hasPassword: false, expireInDays: 0, users: ['a@example.com'], groups: [] },
      ...{ message: 'x'.repeat(200), sharedMs: Date.now(), downloads: 1 },
    };
    const records = Array.from({ length: 10_000 }, (_, index) => ({
      ...{ ...record, token: `token-${index}` },
      ...(index < 5 && { sharedMs: 0, expireInDays: 1 }),
    }));
    await drive.serve({ emulator: { links: LinkStore.inMemory(records) } });
    const begun = performance.now();
    expect(await json<Link[]>(['list'])).toHaveLength(9995);
    expect(performance.now() - begun).toBeLessThan(10_000);
    const limited = { NODE_OPTIONS: '--max-old-space-size=160' };
    const table = await drive.user.run(['links', 'list', '--expired'], { env: limited });
    expect([table.stderr, table.code]).toEqual(['', 0]);
    expect(table.stdout.trimEnd().split('\n')).toHaveLength(10_001);
    const refused = await links(['create', PLAN]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('Max Limit On Links Reached')]);
  });

  it.each<[string, readonly string[], DriveOptions, number, string]>([
    ['a path', ['create', 'test:/Projects/no.txt'], {}, 1, 'there is nothing at /Projects/no.txt'],
    ['the drive', ['create', 'test:/'], {}, 1, 'the whole drive cannot be shared by a link'],
    [
      'a policy',
      ['create', PLAN, '--policy', 'all'],
      { emulator: { shareLinkPolicy: 2 } },
      1,
      'Policy Prohibits Sharing',
    ],
    ['a token', ['update', 'none', '--message', 'x'], {}, 1, 'link none: Token Not found (HTTP 404)'],
    ['a token', ['delete', 'none'], {}, 1, 'link none: Token Not found (HTTP 404)'],
    ['nobody', ['create', PLAN, '--policy', 'intended'], {}, 2, 'whom is it intended for? name a --user or --group'],
    ['nothing', ['update', 'none'], {}, 2, 'nothing to change'],
    ['days', ['create', PLAN, '--expires', 'soon'], {}, 2, 'a number of days is needed'],
    ['an empty password', ['create', PLAN, '--password'], {}, 2, 'stdin is empty'],
    ['both', ['create', PLAN, '--password', '--password-stdin'], {}, 2, 'cannot be used with'],
    ['several accounts', ['create', PLAN, '/etc/passwd'], {}, 2, 'the paths are of several accounts'],
    ['a list of one', ['list', PLAN, '--account', 'test'], {}, 2, 'a path and --account exclude each other'],
  ])('are refused for %s: %j', async (_what, args, options, code, message) => {
    await drive.serve(options);
    const outcome = await links(args);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(outcome.stderr).toContain(message);
  });
});

/** Python's pty gives the program a terminal, types each line when the text before it has appeared, and tells all that was shown. */
const TYPIST = `
import json, os, pty, select, sys, time
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown, end = b'', time.time() + 30
while time.time() < end:
    if steps and steps[0][0].encode() in shown[-len(steps[0][0]) - 2:]:
        os.write(fd, steps.pop(0)[1].encode())
    if select.select([fd], [], [], 0.05)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

function typed(args: readonly string[], steps: readonly (readonly [string, string])[]): Promise<Outcome> {
  const command = [process.execPath, programFile, 'links', ...args];
  const child = spawn('python3', ['-c', TYPIST, JSON.stringify(steps), ...command], {
    env: { ...drive.user.environment, PATH: process.env['PATH'], DEBUG: 'syncplicityfs:*' },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('a password', () => {
  // With the mark of secrets, which no output of any command may have.
  const secret = 'hünter two & "three" hidden-secret';
  const asks = 'Password for the link: ';
  const again = 'The same again: ';

  it.skipIf(lacks('python3'))('is typed twice at a terminal that does not show it', async () => {
    await drive.serve();
    const { stdout, code } = await typed(
      ['create', PLAN, '--password'],
      [
        [asks, `${secret}\r`],
        [again, `${secret}\r`],
      ],
    );
    expect(code).toBe(0);
    expect(stdout).toContain(asks);
    expect(stdout).not.toContain(secret.slice(1, 6));
    expect(stdout).not.toContain('three');
    expect(stdout.split('\r\n')).toContainEqual(expect.stringMatching(/^https:\S+$/));
    expect(await json<Link[]>(['list'])).toMatchObject([{ password: true }]);
  });

  it.skipIf(lacks('python3')).each([
    [
      'two that differ',
      [
        [asks, 'one\r'],
        [again, 'two\r'],
      ],
      'these two differ: nothing was done',
    ],
    [
      'an empty one',
      [
        [asks, '\r'],
        [again, '\r'],
      ],
      'the password for the link is empty: nothing was done',
    ],
    ['Ctrl-C', [[asks, 'half\u0003']], 'interrupted: nothing was changed'],
    ['Ctrl-D', [[asks, '\u0004']], 'interrupted: nothing was changed'],
  ] as const)('is not taken from %s', async (_what, steps, message) => {
    await drive.serve();
    const { stdout, code } = await typed(['create', PLAN, '--password'], steps);
    expect(code).not.toBe(0);
    expect(stdout).toContain(message);
    expect(stdout).not.toContain('half');
    expect(await json<Link[]>(['list'])).toEqual([]);
  });

  it('comes from stdin otherwise, to the letter and one line of it', async () => {
    const server = await FixtureServer.start((request, response) =>
      request.path === '/syncpoint/link.svc/t' ? reply(response, 200, '') : false,
    );
    try {
      const auth = { client_id: 'key', client_secret: 'secret-1', app_token: 'token-1', api_url: server.url };
      const add = ['connections', 'add', '-p', 'syncplicity', '--name', 'fixture', '--auth-input', '--no-verify'];
      await drive.succeed(add, JSON.stringify(auth));
      for (const input of [secret, `${secret}\n`, `${secret}\r\n`]) {
        for (const option of ['--password', '--password-stdin']) {
          const { stderr, code } = await links(['update', 't', option], input);
          expect([stderr, code]).toEqual(['', 0]);
          const sent = server.requests.findLast(({ method }) => method === 'PUT');
          expect(sent?.body).toBe(JSON.stringify({ PasswordProtectPolicy: 2, Password: secret }));
        }
      }
      expect(server.count('/syncpoint/link.svc/t')).toBe(6);
    } finally {
      await server.stop();
    }
    const two = await links(['create', PLAN, '--password'], 'one\ntwo\n');
    expect([two.code, two.stderr]).toEqual([
      2,
      'syncplicityfs: more than one line on stdin: the password for the link is one\n',
    ]);
    const none = await links(['create', PLAN, '--password-stdin'], '\n');
    expect([none.code, none.stderr]).toEqual([
      2,
      'syncplicityfs: the password for the link is empty: nothing was done\n',
    ]);
  });

  it('appears in no output, log or error, though the service repeats it', async () => {
    await drive.serve();
    const env = { DEBUG: 'syncplicityfs:*' };
    const { token } = await json<Link>(['create', PLAN]);
    const faults = [
      [{ kind: 'status', endpoint: 'linksPost', status: 400, text: `Bad password ${secret}` }],
      [{ kind: 'status', endpoint: 'linksPost', status: 500, text: `The password was ${secret.slice(0, 12)}` }],
      [{ kind: 'status-after', endpoint: 'linksPost', status: 406, text: `Policy Prohibits Sharing ${secret}` }],
      [{ kind: 'garbage-json', endpoint: 'linksPost' }],
      [],
    ] as const;
    for (const list of faults) {
      drive.emulator.setFaults(list);
      const { stdout, stderr } = await drive.user.run(['links', 'create', PLAN, '--password'], { input: secret, env });
      expect(stdout + stderr).not.toMatch(/h.?nter|three/);
    }
    drive.emulator.setFaults([]);
    const message = `the password is ${secret}`;
    const create = ['links', 'create', PLAN, '--password', '--message', message, '--json'];
    const created = await drive.user.run(create, { input: secret });
    expect(JSON.parse(created.stdout)).toMatchObject({ message: 'the password is [secret]' });
    // Its reply has the password in clear.
    for (const more of [[], ['--json']]) {
      const args = ['links', 'update', token, '--password', ...more];
      const { stdout, stderr, code } = await drive.user.run(args, { input: secret, env });
      expect(code).toBe(0);
      expect(stdout + stderr).not.toMatch(/h.?nter|three/);
    }
  });

  it('is not repeated where it was given on the command line, and not taken', async () => {
    const { code, stdout, stderr } = await links(['create', PLAN, `--password=${secret}`]);
    expect(code).toBe(2);
    expect(stdout + stderr).not.toMatch(/h.?nter|three/);
    expect(stderr).toContain("unknown option '--password=...'");
  });
});

describe.skipIf(!fuseExists)('of a mounted drive', () => {
  it('are made by paths in it, many in one call', async () => {
    await drive.serve();
    await drive.mount();
    const paths = ['plan.txt', 'dir/7.txt', 'dir'].map((path) => join(drive.mountpoint, 'Projects', path));
    const made = await json<Link[]>(['create', ...paths]);
    expect(made.map(({ path }) => path)).toEqual(['\\plan.txt', '\\dir\\7.txt', '\\dir\\']);
    expect(await json<Link[]>(['list', paths[1] ?? ''])).toEqual([made[1]]);
    expect(await json<Link[]>(['list', paths[2] ?? ''])).toEqual([made[2]]);
    expect(drive.emulator.calls().byEndpoint['linksPost']).toBe(1);
  });
});

describe('of a directory', () => {
  it.skipIf(!fuseExists)('are kept with it', async () => {
    const directory = drive.user.directory('things');
    await drive.user.addDirectory('local', directory);
    const link = await json<Link>(['create', 'local:/things']);
    expect(await json<Link[]>(['list', '--account', 'local'])).toEqual([link]);
  });
});
