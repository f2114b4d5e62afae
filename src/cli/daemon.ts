// `syncplicityfs mount-daemon`, hidden: the process that serves one mount. It gets its config over the IPC channel, tells when
// the mount answers, unmounts on SIGTERM and SIGINT within 30 s, and goes when the mount has gone.
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { delay } from '../base/abort.ts';
import { errorMessage } from '../base/error-words.ts';
import { UsageError } from '../base/usage-error.ts';
import type { MountConfig } from '../config.ts';
import { asRecord } from '../control/lines.ts';
import type { MountStatus } from '../control/status.ts';
import type { RunningMount } from '../mount.ts';
import type { CliContext } from './context.ts';
import { limitLog } from './daemon-log.ts';
import { daemonCommandName, type DaemonMessage } from './daemon-process.ts';
import { countOf } from './printable.ts';

/** A clean unmount while programs finish what they read; the lazy one then cuts them off. Together below 30 s. */
const UNMOUNT_TIMEOUT_MS = 20_000;
const LAZY_UNMOUNT_TIMEOUT_MS = 5_000;
/** From the end of the mount to the end of the process: closing files and connections. */
const END_TIMEOUT_MS = 4_000;

/** The hidden command. */
export function daemonCommand(context: CliContext): Command {
  return new Command(daemonCommandName)
    .description('serve one mount (started by `mount`)')
    .argument('[MOUNTPOINT]', 'shown in process lists only')
    .action(async () => context.setExitCode(await serve()));
}

/**
 * How much V8's heap may grow between two full collections. Its own choice doubles it and more: a listing of 100,000 entries then
 * leaves 190 MiB of heap with 19 MiB alive in it. Measured, with a 5 GiB read beside it: 225 MiB at the peak instead of 400, for
 * 0.7 s more of processor time. Set here, not on the command line, because a V8 without this flag ignores it here.
 */
const HEAP_GROWING_PERCENT = 25;

async function serve(): Promise<0 | 1> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  if (process.send === undefined) throw new UsageError('this command is started by `syncplicityfs mount`');
  outliveFullLog();
  const config = await receiveConfig();
  const stopLimit = config.logFile === undefined ? undefined : limitLog(config.logFile, (error) => say(error));
  const stopping = new AbortController();
  const stop = (reason: string): void => stopping.abort(new Error(reason));
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => stop(name));
  const start = { succeeded: false };
  process.on('disconnect', () => {
    // Who waits for the mount has gone (Ctrl-C), or the foreground process whose daemon this is was killed.
    if (!start.succeeded || config.foreground) stop('the starting process ended');
  });
  let failure: Error | undefined;
  process.setUncaughtExceptionCaptureCallback((error) => {
    say(error);
    failure ??= error;
    stop('an internal error');
  });

  const warnings: string[] = [];
  let mount: RunningMount;
  try {
    // Loaded here: no other command needs the kernel, the tree and the service.
    const { startMount } = await import('../mount.ts');
    mount = await startMount(config, {
      warn: (line) => {
        say(line);
        // The starting process shows on the terminal what it is told of.
        if (!start.succeeded) warnings.push(line);
      },
      onReady: () => {
        start.succeeded = true;
        say(`${config.deviceName} is mounted on ${config.mountpoint}, process ${process.pid}`);
        void tell({ type: 'ready', warnings });
      },
    });
  } catch (error) {
    // In the foreground the starting process shows it, on the same terminal.
    if (!config.foreground) say(error);
    await tell({ type: 'failed', message: errorMessage(error) });
    return 1;
  } finally {
    if (!start.succeeded) stopLimit?.();
  }
  stopping.signal.addEventListener('abort', () => void unmount(mount, stopping.signal.reason as Error), { once: true });
  if (stopping.signal.aborted) void unmount(mount, stopping.signal.reason as Error);

  const end = await mount.finished;
  stopLimit?.();
  say(`unmounted: ${end.reason}`);
  if (end.error !== undefined) say(end.error);
  return end.error === undefined && failure === undefined ? 0 : 1;
}

/** Ends the mount, politely at first. If even the lazy way fails, this process must go, or it would stay for ever. */
async function unmount(mount: RunningMount, reason: Error): Promise<void> {
  say(`unmounting: ${reason.message}`);
  // What is pending is not waited for: whoever ends a process wants it to end, and the journal keeps it.
  await mount.status().then(sayKept, say);
  try {
    await mount.unmount({ timeoutMs: UNMOUNT_TIMEOUT_MS });
  } catch (error) {
    say(error);
    say('programs keep the mount busy; it is detached and goes with them');
    await mount.unmount({ timeoutMs: LAZY_UNMOUNT_TIMEOUT_MS, lazy: true }).catch((cause: unknown) => say(cause));
  }
  const ended = await Promise.race([mount.finished.then(() => true), delayed(END_TIMEOUT_MS)]);
  if (ended) return;
  say('the mount does not end; killing this process');
  process.kill(process.pid, 'SIGKILL');
}

function sayKept({ pending, failed }: MountStatus): void {
  const kept = pending.files + failed.length;
  if (kept > 0) say(`${countOf(kept, 'change')} kept for the next mount`);
}

async function delayed(ms: number): Promise<false> {
  await delay(ms);
  return false;
}

/**
 * A line that cannot be written, most likely on a full disk, is lost: unheard, the stream's error would be an internal error,
 * whose line cannot be written either, and so on.
 */
function outliveFullLog(): void {
  for (const stream of [process.stdout, process.stderr]) {
    // The program's own listener throws, which is right for a command.
    stream.removeAllListeners('error');
    stream.on('error', () => undefined);
  }
}

/** The first message of the channel. */
function receiveConfig(): Promise<MountConfig> {
  return new Promise((resolve, reject) => {
    const onGone = (): void => reject(new Error('the starting process ended before it sent the configuration'));
    process.once('disconnect', onGone);
    process.once('message', (message) => {
      process.off('disconnect', onGone);
      const config = asRecord(message)?.['config'];
      if (asRecord(config) === undefined) reject(new Error('the starting process sent no configuration'));
      else resolve(Object.freeze(config as MountConfig));
    });
  });
}

/** Tells the starting process, if it still listens; resolves when the message is on its way. */
function tell(message: DaemonMessage): Promise<void> {
  return new Promise((resolve) => {
    // A failure means that nobody listens any more; the 'disconnect' event says the same.
    if (process.connected && process.send !== undefined) process.send(message, () => resolve());
    else resolve();
  });
}

/** A line for the log, with the time; errors with their stack: this is the place to look them up. */
function say(what: unknown): void {
  process.stderr.write(`${new Date().toISOString()} ${what instanceof Error ? stackOf(what) : String(what)}\n`);
}

/** Stacks of an error and its causes. Not their other properties: an HTTP client's errors may hold requests with credentials. */
function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\n  caused by ${stackOf(error.cause)}` : own;
}
