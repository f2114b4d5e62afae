// Which member of a drive makes a call: of those who are there, the one that can soonest, then each in turn. A call that a member could not
// make, for certain, is made by another. Knows no call in particular, and not who is there and why.
import { RemoteError } from '../../remote-drive.ts';
import type { CallClass } from '../../remote-drive.ts';
import type { Token } from '../token.ts';
import { Attendance, type PoolWatch } from './attendance.ts';
import { type Member, Moved, type Turn } from './member.ts';

/** Waits that differ by less are the same: each in turn. */
const sameWaitMs = 10;

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

export class Members {
  readonly all: readonly Member[];
  readonly attendance: Attendance;
  #next = 0;

  /** Without a `pool` it is a lone connection, which is always there. */
  constructor(all: readonly [Member, ...Member[]], pool: PoolWatch | undefined) {
    this.all = all;
    this.attendance = new Attendance(all, pool);
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
    return this.attendance.present.some((member) => !without.has(member));
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
    let only = preferred === undefined ? undefined : this.attendance.present.find(({ id }) => id === preferred);
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

  stop(): void {
    this.attendance.stop();
    for (const { session } of this.all) session.stop();
  }

  /** A server's words without the secrets of any member. */
  withoutSecrets(text: string): string {
    return this.all.reduce((clean, { session }) => session.withoutSecrets(clean), text);
  }

  /** What the first member makes that is able to; those that are not leave it to others. Where nobody is there, they are looked at once more. */
  async #firstAble<T>(asked: TurnAsked, make: (member: Member) => Promise<T>): Promise<T> {
    const { callClass, signal, without } = asked;
    for (let { only } = asked; ; only = undefined) {
      const wanted = this.attendance.present.find((one) => one === only);
      if (this.attendance.present.length === 0) await this.attendance.seek(signal);
      // Chosen and sent there within one turn of the event loop: the next one sees that it was.
      const member = wanted ?? this.#choose(callClass, without);
      try {
        return await make(member);
      } catch (error) {
        if (signal?.aborted === true) throw error;
        if (error instanceof Moved) continue;
        if (!(error instanceof RemoteError)) throw error;
        without.add(member);
        this.attendance.failed(member, error);
        if (!this.hasOther(without)) throw error;
      }
    }
  }

  /** The member that can serve next; without a class, whose turn it is. */
  #choose(callClass: CallClass | undefined, without: ReadonlySet<Member>): Member {
    const able = this.attendance.present.filter((member) => !without.has(member));
    const waits = able.map((member) => (callClass === undefined ? 0 : member.budget.expectedWaitMs(callClass)));
    const shortest = Math.min(...waits);
    const soonest = able.filter((_, index) => (waits[index] as number) <= shortest + sameWaitMs);
    const member = soonest[this.#next % soonest.length];
    this.#next += 1;
    if (member === undefined) throw this.attendance.nobody();
    return member;
  }

  /** Whether a member's credentials still hold, after something was refused to it. */
  async #doubt(member: Member, signal: AbortSignal | undefined): Promise<void> {
    try {
      await member.session.token.get(signal);
    } catch (error) {
      if (signal?.aborted === true || !(error instanceof RemoteError)) throw error;
      this.attendance.failed(member, error);
    }
  }
}
