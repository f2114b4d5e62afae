// `syncplicityfs service`: the unit that is written, what systemd is told of it, and the unit run as systemd runs it: ready, killed, again, stopped.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findMount } from '../../src/base/mount-table.ts';
import { mountpointOf, quoted, unitName, unitText } from '../../src/cli/service-unit.ts';
import type { MountStatus } from '../../src/control/status.ts';
import { programFile, User, type Outcome } from './program.ts';
import { fuseExists, lacks } from '../machine.ts';

/** What fake systemctls were told, and a PATH on which they come first. */
function fakeSystemctl(user: User, script: string): NodeJS.ProcessEnv {
  const bin = user.directory('bin');
  writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\necho "$@" >> ${join(user.home, 'told')}\n${script}\n`);
  chmodSync(join(bin, 'systemctl'), 0o755);
  return { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
}

describe('the name of a unit', () => {
  it.each(['work', 'Syncplicity (me@example.com)', 'a/b', '.x', 'Zürich & Söhne', 'a-b_c:d', 'x\\y'])(
    'of %j is what systemd-escape makes of it',
    (name) => {
      expect(unitName(name)).toMatch(/^syncplicityfs@[A-Za-z0-9:_.\\-]+\.service$/);
      if (!lacks('systemd-escape')) {
        const escaped = execFileSync('systemd-escape', ['--template=syncplicityfs@.service', '--', name], {
          encoding: 'utf8',
        });
        expect(unitName(name)).toBe(escaped.trim());
      }
    },
  );
});

describe('the text of a unit', () => {
  const unit = {
    connection: { id: 'a'.repeat(32), name: 'work' },
    mountpoint: '/home/jane/drive',
    options: '',
    program: ['/usr/bin/node', '/opt/s.js'],
    environment: {},
  };

  it('mounts, waits for what is pending, and mounts again what died', () => {
    const text = unitText({ ...unit, options: 'ro,cache_size=5G' });
    expect(text).toContain(
      `\nExecStart=/usr/bin/node /opt/s.js mount --foreground -o ro,cache_size=5G -- ${'a'.repeat(32)} /home/jane/drive\n`,
    );
    expect(text).toContain('\nExecStop=-/usr/bin/node /opt/s.js flush --timeout 1m -- /home/jane/drive\n');
    for (const line of ['Type=notify', 'Restart=on-failure', 'KillMode=mixed', 'WantedBy=default.target']) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('lets nothing of a name or path be a specifier, a variable or a line of its own', () => {
    expect(quoted('/home/100%/$HOME/a "b" \\c\nd')).toBe('"/home/100%%/$$HOME/a \\"b\\" \\\\c\\x0ad"');
    const text = unitText({ ...unit, connection: { id: 'x', name: 'a\nExecStart=/bin/rm %h' } });
    expect(text.match(/^ExecStart=/gm)).toHaveLength(1);
    expect(text).toContain('%%h');
  });

  it('tells its mountpoint again, whatever that is called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
        const mountpoint = `/${name.replaceAll('\0', '')}`;
        expect(mountpointOf(unitText({ ...unit, mountpoint }))).toBe(mountpoint);
      }),
      { examples: [['\u2028 '], ['a\u2029ExecStart=b']] },
    );
  });

  it.skipIf(lacks('systemd-analyze'))('is a unit that systemd takes', () => {
    const user = new User();
    try {
      const file = join(user.home, unitName('work'));
      const text = unitText({
        ...unit,
        mountpoint: '/mnt/a b%c',
        program: [process.execPath, programFile],
        environment: { XDG_STATE_HOME: '/x y' },
      });
      writeFileSync(file, text);
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--user', '--man=no', file], {
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: user.directory('run') },
      });
      expect(stderr.split('\n').filter((line) => line.includes('syncplicityfs'))).toEqual([]);
      expect(status).toBe(0);
    } finally {
      user.remove();
    }
  });
});

describe('the command', () => {
  let user: User;
  let point: string;
  beforeEach(async () => {
    user = new User();
    point = user.directory('my drive');
    await user.addDirectory('local', user.directory('data'));
  });
  afterEach(() => user.remove());
  const service = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<Outcome> =>
    user.run(['service', ...args], { env });
  const unitFile = (): string => join(user.home, '.config/systemd/user', unitName('local'));
  const told = (): string[] => readFileSync(join(user.home, 'told'), 'utf8').trimEnd().split('\n');

  it('installs a drive, lists it and removes it', async () => {
    const env = fakeSystemctl(user, 'case "$*" in *is-active*) echo active;; esac');
    const { code, stdout, stderr } = await service(env, 'install', 'local', point, '-o', 'ro', '-o', 'umask=077');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `local is mounted on ${point}, now and with each session\n` });
    expect(stderr).toContain('loginctl enable-linger');
    expect(told()).toEqual([
      '--user daemon-reload',
      '--user daemon-reload',
      '--user enable syncplicityfs@local.service',
      '--user restart syncplicityfs@local.service',
    ]);
    expect(readFileSync(unitFile(), 'utf8')).toContain('-o ro,umask=077 -- ');
    expect(statSync(unitFile()).mode & 0o777).toBe(0o644);

    const listed = await service(env, 'list', '--json');
    expect(JSON.parse(listed.stdout)).toEqual([
      { unit: 'syncplicityfs@local.service', state: 'active', mountpoint: point },
    ]);
    expect(await service(env, 'remove', 'local')).toMatchObject({
      code: 0,
      stdout: 'syncplicityfs@local.service is removed\n',
    });
    expect(existsSync(unitFile())).toBe(false);
    expect(told().slice(-2)).toEqual(['--user disable --now syncplicityfs@local.service', '--user daemon-reload']);
    expect(await service(env, 'remove', 'local')).toMatchObject({ code: 2 });
  });

  it('starts nothing with --no-start', async () => {
    const env = fakeSystemctl(user, '');
    expect(await service(env, 'install', 'local', point, '--no-start')).toMatchObject({ code: 0 });
    expect(told()).not.toContainEqual(expect.stringContaining('restart'));
  });

  it('says in one line what systemd says, and what to do', async () => {
    const env = fakeSystemctl(user, 'echo "Failed to connect to bus: No medium found" >&2; exit 1');
    expect(await service(env, 'install', 'local', point)).toMatchObject({
      code: 1,
      stderr:
        'syncplicityfs: systemctl --user daemon-reload failed: Failed to connect to bus: No medium found\nit needs a session of systemd, which su and sudo do not begin: log in as this user, or use machinectl shell USER@\n',
    });
    expect(existsSync(unitFile())).toBe(false);
    expect((await service(env, 'list', '--json')).stdout).toBe('[]\n');
  });

  it.each([
    [['nothing', '.'], 'there is no connection "nothing"'],
    [['local', '/no/such/directory'], 'the mountpoint /no/such/directory does not exist'],
    [['local', '.', '-o', 'cache_size=much'], 'cache_size: '],
  ])('%j is wrong at once', async (args, message) => {
    const env = fakeSystemctl(user, '');
    const { code, stderr } = await service(env, 'install', ...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) as string });
    expect(existsSync(join(user.home, 'told'))).toBe(false);
  });
});

/** Systemd's end of the protocol: a socket that prints the datagrams it gets. Node has none of this kind. */
const LISTENER = `
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print('bound', flush=True)
while True: print(repr(listener.recv(4096).decode()), flush=True)
`;

describe.skipIf(!fuseExists || lacks('python3'))('a unit as systemd runs it', () => {
  let user: User;
  let point: string;
  let listener: ChildProcess;
  let lines: Interface;
  let socket: string;
  beforeEach(async () => {
    user = new User();
    point = user.directory('my drive');
    await user.addDirectory('local', user.directory('data'));
    socket = join(user.home, 'notify');
    listener = spawn('python3', ['-c', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    lines = createInterface({ input: listener.stdout as NodeJS.ReadableStream });
    await once(lines, 'line');
  });
  afterEach(async () => {
    listener.kill();
    await once(listener, 'exit');
    if ((await findMount(point)) !== undefined) await user.run(['unmount', '--lazy', point]);
    user.remove();
  });

  /** Starts ExecStart= and waits until it is ready. */
  async function start(): Promise<{ child: ChildProcess; ended: Promise<unknown[]> }> {
    const ready = once(lines, 'line');
    const { stdout } = await user.run(['connections', 'list', '--json']);
    const [{ id }] = JSON.parse(stdout) as [{ id: string }];
    const child = user.start(['mount', '--foreground', '--', id, point], { NOTIFY_SOCKET: socket });
    child.stderr?.resume();
    const ended = once(child, 'exit');
    expect(await ready).toEqual([`'READY=1\\nSTATUS=local on ${point}'`]);
    return { child, ended };
  }

  it('tells when it is ready and that it stops; a daemon that was killed is followed by one that has all it had', async () => {
    const first = await start();
    expect((await user.run(['pause', point])).code).toBe(0);
    writeFileSync(join(point, 'data', 'pending.txt'), 'not sent yet');
    const { stdout } = await user.run(['status', point, '--json']);
    const [{ pid }] = JSON.parse(stdout) as [MountStatus];
    process.kill(pid, 'SIGKILL');
    expect((await first.ended)[0]).not.toBe(0);

    const second = await start();
    expect(readFileSync(join(point, 'data', 'pending.txt'), 'utf8')).toBe('not sent yet');
    expect((await user.run(['resume', point])).code).toBe(0);
    expect((await user.run(['flush', '--timeout', '1m', '--', point])).code).toBe(0);
    expect(readFileSync(join(user.home, 'data', 'pending.txt'), 'utf8')).toBe('not sent yet');
    const stopping = once(lines, 'line');
    second.child.kill('SIGTERM');
    expect(await stopping).toEqual([`'STOPPING=1'`]);
    expect(await second.ended).toEqual([0, null]);
    expect(await findMount(point)).toBeUndefined();
  });
});
