// The stored connections of one user: connections.json in the config directory, which also holds their secrets, unless those are in the
// desktop's keyring. Promises: mode 0600, replaced as a whole under a lock, never overwritten when it cannot be understood.
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, open, readlink, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../base/atomic-file.ts';
import { shellWord } from '../base/shell-word.ts';
import type { StorageSignIns } from '../syncplicity/options.ts';
import { type ConnectionAuth, parseAuth, serializeAuth, splitAuth, type SyncplicityAuth } from './auth-file.ts';
import { environmentConnection, environmentConnectionName } from './environment.ts';
import { withFileLock } from './file-lock.ts';
import { desktopKeyring, type Keyring } from './keyring.ts';
import { findPlatform, platformName, type PlatformId } from './platforms.ts';
import { StoredLogin } from './stored-login.ts';

const FILE_NAME = 'connections.json';
/** Raised when a program that knows only the older shape would misread the file. */
const SCHEMA_VERSION = 1;
/** An edit takes milliseconds; this is a laptop that was just resumed. */
const LOCK_TIMEOUT_MS = 10_000;

/** A connection as it may be shown: no secrets. */
export interface Connection {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly platform: PlatformId;
  readonly disabled: boolean;
  /** The pool it belongs to. */
  readonly pool: { readonly id: string; readonly name: string } | undefined;
  /** True for a pool, which has members instead of secrets. */
  readonly group: boolean;
}

export interface ConnectionStore {
  /** The file, for messages. */
  readonly path: string;
  /** All connections, oldest first. */
  list(): Promise<Connection[]>;
  /**
   * The connection with this id, else the only one with this name, else the one of the environment if it is that; undefined when there is
   * none. Throws on several.
   */
  find(idOrName: string): Promise<Connection | undefined>;
  /** The secrets of a connection. Never to be shown. Throws when there is no such connection. */
  auth(id: string): Promise<ConnectionAuth>;
  /** Where a connection leads, without its secrets. Throws when there is no such connection. */
  address(id: string): Promise<ConnectionAddress>;
  /** Stores a new connection under a new id, its secrets where it says (default: in the file). Rejects when the name is taken. */
  add(connection: NewConnection): Promise<Connection>;
  /** Stores what a user who signed in with a browser got, in the place of what was there. Rejects where there is no such connection. */
  keepLogin(id: string, refreshToken: string): Promise<void>;
  /** Stores the machine that a connection calls from, as {@link keepLogin} does. */
  keepMachine(id: string, machine: { readonly id: string; readonly token: string }): Promise<void>;
  /** Stores a user's sign-in at a vault with authentication of its own, as {@link keepLogin} does. */
  keepStorageToken(id: string, vaultId: string, token: string): Promise<void>;
  /** Removes a connection and its secrets, or a pool, whose members stay; false when there is none with this id. */
  remove(id: string): Promise<boolean>;
  /** The connections of a pool that may be used, oldest first; none for what is no pool. */
  members(poolId: string): Promise<Connection[]>;
  /**
   * Puts a connection into a pool, out of the one it was in. A pool that is named and does not exist is made. Rejects where there is no
   * such connection or pool, and where they do not go together.
   */
  assign(id: string, pool: PoolReference): Promise<Connection>;
  /** Takes a connection out of its pool, if it is in one; undefined when there is no connection with this id. */
  unassign(id: string): Promise<Connection | undefined>;
}

/** Whose service a connection is of, and at which gateway; undefined: the one that its account has. */
export interface ConnectionAddress {
  readonly platform: PlatformId;
  readonly apiUrl: string | undefined;
}

/** What {@link ConnectionStore.add} takes. */
export interface NewConnection {
  readonly name: string;
  readonly auth: ConnectionAuth;
  readonly secretsIn?: 'file' | 'keyring' | undefined;
}

/** A pool by its name, or an existing one by its id. */
export type PoolReference = { readonly name: string } | { readonly id: string };

/** One entry of the file. Keys of a later version of the same schema are kept. */
interface StoredConnection {
  readonly id: string;
  readonly name: string;
  readonly platform: PlatformId;
  readonly disabled?: boolean;
  readonly pool?: string | undefined;
  readonly group?: boolean;
  readonly auth?: unknown;
  /** The secrets of `auth` are in the desktop's keyring. */
  readonly keyring?: boolean;
}

/** What a connection signs in with, as the file has it. */
type StoredAuth = Readonly<Record<string, unknown>>;

interface StoredFile {
  readonly schema: number;
  readonly connections: readonly StoredConnection[];
}

/**
 * Opens the store of a config directory; nothing is made before the first change. `warn` gets one line when the file was
 * open to others, which is repaired.
 */
export function openConnectionStore(
  configDirectory: string,
  warn: (message: string) => void,
  keyring: Keyring = desktopKeyring,
): ConnectionStore {
  const path = join(configDirectory, FILE_NAME);
  const read = (): Promise<StoredFile> => readStore(path, warn);
  const change = async <T>(edit: (file: StoredFile) => Edit<T> | Promise<Edit<T>>): Promise<T> => {
    await makePrivateDirectory(configDirectory);
    return withFileLock(`${path}.lock`, LOCK_TIMEOUT_MS, async () => {
      const { file, result } = await edit(await read());
      if (file !== undefined) await replaceFile(await behindLink(path), `${JSON.stringify(file, null, 2)}\n`, 0o600);
      return result;
    });
  };
  /** The auth object of a connection as a whole, wherever its parts are. */
  const wholeAuth = async ({ id, name, auth, keyring: isInKeyring }: StoredConnection): Promise<unknown> => {
    if (isInKeyring !== true) return auth;
    const text = await keyring.read(id);
    if (text === undefined) {
      throw new Error(
        `the desktop keyring has no secrets of "${name}" any more\ndelete the connection and add it again`,
      );
    }
    return { ...asRecord(auth), ...secretsOf(text, name) };
  };
  /** Changes some of the keys that a connection signs in with. */
  const keep = (id: string, changed: (auth: StoredAuth) => StoredAuth): Promise<void> =>
    change(async (file) => {
      const found = file.connections.find((connection) => connection.id === id);
      if (found === undefined) throw new Error(`there is no connection ${id}`);
      const before = asRecord(await wholeAuth(found)) ?? {};
      const whole = { ...before, ...changed(before) };
      const { open: shown, secret } = splitAuth(whole);
      if (found.keyring === true) await keyring.write(id, JSON.stringify(secret));
      const auth = found.keyring === true ? shown : whole;
      const connections = file.connections.map((stored) => (stored.id === id ? { ...stored, auth } : stored));
      return { file: { ...file, connections }, result: undefined };
    });
  const keepLogin = (id: string, refreshToken: string): Promise<void> =>
    keep(id, () => ({ refresh_token: refreshToken }));
  /** What is stored of a connection as it is now. */
  const syncplicityAuth = async (id: string): Promise<SyncplicityAuth | undefined> => {
    const stored = (await read()).connections.find((connection) => connection.id === id);
    const auth = stored?.auth === undefined ? undefined : parseAuth(stored.platform, await wholeAuth(stored)).auth;
    return auth?.platform === 'syncplicity' ? auth : undefined;
  };
  /** Sign-ins at vaults are looked up as they are stored when they are needed: the user may sign in meanwhile. */
  const withStorage = ({ id, name }: StoredConnection, auth: ConnectionAuth): ConnectionAuth => {
    if (auth.platform === 'fs') return auth;
    const storage: StorageSignIns = {
      tokenFor: async (vaultId) => {
        const now = await syncplicityAuth(id);
        return now?.storageTokens?.[vaultId.toLowerCase()] ?? now?.credentials.storageToken;
      },
      machineToken: async () => (await syncplicityAuth(id))?.credentials.machineToken,
      remedy: `sign in to it with: syncplicityfs connections storage-login ${shellWord(name)}`,
    };
    return { ...auth, credentials: { ...auth.credentials, storage } };
  };
  /** Who signed in with a browser goes on with what is stored, whoever renewed it last. */
  const withLogin = ({ id, name }: StoredConnection, auth: ConnectionAuth): ConnectionAuth => {
    if (auth.platform === 'fs' || auth.refreshToken === undefined) return auth;
    const login = new StoredLogin({
      lockFile: loginLock(id),
      read: async () => {
        const token = (await syncplicityAuth(id))?.refreshToken;
        if (token === undefined) throw new Error(`the connection "${name}" has no login any more`);
        return token;
      },
      write: (token) => keepLogin(id, token),
      remedy: `sign in again with: syncplicityfs connections login ${shellWord(name)}`,
    });
    return { ...auth, credentials: { ...auth.credentials, login } };
  };
  const forget = async ({ id, name }: StoredConnection): Promise<void> => {
    try {
      await keyring.remove(id);
    } catch (error) {
      throw new Error(
        `"${name}" is deleted, but its secrets are still in the keyring, as ${id}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  };
  const loginLock = (id: string): string => join(configDirectory, `login-${id}.lock`);
  const list = async (): Promise<Connection[]> => {
    const { connections } = await read();
    return connections.map((stored) => present(stored, connections));
  };
  return {
    path,
    list,
    find: async (idOrName) => {
      const connections = await list();
      const byId = connections.find(({ id }) => id === idOrName.toLowerCase());
      if (byId !== undefined) return byId;
      const named = connections.filter(({ name }) => name === idOrName);
      if (named.length > 1) throw new Error(`${named.length} connections are called "${idOrName}"; use an id instead`);
      return named[0] ?? environmentNamed(idOrName);
    },
    auth: async (id) => {
      const stored = (await read()).connections.find((connection) => connection.id === id);
      const environment = stored === undefined ? await environmentConnection() : undefined;
      if (environment?.id === id) return environment.auth;
      if (stored === undefined) throw new Error(`there is no connection ${id}`);
      if (stored.auth === undefined) throw new Error(`the connection "${stored.name}" holds no credentials`);
      return withStorage(stored, withLogin(stored, parseAuth(stored.platform, await wholeAuth(stored)).auth));
    },
    address: async (id) => {
      const stored = (await read()).connections.find((connection) => connection.id === id);
      if (stored === undefined) {
        const environment = await environmentConnection();
        if (environment?.id !== id) throw new Error(`there is no connection ${id}`);
        return { platform: environment.auth.platform, apiUrl: environment.auth.apiUrl };
      }
      const apiUrl = asRecord(stored.auth)?.['api_url'];
      return { platform: stored.platform, apiUrl: typeof apiUrl === 'string' ? apiUrl : undefined };
    },
    keepLogin,
    keepMachine: (id, machine) => keep(id, () => ({ machine_id: machine.id, machine_token: machine.token })),
    keepStorageToken: (id, vaultId, token) =>
      keep(id, ({ storage_tokens: before }) => ({
        storage_tokens: { ...asRecord(before), [vaultId.toLowerCase()]: token },
      })),
    add: async ({ name, auth, secretsIn = 'file' }) => {
      const id = randomBytes(16).toString('hex');
      const whole = serializeAuth(auth);
      const isInKeyring = secretsIn === 'keyring' && auth.platform !== 'fs';
      const { open: shown, secret } = splitAuth(whole);
      // Before the lock: the user may take a while to unlock it.
      if (isInKeyring) await keyring.write(id, JSON.stringify(secret));
      const stored: StoredConnection = {
        id,
        name,
        platform: auth.platform,
        auth: isInKeyring ? shown : whole,
        ...(isInKeyring ? { keyring: true } : {}),
      };
      try {
        return await change((file) => {
          const taken = file.connections.find((connection) => connection.name === name);
          if (taken !== undefined)
            throw new Error(`a connection called "${name}" exists already (${taken.id}); choose another --name`);
          const connections = [...file.connections, stored];
          return { file: { ...file, connections }, result: present(stored, connections) };
        });
      } catch (error) {
        if (isInKeyring) await keyring.remove(id);
        throw error;
      }
    },
    remove: async (id) => {
      const removed = await change((file) => {
        const found = file.connections.find((connection) => connection.id === id);
        const left = file.connections.filter((connection) => connection !== found);
        const connections = left.map((stored) => (stored.pool === id ? withPool(stored, undefined) : stored));
        return { file: found === undefined ? undefined : { ...file, connections }, result: found };
      });
      if (removed === undefined) return false;
      await rm(loginLock(id), { force: true });
      if (removed.keyring === true) await forget(removed);
      return true;
    },
    members: async (poolId) => (await list()).filter(({ pool, disabled }) => pool?.id === poolId && !disabled),
    assign: (id, reference) =>
      change((file) => {
        const stored = file.connections.find((connection) => connection.id === id);
        if (stored === undefined) throw new Error(`there is no connection ${id}`);
        if (stored.group === true) throw new Error(`"${stored.name}" is a pool itself; pools hold connections only`);
        const { pool, made } = poolFor(stored, reference, file.connections);
        const assigned = withPool(stored, pool.id);
        const others = file.connections.map((connection) => (connection.id === id ? assigned : connection));
        const connections = made ? [...others, pool] : others;
        return { file: { ...file, connections }, result: present(assigned, connections) };
      }),
    unassign: (id) =>
      change((file) => {
        const stored = file.connections.find((connection) => connection.id === id && connection.group !== true);
        if (stored === undefined) return { file: undefined, result: undefined };
        const free = withPool(stored, undefined);
        const connections = file.connections.map((connection) => (connection.id === id ? free : connection));
        return { file: { ...file, connections }, result: present(free, connections) };
      }),
  };
}

/** What a change comes to; without a file nothing is written. */
interface Edit<T> {
  readonly file: StoredFile | undefined;
  readonly result: T;
}

/** The secrets in an entry of the keyring. */
function secretsOf(text: string, name: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message would quote secrets.
  }
  const secrets = asRecord(value);
  if (secrets !== undefined) return secrets;
  throw new Error(`what the desktop keyring has of "${name}" is damaged\ndelete the connection and add it again`);
}

/** The connection of the environment, under its name or id. */
async function environmentNamed(idOrName: string): Promise<Connection | undefined> {
  const name = environmentConnectionName;
  if (idOrName !== name && !idOrName.startsWith(`${name}-`)) return undefined;
  const found = await environmentConnection();
  if (found === undefined || (idOrName !== name && idOrName !== found.id)) return undefined;
  return { id: found.id, name, platform: 'syncplicity', disabled: false, pool: undefined, group: false };
}

function withPool(stored: StoredConnection, pool: string | undefined): StoredConnection {
  // What is undefined is not written.
  return { ...stored, pool };
}

/** The pool that a connection is to be put into; one that is named is made of the connection's platform where it does not exist. */
function poolFor(
  member: StoredConnection,
  reference: PoolReference,
  all: readonly StoredConnection[],
): { readonly pool: StoredConnection; readonly made: boolean } {
  const found =
    'id' in reference ? all.find(({ id }) => id === reference.id) : all.find(({ name }) => name === reference.name);
  if (found === undefined) {
    if ('id' in reference) throw new Error(`there is no pool ${reference.id}`);
    const { platform } = member;
    return { pool: { id: randomBytes(16).toString('hex'), name: reference.name, platform, group: true }, made: true };
  }
  if (found.group !== true) throw new Error(`"${found.name}" is a connection, not a pool; choose another name`);
  if (found.platform !== member.platform) {
    throw new Error(
      `"${member.name}" is a ${platformName(member.platform)} connection, the pool "${found.name}" holds ${platformName(found.platform)} ones`,
    );
  }
  return { pool: found, made: false };
}

function present(stored: StoredConnection, all: readonly StoredConnection[]): Connection {
  const pool = stored.pool === undefined ? undefined : all.find(({ id }) => id === stored.pool);
  return {
    id: stored.id,
    name: stored.name,
    platform: stored.platform,
    disabled: stored.disabled ?? false,
    pool: pool === undefined ? undefined : { id: pool.id, name: pool.name },
    group: stored.group ?? false,
  };
}

/** The file's content; an absent file is an empty store. Throws, and changes nothing, when it cannot be understood. */
/** Where the file itself lies: who keeps it elsewhere, with a link to it, as dotfiles are often kept, goes on doing so. */
async function behindLink(path: string): Promise<string> {
  try {
    if (!(await lstat(path)).isSymbolicLink()) return path;
  } catch (error) {
    // The first connection of all.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw error;
  }
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const target = await readlink(path);
    throw new Error(`${path} is a link to ${target}, which is not there; bring that back, or remove the link`, {
      cause: error,
    });
  }
}

async function readStore(path: string, warn: (message: string) => void): Promise<StoredFile> {
  let text: string;
  try {
    const file = await open(path, 'r');
    try {
      await repairMode(path, await file.stat(), warn);
      text = await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { schema: SCHEMA_VERSION, connections: [] };
    throw error;
  }
  return parseStore(path, text);
}

async function repairMode(
  path: string,
  found: { readonly mode: number; readonly uid: number },
  warn: (message: string) => void,
): Promise<void> {
  const uid = process.getuid?.();
  if (uid !== undefined && found.uid !== uid && uid !== 0) {
    throw new Error(`${path} belongs to uid ${found.uid}, not to you; credentials in it cannot be trusted`);
  }
  if ((found.mode & 0o077) === 0) return;
  await chmod(path, 0o600);
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  warn(
    `${path} was open to other users (mode ${mode}) and is 0600 now; renew the credentials in it if others use this machine`,
  );
}

function parseStore(path: string, text: string): StoredFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message would quote secrets.
    throw damaged(path, 'it is not valid JSON');
  }
  const file = asRecord(value);
  const schema = file?.['schema'];
  if (file === undefined || typeof schema !== 'number') throw damaged(path, 'it has no schema number');
  if (schema > SCHEMA_VERSION) {
    throw new Error(
      `${path} was written by a newer syncplicityfs (schema ${schema}); this one knows ${SCHEMA_VERSION}: update it`,
    );
  }
  const connections = file['connections'];
  if (!Array.isArray(connections)) throw damaged(path, 'it has no list of connections');
  for (const entry of connections as unknown[]) {
    const connection = asRecord(entry);
    const { id, name, platform } = connection ?? {};
    if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) throw damaged(path, 'a connection in it has no valid id');
    if (typeof name !== 'string' || name === '') throw damaged(path, `the connection ${id} has no name`);
    if (typeof platform !== 'string' || findPlatform(platform)?.id !== platform) {
      throw damaged(path, `the connection ${id} is of no known platform`);
    }
  }
  return value as StoredFile;
}

function damaged(path: string, reason: string): Error {
  return new Error(
    `${path} is damaged: ${reason}. Nothing was changed; repair it, or move it away and add the connections again`,
  );
}

/** The directory, with mode 0700 whether made now or before: it holds secrets only. */
async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o700);
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
