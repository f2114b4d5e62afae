// Whom the emulated service knows: the account's own user, colleagues, users whose home is another region, groups, and whoever was
// invited so far. Promises: a person's id stays the same. Must not know: syncpoints, HTTP.
import { derivedId } from './identity.ts';
import type { Account } from './shapes.ts';
import type { Person } from './store.ts';

export interface Group {
  readonly id: string;
  readonly name: string;
}

/** A user whose personal data another region keeps. */
export interface PersonAbroad extends Person {
  readonly rolId: number;
}

export interface PeopleOptions {
  readonly colleagues?: readonly Person[];
  readonly abroad?: readonly PersonAbroad[];
  readonly groups?: readonly Group[];
  /** Domains of addresses that policy forbids to share with. */
  readonly forbiddenDomains?: readonly string[];
}

/** The region of the account itself. */
export const HOME_ROL_ID = 1;

/** Where the service of another region answers, below the gateway's own address. */
export function rolPath(rolId: number): string {
  return `/rol-${rolId}`;
}

export class People {
  readonly groups: readonly Group[];
  readonly abroad: readonly PersonAbroad[];
  readonly #forbidden: ReadonlySet<string>;
  readonly #known = new Map<string, Person>();
  readonly #account: Account;

  constructor(account: Account, options: PeopleOptions = {}) {
    this.#account = account;
    this.groups = options.groups ?? [];
    this.abroad = options.abroad ?? [];
    this.#forbidden = new Set(options.forbiddenDomains ?? []);
    for (const person of [account.user, ...(options.colleagues ?? []), ...this.abroad]) this.#keep(person);
  }

  /** The account that calls. */
  get self(): Person {
    return this.#account.user;
  }

  byId(id: string): Person | undefined {
    return [...this.#known.values()].find((person) => person.id === id.toLowerCase());
  }

  byAddress(address: string): Person | undefined {
    return this.#known.get(address.toLowerCase());
  }

  /** Whoever has an address; one nobody has yet becomes a person. */
  invited(address: string): Person {
    const [local = address] = address.split('@');
    const stranger = { id: derivedId(this.self.id, address.toLowerCase()), firstName: local, lastName: '' };
    return this.byAddress(address) ?? this.#keep({ ...stranger, emailAddress: address });
  }

  group(id: string): Group | undefined {
    return this.groups.find((group) => group.id === id.toLowerCase());
  }

  /** The region that keeps a person's data. */
  rolOf(person: Person): number {
    return this.abroad.find(({ id }) => id === person.id)?.rolId ?? HOME_ROL_ID;
  }

  isForbidden(address: string): boolean {
    return this.#forbidden.has(domainOf(address));
  }

  isColleague(address: string): boolean {
    return domainOf(address) === domainOf(this.self.emailAddress);
  }

  #keep(person: Person): Person {
    this.#known.set(person.emailAddress.toLowerCase(), person);
    return person;
  }
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase();
}
