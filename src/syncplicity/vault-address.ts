// What all requests to a vault share: its several addresses, its doubtful refusals. Knows neither
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
import type { VaultHolds } from './vault-holds.ts';
import type { Vault } from './vault.ts';

export interface VaultReply {
  readonly reply: HttpReply;
  readonly url: URL;
}

export interface VaultRequestParts {
  readonly transport: HttpTransport;
  readonly session: Session;
  readonly counters: Counters;
  readonly rates: LineRates;
  readonly holds: VaultHolds;
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
  await parts.holds.pass(parts.session, vault, request.signal);
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

/** A request to a vault in the account's name. */
export interface AuthorisedRequest {
  readonly call: string;
  /** For messages. */
  readonly thing: string;
  /** Besides those of the account. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Asks a vault for bytes with what it is to be shown of the account: a token, and where it has a sign-in of its own, that. Where one of them is
 * stale, asks once more with another. Resolves with a 200 or 206 reply, or with the refusal.
 */
export async function authorised<Sent extends { readonly reply: HttpReply }>(
  {
    session,
    counters,
    holds,
  }: Pick<VaultRequestParts, 'session' | 'counters'> & Partial<Pick<VaultRequestParts, 'holds'>>,
  vault: Vault,
  { call, thing, headers }: AuthorisedRequest,
  options: CallOptions,
  sendOnce: (headers: Readonly<Record<string, string>>) => Promise<Sent>,
): Promise<Sent | ReplyError> {
  const { storage } = session;
  const tokens = await session.vaultTokens.forRequest(vault, 'download', options.signal);
  let isStorageReplaced = false;
  for (;;) {
    const storageHeaders = await storage.headers(vault);
    const token = await tokens.get(options.signal);
    const sent = await sendOnce({ ...session.headers(token), ...storageHeaders, ...headers });
    const { reply } = sent;
    if (reply.status === 200 || reply.status === 206) {
      tokens.accepted();
      storage.accepted(vault);
      return sent;
    }
    const error: ErrorReply = {
      call,
      thing,
      status: reply.status,
      reason: session.withoutSecrets(reply.reason),
      body: session.withoutSecrets(await errorText(reply)),
      retryAfterMs: retryAfterMs(reply.headers, Date.now()),
    };
    holds?.note(session, vault, error);
    if (tokens.helps(error)) continue;
    const failure = replyError(error);
    if (!isStorageReplaced && (await storage.isReplaced(vault, failure, storageHeaders))) {
      isStorageReplaced = true;
      tokens.signedInAgain();
      continue;
    }
    counters.refused(failure);
    return storage.explained(vault, failure);
  }
}

/** Some servers answer an unknown path with 400 or 403 instead of 404; words about the user or the object mean what they say. */
export function mayRefuseForm(answer: ReplyError): boolean {
  if (answer.status !== 400 && answer.status !== 403) return false;
  if (answer.kind !== 'forbidden' && answer.kind !== 'protocol') return false;
  return !/authori[sz]ed|permission|ip address|purging/i.test(answer.text);
}
