// Proof that a connection works before it is stored, and the drive behind one for those who ask more (doctor).
import { readFile, opendir, stat } from 'node:fs/promises';
import type { RemoteDrive } from '../remote-drive.ts';
import { isVendorHost } from '../syncplicity/http/service-url.ts';
import { defaultApiUrl, type MemberOptions } from '../syncplicity/options.ts';
import type { ConnectionAuth, DirectoryAuth, SyncplicityAuth } from './auth-file.ts';

/** What a connection turned out to be good for. */
export interface Verified {
  /** Whose account it is, for a default name: an e-mail address, a user id or a directory. */
  readonly account: string;
  /** GUID of the user it acts for, where that is another one. */
  readonly actsFor?: string | undefined;
}

/** Tries a connection: rejects with a reason a user can act on. */
export async function verifyConnection(
  auth: ConnectionAuth,
  options: { readonly caFile?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Verified> {
  if (auth.platform === 'fs') return verifyDirectory(auth);
  const drive = await openDrive(auth, options.caFile);
  try {
    const account = await drive.account({ signal: options.signal });
    return { account: account.email ?? account.userId, actsFor: account.actsFor };
  } finally {
    await drive.stop();
  }
}

/** Where a connection calls, and where its account is at home, if that can be known. */
export interface Region {
  readonly gateway: string;
  /** `name` begins with a blank, or is empty. */
  readonly home: { readonly gateway: string; readonly name: string } | undefined;
}

/** Looks an account's home region up. A gateway that is not the vendor's has none that the vendor's look-up would know. */
export async function regionOf(
  auth: SyncplicityAuth,
  options: { readonly caFile: string | undefined; readonly signal: AbortSignal },
): Promise<Region> {
  const { caFile, signal } = options;
  const { apiUrl, golUrl } = auth;
  const isVendors = apiUrl === undefined || isVendorHost(new URL(apiUrl));
  const { findHome } = await import('../syncplicity/home.ts');
  const given = new URL(apiUrl ?? defaultApiUrl).host;
  if (!isVendors && golUrl === undefined) return { gateway: given, home: undefined };
  const email = auth.credentials.email ?? (await emailOf(auth, caFile, signal));
  if (email === undefined) return { gateway: given, home: undefined };
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  const home = await findHome({ golUrl, email, ca, signal });
  const usesHome = apiUrl === undefined && auth.credentials.email !== undefined;
  return { gateway: usesHome ? home.gateway : given, home };
}

async function emailOf(
  auth: SyncplicityAuth,
  caFile: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const drive = await openDrive(auth, caFile);
  try {
    return (await drive.account({ signal })).email;
  } finally {
    await drive.stop();
  }
}

/** A drive with the connection's credentials. Its owner stops it. */
export async function openDrive(auth: SyncplicityAuth, caFile: string | undefined): Promise<RemoteDrive> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  // Loaded on demand: most commands never talk to the service.
  const { createSyncplicityDrive } = await import('../syncplicity/drive.ts');
  return createSyncplicityDrive({ credentials: auth.credentials, apiUrl: auth.apiUrl, golUrl: auth.golUrl, ca });
}

/** A connection of a pool with what it signs in with. */
export interface PoolConnection {
  readonly id: string;
  readonly name: string;
  readonly auth: SyncplicityAuth;
}

/** How many connections of a pool work together, and in a line each why the others do not. */
export async function verifyPool(
  connections: readonly [PoolConnection, ...PoolConnection[]],
  caFile: string | undefined,
): Promise<{ readonly working: number; readonly complaints: readonly string[] }> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  const { createPoolDrive } = await import('../syncplicity/drive.ts');
  const memberOf = ({ id, name, auth }: PoolConnection): MemberOptions => {
    const { credentials, apiUrl, golUrl } = auth;
    return { id, name, credentials, apiUrl, golUrl };
  };
  const [first, ...more] = connections;
  const complaints: string[] = [];
  const report = (line: string): void => void complaints.push(line);
  const drive = createPoolDrive({ members: [memberOf(first), ...more.map(memberOf)], ca, report });
  try {
    await drive.open(undefined);
    return { working: drive.statistics().members.filter(({ out }) => out === undefined).length, complaints };
  } finally {
    await drive.stop();
  }
}

async function verifyDirectory(auth: DirectoryAuth): Promise<Verified> {
  const { directory } = auth;
  try {
    if (!(await stat(directory)).isDirectory()) throw new Error(`${directory} is not a directory`);
    await (await opendir(directory)).close();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Error(`${directory} does not exist`, { cause: error });
    if (code === 'EACCES') throw new Error(`${directory} may not be read by you`, { cause: error });
    throw error;
  }
  return { account: directory };
}
