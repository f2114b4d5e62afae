// Runs the system's mount programs: no shell, output kept for the error message. Never waits longer than its limit, not even
// for a program the kernel cannot end because it waits for a file system that does not answer.
import { spawn } from 'node:child_process';

/** Mounting and unmounting are local; what takes longer hangs. */
const COMMAND_TIMEOUT_MS = 20_000;
/** Enough for any message of mount(8); the rest is dropped. */
const OUTPUT_MAX = 4096;

/** What a command came to. `missing`: there is no such program. `timeout`: it was killed, and is left to end by itself. */
export type CommandResult =
  | { readonly kind: 'missing' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'exited'; readonly code: number | null; readonly message: string };

export interface CommandOptions {
  /** Descriptors the program gets as 3, 4, ... */
  readonly inherit?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Runs a program in `/`; its messages come in English. Rejects only if it exists and cannot be started. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe', ...(options.inherit ?? [])],
      // sbin is not in every user's PATH.
      env: {
        ...process.env,
        ...options.env,
        LC_ALL: 'C',
        PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`,
      },
      cwd: '/',
    });
    let output = '';
    const collect = (chunk: Buffer): void => {
      if (output.length < OUTPUT_MAX) output += chunk.toString('utf8').slice(0, OUTPUT_MAX - output.length);
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    const timer = setTimeout(() => {
      resolve({ kind: 'timeout' });
      child.kill('SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
    }, options.timeoutMs ?? COMMAND_TIMEOUT_MS);
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      // EACCES: a directory of PATH that this user may not search, and the program in none of the others.
      if (error.code === 'ENOENT' || error.code === 'EACCES') resolve({ kind: 'missing' });
      else reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ kind: 'exited', code, message: output.trim() });
    });
  });
}
