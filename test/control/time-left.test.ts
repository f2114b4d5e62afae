// How long what is pending will take.
import { describe, expect, it } from 'vitest';
import { secondsLeft } from '../../src/control/time-left.ts';

describe('the time left', () => {
  const free = { perSecond: 0, perHour: 0, leftThisHour: 0 };
  const paced = { perSecond: 15, perHour: 10_800, leftThisHour: 100 };

  it.each([
    [{ bytes: 0, calls: 0 }, 0, free, 0],
    [{ bytes: 0, calls: 50 }, 0, free, 0],
    [{ bytes: 100_000, calls: 5 }, 10_000, free, 10],
    [{ bytes: 100_000, calls: 5 }, 3, free, null],
    [{ bytes: 10_000, calls: 5 }, 0, free, null],
    // Fifteen calls a second; the slower of the two counts.
    [{ bytes: 10_000, calls: 90 }, 10_000, paced, 6],
    [{ bytes: 600_000, calls: 90 }, 10_000, paced, 60],
    // Six calls more than this hour allows: an hour allows three a second.
    [{ bytes: 0, calls: 160 }, 0, paced, 20],
  ])('%j at %d B/s with %j is %s', (left, bytesPerSecond, allowance, seconds) => {
    expect(secondsLeft(left, bytesPerSecond, allowance)).toBe(seconds);
  });
});
