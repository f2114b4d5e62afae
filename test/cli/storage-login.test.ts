// Machines, and signing in to a vault with authentication of its own, as a user has it: a browser that comes back, an address that is
// pasted, and a mounted drive that reads and writes there, also after the sign-in was over.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { Drive, fuseExists } from '../mount/drive.ts';
import { browser, shownPage } from './browser.ts';
import { programFile, type Outcome } from './program.ts';
import { lacks } from '../machine.ts';

let drive: Drive;
beforeEach(() => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  drive.store.addFile(id, rootFolderId, 'plan.txt', Buffer.from('the plan'));
});
afterEach(() => drive.stop());

interface Auth {
  readonly machine_id?: string;
  readonly machine_token?: string;
  readonly storage_tokens?: Readonly<Record<string, string>>;
}

function storedAuth(): Auth {
  const text = readFileSync(join(drive.user.home, '.config', 'syncplicityfs', 'connections.json'), 'utf8');
  return (JSON.parse(text) as { connections: [{ auth: Auth }] }).connections[0].auth;
}

const serve = (dialect: Partial<Dialect> = {}, more: object = {}): Promise<void> =>
  drive.serve({ dialect, emulator: { storageSignIn: true, ...more } });

function withBrowser(): NodeJS.ProcessEnv {
  return browser(drive.user, 'fetch(process.argv[2]).then(async (r) => save(await r.text()))');
}

const storageLogin = (...args: string[]): Promise<Outcome> =>
  drive.user.run(['connections', 'storage-login', 'test', ...args], { env: withBrowser() });

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a sign-in without a browser; resolves with the address it shows. */
async function shown(...args: string[]): Promise<{
  child: ReturnType<Drive['user']['start']>;
  address: URL;
  ended: Promise<{ code: number; stderr: string }>;
}> {
  const child = drive.user.start(['connections', 'storage-login', 'test', '--no-browser', ...args]);
  let stderr = '';
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, stderr }));
  const address = await new Promise<URL>((resolve, reject) => {
    child.on('close', () => reject(new Error(stderr)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      const found = /^ {2}(http\S+)$/m.exec(stderr)?.[1];
      if (found !== undefined && stderr.includes('press Enter')) resolve(new URL(found));
    });
  });
  return { child, address, ended };
}

/** Where a browser ends that is sent on by the vault, and goes no further. */
async function endOf(address: URL): Promise<string> {
  const first = await fetch(address, { redirect: 'manual' });
  const second = await fetch(new URL(first.headers.get('location') ?? '', address), { redirect: 'manual' });
  return second.headers.get('location') ?? '';
}

describe('connections storage-login', () => {
  it.each([{}, { storageCallback: 'query' }] as const)(
    'registers a machine, sends the browser there and stores what it comes back with (%j)',
    async (dialect) => {
      await serve(dialect);
      const { code, stdout, stderr } = await storageLogin();
      expect([code, stderr]).toEqual([
        0,
        expect.stringContaining('signed in to StorageVault Emulated vault') as unknown,
      ]);
      expect(stdout).toMatch(/^Connection test\nVault {6}Emulated vault\nVaultID {4}\S+\nMachineID {2}\S+\n$/);
      expect(await shownPage(drive.user)).toContain('You can close this window');
      const { machine_id: id = '', machine_token: token, storage_tokens: tokens = {} } = storedAuth();
      expect(stdout).toContain(id);
      expect(token).toMatch(/^emulated-machine-/);
      expect(Object.values(tokens)).toEqual([expect.stringMatching(/^SSOUseremulated-storage-[0-9a-f]+\/\+.*==?$/)]);
    },
  );

  it('uses the machine that there is, and prints JSON', async () => {
    await serve();
    await drive.succeed(['machines', 'register']);
    const before = storedAuth();
    const { stdout } = await storageLogin('emulated vault', '--json');
    const told = JSON.parse(stdout) as Record<string, unknown>;
    expect(Object.keys(told)).toEqual(['connection', 'connectionId', 'vault', 'machineId']);
    expect(told).toMatchObject({ connection: 'test', vault: { name: 'Emulated vault' }, machineId: before.machine_id });
    expect(storedAuth().machine_token).toBe(before.machine_token);
  });

  it('takes the address the browser ended at, pasted', async () => {
    await serve();
    const { child, address, ended } = await shown('--paste');
    expect(address.searchParams.get('scheme')).toBe('syncpsso253751160://');
    const end = await endOf(address);
    expect(end).toMatch(/^syncpsso253751160:\/\/token\/SSOUser/);
    child.stdin?.write('something else\n');
    child.stdin?.end(`${end}\n`);
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining('That is neither the address nor the token') as unknown,
    ]);
    const [stored = ''] = Object.values(storedAuth().storage_tokens ?? {});
    expect(encodeURIComponent(stored)).toBe(end.slice('syncpsso253751160://token/'.length));
  });

  it.each([
    ['decoded', (token: string) => token],
    ['encoded', (token: string) => encodeURIComponent(token)],
  ])('takes the token itself, %s', async (_how, spelled) => {
    await serve();
    const { child, address, ended } = await shown();
    const back = address.searchParams.get('scheme') ?? '';
    expect(back).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\/$/);
    const token = decodeURIComponent((await endOf(address)).slice(`${back}token/`.length));
    child.stdin?.end(`${spelled(token)}\n`);
    expect((await ended).code).toBe(0);
    expect(Object.values(storedAuth().storage_tokens ?? {})).toEqual([token]);
  });

  it('refuses who comes back to another address, and waits on', async () => {
    await serve();
    const { address, ended } = await shown();
    const back = address.searchParams.get('scheme') ?? '';
    expect((await fetch(new URL('/token/SSOUser-x', back))).status).toBe(404);
    expect((await fetch(back)).status).toBe(400);
    expect((await fetch(`${back}token/a%0Ab`)).status).toBe(400);
    expect((await fetch(address)).status).toBe(200);
    expect((await ended).code).toBe(0);
  });

  it.each([
    ['--timeout', '1s', 'nobody signed in within 1 s; nothing was changed', 1],
    ['nowhere', '--no-browser', 'there is no storage endpoint nowhere', 1],
  ])('%s %s fails with a reason', async (first, second, words, code) => {
    await serve({}, { signIn: { refuses: true } });
    expect(await storageLogin(first, second)).toMatchObject({
      code,
      stderr: expect.stringContaining(words) as unknown,
    });
    expect(storedAuth().storage_tokens).toBeUndefined();
  });

  it('says that no vault wants it', async () => {
    await drive.serve();
    const outcome = await storageLogin();
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining('no StorageVault') as unknown });
    expect(await storageLogin('Emulated vault')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has no authentication of its own') as unknown,
    });
    // Nothing was registered for nothing.
    expect(storedAuth().machine_token).toBeUndefined();
  });

  it.skipIf(lacks('script'))('hides what is pasted on a terminal, and leaves it as it was', async () => {
    await serve();
    const command = `"${process.execPath}" "${programFile}" connections storage-login test --no-browser`;
    const child = spawn('script', ['-qec', `${command}; stty -a`, '/dev/null'], { env: drive.user.environment });
    let screen = '';
    let isPasted = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text;
      const address = /^ {2}(http\S+)\r?$/m.exec(screen)?.[1];
      if (isPasted || address === undefined || !screen.includes('> ')) return;
      isPasted = true;
      // One that is none, then the browser comes back while the program still asks.
      child.stdin.write('typed-secret-1\r');
    });
    const asked = new Promise<string>((resolve) =>
      child.stdout.on('data', () => {
        if (screen.includes('begins with SSOUser')) resolve(/^ {2}(http\S+)\r?$/m.exec(screen)?.[1] ?? '');
      }),
    );
    await fetch(await asked);
    await once(child, 'close');
    expect(screen).not.toContain('typed-secret');
    expect(screen).toContain('signed in to StorageVault');
    expect(screen).toMatch(/ echo .*|^echo /m);
    expect(screen).not.toContain('-icanon');
  });
});

describe('machines', () => {
  it('are registered once, stored and listed without their tokens', async () => {
    await serve();
    const { stdout } = await drive.succeed(['machines', 'register', '--name', 'desk', '--json']);
    const told = JSON.parse(stdout) as Record<string, unknown>;
    expect(Object.keys(told)).toEqual(['id', 'name', 'connection', 'connectionId']);
    expect(storedAuth()).toMatchObject({ machine_id: told['id'] });
    const again = await drive.user.run(['machines', 'register']);
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('has a machine already') as unknown });
    expect((await drive.succeed(['machines', 'list'])).stdout).toMatch(
      /^ID +Name +System Owner +This\n.*emulated machine/,
    );
    const listed = JSON.parse((await drive.succeed(['machines', 'list', '--json'])).stdout) as Record<
      string,
      unknown
    >[];
    expect(listed.map(({ name, current }) => [name, current])).toEqual([
      ['emulated machine', false],
      ['desk', true],
    ]);
    expect(Object.keys(listed[0] ?? {})).toEqual(['id', 'name', 'system', 'owner', 'current']);
    await drive.succeed(['machines', 'register', '--again', '--name', 'desk 2']);
    expect(storedAuth().machine_id).not.toBe(told['id']);
    // The account goes on to be called with its application token.
    const { stdout: checks } = await drive.user.run(['doctor', 'test', '--json']);
    expect(checks).toContain('signed in as');
    expect(checks).toContain('sign in to it with: syncplicityfs connections storage-login test');
  });

  it.each([
    [['register', '--name', 'emulated machine'], 1, 'is registered already\nname this one with --name'],
    [['register', '--name', 'x'.repeat(51)], 2, '1 to 50 characters'],
    [['register', '--connection', 'other'], 2, 'there is no connection "other"'],
    [['list', '--user', '7dae61c7-bf7a-499b-8ede-6481aba49ac9'], 1, 'Not A Business Admin (HTTP 403)'],
    [['list', '--user', 'x'], 1, 'Invalid user ID (HTTP 400)'],
  ])('%j fails with a reason', async (args, code, words) => {
    await serve();
    const outcome = await drive.user.run(['machines', ...args]);
    expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(words) as unknown });
  });

  it('are registered at the legacy host that the connection names, and at no other', async () => {
    await serve({ machinesCall: 'legacy' });
    const refused = await drive.user.run(['machines', 'register']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('Not Found (HTTP 404)') as unknown });
    const { appKey, appSecret, appToken } = drive.emulator.credentials;
    const { gatewayUrl } = drive.emulator;
    const auth = { client_id: appKey, client_secret: appSecret, app_token: appToken, api_url: gatewayUrl };
    await drive.succeed(['connections', 'delete', 'test']);
    await drive.succeed(
      ['connections', 'add', '-p', 'syncplicity', '--name', 'test', '--auth-input'],
      JSON.stringify({ ...auth, xml_url: gatewayUrl }),
    );
    const { stderr } = await drive.succeed(['machines', 'register']);
    expect(stderr).toContain(`trying ${new URL(gatewayUrl).host}`);
    expect(storedAuth().machine_token).toMatch(/^emulated-machine-/);
    expect(drive.emulator.calls().byEndpoint['legacyMachines']).toBe(1);
  });
});

describe.skipIf(!fuseExists)('a mounted drive', () => {
  it.each(['both', 'downloads', 'refused-by-vault', 'refused-by-gateway'] as const)(
    'reads and writes there, and goes on when the user signs in again (tokens for one vault: %s)',
    async (vaultTokens) => {
      const vaultPort = await freePort();
      await serve({ vaultTokens }, { vaultPort, announcedVaultUrl: `http://localhost:${vaultPort}` });
      const path = join(drive.mountpoint, 'Projects', 'plan.txt');
      await drive.mount({ mount: ['--settle', '0'] });
      await expect(readFile(path)).rejects.toThrow();
      await storageLogin();
      expect(await readFile(path, 'utf8')).toBe('the plan');
      await writeFile(join(drive.mountpoint, 'Projects', 'new.txt'), 'new');
      await drive.succeed(['flush', drive.mountpoint]);
      drive.emulator.endStorageSignIns();
      await storageLogin();
      await writeFile(path, 'another plan');
      await drive.succeed(['flush', drive.mountpoint]);
      expect((await drive.status()).failed).toEqual([]);
      const [projects] = (await drive.emulator.snapshot()).syncpoints;
      const stored = projects?.entries.map((entry) => [entry.path, entry.kind === 'file' ? entry.lengthBytes : 0]);
      expect(stored).toEqual([
        ['new.txt', 3],
        ['plan.txt', 12],
      ]);
    },
  );
});
