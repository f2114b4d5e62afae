// The call budget: pace, allowance, refusals, patience, and the file that processes share.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dirSync } from 'tmp';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { delay } from '../../src/base/abort.ts';
import { RemoteError } from '../../src/remote-drive.ts';
import { CallBudget } from '../../src/syncplicity/budget.ts';
import type { BudgetCaller, Refusal } from '../../src/syncplicity/budget.ts';
import { retryAfterMs } from '../../src/syncplicity/http/retry-after.ts';
import { defaultBudget } from '../../src/syncplicity/options.ts';
import type { BudgetLimits } from '../../src/syncplicity/options.ts';

let directory: ReturnType<typeof dirSync>;
let budgets: CallBudget[];
beforeEach(() => {
  directory = dirSync({ unsafeCleanup: true });
  budgets = [];
});
afterEach(async () => {
  await Promise.all(budgets.map((budget) => budget.stop()));
  directory.removeCallback();
});

function budgetOf(limits: Partial<BudgetLimits> = {}, stateFile?: string): CallBudget {
  const budget = new CallBudget({ ...defaultBudget, ...limits }, stateFile);
  budgets.push(budget);
  return budget;
}

const interactive = { callClass: 'interactive' } as const;

/** Makes a call that leaves at once. */
async function call(budget: CallBudget, caller: BudgetCaller = interactive): Promise<void> {
  await budget.acquire(caller);
  budget.left();
}

async function throttled(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RemoteError);
  expect((error as RemoteError).kind).toBe('throttled');
  return (error as RemoteError).message;
}

/** Waits until this many calls are queued. */
async function untilWaiting(budget: CallBudget, count: number): Promise<void> {
  while (budget.state().waiting < count) await new Promise((resolve) => setImmediate(resolve));
}

test('calls are evenly apart: no second sees more than 15, nor does any two of them 66.7 ms', async () => {
  const budget = budgetOf();
  const times: number[] = [];
  const started = performance.now();
  await Promise.all(Array.from({ length: 40 }, () => call(budget).then(() => times.push(performance.now() - started))));
  expect(times[0]).toBeLessThan(1000);
  for (let index = 1; index < times.length; index += 1) {
    expect((times[index] as number) - (times[index - 1] as number)).toBeGreaterThan(1000 / 15);
  }
  expect(times.at(-1)).toBeLessThan(4000);
});

test('the next call waits from when the one before left, not from when it was let go', async () => {
  const budget = budgetOf();
  await budget.acquire(interactive);
  const next = budget.acquire({ callClass: 'background' });
  // A connection is made, for longer than calls are apart.
  await delay(150);
  expect(budget.state().waiting).toBe(1);
  const leftMs = performance.now();
  budget.left();
  await next;
  expect(performance.now() - leftMs).toBeGreaterThan(1000 / 15);
});

test.each(['never leaves', 'never left this machine'])(
  'a call that %s does not hold up the others for long',
  async (how) => {
    const budget = budgetOf();
    const started = performance.now();
    await budget.acquire(interactive);
    if (how === 'never left this machine') budget.takeBack();
    await budget.acquire(interactive);
    const waitedMs = performance.now() - started;
    expect(waitedMs).toBeGreaterThan(how === 'never leaves' ? 499 : 1000 / 15);
    if (how === 'never left this machine') expect(waitedMs).toBeLessThan(499);
    expect(budget.state().leftThisHour).toBe(how === 'never leaves' ? 10_798 : 10_799);
  },
);

test('after a spike arrest calls are further apart, and the next run knows', async () => {
  const file = join(directory.name, 'deep', 'budget.json');
  const first = budgetOf({}, file);
  await call(first);
  first.refused({ retryAfterMs: undefined, spikeArrest: true });
  await first.stop();
  const second = budgetOf({}, file);
  const times: number[] = [];
  await Promise.all(Array.from({ length: 6 }, () => call(second).then(() => times.push(performance.now()))));
  for (let index = 1; index < times.length; index += 1) {
    expect((times[index] as number) - (times[index - 1] as number)).toBeGreaterThan(71);
  }
  expect(second.state().leftThisHour).toBe(10_800 - 7);
});

test('each spike arrest puts calls a little further apart, and calm brings them together again', () => {
  const budget = budgetOf();
  const apart: number[] = [];
  const look = (): void => void apart.push(Math.round(budget.apartMs));
  look();
  for (let arrest = 0; arrest < 7; arrest += 1) {
    budget.refused({ retryAfterMs: undefined, spikeArrest: true });
    look();
  }
  expect(apart).toEqual([70, 72, 74, 76, 78, 80, 80, 80]);
  for (let made = 0; made < 199; made += 1) budget.accepted();
  expect(Math.round(budget.apartMs)).toBe(80);
  budget.accepted();
  expect(Math.round(budget.apartMs)).toBe(78);
  for (let made = 0; made < 2_000; made += 1) budget.accepted();
  expect(budget.apartMs).toBe(70);
});

test('classes are served in order, and interactive calls overtake a head that waits', async () => {
  const budget = budgetOf({ perSecond: 1 });
  await call(budget);
  const order: string[] = [];
  const ask = (callClass: 'interactive' | 'commit' | 'prefetch' | 'background'): Promise<void> =>
    call(budget, { callClass }).then(() => void order.push(callClass));
  const all = [ask('background'), ask('background'), ask('prefetch'), ask('commit'), ask('interactive')];
  await Promise.all(all);
  expect(order[0]).toBe('interactive');
  expect(order.slice(-3)).toEqual(['commit', 'prefetch', 'background']);
});

test('the hourly allowance keeps a reserve for interactive calls and says how long it takes', async () => {
  const budget = budgetOf({ perHour: 5, interactiveReserve: 2, perSecond: 100 });
  for (let made = 0; made < 3; made += 1) await call(budget, { callClass: 'prefetch' });
  expect(await throttled(call(budget, { callClass: 'prefetch' }))).toMatch(
    /call budget.*spent: the next call is possible in \d+ min/,
  );
  await call(budget);
  await call(budget);
  expect(await throttled(call(budget))).toContain('min');
  expect(budget.state()).toMatchObject({ leftThisHour: 0, perHour: 5, waiting: 0 });
});

test('a refusal holds everybody back, twice as long each time', async () => {
  const budget = budgetOf({ backoffMs: 100 });
  await call(budget);
  const waits: number[] = [];
  for (let refusal = 0; refusal < 3; refusal += 1) {
    budget.refused({ retryAfterMs: undefined, spikeArrest: false });
    // A second call of the same burst comes back refused as well.
    budget.refused({ retryAfterMs: undefined, spikeArrest: false });
    const started = performance.now();
    await call(budget);
    waits.push(Math.round((performance.now() - started) / 100));
  }
  expect(waits).toEqual([1, 2, 4]);
  budget.accepted();
  budget.refused({ retryAfterMs: 300, spikeArrest: false });
  const started = performance.now();
  await Promise.all([call(budget), call(budget, { callClass: 'background' })]);
  expect(performance.now() - started).toBeGreaterThanOrEqual(295);
});

/** How long the next caller would wait after each of these refusals in a row, in seconds. */
function holdsAfter(budget: CallBudget, refusals: readonly Refusal[]): number[] {
  const holds: number[] = [];
  for (const refusal of refusals) {
    budget.refused(refusal);
    holds.push(budget.waitMs('interactive') / 1000);
    // The hold passes.
    vi.advanceTimersByTime((holds.at(-1) ?? 0) * 1000);
  }
  return holds.map((hold) => Math.round(hold * 1000) / 1000);
}

test.each([
  ['a spike arrest', { retryAfterMs: undefined, spikeArrest: true }, [0.1, 0.2, 0.4, 0.8, 1.6]],
  ['Retry-After: 0', { retryAfterMs: 0, spikeArrest: false }, [1, 2, 4, 8, 16]],
  ['Retry-After: 0 of a spike arrest', { retryAfterMs: 0, spikeArrest: true }, [0.1, 0.2, 0.4, 0.8, 1.6]],
  ['Retry-After: 3', { retryAfterMs: 3_000, spikeArrest: true }, [3, 3, 3]],
  ['an hourly refusal', { retryAfterMs: undefined, spikeArrest: false }, [10, 20, 40, 80]],
])('refusals in a row by %s hold for growing times', (_, refusal, expected) => {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] });
  try {
    const refusals = expected.map(() => refusal);
    expect(holdsAfter(budgetOf(), refusals)).toEqual(expected);
  } finally {
    vi.useRealTimers();
  }
});

test('who would wait longer than its class may is refused at once', async () => {
  const budget = budgetOf();
  budget.refused({ retryAfterMs: 120_000, spikeArrest: false });
  expect(await throttled(call(budget))).toContain('the next call is possible in 2 min');
});

test('patience ends in the queue too', async () => {
  const budget = budgetOf({ perSecond: 1, waitMs: { ...defaultBudget.waitMs, interactive: 150 } });
  await call(budget);
  const started = performance.now();
  expect(await throttled(call(budget))).toContain('call budget');
  expect(performance.now() - started).toBeLessThan(900);
});

test('an aborted waiter leaves at once with its reason and costs nothing', async () => {
  const budget = budgetOf({ perSecond: 1 });
  await call(budget);
  const reasons = [new Error('one'), new Error('two')];
  const controllers = reasons.map(() => new AbortController());
  const waiters = controllers.map(({ signal }) =>
    call(budget, { ...interactive, signal }).catch((error: unknown) => error),
  );
  await untilWaiting(budget, 2);
  controllers.forEach((controller, index) => controller.abort(reasons[index]));
  expect(await Promise.all(waiters)).toEqual(reasons);
  expect(budget.state()).toMatchObject({ waiting: 0, leftThisHour: 10_799 });
});

test('stop sends waiters away', async () => {
  const budget = budgetOf({ perSecond: 1 });
  await call(budget);
  const waiter = call(budget, { callClass: 'background' }).catch((error: unknown) => error);
  await untilWaiting(budget, 1);
  await budget.stop();
  expect(await waiter).toMatchObject({ kind: 'unavailable' });
});

test('processes share one allowance through the file', async () => {
  const file = join(directory.name, 'budget.json');
  const one = budgetOf({ perSecond: 1000 }, file);
  const two = budgetOf({ perSecond: 1000 }, file);
  for (let made = 0; made < 5; made += 1) await call(one);
  await call(two);
  await Promise.all([one.stop(), two.stop()]);
  await two.stop();
  const three = budgetOf({}, file);
  await call(three);
  expect(three.state().leftThisHour).toBeGreaterThanOrEqual(10_800 - 7);
  expect(three.state().leftThisHour).toBeLessThan(10_800 - 1);
});

test.each(['', '{', '[]', '{"calls":{"x":{"a":"b"}}}', '{"calls":{"x":{"99999999999":5,"1":7}}}'])(
  'a state file of %j costs nothing',
  async (text) => {
    const file = join(directory.name, 'budget.json');
    await writeFile(file, text);
    const budget = budgetOf({}, file);
    await call(budget);
    await budget.stop();
    expect(budget.state().leftThisHour).toBe(10_799);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ version: 1 });
  },
);

test.each<[Record<string, string>, number | undefined]>([
  [{ 'retry-after': '7' }, 7_000],
  [{ 'retry-after': ' 1.5 ' }, 1_500],
  [{ 'retry-after': '7 seconds' }, 7_000],
  [{ 'retry-after': 'Sun, 22 Nov 2026 12:00:05 GMT' }, 5_000],
  [{ 'retry-after': 'Sun, 22 Nov 2026 11:00:00 GMT' }, 0],
  [{ 'retry-after-ms': '250' }, 250],
  [{ 'x-retry-after': '3' }, 3_000],
  [{ 'x-ratelimit-reset': String(Date.UTC(2026, 10, 22, 12, 0, 9) / 1000) }, 9_000],
  [{ 'x-ratelimit-reset': String(Date.UTC(2026, 10, 22, 12, 0, 9)) }, 9_000],
  // The server's clock is an hour ahead, or behind.
  [{ 'retry-after': 'Sun, 22 Nov 2026 13:00:03 GMT', date: 'Sun, 22 Nov 2026 13:00:00 GMT' }, 3_000],
  [
    { 'x-ratelimit-reset': String(Date.UTC(2026, 10, 22, 11, 0, 20) / 1000), date: 'Sun, 22 Nov 2026 11:00:00 GMT' },
    20_000,
  ],
  [{ 'retry-after': '5', date: 'Sun, 22 Nov 2026 13:00:00 GMT' }, 5_000],
  [{ 'retry-after': 'Sun, 22 Nov 2026 12:00:04 GMT', date: 'now' }, 4_000],
  [{ 'retry-after': 'soon' }, undefined],
  [{}, undefined],
])('%j asks for %j ms', (headers, wait) => {
  expect(retryAfterMs(headers, Date.UTC(2026, 10, 22, 12, 0, 0))).toBe(wait);
});

test('processes go on sharing an allowance after the machine was asleep', async () => {
  // In the middle of a minute.
  vi.useFakeTimers({ toFake: ['Date'], now: Math.floor(Date.now() / 60_000) * 60_000 + 30_000 });
  try {
    const file = join(directory.name, 'budget.json');
    const limits = { perSecond: 0, perHour: 10, interactiveReserve: 0 };
    const ours = budgetOf(limits, file);
    await call(ours);
    // The monotonic clock knows nothing of it.
    vi.setSystemTime(Date.now() + 8 * 3_600_000);
    for (let made = 0; made < 4; made += 1) await call(ours);
    expect(ours.state().leftThisHour).toBe(6);
    await ours.stop();
    // Begun after the sleep, it has the present time.
    const minute = Math.floor(Date.now() / 60_000);
    const { calls } = JSON.parse(await readFile(file, 'utf8')) as { calls: Record<string, Record<string, number>> };
    expect(Object.values(calls)).toEqual([{ [minute]: 4 }]);
    await writeFile(file, JSON.stringify({ version: 1, calls: { other: { [minute]: 3 } } }));
    const late = budgetOf(limits, file);
    await call(late);
    expect(late.state().leftThisHour).toBe(6);
  } finally {
    vi.useRealTimers();
  }
});
