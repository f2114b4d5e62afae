// Who we are at the service: the gateway of the home region, the token, the headers that carry them. Gateway calls and vault
// requests authorise themselves here; tokens go to the gateway and to the hosts it named, nowhere else.
import { waitFor } from '../base/abort.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallClass, VaultId } from '../remote-drive.ts';
import type { CallBudget } from './budget.ts';
import type { Counters } from './counters.ts';
import { isGuid, userIdOf } from './acting.ts';
import { isSpikeArrest, isThrottling, replyError } from './errors.ts';
import type { ReplyError } from './errors.ts';
import { serviceUrl } from './http/service-url.ts';
import { type HttpTransport, wasNeverSent } from './http/transport.ts';
import { defaultApiUrl, defaultGolUrl } from './options.ts';
import type { Login, SyncplicityCredentials, SyncplicityOptions } from './options.ts';
import type { Retries } from './retries.ts';
import { homeGateway } from './rols.ts';
import type { SignIns } from './sign-ins.ts';
import { TokenRenewal } from './token-renewal.ts';
import { StorageAccess } from './storage-access.ts';
import { basic, clientGrant, refreshGrant, requestToken, tokenCall, vaultGrant, without } from './token-request.ts';
import type { Grant } from './token-request.ts';
import { AccessToken } from './token.ts';
import type { IssuedToken, Token } from './token.ts';
import { VaultTokens } from './vault-tokens.ts';
import type { TokenFields } from './wire/entities.ts';

/** Whoever asks first, everybody waits for it. */
const tokenClass: CallClass = 'interactive';
/** Nobody waits longer for a token that another one can stand for. */
const exchangeWaitMs = 1_000;

export interface SessionParts {
  readonly transport: HttpTransport;
  readonly budget: Pick<CallBudget, 'acquire' | 'left' | 'takeBack' | 'refused' | 'accepted' | 'waitMs'>;
  readonly counters: Counters;
  readonly retries: Retries;
  readonly signIns: SignIns;
  /** What messages call the connection. */
  readonly name: string;
}

export class Session {
  readonly #parts: SessionParts;
  readonly #credentials: SyncplicityCredentials;
  readonly #apiUrl: URL | undefined;
  readonly #golUrl: URL;
  readonly #stopping = new AbortController();
  readonly token: AccessToken;
  /** What vaults are shown in its place. */
  readonly vaultTokens: VaultTokens;
  readonly storage: StorageAccess;
  #home: Promise<URL> | undefined;
  /** The last ones of a login, newest first: the service may repeat them. */
  #refreshTokens: readonly string[] = [];
  #actsFor: string | undefined;
  /** The last one that was read. */
  #machineSecret: string | undefined;

  /** Told when a call leaves that the budget let go. */
  readonly #left = (): void => this.#parts.budget.left();

  /** Checks addresses and credentials' form at once: a typing error is not found out by the first call. */
  constructor(options: Pick<SyncplicityOptions, 'credentials' | 'apiUrl' | 'golUrl'>, parts: SessionParts) {
    this.#parts = parts;
    this.#credentials = checked(options.credentials);
    const lookUpHome = options.apiUrl === undefined && options.credentials.email !== undefined;
    this.#apiUrl = lookUpHome ? undefined : serviceUrl(options.apiUrl ?? defaultApiUrl, 'api_url');
    this.#golUrl = serviceUrl(options.golUrl ?? defaultGolUrl, 'gol_url');
    const { login } = this.#credentials;
    const isChanged = async (): Promise<boolean> =>
      login !== undefined && (await login.peek()) !== this.#refreshTokens[0];
    this.token = new AccessToken((signal) => this.#signIn(signal), isChanged);
    this.vaultTokens = new VaultTokens({
      account: this.token,
      machine: this.#machineToken(),
      exchange: (base, vaultId, signal) => this.#exchange(base, vaultId, signal),
      gatewayUrl: (signal) => this.gatewayUrl(signal),
    });
    this.storage = new StorageAccess(this.#credentials, parts.signIns, parts.name);
  }

  /** The gateway's address. Looks the home region up once; a failed look-up is tried again by the next call. */
  async gatewayUrl(signal: AbortSignal | undefined): Promise<URL> {
    if (this.#apiUrl !== undefined) return this.#apiUrl;
    this.#home ??= this.#findHome();
    return waitFor(this.#home, signal);
  }

  /** Headers that authorise a request, in the name of whom calls act for unless `asOneself` is set. */
  headers(token: Token, asOneself = false): Record<string, string> {
    return {
      appkey: this.#credentials.clientId,
      authorization: `Bearer ${token.accessToken}`,
      ...(token.actsFor === undefined || asOneself ? {} : { 'as-user': token.actsFor }),
    };
  }

  /** A server's words without the secrets it may have repeated from our request. */
  withoutSecrets(text: string): string {
    const { clientSecret, appToken, machineToken } = this.#credentials;
    const own = [basic(this.#credentials), clientSecret, appToken, machineToken, this.#machineSecret];
    const given = [...this.token.issued, ...this.vaultTokens.issued, ...this.storage.issued];
    return without(text, [...own, ...given, ...this.#refreshTokens]);
  }

  /** For one request: decides whether its refusal is worth another token. `isOnce`: there is another way than to insist. */
  renewal({ isOnce }: { readonly isOnce: boolean }): TokenRenewal {
    return new TokenRenewal(this.token, { isOnce });
  }

  /** Whom calls act for, where that is not the token's own user. */
  get asUser(): string | undefined {
    return this.#credentials.asUser || undefined;
  }

  /** How long tokens are good nobody knows any more. */
  forgetTokens(): void {
    this.token.forget();
    this.vaultTokens.forget();
  }

  stop(): void {
    this.#stopping.abort(new RemoteError('unavailable', 'the drive is being stopped'));
    this.token.stop();
    this.vaultTokens.stop();
  }

  async #findHome(): Promise<URL> {
    const { signal } = this.#stopping;
    try {
      return await this.#parts.retries.run(signal, () =>
        homeGateway(this.#parts.transport, this.#golUrl, this.#credentials.email ?? '', signal),
      );
    } catch (error) {
      this.#home = undefined;
      throw error;
    }
  }

  /** A token of the account, or the refusal that somebody has to do something about. */
  async #signIn(signal: AbortSignal): Promise<IssuedToken> {
    const { signIns, name } = this.#parts;
    try {
      return await this.#fetchToken(signal);
    } catch (error) {
      if (error instanceof RemoteError && error.kind === 'unauthenticated') signIns.refuse(name, error);
      throw error;
    }
  }

  async #fetchToken(signal: AbortSignal): Promise<IssuedToken> {
    const gateway = await this.gatewayUrl(signal);
    const { login } = this.#credentials;
    return this.#parts.retries.run(signal, async () => {
      for (;;) {
        await this.#parts.budget.acquire({ callClass: tokenClass, signal });
        const fields = await (login === undefined
          ? this.#requestToken(gateway, clientGrant(this.#credentials), signal)
          : this.#renewLogin(gateway, login, signal));
        if (fields !== 'throttled') return { ...fields, actsFor: await this.#whomFor(fields, gateway, signal) };
      }
    });
  }

  /** The token of the machine, where the account has another one of its own. The machine may be registered later. */
  #machineToken(): AccessToken | undefined {
    const { login, appToken, machineToken: given, storage } = this.#credentials;
    if (given === undefined && storage === undefined) return undefined;
    if (login === undefined && (appToken ?? '') === '') return undefined;
    return new AccessToken(async (signal) => {
      const machineToken = storage === undefined ? given : await storage.machineToken();
      if (machineToken === undefined) throw new RemoteError('not-found', 'the connection has no machine');
      this.#machineSecret = machineToken;
      // Whom calls act for is told with the account's token.
      const { actsFor } = await this.token.get(signal);
      const gateway = await this.gatewayUrl(signal);
      await this.#parts.budget.acquire({ callClass: tokenClass, signal });
      const fields = await this.#requestToken(gateway, clientGrant({ machineToken }), signal);
      if (fields !== 'throttled') return { ...fields, actsFor };
      throw new RemoteError('throttled', `${tokenCall}: the machine's token: too many calls`);
    });
  }

  async #exchange(base: Token, vaultId: VaultId, signal: AbortSignal): Promise<IssuedToken> {
    const gateway = await this.gatewayUrl(signal);
    const { budget } = this.#parts;
    if (budget.waitMs(tokenClass) > exchangeWaitMs) {
      throw new RemoteError('throttled', `${tokenCall}: no call is left for a token of vault ${vaultId}`);
    }
    await budget.acquire({ callClass: tokenClass, signal });
    const fields = await this.#requestToken(gateway, vaultGrant(base.accessToken, vaultId), signal, {
      isExchange: true,
    });
    if (fields === 'throttled') throw new RemoteError('throttled', `${tokenCall}: too many calls`);
    return { ...fields, actsFor: base.actsFor };
  }

  /** The GUID that As-User takes, of whoever is to be acted for. */
  async #whomFor(token: TokenFields, gateway: URL, signal: AbortSignal): Promise<string | undefined> {
    const { asUser } = this;
    if (asUser === undefined) return undefined;
    if (isGuid(asUser)) return asUser.toLowerCase();
    if (this.#actsFor === undefined) {
      await this.#parts.budget.acquire({ callClass: tokenClass, signal });
      this.#parts.counters.call('user.svc GET', tokenClass);
      const headers = this.headers({ ...token, actsFor: undefined, renewAtMs: 0 });
      const withoutSecrets = (text: string): string => without(this.withoutSecrets(text), [token.accessToken]);
      const request = { gateway, email: asUser, headers, withoutSecrets, signal, onDeparture: this.#left };
      this.#actsFor = await userIdOf(this.#parts.transport, request);
    }
    return this.#actsFor;
  }

  async #renewLogin(gateway: URL, login: Login, signal: AbortSignal): Promise<TokenFields | 'throttled'> {
    return login.renew(async (refreshToken) => {
      this.#refreshTokens = [refreshToken, ...this.#refreshTokens].slice(0, 4);
      const value = await this.#requestToken(gateway, refreshGrant(refreshToken), signal, { remedy: login.remedy });
      return { value, next: value === 'throttled' ? undefined : value.refreshToken };
    });
  }

  /**
   * One request. 'throttled' when the budget has been told to wait. `remedy`: what to do where a login is not taken any more. A refusal of
   * an exchange says nothing of the credentials.
   */
  async #requestToken(
    gateway: URL,
    grant: Grant,
    signal: AbortSignal,
    { remedy, isExchange = false }: { readonly remedy?: string; readonly isExchange?: boolean } = {},
  ): Promise<TokenFields | 'throttled'> {
    this.#parts.counters.call(tokenCall, tokenClass);
    const withoutSecrets = (text: string): string => this.withoutSecrets(text);
    const request = { gateway, app: this.#credentials, grant, withoutSecrets, signal, onDeparture: this.#left };
    const answer = await requestToken(this.#parts.transport, request).catch((error: unknown) => {
      if (wasNeverSent(error)) this.#parts.budget.takeBack();
      throw error;
    });
    if ('fields' in answer) {
      this.#parts.budget.accepted();
      return answer.fields;
    }
    const error = answer.refusal;
    if (isThrottling(error)) {
      this.#parts.budget.refused({ retryAfterMs: error.retryAfterMs, spikeArrest: isSpikeArrest(error) });
      return 'throttled';
    }
    const failure = replyError(error);
    throw isExchange ? failure : credentialError(failure, remedy);
  }
}

/** Any refusal of a token request concerns the credentials; server faults keep their kind. */
function credentialError(error: ReplyError, remedy: string | undefined): RemoteError {
  const { status, text } = error;
  if (error.kind !== 'unavailable' && (status === 400 || status === 401 || status === 403)) {
    // A refused app is not helped by signing in with it again.
    if (remedy !== undefined && !/\bclient\b|app ?key/i.test(text)) {
      const words = text === '' ? `HTTP ${status}` : `${text} (HTTP ${status})`;
      return new RemoteError('unauthenticated', `the login is not accepted any more: ${words}; ${remedy}`);
    }
    const message = error.kind === 'unauthenticated' ? error.message : `${error.message}; check the connection`;
    return new RemoteError('unauthenticated', message);
  }
  return error;
}

function checked(credentials: SyncplicityCredentials): SyncplicityCredentials {
  if (credentials.clientId === '' || credentials.clientSecret === '') {
    throw new RemoteError('unauthenticated', 'the connection has no client_id or no client_secret');
  }
  const { login } = credentials;
  if (login === undefined && (credentials.appToken ?? '') === '' && (credentials.machineToken ?? '') === '') {
    throw new RemoteError('unauthenticated', 'the connection has neither an app_token, a machine_token nor a login');
  }
  for (const [name, value] of Object.entries(credentials)) {
    // A header cannot carry it, and the error of the HTTP library would quote it.
    if (name !== 'email' && typeof value === 'string' && /[^\t\x20-\x7e]/.test(value)) {
      throw new RemoteError('unauthenticated', `the connection's ${name} holds characters no header can carry`);
    }
  }
  return credentials;
}
