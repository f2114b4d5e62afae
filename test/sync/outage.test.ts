// When the service is tried again after it went away: by one at a time, less and less often, however many calls failed when it went.
import { beforeEach, expect, test } from 'vitest';
import { Outage } from '../../src/sync/outage.ts';

let nowMs: number;
let outage: Outage;

beforeEach(() => {
  nowMs = 1_000_000;
  outage = new Outage(() => nowMs);
});

/** How long until something may be tried, ms. */
function waitMs(): number {
  return outage.untilMs === undefined ? 0 : outage.untilMs - nowMs;
}

test('two failures are bad luck, three an outage', () => {
  for (const expected of [0, 0, 1_000]) {
    outage.failed();
    expect(waitMs()).toBe(expected);
  }
});

test('a dozen calls that fail together when the service goes away make nobody wait longer than three', () => {
  for (let call = 0; call < 12; call += 1) outage.failed();
  expect(waitMs()).toBe(1_000);
});

test('each try in vain doubles the wait, up to half a minute', () => {
  for (let call = 0; call < 3; call += 1) outage.failed();
  const waits: number[] = [];
  for (let turn = 0; turn < 7; turn += 1) {
    waits.push(waitMs());
    nowMs += waitMs();
    expect(outage.untilMs).toBeUndefined();
    outage.tried();
    expect(outage.untilMs).toBeGreaterThan(nowMs);
    outage.failed();
  }
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test('an answer ends it, and who has reason to may try at once', () => {
  for (let call = 0; call < 3; call += 1) outage.failed();
  outage.retry();
  expect(outage.untilMs).toBeUndefined();
  outage.tried();
  expect(outage.answered()).toBe(true);
  expect(outage.untilMs).toBeUndefined();
  expect(outage.answered()).toBe(false);
});

test('the answer to another call lets one try at once, but not more often than every two seconds', () => {
  expect(outage.hinted()).toBe(false);
  for (let call = 0; call < 8; call += 1) {
    outage.failed();
    nowMs += waitMs();
    outage.tried();
  }
  outage.failed();
  expect(waitMs()).toBe(30_000);
  expect(outage.hinted()).toBe(false);
  nowMs += 2_000;
  expect(outage.hinted()).toBe(true);
  expect(outage.untilMs).toBeUndefined();
  outage.tried();
  expect(outage.hinted()).toBe(false);
  outage.failed();
  expect(waitMs()).toBe(30_000);
  expect(outage.hinted()).toBe(false);
});
