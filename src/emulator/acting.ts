// The other users of the account's company, and the calls that are made for one of them (As-User): each sees the syncpoints that are
// theirs. Promises: a call for somebody meets the same checks as the account's own. Must not know: what a call does.
import type { Call, Route } from './call.ts';
import type { Dialect } from './dialect.ts';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';
import type { ContentStore, Person, SyncpointRecord } from './store.ts';
import type { Tokens } from './tokens.ts';

/** What the account is in its company. */
export interface Company {
  /** Everybody else; whose syncpoints are theirs the store's owners say. */
  readonly people: readonly Person[];
  /** May ask for users. */
  readonly isAdministrator: boolean;
  /** What the account may do in the name of others: "Access content on behalf of managed users through API", eDiscovery, nothing. */
  readonly actsForOthers: 'fully' | 'reading' | 'no';
}

/** A person by GUID or e-mail address, whatever the case. */
export function findPerson(people: readonly Person[], idOrEmail: string): Person | undefined {
  const wanted = idOrEmail.toLowerCase();
  return people.find(({ id, emailAddress }) => id.toLowerCase() === wanted || emailAddress.toLowerCase() === wanted);
}

export interface ActingOptions {
  readonly company: Company;
  readonly self: Person;
  readonly tokens: Tokens;
  readonly dialect: Dialect;
  /** The routes as they serve one user. */
  readonly routesFor: (person: Person) => readonly Route[];
}

/** Routes that serve whomever As-User names. */
export function actingRoutes({ company, self, tokens, dialect, routesFor }: ActingOptions): readonly Route[] {
  const own = routesFor(self);
  const byPerson = new Map<string, readonly Route[]>();

  /** Undefined: the account itself. */
  function whom(call: Call): Person | undefined {
    const header = call.headers['as-user'];
    const given = (Array.isArray(header) ? header[0] : header)?.trim() ?? '';
    // Whoever is not let in at all is told that first.
    if (given === '' || tokens.scopeOf(call.headers.authorization, call.headers['appkey']) === undefined) return;
    if (given.toLowerCase() === self.id.toLowerCase()) return;
    if (company.actsForOthers === 'no') {
      if (dialect.asUserUnprivileged === 'ignored') return;
      throw new Refusal(403, 'User has no OnBehalfOf permission');
    }
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)) throw new Refusal(400, 'Invalid user ID');
    const person = findPerson(company.people, given);
    if (person === undefined) throw new Refusal(404, 'User Not Found');
    if (company.actsForOthers === 'reading' && call.method !== 'GET') throw new Refusal(401, 'Not Authorized');
    return person;
  }

  function serve(call: Call, index: number): Promise<Reply> {
    const person = whom(call);
    const routes = person === undefined ? own : (byPerson.get(person.id) ?? routesFor(person));
    if (person !== undefined) byPerson.set(person.id, routes);
    return (routes[index] as Route).handle(call);
  }

  // A refusal is a rejection, as every handler's is.
  return own.map((route, index) => ({ ...route, handle: async (call) => serve(call, index) }));
}

/** The store as one of the people sees it: what is theirs, as their own. */
export function storeOf(store: ContentStore, person: Person): ContentStore {
  const isTheirs = (owner: Person): boolean => owner.id.toLowerCase() === person.id.toLowerCase();
  const syncpoints: ContentStore['syncpoints'] = async (options) => {
    const records: SyncpointRecord[] = [];
    for (const { owner, ...record } of await store.syncpoints(options)) {
      if (owner !== undefined && isTheirs(owner)) records.push({ ...record, permission: 1 });
    }
    return records;
  };
  const open: ContentStore['open'] = async (syncpointId, versionId) =>
    (await syncpoints()).some(({ id }) => id === syncpointId) ? store.open(syncpointId, versionId) : undefined;
  const theirs = new Map<string | symbol, unknown>([
    ['syncpoints', syncpoints],
    ['open', open],
  ]);
  return new Proxy(store, {
    get: (target, key: keyof ContentStore): unknown => {
      if (theirs.has(key)) return theirs.get(key);
      const member: unknown = Reflect.get(target, key);
      // Its private state is the store's, not this view's.
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}
