// Rounds of work on a real mount that end with kill -9 of the daemon, of the service, or with lost replies; then another daemon brings to
// the service what was acknowledged. Compares with what the service's own store holds. Knows nothing of the pusher.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listMounts } from '../../../src/control/mounts.ts';
import type { Fault } from '../../../src/emulator/faults.ts';
import type { StoreSnapshot, SyncpointSnapshot } from '../../../src/emulator/store-snapshot.ts';
import { User } from '../../cli/program.ts';
import { EmulatorChild } from './emulator-child.ts';
import { Worker, type KnownFile, type Tree } from './load.ts';

export interface RoundsOptions {
  readonly seed: number;
  /** Kills the daemon at the end of each round; without, only what `killsService` and `faults` do goes wrong. */
  readonly killsDaemon: boolean;
  /** Kills the service in the middle of each round, and starts it again soon after. */
  readonly killsService: boolean;
  readonly faults: readonly Fault[];
}

const WORKERS = 3;
const SYNCPOINT = 'Work';
const WORK_MS_MIN = 150;
const WORK_MS_MAX = 900;

export class KillRounds {
  readonly user = new User();
  readonly #options: RoundsOptions;
  readonly #service: EmulatorChild;
  readonly #mountpoint: string;
  readonly #random: () => number;
  #workers: Worker[] = [];
  /** Rounds so far whose end left something acknowledged unsent. */
  counted = 0;

  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#random = randomNumbers(options.seed);
    const data = this.user.directory('data');
    mkdirSync(join(data, SYNCPOINT));
    this.#service = new EmulatorChild(this.user, { data, bandwidthMbit: 200, faults: options.faults });
    this.#mountpoint = this.user.directory('drive');
  }

  async start(): Promise<void> {
    await this.#service.start();
    const { gatewayUrl, credentials } = this.#service.announced;
    const { appKey, appSecret, appToken } = credentials;
    const auth = { client_id: appKey, client_secret: appSecret, app_token: appToken, api_url: gatewayUrl };
    const args = ['connections', 'add', '-p', 'syncplicity', '--name', 'test', '--auth-input', '--no-verify'];
    await this.#succeed(args, JSON.stringify(auth));
    await this.#mount();
    for (let index = 0; index < WORKERS; index += 1) {
      const directory = join(this.#mountpoint, SYNCPOINT, `worker-${index}`);
      await mkdir(directory);
      this.#workers.push(new Worker(directory, randomNumbers(this.#options.seed * 31 + index)));
    }
  }

  /** One round. Throws with all there is to know where something acknowledged is missing, or something is there that nobody left. */
  async round(): Promise<void> {
    const { killsDaemon, killsService } = this.#options;
    const working = this.#workers.map((worker) => worker.work());
    const failed = Promise.all(working);
    failed.catch(() => undefined);
    const workMs = WORK_MS_MIN + this.#random() * (WORK_MS_MAX - WORK_MS_MIN);
    if (killsService) {
      await delay(workMs / 2);
      await this.#service.kill();
      await delay(this.#random() * 200);
      await this.#service.start();
      await delay(workMs / 2);
    } else await delay(workMs);
    if (killsDaemon) {
      process.kill(await this.#pid(), 'SIGKILL');
      await failed;
      const unsent = this.#differences(await this.#service.snapshot());
      if (unsent.length > 0) this.counted += 1;
      spawnSync('umount', ['-l', this.#mountpoint]);
      await this.#mount();
    } else {
      for (const worker of this.#workers) worker.stop();
      await failed;
      if (this.#differences(await this.#service.snapshot()).length > 0) this.counted += 1;
    }
    await this.#succeed(['flush', this.#mountpoint, '--timeout', '60s']);
    const snapshot = await this.#service.snapshot();
    const problems = this.#differences(snapshot);
    if (problems.length > 0) {
      const logs = this.#workers.map((worker) => `${worker.directory}: ${worker.log.slice(-60).join(', ')}`);
      throw new Error([...problems, ...logs].join('\n'));
    }
    this.#workers.forEach((worker, index) => {
      const found = this.#matching(worker, treeOf(snapshot, index));
      if (found !== undefined) worker.settle(found);
    });
  }

  /** Ends all that was started. */
  async stop(): Promise<void> {
    for (const worker of this.#workers) worker.stop();
    const run = this.user.directory('.local', 'state', 'syncplicityfs', 'run');
    if (this.#isMounted()) await this.user.run(['unmount', this.#mountpoint, '--no-wait']);
    for (const { pid } of await listMounts(run)) if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
    if (this.#isMounted()) spawnSync('umount', ['-l', this.#mountpoint]);
    await this.#service.kill();
    this.user.remove();
  }

  /** What the service has otherwise than the workers left it, for each of them against what fits best. */
  #differences(snapshot: StoreSnapshot): string[] {
    const problems = this.#workers.flatMap((worker, index) => {
      const found = treeOf(snapshot, index);
      const candidates = worker.possible.map((tree) => differences(tree, found));
      return candidates.some((list) => list.length === 0) ? [] : (candidates[0] ?? []).map((one) => `${index}: ${one}`);
    });
    const syncpoint = snapshot.syncpoints.find(({ name }) => name === SYNCPOINT);
    const known = new Set(this.#workers.map((_, index) => `worker-${index}`));
    for (const { path } of syncpoint?.entries ?? []) {
      if (!known.has(path.split('/')[0] ?? '')) problems.push(`${path} came from nowhere`);
    }
    return problems;
  }

  #matching(worker: Worker, found: Found): Tree | undefined {
    return worker.possible.find((tree) => differences(tree, found).length === 0);
  }

  async #mount(): Promise<void> {
    await this.#succeed(['mount', 'test', this.#mountpoint, '--settle', '100ms']);
  }

  async #pid(): Promise<number> {
    const [mount] = await listMounts(this.user.directory('.local', 'state', 'syncplicityfs', 'run'));
    if (mount === undefined) throw new Error('there is no daemon');
    return mount.pid;
  }

  #isMounted(): boolean {
    return readFileSync('/proc/self/mounts', 'utf8').includes(` ${this.#mountpoint} `);
  }

  async #succeed(args: readonly string[], input?: string): Promise<void> {
    const outcome = await this.user.run(args, input === undefined ? {} : { input });
    if (outcome.code !== 0) throw new Error(`${args.join(' ')}: ${outcome.stderr}${outcome.stdout}`);
  }
}

/** What the service has in a worker's directory. */
type Found = ReadonlyMap<string, SyncpointSnapshot['entries'][number]>;

function treeOf({ syncpoints }: StoreSnapshot, index: number): Found {
  const prefix = `worker-${index}/`;
  const entries = syncpoints.find(({ name }) => name === SYNCPOINT)?.entries ?? [];
  return new Map(
    entries.flatMap((entry) =>
      entry.path.startsWith(prefix) ? [[entry.path.slice(prefix.length), entry] as const] : [],
    ),
  );
}

function differences(tree: Tree, found: Found): string[] {
  const problems: string[] = [];
  for (const [path, known] of tree) {
    const there = found.get(path);
    if (there === undefined) problems.push(`${path} is missing`);
    else if (there.kind !== known.kind) problems.push(`${path} is a ${there.kind}`);
    else if (there.kind === 'file' && known.kind === 'file') problems.push(...fileDifferences(path, known, there));
  }
  for (const path of found.keys()) if (!tree.has(path)) problems.push(`${path} came from nowhere, or came back`);
  return problems;
}

function fileDifferences(
  path: string,
  known: KnownFile,
  there: { readonly sha256: string; readonly lengthBytes: number; readonly modified: string },
): string[] {
  if (there.sha256 !== known.sha256) {
    return [`${path} has another content: ${there.lengthBytes} bytes instead of ${known.lengthBytes}`];
  }
  const modified = ticks(there.modified);
  if (known.modified.length === 0 || known.modified.includes(modified)) return [];
  return [`${path} has another time: ${there.modified}, none of ${known.modified.join(' ')}`];
}

/** ISO 8601 with seven digits, in 100 ns since 1970. */
function ticks(time: string): bigint {
  const [whole = '', fraction = ''] = time.replace('Z', '').split('.');
  return BigInt(Date.parse(`${whole}Z`)) * 10_000n + BigInt(fraction.padEnd(7, '0'));
}

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
