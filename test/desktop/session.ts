// A desktop's session for tests: a message bus of its own, and on it what shows notifications, which are kept here instead.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { lacks } from '../machine.ts';

export const hasDbus = !lacks('dbus-daemon', 'python3');

/** A notification as the desktop got it. */
export interface Shown {
  readonly app: string;
  readonly replaces: number;
  readonly icon: string;
  readonly title: string;
  readonly text: string;
  readonly actions: readonly string[];
  readonly hints: Readonly<Record<string, unknown>>;
  readonly expiry: number;
}

export interface SessionOptions {
  /** What GetCapabilities tells. */
  readonly capabilities?: readonly string[];
  /** Takes notifications and never answers, as a desktop that hangs. */
  readonly hangs?: boolean;
}

const service = fileURLToPath(new URL('notification-service.py', import.meta.url));

export class Session {
  readonly shown: Shown[] = [];
  readonly #children: ChildProcess[] = [];
  readonly #waiters = new Set<() => void>();
  #address = '';

  /** The bus alone: nobody shows notifications. */
  static async start(): Promise<Session> {
    const session = new Session();
    const bus = session.#spawn('dbus-daemon', ['--session', '--nofork', '--print-address']);
    const [address] = (await once(createInterface({ input: bus.stdout as NodeJS.ReadableStream }), 'line')) as [string];
    session.#address = address;
    return session;
  }

  /** A bus with what shows notifications. */
  static async withDesktop(options: SessionOptions = {}): Promise<Session> {
    const session = await Session.start();
    await session.showDesktop(options);
    return session;
  }

  get environment(): NodeJS.ProcessEnv {
    return { DBUS_SESSION_BUS_ADDRESS: this.#address };
  }

  /** The desktop comes up. */
  async showDesktop({ capabilities = ['body', 'body-markup'], hangs = false }: SessionOptions = {}): Promise<void> {
    const args = [service, ...capabilities, ...(hangs ? ['hang'] : [])];
    const desktop = this.#spawn('python3', args);
    const lines = createInterface({ input: desktop.stdout as NodeJS.ReadableStream });
    await new Promise<void>((resolve, reject) => {
      desktop.once('exit', () => reject(new Error('the desktop did not come up')));
      lines.on('line', (line) => {
        if (line === 'ready') resolve();
        else this.#add(JSON.parse(line) as Shown);
      });
    });
  }

  /** Resolves once so many notifications came. */
  async notified(count: number): Promise<readonly Shown[]> {
    while (this.shown.length < count) {
      await new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
      });
    }
    return this.shown;
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  }

  #add(shown: Shown): void {
    this.shown.push(shown);
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const env = { PATH: process.env['PATH'], ...(this.#address === '' ? {} : this.environment) };
    const child = spawn(program, args, {
      env,
      stdio: ['ignore', 'pipe', program === 'python3' ? 'inherit' : 'ignore'],
    });
    this.#children.push(child);
    return child;
  }
}
