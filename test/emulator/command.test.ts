// The command in a process of its own, as a mount's daemon runs it. Needs the built program.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Emulator } from '../../src/emulator/emulator.ts';
import { getJson, signIn } from './client.ts';
import type { Service } from './stores.ts';
import { told, upload } from './upload-client.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/bin/syncplicityfs.js');

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-command-'));
  mkdirSync(join(directory, 'data'));
  writeFileSync(join(directory, 'data', 'a.txt'), 'hello');
  symlinkSync('a.txt', join(directory, 'data', 'link'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(directory, { recursive: true });
});

interface Announcement {
  readonly gatewayUrl: string;
  readonly vaultUrl: string;
  readonly adminKey: string;
  readonly credentials: Readonly<Record<'appKey' | 'appSecret' | 'appToken' | 'userId', string>>;
  readonly leftOut: unknown;
}

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly errors: () => string;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
}

function run(args: readonly string[], env: Record<string, string> = {}): Run {
  const rest = { ...process.env };
  delete rest['DEBUG'];
  const child = spawn(process.execPath, [PROGRAM, 'emulator', ...args], { env: { ...rest, ...env }, stdio: 'pipe' });
  children.push(child);
  let [output, errors] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, output: () => output, errors: () => errors, ended };
}

async function started(args: readonly string[], env?: Record<string, string>): Promise<Run & { told: Announcement }> {
  const running = run([...args, '--json'], env);
  const { stdout } = running.child;
  if (stdout === null) throw new Error('no stdout');
  while (!running.output().includes('\n')) {
    const first = await Promise.race([once(stdout, 'data'), running.ended.then(() => 'ended')]);
    if (first === 'ended') throw new Error(running.errors());
  }
  return { ...running, told: JSON.parse(running.output()) as Announcement };
}

const dataAndState = (): string[] => ['--data', join(directory, 'data'), '--state', join(directory, 'state')];

test('one line of JSON, then service until SIGTERM; credentials and ids stay over a restart', async () => {
  const first = await started(dataAndState());
  expect(first.told.leftOut).toEqual({ symbolicLinks: 1, specialFiles: 0, namesNotUtf8: 0, unreadable: 0 });
  const calls = await fetch(`${first.told.gatewayUrl}/_emulator/calls`, {
    headers: { 'X-Emulator-Key': first.told.adminKey },
  });
  expect(await calls.json()).toMatchObject({ total: 0 });
  first.child.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  expect(first.output().trim().split('\n')).toHaveLength(1);
  expect(first.errors()).toBe('left out: 1 symbolic link\n');
  expect(statSync(join(directory, 'state', 'identity.json')).mode & 0o777).toBe(0o600);
  const second = await started(dataAndState());
  expect(second.told.credentials).toEqual(first.told.credentials);
  second.child.kill('SIGINT');
  expect(await second.ended).toBe(0);
});

test('credentials of the environment are used and not kept', async () => {
  // Nothing that what is made at random may begin with.
  const given = { appKey: 'given key', appSecret: 'given secret', appToken: 'given token' };
  const { child, ended, told } = await started(dataAndState(), {
    SYNCPLICITYFS_EMULATOR_APP_KEY: given.appKey,
    SYNCPLICITYFS_EMULATOR_APP_SECRET: given.appSecret,
    SYNCPLICITYFS_EMULATOR_APP_TOKEN: given.appToken,
  });
  expect(told.credentials).toMatchObject(given);
  child.kill('SIGTERM');
  await ended;
  expect(readFileSync(join(directory, 'state', 'identity.json'), 'utf8')).not.toContain('given');
});

test('--exclusive offers LastEvent, --quota refuses what is past it', async () => {
  const { child, ended, told: announced } = await started([...dataAndState(), '--exclusive', '--quota', '6']);
  const emulator = announced as unknown as Emulator;
  const session = await signIn(emulator);
  const list = '/syncpoint/syncpoints.svc/?include=lastnewsfeedevent';
  const [syncpoint] = (await getJson(session, list)) as { Id: number; LastEvent: { Id: number } }[];
  expect(syncpoint?.LastEvent.Id).toBe(1);
  const service = { session, emulator, syncpointId: syncpoint?.Id ?? 0 } as unknown as Service;
  expect(await told(upload(service, 'b', '1'))).toBe('200 Stored');
  expect(await told(upload(service, 'c', '1'))).toBe('402 Storage Quota Exceeded');
  expect(await getJson(session, list)).toMatchObject([{ LastEvent: { Id: 2 } }]);
  child.kill('SIGTERM');
  await ended;
});

test('--exit-with-stdin ends it with its parent', async () => {
  const { child, ended } = await started([...dataAndState(), '--exit-with-stdin']);
  child.stdin?.end();
  expect(await ended).toBe(0);
});

test('--synthetic needs no directory', async () => {
  const { child, ended, told } = await started(['--synthetic', '2x3x10', '--state', join(directory, 'state')]);
  expect(told.vaultUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('what cannot work is one line and code 1; wrong usage code 2', async () => {
  const missing = run(['--data', join(directory, 'no')]);
  expect(await missing.ended).toBe(1);
  expect(missing.errors()).toBe(`syncplicityfs: no such directory: ${join(directory, 'no')}\n`);
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const refused = run([...dataAndState(), '--port', String(port)]);
  expect(await refused.ended).toBe(1);
  expect(refused.errors()).toContain(`port ${port} is taken`);
  expect(refused.errors().trim().split('\n')).toHaveLength(1);
  taken.close();
  const nothing = run([]);
  expect(await nothing.ended).toBe(2);
});
