// mount, status and unmount of a real mount through the kernel, with daemons that end in every way.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findMount } from '../../src/base/mount-table.ts';
import { isAlive } from '../../src/base/process-alive.ts';
import { emptyStatus, type MountStatus } from '../../src/control/status.ts';
import { User, programFile } from './program.ts';
import { fuseExists, isRoot, lacks, mayUnshareMounts } from '../machine.ts';

let user: User;
let point: string;
beforeEach(async () => {
  user = new User();
  point = user.directory('point');
  writeFileSync(join(user.directory('data'), 'hello.txt'), 'hello\n');
  await user.addDirectory('local', join(user.home, 'data'));
});
afterEach(async () => {
  if ((await findMount(point)) !== undefined) await user.run(['unmount', '--lazy', point]);
  user.remove();
});

async function mounted(...options: string[]): Promise<MountStatus> {
  expect(await user.run(['mount', 'local', point, ...options])).toMatchObject({ code: 0, stderr: '' });
  return status();
}

async function status(): Promise<MountStatus> {
  const { stdout } = await user.run(['status', point, '--json']);
  return (JSON.parse(stdout) as [MountStatus])[0];
}

/** A process and a mount of others cannot be waited for, only looked at. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}

const unmounted = async (): Promise<boolean> => (await findMount(point)) === undefined;

async function foreground(): Promise<{ child: ChildProcess; ended: Promise<unknown[]> }> {
  const child = user.start(['mount', '--foreground', 'local', point]);
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream })) {
    if (line.includes('Ctrl-C unmounts it')) break;
  }
  child.stderr?.resume();
  return { child, ended };
}

/** Lets the drives of other tests go, which a mount namespace would keep mounted, and so their daemons alive, and stays. */
const ONLY_ONE = String.raw`
import os, re, subprocess, sys
for line in open('/proc/self/mounts'):
    path, kind = line.split()[1:3]
    path = re.sub(r'\\([0-7]{3})', lambda octal: chr(int(octal[1], 8)), path)
    if kind.startswith('fuse') and path != sys.argv[1]:
        subprocess.run(['umount', '--lazy', path])
os.execvp('sleep', ['sleep', '60'])
`;

describe.skipIf(!fuseExists)('a mount', () => {
  it('answers as soon as the command returns, tells its status, and is gone after unmount', async () => {
    const found = await mounted('--read-only', '-o', 'noexec');
    expect(readFileSync(join(point, 'data', 'hello.txt'), 'utf8')).toBe('hello\n');
    expect(await findMount(point)).toMatchObject({ type: 'fuse.syncplicityfs', source: 'local' });
    expect(found).toMatchObject({ mountpoint: point, connection: 'local', transport: 'kernel', readOnly: true });
    expect(Object.keys(found).sort()).toEqual(Object.keys(emptyStatus(found)).sort());
    expect((await user.run(['status'])).stdout).toContain(`${point}\n  connection local, read-only\n`);

    expect(await user.run(['unmount', point])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect([await unmounted(), isAlive(found.pid)]).toEqual([true, false]);
    expect(readdirSync(point)).toEqual([]);
    expect((await user.run(['unmount', point])).code).toBe(1);
    expect((await user.run(['status', '--json'])).stdout).toBe('[]\n');
  });

  it('has a daemon that shows no secret and keeps no directory busy', async () => {
    const { pid } = await mounted();
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    expect(command.slice(command.indexOf(programFile))).toEqual([programFile, 'mount-daemon', point, '']);
    const logs = join(user.home, '.local/state/syncplicityfs/logs');
    expect(readdirSync(logs).map((name) => statSync(join(logs, name)).mode & 0o777)).toEqual([0o600]);
  });

  it('sends what was written when asked to, at the latest before it goes', async () => {
    await mounted('--settle', '1h');
    writeFileSync(join(point, 'data', 'one'), '1');
    expect((await status()).pending).toMatchObject({ files: 1, items: [{ path: '/data/one', change: 'store' }] });
    expect(await user.run(['flush', point])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(join(user.home, 'data', 'one'), 'utf8')).toBe('1');
    writeFileSync(join(point, 'data', 'two'), '2');
    expect(await user.run(['unmount', point])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(join(user.home, 'data', 'two'), 'utf8')).toBe('2');
  });

  it('keeps for the next mount what it was not to wait for, and its connection until then', async () => {
    const { pid } = await mounted('-o', 'rw,settle=1h');
    writeFileSync(join(point, 'data', 'one'), '1');
    expect((await user.run(['connections', 'delete', 'local'])).stderr).toContain('1 change made through "local" is');
    expect(await user.run(['unmount', point, '--no-wait'])).toEqual({
      code: 0,
      stdout: '',
      stderr: `syncplicityfs: 1 change of ${point} is kept for the next mount\n`,
    });
    expect([existsSync(join(user.home, 'data', 'one')), isAlive(pid)]).toEqual([false, false]);
    expect(await user.run(['connections', 'delete', 'local'])).toMatchObject({ code: 1, stdout: '' });

    await mounted();
    expect((await user.run(['unmount', point])).code).toBe(0);
    expect(readFileSync(join(user.home, 'data', 'one'), 'utf8')).toBe('1');
    expect((await user.run(['connections', 'delete', 'local'])).code).toBe(0);
  });

  it('loses its connection, unsent changes or not, where that is what the user wants', async () => {
    await mounted('-o', 'rw,settle=1h');
    writeFileSync(join(point, 'data', 'one'), '1');
    await user.run(['unmount', point, '--no-wait']);
    const refused = await user.run(['connections', 'delete', 'local']);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(
      '\nwhere the service is gone for good, --abandon-changes deletes it nevertheless\n',
    );
    expect(await user.run(['connections', 'delete', 'local', '--abandon-changes'])).toEqual({
      code: 0,
      stdout: 'The connection was deleted successfully.\n',
      stderr: 'syncplicityfs: 1 change made through "local" stays here unsent\n',
    });
    expect((await user.run(['connections', 'list', '--json'])).stdout).toBe('[]\n');
  });

  it('stays where it cannot send: paused, with the reason', async () => {
    await mounted();
    expect((await user.run(['pause', point])).code).toBe(0);
    writeFileSync(join(point, 'data', 'one'), '1');
    const refused = await user.run(['unmount', point]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('because transfers are paused: it stays mounted; --no-wait leaves them');
    expect((await user.run(['flush', point])).stderr).toContain('\n  store /data/one: waiting\n');
    expect(readFileSync(join(point, 'data', 'one'), 'utf8')).toBe('1');
    expect((await user.run(['resume', point])).code).toBe(0);
    expect((await user.run(['unmount', point])).code).toBe(0);
  });

  it('tells in its log what SIGTERM left', async () => {
    const { pid } = await mounted('--settle', '1h');
    writeFileSync(join(point, 'data', 'one'), '1');
    process.kill(pid, 'SIGTERM');
    await until(() => Promise.resolve(!isAlive(pid)));
    const [log = ''] = readdirSync(join(user.home, '.local/state/syncplicityfs/logs'));
    const text = readFileSync(join(user.home, '.local/state/syncplicityfs/logs', log), 'utf8');
    expect(text).toContain('unmounting: SIGTERM');
    expect(text).toContain('1 change kept for the next mount');
  });

  it('is refused where one is already', async () => {
    const { pid } = await mounted();
    const { code, stderr } = await user.run(['mount', 'local', point]);
    expect(code).toBe(1);
    expect(stderr).toContain(`is mounted already by process ${pid}`);
  });

  it('is made by mount(8) in the way fstab asks for it', async () => {
    expect((await user.run(['local', point, '-o', 'ro,noauto,_netdev'])).code).toBe(0);
    expect(readdirSync(point)).toEqual(['data']);
  });

  it('shows one folder of a connection', async () => {
    expect((await user.run(['mount', 'local:/data', point])).code).toBe(0);
    expect(readdirSync(point)).toEqual(['hello.txt']);
  });

  it('that cannot come up fails with one line that names the log', async () => {
    const { code, stderr } = await user.run(['mount', 'local:/nowhere', point]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^syncplicityfs: cannot mount local:\/nowhere on .*\(log: .*\.log\)\n$/);
    expect(await unmounted()).toBe(true);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('is unmounted by %s to its daemon', async (signal) => {
    const { pid } = await mounted();
    process.kill(pid, signal);
    await until(() => Promise.resolve(!isAlive(pid)));
    expect(await unmounted()).toBe(true);
  });

  it('whose daemon was killed is cleared away by unmount, and by the next mount', async () => {
    for (const clear of [() => user.run(['unmount', point]), () => user.run(['mount', 'local', point])]) {
      const { pid } = await mounted();
      process.kill(pid, 'SIGKILL');
      await until(() => Promise.resolve(!isAlive(pid)));
      expect((await user.run(['status', '--json'])).stdout).toBe('[]\n');
      for (const args of [['status'], ['status', point]]) {
        const dead = await user.run(args);
        expect(dead).toMatchObject({ code: 1, stdout: '' });
        expect(dead.stderr).toContain(`${point} is a dead mount: its daemon is gone`);
      }
      expect(await clear()).toMatchObject({ code: 0, stderr: '' });
    }
    expect(readdirSync(point)).toEqual(['data']);
  });

  it('whose daemon hangs is reported, not waited for', async () => {
    const { pid } = await mounted();
    process.kill(pid, 'SIGSTOP');
    try {
      const answer = await user.run(['status']);
      expect(answer).toMatchObject({ code: 1, stdout: '' });
      expect(answer.stderr).toContain(`process ${pid}) does not answer`);
      expect((await user.run(['unmount', point])).stderr).toContain('does not answer');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect((await user.run(['unmount', point])).code).toBe(0);
  });

  it('in use stays, with a reason, until it is detached', async () => {
    const { pid } = await mounted();
    const busy = spawn('sleep', ['60'], { cwd: join(point, 'data') });
    await once(busy, 'spawn');
    try {
      const refused = await user.run(['unmount', point, '--timeout', '300ms']);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(new RegExp(`^syncplicityfs: ${point} is busy: sleep .*\nfuser -vm`));
      expect(isAlive(pid)).toBe(true);
    } finally {
      busy.kill('SIGKILL');
      await once(busy, 'exit');
    }
    expect((await user.run(['unmount', point])).code).toBe(0);
  });

  it.skipIf(!mayUnshareMounts() || lacks('python3'))(
    'that a mount namespace keeps is unmounted here, and says where it goes on',
    async () => {
      const { pid } = await mounted();
      const sandbox = spawn('unshare', ['--mount', 'python3', '-c', ONLY_ONE, point]);
      await once(sandbox, 'spawn');
      try {
        const own = readlinkSync('/proc/self/ns/mnt');
        await until(() => Promise.resolve(readFileSync(`/proc/${sandbox.pid}/comm`, 'utf8') === 'sleep\n'));
        expect(readlinkSync(`/proc/${sandbox.pid}/ns/mnt`)).not.toBe(own);
        const answer = await user.run(['unmount', point]);
        expect(answer.stderr).toBe(
          `syncplicityfs: ${point} is unmounted, but its daemon (process ${pid}) has not ended: sleep (pid ${sandbox.pid}) has a mount ` +
            `namespace of its own, where it is mounted on ${point}\nit ends with that process, or with umount there\n`,
        );
        expect([answer.code, readdirSync(point)]).toEqual([1, []]);
      } finally {
        sandbox.kill('SIGKILL');
        await once(sandbox, 'exit');
      }
      await until(() => Promise.resolve(!isAlive(pid)));
    },
  );

  it.skipIf(!isRoot)('that is bound elsewhere is unmounted here, and says where it goes on', async () => {
    const { pid } = await mounted();
    const other = user.directory('bound');
    await promisify(execFile)('mount', ['--bind', join(point, 'data'), other]);
    try {
      const { code, stderr } = await user.run(['unmount', point]);
      expect(stderr).toMatch(
        new RegExp(`has not ended: it is mounted on ${other} as well\numount ${other} ends it\n$`),
      );
      expect([code, readFileSync(join(other, 'hello.txt'), 'utf8')]).toEqual([1, 'hello\n']);
      await sleep(500);
      writeFileSync(join(other, 'late.txt'), 'late\n');
    } finally {
      await promisify(execFile)('umount', [other]);
    }
    await until(() => Promise.resolve(!isAlive(pid)));
    expect(readFileSync(join(user.home, 'data', 'late.txt'), 'utf8'), 'what was written there after that').toBe(
      'late\n',
    );
  });

  it('made in a session is found without one, and the reverse', async () => {
    const session = { XDG_RUNTIME_DIR: user.directory('session') };
    for (const [maker, asker] of [
      [session, {}],
      [{}, session],
    ] as const) {
      expect(await user.run(['mount', 'local', point], { env: maker })).toMatchObject({ code: 0, stderr: '' });
      expect((await user.run(['status'], { env: asker })).stdout).toContain(`${point}\n`);
      expect((await user.run(['mount', 'local', point], { env: asker })).stderr).toContain('is mounted already');
      writeFileSync(join(point, 'data', 'new.txt'), 'new\n');
      expect(await user.run(['flush', point], { env: asker })).toMatchObject({ code: 0, stderr: '' });
      expect(readFileSync(join(user.home, 'data', 'new.txt'), 'utf8')).toBe('new\n');
      expect(await user.run(['unmount', point], { env: asker })).toMatchObject({ code: 0, stderr: '' });
      expect((await user.run(['status'], { env: maker })).stdout).toBe('nothing is mounted\n');
    }
  });

  it('is unmounted from within once it is left, and says on the way who is in it', async () => {
    await mounted();
    const busy = spawn('sleep', ['60'], { cwd: join(point, 'data') });
    await once(busy, 'spawn');
    const child = spawn(process.execPath, [programFile, 'unmount', '..'], {
      cwd: join(point, 'data'),
      env: user.environment,
    });
    const ended = once(child, 'exit');
    for await (const line of createInterface({ input: child.stderr })) {
      expect(line).toMatch(
        new RegExp(`^syncplicityfs: ${point} is busy: sleep \\(pid ${busy.pid}\\) uses .*/data; waiting`),
      );
      expect(line).not.toContain(`pid ${child.pid}`);
      busy.kill('SIGKILL');
    }
    expect(await ended).toEqual([0, null]);
    expect(await unmounted()).toBe(true);
  });

  it('is named where a path in it, or almost its own, is taken for it', async () => {
    await mounted();
    const hints = {
      [`${point}/data`]: `${point}/data is not mounted\nit lies in the drive that is mounted on ${point}\n`,
      [`${point}x`]: `${point}x does not exist\ndid you mean ${point}?\n`,
    };
    for (const [path, message] of Object.entries(hints)) {
      expect(await user.run(['unmount', path])).toEqual({ code: 1, stdout: '', stderr: `syncplicityfs: ${message}` });
    }
    expect((await user.run(['status', `${point}/data`])).stderr).toContain('it lies in the drive');
  });

  it('detached while in use is shown so until the next mount takes over', async () => {
    const { pid } = await mounted();
    const used = openSync(join(point, 'data', 'hello.txt'), 'r');
    try {
      for (const args of [
        ['unmount', '--lazy', point],
        ['unmount', point],
      ]) {
        const detached = await user.run(args);
        expect(detached.code).toBe(0);
        expect(detached.stderr).toContain(`is detached; its daemon (process ${pid}) ends with the last program`);
      }
      expect((await user.run(['status'])).stdout).toContain(`${point} (detached, still in use)\n`);
      expect((await mounted()).pid).not.toBe(pid);
      expect(isAlive(pid)).toBe(false);
      expect(readdirSync(point)).toEqual(['data']);
    } finally {
      closeSync(used);
    }
    expect((await user.run(['unmount', point])).code).toBe(0);
  });

  it('detached ends with the last program that uses it', async () => {
    const { pid } = await mounted();
    const used = openSync(join(point, 'data', 'hello.txt'), 'r');
    expect((await user.run(['unmount', '--lazy', point])).code).toBe(0);
    expect(isAlive(pid)).toBe(true);
    closeSync(used);
    await until(() => Promise.resolve(!isAlive(pid)));
  });

  it.skipIf(!isRoot)('is refused by name where its state, or its socket, cannot be kept', async () => {
    const home = user.directory('read-only');
    await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', home]);
    try {
      const { code, stderr } = await user.run(['mount', '--demo', point], { env: { HOME: home } });
      expect([code, stderr]).toEqual([1, `syncplicityfs: ${home}: read-only file system\n`]);
      const { stderr: ofSockets } = await user.run(['mount', 'local', point], { env: { XDG_RUNTIME_DIR: home } });
      // Node says ENOENT for what the kernel calls EROFS.
      const words = 'no such file or directory|read-only file system';
      expect(ofSockets).toMatch(
        new RegExp(`cannot mount local on ${point}: ${home}/syncplicityfs: (${words}) \\(log: `),
      );
    } finally {
      await promisify(execFile)('umount', [home]);
    }
  });

  it('in the foreground ends with Ctrl-C', async () => {
    const { child, ended } = await foreground();
    expect(readdirSync(point)).toEqual(['data']);
    child.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
    expect(await unmounted()).toBe(true);
  });

  it('in the foreground ends when its starter is killed', async () => {
    const { child, ended } = await foreground();
    const { pid } = await status();
    child.kill('SIGKILL');
    await ended;
    await until(() => Promise.resolve(!isAlive(pid)));
    expect(await unmounted()).toBe(true);
  });

  it('of the demo needs no connection', async () => {
    expect((await user.run(['mount', '--demo', point])).code).toBe(0);
    expect(readdirSync(point).length).toBeGreaterThan(0);
    expect(await status()).toMatchObject({ connection: 'demo' });
  });
});
