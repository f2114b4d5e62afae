// Which account a connection is, and where that account's state lies: remembered between starts, so that a drive can be mounted
// while the service is out of reach.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../base/atomic-file.ts';
import type { RemoteAccount } from '../remote-drive.ts';

/** The directory name HOST-USERID[-AS-USER][-INSTANCE] of an account; every part fit for a file name. */
export function accountDirectoryName(account: {
  readonly host: string;
  readonly userId: string;
  readonly asUser: string | undefined;
  readonly instance: string | undefined;
}): string {
  const parts = [
    account.host,
    account.userId,
    account.asUser,
    account.instance === undefined ? undefined : `@${account.instance}`,
  ];
  return parts
    .filter((part) => part !== undefined)
    .map(fileNamePart)
    .join('-');
}

/** What the account of a connection is remembered as where the mount, not the connection, says whom it acts for. */
export function actingKey(key: string, asUser: string | undefined): string {
  return asUser === undefined ? key : `${key}+${fileNamePart(asUser.toLowerCase())}`;
}

/** The keys under which accounts of a connection are remembered: its own, and those of whom it acted for. */
export async function keysOf(stateDirectory: string, key: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(join(stateDirectory, 'connections'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const keys = names.filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));
  return keys.filter((name) => name === key || name.startsWith(`${key}+`));
}

function fileNamePart(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9.@_-]/g, '_');
}

/** The account that `key` was when it was last seen; undefined when it never was. */
export async function recallAccount(stateDirectory: string, key: string): Promise<RemoteAccount | undefined> {
  let text: string;
  try {
    text = await readFile(fileOf(stateDirectory, key), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const value = JSON.parse(text) as Partial<RemoteAccount> | null;
    if (typeof value?.userId === 'string') {
      return { userId: value.userId, email: value.email, actsFor: value.actsFor };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  // A file that cannot be read is worth no more than one that is missing: the service tells again.
  return undefined;
}

/** Remembers the account; writes only what is new. */
export async function rememberAccount(stateDirectory: string, key: string, account: RemoteAccount): Promise<void> {
  const known = await recallAccount(stateDirectory, key);
  if (known?.userId === account.userId && known.email === account.email && known.actsFor === account.actsFor) return;
  await mkdir(join(stateDirectory, 'connections'), { recursive: true, mode: 0o700 });
  await replaceFile(fileOf(stateDirectory, key), `${JSON.stringify(account)}\n`, 0o600);
}

function fileOf(stateDirectory: string, key: string): string {
  return join(stateDirectory, 'connections', `${key}.json`);
}
