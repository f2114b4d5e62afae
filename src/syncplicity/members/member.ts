// One app key with which an account is used: its token, its call budget, its counters. A lone connection is one member, a pool has
// several. Knows no other members; what is said of its absence is theirs to say.
import { abortReason } from '../../base/abort.ts';
import type { CallClass, RemoteErrorKind } from '../../remote-drive.ts';
import type { BudgetCaller, CallBudget, Refusal } from '../budget.ts';
import { Counters } from '../counters.ts';
import type { HttpTransport } from '../http/transport.ts';
import type { MemberOptions } from '../options.ts';
import type { Retries } from '../retries.ts';
import { Session } from '../session.ts';
import type { Token } from '../token.ts';

export interface MemberParts {
  readonly transport: HttpTransport;
  /** Shared by members of one app key. */
  readonly budget: CallBudget;
  readonly retries: Retries;
  /** Of the whole drive. */
  readonly counters: Counters;
  /** There is nobody else to call. */
  readonly isAlone: boolean;
}

/** The right to make one call at once, with what it takes. */
export interface Turn {
  readonly member: Member;
  readonly gateway: URL;
  readonly token: Token;
}

/** A call that waited for its turn should ask again: another member may serve it sooner. */
export class Moved extends Error {}

/** Why a member is not used. */
export interface Absence {
  readonly kind: RemoteErrorKind;
  readonly reason: string;
  /** Wall clock. */
  readonly sinceMs: number;
}

export class Member {
  readonly id: string | undefined;
  readonly name: string;
  readonly session: Session;
  readonly budget: CallBudget;
  readonly counters: Counters;
  /** Calls that wait for their turn. */
  readonly #waiting = new Set<AbortController>();
  readonly #isAlone: boolean;
  #absence: Absence | undefined;

  constructor(options: MemberOptions, { transport, budget, retries, counters, isAlone }: MemberParts) {
    this.#isAlone = isAlone;
    this.id = options.id;
    this.name = options.name ?? 'the connection';
    this.budget = budget;
    this.counters = new Counters(counters);
    this.session = new Session(options, { transport, budget: this, counters: this.counters, retries });
  }

  get absence(): Absence | undefined {
    return this.#absence;
  }

  /**
   * Resolves when one call may leave at once. Rejects as the token or the budget does, with the signal's reason, or with {@link Moved}
   * when the member turns out to be unable while the call waits.
   */
  async turn(callClass: CallClass, signal: AbortSignal | undefined): Promise<Turn> {
    const waiting = new AbortController();
    const onAbort = (): void => waiting.abort(abortReason(signal as AbortSignal));
    if (signal?.aborted === true) throw abortReason(signal);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.add(waiting);
    try {
      const gateway = await this.session.gatewayUrl(waiting.signal);
      const token = await this.session.token.get(waiting.signal);
      await this.budget.acquire({ callClass, signal: waiting.signal });
      return { member: this, gateway, token };
    } finally {
      this.#waiting.delete(waiting);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Sends all who wait here away, to ask again. */
  moveWaiting(): void {
    for (const waiting of this.#waiting) waiting.abort(new Moved(`${this.name} cannot call now`));
  }

  /** From here on it is not used. */
  leave(kind: RemoteErrorKind, reason: string): void {
    this.#absence = { kind, reason, sinceMs: this.#absence?.sinceMs ?? Date.now() };
    this.moveWaiting();
  }

  join(): void {
    this.#absence = undefined;
  }

  acquire(caller: BudgetCaller): Promise<void> {
    return this.budget.acquire(caller);
  }

  /** The gateway refused a call of this app key because too many were made. */
  refused(refusal: Refusal): void {
    this.counters.overspent();
    this.budget.refused(refusal);
    if (!this.#isAlone) this.moveWaiting();
  }

  accepted(): void {
    this.budget.accepted();
  }
}
