// How long a server asks us to wait, in any of the spellings gateways use. The guidelines speak of "an HTTP retry header"
// without naming it.
import type { ReplyHeaders } from './transport.ts';

const secondsOrDate = ['retry-after', 'x-retry-after', 'retry', 'x-ratelimit-retry-after', 'ratelimit-reset'];
const resetTimes = ['x-ratelimit-reset', 'x-rate-limit-reset'];

/** A wait beyond a day is a misread number, not a request. */
const longestWaitMs = 86_400_000;

/**
 * The wait asked for in milliseconds, or undefined where no header says so. A time to wait for is one of the server's clock, which may be off by
 * hours: it counts from the time that the same reply was made at (Date), and only without that from `nowMs`, the wall clock here.
 */
export function retryAfterMs(headers: ReplyHeaders, nowMs: number): number | undefined {
  const repliedMs = Date.parse(first(headers, 'date') ?? '');
  const fromMs = Number.isNaN(repliedMs) ? nowMs : repliedMs;
  const milliseconds = number(first(headers, 'retry-after-ms') ?? first(headers, 'x-retry-after-ms'));
  if (milliseconds !== undefined) return clamp(milliseconds);
  for (const name of [...secondsOrDate, ...resetTimes]) {
    const value = first(headers, name);
    if (value === undefined) continue;
    const wait = fromValue(value, fromMs);
    if (wait !== undefined) return clamp(wait);
  }
  return undefined;
}

function fromValue(value: string, fromMs: number): number | undefined {
  const amount = number(value.replace(/\s*s(ec(onds?)?)?$/i, ''));
  if (amount !== undefined) {
    // A number that is a time of this century: epoch in milliseconds or seconds, as reset headers carry it.
    if (amount > 1e12) return amount - fromMs;
    if (amount > 1e9) return amount * 1000 - fromMs;
    return amount * 1000;
  }
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : date - fromMs;
}

function first(headers: ReplyHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function number(value: string | undefined): number | undefined {
  const text = value?.trim();
  return text !== undefined && /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

function clamp(waitMs: number): number {
  return Math.min(Math.max(waitMs, 0), longestWaitMs);
}
