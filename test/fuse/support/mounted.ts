// Starts the daemon child of support/daemon.ts and talks to it. Whoever starts one stops it, also when its test fails.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { TransportStatistics } from '../../../src/fuse/kernel/transport.ts';
import { compiledDaemon, removeCompiled } from './compiled.ts';
import type { DaemonOptions, Order } from './daemon.ts';

// Of every suite that imports this.
afterAll(removeCompiled);

export { fuseExists } from '../../machine.ts';
/** A daemon whose mount is gone ends by itself; a test should not wait longer to find out that it does not. */
const STOP_TIMEOUT_MS = 10_000;
/** An ordinary user every system has. */
export const NOBODY = 65_534;

/** A bare machine without udev has /dev/fuse at 0600; elsewhere it is 0666, which ordinary users need. */
export function letEveryoneUseFuse(): void {
  if (process.getuid?.() === 0 && (statSync('/dev/fuse').mode & 0o666) !== 0o666) chmodSync('/dev/fuse', 0o666);
}

export interface DaemonStatistics extends TransportStatistics {
  readonly lookups: number;
  readonly handles: number;
  readonly aborted: number;
  readonly writes: readonly number[];
  readonly killingWrites: number;
  readonly cpu: { readonly user: number; readonly system: number };
  readonly rss: number;
}

export interface Finished {
  readonly reason: string;
  readonly lookups: number;
  readonly handles: number;
}

export interface Mounted {
  readonly path: string;
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  order(order: Order): Promise<unknown>;
  statistics(): Promise<DaemonStatistics>;
  stop(): Promise<void>;
}

interface FromDaemon {
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: { message: string; errno: number };
  readonly mounted?: string;
  readonly failed?: { message: string; errno: number };
  readonly finished?: Finished;
}

/** A failure the daemon reported. */
export class DaemonError extends Error {
  readonly errno: number;
  constructor(failure: { message: string; errno: number }) {
    super(failure.message);
    this.errno = failure.errno;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** A new directory below the system's temporary one that everyone can reach. */
export function temporaryDirectory(owner?: number): string {
  const directory = mkdtempSync(join(tmpdir(), 'syncplicityfs-fuse-'));
  chmodSync(directory, owner === undefined ? 0o755 : 0o777);
  return directory;
}

/** Starts a daemon and resolves once it has mounted. Rejects with DaemonError. */
export async function startDaemon(
  path: string,
  options: Omit<DaemonOptions, 'mount'> & { readonly mount?: Partial<DaemonOptions['mount']> } = {},
  uid?: number,
): Promise<Mounted> {
  const child = spawn(process.execPath, [compiledDaemon()], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '11' },
    cwd: '/',
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const exited = once(child, 'exit');
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let nextId = 1;
  let onFinished: ((finished: Finished) => void) | undefined;
  const finished = new Promise<Finished>((resolve) => {
    onFinished = resolve;
  });
  const mounted = new Promise<void>((resolve, reject) => {
    child.on('message', (message: FromDaemon) => {
      if (message.mounted !== undefined) resolve();
      if (message.failed !== undefined) reject(new DaemonError(message.failed));
      if (message.finished !== undefined) onFinished?.(message.finished);
      if (message.id === undefined) return;
      const caller = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error !== undefined) caller?.reject(new DaemonError(message.error));
      else caller?.resolve(message.value);
    });
    child.once('exit', (code, signal) => reject(new Error(`the daemon ended early: ${code ?? signal ?? ''}`)));
  });
  const mount = {
    mountpoint: path,
    deviceName: 'memory',
    readOnly: true,
    allowOther: false,
    kernelOptions: [],
    ...options.mount,
  };
  child.send({ ...options, mount });
  await mounted;
  const order = (what: Order): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      child.send({ ...what, id }, (error) => {
        if (error !== null) reject(error);
      });
    });
  return {
    path,
    child,
    finished,
    order,
    statistics: () => order({ kind: 'statistics' }) as Promise<DaemonStatistics>,
    async stop() {
      if (hasEnded(child)) return;
      // It may be on its way out already; then the order fails and the exit follows.
      if (child.connected) await Promise.race([order({ kind: 'unmount', lazy: true }).catch(() => undefined), exited]);
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      const [, signal] = (await exited) as [number | null, string | null];
      clearTimeout(timer);
      if (signal !== null) throw new Error('the daemon did not end by itself');
    },
  };
}

/** Runs a program to its end. */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** True if something is mounted at the path. */
export async function isMounted(path: string): Promise<boolean> {
  return (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').some((line) => line.split(' ')[4] === path);
}

export function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
