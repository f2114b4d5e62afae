// The access token of one app key and user: fetched by client credentials (section "token request" of OAuth), renewed ahead of
// its expiry, shared by all who ask at once. A refused credential fails everybody at once for a while, without asking again.
import { waitFor } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import { RemoteError } from '../remote-drive.ts';
import type { TokenFields } from './wire/entities.ts';

const log = createLog('token');

/** What the service gave. */
export interface IssuedToken extends TokenFields {
  /** GUID of the user that calls act for, where that is not the token's own. */
  readonly actsFor: string | undefined;
}

export interface Token extends IssuedToken {
  readonly renewAtMs: number;
}

/** Fetches a token; retries and budget are its own affair. Rejects with `unauthenticated` when the credentials are refused. */
export type FetchToken = (signal: AbortSignal) => Promise<IssuedToken>;

/** Renewed this long before the end: longer than any single call takes. */
const marginMs = 100_000;
/** Where the reply has no lifetime; the service's present one is 85 minutes. */
const assumedLifetimeMs = 3_600_000;
/** How long a refusal of the credentials stands before they are tried again. */
const refusalStandsMs = 60_000;
/** After a new token did not help against a bare 403, further bare 403s count as refusals for this long. */
const uselessRenewalMs = 60_000;

export class AccessToken {
  readonly #fetch: FetchToken;
  readonly #isChanged: () => Promise<boolean>;
  readonly #stopping = new AbortController();
  #token: Token | undefined;
  /** The last tokens, newest first: replies to requests with an older one may still come. */
  #issued: readonly string[] = [];
  #fetching: Promise<Token> | undefined;
  #refusal: { readonly error: RemoteError; readonly untilMs: number } | undefined;
  #uselessUntilMs = 0;

  /** `isChanged`: whether the credentials are others than those that were refused. */
  constructor(fetch: FetchToken, isChanged: () => Promise<boolean> = () => Promise.resolve(false)) {
    this.#fetch = fetch;
    this.#isChanged = isChanged;
  }

  /** A token that holds for the next while. */
  async get(signal: AbortSignal | undefined): Promise<Token> {
    const now = performance.now();
    if (this.#token !== undefined && now < this.#token.renewAtMs) return this.#token;
    const refusal = this.#refusal;
    if (refusal !== undefined && now < refusal.untilMs && !(await this.#isChanged())) throw refusal.error;
    this.#fetching ??= this.#renew();
    return waitFor(this.#fetching, signal);
  }

  /** The next get() fetches another one: how long this one is good nobody knows. */
  forget(): void {
    this.#token = undefined;
  }

  /** The service did not accept this token: the next get() fetches another, unless somebody did already. */
  reject(token: Token): void {
    if (this.#token === token) this.#token = undefined;
  }

  /** Forgets that the credentials were refused: the next get() tries them again. */
  forgetRefusal(): void {
    this.#refusal = undefined;
  }

  /** The tokens that requests under way may carry. */
  get issued(): readonly string[] {
    return this.#issued;
  }

  /** Whether a bare 403 is worth a new token. */
  get renewalMayHelp(): boolean {
    return performance.now() >= this.#uselessUntilMs;
  }

  /** A call got the same bare 403 with a new token. */
  renewalWasUseless(): void {
    this.#uselessUntilMs = performance.now() + uselessRenewalMs;
  }

  stop(): void {
    this.#stopping.abort(new RemoteError('unavailable', 'the drive is being stopped'));
  }

  async #renew(): Promise<Token> {
    try {
      const fields = await this.#fetch(this.#stopping.signal);
      const lifetimeMs = fields.expiresInSeconds === undefined ? assumedLifetimeMs : fields.expiresInSeconds * 1000;
      // A lifetime shorter than the margin must not make every call fetch a token.
      const renewAtMs = performance.now() + Math.max(lifetimeMs - marginMs, lifetimeMs / 2);
      this.#token = { ...fields, renewAtMs };
      this.#issued = [fields.accessToken, ...this.#issued].slice(0, 4);
      this.#refusal = undefined;
      log('a new token, renewed in %d s', Math.round((renewAtMs - performance.now()) / 1000));
      return this.#token;
    } catch (error) {
      if (error instanceof RemoteError && error.kind === 'unauthenticated') {
        this.#refusal = { error, untilMs: performance.now() + refusalStandsMs };
      }
      throw error;
    } finally {
      this.#fetching = undefined;
    }
  }
}
