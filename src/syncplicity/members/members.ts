// The members of a drive and which of them makes a call: the one that can soonest, then each in turn. A member that fails is left
// out until a look shows that it works again. Promises: no call of a pool goes through a member that was not seen to show the
// same account as the others. Knows no call in particular: how to look is told by whoever makes this.
import { abortReason, waitFor } from '../../base/abort.ts';
import { Deadline } from '../../base/deadline.ts';
import { createLog } from '../../base/log.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { CallClass } from '../../remote-drive.ts';
import type { Token } from '../token.ts';
import { type Member, Moved, type Turn } from './member.ts';
import { difference, type View } from './view.ts';

const log = createLog('members');

/** Waits that differ by less are the same: each in turn. */
const sameWaitMs = 10;
/** A member that left is looked at again after this, then after twice as much ... */
const lookAfterMs = 5_000;
/** ... at most: what takes longer is for its owner to mend. */
const lookMaxMs = 300_000;
/** Callers who find nobody cause a look themselves, but not more often than this. */
const urgentLookMs = 1_000;
/** A look is a token and a list of syncpoints. */
const lookLimitMs = 15_000;
/** The first one holds up everybody. */
const firstLookLimitMs = 8_000;
/** A member that leaves somebody waiting has this long to show that it answers at all. */
const challengeLimitMs = 5_000;

/** What a pool needs besides its members. */
export interface PoolWatch {
  /** What a member sees. */
  look(member: Member, signal: AbortSignal): Promise<View>;
  /** How long after it left a member is looked at. */
  readonly lookAfterMs: number | undefined;
  /** Told in a line when a member leaves, is refused or comes back. */
  report(line: string): void;
}

/** Who asks for a turn. */
export interface TurnAsked {
  /** Undefined: a transfer, which no budget counts. */
  readonly callClass?: CallClass | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Those that could not serve this call: they are asked no more. The turn adds to it. */
  readonly without: Set<Member>;
  /** The one whose turn it must be, while it is there. */
  readonly only?: Member | undefined;
}

/** What a member showed. */
interface Seen {
  readonly member: Member;
  readonly view: View;
}

export class Members {
  readonly all: readonly Member[];
  readonly #pool: PoolWatch | undefined;
  readonly #stopping = new AbortController();
  /** Those who are to show that they answer. */
  readonly #challenged = new Set<Member>();
  #next = 0;
  #userId: string | undefined;
  #looking: Promise<void> | undefined;
  #lookedAtMs = -Infinity;
  #pauseMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Without a `pool` it is a lone connection, whose view is compared with nothing. */
  constructor(all: readonly [Member, ...Member[]], pool: PoolWatch | undefined) {
    this.all = all;
    this.#pool = pool;
    this.#pauseMs = this.#firstPauseMs;
    if (pool === undefined) return;
    for (const member of all) {
      member.leave('unavailable', 'it was not looked at yet');
      member.onSilence = (): void => {
        this.#challenge(member).catch((error: unknown) => log('a look at %s failed: %O', member.name, error));
      };
    }
  }

  /** Members that take calls now. */
  get present(): readonly Member[] {
    // A lone connection is always there, whatever a pool it belongs to thinks of it.
    return this.#pool === undefined ? this.all : this.all.filter(({ absence }) => absence === undefined);
  }

  get #firstPauseMs(): number {
    return this.#pool?.lookAfterMs ?? lookAfterMs;
  }

  get isPool(): boolean {
    return this.#pool !== undefined;
  }

  /**
   * Resolves with the turn of the member that can call soonest. One that turns out to be unable leaves the turn, and where it is its own
   * fault the pool, to another. Rejects as the last of them did.
   */
  turn(asked: TurnAsked & { readonly callClass: CallClass }): Promise<Turn> {
    return this.#firstAble(asked, (member) => member.turn(asked.callClass, asked.signal));
  }

  /** Whether somebody is left to try a call that those could not serve. */
  hasOther(without: ReadonlySet<Member>): boolean {
    return this.present.some((member) => !without.has(member));
  }

  /** A token, and with it whose account this is. */
  token(signal: AbortSignal | undefined): Promise<Token> {
    return this.#firstAble({ signal, without: new Set() }, (member) => member.session.token.get(signal));
  }

  /**
   * Does work that is one member's from its begin to its end, such as a transfer. Members take turns; `preferred` is the id of the one
   * to take. Where one is refused for its credentials, which means that nothing was done, another does the work from its begin.
   */
  async attempt<T>(
    signal: AbortSignal | undefined,
    preferred: string | undefined,
    work: (member: Member) => Promise<T>,
  ): Promise<T> {
    const without = new Set<Member>();
    let only = preferred === undefined ? undefined : this.present.find(({ id }) => id === preferred);
    for (;;) {
      const member = await this.#firstAble({ signal, without, only }, async (candidate) => {
        await candidate.session.token.get(signal);
        return candidate;
      });
      try {
        return await work(member);
      } catch (error) {
        if (!(error instanceof RemoteError) || error.kind !== 'unauthenticated' || signal?.aborted === true)
          throw error;
        without.add(member);
        only = undefined;
        await this.#doubt(member, signal);
        if (!this.hasOther(without)) throw error;
      }
    }
  }

  /** A call could not be made because of the member: it leaves. One whose budget is spent stays: others are chosen meanwhile. */
  failed(member: Member, error: RemoteError): void {
    if (this.#pool === undefined || error.kind === 'throttled' || this.#stopping.signal.aborted) return;
    if (member.absence === undefined) this.#pauseMs = this.#firstPauseMs;
    this.#leave(member, error);
    this.#schedule();
  }

  /** Looks at all members for the first time: whether they show the account of this user, or, where none is known, of one user. */
  async open(userId: string | undefined): Promise<void> {
    this.#userId = userId;
    await this.#lookAtAbsent();
  }

  stop(): void {
    this.#stopping.abort(new RemoteError('unavailable', 'the drive is being stopped'));
    clearTimeout(this.#timer);
    for (const { session } of this.all) session.stop();
  }

  /** A server's words without the secrets of any member. */
  withoutSecrets(text: string): string {
    return this.all.reduce((clean, { session }) => session.withoutSecrets(clean), text);
  }

  /** What the first member makes that is able to; those that are not leave it to others. */
  async #firstAble<T>(asked: TurnAsked, make: (member: Member) => Promise<T>): Promise<T> {
    const { callClass, signal, without } = asked;
    for (let { only } = asked; ; only = undefined) {
      const isThere = only !== undefined && this.present.includes(only);
      const member = isThere ? only : await this.#choose(callClass, without, signal);
      try {
        return await make(member as Member);
      } catch (error) {
        if (signal?.aborted === true) throw error;
        if (error instanceof Moved) continue;
        if (!(error instanceof RemoteError)) throw error;
        without.add(member as Member);
        this.failed(member as Member, error);
        if (!this.hasOther(without)) throw error;
      }
    }
  }

  /** The member that can serve next; without a class, whose turn it is. Where nobody is there, they are looked at once more. */
  async #choose(
    callClass: CallClass | undefined,
    without: ReadonlySet<Member>,
    signal: AbortSignal | undefined,
  ): Promise<Member> {
    if (this.present.length === 0) {
      if (performance.now() - this.#lookedAtMs >= urgentLookMs) await waitFor(this.#lookAtAbsent(), signal);
      if (signal?.aborted === true) throw abortReason(signal);
    }
    const able = this.present.filter((member) => !without.has(member));
    const waits = able.map((member) => (callClass === undefined ? 0 : member.budget.waitMs(callClass)));
    const shortest = Math.min(...waits);
    const soonest = able.filter((_, index) => (waits[index] as number) <= shortest + sameWaitMs);
    const member = soonest[this.#next % soonest.length];
    this.#next += 1;
    if (member === undefined) throw this.#nobody();
    return member;
  }

  /** Whether a member's credentials still hold, after something was refused to it. */
  async #doubt(member: Member, signal: AbortSignal | undefined): Promise<void> {
    try {
      await member.session.token.get(signal);
    } catch (error) {
      if (signal?.aborted === true || !(error instanceof RemoteError)) throw error;
      this.failed(member, error);
    }
  }

  /** Where a member does not answer any more, it leaves, and what it was asked is asked of others, if there are any. */
  async #challenge(member: Member): Promise<void> {
    if (member.absence !== undefined || this.#challenged.has(member) || !this.hasOther(new Set([member]))) return;
    this.#challenged.add(member);
    try {
      const view = await this.#viewOf(member, challengeLimitMs);
      if (!(view instanceof RemoteError) || view.kind === 'throttled') return;
      this.failed(member, view);
      member.giveUp();
    } finally {
      this.#challenged.delete(member);
    }
  }

  /** Looks at those who are not there, once for all who ask. */
  #lookAtAbsent(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#lookedAtMs = performance.now();
      this.#looking = undefined;
      this.#schedule();
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const [present] = this.present;
    const absent = this.all.filter(({ absence }) => absence !== undefined);
    const views = await Promise.all(absent.map(async (member) => ({ member, view: await this.#viewOf(member) })));
    let accepted: Seen | undefined;
    for (const { member, view } of views) {
      if (view instanceof Error) {
        this.#leave(member, view);
        continue;
      }
      this.#userId ??= view.userId;
      if (view.userId !== this.#userId) {
        this.#leave(member, refusal(`it signs in as another user (${view.email ?? view.userId ?? 'unknown'})`));
        continue;
      }
      accepted ??= present === undefined ? undefined : await this.#seenBy(present);
      const differs = accepted === undefined ? undefined : await this.#difference({ member, view }, accepted);
      if (differs !== undefined) {
        this.#leave(member, refusal(`it does not show what "${accepted?.member.name ?? ''}" shows: ${differs}`));
        continue;
      }
      accepted ??= { member, view };
      this.#joins(member);
    }
  }

  /** In what a view differs from that of another member; looked at twice, for the account may change between two looks. */
  async #difference(seen: Seen, accepted: Seen): Promise<string | undefined> {
    const first = difference(seen.view, accepted.view);
    if (first === undefined) return undefined;
    const [again, reference] = await Promise.all([this.#viewOf(seen.member), this.#viewOf(accepted.member)]);
    return again instanceof Error || reference instanceof Error ? first : difference(again, reference);
  }

  async #seenBy(member: Member): Promise<Seen | undefined> {
    const view = await this.#viewOf(member);
    return view instanceof Error ? undefined : { member, view };
  }

  async #viewOf(
    member: Member,
    limitMs = this.#lookedAtMs === -Infinity ? firstLookLimitMs : lookLimitMs,
  ): Promise<View | RemoteError> {
    const late = (): Error => new RemoteError('unavailable', `the service did not answer within ${limitMs / 1000} s`);
    const deadline = new Deadline(limitMs, late, [this.#stopping.signal]);
    try {
      return await (this.#pool as PoolWatch).look(member, deadline.signal);
    } catch (error) {
      if (error instanceof RemoteError) return error;
      throw error;
    } finally {
      deadline.release();
    }
  }

  #leave(member: Member, { kind, message }: RemoteError): void {
    const before = member.absence?.reason;
    member.leave(kind, message);
    if (before !== message) this.#pool?.report(`"${member.name}" is left out of the pool: ${message}`);
  }

  #joins(member: Member): void {
    const wasKnown = this.#lookedAtMs !== -Infinity;
    member.join();
    if (wasKnown) this.#pool?.report(`"${member.name}" is in the pool again`);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#stopping.signal.aborted || this.present.length === this.all.length) return;
    this.#timer = setTimeout(() => {
      this.#pauseMs = Math.min(this.#pauseMs * 2, lookMaxMs);
      this.#lookAtAbsent().catch((error: unknown) => log('a look at absent members failed: %O', error));
    }, this.#pauseMs);
    this.#timer.unref();
  }

  /** Why nobody can serve. It passes by itself where that is so for one of them. */
  #nobody(): RemoteError {
    const reasons = this.all.map(
      ({ name, absence }) => `"${name}": ${absence?.reason ?? 'it could not serve the call'}`,
    );
    const isForGood = this.all.every(({ absence }) => absence?.kind === 'unauthenticated');
    const text = `no connection of the pool can be used: ${reasons.join('; ')}`;
    return new RemoteError(isForGood ? 'unauthenticated' : 'unavailable', text);
  }
}

/** A member that works, but not with the others. */
function refusal(reason: string): RemoteError {
  return new RemoteError('unauthenticated', `it is refused: ${reason}; take it out with connections pool unassign`);
}
