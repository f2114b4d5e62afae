// What every program of this package does around its work: broken pipes, errors nobody caught, and the exit code.
import { daemonCommandName, main, reportError } from '../src/cli/main.ts';

/** Runs the command line and ends the process. `args` may be still to be found out; what that throws is wrong usage. */
export async function runToEnd(args: () => readonly string[] | Promise<readonly string[]>): Promise<never> {
  const isDaemon = process.argv[2] === daemonCommandName;

  // The reader of our output has left (`| head`): nobody misses the rest. A daemon goes on: its mount is not its output.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!isDaemon) process.exit(0);
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.on('uncaughtException', (error) => {
    reportError(error);
    process.exit(1);
  });

  // Waits between retries do not keep a process alive by themselves; the command that waits is what it lives for.
  const life = setInterval(() => undefined, 2 ** 30);
  const code = await main(args);
  clearInterval(life);
  // What was written to a pipe may still be on its way.
  await new Promise((resolve) => process.stdout.write('', resolve));
  await new Promise((resolve) => process.stderr.write('', resolve));
  process.exit(code);
}
