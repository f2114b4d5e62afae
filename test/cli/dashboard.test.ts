// `syncplicityfs dashboard` as a command: how the browser gets the token and nobody else, and how it ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { browser, shownPage } from './browser.ts';
import { programFile, User } from './program.ts';

describe('dashboard', () => {
  let user: User;
  let child: ChildProcess | undefined;
  beforeEach(() => (user = new User()));
  afterEach(async () => {
    if (child?.exitCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    child = undefined;
    user.remove();
  });

  /** Starts it and gives back the address that it shows. */
  async function started(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<string> {
    child = user.start(['dashboard', ...args], environment);
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      if (line.startsWith('  ')) return line.trim();
    }
    throw new Error('it showed no address');
  }

  /** Where the file for the browser leads to. */
  function addressIn(door: string): URL {
    const [, address] = /content="0; url=([^"]+)"/.exec(readFileSync(fileURLToPath(door), 'utf8')) ?? [];
    return new URL(address ?? '');
  }

  it('opens a file that only the user can read: no command line has the token', async () => {
    const opener = browser(user, 'save(JSON.stringify(process.argv.slice(2)));');
    const shown = await started([], opener);
    const [door, ...more] = JSON.parse(await shownPage(user)) as string[];
    expect(door).toMatch(/^file:.*\.html$/);
    expect(more).toEqual([]);
    expect(shown).toBe(door);
    expect(statSync(fileURLToPath(door as string)).mode & 0o777).toBe(0o600);
    const address = addressIn(door as string);
    // Nobody can have left a service worker there that answers for it.
    expect(address.hostname).toMatch(/^127\.\d+\.\d+\.\d+$/);
    expect(address.hostname).not.toBe('127.0.0.1');
    expect(address.search).toBe('');
    const token = address.hash.slice(1);
    expect(Buffer.from(token, 'base64url').byteLength).toBe(32);
    const answer = await fetch(new URL('/api/updates', address), { headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
    expect(readFileSync(`/proc/${child?.pid ?? 0}/cmdline`, 'utf8')).not.toContain(token);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends on %s, and leaves nothing', async (signal) => {
    const door = await started(['--no-open']);
    const address = addressIn(door);
    const stream = await fetch(new URL('/api/updates', address), {
      headers: { authorization: `Bearer ${address.hash.slice(1)}` },
    });
    child?.kill(signal);
    const [code] = (await once(child as ChildProcess, 'exit')) as [number | null];
    expect(code).toBe(0);
    expect(existsSync(fileURLToPath(door))).toBe(false);
    expect(readdirSync(user.directory('.local', 'state', 'syncplicityfs', 'run'))).toEqual([]);
    await expect(stream.text()).rejects.toThrow();
  });

  it('clears away what a run that was killed has left', async () => {
    const left = fileURLToPath(await started(['--no-open']));
    child?.kill('SIGKILL');
    await once(child as ChildProcess, 'exit');
    expect(existsSync(left)).toBe(true);
    // Killed while it wrote that.
    const half = `${left}.0123456789ab.new`;
    writeFileSync(half, '');
    const door = fileURLToPath(await started(['--no-open']));
    expect([left, half, door].map(existsSync)).toEqual([false, false, true]);
  });

  it('shows the address itself on a terminal only', async () => {
    expect(await started(['--no-open'])).toMatch(/^file:/);
    const terminal = spawn(
      'script',
      ['-qec', `'${process.execPath}' '${programFile}' dashboard --no-open`, '/dev/null'],
      {
        env: user.environment,
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    );
    let text = '';
    let isTyped = false;
    terminal.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      if (isTyped || !text.includes('ends it.')) return;
      isTyped = true;
      // Ctrl-C.
      terminal.stdin.write('\u0003');
    });
    await once(terminal, 'close');
    expect(text).toMatch(/http:\/\/127\.\d+\.\d+\.\d+:\d+\/#[\w-]{43}\r?\n/);
  });

  it('serves at the port that is asked for, and says when that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await user.run(['dashboard', '--no-open', '--port', String(port)]);
    expect(code).toBe(1);
    expect(stderr).toBe(`syncplicityfs: port ${port} is taken by another program; leave --port out for a free one\n`);
    other.close();
    await once(other, 'close');
    expect(addressIn(await started(['--no-open', '--port', String(port)])).host).toBe(`127.0.0.1:${port}`);
    expect((await user.run(['dashboard', '--port', 'http'])).code).toBe(2);
  });
});
