// Acting for another user (As-User): who that is, and whether the service does it at all. It ignores the header of an account that lacks
// the privilege, silently, and shows the account's own folders instead: nobody must take those for the other user's.
import { RemoteError } from '../remote-drive.ts';
import { replyError } from './errors.ts';
import type { ReplyError } from './errors.ts';
import { bodyBytes, errorText } from './http/body-text.ts';
import { below } from './http/service-url.ts';
import type { HttpTransport } from './http/transport.ts';
import type { Token } from './token.ts';
import { readUserId } from './wire/entities.ts';
import { Fields } from './wire/fields.ts';
import { parseReply } from './wire/reply.ts';

/** The guide's name of what an account needs. */
export const actingPrivilege = 'the privilege "Access content on behalf of managed users through API"';

const call = 'user.svc GET';
const listCall = 'syncpoints.svc GET';
/** A user with roles and groups is some kilobytes. */
const replyBytesMax = 1 << 20;

export function isGuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

export interface UserRequest {
  readonly gateway: URL;
  readonly email: string;
  /** That authorise it, in the account's own name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly withoutSecrets: (text: string) => string;
  readonly signal: AbortSignal;
  readonly onDeparture: () => void;
}

/** The GUID of a user with this address, which administrators may ask for. */
export async function userIdOf(transport: HttpTransport, request: UserRequest): Promise<string> {
  const { gateway, email, headers, withoutSecrets, signal, onDeparture } = request;
  const url = below(gateway, `/provisioning/user.svc/${encodeURIComponent(email)}?include=active_users`);
  const reply = await transport.send({
    pool: 'gateway',
    method: 'GET',
    url,
    headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
    signal,
    onDeparture,
  });
  if (reply.status !== 200) {
    const body = withoutSecrets(await errorText(reply));
    const thing = `the user ${email}, to act for`;
    throw notFound(replyError({ call, thing, status: reply.status, reason: withoutSecrets(reply.reason), body }));
  }
  let bytes: Buffer | undefined;
  try {
    bytes = await bodyBytes(reply, replyBytesMax);
  } catch (error) {
    throw transport.failure(error, url, signal);
  }
  const id = readUserId(parseReply(bytes, call), call);
  if (id === undefined) throw new RemoteError('protocol', `${call}: field Id is missing`);
  return id;
}

/** What helps where the service does not tell of a user. Other failures are what they are. */
function notFound(error: ReplyError): RemoteError {
  switch (error.kind) {
    case 'forbidden':
      return new RemoteError(
        'forbidden',
        `${error.message}: only an administrator finds a managed user by e-mail address; give the user's GUID, which needs ${actingPrivilege} alone`,
      );
    case 'not-found':
    case 'invalid':
      return new RemoteError('not-found', `${error.message}: no managed user has this address`);
    default:
      return error;
  }
}

/**
 * Rejects where what is shown for the user is what is shown to the account itself, of which something is its own: As-User is ignored
 * then. Two users who see the same folders of others, or nothing, cannot be told apart, and need not be.
 */
export async function requireActing(
  token: Pick<Token, 'userId' | 'actsFor'>,
  ask: (question: { name: string; thing: string; path: string; asOneself: boolean }) => Promise<unknown>,
): Promise<void> {
  const { userId, actsFor } = token;
  if (actsFor === undefined || actsFor === userId) return;
  const look = async (asOneself: boolean): Promise<Seen[]> => {
    const thing = asOneself ? "the account's own syncpoints" : `the syncpoints of user ${actsFor}`;
    return seenIn(await ask({ name: listCall, thing, path: '/syncpoint/syncpoints.svc/', asOneself }));
  };
  const forUser = await look(false);
  if (forUser.length === 0) return;
  const own = await look(true);
  const views = [forUser, own].map((view) =>
    view
      .map(({ id, permission }) => `${id} ${permission}`)
      .sort()
      .join(),
  );
  if (views[0] !== views[1] || !own.some(({ ownerId }) => ownerId !== undefined && ownerId === userId)) return;
  throw new RemoteError(
    'forbidden',
    `acting for user ${actsFor}: Syncplicity shows the account's own folders instead: to act for others an account needs ${actingPrivilege}`,
  );
}

interface Seen {
  readonly id: string | undefined;
  readonly permission: number | undefined;
  readonly ownerId: string | undefined;
}

function seenIn(value: unknown): Seen[] {
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((entry, index) => {
    const fields = Fields.of(entry, `${listCall}[${index}]`);
    return {
      id: fields.id('Id', 'SyncpointId'),
      permission: fields.number('EffectivePermission') ?? fields.number('Permission'),
      ownerId: fields.object('Owner')?.guid('Id'),
    };
  });
}

/** A refusal of a call made for another user, with what is lacking; undefined: it is about something else. */
export function actingRefusal(error: ReplyError, isChange: boolean): RemoteError | undefined {
  if (/on ?behalf ?of/i.test(error.text)) {
    return new RemoteError('forbidden', `${error.message}: to act for others an account needs ${actingPrivilege}`);
  }
  // An eDiscovery administrator's token is good, for reading.
  if (error.status === 401 && isChange) {
    return new RemoteError('forbidden', `${error.message}: an eDiscovery administrator may only read for others`);
  }
  return undefined;
}
