// The access token of one app key and user: fetched by client credentials (section "token request" of OAuth), renewed ahead of
// its expiry, shared by all who ask at once. A refused credential fails everybody at once for a while, without asking again.
import { delay, waitFor } from '../base/abort.ts';
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
/** After a new token did not help a call against a bare 403, further bare 403s to that call count as refusals for this long ... */
const uselessRenewalMs = 60_000;
/** ... unless so many calls in a row got one and none was accepted: then it is the token that is not. */
const bareRefusalsMax = 3;
/** Where that goes on with the next token it is something else: a new one is asked for after this, and after twice as long each time ... */
const renewAgainMs = 5_000;
/** ... up to this. */
const renewAgainMaxMs = 60_000;
/** Tokens in a row that nobody was served with: up to here the next one may do better, then it is not the token. */
const unprovenMax = 3;
/** Before the second of them is asked for: a service of several machines may know a new one everywhere a moment later. Then twice as long. */
const unprovenPauseMs = 400;

export class AccessToken {
  readonly #fetch: FetchToken;
  readonly #isChanged: () => Promise<boolean>;
  readonly #stopping = new AbortController();
  #token: Token | undefined;
  /** The last tokens, newest first: replies to requests with an older one may still come. */
  #issued: readonly string[] = [];
  #fetching: Promise<Token> | undefined;
  #refusal: { readonly error: RemoteError; readonly untilMs: number } | undefined;
  /** By the name of the call. */
  readonly #uselessUntilMs = new Map<string, number>();
  /** Bare 403s in a row to requests with the present token. */
  #bareRefusals = 0;
  #renewAgain = { atMs: 0, pauseMs: renewAgainMs };
  /** Somebody was served with the present token. */
  #isProven = false;
  /** Somebody was served with one of the tokens. */
  #isKnown = false;
  /** Tokens given up in a row that nobody was served with. */
  #unproven = 0;

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
    if (this.#token !== token) return;
    this.#token = undefined;
    if (!this.#isProven) this.#unproven += 1;
  }

  /**
   * True for a token that nobody was served with, where somebody was with former ones: it may have ended already, or not be known everywhere
   * yet, so that yet another one may be accepted where this one was not. False once that came to pass several times in a row.
   */
  isUnproven(token: Token): boolean {
    return this.#isKnown && (this.#token !== token || !this.#isProven) && this.#unproven < unprovenMax;
  }

  /** True where somebody gave this token up already, of a service that accepted one lately: the next one costs nothing and is likely accepted. */
  wasReplaced(token: Token): boolean {
    return this.#isKnown && this.#token !== token && this.#unproven < unprovenMax;
  }

  /** Forgets that the credentials were refused: the next get() tries them again. */
  forgetRefusal(): void {
    this.#refusal = undefined;
  }

  /** The tokens that requests under way may carry. */
  get issued(): readonly string[] {
    return this.#issued;
  }

  /** A call with this token was carried out. */
  accepted(token: Token): void {
    if (this.#token !== token) return;
    this.#isProven = true;
    this.#isKnown = true;
    this.#unproven = 0;
    this.#bareRefusals = 0;
    this.#renewAgain = { atMs: 0, pauseMs: renewAgainMs };
  }

  /** A call with this token got a bare 403. Whether that is worth a new token. */
  renewalMayHelp(token: Token, call: string): boolean {
    // Somebody has another one by now.
    if (this.#token !== token) return true;
    this.#bareRefusals += 1;
    if (!this.wasUselessFor(call)) return true;
    const now = performance.now();
    if (this.#bareRefusals < bareRefusalsMax || now < this.#renewAgain.atMs) return false;
    const { pauseMs } = this.#renewAgain;
    this.#renewAgain = { atMs: now + pauseMs, pauseMs: Math.min(pauseMs * 2, renewAgainMaxMs) };
    return true;
  }

  /** True where a new token lately did not help this call against a bare 403. */
  wasUselessFor(call: string): boolean {
    return performance.now() < (this.#uselessUntilMs.get(call) ?? 0);
  }

  /** A call got the same bare 403 with this new token. */
  renewalWasUseless(token: Token, call: string): void {
    // Given up meanwhile, it may have been no better than the one before.
    if (this.#token !== token) return;
    this.#bareRefusals += 1;
    this.#uselessUntilMs.set(call, performance.now() + uselessRenewalMs);
  }

  stop(): void {
    this.#stopping.abort(new RemoteError('unavailable', 'the drive is being stopped'));
  }

  async #renew(): Promise<Token> {
    const { signal } = this.#stopping;
    try {
      if (this.#isKnown && this.#unproven > 0 && this.#unproven < unprovenMax)
        await delay(unprovenPauseMs * 2 ** (this.#unproven - 1), signal);
      const fields = await this.#fetch(signal);
      const lifetimeMs = fields.expiresInSeconds === undefined ? assumedLifetimeMs : fields.expiresInSeconds * 1000;
      // A lifetime shorter than the margin must not make every call fetch a token.
      const renewAtMs = performance.now() + Math.max(lifetimeMs - marginMs, lifetimeMs / 2);
      this.#token = { ...fields, renewAtMs };
      this.#isProven = false;
      this.#bareRefusals = 0;
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
