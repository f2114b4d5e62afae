// Credentials and the tokens given for them: OAuth client credentials with an application or machine token, and secured
// session tokens for the vault. Promises: a token is good until it expires, is revoked, or the process ends.
import { randomBytes, timingSafeEqual } from 'node:crypto';

export interface Credentials {
  readonly appKey: string;
  readonly appSecret: string;
  readonly appToken: string;
  readonly machineToken: string;
  readonly userId: string;
  readonly email: string;
}

/** What a bearer token opens: everything, or (SST) one vault only. */
export type TokenScope = 'account' | 'vault';

// Clients renew once an hour or so; more than this many at once is a client that asks for a token per call.
const TOKENS_MAX = 10_000;

export class Tokens {
  readonly #credentials: Credentials;
  readonly #live = new Map<string, { scope: TokenScope; expiresAt: number }>();

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** The `Basic` header of a token request is the app's. */
  isApp(authorization: string | undefined): boolean {
    const { appKey, appSecret } = this.#credentials;
    const encoded = /^Basic +(\S+)$/i.exec(authorization ?? '')?.[1];
    return encoded !== undefined && same(Buffer.from(encoded, 'base64').toString('utf8'), `${appKey}:${appSecret}`);
  }

  isAppKey(key: string | undefined): boolean {
    return key !== undefined && same(key, this.#credentials.appKey);
  }

  isUser(appToken: string | undefined, machineToken: string | undefined): boolean {
    if (appToken !== undefined) return same(appToken, this.#credentials.appToken);
    return machineToken !== undefined && same(machineToken, this.#credentials.machineToken);
  }

  /** A fresh token, as long as the service's are. */
  issue(scope: TokenScope, lifetimeSeconds: number): string {
    const token = randomBytes(320).toString('base64url');
    this.#live.set(token, { scope, expiresAt: Date.now() + lifetimeSeconds * 1000 });
    for (const oldest of this.#live.keys()) {
      if (this.#live.size <= TOKENS_MAX) break;
      this.#live.delete(oldest);
    }
    return token;
  }

  /** What the `Authorization: Bearer` header opens; undefined when it opens nothing. */
  scopeOf(authorization: string | undefined): TokenScope | undefined {
    const token = bearer(authorization);
    const found = token === undefined ? undefined : this.#live.get(token);
    if (token === undefined || found === undefined) return undefined;
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

function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
