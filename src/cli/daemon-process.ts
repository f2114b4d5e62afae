// Starting the process that serves a mount and learning whether it came up. The config goes to it over Node's IPC channel:
// nothing of it appears in a process list. Knows nothing of what the daemon does.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asRecord } from '../control/lines.ts';
import type { MountConfig } from '../config.ts';
import { environmentConnectionName, takenVariables } from '../connections/environment.ts';
import { lastLogLine, openLog } from './daemon-log.ts';

/** The hidden command; readable in a process list. */
export const daemonCommandName = 'mount-daemon';

/** What the daemon is told, once. */
export interface ConfigMessage {
  readonly type: 'config';
  readonly config: MountConfig;
}

/** What the daemon tells, once. */
export type DaemonMessage =
  | { readonly type: 'ready'; readonly warnings: readonly string[] }
  | { readonly type: 'failed'; readonly message: string };

/**
 * One thread waits for the kernel's requests and one writes notifications, both blocking; the rest does disk and DNS work. Node
 * reads this once, at its start.
 */
const THREAD_POOL_SIZE = 16;
/**
 * V8's default of 16 MiB, three times over, is tuned for servers that allocate for speed; a drive idles most of its life. Measured:
 * a 5 GiB read beside a listing of 100,000 entries peaks 15 MiB lower, at the same speed.
 */
const SEMI_SPACE_MIB = 4;
/**
 * Of V8's threads that compile and collect garbage, beside the one that serves. A mount's first minute is full of code that gets compiled, and
 * V8's default of four threads then takes the processors from the programs that wait for the mount.
 */
const V8_THREADS = 1;
/**
 * Node 20's V8 runs code 67,584 bytecodes long before it compiles it well; its successors have other, lower limits and no such flag. Measured
 * on two cores, rsync of 1,000 small files into a mount just made: 1.11 s with neither of the two, 0.94 s with one thread, 0.82 s with both.
 */
const INTERRUPT_BUDGET_NODE_20 = 10_000;
/** Emulator, lock, credentials and first listing are a few seconds; a service that hangs has long met its own time limits. */
const START_TIMEOUT_MS = 120_000;
/** What a daemon told to stop may take before it is killed: the unmount's 30 s and its own end. */
const STOP_TIMEOUT_MS = 35_000;

/** The program's own entry point, as it was started. */
const programFile = fileURLToPath(new URL('../../bin/syncplicityfs.js', import.meta.url));

export interface StartOptions {
  readonly config: MountConfig;
  /** Ends the start: the daemon is stopped. */
  readonly signal: AbortSignal;
  /** Gets what the user should know although the mount answers. */
  readonly warn?: ((line: string) => void) | undefined;
  /** The script to run; the program itself unless a test says otherwise. */
  readonly entryFile?: string | undefined;
}

/** Starts a detached daemon that logs to `config.logFile`. Resolves when its mount answers; then nothing ties it to us. */
export async function startDaemon(options: StartOptions & { readonly logFile: string }): Promise<void> {
  const log = await openLog(options.logFile);
  const logStartBytes = (await log.stat()).size;
  let child: ChildProcess;
  try {
    child = spawnDaemon(options, log);
    await once(child, 'spawn');
  } finally {
    await log.close();
  }
  try {
    await untilReady(child, options);
  } catch (error) {
    await stop(child);
    // The daemon's own message says most; one that died without a word may have left some in its log.
    const reason = error instanceof DaemonDied ? await lastLogLine(options.logFile, logStartBytes) : undefined;
    const [first, ...more] = (reason ?? (error as Error).message).split('\n');
    throw new Error([`${first as string} (log: ${options.logFile})`, ...more].join('\n'), { cause: error });
  }
  child.disconnect();
  child.unref();
}

/**
 * Runs a daemon in the foreground: its output is ours, our end is its end. Resolves with its exit code when it has ended.
 * Aborting `signal` stops it as SIGTERM does.
 */
export async function runForeground(options: StartOptions & { readonly onReady: () => void }): Promise<number> {
  const child = spawnDaemon(options, undefined);
  await once(child, 'spawn');
  const ended = exitOf(child);
  try {
    await untilReady(child, options);
    options.onReady();
    const forward = (): void => void child.kill('SIGTERM');
    options.signal.addEventListener('abort', forward, { once: true });
    if (options.signal.aborted) forward();
    return await ended;
  } finally {
    await stop(child);
  }
}

class DaemonDied extends Error {}

function spawnDaemon({ config, entryFile }: StartOptions, log: FileHandle | undefined): ChildProcess {
  const output = log === undefined ? 'inherit' : log.fd;
  const threads = Math.max(THREAD_POOL_SIZE, Number(process.env['UV_THREADPOOL_SIZE']) || 0);
  const program = [entryFile ?? programFile, daemonCommandName, config.mountpoint];
  return spawn(process.execPath, [...engineOptions(process.version), ...program], {
    // A daemon must not keep a directory of the user's busy, nor a mount of its own.
    cwd: '/',
    detached: log !== undefined,
    env: { ...process.env, ...secretsFor(config), UV_THREADPOOL_SIZE: String(threads) },
    stdio: ['ignore', output, output, 'ipc'],
  });
}

/** What tunes the engine of a daemon that runs on this version of Node, which ends at once on a word it does not know. */
export function engineOptions(nodeVersion: string): string[] {
  const options = [`--max-semi-space-size=${SEMI_SPACE_MIB}`, `--v8-pool-size=${V8_THREADS}`];
  if (nodeVersion.startsWith('v20.')) options.push(`--interrupt-budget=${INTERRUPT_BUDGET_NODE_20}`);
  return options;
}

/** The daemon reads credentials itself: those of the store from there, those of the environment from its own. */
function secretsFor({ source }: MountConfig): Readonly<Record<string, string>> {
  const isEnvironments =
    source.kind === 'connection' && source.connectionId.startsWith(`${environmentConnectionName}-`);
  return isEnvironments ? takenVariables() : {};
}

/** Sends the config and waits for the daemon's word. Rejects with its message, or when it died or said nothing in time. */
async function untilReady(child: ChildProcess, { config, signal, warn }: StartOptions): Promise<void> {
  const waiting = new AbortController();
  const timer = setTimeout(() => {
    waiting.abort(new Error(`the mount did not come up within ${START_TIMEOUT_MS / 1000} s`));
  }, START_TIMEOUT_MS);
  const onAbort = (): void => waiting.abort(new Error('interrupted before the mount came up'));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const message = await new Promise<DaemonMessage>((resolve, reject) => {
      const onWaitingEnd = (): void => reject(waiting.signal.reason as Error);
      waiting.signal.addEventListener('abort', onWaitingEnd, { once: true });
      if (waiting.signal.aborted) onWaitingEnd();
      child.on('message', (value) => {
        const record = asRecord(value);
        if (record?.['type'] === 'ready') resolve({ type: 'ready', warnings: linesOf(record['warnings']) });
        if (record?.['type'] === 'failed') resolve({ type: 'failed', message: String(record['message']) });
      });
      // Its last message may arrive after 'exit': only the end of the channel says that none will come.
      Promise.all([exitOf(child), once(child, 'disconnect')]).then(
        () => reject(new DaemonDied(`the daemon ended at once${endOf(child, config)}`)),
        reject,
      );
      const sent: ConfigMessage = { type: 'config', config };
      // A failed send means a daemon that died: 'exit' and 'disconnect' tell that better.
      child.send(sent, () => undefined);
    });
    if (message.type === 'failed') throw new Error(message.message);
    for (const line of message.warnings) warn?.(line);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function linesOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** SIGTERM, and SIGKILL if that does not end it. Resolves when it has ended; at once if it had. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = exitOf(child);
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

/** The exit code of a child, 1 for one that a signal ended. */
async function exitOf(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? 1;
}

/** What the kernel sends where a file that is mapped into memory is shorter than it says, damaged, or on a full disk. */
const MAPPED_FILE_SIGNALS: ReadonlySet<string> = new Set(['SIGBUS', 'SIGSEGV']);

function mappedFileHint({ stateDirectory, cacheDirectory }: MountConfig): string {
  return `a database is damaged or has no room: look at the space below ${stateDirectory} and ${cacheDirectory}; if there is enough, move ${join(stateDirectory, 'accounts')} and ${join(stateDirectory, 'emulators')} aside to start anew`;
}

function endOf(child: ChildProcess, config: MountConfig): string {
  if (child.signalCode !== null) {
    const hint = MAPPED_FILE_SIGNALS.has(child.signalCode) ? `\n${mappedFileHint(config)}` : '';
    return ` (killed by ${child.signalCode})${hint}`;
  }
  return child.exitCode === null ? '' : ` (exit code ${child.exitCode})`;
}
