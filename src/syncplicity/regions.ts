// Calls of other regions (ROLs) than the account's own, each with a token made for that one call. The public lookup tells where they are;
// what it was told once is kept. Knows no call in particular.
import { namesLoopback } from '../base/loopback.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions } from '../remote-drive.ts';
import { replyError } from './errors.ts';
import type { GatewayCall } from './gateway.ts';
import { bodyBytes, errorText } from './http/body-text.ts';
import { below, serviceUrl } from './http/service-url.ts';
import type { HttpTransport } from './http/transport.ts';
import type { Member } from './members/member.ts';
import { defaultApiUrl, defaultGolUrl, type MemberOptions } from './options.ts';
import type { Retries } from './retries.ts';
import { regionsOfUser } from './rols.ts';
import type { RolFields } from './wire/entities.ts';
import { parseReply } from './wire/reply.ts';

/** A call about a hundred users is some ten kilobytes. */
const replyBytesMax = 4 << 20;

export interface RegionsParts {
  readonly transport: HttpTransport;
  readonly retries: Retries;
  readonly member: Member;
  readonly options: Pick<MemberOptions, 'apiUrl' | 'golUrl' | 'credentials'>;
  /** The address of the account; without it nobody can be looked up. */
  readonly email: string | undefined;
}

export class Regions {
  readonly #parts: RegionsParts;
  #known: Promise<readonly RolFields[]> | undefined;

  constructor(parts: RegionsParts) {
    this.#parts = parts;
  }

  /** Makes a call of another region with the token made for it. It goes out once: the token is good for one. */
  async ask(rolId: number, request: GatewayCall, bearer: string, call: CallOptions): Promise<unknown> {
    const { transport, member, options } = this.#parts;
    const url = below(await this.#gatewayOf(rolId, call), request.path);
    await member.acquire({ callClass: call.callClass ?? 'interactive', signal: call.signal });
    const { method = 'GET', body, name, thing } = request;
    const headers = {
      accept: 'application/json',
      'content-type': 'application/json',
      appkey: options.credentials.clientId,
      authorization: `Bearer ${bearer}`,
    };
    member.counters.call(name, call.callClass ?? 'interactive');
    const onDeparture = (): void => member.left();
    const reply = await transport.send({
      pool: 'gateway',
      method,
      url,
      headers,
      body,
      signal: call.signal,
      onDeparture,
    });
    if (reply.status < 200 || reply.status >= 300) {
      const clean = (text: string): string => member.session.withoutSecrets(text).replaceAll(bearer, '[secret]');
      const words = { reason: clean(reply.reason), body: clean(await errorText(reply)) };
      throw replyError({ call: name, thing: `${thing}, at ${url.host}`, status: reply.status, ...words });
    }
    let bytes: Buffer | undefined;
    try {
      bytes = await bodyBytes(reply, replyBytesMax);
    } catch (error) {
      throw transport.failure(error, url, call.signal);
    }
    return parseReply(bytes, name, { secret: true });
  }

  async #gatewayOf(rolId: number, call: CallOptions): Promise<URL> {
    this.#known ??= this.#lookUp(call);
    let known: readonly RolFields[];
    try {
      known = await this.#known;
    } catch (error) {
      this.#known = undefined;
      throw error;
    }
    const address = known.find(({ id }) => id === String(rolId))?.gatewayUrl;
    if (address === undefined) throw new RemoteError('not-found', `ROLs GET: no region ${rolId} is known`);
    return serviceUrl(address, 'ROLs GET: ApigeeUrl');
  }

  #lookUp({ signal }: CallOptions): Promise<readonly RolFields[]> {
    const { transport, retries, options, email = options.credentials.email } = this.#parts;
    if (email === undefined) throw new RemoteError('not-found', 'ROLs GET: the address of this account is not known');
    const url = serviceUrl(options.golUrl ?? golBeside(options.apiUrl ?? defaultApiUrl), 'gol_url');
    return retries.run(signal, () => regionsOfUser(transport, url, email, signal));
  }
}

/** The lookup of a service on this machine is its own: nobody else need hear of its users. */
function golBeside(apiUrl: string): string {
  return namesLoopback(serviceUrl(apiUrl, 'api_url').hostname) ? apiUrl : defaultGolUrl;
}
