// Who is taken for a walk over everything, and who gives way to people.
import { beforeEach, expect, test } from 'vitest';
import { Askers } from '../../src/fs-ops/askers.ts';

let now: number;
let names: Map<number, string>;
let askers: Askers;

beforeEach(() => {
  now = 0;
  names = new Map([[1, 'bash']]);
  askers = new Askers({ nowMs: () => now, nameOf: (pid) => names.get(pid) });
});

const minds = (pid: number, inode: number): boolean | undefined => askers.of({ pid }).minds?.(inode);

test('a process that looks into a few folders waits for them, whatever others do', () => {
  for (let inode = 10; inode < 14; inode += 1) expect(minds(1, inode)).toBe(true);
  expect(minds(1, 14)).toBe(false);
  expect(minds(1, 10)).toBe(true);
  expect(minds(2, 14)).toBe(true);
});

test('it walks for as long as it goes on, and is somebody who looks again after a pause', () => {
  for (let inode = 10; inode < 15; inode += 1) minds(1, inode);
  for (let time = 0; time < 10; time += 1) {
    now += 3_000;
    expect(minds(1, 100 + time)).toBe(false);
  }
  now += 5_001;
  expect(minds(1, 200)).toBe(true);
});

test.each(['du', 'baobab'])('%s sums up what is known', (name) => {
  names.set(7, name);
  expect(minds(7, 10)).toBe(false);
  expect(askers.of({ pid: 7 }).callClass).toBe('interactive');
});

test.each(['updatedb', 'updatedb.plocat', 'tracker-miner-f', 'baloo_file_extr'])('%s gives way to people', (name) => {
  names.set(7, name);
  expect(askers.of({ pid: 7 }).callClass).toBe('background');
  expect(minds(7, 10)).toBe(false);
});

test('so does whoever has a hundred folders brought, while it does', () => {
  for (let listing = 0; listing < 300; listing += 1) expect(askers.of({ pid: 1 }).callClass).toBe('interactive');
  expect(askers.of({ pid: 1 }).callClass).toBe('background');
  expect(askers.of({ pid: 2 }).callClass).toBe('interactive');
  now += 60_001;
  expect(askers.of({ pid: 1 }).callClass).toBe('interactive');
});

test('a process that becomes another program is known by its new name', () => {
  expect(askers.of({ pid: 1 }).callClass).toBe('interactive');
  names.set(1, 'updatedb');
  now += 10_000;
  expect(askers.of({ pid: 1 }).callClass).toBe('background');
});

test('processes that are gone cost nothing for ever', () => {
  for (let pid = 1; pid < 2_000; pid += 1) minds(pid, 5);
  for (let inode = 10; inode < 14; inode += 1) minds(1, inode);
  expect(minds(1, 14)).toBe(false);
});
