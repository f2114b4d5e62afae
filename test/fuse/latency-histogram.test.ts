// The histogram of latencies against the plain definition, and the counters that fill it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LATENCY_BOUNDS_SECONDS, LatencyHistogram } from '../../src/fuse/latency-histogram.ts';
import { opcode } from '../../src/fuse/kernel/protocol/constants.ts';
import { RequestCounters } from '../../src/fuse/kernel/statistics.ts';

const boundsMs = LATENCY_BOUNDS_SECONDS.map((seconds) => seconds * 1_000);
/** Durations of every order of magnitude, and the bounds themselves. */
const durationMs = fc.oneof(
  fc.constantFrom(0, ...boundsMs),
  fc.double({ min: -4, max: 6, noNaN: true }).map((power) => 10 ** power),
);

describe('a histogram of latencies', () => {
  it('has buckets from 50 µs to 30 s, each beyond the one before', () => {
    expect(LATENCY_BOUNDS_SECONDS.at(0)).toBe(0.000_05);
    expect(LATENCY_BOUNDS_SECONDS.at(-1)).toBe(30);
    expect(LATENCY_BOUNDS_SECONDS.toSorted((a, b) => a - b)).toEqual(LATENCY_BOUNDS_SECONDS);
    expect(new Set(LATENCY_BOUNDS_SECONDS).size).toBe(LATENCY_BOUNDS_SECONDS.length);
  });

  it('counts each duration in the first bucket whose bound is not below it', () => {
    fc.assert(
      fc.property(fc.array(durationMs, { maxLength: 200 }), (durations) => {
        const histogram = new LatencyHistogram();
        for (const ms of durations) histogram.record(ms);
        const { counts, sumSeconds } = histogram.snapshot();
        const edges = [...boundsMs, Infinity];
        const expected = edges.map(
          (bound, at) => durations.filter((ms) => ms <= bound && (at === 0 || ms > (edges[at - 1] as number))).length,
        );
        expect(counts).toEqual(expected);
        const sum = durations.reduce((total, ms) => total + ms, 0) / 1_000;
        expect(sumSeconds).toBeCloseTo(sum, 6);
      }),
    );
  });

  it('gives snapshots that what comes later does not change', () => {
    const histogram = new LatencyHistogram();
    histogram.record(1);
    const before = histogram.snapshot();
    histogram.record(1);
    expect(before.counts.reduce((sum, count) => sum + count)).toBe(1);
  });
});

describe('the counters of the kernel transport', () => {
  it('time what was begun and answered, by opcode', () => {
    const counters = new RequestCounters(true);
    for (const code of [opcode.READ, opcode.READ, opcode.LOOKUP]) {
      counters.request(code);
      counters.answered(code, counters.beginning());
    }
    // A FORGET is not answered.
    counters.request(opcode.FORGET);
    const { READ, LOOKUP, FORGET } = counters.byOpcode();
    const timed = [READ, LOOKUP, FORGET].map((one) => one?.latency?.counts.reduce((sum, count) => sum + count));
    expect(timed).toEqual([2, 1, 0]);
  });

  it('look at no clock where nobody wants to know', () => {
    const counters = new RequestCounters();
    counters.request(opcode.READ);
    const begunMs = counters.beginning();
    expect(begunMs).toBe(0);
    counters.answered(opcode.READ, begunMs);
    expect(counters.byOpcode()['READ']).toEqual({ requests: 1, errors: 0, bytes: 0, latency: undefined });
  });
});
