// Where files have holes, on whatever file system the tests run.
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nextData } from '../../src/base/sparse.ts';

const MiB = 2 ** 20;
let directory: string;
let descriptor: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sparse-'));
  descriptor = openSync(join(directory, 'file'), 'w+');
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(directory, { recursive: true });
});

it('finds all that is not zero, and little more', () => {
  ftruncateSync(descriptor, 100 * MiB);
  expect(nextData(descriptor, 0, 100 * MiB)).toBeUndefined();
  writeSync(descriptor, 'x', 40 * MiB + 5);
  writeSync(descriptor, 'y', 80 * MiB);
  const [from, to] = nextData(descriptor, 0, 100 * MiB) ?? [0, 0];
  expect(from).toBeGreaterThan(39 * MiB);
  expect(from).toBeLessThanOrEqual(40 * MiB + 5);
  expect(to).toBeGreaterThan(40 * MiB + 5);
  expect(to).toBeLessThan(42 * MiB);
  expect(nextData(descriptor, 0, 40 * MiB - 2 * MiB)).toBeUndefined();
  expect(nextData(descriptor, 40 * MiB + 5, 40 * MiB + 6)).toEqual([40 * MiB + 5, 40 * MiB + 6]);
  expect(nextData(descriptor, to, 100 * MiB)?.[0]).toBeGreaterThan(78 * MiB);
});

it('finds nothing behind the end, nor in nothing', () => {
  writeSync(descriptor, 'x', 0);
  expect(nextData(descriptor, 5, 100)).toBeUndefined();
  expect(nextData(descriptor, 0, 0)).toBeUndefined();
});
