// What a connection's account still has to send, as its journals say while nothing is mounted: asked before the connection is deleted.
// Part of the composition root. Makes no call: what mounts learnt tells whose account it is.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lockAccount } from '../cache/account-lock.ts';
import { accountDirectoryName, keysOf, recallAccount } from '../cache/account-names.ts';
import { isPending } from '../cache/journal.ts';
import { openTree } from '../cache/tree/open-tree.ts';
import type { ConnectionAddress } from '../connections/store.ts';

/** An emulator listens on this machine only. */
const EMULATOR_HOST = '127.0.0.1';

/** What is kept of an account. */
export interface KeptChanges {
  /** Changes and unfinished files of states that are not mounted. */
  readonly changes: number;
  /** Where the account is mounted now: those daemons know what they have. */
  readonly mountpoints: readonly string[];
}

/** Looks through all states of a connection's account, those of its instances too. */
export async function keptChanges(
  stateDirectory: string,
  connectionId: string,
  address: ConnectionAddress,
): Promise<KeptChanges> {
  let changes = 0;
  const mountpoints: string[] = [];
  for (const name of await accountDirectories(stateDirectory, connectionId, address)) {
    const directory = join(stateDirectory, 'accounts', name);
    const lock = lockAccount(directory, { pid: process.pid, mountpoint: '(none: its changes are being counted)' });
    if ('heldBy' in lock) {
      if (lock.heldBy === undefined) throw new Error('the account is being mounted at this moment; try again');
      mountpoints.push(lock.heldBy.mountpoint);
      continue;
    }
    try {
      changes += await countIn(directory);
    } finally {
      lock.release();
    }
  }
  return { changes, mountpoints };
}

async function countIn(accountDirectory: string): Promise<number> {
  const tree = await openTree(join(accountDirectory, 'tree'));
  try {
    return tree.unfinished().length + [...tree.pendingRecords()].filter(isPending).length;
  } finally {
    await tree.close();
  }
}

/** Names below `accounts`: of the account itself, of those it acted for, and of their instances. */
async function accountDirectories(stateDirectory: string, id: string, address: ConnectionAddress): Promise<string[]> {
  // An emulator is made for each instance, and so is the account it shows.
  const keys =
    address.platform === 'fs'
      ? (await namesIn(join(stateDirectory, 'emulators'))).filter((name) => name === id || name.startsWith(`${id}@`))
      : await keysOf(stateDirectory, id);
  const host = address.platform === 'fs' ? EMULATOR_HOST : hostOf(address.apiUrl);
  const existing = await namesIn(join(stateDirectory, 'accounts'));
  const found = new Set<string>();
  for (const key of keys) {
    const account = await recallAccount(stateDirectory, key);
    if (account === undefined) continue;
    const { userId, actsFor } = account;
    const own = accountDirectoryName({ host, userId, asUser: actsFor, instance: undefined });
    for (const name of existing) if (name === own || name.startsWith(`${own}-@`)) found.add(name);
  }
  return [...found];
}

function hostOf(apiUrl: string | undefined): string {
  return apiUrl === undefined ? 'api.syncplicity.com' : new URL(apiUrl).hostname;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
