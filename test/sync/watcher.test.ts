// When the service is asked what happened: every interval, more seldom when nobody cares or calls run low, at once after a sleep.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Journal } from '../../src/cache/journal.ts';
import { Listings } from '../../src/cache/listings.ts';
import { Tree } from '../../src/cache/tree.ts';
import { naming } from '../../src/fs-ops/names.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import { Watcher } from '../../src/sync/watcher.ts';
import { lifetimeTrust } from '../fakes/lifetime-trust.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

const INTERVAL_MS = 15_000;

let directory: ReturnType<typeof temporaryDirectory>;
let drive: MemoryDrive;
let tree: Tree;
let listings: Listings;
let watcher: Watcher;
let callsLeft: number;
let heard: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  directory = temporaryDirectory();
  drive = new MemoryDrive();
  drive.addSyncpoint('P', { lastEvent: '1' });
  tree = Tree.open(directory.path);
  const journal = new Journal(tree);
  listings = new Listings({ journal, drive, naming, trust: lifetimeTrust(journal) });
  callsLeft = 1;
  heard = [];
  watcher = new Watcher({
    tree,
    listings,
    intervalMs: INTERVAL_MS,
    callsLeft: () => callsLeft,
    onIdle: () => heard.push('idle'),
    onWoken: () => heard.push('woken'),
  });
});
afterEach(async () => {
  await watcher.stop();
  vi.useRealTimers();
  await listings.stop();
  await tree.close();
  directory.remove();
});

const asked = (): number => drive.calls.filter((call) => call === 'syncpoints').length;
/** So much time goes by, and whatever it brings is done. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5_000) {
    await vi.advanceTimersByTimeAsync(Math.min(5_000, left));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('at once, then every interval: below 6,000 calls a day', async () => {
  watcher.start();
  await pass(1_000);
  expect(asked()).toBe(1);
  await pass(600_000);
  expect(asked()).toBeGreaterThanOrEqual(40);
  expect((asked() - 1) * 144).toBeLessThanOrEqual(5_760);
});

test('more seldom while calls run low', async () => {
  callsLeft = 0.1;
  watcher.start();
  await pass(600_000);
  expect(asked()).toBeLessThanOrEqual(11);
});

test('more seldom while nobody uses the mount, which then has the kernel ask anew; at once when somebody comes back', async () => {
  watcher.start();
  await pass(30 * 60_000 + 10_000);
  expect(heard).toEqual(['idle']);
  const before = asked();
  await pass(600_000);
  expect(asked() - before).toBeLessThanOrEqual(11);
  const idle = asked();
  listings.used.note(1);
  await pass(5_000);
  expect(asked()).toBe(idle + 1);
  await pass(60_000);
  expect(asked()).toBe(idle + 5);
  expect(heard).toEqual(['idle']);
});

test('soon again while the service is away', async () => {
  drive.gate = () => Promise.reject(new RemoteError('unavailable', 'away'));
  watcher.start();
  await pass(30_000);
  expect(asked()).toBeGreaterThanOrEqual(6);
  drive.gate = () => Promise.resolve();
  await pass(5_000);
  const back = asked();
  await pass(10_000);
  expect(asked()).toBe(back);
});

test('at once after the machine was asleep, with new connections', async () => {
  watcher.start();
  await pass(5_000);
  vi.setSystemTime(Date.now() + 3_600_000);
  await pass(5_000);
  expect(heard).toEqual(['woken']);
  expect(asked()).toBe(2);
});

test('never two at once, and not after the end', async () => {
  let answer: () => void = () => undefined;
  drive.gate = () => new Promise((resolve) => (answer = resolve));
  watcher.start();
  await pass(60_000);
  expect(asked()).toBe(1);
  answer();
  // Merging the answer takes turns of the event loop, of which the clock knows nothing.
  for (let turn = 0; turn < 100 && asked() < 2; turn += 1) await pass(5_000);
  expect(asked()).toBe(2);
  answer();
  await watcher.stop();
  await pass(60_000);
  expect(asked()).toBe(2);
});
