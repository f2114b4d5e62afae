// Runs the system's mount programs: no shell, output kept for the error message, never longer than a limit.
import { spawn } from 'node:child_process';

/** Mounting and unmounting are local; what takes longer hangs (a file system in the path that does not answer). */
const COMMAND_TIMEOUT_MS = 20_000;
/** Enough for any message of mount(8); the rest is dropped. */
const OUTPUT_MAX = 4096;

/** What a command came to. `missing`: there is no such program. */
export type CommandResult =
  { readonly kind: 'missing' } | { readonly kind: 'exited'; readonly code: number | null; readonly message: string };

/** Runs a program with file descriptors to inherit as 3, 4, ... Messages come back in English, last line first of use. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: { readonly inherit?: readonly number[]; readonly env?: Readonly<Record<string, string>> } = {},
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
      timeout: COMMAND_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    const collect = (chunk: Buffer): void => {
      if (output.length < OUTPUT_MAX) output += chunk.toString('utf8').slice(0, OUTPUT_MAX - output.length);
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ kind: 'missing' });
      else reject(error);
    });
    child.once('close', (code) => resolve({ kind: 'exited', code, message: output.trim() }));
  });
}
