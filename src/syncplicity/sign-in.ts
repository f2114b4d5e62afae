// Signing in with a browser (OAuth's authorization code): the address to be opened there, and what the code that comes back is worth.
// Source: section "other grants" of OAuth at the service; RFC 6749 and 7636 where it is silent. Must not know how the code comes back.
import { createHash, randomBytes } from 'node:crypto';
import { RemoteError } from '../remote-drive.ts';
import { replyError } from './errors.ts';
import { below, serviceUrl } from './http/service-url.ts';
import type { HttpTransport } from './http/transport.ts';
import { loneTransport } from './lone-transport.ts';
import { defaultApiUrl, defaultGolUrl } from './options.ts';
import type { MemberOptions, ServiceOptions } from './options.ts';
import { homeGateway } from './rols.ts';
import { basic, codeGrant, requestToken, without } from './token-request.ts';

export interface SignInOptions
  extends Pick<MemberOptions, 'apiUrl' | 'golUrl'>, Pick<ServiceOptions, 'ca' | 'proxyEnvironment'> {
  readonly app: { readonly clientId: string; readonly clientSecret: string };
  /** Finds the home region where no `apiUrl` is given. */
  readonly email: string | undefined;
}

/** Whom a code let in. */
export interface SignedIn {
  readonly refreshToken: string;
  readonly userId: string | undefined;
  readonly email: string | undefined;
}

/** One sign-in, from the address to the token. Holds secrets. */
export class SignIn {
  /** Comes back with the code: what comes without it was not asked for here. */
  readonly state = randomBytes(24).toString('base64url');
  readonly #verifier = randomBytes(48).toString('base64url');
  readonly #options: SignInOptions;
  readonly #transport: HttpTransport;
  #gateway: URL | undefined;

  constructor(options: SignInOptions) {
    this.#options = options;
    this.#transport = loneTransport(options);
  }

  /** Where the user signs in. Holds no secret. Without a `redirectUri` the service uses what is registered for the app. */
  async address(redirectUri: string | undefined, signal: AbortSignal): Promise<URL> {
    const url = below(await this.#home(signal), '/oauth/authorize');
    url.searchParams.set('response_type', 'code');
    url.searchParams.set('client_id', this.#options.app.clientId);
    if (redirectUri !== undefined) url.searchParams.set('redirect_uri', redirectUri);
    url.searchParams.set('state', this.state);
    // A server that knows nothing of these ignores them.
    url.searchParams.set('code_challenge', createHash('sha256').update(this.#verifier).digest('base64url'));
    url.searchParams.set('code_challenge_method', 'S256');
    return url;
  }

  /** What a code is worth: once, and soon. */
  async redeem(code: string, redirectUri: string | undefined, signal: AbortSignal): Promise<SignedIn> {
    const { app } = this.#options;
    const gateway = await this.#home(signal);
    const secrets = [basic(app), app.clientSecret, code, this.#verifier];
    const answer = await requestToken(this.#transport, {
      gateway,
      app,
      grant: codeGrant(code, this.#verifier, redirectUri),
      withoutSecrets: (text) => without(text, secrets),
      signal,
    });
    if ('refusal' in answer) {
      const { text, status, kind } = replyError(answer.refusal);
      const words = text === '' ? `HTTP ${status}` : `${text} (HTTP ${status})`;
      throw new RemoteError(kind, `${gateway.host} does not accept the sign-in: ${words}`);
    }
    const { refreshToken, userId, userEmail } = answer.fields;
    if (refreshToken === undefined) {
      throw new RemoteError('protocol', `${gateway.host} gave no refresh token: the login would last an hour only`);
    }
    return { refreshToken, userId, email: userEmail };
  }

  stop(): Promise<void> {
    return this.#transport.stop();
  }

  async #home(signal: AbortSignal): Promise<URL> {
    if (this.#gateway !== undefined) return this.#gateway;
    const { apiUrl, golUrl, email } = this.#options;
    this.#gateway =
      apiUrl === undefined && email !== undefined
        ? await homeGateway(this.#transport, serviceUrl(golUrl ?? defaultGolUrl, 'gol_url'), email, signal)
        : serviceUrl(apiUrl ?? defaultApiUrl, 'api_url');
    return this.#gateway;
  }
}
