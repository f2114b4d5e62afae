// Credentials and the tokens given for them: OAuth client credentials with an application or machine token, and secured
// session tokens for the vault. Promises: a token is good until it expires, is revoked, or the process ends.
import { randomBytes } from 'node:crypto';
import { type App, type Apps, same } from './apps.ts';
import type { Credentials } from './identity.ts';

/** What a bearer token opens: everything, or (SST) one vault only. */
export type TokenScope = 'account' | 'vault';

// Clients renew once an hour or so; more than this many at once is a client that asks for a token per call.
const TOKENS_MAX = 10_000;

export class Tokens {
  readonly #credentials: Credentials;
  readonly #apps: Apps;
  readonly #live = new Map<string, { scope: TokenScope; app: string; expiresAt: number }>();

  constructor(credentials: Credentials, apps: Apps) {
    this.#credentials = credentials;
    this.#apps = apps;
  }

  /** An app that may call now. */
  isAppKey(key: string | string[] | undefined): boolean {
    return this.#apps.byKey(key) !== undefined;
  }

  isUser(appToken: string | undefined, machineToken: string | undefined): boolean {
    if (appToken !== undefined) return same(appToken, this.#credentials.appToken);
    return machineToken !== undefined && same(machineToken, this.#credentials.machineToken);
  }

  /** A fresh token, as long as the service's are. */
  issue(scope: TokenScope, { appKey }: App, lifetimeSeconds: number): string {
    const token = `emulated-bearer-${randomBytes(320).toString('base64url')}`;
    this.#live.set(token, { scope, app: appKey, expiresAt: Date.now() + lifetimeSeconds * 1000 });
    for (const oldest of this.#live.keys()) {
      if (this.#live.size <= TOKENS_MAX) break;
      this.#live.delete(oldest);
    }
    return token;
  }

  /** What an `Authorization: Bearer` opens to the app of this `AppKey`; undefined when it opens nothing. */
  scopeOf(authorization: string | undefined, appKey: string | string[] | undefined): TokenScope | undefined {
    const token = bearer(authorization);
    const found = token === undefined ? undefined : this.#live.get(token);
    if (token === undefined || found === undefined) return undefined;
    if (this.#apps.byKey(appKey)?.appKey !== found.app) return undefined;
    if (found.expiresAt > Date.now()) return found.scope;
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
