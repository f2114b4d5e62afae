// A stored connection to a Syncplicity account that something is to be kept in: what is no such thing is refused before anybody is asked.
import { UsageError } from '../base/usage-error.ts';
import type { SyncplicityAuth } from '../connections/auth-file.ts';
import type { Connection, ConnectionStore } from '../connections/store.ts';
import { requireConnection } from './find-connection.ts';

export interface StoredAccount {
  readonly connection: Connection;
  /** Secrets. */
  readonly auth: SyncplicityAuth;
}

/** The connection of this id or name, without one the only one. */
export async function requireStoredAccount(
  store: ConnectionStore,
  idOrName: string | undefined,
): Promise<StoredAccount> {
  const connection = await requireConnection(store, idOrName);
  const { id, name, group } = connection;
  if (group) throw new UsageError(`"${name}" is a pool`, 'name one of its connections');
  if (!(await store.list()).some((stored) => stored.id === id)) {
    throw new UsageError(`"${name}" comes from the environment: nothing can be stored in it`);
  }
  const auth = await store.auth(id);
  if (auth.platform === 'fs') throw new UsageError(`"${name}" is a directory, not an account`);
  return { connection, auth };
}
