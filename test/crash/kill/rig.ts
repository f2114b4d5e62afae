// A user with a drive and a load on it, whose daemon and service are killed and started again: the state on disk and at the service goes on.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectControl, type ControlClient } from '../../../src/control/client.ts';
import { askMount, type LeftChange } from '../../../src/control/methods.ts';
import { listMounts } from '../../../src/control/mounts.ts';
import type { MountStatus } from '../../../src/control/status.ts';
import { User } from '../../cli/program.ts';
import { Worker } from './load.ts';
import { memoryService, processService, type Service } from './service.ts';

const WORKERS = 3;
/** The kernel's and the file system's time for a process that is gone. */
const DEATH_TIMEOUT_MS = 20_000;

export interface RigOptions {
  readonly seed: number;
  /** The service in a process of its own, which can be killed. */
  readonly ownProcess: boolean;
}

export class Rig {
  readonly user = new User();
  readonly mountpoint: string;
  readonly service: Service;
  readonly workers: readonly Worker[];
  /** How long changes of the present mount wait before they are sent. */
  settleMs = 0;
  #client: ControlClient | undefined;
  #pid = 0;

  private constructor(user: User, service: Service, seed: number) {
    this.user = user;
    this.service = service;
    this.mountpoint = user.directory('drive');
    const options = { mountpoint: this.mountpoint, directory: user.directory('load'), seed };
    this.workers = Array.from({ length: WORKERS }, (_, worker) => new Worker({ ...options, worker }));
  }

  static async start({ seed, ownProcess }: RigOptions): Promise<Rig> {
    const user = new User();
    const service = ownProcess ? await processService(user) : await memoryService();
    const { appKey, appSecret, appToken } = service.credentials;
    const auth = { client_id: appKey, client_secret: appSecret, app_token: appToken, api_url: service.gatewayUrl };
    const rig = new Rig(user, service, seed);
    const args = ['connections', 'add', '-p', 'syncplicity', '--name', 'test', '--auth-input', '--no-verify'];
    await rig.#succeed(args, JSON.stringify(auth));
    return rig;
  }

  /** Mounts, over a mount whose daemon was killed too. */
  async mount(settleMs: number): Promise<void> {
    this.settleMs = settleMs;
    const pace = ['--calls-per-second', '0', '--calls-per-hour', '0'];
    await this.#succeed(['mount', 'test', this.mountpoint, '--settle', `${settleMs}ms`, ...pace]);
    const runtimeDirectory = this.user.directory('.local', 'state', 'syncplicityfs', 'run');
    const [mount] = await listMounts([runtimeDirectory]);
    this.#client = await connectControl({ runtimeDirectories: [runtimeDirectory], mountpoint: this.mountpoint });
    if (mount === undefined || this.#client === undefined) throw new Error('the mount has no daemon');
    this.#pid = mount.pid;
  }

  status(): Promise<MountStatus> {
    return askMount(this.#connected(), 'status', {});
  }

  /** What is not at the service after so long. */
  async flush(timeoutMs: number): Promise<readonly LeftChange[]> {
    const { left } = await askMount(this.#connected(), 'flush', { timeoutMs }, { timeoutMs: timeoutMs + 10_000 });
    return left;
  }

  /** Ends the daemon at once; resolves when it is gone and every worker has noticed. */
  async killDaemon(): Promise<void> {
    const client = this.#connected();
    process.kill(this.#pid, 'SIGKILL');
    this.#client = undefined;
    const timer = setTimeout(() => client.close(), DEATH_TIMEOUT_MS);
    await client.closed;
    clearTimeout(timer);
    for (const worker of this.workers) await worker.stopped();
  }

  /** Keeps what tells what happened: logs, state and what the service held. */
  async evidence(name: string, found: readonly string[]): Promise<string> {
    const directory = join(process.env['SOAK_EVIDENCE'] ?? join(tmpdir(), 'syncplicityfs-soak'), name);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'found.txt'), found.join('\n'));
    writeFileSync(join(directory, 'service.json'), JSON.stringify(await this.service.snapshot(), undefined, 1));
    for (const part of ['load', '.local', 'data']) {
      const from = join(this.user.home, part);
      // Sockets cannot be copied.
      const filter = (path: string): boolean => !path.endsWith('/run');
      if (existsSync(from)) cpSync(from, join(directory, part), { recursive: true, filter });
    }
    return directory;
  }

  /** Ends all that was started, whatever state it is in, and removes it. */
  async stop(): Promise<void> {
    for (const worker of this.workers) await worker.end();
    this.#client?.close();
    if (this.#mounted()) await this.user.run(['unmount', this.mountpoint, '--no-wait']);
    if (this.#mounted()) spawnSync('umount', ['-l', this.mountpoint]);
    await this.service.stop();
    this.user.remove();
  }

  #mounted(): boolean {
    return readFileSync('/proc/self/mounts', 'utf8').includes(` ${this.mountpoint} `);
  }

  #connected(): ControlClient {
    if (this.#client === undefined) throw new Error('not mounted');
    return this.#client;
  }

  async #succeed(args: readonly string[], input = ''): Promise<void> {
    // The daemon's log is the evidence of what it did.
    const { code, stderr } = await this.user.run(args, { input, env: { DEBUG: 'syncplicityfs:*' } });
    if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  }
}
