// `connections login` as a user has it: a browser that comes back, a code that is pasted, refusals, and what becomes of the login
// afterwards: renewed, shared by processes, revoked.
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openConnectionStore } from '../../src/connections/store.ts';
import { openDrive } from '../../src/connections/verify.ts';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { browser, shownPage } from './browser.ts';
import { User, type Outcome } from './program.ts';

let user: User;
let emulator: Emulator;
beforeEach(() => (user = new User()));
afterEach(async () => {
  await emulator.stop();
  user.remove();
});

/** An emulator, an auth file of its app, and a browser that follows the address it is given. */
async function serve(options: Partial<EmulatorOptions> = {}): Promise<NodeJS.ProcessEnv> {
  emulator = await startEmulator({ store: new MemoryStore(), ...options });
  const { appKey, appSecret } = emulator.credentials;
  const app = { client_id: appKey, client_secret: appSecret, api_url: emulator.gatewayUrl };
  writeFileSync(join(user.home, 'app.json'), JSON.stringify(app));
  return browser(user, 'fetch(process.argv[2]).then(async (r) => save(await r.text()))');
}

const appFile = (): string => join(user.home, 'app.json');
const login = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<Outcome> =>
  user.run(['connections', 'login', '--auth-file', appFile(), ...args], { env });
const storeFile = (): string => join(user.home, '.config', 'syncplicityfs', 'connections.json');
const stored = (): string => /"refresh_token": "([^"]+)"/.exec(readFileSync(storeFile(), 'utf8'))?.[1] ?? '';

/** Starts a login without a browser and resolves with the address it shows. */
async function shown(
  ...args: string[]
): Promise<{ child: ReturnType<User['start']>; address: URL; ended: Promise<{ code: number; stderr: string }> }> {
  const child = user.start(['connections', 'login', '--auth-file', appFile(), '--no-browser', ...args]);
  let stderr = '';
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, stderr }));
  const address = await new Promise<URL>((resolve, reject) => {
    child.on('close', () => reject(new Error(stderr)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      // Said last, before it waits.
      const found = /^ {2}(http\S+)$/m.exec(stderr)?.[1];
      if (found !== undefined && stderr.includes('press Enter')) resolve(new URL(found));
    });
  });
  return { child, address, ended };
}

describe('connections login', () => {
  it('sends the browser there and stores what it comes back with, for the user alone', async () => {
    const env = await serve();
    const { code, stdout, stderr } = await login(env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ID {7}[0-9a-f]{32}\nName {5}Syncplicity \(user@emulator.invalid\)\n/);
    expect(stderr).toContain('signed in as user@emulator.invalid');
    expect(await shownPage(user)).toContain('You can close this window');
    expect(stored()).toMatch(/^emulated-refresh-/);
    expect(statSync(storeFile()).mode & 0o777).toBe(0o600);
    expect(stdout + stderr).not.toMatch(/emulated-(code|refresh)-/);
    expect(stdout + stderr).not.toContain(emulator.credentials.appSecret);
  });

  it('takes the address the browser ended at, or the code, pasted', async () => {
    await serve();
    const first = await shown('--name', 'first');
    expect(first.address.searchParams.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    const end = (await fetch(first.address, { redirect: 'manual' })).headers.get('location') ?? '';
    first.child.stdin?.write('http://127.0.0.1:1/callback?code=foreign&state=another\n');
    first.child.stdin?.write(`${end}\n`);
    const pasted = await first.ended;
    expect(pasted.code).toBe(0);
    expect(pasted.stderr).toContain('That is not the address at which this sign-in ends.');

    const second = await shown('--name', 'second', '--redirect-uri', 'none');
    expect(second.address.searchParams.has('redirect_uri')).toBe(false);
    const page = await (await fetch(second.address)).text();
    second.child.stdin?.end(`${/code: (\S+)/.exec(page)?.[1] ?? ''}\n`);
    expect((await second.ended).code).toBe(0);
  });

  it('refuses who comes back without its state, and waits on', async () => {
    await serve();
    const { address, ended } = await shown();
    const callback = new URL(address.searchParams.get('redirect_uri') ?? '');
    for (const query of ['', '?code=x', '?code=x&state=wrong', '?error=access_denied&state=']) {
      expect((await fetch(callback.href + query)).status).toBe(400);
    }
    expect((await fetch(new URL('/', callback))).status).toBe(404);
    expect((await fetch(address)).status).toBe(200);
    expect((await ended).code).toBe(0);
  });

  it.each([
    ['the user refuses', { signIn: { refuses: true } }, [], 'the sign-in was refused: access_denied'],
    ['nobody comes', {}, ['--no-browser', '--timeout', '1s'], 'nobody signed in within 1 s; nothing was changed'],
    ['the app is unknown', { signIn: { redirectUri: 'http://127.0.0.1:1/' } }, ['--timeout', '1s'], 'nobody signed in'],
  ] as const)('says in a line that %s, and stores nothing', async (_name, options, args, words) => {
    const env = await serve(options);
    const { code, stderr } = await login(env, ...args);
    expect(code).toBe(1);
    expect(stderr).toContain(words);
    expect((await user.run(['connections', 'list', '--json'])).stdout).toBe('[]\n');
  });

  it('ends at Ctrl-C', async () => {
    await serve();
    const { child, ended } = await shown();
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 1, stderr: expect.stringContaining('interrupted') as unknown });
  });

  it('signs in to a stored connection again, which names it when its login has ended', async () => {
    const env = await serve();
    await login(env, '--name', 'my work');
    const before = stored();
    emulator.endLogins();
    const ended = await user.run(['doctor', 'my work', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toContain(
      "the login is not accepted any more: Invalid Refresh Token (HTTP 400); sign in again with: syncplicityfs connections login 'my work'",
    );
    const again = await user.run(['connections', 'login', 'my work'], { env });
    expect(again.code).toBe(0);
    expect(stored()).not.toBe(before);
    expect((await user.run(['doctor', 'my work', '--json'])).stdout).toContain('signed in as user@emulator.invalid');
  });

  it.each([
    [['no such'], 'there is no connection "no such"'],
    [['x', '--name', 'y'], '--name, --auth-file and --keyring are for new ones'],
    [['--redirect-uri', 'nowhere'], '"nowhere" is not a URL'],
    [[], 'the Syncplicity connection needs authentication'],
  ])('%j is wrong usage', async (args, words) => {
    await serve();
    const { code, stderr } = await user.run(['connections', 'login', ...args]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(words) as unknown });
  });

  it('cannot be added from a file', async () => {
    await serve();
    const auth = { client_id: 'a', client_secret: 'b', refresh_token: 'emulated-refresh-x' };
    const { code, stderr } = await user.run(['connections', 'add', '-p', 'syncplicity', '--in'], {
      input: JSON.stringify(auth),
    });
    expect(code).toBe(2);
    expect(stderr).toContain('syncplicityfs connections login');
    expect(stderr).not.toContain('emulated-refresh-x');
  });
});

describe('a login', () => {
  it.each(['rotating', 'constant', 'unsaid'] as const)(
    'that many use at once is never lost (refresh tokens: %s)',
    async (refreshTokens) => {
      const env = await serve({ dialect: { refreshTokens } });
      await login(env, '--name', 'work');
      const config = user.directory('.config', 'syncplicityfs');
      // Each a process of its own as far as the lock is concerned: another descriptor of its file.
      const renewals = Array.from({ length: 12 }, async () => {
        const store = openConnectionStore(config, () => undefined);
        const auth = await store.auth((await store.find('work'))?.id ?? '');
        if (auth.platform === 'fs') throw new Error('a directory');
        const drive = await openDrive(auth, undefined);
        try {
          await drive.account();
          return (await drive.account()).userId;
        } finally {
          await drive.stop();
        }
      });
      const programs = Array.from({ length: 2 }, () => user.run(['doctor', 'work', '--json']));
      expect(new Set(await Promise.all(renewals))).toEqual(new Set([emulator.credentials.userId]));
      for (const { stdout } of await Promise.all(programs)) expect(stdout).not.toContain('not accepted');
      expect((await user.run(['doctor', 'work', '--json'])).stdout).toContain('signed in as');
    },
  );

  it('goes with its connection', async () => {
    const env = await serve();
    await login(env, '--name', 'work');
    await user.run(['doctor', 'work']);
    expect((await user.run(['connections', 'delete', 'work'])).code).toBe(0);
    const { stdout } = await user.run(['connections', 'list', '--json']);
    expect(stdout).toBe('[]\n');
    expect(readFileSync(storeFile(), 'utf8')).not.toContain('emulated-refresh-');
  });
});
