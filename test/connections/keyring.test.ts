// Connections whose secrets are in a keyring: none of them is in the file, and nothing is half there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tmp from 'tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAuth, serializeAuth } from '../../src/connections/auth-file.ts';
import { type ConnectionStore, openConnectionStore } from '../../src/connections/store.ts';
import type { VaultId } from '../../src/remote-drive.ts';
import { MemoryKeyring } from '../fakes/memory-keyring.ts';

const secrets = {
  client_secret: 'hidden-secret-1',
  app_token: 'hidden-token-2',
  machine_token: 'hidden-token-3',
  storage_token: 'hidden-token-4',
};
const { auth } = parseAuth('syncplicity', {
  client_id: 'key',
  email: 'jane@example.com',
  api_url: 'https://eu.example.com/',
  admin_mode: true,
  ...secrets,
});

let directory: tmp.DirResult;
let keyring: MemoryKeyring;
let store: ConnectionStore;
beforeEach(() => {
  directory = tmp.dirSync({ unsafeCleanup: true });
  keyring = new MemoryKeyring();
  store = openConnectionStore(directory.name, () => undefined, keyring);
});
afterEach(() => directory.removeCallback());

const text = (): string => readFileSync(join(directory.name, 'connections.json'), 'utf8');

describe('a connection whose secrets are in the keyring', () => {
  it('has none of them in the file, and all of them back', async () => {
    const { id } = await store.add({ name: 'work', auth, secretsIn: 'keyring' });
    expect(text()).not.toMatch(/hidden/);
    expect(text()).toContain('jane@example.com');
    expect([...keyring.entries.keys()]).toEqual([id]);
    expect(JSON.parse(keyring.entries.get(id) ?? '')).toEqual(secrets);
    expect(serializeAuth(await store.auth(id))).toEqual(serializeAuth(auth));
    expect(await store.address(id)).toEqual({ platform: 'syncplicity', apiUrl: 'https://eu.example.com' });
  });

  it('keeps a login there too, and goes on with the latest one', async () => {
    const { id } = await store.add({ name: 'work', auth, secretsIn: 'keyring' });
    await store.keepLogin(id, 'hidden-token-5');
    expect(text()).not.toMatch(/hidden/);
    const found = await store.auth(id);
    if (found.platform !== 'syncplicity') throw new Error('another platform');
    const { login } = found.credentials;
    expect(await login?.peek()).toBe('hidden-token-5');
    await login?.renew((token) => Promise.resolve({ value: undefined, next: `${token}-renewed` }));
    expect(JSON.parse(keyring.entries.get(id) ?? '')).toEqual({ ...secrets, refresh_token: 'hidden-token-5-renewed' });
    expect(text()).not.toMatch(/hidden/);
  });

  it('keeps sign-ins at vaults there, and shows the machine it calls from', async () => {
    const { id } = await store.add({ name: 'work', auth, secretsIn: 'keyring' });
    await store.keepMachine(id, { id: 'machine-7', token: 'hidden-token-7' });
    await store.keepStorageToken(id, 'V1', 'hidden-token-8');
    expect(text()).toContain('machine-7');
    expect(text()).not.toMatch(/hidden/);
    const found = await store.auth(id);
    if (found.platform !== 'syncplicity') throw new Error('another platform');
    const { storage } = found.credentials;
    expect(await storage?.machineToken()).toBe('hidden-token-7');
    expect(await storage?.tokenFor('v1' as VaultId)).toBe('hidden-token-8');
  });

  it('is not stored where the keyring refuses', async () => {
    keyring.isLocked = true;
    await expect(store.add({ name: 'work', auth, secretsIn: 'keyring' })).rejects.toThrow('it is locked');
    expect(await store.list()).toEqual([]);
  });

  it('leaves no secrets behind where it cannot be stored', async () => {
    const { id } = await store.add({ name: 'work', auth, secretsIn: 'keyring' });
    await expect(store.add({ name: 'work', auth, secretsIn: 'keyring' })).rejects.toThrow('exists already');
    expect([...keyring.entries.keys()]).toEqual([id]);
  });

  it('takes its secrets along when it is deleted', async () => {
    const { id } = await store.add({ name: 'work', auth, secretsIn: 'keyring' });
    expect(await store.remove(id)).toBe(true);
    expect(keyring.entries.size).toBe(0);
  });

  it('can be deleted where the keyring is locked, which is said', async () => {
    const { id } = await store.add({ name: 'work', auth, secretsIn: 'keyring' });
    keyring.isLocked = true;
    expect(await store.address(id)).toEqual({ platform: 'syncplicity', apiUrl: 'https://eu.example.com' });
    await expect(store.remove(id)).rejects.toThrow(/"work" is deleted, but its secrets .* it is locked/);
    expect(await store.list()).toEqual([]);
  });

  it.each([
    ['gone', undefined, 'has no secrets of "work" any more'],
    ['damaged', '{"client_secret": "hidden-secret-', 'what the desktop keyring has of "work" is damaged'],
  ])('says what to do where they are %s, and shows none', async (_what, left, words) => {
    const { id } = await store.add({ name: 'work', auth, secretsIn: 'keyring' });
    if (left === undefined) keyring.entries.delete(id);
    else keyring.entries.set(id, left);
    const error = await store.auth(id).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error?.message).toContain(words);
    expect(error?.message).toContain('delete the connection and add it again');
    expect(error?.message).not.toContain('hidden');
  });
});
