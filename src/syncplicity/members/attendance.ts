// Who of a pool is there. A member that fails is left out until a look shows that it works again. Promises: nobody is there who was not
// seen to show the same account as the others. A lone connection is always there. Must not know: how to look, what is called.
import { abortReason, waitFor } from '../../base/abort.ts';
import { Deadline } from '../../base/deadline.ts';
import { createLog } from '../../base/log.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { Member } from './member.ts';
import { difference, type View } from './view.ts';

const log = createLog('members');

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

/** What a member showed. */
interface Seen {
  readonly member: Member;
  readonly view: View;
}

export class Attendance {
  readonly #all: readonly Member[];
  readonly #pool: PoolWatch | undefined;
  readonly #stopping = new AbortController();
  /** Those who are to show that they answer. */
  readonly #challenged = new Set<Member>();
  /** Whose account it is, once that is known. */
  #userId: string | undefined;
  #looking: Promise<void> | undefined;
  #lookedAtMs = -Infinity;
  #pauseMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(all: readonly Member[], pool: PoolWatch | undefined) {
    this.#all = all;
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

  get isPool(): boolean {
    return this.#pool !== undefined;
  }

  /** Members that take calls now. */
  get present(): readonly Member[] {
    // A lone connection is always there, whatever a pool it belongs to thinks of it.
    return this.#pool === undefined ? this.#all : this.#all.filter(({ absence }) => absence === undefined);
  }

  /** Looks at all members for the first time: whether they show the account of this user, or, where none is known, of one user. */
  async open(userId: string | undefined): Promise<void> {
    this.#userId = userId;
    await this.#lookAtAbsent();
  }

  /** A call could not be made because of the member: it leaves. One whose budget is spent stays: others are chosen meanwhile. */
  failed(member: Member, error: RemoteError): void {
    if (this.#pool === undefined || error.kind === 'throttled' || this.#stopping.signal.aborted) return;
    if (member.absence === undefined) this.#pauseMs = this.#firstPauseMs;
    this.#leave(member, error);
    this.#schedule();
  }

  /** Looks whether somebody is back, unless that was done just now. */
  async seek(signal: AbortSignal | undefined): Promise<void> {
    if (performance.now() - this.#lookedAtMs >= urgentLookMs) await waitFor(this.#lookAtAbsent(), signal);
    if (signal?.aborted === true) throw abortReason(signal);
  }

  /** Why nobody can serve. It passes by itself where that is so for one of them. */
  nobody(): RemoteError {
    const reasons = this.#all.map(
      ({ name, absence }) => `"${name}": ${absence?.reason ?? 'it could not serve the call'}`,
    );
    const isForGood = this.#all.every(({ absence }) => absence?.kind === 'unauthenticated');
    const text = `no connection of the pool can be used: ${reasons.join('; ')}`;
    return new RemoteError(isForGood ? 'unauthenticated' : 'unavailable', text);
  }

  stop(): void {
    this.#stopping.abort(new RemoteError('unavailable', 'the drive is being stopped'));
    clearTimeout(this.#timer);
  }

  get #firstPauseMs(): number {
    return this.#pool?.lookAfterMs ?? lookAfterMs;
  }

  /** Where a member does not answer any more, it leaves, and what it was asked is asked of others, if there are any. */
  async #challenge(member: Member): Promise<void> {
    if (member.absence !== undefined || this.#challenged.has(member) || !this.present.some((other) => other !== member))
      return;
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
    const absent = this.#all.filter(({ absence }) => absence !== undefined);
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
    const before = member.absence;
    member.leave(kind, message);
    // The time that a budget needs is another at each look.
    const isKnown = before?.reason === message || (kind === 'throttled' && before?.kind === kind);
    if (!isKnown) this.#pool?.report(`"${member.name}" is left out of the pool: ${message}`);
  }

  #joins(member: Member): void {
    const wasKnown = this.#lookedAtMs !== -Infinity;
    member.join();
    if (wasKnown) this.#pool?.report(`"${member.name}" is in the pool again`);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#stopping.signal.aborted || this.present.length === this.#all.length) return;
    this.#timer = setTimeout(() => {
      this.#pauseMs = Math.min(this.#pauseMs * 2, lookMaxMs);
      this.#lookAtAbsent().catch((error: unknown) => log('a look at absent members failed: %O', error));
    }, this.#pauseMs);
    this.#timer.unref();
  }
}

/** A member that works, but not with the others. */
function refusal(reason: string): RemoteError {
  return new RemoteError('unauthenticated', `it is refused: ${reason}; take it out with connections pool unassign`);
}
