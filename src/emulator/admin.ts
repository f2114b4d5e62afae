// The emulator's own calls, for tests in other processes: `/_emulator/...` on the gateway's port with the admin key.
// faults: POST sets, DELETE clears; calls: GET reads, DELETE zeroes; mutate: POST; left-out: GET; expire-tokens: POST;
// snapshot: GET reads all that the store holds.
import { timingSafeEqual } from 'node:crypto';
import type { CallCounter } from './call-counts.ts';
import type { Call, Route } from './call.ts';
import type { Fault, Faults } from './faults.ts';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';
import { StoreRefusal } from './store.ts';
import { takeSnapshot } from './store-snapshot.ts';
import type { ContentStore, StoreChange } from './store.ts';
import type { Tokens } from './tokens.ts';

export interface AdminOptions {
  readonly adminKey: string;
  readonly store: ContentStore;
  readonly counter: CallCounter;
  readonly faults: Faults;
  readonly tokens: Tokens;
}

export function adminRoutes({ adminKey, store, counter, faults, tokens }: AdminOptions): readonly Route[] {
  const route = (method: string, name: string, answer: (call: Call) => unknown): Route => ({
    endpoint: 'admin',
    method,
    path: new RegExp(`^/_emulator/${name}$`),
    handle: async (call) => {
      const given = Buffer.from(String(call.headers['x-emulator-key'] ?? ''));
      const key = Buffer.from(adminKey);
      if (given.byteLength !== key.byteLength || !timingSafeEqual(given, key))
        throw new Refusal(401, 'Admin key needed');
      return json(await answer(call));
    },
  });
  return [
    route('POST', 'faults', async (call) => {
      const wanted = parsed(await call.body());
      if (!Array.isArray(wanted)) throw new Refusal(400, 'An array of faults is needed');
      faults.set(wanted as Fault[]);
      return { set: wanted.length };
    }),
    route('GET', 'faults', () => ({ pending: faults.pending() })),
    route('DELETE', 'faults', () => {
      faults.set([]);
      return { set: 0 };
    }),
    route('GET', 'calls', () => counter.counts()),
    route('DELETE', 'calls', () => {
      counter.reset();
      return counter.counts();
    }),
    route('POST', 'mutate', async (call) => {
      try {
        await store.mutate(parsed(await call.body()) as StoreChange);
      } catch (error) {
        if (error instanceof StoreRefusal) throw new Refusal(409, error.message);
        throw error;
      }
      return {};
    }),
    route('GET', 'left-out', () => store.leftOut()),
    route('GET', 'snapshot', () => takeSnapshot(store)),
    route('POST', 'expire-tokens', () => {
      tokens.endAll();
      return {};
    }),
  ];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'JSON is needed');
  }
}

function json(value: unknown): Reply {
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) };
}
