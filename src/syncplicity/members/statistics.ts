// What the members of a pool did, and in sum what they may do, for `status`. No secret is in it.
import { formatDuration } from '../../base/quantities.ts';
import type { BudgetState } from '../budget.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';

/** A member whose next call waits longer than this is as good as away. */
const longWaitMs = 10_000;

/** One connection of a pool. */
export interface MemberStatistics {
  readonly id: string | undefined;
  readonly name: string;
  /** Gateway calls. */
  readonly total: number;
  /** Of them refused by the call budget of the service. */
  readonly throttled: number;
  readonly budget: BudgetState;
  /** Why and since when (wall clock) it takes no calls; undefined: it does. */
  readonly out: { readonly reason: string; readonly sinceMs: number | undefined } | undefined;
}

/** The members of a pool, in its order; none of a lone connection. */
export function memberStatistics(members: Members): MemberStatistics[] {
  if (!members.attendance.isPool) return [];
  return members.all.map((member) => ({
    id: member.id,
    name: member.name,
    total: member.counters.total,
    throttled: member.counters.throttled,
    budget: member.budget.state(),
    out: outOf(member),
  }));
}

function outOf({ absence, budget }: Member): MemberStatistics['out'] {
  if (absence !== undefined) return { reason: absence.reason, sinceMs: absence.sinceMs };
  const waitMs = budget.waitMs('interactive');
  if (waitMs < longWaitMs) return undefined;
  const wait = formatDuration(waitMs);
  return { reason: `its call budget is spent: the next call is possible in ${wait}`, sinceMs: undefined };
}

/** What several may do together. App keys that members share count once; one without a limit leaves all without. */
export function sumOfBudgets(all: readonly Member[]): BudgetState {
  const states = [...new Set(all.map(({ budget }) => budget))].map((budget) => budget.state());
  const sum = (of: (state: BudgetState) => number): number => states.reduce((total, state) => total + of(state), 0);
  const limit = (of: (state: BudgetState) => number): number => (states.some((state) => of(state) === 0) ? 0 : sum(of));
  return {
    perSecond: limit(({ perSecond }) => perSecond),
    perHour: limit(({ perHour }) => perHour),
    leftThisHour: sum(({ leftThisHour }) => leftThisHour),
    waiting: sum(({ waiting }) => waiting),
  };
}
