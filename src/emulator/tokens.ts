// Credentials and the tokens given for them: OAuth client credentials with an application or machine token, and secured
// session tokens for the vault, which are whose the token was they were given for. Promises: a token is good until it expires, is revoked, or the process ends.
import { randomBytes } from 'node:crypto';
import { type App, type Apps, same } from './apps.ts';
import type { Credentials } from './identity.ts';
import type { Machines } from './machines.ts';

/** What a bearer token opens: everything, or (SST) one vault only. */
export type TokenScope = 'account' | 'vault';

/** Who holds a token: the user, at one of the machines or at none. */
export interface Holder {
  readonly machineId: string | undefined;
}

// Clients renew once an hour or so; more than this many at once is a client that asks for a token per call.
const TOKENS_MAX = 10_000;

export class Tokens {
  readonly #credentials: Credentials;
  readonly #apps: Apps;
  readonly #machines: Machines;
  readonly #live = new Map<string, Holder & { scope: TokenScope; app: string; expiresAt: number }>();

  constructor(credentials: Credentials, apps: Apps, machines: Machines) {
    this.#credentials = credentials;
    this.#apps = apps;
    this.#machines = machines;
  }

  /** An app that may call now. */
  isAppKey(key: string | string[] | undefined): boolean {
    return this.#apps.byKey(key) !== undefined;
  }

  /** Whose application or machine token this is; undefined: nobody's. */
  holder(appToken: string | undefined, machineToken: string | undefined): Holder | undefined {
    if (appToken !== undefined) {
      return same(appToken, this.#credentials.appToken) ? { machineId: undefined } : undefined;
    }
    const machine = machineToken === undefined ? undefined : this.#machines.byToken(machineToken);
    return machine && { machineId: machine.id };
  }

  /** A fresh token, as long as the service's are. */
  issue(scope: TokenScope, { machineId }: Holder, { appKey }: App, lifetimeSeconds: number): string {
    const token = `emulated-bearer-${randomBytes(320).toString('base64url')}`;
    this.#live.set(token, { scope, machineId, app: appKey, expiresAt: Date.now() + lifetimeSeconds * 1000 });
    for (const oldest of this.#live.keys()) {
      if (this.#live.size <= TOKENS_MAX) break;
      this.#live.delete(oldest);
    }
    return token;
  }

  /** What an `Authorization: Bearer` opens to the app of this `AppKey`; undefined when it opens nothing. */
  scopeOf(authorization: string | undefined, appKey: string | string[] | undefined): TokenScope | undefined {
    return this.find(authorization, appKey)?.scope;
  }

  /** What is known of an `Authorization: Bearer` of this app. */
  find(
    authorization: string | undefined,
    appKey: string | string[] | undefined,
  ): (Holder & { readonly scope: TokenScope }) | undefined {
    const token = bearer(authorization);
    const found = token === undefined ? undefined : this.#live.get(token);
    if (token === undefined || found === undefined) return undefined;
    if (this.#apps.byKey(appKey)?.appKey !== found.app) return undefined;
    if (found.expiresAt > Date.now()) return found;
    this.#live.delete(token);
    return undefined;
  }

  /** Ends one token, as its expiry or a revocation would. */
  end(authorization: string | undefined): void {
    const token = bearer(authorization);
    if (token !== undefined) this.#live.delete(token);
  }

  endAll(): void {
    this.#live.clear();
  }
}

function bearer(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}
