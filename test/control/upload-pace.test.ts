// How fast, and how long still.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { secondsLeft, UploadPace } from '../../src/control/upload-pace.ts';

describe('the pace', () => {
  it('is unknown before two samples', () => {
    const pace = new UploadPace();
    expect(pace.bytesPerSecond()).toBe(0);
    pace.sample(1_000, 5_000);
    expect(pace.bytesPerSecond()).toBe(0);
  });

  it('is what was sent in the window, not before', () => {
    const pace = new UploadPace();
    pace.sample(0, 0);
    pace.sample(60_000, 1_000_000);
    for (let second = 61; second <= 75; second++) pace.sample(second * 1_000, 1_000_000 + (second - 60) * 2_000);
    expect(pace.bytesPerSecond()).toBe(2_000);
  });

  it('falls to nothing when nothing is sent any more', () => {
    const pace = new UploadPace();
    pace.sample(0, 0);
    pace.sample(1_000, 10_000);
    expect(pace.bytesPerSecond()).toBe(10_000);
    for (const second of [2, 11, 12, 22]) pace.sample(second * 1_000, 10_000);
    expect(pace.bytesPerSecond()).toBe(0);
  });

  it('of an even flow is its rate, however often it is asked', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 60 }), (steps) => {
        const pace = new UploadPace();
        let nowMs = 0;
        for (const step of steps) pace.sample((nowMs += step), nowMs * 7);
        if (nowMs > 200) expect(pace.bytesPerSecond()).toBe(7_000);
      }),
    );
  });
});

describe('the time left', () => {
  const free = { perSecond: 0, perHour: 0, leftThisHour: 0 };
  const paced = { perSecond: 15, perHour: 10_800, leftThisHour: 100 };

  it.each([
    [{ bytes: 0, calls: 0 }, 0, free, 0],
    [{ bytes: 0, calls: 50 }, 0, free, 0],
    [{ bytes: 10_000, calls: 5 }, 1_000, free, 10],
    [{ bytes: 10_000, calls: 5 }, 0, free, null],
    // Fifteen calls a second; the slower of the two counts.
    [{ bytes: 1_000, calls: 90 }, 1_000, paced, 6],
    [{ bytes: 60_000, calls: 90 }, 1_000, paced, 60],
    // Six calls more than this hour allows: an hour allows three a second.
    [{ bytes: 0, calls: 160 }, 0, paced, 20],
  ])('%j at %d B/s with %j is %s', (left, bytesPerSecond, allowance, seconds) => {
    expect(secondsLeft(left, bytesPerSecond, allowance)).toBe(seconds);
  });
});
