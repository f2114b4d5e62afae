// Which sign-ins the service does not accept: of a connection, or at a StorageVault with authentication of its own. Told once as it begins and
// once as it ends, for people: no call asks here whether it may be made. A call may be refused as if its sign-in were while others are answered,
// for want of a right: that is found out once.
import type { RemoteError } from '../remote-drive.ts';

/** Sign-ins that are refused, as others may see them. */
export interface RefusedSignIns {
  /** Why, by what is called so in messages: a connection's name, or "StorageVault NAME (CONNECTION)". No secret is in it. */
  readonly refused: ReadonlyMap<string, string>;
  /** Whose sign-in was accepted last time. Of whom nothing was asked yet is in neither. */
  readonly accepted: ReadonlySet<string>;
  /** Tells whose sign-in is refused or accepted from now on. Returns the way out. */
  onChange(listener: (who: string) => void): () => void;
}

/** Names of calls, of which there are few. */
interface RefusedCalls {
  /** Since something was answered last. */
  readonly refused: Set<string>;
  readonly byThemselves: Set<string>;
}

export class SignIns implements RefusedSignIns {
  readonly refused = new Map<string, string>();
  readonly accepted = new Set<string>();
  readonly #listeners = new Set<(who: string) => void>();
  readonly #calls = new Map<string, RefusedCalls>();

  onChange(listener: (who: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The service gives no token, or took neither this one nor a new one for a call of that name. */
  refuse(who: string, { message }: RemoteError, call?: string): void {
    if (call !== undefined) {
      const calls = this.#callsOf(who);
      if (calls.byThemselves.has(call)) return;
      calls.refused.add(call);
    }
    const isKnown = this.refused.has(who);
    this.refused.set(who, message);
    this.accepted.delete(who);
    if (!isKnown) this.#tell(who);
  }

  /** Something was answered that needs the sign-in: a call of that name. */
  accept(who: string, call?: string): void {
    if (call !== undefined) this.#tellApart(who, call);
    if (this.accepted.has(who)) return;
    this.accepted.add(who);
    this.refused.delete(who);
    this.#tell(who);
  }

  /** What was refused although this was answered is refused by itself, until it is answered too. */
  #tellApart(who: string, answered: string): void {
    const { refused, byThemselves } = this.#callsOf(who);
    for (const call of refused) byThemselves.add(call);
    refused.clear();
    byThemselves.delete(answered);
  }

  #callsOf(who: string): RefusedCalls {
    const known = this.#calls.get(who);
    if (known !== undefined) return known;
    const calls = { refused: new Set<string>(), byThemselves: new Set<string>() };
    this.#calls.set(who, calls);
    return calls;
  }

  #tell(who: string): void {
    for (const listener of this.#listeners) listener(who);
  }
}
