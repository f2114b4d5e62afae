// One request to /oauth/token: what each grant sends, and what came of it. Promises: no secret in an error. Must not know budgets,
// retries, or when a token is renewed.
import type { VaultId } from '../remote-drive.ts';
import { errorText, bodyBytes } from './http/body-text.ts';
import { retryAfterMs } from './http/retry-after.ts';
import { below } from './http/service-url.ts';
import type { HttpTransport } from './http/transport.ts';
import { isThrottling } from './errors.ts';
import type { ErrorReply } from './errors.ts';
import type { SyncplicityCredentials } from './options.ts';
import { readToken } from './wire/entities.ts';
import type { TokenFields } from './wire/entities.ts';
import { parseReply } from './wire/reply.ts';
import { webPage } from './wire/web-page.ts';

export const tokenCall = 'token POST';
/** A token reply is a kilobyte or two. */
const tokenBytesMax = 1 << 20;

/** What one kind of sign-in sends beside the app's own credentials. */
export interface Grant {
  readonly form: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** The grant of an application token, or else of a machine's. */
export function clientGrant({
  appToken,
  machineToken,
}: Pick<SyncplicityCredentials, 'appToken' | 'machineToken'>): Grant {
  const isUser = (appToken ?? '') !== '';
  return {
    form: { grant_type: 'client_credentials' },
    headers: isUser ? { 'sync-app-token': appToken ?? '' } : { 'sync-machine-token': machineToken ?? '' },
  };
}

/** The grant of a token for one vault alone (SST), to whoever has one for all. */
export function vaultGrant(accessToken: string, vaultId: VaultId): Grant {
  return {
    form: {
      grant_type: 'urn:syncplicity:oauth:grant-type:access-token',
      token: accessToken,
      resource: `urn:syncplicity:resources:storage:${vaultId}`,
    },
    headers: {},
  };
}

/** The grant of somebody who signed in before. */
export function refreshGrant(refreshToken: string): Grant {
  return { form: { grant_type: 'refresh_token', refresh_token: refreshToken }, headers: {} };
}

/** The grant of somebody who signed in just now. `redirectUri` where the sign-in was sent one. */
export function codeGrant(code: string, verifier: string, redirectUri: string | undefined): Grant {
  return {
    form: {
      grant_type: 'authorization_code',
      code,
      ...(redirectUri === undefined ? {} : { redirect_uri: redirectUri }),
      code_verifier: verifier,
    },
    headers: {},
  };
}

export interface TokenRequest {
  readonly gateway: URL;
  readonly app: Pick<SyncplicityCredentials, 'clientId' | 'clientSecret'>;
  readonly grant: Grant;
  /** A server's words without the secrets it may have repeated. */
  readonly withoutSecrets: (text: string) => string;
  readonly signal: AbortSignal | undefined;
  readonly onDeparture?: () => void;
}

/** The service's answer, good or bad. */
export type TokenAnswer = { readonly fields: TokenFields } | { readonly refusal: ErrorReply };

/** Asks for a token, once. Rejects where no answer comes, or one that is none. */
export async function requestToken(transport: HttpTransport, request: TokenRequest): Promise<TokenAnswer> {
  const { gateway, app, grant, withoutSecrets, signal, onDeparture } = request;
  const url = below(gateway, '/oauth/token');
  const reply = await transport.send({
    pool: 'gateway',
    method: 'POST',
    url,
    headers: {
      accept: 'application/json',
      authorization: `Basic ${basic(app)}`,
      'content-type': 'application/x-www-form-urlencoded',
      ...grant.headers,
    },
    body: new URLSearchParams(grant.form).toString(),
    signal,
    onDeparture,
  });
  if (reply.status !== 200) {
    const refusal = {
      call: tokenCall,
      thing: `the credentials for ${gateway.host}`,
      status: reply.status,
      reason: withoutSecrets(reply.reason),
      body: withoutSecrets(await errorText(reply)),
      retryAfterMs: retryAfterMs(reply.headers, Date.now()),
    };
    // An application server may say 401 in a page; any other page is not the service's word about credentials.
    const page =
      reply.status === 401 ? undefined : webPage(refusal.body, `${tokenCall}: ${refusal.thing}: HTTP ${reply.status}`);
    if (page !== undefined && !isThrottling(refusal) && reply.status < 500) throw page;
    return { refusal };
  }
  let bytes: Buffer | undefined;
  try {
    bytes = await bodyBytes(reply, tokenBytesMax);
  } catch (error) {
    throw transport.failure(error, url, signal);
  }
  return { fields: readToken(parseReply(bytes, tokenCall, { secret: true }), tokenCall) };
}

/** The app's credentials as a Basic header has them. */
export function basic({ clientId, clientSecret }: TokenRequest['app']): string {
  return Buffer.from(`${clientId}:${clientSecret}`, 'utf8').toString('base64');
}

/** The text without these secrets. */
export function without(text: string, secrets: Iterable<string | undefined>): string {
  let clean = text;
  for (const secret of secrets) {
    // Shorter ones are no secrets, and would tear words apart.
    if (secret !== undefined && secret.length >= 6) clean = clean.replaceAll(secret, '[secret]');
  }
  return clean;
}
