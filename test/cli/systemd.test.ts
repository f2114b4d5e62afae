// `syncplicityfs service` with a real systemd: a manager of a user's session, in a mount namespace of its own so that it takes the machine
// for one that systemd has booted. What it starts, restarts and stops is a drive under load.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fuseExists } from '../mount/drive.ts';
import { kernelTransportOnly, programFile, User } from './program.ts';
import { lacks, mayUnshareMounts } from '../machine.ts';

const MANAGER = '/usr/lib/systemd/systemd';
/** It would keep the drives of other tests mounted, and so their daemons, as long as it lives. */
const BOOTED = `umount --all --lazy --types fuse.syncplicityfs,fuse; mount -t tmpfs none /run/systemd && mkdir /run/systemd/system && exec ${MANAGER} --user`;
const UNIT = 'syncplicityfs@local.service';

/** Writes files until the drive fails, and keeps account of those whose close(2) was answered, which a shell does not look at. */
const LOAD = `
import os, sys
directory, accepted = sys.argv[1:]
for number in range(5000):
    name = f'file{number}'
    try:
        file = os.open(os.path.join(directory, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.write(file, f'{number}\\n'.encode())
        os.close(file)
    except OSError:
        break
    print(name, file=open(accepted, 'a'))
`;

const lacking = !existsSync(MANAGER)
  ? `${MANAGER} is missing`
  : mayUnshareMounts()
    ? undefined
    : 'no mount namespace can be made here';
if (lacking !== undefined) console.warn(`SKIPPED: services are not tried with a real systemd: ${lacking}`);

const run = promisify(execFile);

/** A user whose session has a manager. */
class Session {
  readonly user = new User();
  readonly point = this.user.directory('my drive');
  readonly data = this.user.directory('data');
  readonly #runtime = this.user.directory('run');
  #manager: ChildProcess | undefined;

  get #environment(): NodeJS.ProcessEnv {
    return { ...this.user.environment, XDG_RUNTIME_DIR: this.#runtime, TMPDIR: process.env['TMPDIR'] };
  }

  /** The session begins: resolves when all that begins with it was started. */
  async begin(): Promise<void> {
    rmSync(join(this.#runtime, 'systemd'), { recursive: true, force: true });
    const manager = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', BOOTED], {
      env: this.#environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#manager = manager;
    const said: string[] = [];
    createInterface({ input: manager.stderr }).on('line', (line) => said.push(line));
    while (!existsSync(join(this.#runtime, 'systemd/private'))) {
      if (manager.exitCode !== null) throw new Error(`${MANAGER} ended with ${manager.exitCode}: ${said.join('\n')}`);
      await pause(20);
    }
    // Degraded, where units of others fail here.
    expect(['running\n', 'degraded\n']).toContain(await this.shell('systemctl --user is-system-running --wait || :'));
  }

  /** The session is over: resolves when everything of it has ended. */
  async end(): Promise<void> {
    const manager = this.#manager;
    this.#manager = undefined;
    if (manager === undefined || manager.exitCode !== null) return;
    const ended = once(manager, 'exit');
    manager.kill('SIGTERM');
    await ended;
  }

  /** Runs a program as something of the session does, and resolves with what it printed. */
  async inside(program: string, ...args: readonly string[]): Promise<string> {
    const words = ['--target', String(this.#manager?.pid), '--mount', program, ...args];
    return (await run('nsenter', words, { env: this.#environment })).stdout;
  }

  drive(...args: readonly string[]): Promise<string> {
    return this.inside(process.execPath, programFile, ...args);
  }

  shell(script: string): Promise<string> {
    // Its directory is to be one of the session's own mounts.
    return this.inside('sh', '-c', `cd "$HOME" && { ${script}; }`);
  }

  async property(name: string): Promise<string> {
    return (await this.inside('systemctl', '--user', 'show', '--property', name, '--value', UNIT)).trim();
  }

  /** Looks each while until that is so; systemd tells nobody without a bus. */
  async until(name: string, wanted: (value: string) => boolean): Promise<void> {
    for (;;) {
      if (wanted(await this.property(name))) return;
      await pause(50);
    }
  }

  stored(): string[] {
    return readdirSync(this.data).sort();
  }
}

let session: Session;
beforeEach(() => {
  session = new Session();
});
afterEach(async () => {
  await session.end();
  session.user.remove();
});

it.skipIf(lacking !== undefined || lacks('python3') || !fuseExists || kernelTransportOnly('systemd does not care'))(
  'mounts a drive with each session, again when its daemon is killed under load, and ends it when all is sent',
  { timeout: 120_000 },
  async () => {
    const { user, point } = session;
    await user.addDirectory('local', session.data);
    await session.begin();
    expect(await session.drive('service', 'install', 'local', point)).toBe(
      `local is mounted on ${point}, now and with each session\n`,
    );
    expect(JSON.parse(await session.drive('service', 'list', '--json'))).toEqual([
      { unit: UNIT, state: 'active', mountpoint: point },
    ]);

    const load = session.inside('python3', '-c', LOAD, join(point, 'data'), join(user.home, 'accepted'));
    while (!existsSync(join(user.home, 'accepted')) || accepted().length < 200) await pause(20);
    const main = await session.property('MainPID');
    const [{ pid }] = JSON.parse(await session.drive('status', point, '--json')) as [{ pid: number }];
    expect(String(pid)).not.toBe(main);
    process.kill(pid, 'SIGKILL');
    await load;
    // No hand is needed.
    await session.until('NRestarts', (count) => count === '1');
    await session.until('ActiveState', (state) => state === 'active');
    await session.shell('echo more > "my drive/data/more"');
    await session.drive('flush', '--timeout', '1m', '--', point);
    expect(session.stored()).toEqual(expect.arrayContaining([...accepted(), 'more']));
    for (const name of accepted()) {
      expect(readFileSync(join(session.data, name), 'utf8')).toBe(`${name.slice('file'.length)}\n`);
    }

    // The end of the session waits for what is pending.
    await session.shell('for i in $(seq 300); do echo $i > "my drive/data/last$i"; done');
    await session.end();
    expect(session.stored().filter((name) => name.startsWith('last'))).toHaveLength(300);

    // The next one mounts it by itself.
    await session.begin();
    await session.until('ActiveState', (state) => state === 'active');
    expect(await session.shell('cat "my drive/data/last300"')).toBe('300\n');
    expect(await session.drive('service', 'remove', point)).toBe(`${UNIT} is removed\n`);
    expect(await session.drive('service', 'list', '--json')).toBe('[]\n');
    expect(await session.shell('ls -A "my drive"')).toBe('');
    expect(await session.property('LoadState')).toBe('not-found');

    function accepted(): string[] {
      return readFileSync(join(user.home, 'accepted'), 'utf8').trimEnd().split('\n');
    }
  },
);
