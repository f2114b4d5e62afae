// Several apps of one account: each with its secret, its tokens and its limits.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';
import { requestToken } from './client.ts';

let emulator: Emulator;
const syncpoints = '/syncpoint/syncpoints.svc/?includeType=1,2,3,4,5,6,8';

beforeEach(async () => {
  const store = new MemoryStore();
  store.addSyncpoint('Projects');
  const throttle = { mode: 'windowed', perSecond: 3 } as const;
  emulator = await startEmulator({ store, appCount: 2, throttle });
});
afterEach(() => emulator.stop());

async function tokenOf(index: number): Promise<Response> {
  const app = emulator.apps[index];
  const Authorization = `Basic ${Buffer.from(`${app?.appKey}:${app?.appSecret}`).toString('base64')}`;
  return requestToken(emulator, { Authorization });
}

async function signedIn(index: number): Promise<(path: string, key?: number) => Promise<number>> {
  const { access_token: token } = (await (await tokenOf(index)).json()) as { access_token: string };
  return async (path, key = index) => {
    const headers = {
      AppKey: emulator.apps[key]?.appKey ?? '',
      Authorization: `Bearer ${token}`,
      Accept: 'application/json',
      'Content-Type': 'application/json',
    };
    return (await fetch(emulator.gatewayUrl + path, { headers })).status;
  };
}

describe('apps of one account', () => {
  it('have keys of their own, the first that of the credentials, and see the same user', async () => {
    const [first, second] = emulator.apps;
    expect(first?.appKey).toBe(emulator.credentials.appKey);
    expect(new Set([first?.appKey, second?.appKey, first?.appSecret, second?.appSecret]).size).toBe(4);
    const replies = await Promise.all([tokenOf(0), tokenOf(1)]);
    const [one, other] = (await Promise.all(replies.map((reply) => reply.json()))) as {
      user_id: string;
      client_id: string;
    }[];
    expect(one?.user_id).toBe(other?.user_id);
    expect(other?.client_id).toBe(second?.appKey);
  });

  it('have limits of their own', async () => {
    const [one, two] = [await signedIn(0), await signedIn(1)];
    expect([await one(syncpoints), await one(syncpoints), await one(syncpoints)]).toEqual([200, 200, 429]);
    expect([await two(syncpoints), await two(syncpoints), await two(syncpoints)]).toEqual([200, 200, 429]);
    const { byApp } = emulator.calls();
    expect(Object.values(byApp)).toEqual([
      { gateway: 4, vault: 0 },
      { gateway: 4, vault: 0 },
    ]);
  });

  it("do not take each other's tokens", async () => {
    const one = await signedIn(0);
    expect(await one(syncpoints, 1)).toBe(401);
    expect(await one(syncpoints)).toBe(200);
  });

  it('are refused one by one, and taken back', async () => {
    const [one, two] = [await signedIn(0), await signedIn(1)];
    const key = emulator.apps[1]?.appKey ?? '';
    emulator.suspendApp(key);
    expect([await one(syncpoints), await two(syncpoints), (await tokenOf(1)).status]).toEqual([200, 401, 401]);
    emulator.suspendApp(key, false);
    expect(await two(syncpoints)).toBe(429);
  });

  it('are struck by faults apart', async () => {
    const [one, two] = [await signedIn(0), await signedIn(1)];
    const appKey = emulator.apps[1]?.appKey ?? '';
    emulator.setFaults([{ kind: 'status', status: 503, endpoint: 'syncpoints', appKey }]);
    expect([await one(syncpoints), await two(syncpoints)]).toEqual([200, 503]);
  });
});
