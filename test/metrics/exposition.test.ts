// What the text says, read back by a strict reader: every value under its name and labels, whatever the readings are.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Exposition } from '../../src/metrics/exposition.ts';
import { takeProcessReadings } from '../../src/metrics/process-readings.ts';
import type { Readings } from '../../src/metrics/readings.ts';
import { type Exposed, parseExposition, seriesIn, valueIfAny, valueOf } from './exposition-format.ts';
import { quietReadings } from './readings.ts';

const exposition = new Exposition();

async function expose(changes: Partial<Readings> = {}): Promise<Exposed> {
  return parseExposition(await exposition.text({ ...quietReadings, ...changes, process: await takeProcessReadings() }));
}

describe('the text', () => {
  it('has every family, with a sentence about it, also where nothing happened yet', async () => {
    const exposed = await expose();
    expect(exposed.size).toBeGreaterThan(45);
    for (const [name, { help }] of exposed) expect(help, name).toMatch(/^[A-Z1].+\.$/);
    expect([...exposed.keys()].filter((name) => !/^(syncplicityfs|process|nodejs)_/.test(name))).toEqual([]);
    expect(
      valueOf(exposed, 'syncplicityfs_build_info', {
        version: '1.2.3',
        transport: 'kernel',
        node: process.versions.node,
      }),
    ).toBe(1);
    expect(valueOf(exposed, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(valueOf(exposed, 'process_start_time_seconds')).toBeGreaterThan(1.7e9);
    expect(valueOf(exposed, 'nodejs_eventloop_lag_seconds')).toBeGreaterThan(0);
  });

  it('has the metrics of doc/METRICS.md with the labels named there, and no others', async () => {
    const page = readFileSync(new URL('../../doc/METRICS.md', import.meta.url), 'utf8');
    const named = new Map<string, string[]>();
    const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
    for (const [, names = '', labels = ''] of page.matchAll(/^\| (`[^|]*)\|([^|]*)\|/gm))
      for (const name of quoted(names)) named.set(name, quoted(labels));
    const latency = { counts: [1, 0, 0], sumSeconds: 1 };
    const budget = { perSecond: 1, perHour: 1, leftThisHour: 1 };
    const exposed = await expose({
      calls: { ...quietReadings.calls, byEndpoint: { 'file.svc GET': 1 }, budget },
      members: [{ name: 'one', calls: 1, throttled: 0, budget, available: true }],
      transfers: { bytesIn: 0, bytesOut: 0, limitIn: 1, limitOut: 1 },
      fuse: { ...quietReadings.fuse, byOpcode: { READ: { requests: 1, errors: 0, latency } } },
    });
    const told = [...exposed].map(([name, { series }]): [string, string[]] => {
      const labels = new Set(series.flatMap((one) => Object.keys(one.labels)));
      labels.delete('le');
      return [name, [...labels].toSorted()];
    });
    expect(new Map(told)).toEqual(new Map([...named].map(([name, labels]) => [name, labels.toSorted()])));
    const alerts = page.slice(page.indexOf('## To be called'));
    for (const [name] of alerts.matchAll(/syncplicityfs_\w+/g)) expect([...named.keys()]).toContain(name);
  });

  it('tells of limits only where there are some', async () => {
    const names = ['left', 'per_hour', 'per_second'].map((name) => `syncplicityfs_call_budget_${name}`);
    const budget = { perSecond: 15, perHour: 100, leftThisHour: 60 };
    const without = await expose();
    expect(names.map((name) => valueIfAny(without, name))).toEqual([undefined, undefined, undefined]);
    const having = await expose({
      calls: { ...quietReadings.calls, budget },
      transfers: { bytesIn: 1, bytesOut: 2, limitIn: null, limitOut: 5 },
    });
    expect(names.map((name) => valueIfAny(having, name))).toEqual([60, 100, 15]);
    const limit = 'syncplicityfs_bandwidth_limit_bytes_per_second';
    expect(valueOf(having, limit, { direction: 'out' })).toBe(5);
    expect(valueIfAny(having, limit, { direction: 'in' })).toBeUndefined();
    // What is gone is gone.
    expect(seriesIn(await expose()).filter(({ name }) => name === limit || names.includes(name))).toEqual([]);
  });

  it('tells counts as they are, not what came since the scrape before', async () => {
    for (const throttled of [3, 5, 5]) {
      const exposed = await expose({ calls: { ...quietReadings.calls, throttled } });
      expect(valueOf(exposed, 'syncplicityfs_throttled_calls_total')).toBe(throttled);
    }
  });

  it('carries members of any name', async () => {
    const names = fc.uniqueArray(
      fc.string({ unit: 'binary', maxLength: 20 }).filter((name) => name !== ''),
      { maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(names, async (all) => {
        const budget = { perSecond: 15, perHour: 100, leftThisHour: 60 };
        const members = all.map((name, calls) => ({ name, calls, throttled: 0, budget, available: calls % 2 === 0 }));
        const exposed = await expose({ members });
        for (const [calls, member] of all.entries()) {
          expect(valueOf(exposed, 'syncplicityfs_member_calls_total', { member })).toBe(calls);
          expect(valueOf(exposed, 'syncplicityfs_member_available', { member })).toBe(Number(calls % 2 === 0));
        }
        expect(exposed.get('syncplicityfs_member_calls_total')?.series).toHaveLength(all.length);
      }),
    );
  });

  it('sums buckets up, and leaves out what was never answered', async () => {
    const counts = fc.array(fc.nat(1e6), { minLength: 3, maxLength: 3 });
    const name = 'syncplicityfs_fuse_request_duration_seconds';
    await fc.assert(
      fc.asyncProperty(counts, fc.double({ min: 0, max: 1e6, noNaN: true }), async (each, sumSeconds) => {
        const latency = { counts: each, sumSeconds };
        const byOpcode = {
          READ: { requests: 7, errors: 1, latency },
          FORGET: { requests: 9, errors: 0, latency: { counts: [0, 0, 0], sumSeconds: 0 } },
          STATFS: { requests: 1, errors: 0, latency: undefined },
        };
        const exposed = await expose({ fuse: { ...quietReadings.fuse, byOpcode } });
        const [first = 0, second = 0, beyond = 0] = each;
        const cumulated = { '0.001': first, '1': first + second, '+Inf': first + second + beyond };
        const isNone = cumulated['+Inf'] === 0;
        for (const [le, count] of Object.entries(cumulated))
          expect(valueIfAny(exposed, `${name}_bucket`, { opcode: 'READ', le })).toBe(isNone ? undefined : count);
        expect(valueIfAny(exposed, `${name}_sum`, { opcode: 'READ' })).toBe(isNone ? undefined : sumSeconds);
        expect(exposed.get(name)?.series.filter(({ labels }) => labels['opcode'] !== 'READ')).toEqual([]);
        const requests = exposed.get('syncplicityfs_fuse_requests_total')?.series;
        expect(requests?.map(({ labels, value }) => [labels['opcode'], value])).toEqual([
          ['READ', 7],
          ['FORGET', 9],
          ['STATFS', 1],
        ]);
      }),
    );
  });
});

describe('the strict reader', () => {
  it.each([
    ['# HELP a b\n# TYPE a gauge\na 1', 'line feed'],
    ['# TYPE a gauge\na 1\n', 'HELP'],
    ['# HELP a b\n# TYPE a counter\na 1\n', '_total'],
    ['# HELP a b\n# TYPE a gauge\na Nan\n', 'value'],
    ['# HELP a b\n# TYPE a gauge\na 1\na 1\n', 'twice'],
    ['# HELP a b\n# TYPE a gauge\nb 1\n', 'family'],
    ['# HELP a b\n# TYPE a gauge\na{x="\\t"} 1\n', 'labels'],
    ['# HELP a_total b\n# TYPE a_total counter\na_total -1\n', 'below zero'],
    ['# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n', '+Inf'],
    ['# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n', 'cumulative'],
    ['# HELP a b\n# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n', '_count'],
  ])('refuses %j', (text, why) => expect(() => parseExposition(text)).toThrow(why));
});
