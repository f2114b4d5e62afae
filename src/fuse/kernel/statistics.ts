// What a mount has served, counted and, if wanted, timed by opcode. Only counts: nothing here decides anything.
import { performance } from 'node:perf_hooks';
import { LatencyHistogram } from '../latency-histogram.ts';
import type { OpcodeStatistics, RequestStatistics } from '../transport.ts';
import { opcodeName } from './protocol/constants.ts';

/** A snapshot of a mount's counters. */
export interface TransportStatistics extends RequestStatistics {
  /** Requests aborted because their caller was interrupted. */
  readonly interrupted: number;
  /** Replies the kernel no longer wanted. */
  readonly refusedReplies: number;
  /** Messages that made no sense. */
  readonly malformed: number;
  /** The kernel's read-ahead window for this mount, or undefined where it is unknown. */
  readonly readAheadBytes: number | undefined;
  readonly notifications: NotificationStatistics;
}

export interface NotificationStatistics {
  readonly sent: number;
  readonly waiting: number;
  /** The kernel did not have what it was told to drop: normal. */
  readonly unknown: number;
  readonly failed: number;
  /** How often more names waited than fit, and all were expired at once. */
  readonly overflows: number;
}

/** Opcodes beyond this are counted as this one. */
const OPCODE_MAX = 63;

export class RequestCounters {
  readonly #requests = new Float64Array(OPCODE_MAX + 1);
  readonly #errors = new Float64Array(OPCODE_MAX + 1);
  readonly #bytes = new Float64Array(OPCODE_MAX + 1);
  readonly #latencies: readonly LatencyHistogram[] | undefined;
  interrupted = 0;
  refusedReplies = 0;
  malformed = 0;

  /** @param timesRequests whether `beginning` and `answered` look at the clock */
  constructor(timesRequests = false) {
    if (timesRequests) this.#latencies = Array.from({ length: OPCODE_MAX + 1 }, () => new LatencyHistogram());
  }

  /** When a request begins, for `answered`; 0 where nobody wants to know. */
  beginning(): number {
    return this.#latencies === undefined ? 0 : performance.now();
  }

  /** The reply to a request that began then was written. */
  answered(opcode: number, begunMs: number): void {
    if (begunMs > 0) this.#latencies?.[Math.min(opcode, OPCODE_MAX)]?.record(performance.now() - begunMs);
  }

  request(opcode: number): void {
    const at = Math.min(opcode, OPCODE_MAX);
    this.#requests[at] = (this.#requests[at] as number) + 1;
  }

  error(opcode: number): void {
    const at = Math.min(opcode, OPCODE_MAX);
    this.#errors[at] = (this.#errors[at] as number) + 1;
  }

  replied(opcode: number, bodyBytes: number): void {
    const at = Math.min(opcode, OPCODE_MAX);
    this.#bytes[at] = (this.#bytes[at] as number) + bodyBytes;
  }

  byOpcode(): Record<string, OpcodeStatistics> {
    const counts: Record<string, OpcodeStatistics> = {};
    for (let code = 0; code <= OPCODE_MAX; code++) {
      const requests = this.#requests[code] as number;
      if (requests === 0) continue;
      counts[opcodeName(code)] = {
        requests,
        errors: this.#errors[code] as number,
        bytes: this.#bytes[code] as number,
        latency: this.#latencies?.[code]?.snapshot(),
      };
    }
    return counts;
  }
}
