// Rounds of load, kill, remount, drain and comparison: what close() accepted is at the service, and nothing else is.
// Chance is seeded: the same seed gives the same plan, though not the same moments of two processes.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../../../src/emulator/faults.ts';
import { heldByWorker } from './expectation.ts';
import { Rig } from './rig.ts';
import { SHARED_FOLDERS } from './service.ts';

/** What is killed or lost besides the daemon. */
export const VARIANTS = ['kill', 'server', 'lost'] as const;
export type Variant = (typeof VARIANTS)[number];

/** A drive this old begins anew: its state has been through enough kills. */
const ROUNDS_PER_RIG = 25;
/** With replies lost, an upload may have to wait for several listings. */
const FLUSH_TIMEOUT_MS = 60_000;
/** A large file is written in one round of so many. */
const LARGE_EVERY = 3;
/** What the service's line takes for it, with what the others have written. */
const LARGE_MS = 1_200;
const BUSY_MS_MIN = 100;

export interface Figures {
  rounds: number;
  /** Those in which something acknowledged was not sent, or a file half sent. */
  counting: number;
  /** Changes that were pending at the kills, and the most at one. */
  pending: number;
  pendingMax: number;
  /** Files half sent at the kills. */
  halfSent: number;
  /** Changes that had not returned, and how many of them had happened all the same. */
  underWay: number;
  happened: number;
  readonly failures: string[];
}

export interface RoundsOptions {
  readonly variant: Variant;
  /** Rounds that count. */
  readonly rounds: number;
  readonly seed: number;
  readonly tell: (line: string) => void;
}

/** Runs rounds until enough of them counted. */
export async function runRounds({ variant, rounds, seed, tell }: RoundsOptions): Promise<Figures> {
  const figures: Figures = {
    rounds: 0,
    counting: 0,
    pending: 0,
    pendingMax: 0,
    halfSent: 0,
    underWay: 0,
    happened: 0,
    failures: [],
  };
  const random = randomNumbers(seed);
  let rig: Rig | undefined;
  let age = 0;
  try {
    while (figures.counting < rounds && figures.rounds < 2 * rounds + 3) {
      if (rig === undefined || age >= ROUNDS_PER_RIG) {
        await rig?.stop();
        rig = await Rig.start({ seed: Math.floor(random() * 2 ** 31), ownProcess: variant === 'server' });
        await rig.mount(settle(random));
        age = 0;
      }
      age += 1;
      figures.rounds += 1;
      const begun = performance.now();
      const found = await round(rig, variant, random, figures).catch((error: unknown) => [String(error)]);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      tell(
        `${variant} ${figures.rounds} (${figures.counting} count): ${seconds} s${found.length > 0 ? ' FAILED' : ''}`,
      );
      if (found.length === 0) continue;
      const kept = await rig.evidence(`${variant}-${seed}-${figures.rounds}`, found);
      figures.failures.push(
        `round ${figures.rounds} of ${variant}, evidence in ${kept}:\n${found.slice(0, 20).join('\n')}`,
      );
      await rig.stop();
      rig = undefined;
    }
  } finally {
    await rig?.stop();
  }
  return figures;
}

/** One round on a mounted drive, which is mounted again at its end. Gives back what was wrong. */
async function round(rig: Rig, variant: Variant, random: () => number, figures: Figures): Promise<readonly string[]> {
  const large = random() < 1 / LARGE_EVERY;
  // A large file is on its way from when it has settled and programs rest.
  const loadMs = large ? rig.settleMs + BUSY_MS_MIN + random() * LARGE_MS : 150 + random() * random() * 2_500;
  const serverDies = { atMs: loadMs * random() * 1.2, backAfterMs: random() * 1_500, again: random() < 0.3 };
  if (variant === 'lost') rig.service.setFaults(lossy(Math.floor(random() * 2 ** 31)));
  const pace = large
    ? { busyMs: BUSY_MS_MIN, quietMs: 2 * LARGE_MS }
    : { busyMs: BUSY_MS_MIN + random() * 500, quietMs: random() < 0.3 ? 0 : 200 + random() * 900 };
  for (const [index, worker] of rig.workers.entries()) await worker.go({ ...pace, large: large && index === 0 });
  const server = variant === 'server' ? outage(rig, serverDies) : Promise.resolve();
  await sleep(loadMs);
  const sending = halfSent(await rig.status());
  await sleep(random() * 20);
  await rig.killDaemon();
  await rig.mount(settle(random));
  const { pending } = await rig.status();
  const half = pending.items.filter(({ path }) => sending.includes(path)).length;
  figures.pending += pending.files;
  figures.pendingMax = Math.max(figures.pendingMax, pending.files);
  figures.halfSent += half;
  if (pending.files > 0 || half > 0) figures.counting += 1;
  await server;
  const again =
    variant === 'server' && serverDies.again ? outage(rig, { atMs: random() * 500, backAfterMs: 200 }) : server;
  const left = await rig.flush(FLUSH_TIMEOUT_MS);
  await again;
  const status = await rig.status();
  return [
    ...left.map(({ path, change, error }) => `${path}: ${change} is left after the flush: ${error}`),
    ...status.conflicts.map(({ path, keptAs }) => `${path}: told as a conflict, kept as ${keptAs}`),
    ...status.failed.map(({ path, error }) => `${path}: failed: ${error}`),
    ...(await compare(rig, figures)),
  ];
}

async function compare(rig: Rig, figures: Figures): Promise<readonly string[]> {
  const { byWorker, wrong } = heldByWorker(await rig.service.snapshot(), SHARED_FOLDERS);
  const found = [...wrong];
  for (const { name, expectation } of rig.workers) {
    const { undone, done } = expectation.differences(byWorker.get(name) ?? new Map());
    if (undone.length > 0 && done.length > 0)
      found.push(...(done.length < undone.length ? done : undone).map((line) => `worker ${name}: ${line}`));
  }
  if (found.length > 0) return found;
  for (const worker of rig.workers) {
    const { undone, done } = worker.expectation.differences(byWorker.get(worker.name) ?? new Map());
    if (worker.expectation.open) figures.underWay += 1;
    if (worker.expectation.open && done.length === 0 && undone.length > 0) figures.happened += 1;
    await worker.settle(undone.length > 0);
    found.push(...(await worker.look()));
  }
  return found;
}

/** Paths of files of which some bytes were sent and some not. */
function halfSent({ pending }: Awaited<ReturnType<Rig['status']>>): readonly string[] {
  return pending.items.flatMap(({ path, change, sent, bytes }) =>
    change === 'store' && sent > 0 && sent < bytes ? [path] : [],
  );
}

/** Kills the service and brings it back. */
async function outage(rig: Rig, { atMs, backAfterMs }: { atMs: number; backAfterMs: number }): Promise<void> {
  await sleep(atMs);
  await rig.service.kill();
  await sleep(backAfterMs);
  await rig.service.restart();
}

/** A tenth of all replies lost after the service acted, and some requests cut. */
function lossy(seed: number): readonly Fault[] {
  return [
    { kind: 'lost-reply', probability: 0.1, seed },
    { kind: 'cut-request', afterBytes: 3_000, probability: 0.03, seed: seed + 1 },
  ];
}

function settle(random: () => number): number {
  return Math.floor(100 + random() * 900);
}

function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
