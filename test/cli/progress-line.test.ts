// The line that says how far sending is.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DrainProgress, type DrainState } from '../../src/cli/progress-line.ts';

function state(files: number, bytes: number, more: Partial<DrainState['pending']> = {}): DrainState {
  const pending = { files, bytes, sent: 0, bytesPerSecond: 0, secondsLeft: null, items: [], ...more };
  return { pending, online: true, paused: false };
}
const MIB = 2 ** 20;

describe('the line', () => {
  it('tells bytes, changes, pace and time', () => {
    const progress = new DrainProgress();
    progress.line(state(4, 100 * MIB), 200);
    const later = state(2, 75 * MIB, { sent: 25 * MIB, bytesPerSecond: 2 * MIB, secondsLeft: 80 });
    expect(progress.line(later, 200)).toBe(
      '[############------------]  50 %  50.0 MiB of 100 MiB, 2 of 4 changes, 2.0 MiB/s, 1 min 20 s left',
    );
  });

  it('counts changes without bytes as work, too', () => {
    const progress = new DrainProgress();
    progress.line(state(10, 0), 80);
    expect(progress.line(state(4, 0), 80)).toBe('[##############----------]  60 %  6 of 10 changes');
  });

  it('is full when nothing is left', () => {
    const progress = new DrainProgress();
    expect(progress.line(state(0, 0), 80)).toContain('100 %');
    progress.line(state(3, 500), 80);
    expect(progress.line(state(0, 0), 80)).toContain('[########################] 100 %');
  });

  it('says why nothing moves', () => {
    const progress = new DrainProgress();
    expect(progress.line({ ...state(1, 5), online: false }, 80)).toContain('OFFLINE');
    expect(progress.line({ ...state(1, 5), paused: true }, 80)).toContain('paused');
  });

  it('leaves the bar out on a narrow terminal', () => {
    expect(new DrainProgress().line(state(1, 5), 50)).toBe('0 %  0 B of 5 B, 0 of 1 change');
  });

  it('never is wider than the terminal, nor beyond its ends, whatever comes', () => {
    const look = fc.record({ files: fc.nat(1e6), bytes: fc.nat(2 ** 31), sent: fc.nat(2 ** 31) });
    fc.assert(
      fc.property(fc.array(look), fc.integer({ min: 1, max: 120 }), (looks, width) => {
        const progress = new DrainProgress();
        for (const { files, bytes, sent } of looks) {
          const line = progress.line(state(files, bytes, { sent }), width);
          expect(line.length).toBeLessThanOrEqual(width);
          const percent = /(-?\d+) %/.exec(line)?.[1];
          if (percent === undefined) continue;
          expect(Number(percent)).toBeGreaterThanOrEqual(0);
          expect(Number(percent)).toBeLessThanOrEqual(100);
        }
      }),
    );
  });
});
