// What a mount has served, counted by opcode. Only counts: nothing here decides anything.
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
  interrupted = 0;
  refusedReplies = 0;
  malformed = 0;

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
      counts[opcodeName(code)] = { requests, errors: this.#errors[code] as number, bytes: this.#bytes[code] as number };
    }
    return counts;
  }
}
