// What an account that is not mounted still has to send: counted in all its states, and the reason why its connection stays.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockAccount } from '../../src/cache/account-lock.ts';
import { accountDirectoryName, rememberAccount } from '../../src/cache/account-names.ts';
import { blankRecord, type PendingRecord } from '../../src/cache/journal.ts';
import { openTree } from '../../src/cache/tree/open-tree.ts';
import type { ConnectionAddress } from '../../src/connections/store.ts';
import { keptChanges } from '../../src/mount/kept-changes.ts';
import tmp from 'tmp';

const ID = 'a'.repeat(32);
const address: ConnectionAddress = { platform: 'syncplicity', apiUrl: undefined };
const account = { userId: 'u-1', email: undefined };

let directory: tmp.DirResult;
let state: string;
beforeEach(async () => {
  directory = tmp.dirSync({ unsafeCleanup: true });
  state = directory.name;
  await rememberAccount(state, ID, account);
});
afterEach(() => directory.removeCallback());

const record = (inode: number, more: Partial<PendingRecord> = {}): PendingRecord => ({
  ...blankRecord({ inode, kind: 'file' }, undefined, 1),
  revision: inode,
  content: true,
  ...more,
});

/** A state with these records and a file that a crash left unfinished. */
async function stateOf(host: string, instance: string | undefined, records: readonly PendingRecord[]): Promise<string> {
  const name = accountDirectoryName({ host, userId: account.userId, asUser: undefined, instance });
  const place = join(state, 'accounts', name);
  const tree = await openTree(join(place, 'tree'));
  tree.change('local', (transaction) => {
    for (const one of records) transaction.putPending(one);
    transaction.putUnfinished({ generation: 1, inode: 99, path: '/u', sinceMs: 1, abandoned: true });
  });
  await tree.close();
  return place;
}

describe('keptChanges', () => {
  it('is nothing for an account that was never mounted', async () => {
    expect(await keptChanges(state, ID, address)).toEqual({ changes: 0, mountpoints: [] });
    expect(await keptChanges(join(state, 'none'), ID, address)).toEqual({ changes: 0, mountpoints: [] });
  });

  it('counts what is pending, failed and unfinished, not what is stored or stays here', async () => {
    await stateOf('api.syncplicity.com', undefined, [
      record(20),
      record(21, { failed: { kind: 'quota', message: 'no quota', sinceMs: 1 } }),
      record(22, { doneAtMs: 5 }),
      record(23, { localOnly: true }),
    ]);
    expect(await keptChanges(state, ID, address)).toEqual({ changes: 3, mountpoints: [] });
    expect(await keptChanges(state, 'b'.repeat(32), address)).toEqual({ changes: 0, mountpoints: [] });
  });

  it('counts the instances of the account, and no other account', async () => {
    await stateOf('api.syncplicity.com', undefined, [record(20)]);
    await stateOf('api.syncplicity.com', 'second', [record(20)]);
    await stateOf('other.example.com', undefined, [record(20)]);
    expect((await keptChanges(state, ID, address)).changes).toBe(4);
  });

  it('leaves a mounted one to its daemon', async () => {
    const place = await stateOf('api.syncplicity.com', undefined, [record(20)]);
    const lock = lockAccount(place, { pid: 1, mountpoint: '/mnt/drive' });
    expect(await keptChanges(state, ID, address)).toEqual({ changes: 0, mountpoints: ['/mnt/drive'] });
    if ('release' in lock) lock.release();
    expect(await keptChanges(state, ID, address)).toEqual({ changes: 2, mountpoints: [] });
  });

  it('finds the accounts of a directory by its emulators', async () => {
    mkdirSync(join(state, 'emulators', `${ID}@x`), { recursive: true });
    await rememberAccount(state, `${ID}@x`, account);
    await stateOf('127.0.0.1', 'x', [record(20)]);
    expect((await keptChanges(state, ID, { platform: 'fs', apiUrl: undefined })).changes).toBe(2);
  });
});
