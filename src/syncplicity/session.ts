// Who we are at the service: the gateway of the home region, the token, the headers that carry them. Gateway calls and vault
// requests authorise themselves here; tokens go to the gateway and to the hosts it named, nowhere else.
import { waitFor } from '../base/abort.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallClass } from '../remote-drive.ts';
import type { CallBudget } from './budget.ts';
import type { Counters } from './counters.ts';
import { isSpikeArrest, isThrottling, replyError } from './errors.ts';
import type { ReplyError } from './errors.ts';
import { bodyBytes, errorText } from './http/body-text.ts';
import { retryAfterMs } from './http/retry-after.ts';
import { below, serviceUrl } from './http/service-url.ts';
import type { HttpTransport } from './http/transport.ts';
import { defaultApiUrl, defaultGolUrl } from './options.ts';
import type { SyncplicityCredentials, SyncplicityOptions } from './options.ts';
import type { Retries } from './retries.ts';
import { homeGateway } from './rols.ts';
import { TokenRenewal } from './token-renewal.ts';
import { AccessToken } from './token.ts';
import type { Token } from './token.ts';
import { readToken } from './wire/entities.ts';
import type { TokenFields } from './wire/entities.ts';
import { parseReply } from './wire/reply.ts';

/** A token reply is a kilobyte or two. */
const tokenBytesMax = 1 << 20;
const tokenCall = 'token POST';
/** Whoever asks first, everybody waits for it. */
const tokenClass: CallClass = 'interactive';

export interface SessionParts {
  readonly transport: HttpTransport;
  readonly budget: Pick<CallBudget, 'acquire' | 'refused' | 'accepted'>;
  readonly counters: Counters;
  readonly retries: Retries;
}

export class Session {
  readonly #parts: SessionParts;
  readonly #credentials: SyncplicityCredentials;
  readonly #apiUrl: URL | undefined;
  readonly #golUrl: URL;
  readonly #stopping = new AbortController();
  readonly token: AccessToken;
  #home: Promise<URL> | undefined;

  /** Checks addresses and credentials' form at once: a typing error is not found out by the first call. */
  constructor(options: Pick<SyncplicityOptions, 'credentials' | 'apiUrl' | 'golUrl'>, parts: SessionParts) {
    this.#parts = parts;
    this.#credentials = checked(options.credentials);
    const lookUpHome = options.apiUrl === undefined && options.credentials.email !== undefined;
    this.#apiUrl = lookUpHome ? undefined : serviceUrl(options.apiUrl ?? defaultApiUrl, 'api_url');
    this.#golUrl = serviceUrl(options.golUrl ?? defaultGolUrl, 'gol_url');
    this.token = new AccessToken((signal) => this.#fetchToken(signal));
  }

  /** The gateway's address. Looks the home region up once; a failed look-up is tried again by the next call. */
  async gatewayUrl(signal: AbortSignal | undefined): Promise<URL> {
    if (this.#apiUrl !== undefined) return this.#apiUrl;
    this.#home ??= this.#findHome();
    return waitFor(this.#home, signal);
  }

  /** Headers that authorise a request. */
  headers(token: Token): Record<string, string> {
    const { clientId, asUser } = this.#credentials;
    return {
      appkey: clientId,
      authorization: `Bearer ${token.accessToken}`,
      ...(asUser === undefined || asUser === '' ? {} : { 'as-user': asUser }),
    };
  }

  /** A server's words without the secrets it may have repeated from our request. */
  withoutSecrets(text: string): string {
    const { clientId, clientSecret, appToken, machineToken, storageToken } = this.#credentials;
    const secrets = [
      basic(clientId, clientSecret),
      clientSecret,
      appToken,
      machineToken,
      storageToken,
      ...this.token.issued,
    ];
    let clean = text;
    for (const secret of secrets) {
      // Shorter ones are no secrets, and would tear words apart.
      if (secret !== undefined && secret.length >= 6) clean = clean.replaceAll(secret, '[secret]');
    }
    return clean;
  }

  /** For one request: decides whether its refusal is worth another token. */
  renewal(): TokenRenewal {
    return new TokenRenewal(this.token);
  }

  /** Whom calls act for, where that is not the token's own user. */
  get asUser(): string | undefined {
    return this.#credentials.asUser || undefined;
  }

  get storageToken(): string | undefined {
    return this.#credentials.storageToken;
  }

  stop(): void {
    this.#stopping.abort(new RemoteError('unavailable', 'the drive is being stopped'));
    this.token.stop();
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

  async #fetchToken(signal: AbortSignal): Promise<TokenFields> {
    const gateway = await this.gatewayUrl(signal);
    return this.#parts.retries.run(signal, async () => {
      for (;;) {
        await this.#parts.budget.acquire({ callClass: tokenClass, signal });
        const fields = await this.#requestToken(gateway, signal);
        if (fields !== 'throttled') return fields;
      }
    });
  }

  /** One request. 'throttled' when the budget has been told to wait. */
  async #requestToken(gateway: URL, signal: AbortSignal): Promise<TokenFields | 'throttled'> {
    const { clientId, clientSecret, appToken, machineToken } = this.#credentials;
    const url = below(gateway, '/oauth/token');
    this.#parts.counters.call(tokenCall, tokenClass);
    const reply = await this.#parts.transport.send({
      pool: 'gateway',
      method: 'POST',
      url,
      headers: {
        accept: 'application/json',
        authorization: `Basic ${basic(clientId, clientSecret)}`,
        'content-type': 'application/x-www-form-urlencoded',
        ...(machineToken === undefined ? { 'sync-app-token': appToken ?? '' } : { 'sync-machine-token': machineToken }),
      },
      body: 'grant_type=client_credentials',
      signal,
    });
    if (reply.status !== 200) {
      const error = {
        call: tokenCall,
        thing: `the credentials for ${gateway.host}`,
        status: reply.status,
        reason: this.withoutSecrets(reply.reason),
        body: this.withoutSecrets(await errorText(reply)),
        retryAfterMs: retryAfterMs(reply.headers, Date.now()),
      };
      if (isThrottling(error)) {
        this.#parts.budget.refused({ retryAfterMs: error.retryAfterMs, spikeArrest: isSpikeArrest(error) });
        return 'throttled';
      }
      throw credentialError(replyError(error));
    }
    let bytes: Buffer | undefined;
    try {
      bytes = await bodyBytes(reply, tokenBytesMax);
    } catch (error) {
      throw this.#parts.transport.failure(error, url, signal);
    }
    this.#parts.budget.accepted();
    return readToken(parseReply(bytes, tokenCall, { secret: true }), tokenCall);
  }
}

function basic(clientId: string, clientSecret: string): string {
  return Buffer.from(`${clientId}:${clientSecret}`, 'utf8').toString('base64');
}

/** Any refusal of a token request concerns the credentials; server faults keep their kind. */
function credentialError(error: ReplyError): RemoteError {
  const { status } = error;
  if (error.kind !== 'unavailable' && (status === 400 || status === 401 || status === 403)) {
    const message = error.kind === 'unauthenticated' ? error.message : `${error.message}; check the connection`;
    return new RemoteError('unauthenticated', message);
  }
  return error;
}

function checked(credentials: SyncplicityCredentials): SyncplicityCredentials {
  if (credentials.clientId === '' || credentials.clientSecret === '') {
    throw new RemoteError('unauthenticated', 'the connection has no client_id or no client_secret');
  }
  if ((credentials.appToken ?? '') === '' && (credentials.machineToken ?? '') === '') {
    throw new RemoteError('unauthenticated', 'the connection has neither an app_token nor a machine_token');
  }
  for (const [name, value] of Object.entries(credentials) as [string, string | undefined][]) {
    // A header cannot carry it, and the error of the HTTP library would quote it.
    if (name !== 'email' && value !== undefined && /[^\t\x20-\x7e]/.test(value)) {
      throw new RemoteError('unauthenticated', `the connection's ${name} holds characters no header can carry`);
    }
  }
  return credentials;
}
