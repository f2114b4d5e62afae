// The emulator as a child process of a mount: started on free ports, restarted on the same ones when it dies, ended with its
// parent (its standard input closes). Credentials come from its first line of output, never through argv.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { delay } from '../base/abort.ts';
import { createLog } from '../base/log.ts';

const log = createLog('emulator');

/** A start that takes longer has failed: it opens a database and two ports. */
const START_LIMIT_MS = 30_000;
/** Between the end of one and the start of the next, so that one that cannot live does not burn the machine. */
const RESTART_DELAY_MS = 500;
/** What a child gets to close its store before it is killed. */
const STOP_LIMIT_MS = 5_000;
/** Lines of its errors kept, of which the last says why it did not start. */
const SAID_MAX = 20;

export interface EmulatorProcessOptions {
  /** The program's entry file; its command `emulator` is run. */
  readonly programFile: string;
  /** Directory it serves, and whether that is one syncpoint or one for each directory in it. */
  readonly dataDirectory: string;
  readonly layout: 'single' | 'children';
  readonly stateDirectory: string;
  /** Told of what happens to it, a line each. */
  readonly warn: (line: string) => void;
}

/** What a running emulator told of itself. */
export interface EmulatorProcess {
  readonly gatewayUrl: string;
  readonly credentials: { readonly appKey: string; readonly appSecret: string; readonly appToken: string };
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

interface Announcement {
  readonly gatewayUrl: string;
  readonly vaultUrl: string;
  readonly credentials: { readonly appKey: string; readonly appSecret: string; readonly appToken: string };
}

/** Starts the emulator; rejects with its own error line when it can't. */
export async function startEmulatorProcess(options: EmulatorProcessOptions): Promise<EmulatorProcess> {
  const stopping = new AbortController();
  let { child, announced } = await start(options, []);
  let restarting = Promise.resolve();
  const ports = ['--port', portOf(announced.gatewayUrl), '--vault-port', portOf(announced.vaultUrl)];
  const watch = (): void => {
    child.once('exit', (code, signal) => {
      if (stopping.signal.aborted) return;
      options.warn(`the emulator of ${options.dataDirectory} ended (${signal ?? `code ${code}`}); it is started again`);
      restarting = restart();
    });
  };
  const restart = async (): Promise<void> => {
    let told = '';
    while (!stopping.signal.aborted) {
      await delay(RESTART_DELAY_MS);
      try {
        ({ child, announced } = await start(options, ports));
        watch();
        return;
      } catch (error) {
        const line = error instanceof Error ? error.message : String(error);
        // Every half second, as long as a disk is away.
        if (line !== told) options.warn(line);
        told = line;
      }
    }
  };
  watch();
  return {
    gatewayUrl: announced.gatewayUrl,
    credentials: announced.credentials,
    async stop() {
      stopping.abort();
      await restarting;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      child.kill('SIGTERM');
      await exited;
      clearTimeout(timer);
    },
  };
}

async function start(
  options: EmulatorProcessOptions,
  ports: readonly string[],
): Promise<{ child: ChildProcess; announced: Announcement }> {
  const { programFile, dataDirectory, stateDirectory, layout } = options;
  const where = ['--data', dataDirectory, '--state', stateDirectory, '--layout', layout];
  const child = spawn(process.execPath, [programFile, 'emulator', ...where, ...ports, '--json', '--exit-with-stdin'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C in a terminal reaches all of the foreground's group: this one is its parent's to stop, by SIGTERM or the pipe's end.
    detached: true,
  });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (said.push(line) > SAID_MAX) said.shift();
    log('%s', line);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  try {
    const lines = createInterface({ input: child.stdout });
    const first = await Promise.race([
      once(lines, 'line').then(([line]) => String(line)),
      once(child, 'close').then(() => undefined),
      once(child, 'error').then(([error]) => Promise.reject(error as Error)),
    ]);
    if (first === undefined)
      throw new Error(`the emulator of ${dataDirectory} did not start: ${said.at(-1) ?? 'it said nothing'}`);
    // What it had to say although it started, such as that it lost its ids.
    for (const line of said.splice(0)) options.warn(`the emulator of ${dataDirectory}: ${line}`);
    return { child, announced: readAnnouncement(first) };
  } finally {
    clearTimeout(timer);
  }
}

function readAnnouncement(line: string): Announcement {
  const value = JSON.parse(line) as Partial<Announcement>;
  if (typeof value.gatewayUrl !== 'string' || typeof value.vaultUrl !== 'string' || value.credentials === undefined) {
    throw new Error('the emulator announced itself in a way this program does not know');
  }
  return value as Announcement;
}

function portOf(url: string): string {
  return new URL(url).port;
}
