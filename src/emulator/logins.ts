// Users who sign in with a browser: the codes given for it, and the refresh tokens given for those. Promises: a code is good once, for
// ten minutes, for the app, the address and the challenge it was made with; a code used twice ends what it gave (RFC 6749, 4.1.2).
import { createHash, randomBytes } from 'node:crypto';
import { same } from './apps.ts';
import type { Dialect } from './dialect.ts';

const CODE_LIFETIME_MS = 600_000;
/** More at once than any test or demonstration signs in. */
const LOGINS_MAX = 1_000;

/** What an app asked for when it sent somebody to sign in. */
export interface SignInRequest {
  readonly appKey: string;
  readonly redirectUri: string | undefined;
  /** S256. */
  readonly challenge: string | undefined;
}

/** What an app shows for a code. */
export interface Redemption {
  readonly appKey: string;
  readonly code: string;
  readonly redirectUri: string | undefined;
  readonly verifier: string | undefined;
}

interface Login {
  readonly appKey: string;
  refreshToken: string;
}

interface Code extends SignInRequest {
  readonly untilMs: number;
  /** What was given for it. */
  login: Login | undefined;
}

export class Logins {
  readonly #refresh: Dialect['refreshTokens'];
  readonly #codes = new Map<string, Code>();
  readonly #logins = new Set<Login>();

  constructor({ refreshTokens }: Pick<Dialect, 'refreshTokens'>) {
    this.#refresh = refreshTokens;
  }

  /** A code for a user who signed in and agreed. */
  signIn(request: SignInRequest): string {
    const code = `emulated-code-${randomBytes(24).toString('base64url')}`;
    this.#codes.set(code, { ...request, untilMs: Date.now() + CODE_LIFETIME_MS, login: undefined });
    for (const oldest of this.#codes.keys()) {
      if (this.#codes.size <= LOGINS_MAX) break;
      this.#codes.delete(oldest);
    }
    return code;
  }

  /** A refresh token for a code; undefined where the code is not good for it. */
  redeem({ appKey, code, redirectUri, verifier }: Redemption): string | undefined {
    const known = this.#codes.get(code);
    if (known === undefined || known.appKey !== appKey || known.untilMs < Date.now()) return undefined;
    if (known.login !== undefined) {
      this.#logins.delete(known.login);
      return undefined;
    }
    if (known.redirectUri !== redirectUri || !answers(known.challenge, verifier)) return undefined;
    known.login = { appKey, refreshToken: newRefreshToken() };
    this.#logins.add(known.login);
    return known.login.refreshToken;
  }

  /** The token to be used next, undefined in it where the reply is to name none; undefined where the token is not good. */
  renew(appKey: string, refreshToken: string): { readonly next: string | undefined } | undefined {
    const login = [...this.#logins].find((one) => one.appKey === appKey && same(refreshToken, one.refreshToken));
    if (login === undefined) return undefined;
    if (this.#refresh === 'rotating') login.refreshToken = newRefreshToken();
    return { next: this.#refresh === 'unsaid' ? undefined : login.refreshToken };
  }

  /** The user takes the grant back. */
  endAll(): void {
    this.#codes.clear();
    this.#logins.clear();
  }
}

function newRefreshToken(): string {
  return `emulated-refresh-${randomBytes(32).toString('base64url')}`;
}

function answers(challenge: string | undefined, verifier: string | undefined): boolean {
  if (challenge === undefined) return true;
  return verifier !== undefined && same(createHash('sha256').update(verifier).digest('base64url'), challenge);
}
