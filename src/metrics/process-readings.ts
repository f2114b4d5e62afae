// What this process tells of itself: only what costs nothing until it is asked for. prom-client's own collection beside it runs a timer
// a hundred times a second and an observer at each garbage collection (doc/decisions/0023-metrics.md).
import { performance } from 'node:perf_hooks';
import { nextTurn } from '../base/event-loop.ts';

export interface ProcessReadings {
  /** Only grows, as `activeSeconds` does. */
  readonly cpuSeconds: number;
  /** Since the epoch. */
  readonly startSeconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly heapUsedBytes: number;
  /** How long the turn took in which this was asked for. */
  readonly lagSeconds: number;
  /** Time in which the event loop did not wait. */
  readonly activeSeconds: number;
}

/** Takes them; resolves in the next turn of the event loop. */
export async function takeProcessReadings(): Promise<ProcessReadings> {
  const askedMs = performance.now();
  await nextTurn();
  const lagMs = performance.now() - askedMs;
  const { user, system } = process.cpuUsage();
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    startSeconds: performance.timeOrigin / 1_000,
    residentBytes: rss,
    heapBytes: heapTotal,
    heapUsedBytes: heapUsed,
    lagSeconds: lagMs / 1_000,
    activeSeconds: performance.eventLoopUtilization().active / 1_000,
  };
}
