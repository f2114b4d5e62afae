// What all requests to a vault share: its several addresses, its own authentication, its doubtful refusals. Knows neither
// downloads nor uploads.
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions } from '../remote-drive.ts';
import type { Counters } from './counters.ts';
import { replyError } from './errors.ts';
import type { ErrorReply, ReplyError } from './errors.ts';
import { errorText } from './http/body-text.ts';
import { retryAfterMs } from './http/retry-after.ts';
import { below } from './http/service-url.ts';
import type { LineRates } from './http/byte-rate.ts';
import type { HttpReply, HttpRequest, HttpTransport } from './http/transport.ts';
import type { Session } from './session.ts';
import type { Vault } from './vaults.ts';

export interface VaultReply {
  readonly reply: HttpReply;
  readonly url: URL;
}

export interface VaultRequestParts {
  readonly transport: HttpTransport;
  readonly session: Session;
  readonly counters: Counters;
  readonly rates: LineRates;
}

/** Which of a vault's addresses answered last. */
export class VaultAddress {
  urlIndex = 0;
}

/** Sends a request to the address that answered last, then to the others while `mayTryNext` says so of the failure. */
export async function sendToAnyAddress(
  parts: VaultRequestParts,
  vault: Vault,
  address: VaultAddress,
  path: string,
  request: Omit<HttpRequest, 'pool' | 'url'> & { readonly name: string },
  mayTryNext: (error: RemoteError) => boolean = () => true,
): Promise<VaultReply> {
  const { name, ...http } = request;
  for (let tried = 1; ; tried += 1) {
    const base = vault.urls[address.urlIndex % vault.urls.length] as URL;
    const url = below(base, path);
    try {
      parts.counters.transfer(name);
      const reply = await parts.transport.send({ ...http, pool: 'vault', url });
      return { reply, url };
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      address.urlIndex = (address.urlIndex + 1) % vault.urls.length;
      if (tried >= vault.urls.length || !mayTryNext(error)) throw error;
    }
  }
}

/** A request in the account's name. */
export interface AuthorisedRequest {
  readonly call: string;
  /** For messages. */
  readonly thing: string;
  /** Besides those of the account. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends a request with the account's token; where that is stale, once more with another. Resolves with a 200 or 206 reply, or with the refusal. */
export async function withToken<Sent extends { readonly reply: HttpReply }>(
  { session, counters }: Pick<VaultRequestParts, 'session' | 'counters'>,
  { call, thing, headers }: AuthorisedRequest,
  options: CallOptions,
  sendOnce: (headers: Readonly<Record<string, string>>) => Promise<Sent>,
): Promise<Sent | ReplyError> {
  const renewal = session.renewal();
  for (;;) {
    const token = await session.token.get(options.signal);
    const sent = await sendOnce({ ...session.headers(token), ...headers });
    const { reply } = sent;
    if (reply.status === 200 || reply.status === 206) return sent;
    const error: ErrorReply = {
      call,
      thing,
      status: reply.status,
      reason: session.withoutSecrets(reply.reason),
      body: session.withoutSecrets(await errorText(reply)),
      retryAfterMs: retryAfterMs(reply.headers, Date.now()),
    };
    if (renewal.helps(error, token)) continue;
    const failure = replyError(error);
    counters.refused(failure);
    return failure;
  }
}

/** The header of vaults with authentication of their own. */
export function storageHeader(vault: Vault, session: Session): Record<string, string> {
  if (!vault.requiresStorageToken) return {};
  if (session.storageToken === undefined) {
    throw new RemoteError(
      'unauthenticated',
      `StorageVault ${vault.name} asks for its own authentication: give the connection a storage_token`,
    );
  }
  return { 'syncplicity-storage-authorization': session.storageToken };
}

/** Some servers answer an unknown path with 400 or 403 instead of 404; words about the user or the object mean what they say. */
export function mayRefuseForm(answer: ReplyError): boolean {
  if (answer.status !== 400 && answer.status !== 403) return false;
  if (answer.kind !== 'forbidden' && answer.kind !== 'protocol') return false;
  return !/authori[sz]ed|permission|ip address|purging/i.test(answer.text);
}
