// The stored connection or pool that a user means: by id or name, with a folder of it, or the only one there is.
import { nearNames } from '../base/near-names.ts';
import { shellWord } from '../base/shell-word.ts';
import { UsageError } from '../base/usage-error.ts';
import { parseSource } from '../config.ts';
import { environmentConnectionName } from '../connections/environment.ts';
import type { Connection, ConnectionStore } from '../connections/store.ts';

/** A name that no connection has. */
export class UnknownConnectionError extends UsageError {
  readonly connectionName: string;
  constructor(connectionName: string, hint: string) {
    super(`there is no connection "${connectionName}"`, hint);
    this.connectionName = connectionName;
  }
}

/** A connection, and which folder of it. */
export interface NamedConnection {
  readonly connection: Connection;
  /** Begins with "/". */
  readonly path: string;
}

/** What `CONNECTION` or `CONNECTION:/PATH` names. Rejects where there is no such connection. */
export async function namedConnection(store: ConnectionStore, text: string): Promise<NamedConnection> {
  const found = await findNamed(store, text);
  if (found !== undefined) return found;
  throw await noConnection(store, parseSource(text).connection);
}

/** As {@link namedConnection}; undefined where there is no such connection. */
export async function findNamed(store: ConnectionStore, text: string): Promise<NamedConnection | undefined> {
  // A connection's own name may hold ":/", so the whole text is tried first.
  const whole = await store.find(text);
  if (whole !== undefined) return { connection: whole, path: '/' };
  const { connection: name, path } = parseSource(text);
  const connection = await store.find(name);
  return connection === undefined ? undefined : { connection, path };
}

/** The connection or pool of this id or name; without one {@link onlyConnection}. Rejects where there is none. */
export async function requireConnection(store: ConnectionStore, idOrName: string | undefined): Promise<Connection> {
  if (idOrName === undefined) return onlyConnection(store);
  const found = await store.find(idOrName);
  if (found !== undefined) return found;
  throw await noConnection(store, idOrName);
}

/** The connection to use where the user named none. Rejects where that is not clear. */
export async function onlyConnection(store: ConnectionStore): Promise<Connection> {
  // Whoever sets it for this process means it.
  const environment = await store.find(environmentConnectionName);
  if (environment !== undefined) return environment;
  // A connection in a pool is used as part of it.
  const usable = (await store.list()).filter(({ disabled }) => !disabled);
  const all = usable.filter(({ group, pool, id }) =>
    group ? usable.some((other) => other.pool?.id === id) : pool === undefined,
  );
  const [only] = all;
  if (only !== undefined && all.length === 1) return only;
  throw only === undefined
    ? new UsageError('there is no connection yet', 'add one with: syncplicityfs connections add, or try mount --demo')
    : new UsageError('several connections exist: say which', `one of ${all.map(({ name }) => `"${name}"`).join(', ')}`);
}

/** The error for a name that no connection has; its hint names those that may be meant. */
export async function noConnection(store: ConnectionStore, name: string): Promise<UnknownConnectionError> {
  const [own = name, ...folder] = name.split(':');
  if (folder.length > 0 && (await store.find(own)) !== undefined) {
    return new UnknownConnectionError(
      name,
      `a folder of "${own}" is written ${shellWord(`${own}:/${folder.join(':')}`)}`,
    );
  }
  const near = nearNames(
    name,
    (await store.list()).map((connection) => connection.name),
  );
  return new UnknownConnectionError(
    name,
    near.length === 0 ? 'syncplicityfs connections list shows them' : `did you mean ${near.map(quoted).join(' or ')}?`,
  );
}

function quoted(name: string): string {
  return `"${name}"`;
}
