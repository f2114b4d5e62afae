// The user's regions (ROLs), of which one is home, through the public lookup (GOL): the call ROLs GET, which needs no credentials and gets
// none.
import { createHmac } from 'node:crypto';
import { RemoteError } from '../remote-drive.ts';
import { errorText, bodyBytes } from './http/body-text.ts';
import { below, serviceUrl } from './http/service-url.ts';
import type { HttpTransport } from './http/transport.ts';
import { replyError } from './errors.ts';
import { readRol } from './wire/entities.ts';
import type { RolFields } from './wire/entities.ts';
import { parseReply } from './wire/reply.ts';

const call = 'ROLs GET';
/** The public key of the hash, from the guide's ROLs GET. It only keeps addresses out of URLs; it is no secret. */
const hashKey = '6adebb9f-21f9-49d8-95bf-b7007a208cd4';
/** A list of regions is some hundred bytes. */
const replyBytesMax = 1 << 20;

/** The lookup's name for an e-mail address: HMAC-MD5 in hex. */
export function emailHash(email: string): string {
  return createHmac('md5', hashKey).update(email.trim().toLowerCase(), 'utf8').digest('hex');
}

/** The gateway of the home region of `email`. Rejects as {@link homeRegion} does. */
export async function homeGateway(
  transport: HttpTransport,
  golUrl: URL,
  email: string,
  signal: AbortSignal,
): Promise<URL> {
  return (await homeRegion(transport, golUrl, email, signal)).gateway;
}

/** The home region of `email`. Rejects with `not-found` where the lookup knows none. */
export async function homeRegion(
  transport: HttpTransport,
  golUrl: URL,
  email: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly gateway: URL; readonly name: string | undefined }> {
  const home = (await regionsOfUser(transport, golUrl, email, signal)).find((rol) => rol.isHome);
  if (home?.gatewayUrl === undefined) {
    throw new RemoteError('not-found', `${call}: no home region is known for this e-mail address: set api_url instead`);
  }
  return { gateway: serviceUrl(home.gatewayUrl, `${call}: ApigeeUrl`), name: home.name };
}

/** All regions of a user, in the lookup's order; none where it does not know the address. */
export async function regionsOfUser(
  transport: HttpTransport,
  golUrl: URL,
  email: string,
  signal: AbortSignal | undefined,
): Promise<readonly RolFields[]> {
  const url = below(golUrl, `/api/v1/rols?uhid=${emailHash(email)}`);
  const reply = await transport.send({
    pool: 'gateway',
    method: 'GET',
    url,
    headers: { accept: 'application/json' },
    signal,
  });
  const thing = 'the regions of a user';
  if (reply.status !== 200) {
    const { status, reason } = reply;
    throw replyError({ call, thing, status, reason, body: await errorText(reply) });
  }
  let bytes: Buffer | undefined;
  try {
    bytes = await bodyBytes(reply, replyBytesMax);
  } catch (error) {
    throw transport.failure(error, url, signal);
  }
  const value = parseReply(bytes, call);
  const rols = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  return rols.filter((rol) => rol !== null).map((rol, index) => readRol(rol, `${call}[${index}]`));
}
