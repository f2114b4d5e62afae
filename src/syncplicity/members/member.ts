// One app key with which an account is used: its token, its call budget, its counters. A lone connection is one member, a pool has
// several. Knows no other members; what is said of its absence is theirs to say.
import { abortReason } from '../../base/abort.ts';
import type { CallClass, RemoteError, RemoteErrorKind } from '../../remote-drive.ts';
import type { BudgetCaller, CallBudget, Refusal } from '../budget.ts';
import { Counters } from '../counters.ts';
import { type HttpReply, type HttpTransport, wasNeverSent } from '../http/transport.ts';
import type { MemberOptions } from '../options.ts';
import type { Retries } from '../retries.ts';
import { Session } from '../session.ts';
import type { SignIns } from '../sign-ins.ts';
import type { Token } from '../token.ts';

export interface MemberParts {
  readonly transport: HttpTransport;
  /** Shared by members of one app key. */
  readonly budget: CallBudget;
  readonly retries: Retries;
  /** Of the whole drive. */
  readonly counters: Counters;
  readonly signIns: SignIns;
  /** There is nobody else to call. */
  readonly isAlone: boolean;
  /** How long a reply may take before somebody asks whether any will come. */
  readonly silenceMs: number;
}

/** The right to make one call at once, with what it takes. */
export interface Turn {
  readonly member: Member;
  readonly gateway: URL;
  readonly token: Token;
}

/** A call that waits, for its turn or for the answer to what changes nothing, should ask again: another member may serve it sooner. */
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
  /** Told while somebody has waited long for an answer of this member. */
  onSilence: (() => void) | undefined;
  /** Calls that wait for their turn. */
  readonly #waiting = new Set<AbortController>();
  /** Calls that wait for an answer and may be made again. */
  readonly #repeatable = new Set<AbortController>();
  readonly #silenceMs: number;
  readonly #isAlone: boolean;
  readonly #signIns: SignIns;
  #absence: Absence | undefined;

  constructor(options: MemberOptions, parts: MemberParts) {
    const { transport, budget, retries, counters, signIns, isAlone, silenceMs } = parts;
    this.#silenceMs = silenceMs;
    this.#isAlone = isAlone;
    this.#signIns = signIns;
    this.id = options.id;
    this.name = options.name ?? 'the connection';
    this.budget = budget;
    this.counters = new Counters(counters);
    this.session = new Session(options, {
      transport,
      budget: this,
      counters: this.counters,
      retries,
      signIns,
      name: this.name,
    });
  }

  get absence(): Absence | undefined {
    return this.#absence;
  }

  /**
   * Resolves when one call may leave at once. Rejects as the token or the budget does, with the signal's reason, or with {@link Moved}
   * when the member turns out to be unable while the call waits.
   */
  async turn(callClass: CallClass, signal: AbortSignal | undefined): Promise<Turn> {
    const { controller: waiting, release } = follow(signal);
    this.#waiting.add(waiting);
    try {
      const { gateway, token } = await this.#access(waiting.signal);
      await this.budget.acquire({ callClass, signal: waiting.signal });
      return { member: this, gateway, token };
    } finally {
      this.#waiting.delete(waiting);
      release();
    }
  }

  /** What a call needs besides its turn; meanwhile the call counts as sent here. */
  async #access(signal: AbortSignal): Promise<Pick<Turn, 'gateway' | 'token'>> {
    const arrived = this.budget.expect();
    try {
      const gateway = await this.session.gatewayUrl(signal);
      return { gateway, token: await this.#answerOf(this.session.token.get(signal)) };
    } finally {
      arrived();
    }
  }

  /**
   * Sends a request of a call that had its turn. One that may be made again rejects with {@link Moved} when the member turns out to answer
   * nothing any more.
   */
  async send(
    request: (signal: AbortSignal | undefined) => Promise<HttpReply>,
    signal: AbortSignal | undefined,
    mayRepeat: boolean,
  ): Promise<HttpReply> {
    try {
      return await this.#send(request, signal, mayRepeat);
    } catch (error) {
      if (wasNeverSent(error)) this.takeBack();
      throw error;
    }
  }

  async #send(
    request: (signal: AbortSignal | undefined) => Promise<HttpReply>,
    signal: AbortSignal | undefined,
    mayRepeat: boolean,
  ): Promise<HttpReply> {
    if (this.#isAlone) return request(signal);
    if (!mayRepeat) return this.#answerOf(request(signal));
    const { controller, release } = follow(signal);
    this.#repeatable.add(controller);
    try {
      const reply = await this.#answerOf(request(controller.signal));
      // Until its end the body can be aborted by whoever asked for it.
      reply.body.once('close', release);
      return reply;
    } catch (error) {
      release();
      throw error;
    } finally {
      this.#repeatable.delete(controller);
    }
  }

  /** What waits for an answer and changes nothing is to be asked of somebody else. */
  giveUp(): void {
    for (const controller of this.#repeatable) controller.abort(new Moved(`${this.name} does not answer`));
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

  async #answerOf<T>(reply: Promise<T>): Promise<T> {
    if (this.#isAlone) return reply;
    const timer = setTimeout(() => this.onSilence?.(), this.#silenceMs);
    timer.unref();
    try {
      return await reply;
    } finally {
      clearTimeout(timer);
    }
  }

  /** How long a call would wait for its turn. */
  waitMs(callClass: CallClass): number {
    return this.budget.waitMs(callClass);
  }

  acquire(caller: BudgetCaller): Promise<void> {
    return this.budget.acquire(caller);
  }

  /** A call that had its turn leaves this machine now. */
  left(): void {
    this.budget.left();
  }

  /** A call that had its turn never left this machine. */
  takeBack(): void {
    this.budget.takeBack();
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

  /** A call was done: whoever this is, the service lets them in. */
  served(call: string): void {
    this.budget.accepted();
    this.counters.served();
    this.#signIns.accept(this.name, call);
  }

  /** The service took neither the token nor a new one. */
  notLetIn(error: RemoteError, call: string): void {
    this.#signIns.refuse(this.name, error, call);
  }
}

/** A controller that aborts with a signal until it is released. Throws where the signal has aborted. */
function follow(signal: AbortSignal | undefined): {
  readonly controller: AbortController;
  readonly release: () => void;
} {
  if (signal?.aborted === true) throw abortReason(signal);
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(abortReason(signal as AbortSignal));
  signal?.addEventListener('abort', onAbort, { once: true });
  return { controller, release: () => signal?.removeEventListener('abort', onAbort) };
}
