// Whose turn it is at the service: room for so many at once, and what is fresh gives way to programs that go on.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { blankRecord, type PendingRecord } from '../../src/cache/journal.ts';
import type { Step } from '../../src/sync/plan.ts';
import { Turns } from '../../src/sync/turns.ts';

const FOLDER = 100;
const running = new Map<number, { readonly step: Step['kind'] }>();
let changedAtMs: number;
let hurried: boolean;
let planned: number[];
let begunMs: number;
let turns: Turns;

beforeEach(() => {
  vi.useFakeTimers();
  running.clear();
  changedAtMs = -Infinity;
  hurried = false;
  planned = [];
  begunMs = Date.now();
  turns = new Turns({
    journal: {
      get: (inode) => record(inode),
      get sinceLocalChangeMs() {
        return Date.now() - changedAtMs;
      },
    },
    nowMs: Date.now,
    uploadsMax: 2,
    running,
    isHurried: () => hurried,
    onTurn: (inodes) => planned.push(...inodes),
  });
});
afterEach(() => {
  turns.stop();
  vi.useRealTimers();
});

/** Changed first when the test began. */
const record = (inode: number): PendingRecord => ({
  ...blankRecord({ inode, kind: 'file' }, undefined, begunMs),
  revision: inode,
});
const store = (): Step => ({ kind: 'store', node: undefined as never, place: { parent: FOLDER, name: 'a' } });
const makeFolder = (): Step => ({
  kind: 'make-folder',
  node: undefined as never,
  parent: undefined as never,
  name: 'a',
});

it('holds uploads beyond those there is room for, and has the next one planned when one ends', () => {
  for (const inode of [1, 2]) {
    expect(turns.hasCome(record(inode), store())).toBe(true);
    running.set(inode, { step: 'store' });
  }
  for (const inode of [3, 4]) expect(turns.hasCome(record(inode), store())).toBe(false);
  expect(turns.hasCome(record(5), makeFolder())).toBe(true);
  expect(turns.isAwaited(FOLDER)).toBe(true);

  running.delete(1);
  turns.release();
  expect(planned).toEqual([3]);
  turns.forget(3);
  expect(turns.isAwaited(FOLDER)).toBe(true);
  turns.forget(4);
  expect(turns.isAwaited(FOLDER)).toBe(false);
});

it('holds other steps beyond six, whatever is being uploaded', () => {
  running.set(1, { step: 'store' });
  for (let inode = 2; inode < 8; inode += 1) {
    expect(turns.hasCome(record(inode), makeFolder())).toBe(true);
    running.set(inode, { step: 'make-folder' });
  }
  expect(turns.hasCome(record(8), makeFolder())).toBe(false);
  running.delete(2);
  turns.release();
  expect(planned).toEqual([8]);
});

it.each([
  ['an upload', store, 100],
  ['a folder', makeFolder, 300],
])('%s gives way to programs that go on, until they rest, or it is old', (_what, step, restMs) => {
  const program = setInterval(() => (changedAtMs = Date.now()), 50);
  changedAtMs = Date.now();
  expect(turns.hasCome(record(1), step())).toBe(false);
  vi.advanceTimersByTime(4_000);
  expect(turns.hasCome(record(1), step())).toBe(false);
  vi.advanceTimersByTime(1_000);
  expect(turns.hasCome(record(1), step())).toBe(true);

  begunMs = Date.now();
  expect(turns.hasCome(record(2), step())).toBe(false);
  clearInterval(program);
  vi.advanceTimersByTime(restMs - 50);
  expect(turns.hasCome(record(2), step())).toBe(false);
  planned = [];
  vi.advanceTimersByTime(150);
  expect(planned).toContain(2);
  expect(turns.hasCome(record(2), step())).toBe(true);
});

it('lets all have their turn while somebody waits for it', () => {
  changedAtMs = Date.now();
  hurried = true;
  expect(turns.hasCome(record(1), store())).toBe(true);
  expect(turns.hasCome(record(2), makeFolder())).toBe(true);
});
