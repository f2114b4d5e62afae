// --keyring with a desktop's keyring as it is: gnome-keyring on a session bus of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { User, type Outcome } from './program.ts';
import { lacks } from '../machine.ts';

let user: User;
let emulator: Emulator;
let children: ChildProcess[];
beforeEach(async () => {
  user = new User();
  children = [];
  emulator = await startEmulator({ store: new MemoryStore() });
});
afterEach(async () => {
  await emulator.stop();
  for (const child of children.reverse()) {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  user.remove();
});

/** A session as a desktop makes it, its keyring unlocked by the login's password. */
async function session(): Promise<NodeJS.ProcessEnv> {
  const base = { HOME: user.home, PATH: process.env['PATH'] ?? '', XDG_RUNTIME_DIR: user.directory('run') };
  const bus = spawn('dbus-daemon', ['--session', '--nofork', '--print-address'], {
    env: base,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(bus);
  const [address] = (await once(createInterface({ input: bus.stdout }), 'line')) as [string];
  // It goes on in the background, and ends with the bus.
  const keyring = spawn('gnome-keyring-daemon', ['--unlock', '--components=secrets'], {
    env: { ...base, DBUS_SESSION_BUS_ADDRESS: address },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  keyring.stdin.end('password of the login');
  await once(keyring, 'exit');
  return { DBUS_SESSION_BUS_ADDRESS: address, XDG_RUNTIME_DIR: base.XDG_RUNTIME_DIR };
}

function add(env: NodeJS.ProcessEnv): Promise<Outcome> {
  const { appKey, appSecret, appToken } = emulator.credentials;
  const auth = { client_id: appKey, client_secret: appSecret, app_token: appToken, api_url: emulator.gatewayUrl };
  const file = join(user.home, 'auth.json');
  writeFileSync(file, JSON.stringify(auth));
  return user.run(['connections', 'add', '-p', 'syncplicity', '--name', 'work', '--auth-file', file, '--keyring'], {
    env,
  });
}

describe.skipIf(lacks('dbus-daemon', 'gnome-keyring-daemon'))('connections add --keyring', () => {
  it('keeps the secrets in the keyring, where every later command finds them', async () => {
    const env = await session();
    expect(await add(env)).toMatchObject({ code: 0 });
    const text = readFileSync(join(user.home, '.config', 'syncplicityfs', 'connections.json'), 'utf8');
    expect(text).toContain(emulator.credentials.appKey);
    expect(text).not.toContain('emulated-');
    expect(await user.run(['connections', 'test', 'work'], { env })).toMatchObject({ code: 0 });

    const without = await user.run(['connections', 'test', 'work']);
    expect(without.code).not.toBe(0);
    expect(without.stderr).toContain('the desktop keyring cannot be used: ');

    expect(await user.run(['connections', 'delete', 'work'], { env })).toMatchObject({ code: 0 });
    expect(await user.run(['connections', 'list', '--json'], { env })).toMatchObject({ stdout: '[]\n' });
  });
});

it('is refused in one line where there is no keyring, and stores nothing', async () => {
  const { code, stderr } = await add({ DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(user.home, 'none')}` });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^syncplicityfs: the desktop keyring cannot be used: [^\n]+\n$/);
  expect(await user.run(['connections', 'list', '--json'])).toMatchObject({ stdout: '[]\n' });
});

it('is for secrets: a directory has none', async () => {
  const file = join(user.home, 'auth.json');
  writeFileSync(file, JSON.stringify({ uri: user.home }));
  const { code, stderr } = await user.run(['connections', 'add', '-p', 'fs', '--auth-file', file, '--keyring']);
  expect(code).toBe(2);
  expect(stderr).toContain('--keyring: a directory has no secrets');
});
