// What all requests to a vault share: its several addresses, its doubtful refusals. Knows neither
// downloads nor uploads.
import { RemoteError } from '../remote-drive.ts';
import type { Counters } from './counters.ts';
import type { ReplyError } from './errors.ts';
import { below } from './http/service-url.ts';
import type { LineRates } from './http/byte-rate.ts';
import type { HttpReply, HttpRequest, HttpTransport } from './http/transport.ts';
import type { Session } from './session.ts';
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

/** Some servers answer an unknown path with 400 or 403 instead of 404; words about the user or the object mean what they say. */
export function mayRefuseForm(answer: ReplyError): boolean {
  if (answer.status !== 400 && answer.status !== 403) return false;
  if (answer.kind !== 'forbidden' && answer.kind !== 'protocol') return false;
  return !/authori[sz]ed|permission|ip address|purging/i.test(answer.text);
}
