// What every test of a mount has: a directory, at most one daemon on it, programs in the background; all ended after each test.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { fuseExists, removeDirectory, startDaemon, temporaryDirectory, type Mounted } from './mounted.ts';

/** Mounting as root needs no helper; tests of ordinary users are apart. */
export const asRoot = fuseExists && process.getuid?.() === 0;

export interface Fixture {
  readonly directory: string;
  /** The path of a name in the mount, and the text of such a file. */
  readonly path: (name: string) => string;
  readonly text: (name: string) => string;
  readonly mount: (options?: Parameters<typeof startDaemon>[1]) => Promise<Mounted>;
  /** Mounts for reading and writing. */
  readonly mountWritable: (options?: Parameters<typeof startDaemon>[1]) => Promise<Mounted>;
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

  const path = (name: string): string => join(directory, name);
  const mount: Fixture['mount'] = async (options = {}) => {
    mounted = await startDaemon(directory, options);
    return mounted;
  };

  return {
    get directory() {
      return directory;
    },
    path,
    text: (name) => readFileSync(path(name), 'utf8'),
    mount,
    mountWritable: (options = {}) => mount({ ...options, mount: { readOnly: false, ...options.mount } }),
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

/** Asks until an opcode came so often: close(2) does not wait for RELEASE. */
export function counted(daemon: Mounted, opcode: string, count: number): Promise<void> {
  return eventually(async () => ((await requests(daemon))[opcode] ?? 0) === count);
}

/** The name of the errno a call ends with, or undefined. */
export function failure(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** Opens, uses and closes a file. */
export function withFile<T>(path: string, flags: string | number, use: (fd: number) => T): T {
  const fd = openSync(path, flags);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}
