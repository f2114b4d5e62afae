// The program from outside: exit codes, what goes to which stream, and the connection commands.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programFile, User } from './program.ts';
import { lacks } from '../machine.ts';

let user: User;
beforeEach(() => (user = new User()));
afterEach(() => user.remove());

describe('the program', () => {
  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await user.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [[], 'Usage: syncplicityfs'],
    [['bogus'], "syncplicityfs: unknown command 'bogus'"],
    [['mount', '--bogus'], "syncplicityfs: unknown option '--bogus'"],
    [['mount'], 'syncplicityfs: missing required argument'],
    [['unmount', '/x', '--timeout', 'soon'], 'not a duration'],
    [['flush'], "missing required argument 'MOUNTPOINT'"],
    [['flush', '/x', '--timeout', 'soon'], 'not a duration'],
    [['status', '--save', '/a'], '--save takes PATH and DEST'],
    [['status', '--retry', '/a', '--json'], "cannot be used with option '--json'"],
    [['connections', 'add'], "required option '-p, --platform <PLATFORM>' not specified"],
    [['connections', 'list', '--offset', 'x'], 'not a count'],
    [['mount-daemon'], 'started by `syncplicityfs mount`'],
  ])('%j is wrong usage: exit code 2, a line on stderr, nothing on stdout', async (args, message) => {
    const { code, stdout, stderr } = await user.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  it.each([
    ['mount'],
    ['unmount'],
    ['status'],
    ['flush'],
    ['pause'],
    ['resume'],
    ['connections'],
    ['emulator'],
    ['doctor'],
    ['help'],
  ])('%s --help explains itself', async (command) => {
    const { code, stdout } = await user.run([command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: syncplicityfs');
  });

  it('hides its inner commands', async () => {
    expect((await user.run(['--help'])).stdout).not.toMatch(/mount-daemon|man-page/);
  });

  it('ends quietly when its reader has left', async () => {
    const script = `"${process.execPath}" "${programFile}" connections --help | true; echo \${PIPESTATUS[0]}`;
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', script], { env: user.environment });
    expect([stdout, stderr]).toEqual(['0\n', '']);
  });

  it('shows a stack with DEBUG only, and colours nowhere but on a terminal', async () => {
    const quiet = await user.run(['unmount', '/nowhere']);
    expect(quiet).toEqual({ code: 1, stdout: '', stderr: 'syncplicityfs: /nowhere does not exist\n' });
    expect((await user.run(['unmount', '/nowhere'], { env: { DEBUG: 'x' } })).stderr).toContain('    at ');
  });

  it.each([
    [['unmont', '/nowhere'], 'there is no command and no connection "unmont"\ndid you mean unmount?\n'],
    [['zzz', '/nowhere'], 'there is no connection "zzz"\nsyncplicityfs connections list shows them\n'],
    [['help', 'mout'], 'there is no command "mout"\ndid you mean mount?\n'],
    [['help', 'zzz'], 'there is no command "zzz"\nsyncplicityfs --help lists them\n'],
  ])('says of %j what may be meant', async (args, message) => {
    expect(await user.run(args)).toEqual({ code: 2, stdout: '', stderr: `syncplicityfs: ${message}` });
  });

  it('has the manual page that was made from its help', async () => {
    const { stdout } = await user.run(['man-page']);
    expect(stdout).toBe(readFileSync(new URL('../../man/syncplicityfs.1', import.meta.url), 'utf8'));
  });
});

describe('connections', () => {
  it('are added, listed, shown and deleted', async () => {
    const added = await user.run(['connections', 'add', '-p', 'fs', '--name', 'local', '--auth-input'], {
      input: '{"uri": "/usr"}',
    });
    expect(added).toMatchObject({ code: 0, stderr: '' });
    expect(added.stdout).toMatch(/^ID {7}[0-9a-f]{32}\nName {5}local\nPlatform My Computer\nEnabled {2}true\n$/);
    const id = /[0-9a-f]{32}/.exec(added.stdout)?.[0] as string;

    const json = [{ id, name: 'local', platform: { name: 'My Computer', id: 'fs' } }];
    const shown = `${JSON.stringify(json, null, 2)}\n`;
    expect(await user.run(['connections', 'list', '--json'])).toEqual({ code: 0, stdout: shown, stderr: '' });
    expect(await user.run(['connections', 'show', id, '--output-json'])).toEqual({
      code: 0,
      stdout: shown,
      stderr: '',
    });
    expect((await user.run(['connections', 'show', 'local'])).stdout).toBe(added.stdout);
    expect((await user.run(['connections', 'list'])).stdout).toBe(
      `ID                               Name  Platform    Enabled IsPool  PoolName\n${id} local My Computer true\n`,
    );

    const deleted = await user.run(['connections', 'delete', id]);
    expect(deleted).toEqual({ code: 0, stdout: 'The connection was deleted successfully.\n', stderr: '' });
    const again = await user.run(['connections', 'delete', id]);
    expect(again).toEqual({ code: 1, stdout: '', stderr: 'The connection could not be deleted.\n' });
    expect(await user.run(['connections', 'delete', id, '--json'])).toEqual({ code: 1, stdout: '', stderr: '' });
  });

  it('are put into pools and taken out, as SkySync does it', async () => {
    const id = await user.addDirectory('local', '/usr');
    const assigned = await user.run(['connections', 'pool', 'assign', id, '--name', 'TestPool']);
    expect(assigned).toMatchObject({ code: 0, stderr: '' });
    const pool = /PoolID +([0-9a-f]{32})/.exec(assigned.stdout)?.[1] as string;
    expect(assigned.stdout).toBe(
      `ConnectionID   ${id}\nConnectionName local\nEnabled        true\nPoolID         ${pool}\nPoolName       TestPool\n`,
    );
    expect((await user.run(['connections', 'list'])).stdout).toBe(
      `ID                               Name     Platform    Enabled IsPool  PoolName
${id} local    My Computer true            TestPool
${pool} TestPool My Computer true    true
`,
    );
    const platform = { name: 'My Computer', id: 'fs' };
    const member = { id, name: 'local', platform, pool: { name: 'TestPool', id: pool } };
    const group = { id: pool, name: 'TestPool', platform, group: true };
    const json = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await user.run(['connections', ...args, '--json'])).stdout);
    expect(await json('list')).toEqual([member, group]);
    expect(await json('list', '--pools')).toEqual([group]);
    expect(await json('show', pool)).toEqual([group]);
    expect(await json('pool', 'assign', id, '--pool', pool)).toEqual([member]);
    const unassigned = {
      code: 0,
      stdout: 'The connection was successfully removed from a connection pool.\n',
      stderr: '',
    };
    expect(await user.run(['connections', 'pool', 'unassign', id])).toEqual(unassigned);
    expect(await json('list')).toEqual([{ id, name: 'local', platform }, group]);
    expect(await user.run(['connections', 'pool', 'unassign', 'f'.repeat(32)])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'An error occurred removing the connection from a connection pool.\n',
    });
    expect(await user.run(['connections', 'pool', 'unassign', id, '--json'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect((await user.run(['connections', 'delete', 'TestPool'])).stdout).toContain('deleted successfully');
    expect(await json('list')).toEqual([{ id, name: 'local', platform }]);
  });

  it.each([
    [2, ['x', '--name', 'a', '--pool', 'b'], '--name and --pool exclude each other'],
    [2, ['x'], 'say which pool'],
    [2, ['x', '--name', 'f'.repeat(32)], 'a name must not look like an id'],
    [1, ['x', '--name', 'a'], 'there is no connection "x"'],
    [1, ['local', '--pool', 'f'.repeat(32)], `there is no pool ${'f'.repeat(32)}`],
  ])('refuse with %i a pool assignment of %j', async (code, args, reason) => {
    await user.addDirectory('local', '/usr');
    const outcome = await user.run(['connections', 'pool', 'assign', ...args]);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr.split('\n')[0]).toContain(reason);
  });

  it('show an unknown id as SkySync does', async () => {
    expect(await user.run(['connections', 'show', 'f'.repeat(32)])).toEqual({
      code: 0,
      stdout: 'Enabled true\n',
      stderr: '',
    });
    expect((await user.run(['connections', 'show', 'f'.repeat(32), '--json'])).stdout).toBe('[\n  {}\n]\n');
  });

  it('filter by platform, text, state and page', async () => {
    for (const name of ['alpha', 'beta', 'alphabet']) await user.addDirectory(name, '/usr');
    const names = async (...args: string[]): Promise<string[]> =>
      (JSON.parse((await user.run(['connections', 'list', '--json', ...args])).stdout) as { name: string }[]).map(
        ({ name }) => name,
      );
    expect(await names()).toEqual(['alpha', 'beta', 'alphabet']);
    expect(await names('-q', 'ALPHA')).toEqual(['alpha', 'alphabet']);
    expect(await names('--search', 'bet', '--offset=1')).toEqual(['alphabet']);
    expect(await names('--limit', '1')).toEqual(['alpha']);
    expect(await names('-p', 'syncplicity')).toEqual([]);
    expect(await names('-p', 'fs', '--active')).toHaveLength(3);
    expect(await names('--pools')).toEqual([]);
    expect((await user.run(['connections', 'list', '-p', 'box'])).code).toBe(2);
  });

  it('get a name from platform and place, and no two the same', async () => {
    const add = (): Promise<{ stdout: string }> =>
      user.run(['connections', 'add', '-p', 'fs', '--in'], { input: '{"uri":"file:///usr/"}' });
    expect((await add()).stdout).toContain('Name     My Computer (/usr)\n');
    expect((await add()).stdout).toContain('Name     My Computer (/usr) 2\n');
    const taken = await user.run(['connections', 'add', '-p', 'fs', '--in', '--name', 'My Computer (/usr)'], {
      input: '{"uri":"/usr"}',
    });
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain('exists already');
  });

  it.each(['', ' ', '-x', '/x', 'a:/b', 'a\nb', 'f'.repeat(32), 'x'.repeat(256)])(
    'refuse the name %j',
    async (name) => {
      const { code } = await user.run(['connections', 'add', '-p', 'fs', `--name=${name}`, '--in'], {
        input: '{"uri":"/usr"}',
      });
      expect(code).toBe(2);
    },
  );

  it('try a directory before they store it, unless told not to', async () => {
    const input = JSON.stringify({ uri: join(user.home, 'missing') });
    const args = ['connections', 'add', '-p', 'fs', '--name', 'x', '--in'];
    const refused = await user.run(args, { input });
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('missing does not exist\n--no-verify');
    expect((await user.run(['connections', 'list', '--json'])).stdout).toBe('[]\n');
    expect((await user.run([...args, '--no-verify'], { input })).code).toBe(0);
  });

  it('need authentication, and say which', async () => {
    const { code, stderr } = await user.run(['connections', 'add', '-p', 'syncplicity']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--auth-file FILE.*\n.*"client_secret"/);
    const both = await user.run(['connections', 'add', '-p', 'fs', '--in', '--auth-file', 'x']);
    expect(both.stderr).toContain('exclude each other');
  });

  it('read an auth file, warn of unknown keys, and never show its secrets', async () => {
    const path = join(user.home, 'auth.json');
    const secrets = { client_id: 'key', client_secret: 'hidden-1', app_token: 'hidden-2' };
    writeFileSync(path, JSON.stringify({ ...secrets, versioning: true }));
    const args = ['connections', 'add', '-p', 'syncplicity', '--name', 'work', '--no-verify', '--auth-file', path];
    const added = await user.run(args, { env: { DEBUG: '*' } });
    expect(added.code).toBe(0);
    expect(added.stderr).toContain('warning: unknown key "versioning"');
    const list = await user.run(['connections', 'list', '--json'], { env: { DEBUG: '*' } });
    expect(JSON.stringify([added, list])).not.toContain('hidden');
    const stored = join(user.home, '.config/syncplicityfs/connections.json');
    expect(readFileSync(stored, 'utf8')).toContain('hidden-1');
    expect(statSync(stored).mode & 0o777).toBe(0o600);
  });

  it('survive being added by many processes at once', async () => {
    const names = Array.from({ length: 6 }, (_, index) => `c${index}`);
    await Promise.all(names.map((name) => user.addDirectory(name, '/usr')));
    const { stdout } = await user.run(['connections', 'list', '--json']);
    expect((JSON.parse(stdout) as { name: string }[]).map(({ name }) => name).sort()).toEqual(names);
  });

  it('say what is wrong with a damaged file in a line, and do not touch it', async () => {
    const path = join(user.directory('.config', 'syncplicityfs'), 'connections.json');
    writeFileSync(path, '{"schema":1,"connections":[{"client_secret":"hidden"', { mode: 0o600 });
    const { code, stdout, stderr } = await user.run(['connections', 'list']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^syncplicityfs: .*connections\.json is damaged.*\n$/);
    expect(stderr).not.toContain('hidden');
  });

  it('close a file that was open to others and say so on stderr', async () => {
    await user.addDirectory('one', '/usr');
    const path = join(user.home, '.config/syncplicityfs/connections.json');
    chmodSync(path, 0o644);
    const { code, stderr } = await user.run(['connections', 'list', '--json']);
    expect(code).toBe(0);
    expect(stderr).toContain('mode 0644');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});

describe('mount refuses', () => {
  it.each([
    [['missing'], 'does not exist'],
    [['file'], 'is not a directory'],
    [['point', '-o', 'readonly'], 'unknown mount option "readonly"'],
    [['point', '--uploads', '0'], '--uploads: 0 is not between 1 and 64'],
    [['point', '-o', 'rw,uploads=0'], 'uploads: 0 is not between 1 and 64'],
    [['point', '--cache-size', 'big'], '--cache-size: "big" is not a size'],
    [['point', '--ca-file', 'missing.pem'], 'missing.pem cannot be read: no such file or directory'],
    [['.'], 'the mountpoint'],
    [['.local/state'], 'the mountpoint'],
    [['link'], 'lies inside the mountpoint'],
  ])('mount --demo %j', async (args, message) => {
    writeFileSync(join(user.home, 'file'), '');
    user.directory('point');
    user.directory('.local', 'state');
    symlinkSync('.local', join(user.home, 'link'));
    const [where = '', ...rest] = args;
    const { code, stderr } = await user.run(['mount', '--demo', join(user.home, where), ...rest]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('a mountpoint inside the directory it would show', async () => {
    mkdirSync(join(user.home, 'data', 'inside'), { recursive: true });
    await user.addDirectory('data', join(user.home, 'data'));
    const { code, stderr } = await user.run(['mount', 'data', join(user.home, 'data', 'inside')]);
    expect(code).toBe(2);
    expect(stderr).toContain("lies inside the connection's directory");
  });

  it('a connection, a folder or a mountpoint that is written wrong, and says how it is written', async () => {
    const point = user.directory('point');
    await user.addDirectory('work', '/usr');
    await user.addDirectory('local', '/usr');
    const said = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await user.run(['mount', ...args]);
      expect(code).toBe(2);
      return stderr;
    };
    expect(await said('wrok', point)).toBe('syncplicityfs: there is no connection "wrok"\ndid you mean "work"?\n');
    expect(await said('work:share/doc', point)).toContain('\na folder of "work" is written work:/share/doc\n');
    expect(await said('work')).toBe(
      'syncplicityfs: the mountpoint is missing: "work" is a connection\nwrite it like: syncplicityfs mount work DIRECTORY\n',
    );
    expect(await said('work', '/proc/self/mem/x')).toBe(
      'syncplicityfs: the mountpoint /proc/self/mem/x cannot be used: not a directory\n',
    );
    expect(await said('work', point, '-o', 'remount,ro')).toBe(
      'syncplicityfs: a mounted drive keeps its options\nunmount it, and mount it with the new ones\n',
    );
  });

  it('pools of directories, and empty ones', async () => {
    await user.addDirectory('local', '/usr');
    await user.run(['connections', 'pool', 'assign', 'local', '--name', 'team']);
    const point = user.directory('point');
    const outcome = await user.run(['mount', 'team', point]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/^syncplicityfs: "team" is a pool of directories, which have nothing to share\n/);
    await user.run(['connections', 'pool', 'unassign', 'local']);
    const store = join(user.home, '.config/syncplicityfs/connections.json');
    writeFileSync(store, readFileSync(store, 'utf8').replaceAll('"fs"', '"syncplicity"'));
    const empty = await user.run(['mount', 'team', point]);
    expect(empty).toMatchObject({ code: 2, stdout: '' });
    expect(empty.stderr).toBe(
      'syncplicityfs: the pool "team" has no connections\nput some in with: syncplicityfs connections pool assign ID --name "team"\n',
    );
  });

  it('to guess among connections', async () => {
    const point = user.directory('point');
    expect((await user.run(['mount', point])).stderr).toContain('there is no connection yet');
    expect((await user.run(['mount', 'nope', point])).stderr).toContain('no connection "nope"');
    await user.addDirectory('one', '/usr');
    await user.addDirectory('two', '/usr');
    const { code, stderr } = await user.run(['mount', point]);
    expect(code).toBe(2);
    expect(stderr).toContain('one of "one", "two"');
  });
});

describe('without a mount', () => {
  it('an empty mountpoint is wrong usage, not the working directory', async () => {
    for (const args of [
      ['mount', '--demo', ''],
      ['unmount', ''],
      ['status', ''],
      ['flush', ''],
    ]) {
      const { code, stderr } = await user.run(args);
      expect([code, stderr.split('\n')[0]]).toEqual([2, 'syncplicityfs: the mountpoint is empty']);
    }
  });

  it('wrong usage of a subcommand points to its own help', async () => {
    const help = async (...args: string[]): Promise<string> => (await user.run(args)).stderr.split('\n')[1] ?? '';
    expect(await help('connections', 'list', 'x')).toBe('syncplicityfs connections list --help shows what is possible');
    expect(await help('connections', 'xyzzy')).toBe('syncplicityfs connections --help shows what is possible');
    expect(await help('xyzzy')).toBe('syncplicityfs --help shows what is possible');
  });

  it('a daemon whose log is on a full disk ends as one with a log does', async () => {
    const full = openSync('/dev/full', 'a');
    const daemon = spawn(process.execPath, [programFile, 'mount-daemon', '/nowhere'], {
      env: user.environment,
      stdio: ['ignore', full, full, 'ipc'],
      timeout: 10_000,
    });
    closeSync(full);
    const said = once(daemon, 'message');
    const ended = once(daemon, 'exit');
    const { home } = user;
    const source = { kind: 'connection', connectionId: 'none', path: '/' };
    const config = {
      mountpoint: '/nowhere',
      source,
      configDirectory: home,
      stateDirectory: home,
      logFile: '/dev/full',
    };
    daemon.send({ type: 'config', config });
    expect(await said).toMatchObject([{ type: 'failed' }, undefined]);
    expect(await ended).toEqual([1, null]);
  });

  it('status is empty', async () => {
    expect(await user.run(['status'])).toEqual({ code: 0, stdout: 'nothing is mounted\n', stderr: '' });
    expect(await user.run(['status', '--json'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
    expect((await user.run(['status', user.home])).code).toBe(1);
  });

  it.skipIf(lacks('python3'))(
    'status --watch clears the screen, not what the terminal keeps of before, and ends at Ctrl-C',
    async () => {
      const terminal = fileURLToPath(new URL('terminal.py', import.meta.url));
      const watching = [terminal, 'nothing is mounted', '\u0003', process.execPath, programFile, 'status', '--watch'];
      const { stdout } = await promisify(execFile)('python3', watching, { env: user.environment });
      expect(stdout).toContain('\u001b[H\u001b[2Jnothing is mounted');
      expect(stdout).not.toContain('\u001b[3J');
    },
  );

  it('unmount says so', async () => {
    const { code, stderr } = await user.run(['unmount', user.home]);
    expect(code).toBe(1);
    expect(stderr).toBe(`syncplicityfs: ${user.home} is not mounted\n`);
    expect((await user.run(['unmount', '/proc'])).stderr).toContain('a mount of type proc');
  });
});
