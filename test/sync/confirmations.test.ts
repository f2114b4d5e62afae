// When folders are listed for files whose ids were not told: as seldom as possible, and soon enough for whoever waits.
import { beforeEach, describe, expect, it } from 'vitest';
import { Confirmations } from '../../src/sync/confirmations.ts';
import { HeldUploads } from '../../src/sync/held-uploads.ts';

const one = 1;
const other = 2;
let nowMs: number;
let confirmations: Confirmations;
let held: HeldUploads;

beforeEach(() => {
  nowMs = 1_000;
  confirmations = new Confirmations(() => nowMs);
  held = new HeldUploads();
});

const dueMs = (folder: number, hurried: boolean): number =>
  confirmations.dueMs(folder, hurried, { isAwaited: (of) => held.awaits(of) });
/** A file is stored in a folder. Returns the folders that are told to be quiet. */
function stored(folder: number): readonly number[] {
  confirmations.begin(folder);
  const quiet = confirmations.end(folder);
  confirmations.untold(folder);
  return quiet;
}

describe('a folder in which a file was stored', () => {
  it('is looked at when nothing came after it for a while, at once where somebody waits', () => {
    expect(stored(one)).toEqual([one]);
    expect(dueMs(one, false)).toBe(3_000);
    expect(dueMs(one, true)).toBe(1_000);
  });

  it('is not looked at while more is to come, for a quarter of a minute', () => {
    stored(one);
    held.add(7, one);
    for (let time = 0; time < 10; time += 1) {
      expect(dueMs(one, true)).toBe(Math.min(nowMs + 2_000, 16_000));
      nowMs += 2_000;
    }
  });

  it('is not looked at while files are on their way elsewhere, five seconds long where somebody waits', () => {
    stored(one);
    confirmations.begin(other);
    expect(dueMs(one, false)).toBe(3_000);
    expect(dueMs(one, true)).toBe(6_000);
  });

  it('is not looked at between two uploads that end at one moment and those behind them', () => {
    stored(one);
    held.add(7, other);
    expect(dueMs(one, true)).toBe(6_000);
    nowMs = 2_500;
    expect(dueMs(one, false)).toBe(4_500);
    held.delete(7);
    expect(dueMs(one, true)).toBe(1_000);
    expect(dueMs(one, false)).toBe(3_000);
  });

  it('is told to be quiet with all others when the last upload ends', () => {
    confirmations.begin(other);
    expect(stored(one)).toEqual([one]);
    confirmations.begin(one);
    expect(confirmations.end(other)).toEqual([other]);
    expect(confirmations.end(one)).toEqual([one, one]);
    confirmations.looked(one);
    expect(dueMs(one, false)).toBe(0);
  });
});
