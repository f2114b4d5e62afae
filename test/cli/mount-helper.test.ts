// mount.syncplicityfs as mount(8) runs it: its arguments, and lines of an fstab mounted and unmounted by mount(8) and umount(8) themselves.
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { findMount } from '../../src/base/mount-table.ts';
import { isAlive } from '../../src/base/process-alive.ts';
import { readHelperCall } from '../../src/cli/mount-helper.ts';
import { programFile, User } from './program.ts';
import { fuseExists, isRoot, lacks } from '../machine.ts';

const run = promisify(execFile);
const helperFile = join(dirname(programFile), 'mount.syncplicityfs.js');

describe('the arguments', () => {
  it.each([
    [
      ['work', '/mnt', '-o', 'rw,_netdev'],
      { source: 'work', directory: '/mnt', options: 'rw,_netdev', user: undefined, isFake: false },
    ],
    [['work:/A b', '/mnt'], { source: 'work:/A b', directory: '/mnt', options: '', user: undefined, isFake: false }],
    [
      ['-sn', '-v', 'work', '/mnt', '-oro', '-o', 'uid=1'],
      { source: 'work', directory: '/mnt', options: 'ro,uid=1', user: undefined, isFake: false },
    ],
    [
      ['work', '/mnt', '-o', 'rw,setuid=alice,umask=077', '-t', 'fuse.syncplicityfs', '-N', '/proc/1/ns/mnt'],
      { source: 'work', directory: '/mnt', options: 'rw,umask=077', user: 'alice', isFake: false },
    ],
    [
      ['work', '/mnt', '-fo', 'rw'],
      { source: 'work', directory: '/mnt', options: 'rw', user: undefined, isFake: true },
    ],
  ])('%j', (argv, expected) => {
    expect(readHelperCall(argv)).toEqual(expected);
  });

  it.each([
    [['work'], 'a source and a directory are needed'],
    [['a', 'b', 'c'], 'a source and a directory are needed'],
    [['a', 'b', '-o'], '-o needs a value'],
    [['a', 'b', '-x'], 'unknown option -x'],
    [['a', 'b', '-o', 'setuid='], 'setuid= names no user'],
  ])('%j are wrong', (argv, message) => {
    expect(() => readHelperCall(argv)).toThrow(message);
  });
});

describe.skipIf(!fuseExists)('run by hand', () => {
  let user: User;
  beforeEach(() => (user = new User()));
  afterEach(() => user.remove());
  const helper = (...args: string[]): Promise<{ code?: number; stderr: string }> =>
    run(process.execPath, [helperFile, ...args], { env: user.environment }).catch(
      (error: unknown) => error as { code: number; stderr: string },
    );

  it('says what is wrong in one line, with its exit code', async () => {
    expect(await helper('work', user.home, '-o', 'setuid=no-such-user')).toMatchObject({
      code: 2,
      stderr: 'syncplicityfs: setuid=no-such-user: there is no such user\n',
    });
    expect(await helper('work', user.home, '-o', 'ro')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no connection "work"') as string,
    });
  });

  it('does nothing where nothing is to be done', async () => {
    expect(await helper('-f', 'work', user.home)).toMatchObject({ stderr: '' });
    expect(await findMount(user.home)).toBeUndefined();
  });
});

/** Where mount(8) looks for what mounts a type. */
const LINK = '/sbin/mount.fuse.syncplicityfs';
const mayLink = isRoot && fuseExists && !existsSync(LINK);
if (!mayLink) console.warn(`SKIPPED: mount(8) is not tried: it needs root, /dev/fuse and no ${LINK}`);

describe.skipIf(!mayLink || lacks('ps'))('a line of fstab', () => {
  let user: User;
  let point: string;
  beforeAll(() => symlinkSync(helperFile, LINK));
  afterAll(() => {
    if (lstatSync(LINK).isSymbolicLink()) unlinkSync(LINK);
  });
  beforeEach(() => {
    user = new User();
    point = user.directory('a drive');
    writeFileSync(join(user.directory('data'), 'hello.txt'), 'hello\n');
  });
  afterEach(async () => {
    // It fails where there is none: the daemon may have ended by itself.
    const { stdout } = await run('pgrep', ['-f', `mount-daemon ${point}`]).catch(() => ({ stdout: '' }));
    if ((await findMount(point)) !== undefined) await run('umount', [point]);
    // A process of others cannot be waited for, only looked at.
    while (
      stdout
        .trim()
        .split('\n')
        .some((pid) => pid !== '' && isAlive(Number(pid)))
    )
      await sleep(20);
    user.remove();
  });

  /** As for root without a home, which is how systemd mounts; these say where the user's files are. */
  const mount = (...args: string[]): Promise<unknown> => {
    const places = { XDG_CONFIG_HOME: '.config', XDG_STATE_HOME: '.local/state', XDG_CACHE_HOME: '.cache' };
    const env = Object.fromEntries(Object.entries(places).map(([name, path]) => [name, join(user.home, path)]));
    return run('mount', ['-T', join(user.home, 'fstab'), ...args], { env: { PATH: process.env['PATH'], ...env } });
  };

  function fstab(options: string, source = 'local'): void {
    const line = [source, point.replaceAll(' ', '\\040'), 'fuse.syncplicityfs', options, '0', '0'].join(' ');
    writeFileSync(join(user.home, 'fstab'), `${line}\n`);
  }

  it('is mounted by mount -a and by its directory, and unmounted by umount', async () => {
    await user.addDirectory('local', join(user.home, 'data'));
    fstab('ro,_netdev,nofail,x-systemd.automount');
    await mount('-a');
    expect(await findMount(point)).toMatchObject({ type: 'fuse.syncplicityfs', source: 'local' });
    expect(readdirSync(join(point, 'data'))).toEqual(['hello.txt']);
    // Again: it is there already.
    await mount('-a');
    await run('umount', [point]);
    expect(await findMount(point)).toBeUndefined();
    await mount(point);
    expect(readdirSync(join(point, 'data'))).toEqual(['hello.txt']);
  });

  it('is mounted once where its line names a folder', async () => {
    mkdirSync(join(user.home, 'data', 'plans'));
    await user.addDirectory('local', join(user.home, 'data'));
    fstab('rw', 'local:/data/plans');
    await mount('-a');
    expect(await findMount(point)).toMatchObject({ source: 'local:/data/plans' });
    await mount('-a');
    const { stdout } = await user.run(['status', point, '--json']);
    expect(JSON.parse(stdout)).toMatchObject([{ connection: 'local' }]);
    await run('umount', ['local:/data/plans']);
    expect(await findMount(point)).toBeUndefined();
  });

  it("with setuid= is that user's drive, made without root", async () => {
    const { stdout } = await run('getent', ['passwd', 'nobody']);
    const [, , uid = '', gid = ''] = stdout.split(':');
    await user.addDirectory('local', join(user.home, 'data'));
    await run('chown', ['-R', `${uid}:${gid}`, user.home]);
    chmodSync('/dev/fuse', 0o666);
    fstab('rw,setuid=nobody');
    await mount('-a');
    const line = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .find((one) => one.includes(point.replaceAll(' ', '\\040')));
    expect(line).toContain(`user_id=${uid},group_id=${gid}`);
    expect(statSync(join(user.home, '.local', 'state', 'syncplicityfs', 'accounts')).uid).toBe(Number(uid));
  });
});
