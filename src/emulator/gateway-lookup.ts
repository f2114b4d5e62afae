// What the gateway's content calls have in common: who may call, and which syncpoint, folder or file an id of the path means.
// Must not know: what a call does with it.
import type { Call } from './call.ts';
import type { Dialect } from './dialect.ts';
import { requireAccess } from './gateway-access.ts';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';
import type { ContentStore, SyncpointRecord } from './store.ts';
import type { Tokens } from './tokens.ts';

export class GatewayLookup {
  readonly #store: ContentStore;
  readonly #tokens: Tokens;
  readonly #dialect: Dialect;

  constructor({ store, tokens, dialect }: { store: ContentStore; tokens: Tokens; dialect: Dialect }) {
    this.#store = store;
    this.#tokens = tokens;
    this.#dialect = dialect;
  }

  /** The handler behind the checks that every call gets. */
  guarded(handle: (call: Call) => Promise<Reply>, contentType = true): (call: Call) => Promise<Reply> {
    return (call) => {
      requireAccess(call, this.#tokens, this.#dialect, { contentType });
      return handle(call);
    };
  }

  /** A syncpoint the account may see. */
  async syncpoint(id: bigint, refusal: Refusal): Promise<SyncpointRecord> {
    const found = (await this.#store.syncpoints()).find((one) => BigInt(one.id) === id);
    if (found === undefined || found.permission === 0) throw refusal;
    return found;
  }

  /** A syncpoint the account may change. */
  async writableSyncpoint(id: bigint, refusal: Refusal): Promise<SyncpointRecord> {
    const found = await this.syncpoint(id, refusal);
    if (found.permission !== 1) throw new Refusal(403, 'Syncpoint Shared With Reader Permission');
    return found;
  }

  missingSyncpoint(status: number, text: string): Refusal {
    return this.#dialect.missingSyncpoint === '403'
      ? new Refusal(403, 'User Not Authorized For Action')
      : new Refusal(status, text);
  }

  /** The store's id behind one of the wire; 0 (which no store gives) when it cannot be one. */
  storeId(id: bigint): number {
    const plain = id - this.#dialect.idBase;
    return plain > 0n && plain <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(plain) : 0;
  }
}

/** An id of the path, or the refusal the call's table names for it. */
export function positive(segment: string | undefined, refusal: Refusal): bigint {
  if (segment === undefined || !/^[0-9]{1,19}$/.test(segment) || BigInt(segment) === 0n) throw refusal;
  return BigInt(segment);
}
