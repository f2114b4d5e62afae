// The line to the service, which all calls of a drive share: connections, retries, counters, limits on bandwidth, and the budget of each
// app key. Knows no call.
import { CallBudget } from './budget.ts';
import { Counters } from './counters.ts';
import { ByteRate, type LineRates } from './http/byte-rate.ts';
import { HttpTransport } from './http/transport.ts';
import { Member } from './members/member.ts';
import { defaultBudget, defaultRetries, defaultSilenceMs, defaultTimeouts } from './options.ts';
import type { MemberOptions, ServiceOptions } from './options.ts';
import { Retries } from './retries.ts';
import { SignIns } from './sign-ins.ts';

/** What all members call through. */
export interface ServiceLine {
  readonly transport: HttpTransport;
  readonly retries: Retries;
  readonly counters: Counters;
  readonly rates: LineRates;
  readonly signIns: SignIns;
  stop(): Promise<void>;
}

/** The line to the service, and how its members are made: those of one app key share its budget. */
export function openLine(
  options: ServiceOptions,
  memberCount: number,
  silenceMs = defaultSilenceMs,
): { line: ServiceLine; make: (member: MemberOptions) => Member } {
  const stopping = new AbortController();
  const counters = new Counters();
  const tries = { ...defaultRetries, ...options.retries };
  const retries = new Retries(tries, stopping.signal, () => counters.isFailing);
  const signIns = new SignIns();
  const transport = new HttpTransport({
    timeouts: { ...defaultTimeouts, ...options.timeouts },
    ca: options.ca,
    proxyEnvironment: options.proxyEnvironment ?? process.env,
    proxyLoopback: options.proxyLoopback ?? false,
    userAgent: options.userAgent ?? 'syncplicityfs',
    callers: memberCount,
    watcher: counters,
  });
  const limits = {
    ...defaultBudget,
    ...options.budget,
    waitMs: { ...defaultBudget.waitMs, ...options.budget?.waitMs },
  };
  const budgets = new Map<string, CallBudget>();
  const make = (member: MemberOptions): Member => {
    const { clientId } = member.credentials;
    const budget = budgets.get(clientId) ?? new CallBudget(limits, member.stateFile);
    budgets.set(clientId, budget);
    return new Member(member, { transport, budget, retries, counters, signIns, isAlone: memberCount === 1, silenceMs });
  };
  const stop = async (): Promise<void> => {
    stopping.abort();
    await Promise.all([...[...budgets.values()].map((budget) => budget.stop()), transport.stop()]);
  };
  const rates = {
    up: rateOf(options.bandwidth?.upBytesPerSecond),
    down: rateOf(options.bandwidth?.downBytesPerSecond),
  };
  return { line: { transport, retries, counters, rates, signIns, stop }, make };
}

function rateOf(bytesPerSecond: number | undefined): ByteRate | undefined {
  return bytesPerSecond === undefined || bytesPerSecond === 0 ? undefined : new ByteRate(bytesPerSecond);
}
