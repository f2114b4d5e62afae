// With whom each syncpoint is shared. Promises: the owner comes first and is always there; what is shared is as it was told last. Lives
// as long as the process. Must not know: HTTP, JSON.
import type { Group, People } from './people.ts';
import type { Permission, Person, SyncpointRecord } from './store.ts';

/** A person or a group a syncpoint is shared with. */
export type Sharee =
  { readonly kind: 'user'; readonly person: Person } | { readonly kind: 'group'; readonly group: Group };

export interface Participation {
  readonly sharee: Sharee;
  readonly permission: Permission;
  readonly isOwner: boolean;
  readonly inviter: Person | undefined;
}

/** Calls with this many participants and more are refused: the guide's limits. */
export const PARTICIPANTS_MAX = 1000;

export class Sharing {
  readonly #people: People;
  readonly #shares = new Map<number, Map<string, Participation>>();

  constructor(people: People) {
    this.#people = people;
  }

  /** Everybody who takes part in a syncpoint, the owner first. */
  participants(syncpoint: SyncpointRecord): readonly Participation[] {
    const owner = this.owner(syncpoint);
    const first: Participation = {
      sharee: { kind: 'user', person: owner },
      permission: 1,
      isOwner: true,
      inviter: undefined,
    };
    const rest = [...this.#of(syncpoint).entries()].filter(([key]) => key !== owner.id).map(([, one]) => one);
    return [first, ...rest];
  }

  owner(syncpoint: SyncpointRecord): Person {
    return syncpoint.owner ?? this.#people.self;
  }

  isOwnedBySelf(syncpoint: SyncpointRecord): boolean {
    return this.owner(syncpoint).id === this.#people.self.id;
  }

  /** Shares, or changes the permission of who takes part; permission 0 ends that. False: there are too many. */
  share(syncpoint: SyncpointRecord, sharee: Sharee, permission: Permission): boolean {
    const shares = this.#of(syncpoint);
    const key = keyOf(sharee);
    if (permission === 0) {
      shares.delete(key);
      return true;
    }
    if (!shares.has(key) && this.participants(syncpoint).length >= PARTICIPANTS_MAX) return false;
    const inviter = shares.get(key)?.inviter ?? this.#people.self;
    shares.set(key, { sharee, permission, isOwner: false, inviter });
    return true;
  }

  unshare(syncpoint: SyncpointRecord, sharee: Sharee): void {
    this.#of(syncpoint).delete(keyOf(sharee));
  }

  /** Another owner: who owned it goes on taking part. */
  transferred(syncpoint: SyncpointRecord, former: Person): void {
    this.share(syncpoint, { kind: 'user', person: former }, 1);
  }

  #of(syncpoint: SyncpointRecord): Map<string, Participation> {
    let shares = this.#shares.get(syncpoint.id);
    if (shares === undefined) {
      shares = new Map();
      // Of another's syncpoint the account is a participant.
      if (!this.isOwnedBySelf(syncpoint) && syncpoint.permission !== 0) {
        const sharee: Sharee = { kind: 'user', person: this.#people.self };
        const { permission } = syncpoint;
        shares.set(keyOf(sharee), { sharee, permission, isOwner: false, inviter: this.owner(syncpoint) });
      }
      this.#shares.set(syncpoint.id, shares);
    }
    return shares;
  }
}

function keyOf(sharee: Sharee): string {
  return sharee.kind === 'user' ? sharee.person.id : sharee.group.id;
}
