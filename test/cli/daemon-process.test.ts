// Starting a daemon: ready, failed, dead, hung; and what it is given. A small script stands in for the daemon.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, truncateSync, watch, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import tmp from 'tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastLogLine, logFileOf, openLog } from '../../src/cli/daemon-log.ts';
import { engineOptions, runForeground, startDaemon } from '../../src/cli/daemon-process.ts';
import { isAlive } from '../../src/base/process-alive.ts';
import { createMountConfig, type MountConfig } from '../../src/config.ts';

const entryFile = fileURLToPath(new URL('fake-daemon.mjs', import.meta.url));
const never = new AbortController().signal;
let directory: tmp.DirResult;
let logFile: string;

beforeEach(() => {
  directory = tmp.dirSync({ unsafeCleanup: true });
  logFile = join(directory.name, 'logs', 'm.log');
});
afterEach(() => directory.removeCallback());

function configFor(deviceName: string): MountConfig {
  const { name } = directory;
  return createMountConfig(
    {
      mountpoint: '/mnt/point',
      source: { kind: 'demo' },
      connectionName: 'demo',
      deviceName,
      foreground: false,
      logFile,
    },
    {},
    { config: name, state: name, cache: name, runtime: [name], thumbnails: name },
  );
}

const start = (deviceName: string, signal = never): Promise<void> =>
  startDaemon({ config: configFor(deviceName), signal, logFile, entryFile });

function seen(): { pid: number; argv: string[]; cwd: string; threads: string; config: MountConfig } {
  return JSON.parse(readFileSync(join(directory.name, 'seen.json'), 'utf8')) as ReturnType<typeof seen>;
}

/** Resolves when a file of the directory has changed so that `condition` holds. */
async function until(path: string, condition: () => boolean): Promise<void> {
  const watcher = watch(path);
  try {
    while (!condition()) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

describe('engineOptions', () => {
  it('are taken by the Node that runs the daemon', () => {
    expect(execFileSync(process.execPath, [...engineOptions(process.version), '-p', '1'], { encoding: 'utf8' })).toBe(
      '1\n',
    );
  });

  it('name what one major version of Node has only there', () => {
    const only20 = /^--interrupt-budget=/;
    expect(engineOptions('v20.19.0').some((option) => only20.test(option))).toBe(true);
    for (const version of ['v2.0.0', 'v22.12.0', 'v24.0.0', 'v200.0.0'])
      expect(engineOptions(version).some((option) => only20.test(option))).toBe(false);
  });
});

describe('startDaemon', () => {
  it('resolves when the daemon is ready, which then lives on its own', async () => {
    await start('ready');
    const { pid, argv, cwd, threads, config } = seen();
    try {
      expect(argv).toEqual(['mount-daemon', '/mnt/point']);
      expect(cwd).toBe('/');
      expect(Number(threads)).toBeGreaterThanOrEqual(16);
      expect(config).toMatchObject({ deviceName: 'ready', mountpoint: '/mnt/point' });
      // Its own session: the terminal's Ctrl-C does not reach it.
      const session = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
      expect(Number(session)).toBe(pid);
      expect(statSync(logFile).mode & 0o777).toBe(0o600);
      await until(join(logFile, '..'), () => readFileSync(logFile, 'utf8').includes('serving'));
    } finally {
      process.kill(pid, 'SIGTERM');
      await until(join(logFile, '..'), () => readFileSync(logFile, 'utf8').includes('told to stop'));
    }
  });

  it("rejects with the daemon's own message and the log file on its first line", async () => {
    await expect(start('fails')).rejects.toThrow(`no such luck (log: ${logFile})\ntry again`);
    expect(isAlive(seen().pid)).toBe(false);
  });

  it('rejects with the last words in the log when the daemon dies', async () => {
    mkdirSync(join(logFile, '..'));
    writeFileSync(logFile, 'an error of yesterday\n');
    await expect(start('dies')).rejects.toThrow(`the disk is full (log: ${logFile})`);
  });

  it('says how it ended when it died without a word', async () => {
    mkdirSync(join(logFile, '..'));
    writeFileSync(logFile, 'an error of yesterday\n');
    await expect(start('killed')).rejects.toThrow(`the daemon ended at once (killed by SIGKILL) (log: ${logFile})`);
  });

  it('says what to look at when a mapped file ended it', async () => {
    const hint = `killed by SIGBUS) (log: ${logFile})\na database is damaged or has no room: look at the space below ${directory.name}`;
    await expect(start('broken')).rejects.toThrow(hint);
  });

  it('stops the daemon when interrupted', async () => {
    const interruption = new AbortController();
    const starting = start('hangs', interruption.signal);
    mkdirSync(join(logFile, '..'), { recursive: true });
    await until(directory.name, () => existsSync(join(directory.name, 'seen.json')));
    await until(join(logFile, '..'), () => existsSync(logFile) && readFileSync(logFile, 'utf8').includes('thinking'));
    interruption.abort();
    await expect(starting).rejects.toThrow('interrupted');
    expect(isAlive(seen().pid)).toBe(false);
    expect(readFileSync(logFile, 'utf8')).toContain('told to stop');
  });

  it('stops it too when interrupted beforehand', async () => {
    await expect(start('hangs', AbortSignal.abort())).rejects.toThrow('interrupted');
  });
});

describe('runForeground', () => {
  const run = (deviceName: string, signal = never, onReady = (): void => undefined): Promise<number> =>
    runForeground({ config: { ...configFor(deviceName), logFile: undefined }, signal, entryFile, onReady });

  it("resolves with the daemon's exit code", async () => {
    expect(await run('ends')).toBe(7);
  });

  it('hands an interruption on once it is ready', async () => {
    const interruption = new AbortController();
    expect(await run('ready', interruption.signal, () => interruption.abort())).toBe(0);
  });

  it("rejects with the daemon's message", async () => {
    await expect(run('fails')).rejects.toThrow('no such luck');
    expect(isAlive(seen().pid)).toBe(false);
  });
});

describe('the log', () => {
  it('is named after the mountpoint, apart for two of one name', () => {
    const [one, other] = [logFileOf('/s', '/a/my drive'), logFileOf('/s', '/b/my drive')];
    expect(one).toMatch(/^\/s\/logs\/my_drive-[0-9a-f]{8}\.log$/);
    expect(one).not.toBe(other);
  });

  it('is put aside when it has grown large', async () => {
    await (await openLog(logFile)).close();
    truncateSync(logFile, 33 * 2 ** 20);
    await (await openLog(logFile)).close();
    expect([statSync(logFile).size, statSync(`${logFile}.1`).size]).toEqual([0, 33 * 2 ** 20]);
  });

  it('has no last line before anything was written', async () => {
    mkdirSync(join(logFile, '..'));
    writeFileSync(logFile, 'earlier\n');
    expect(await lastLogLine(logFile, 8)).toBeUndefined();
    expect(await lastLogLine(logFile, 0)).toBe('earlier');
  });
});
