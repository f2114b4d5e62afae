// doctor: every finding has a state and, where something is wrong, what to do; a connection is tried against the emulator.
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { User } from './program.ts';

interface Finding {
  readonly check: string;
  readonly state: string;
  readonly detail: string;
  readonly advice?: string;
}

let user: User;
let emulator: ChildProcess | undefined;
let gatewayUrl: string;
beforeEach(() => (user = new User()));
afterEach(async () => {
  await stopEmulator();
  user.remove();
});

async function stopEmulator(): Promise<void> {
  if (emulator === undefined || emulator.exitCode !== null) return;
  const ended = once(emulator, 'exit');
  emulator.kill('SIGTERM');
  await ended;
}

async function examine(...args: string[]): Promise<{ code: number | null; findings: Finding[]; stderr: string }> {
  const { code, stdout, stderr } = await user.run(['doctor', '--json', ...args]);
  return { code, findings: JSON.parse(stdout) as Finding[], stderr };
}

/** A connection "cloud" to an emulator with some content. */
async function connectCloud(changes: Record<string, string> = {}): Promise<{ code: number | null; stderr: string }> {
  emulator = user.start(['emulator', '--synthetic', '2x3x100', '--json']);
  const lines = createInterface({ input: emulator.stdout as NodeJS.ReadableStream });
  const [line] = (await once(lines, 'line')) as [string];
  lines.close();
  const said = JSON.parse(line) as { gatewayUrl: string; credentials: Record<string, string> };
  const { credentials } = said;
  gatewayUrl = said.gatewayUrl;
  const auth = {
    client_id: credentials['appKey'],
    client_secret: credentials['appSecret'],
    app_token: credentials['appToken'],
    api_url: gatewayUrl,
    ...changes,
  };
  return user.run(['connections', 'add', '-p', 'syncplicity', '--name', 'cloud', '--in'], {
    input: JSON.stringify(auth),
  });
}

describe('doctor', () => {
  it('looks at the machine', async () => {
    const { findings, stderr } = await examine();
    expect(stderr).toBe('');
    expect(findings.map(({ check }) => check)).toEqual([
      'node',
      'koffi',
      '/dev/fuse',
      'transport',
      'fusermount3',
      'allow_other',
      'config directory',
      'state directory',
      'cache directory',
      'runtime directory',
      'cache disk',
      'connections',
    ]);
    for (const { state, advice } of findings) {
      expect(['ok', 'warn', 'fail']).toContain(state);
      if (state !== 'ok') expect(advice).toBeTruthy();
    }
    expect(findings.find(({ check }) => check === 'koffi')?.state).toBe('ok');
  });

  it('warns of a state directory that is open to others', async () => {
    chmodSync(user.directory('.local', 'state', 'syncplicityfs'), 0o755);
    const { findings } = await examine();
    expect(findings.find(({ check }) => check === 'state directory')).toMatchObject({
      state: 'warn',
      advice: expect.stringContaining('chmod 700') as unknown,
    });
  });

  it('prints a line for each finding, and what to do below', async () => {
    chmodSync(user.directory('.local', 'state', 'syncplicityfs'), 0o755);
    const { stdout } = await user.run(['doctor']);
    expect(stdout).toMatch(/^OK {3}node {15}version /m);
    expect(stdout).toMatch(/^WARN state directory .*\n +-> run: chmod 700/m);
  });

  it('tries a connection: clock, credentials, syncpoints, vaults, a byte', async () => {
    expect(await connectCloud()).toMatchObject({ code: 0, stderr: '' });
    const { findings } = await examine('cloud');
    expect(findings.slice(-6)).toMatchObject([
      { check: 'clock', state: 'ok', detail: 'agrees with the gateway' },
      { check: 'credentials', state: 'ok', detail: expect.stringContaining('signed in as') as unknown },
      { check: 'region', state: 'ok', detail: `${new URL(gatewayUrl).host}, as the connection says` },
      { check: 'syncpoints', state: 'ok' },
      { check: 'vaults', state: 'ok' },
      { check: 'reading', state: 'ok' },
    ]);
  });

  it('tries each connection of a pool, and whether they go together', async () => {
    await connectCloud();
    const auth = { client_id: 'x', client_secret: 'hidden-secret', app_token: 'hidden-token', api_url: gatewayUrl };
    const named = ['-p', 'syncplicity', '--name', 'bad', '--no-verify', '--in'];
    await user.run(['connections', 'add', ...named], { input: JSON.stringify(auth) });
    for (const name of ['cloud', 'bad']) await user.run(['connections', 'pool', 'assign', name, '--name', 'team']);
    const { code, findings } = await examine('team');
    expect(code).toBe(1);
    const state = (check: string): string | undefined => findings.find((one) => one.check === check)?.state;
    expect([state('cloud: credentials'), state('cloud: reading'), state('bad: credentials')]).toEqual([
      'ok',
      'ok',
      'fail',
    ]);
    expect(findings.at(-1)).toMatchObject({
      check: 'pool',
      state: 'warn',
      detail: expect.stringMatching(/^"bad" is left out of the pool: .*Invalid client/) as unknown,
    });
    await user.run(['connections', 'pool', 'unassign', 'bad']);
    expect((await examine('team')).findings.at(-1)).toMatchObject({
      state: 'ok',
      detail: '1 connection of one account',
    });
    expect(JSON.stringify(findings)).not.toContain('hidden');
  });

  it('fails when the service is away, with what to look at', async () => {
    await connectCloud();
    await stopEmulator();
    const { code, findings } = await examine('cloud');
    expect(code).toBe(1);
    expect(findings.find(({ check }) => check === 'clock')).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('connection refused') as unknown,
      advice: expect.stringContaining('HTTPS_PROXY') as unknown,
    });
    expect(findings.find(({ check }) => check === 'credentials')).toMatchObject({ state: 'fail' });
    // What would wait, and say the same, again and again.
    for (const name of ['syncpoints', 'vaults', 'reading']) {
      expect(findings.find(({ check }) => check === name)).toEqual({
        check: name,
        state: 'fail',
        detail: 'not tried: it needs the credentials',
      });
    }
  });

  it('does not know a connection that is not there', async () => {
    expect(await user.run(['doctor', 'nope'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('connections add', () => {
  it('refuses credentials that do not work, without showing them', async () => {
    const { code, stderr } = await connectCloud({ client_secret: 'hidden-secret', app_token: 'hidden-token' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^syncplicityfs: the connection does not work: /);
    expect(stderr).not.toContain('hidden');
    expect((await user.run(['connections', 'list', '--json'])).stdout).toBe('[]\n');
  });
});

describe('connections test', () => {
  it('tries the only connection, or the one that is named, with the checks of doctor alone', async () => {
    await connectCloud();
    const { code, stdout } = await user.run(['connections', 'test']);
    expect(code).toBe(0);
    expect(stdout.split('\n').map((line) => line.slice(0, 16).trim())).toEqual([
      'OK   clock',
      'OK   credentials',
      'OK   region',
      'OK   syncpoints',
      'OK   vaults',
      'OK   reading',
      '',
    ]);
    expect(stdout).toMatch(/^OK {3}syncpoints {3}1 to be seen$/m);
    const json = JSON.parse((await user.run(['connections', 'test', 'cloud', '--json'])).stdout) as Finding[];
    expect(json.map(({ check }) => check)).toEqual([
      'clock',
      'credentials',
      'region',
      'syncpoints',
      'vaults',
      'reading',
    ]);
  });

  it('tells the home region, and warns of another one', async () => {
    await connectCloud();
    const stored = join(user.home, '.config', 'syncplicityfs', 'connections.json');
    const withHome = async (apiUrl: string): Promise<Finding | undefined> => {
      const file = JSON.parse(readFileSync(stored, 'utf8')) as { connections: { auth: Record<string, string> }[] };
      Object.assign(file.connections[0]?.auth ?? {}, { api_url: apiUrl, gol_url: gatewayUrl });
      writeFileSync(stored, JSON.stringify(file));
      const { stdout } = await user.run(['connections', 'test', '--json']);
      return (JSON.parse(stdout) as Finding[]).find(({ check }) => check === 'region');
    };
    const { host, port } = new URL(gatewayUrl);
    expect(await withHome(gatewayUrl)).toMatchObject({ state: 'ok', detail: `${host}, the home region Emulator` });
    expect(await withHome(`http://localhost:${port}`)).toMatchObject({
      state: 'warn',
      detail: `localhost:${port}, but the home region Emulator of the account is ${host}`,
      advice: expect.stringContaining('api_url') as unknown,
    });
  });

  it('fails with advice', async () => {
    await connectCloud({}).then(() => user.run(['connections', 'delete', 'cloud']));
    const auth = { client_id: 'x', client_secret: 'hidden-secret', app_token: 'hidden-token', api_url: gatewayUrl };
    await user.run(['connections', 'add', '-p', 'syncplicity', '--name', 'bad', '--no-verify', '--in'], {
      input: JSON.stringify(auth),
    });
    const { code, stdout } = await user.run(['connections', 'test', 'bad']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAIL credentials .*Invalid client.*\n +-> compare client_id/m);
    expect(stdout).not.toContain('hidden');
    expect(await user.run(['connections', 'test', 'unknown'])).toMatchObject({ code: 2, stdout: '' });
  });

  it('is wrong usage where it is not clear what to try', async () => {
    expect(await user.run(['connections', 'test'])).toMatchObject({ code: 2, stdout: '' });
    for (const name of ['one', 'two']) await user.addDirectory(name, '/usr');
    const { code, stderr } = await user.run(['connections', 'test']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('"one", "two"') as unknown });
    expect((await user.run(['connections', 'test', 'one'])).stdout).toBe('OK   directory  /usr\n');
  });
});
