// Runs the built program as a user does: a child process with directories of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import tmp from 'tmp';
import { requireNoSecret, requireNoSecretBelow, watchForSecrets } from '../secrecy.ts';

export const programFile = fileURLToPath(new URL('../../dist/bin/syncplicityfs.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Named in the environment, every mount of the tests goes through this transport that does not ask for one itself. */
export const testTransport = process.env['SYNCPLICITYFS_TEST_TRANSPORT'] ?? 'kernel';

/** The environment of programs that try system calls: what the transport of the tests has not got is left out. */
export const lackingCalls = testTransport === 'kernel' ? {} : { WITHOUT: 'fallocate renameat2' };

/** For skipIf(): what a test is about is the kernel transport's alone, for this reason. */
export function kernelTransportOnly(reason: string): boolean {
  return testTransport !== 'kernel' && reason !== '';
}

function throughTransport(args: readonly string[]): readonly string[] {
  const [command, ...rest] = args;
  if (command !== 'mount' || testTransport === 'kernel' || rest.some((word) => /transport|--help/.test(word)))
    return args;
  return [command, '--transport', testTransport, ...rest];
}

/** Nothing of a test shows on the desktop of whoever runs it: an address that leads to no bus. */
const noSession = { DBUS_SESSION_BUS_ADDRESS: 'disabled:' };

/** A user without any files yet. */
export class User {
  readonly home: string;
  readonly #directory: tmp.DirResult;

  constructor() {
    if (!existsSync(programFile)) throw new Error('dist/ is missing: npm run build makes it');
    this.#directory = tmp.dirSync({ unsafeCleanup: true });
    this.home = this.#directory.name;
  }

  /** A directory below the home, made if need be. */
  directory(...names: string[]): string {
    const path = join(this.home, ...names);
    mkdirSync(path, { recursive: true });
    return path;
  }

  get environment(): NodeJS.ProcessEnv {
    // Only what a program needs: no XDG_, DEBUG, proxy or NO_COLOR of whoever runs the tests.
    return { PATH: process.env['PATH'], HOME: this.home, LANG: 'C.UTF-8', ...noSession };
  }

  start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(process.execPath, [programFile, ...throughTransport(args)], {
      env: { ...this.environment, ...environment },
    });
    // The emulator tells its credentials: that is what it is started for.
    if (args[0] !== 'emulator') {
      for (const name of ['stdout', 'stderr'] as const) watchForSecrets(`${name} of ${args.join(' ')}`, child[name]);
    }
    return child;
  }

  async run(args: readonly string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Outcome> {
    const child = this.start(args, options.env);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin?.end(options.input ?? '');
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    if (args[0] !== 'emulator') requireNoSecret(args.join(' '), stdout + stderr);
    return { code, stdout, stderr };
  }

  /** Adds an fs connection without trying it, and gives back its id. */
  async addDirectory(name: string, uri: string): Promise<string> {
    const args = ['connections', 'add', '-p', 'fs', '--name', name, '--auth-input', '--json'];
    const { code, stdout, stderr } = await this.run(args, { input: JSON.stringify({ uri }) });
    if (code !== 0) throw new Error(stderr);
    return (JSON.parse(stdout) as [{ id: string }])[0].id;
  }

  /** Ends this user, who must not leave secrets in logs and records. */
  remove(): void {
    try {
      for (const place of ['.local', '.cache', '.config']) requireNoSecretBelow(join(this.home, place));
    } finally {
      this.#directory.removeCallback();
    }
  }
}
