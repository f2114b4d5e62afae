// Which sign-ins the service does not accept: of a connection, or at a StorageVault with authentication of its own. Told once as it begins and
// once as it ends, for people: no call asks here whether it may be made.
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

export class SignIns implements RefusedSignIns {
  readonly refused = new Map<string, string>();
  readonly accepted = new Set<string>();
  readonly #listeners = new Set<(who: string) => void>();

  onChange(listener: (who: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The service took neither this token nor a new one, or gives no new one. */
  refuse(who: string, { message }: RemoteError): void {
    const isKnown = this.refused.has(who);
    this.refused.set(who, message);
    this.accepted.delete(who);
    if (!isKnown) this.#tell(who);
  }

  /** Something was answered that needs the sign-in. */
  accept(who: string): void {
    if (this.accepted.has(who)) return;
    this.accepted.add(who);
    this.refused.delete(who);
    this.#tell(who);
  }

  #tell(who: string): void {
    for (const listener of this.#listeners) listener(who);
  }
}
