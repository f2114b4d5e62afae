// Refused sign-ins: told once as they begin, and accepted ones as they are, for the account and for a StorageVault.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import type { VaultId } from '../../src/remote-drive.ts';
import { createSyncplicityDrive, type SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { replyError } from '../../src/syncplicity/errors.ts';
import { SignIns } from '../../src/syncplicity/sign-ins.ts';
import { StorageAccess } from '../../src/syncplicity/storage-access.ts';

describe('of an account', () => {
  let emulator: Emulator;
  let drive: SyncplicityDrive;
  let changes: string[];
  beforeEach(async () => {
    emulator = await startEmulator({ store: new MemoryStore() });
    const { appKey, appSecret, appToken } = emulator.credentials;
    drive = createSyncplicityDrive({
      name: 'work',
      credentials: { clientId: appKey, clientSecret: appSecret, appToken },
      apiUrl: emulator.gatewayUrl,
      proxyEnvironment: {},
      retries: { delayMs: 20 },
    });
    changes = [];
    drive.signIns.onChange((who) => changes.push(`${who}: ${drive.signIns.refused.get(who) ?? 'accepted'}`));
  });
  afterEach(async () => {
    await drive.stop();
    await emulator.stop();
  });

  it('a token that is not given is told once, however many calls wait for it', async () => {
    emulator.setFaults([{ kind: 'status', endpoint: 'token', status: 401, text: 'invalid_client', count: 100 }]);
    const calls = [drive.syncpoints(), drive.syncpoints(), drive.vaults()];
    for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
    expect(changes).toEqual([expect.stringMatching(/^work: .*invalid_client/)]);
  });

  it('a call refused with each new token is told, and the first one answered takes it back', async () => {
    await drive.syncpoints();
    emulator.setFaults([{ kind: 'status', endpoint: 'syncpoints', status: 401, text: 'User is inactive', count: 4 }]);
    await expect(drive.syncpoints()).rejects.toThrow('User is inactive');
    expect(changes).toEqual(['work: accepted', expect.stringContaining('User is inactive')]);
    await drive.syncpoints();
    await drive.syncpoints();
    expect(changes.slice(2)).toEqual(['work: accepted']);
  });

  it('a call that is refused by itself, for want of a right, is told once at most, until it is answered', async () => {
    const deny = (count: number): void =>
      emulator.setFaults([
        { kind: 'status', endpoint: 'storageendpoints', status: 401, text: 'You may only read', count },
      ]);
    deny(100);
    for (let round = 0; round < 5; round += 1) {
      await expect(drive.vaults()).rejects.toThrow('You may only read');
      await drive.syncpoints();
    }
    expect(changes).toEqual([expect.stringContaining('You may only read'), 'work: accepted']);
    deny(0);
    await drive.vaults();
    deny(4);
    await expect(drive.vaults()).rejects.toThrow('You may only read');
    expect(changes.slice(2)).toEqual([expect.stringContaining('You may only read')]);
  });

  it('a token that has run out, a refused right and a service that is away are none of it', async () => {
    await drive.syncpoints();
    emulator.expireTokens();
    await drive.syncpoints();
    emulator.setFaults([
      { kind: 'status', endpoint: 'syncpoints', status: 403, text: 'Reader permission' },
      { kind: 'status', endpoint: 'syncpoints', status: 500, count: 10 },
    ]);
    await expect(drive.syncpoints()).rejects.toThrow('Reader permission');
    await expect(drive.syncpoints()).rejects.toThrow();
    expect(changes).toEqual(['work: accepted']);
  });
});

it('of a StorageVault: missing or over is told with its remedy, until the vault takes one', async () => {
  const signIns = new SignIns();
  const changes: string[] = [];
  signIns.onChange((who) => changes.push(`${who}: ${signIns.refused.get(who) ?? 'accepted'}`));
  const tokens = new Map<VaultId, string>();
  const storage = {
    tokenFor: (id: VaultId) => Promise.resolve(tokens.get(id)),
    machineToken: () => Promise.resolve(undefined),
    remedy: 'sign in to it',
  };
  const access = new StorageAccess({ storage }, signIns, 'work');
  const vault = {
    id: 'c0ffee' as VaultId,
    name: 'Berlin',
    requiresStorageToken: true,
  } as Parameters<StorageAccess['headers']>[0];
  await expect(access.headers(vault)).rejects.toThrow('sign in to it');
  tokens.set(vault.id, 'hidden-token-of-the-vault');
  await access.headers(vault);
  access.accepted(vault);
  const refusal = replyError({ call: 'retrieveFile', thing: 'a file', status: 401, reason: 'Over', body: '' });
  access.explained(vault, refusal);
  access.explained({ ...vault, id: 'other' as VaultId, requiresStorageToken: false }, refusal);
  expect(changes).toEqual([
    expect.stringMatching(/^StorageVault Berlin \(work\): .*sign in to it/),
    'StorageVault Berlin (work): accepted',
    expect.stringMatching(/^StorageVault Berlin \(work\): .*Over.*sign in to it/),
  ]);
  expect(changes.join()).not.toContain('hidden-token');
  // Another connection of a pool, which is signed in there, mends nothing.
  new StorageAccess({ storage }, signIns, 'spare').accepted(vault);
  expect(changes.slice(3)).toEqual(['StorageVault Berlin (spare): accepted']);
  expect([...signIns.refused.keys()]).toEqual(['StorageVault Berlin (work)']);
});
