// What every test of a mount has: a directory, at most one daemon on it, programs in the background; all ended after each test.
import { spawn, type ChildProcess } from 'node:child_process';
import { afterEach, beforeEach } from 'vitest';
import { fuseExists, removeDirectory, startDaemon, temporaryDirectory, type Mounted } from './mounted.ts';

/** Mounting as root needs no helper; tests of ordinary users are apart. */
export const asRoot = fuseExists && process.getuid?.() === 0;

export interface Fixture {
  readonly directory: string;
  readonly mount: (options?: Parameters<typeof startDaemon>[1]) => Promise<Mounted>;
  /** Ends the mount before the test does. */
  readonly stop: () => Promise<void>;
  /** A program that runs until the test ends or ends it. */
  readonly background: (program: string, args: readonly string[], cwd?: string) => ChildProcess;
}

/** Call once in a file; its directory changes with each test. */
export function useMount(): Fixture {
  let directory = '';
  let mounted: Mounted | undefined;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    directory = temporaryDirectory();
  });

  const stop = async (): Promise<void> => {
    await mounted?.stop();
    mounted = undefined;
  };

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await stop();
    removeDirectory(directory);
  });

  return {
    get directory() {
      return directory;
    },
    async mount(options = {}) {
      mounted = await startDaemon(directory, options);
      return mounted;
    },
    stop,
    background(program, args, cwd = '/') {
      const child = spawn(program, args, { stdio: 'ignore', cwd });
      children.push(child);
      return child;
    },
  };
}

/** How often each opcode came. */
export async function requests(daemon: Mounted): Promise<Record<string, number>> {
  const { byOpcode } = await daemon.statistics();
  return Object.fromEntries(Object.entries(byOpcode).map(([name, counts]) => [name, counts.requests]));
}

/** Asks again until it is so: for what the kernel does in its own time. */
export async function eventually(condition: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`still not so: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
