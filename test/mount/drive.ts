// A whole drive as a user has it: the emulator in this process, the built program as a daemon, the kernel in between.
// Whatever reads the mount is another process or goes through asynchronous calls: the emulator must go on meanwhile.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { userDirectories } from '../../src/base/paths.ts';
import { isAlive } from '../../src/base/process-alive.ts';
import { parseAuth } from '../../src/connections/auth-file.ts';
import { openConnectionStore } from '../../src/connections/store.ts';
import { connectControl, type ControlClient } from '../../src/control/client.ts';
import { askMount } from '../../src/control/methods.ts';
import { listMounts } from '../../src/control/mounts.ts';
import type { MountStatus } from '../../src/control/status.ts';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { User, type Outcome } from '../cli/program.ts';

export { fuseExists } from '../machine.ts';

/** Of a daemon whose drive nobody uses any more; neither its end nor that of its mount can be awaited. */
const UNMOUNT_TIMEOUT_MS = 30_000;

export interface DriveOptions {
  readonly dialect?: Partial<Dialect>;
  readonly emulator?: Partial<EmulatorOptions>;
  /** Further arguments of `mount`. */
  readonly mount?: readonly string[];
}

export class Drive {
  readonly user = new User();
  readonly store = new MemoryStore();
  readonly mountpoint: string;
  #emulator: Emulator | undefined;

  constructor() {
    this.mountpoint = this.user.directory('drive');
  }

  get emulator(): Emulator {
    if (this.#emulator === undefined) throw new Error('the emulator does not run');
    return this.#emulator;
  }

  /** Starts the emulator and adds the connection `test`; fill the store before or after. */
  async serve(options: DriveOptions = {}): Promise<void> {
    this.#emulator = await startEmulator({
      store: this.store,
      ...(options.dialect === undefined ? {} : { dialect: options.dialect }),
      ...options.emulator,
    });
    const { appKey, appSecret, appToken } = this.emulator.credentials;
    const auth = {
      client_id: appKey,
      client_secret: appSecret,
      app_token: appToken,
      api_url: this.emulator.gatewayUrl,
    };
    // What is no test's subject costs no process of its own: one takes half a second of a processor.
    const store = openConnectionStore(userDirectories(this.user.environment).config, (message) => {
      throw new Error(message);
    });
    await store.add({ name: 'test', auth: parseAuth('syncplicity', auth).auth });
  }

  async mount(options: DriveOptions = {}): Promise<void> {
    await this.succeed(['mount', 'test', this.mountpoint, ...(options.mount ?? [])]);
  }

  async unmount(): Promise<void> {
    await this.succeed(['unmount', this.mountpoint]);
  }

  async succeed(args: readonly string[], input?: string): Promise<Outcome> {
    const outcome = await this.user.run(args, input === undefined ? {} : { input });
    if (outcome.code !== 0) throw new Error(`${args.join(' ')}: ${outcome.stderr}`);
    return outcome;
  }

  async status(): Promise<MountStatus> {
    const client = await this.#control();
    if (client === undefined) throw new Error(`nothing serves ${this.mountpoint}`);
    try {
      return await askMount(client, 'status', {});
    } finally {
      client.close();
    }
  }

  /** The daemon's process. */
  async pid(): Promise<number> {
    const mounts = await listMounts([this.user.directory('.local', 'state', 'syncplicityfs', 'run')]);
    const pid = mounts[0]?.pid;
    if (pid === undefined) throw new Error('no daemon');
    return pid;
  }

  /** Stops the emulator and starts it again on the same ports with the same account. */
  async interruptService(meanwhile: () => Promise<void>, options: DriveOptions = {}): Promise<void> {
    const { credentials, gatewayUrl, vaultUrl } = this.emulator;
    // The store would be closed with the emulator; it is in memory and goes on.
    await this.emulator.stop();
    await meanwhile();
    this.#emulator = await startEmulator({
      store: this.store,
      ...(options.dialect === undefined ? {} : { dialect: options.dialect }),
      ...options.emulator,
      identity: credentials,
      port: Number(new URL(gatewayUrl).port),
      vaultPort: Number(new URL(vaultUrl).port),
    });
  }

  /** Ends all that was started, whatever state it is in. Rejects afterwards where a daemon that answers did not leave. */
  async stop(): Promise<void> {
    try {
      if (this.#isMounted()) await this.#leave();
    } finally {
      // After a test that killed the daemon.
      if (this.#isMounted()) spawnSync('umount', ['-l', this.mountpoint]);
      await this.#emulator?.stop();
      this.user.remove();
    }
  }

  #isMounted(): boolean {
    return readFileSync('/proc/self/mounts', 'utf8').includes(` ${this.mountpoint} `);
  }

  #control(): Promise<ControlClient | undefined> {
    const { runtime } = userDirectories(this.user.environment);
    return connectControl({ runtimeDirectories: runtime, mountpoint: this.mountpoint });
  }

  /** What is pending stays: it may be paused, or for a service that is away. */
  async #leave(): Promise<void> {
    const client = await this.#control();
    if (client === undefined) return;
    try {
      const pid = await this.pid();
      const limits = { timeoutMs: UNMOUNT_TIMEOUT_MS, lazy: false, wait: false };
      await askMount(client, 'unmount', limits, { timeoutMs: 2 * UNMOUNT_TIMEOUT_MS }).catch((error: unknown) => {
        // The connection may end before the answer, which is what an unmount looks like.
        if (this.#isMounted()) throw error;
      });
      const deadline = performance.now() + UNMOUNT_TIMEOUT_MS;
      while (isAlive(pid)) {
        if (performance.now() > deadline)
          throw new Error(`process ${pid} goes on after ${this.mountpoint} was unmounted`);
        await sleep(20);
      }
    } finally {
      client.close();
    }
  }
}

/** Runs a program to its end. */
export function run(
  program: string,
  args: readonly string[],
  options: { uid?: number; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome & { readonly ms: number }> {
  const begun = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, ms: performance.now() - begun }));
  });
}

/** Bytes that differ at every offset of interest, the same for the same seed. */
export function pattern(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < lengthBytes; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
