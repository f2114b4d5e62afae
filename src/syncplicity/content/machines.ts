// Machines of an account: registering one (machines.svc POST), at the gateway or, where that does not serve it, at the legacy host with the
// application token alone; and listing them. A machine's token is a secret: it is in what these return, and in no message.
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions } from '../../remote-drive.ts';
import { ReplyError, replyError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { bodyBytes, errorText } from '../http/body-text.ts';
import { below, serviceUrl } from '../http/service-url.ts';
import { loneTransport } from '../lone-transport.ts';
import { without } from '../token-request.ts';
import { Fields, listIn } from '../wire/fields.ts';
import { parseReply } from '../wire/reply.ts';

const registration = 'machines.svc POST';
const listCall = 'machines.svc GET';
const thing = 'a machine';
/** The longest name that the service takes. */
export const machineNameMax = 50;
/** A machine is some hundred bytes. */
const replyBytesMax = 1 << 20;

/** A machine as a list tells it. */
export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly ownerEmail: string | undefined;
  readonly system: string | undefined;
  /** Not every service tells it here. */
  readonly token: string | undefined;
}

/** A machine that was made just now. */
export interface RegisteredMachine {
  readonly id: string;
  readonly token: string;
}

/** Registers a machine at the gateway. Rejects with {@link ReplyError} 409 where one of that name is registered. */
export async function registerMachine(gateway: Gateway, name: string, call: CallOptions): Promise<RegisteredMachine> {
  const path = '/provisioning/machines.svc/';
  const question = { name: registration, thing, path, method: 'POST', body: bodyOf(name), asOneself: true } as const;
  return registered(await gateway.change(question, call));
}

/** Whether a refusal of the gateway may only mean that machines are registered elsewhere. */
export function isUnserved(error: unknown): boolean {
  return error instanceof ReplyError && [401, 403, 404, 405, 501].includes(error.status);
}

export interface LegacyRegistration {
  /** The legacy host; it is sent the application token. */
  readonly xmlUrl: string;
  readonly appToken: string;
  readonly name: string;
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
}

/** Registers a machine at the legacy host, as the guide has it. */
export async function registerMachineAtLegacyHost(asked: LegacyRegistration): Promise<RegisteredMachine> {
  const { appToken, ca, signal } = asked;
  const url = below(serviceUrl(asked.xmlUrl, 'xml_url'), '/1.1/auth/machines.svc/');
  const transport = loneTransport({ ca });
  try {
    const reply = await transport.send({
      pool: 'gateway',
      method: 'POST',
      url,
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        authorization: `Application ${appToken}`,
      },
      body: bodyOf(asked.name),
      signal,
    });
    if (reply.status < 200 || reply.status > 299) {
      const [reason, body] = [without(reply.reason, [appToken]), without(await errorText(reply), [appToken])];
      throw replyError({ call: registration, thing: `${thing} at ${url.host}`, status: reply.status, reason, body });
    }
    let bytes: Buffer | undefined;
    try {
      bytes = await bodyBytes(reply, replyBytesMax);
    } catch (error) {
      throw transport.failure(error, url, signal);
    }
    return registered(parseReply(bytes, registration, { secret: true }));
  } finally {
    await transport.stop();
  }
}

/** The machines of the account, or, for administrators, of the user with this GUID. */
export async function machinesOf(
  gateway: Gateway,
  { user, withInactive }: { readonly user: string | undefined; readonly withInactive: boolean },
  call: CallOptions,
): Promise<readonly Machine[]> {
  const query = new URLSearchParams();
  if (user !== undefined) query.set('user', user);
  if (withInactive) query.set('include', 'inactive');
  const text = query.toString();
  const path = `/provisioning/machines.svc/${text === '' ? '' : `?${text}`}`;
  const value = await gateway.json(
    { name: listCall, thing: 'the machines', path, asOneself: true, secret: true },
    call,
  );
  return listIn(value, listCall).map((entry, index) => readMachine(entry, `${listCall}[${index}]`));
}

/** The system and versions are the guide's: the service takes no other system than Windows and Mac OS. */
function bodyOf(name: string): string {
  return JSON.stringify([{ Name: name, SystemName: 'Windows', SystemVersion: '9.9.9', ClientVersion: '9.9.9' }]);
}

function registered(value: unknown): RegisteredMachine {
  const [entry] = listIn(value, registration);
  if (entry === undefined) {
    throw new RemoteError('protocol', `${registration}: the machine may be registered, but no token of it came back`);
  }
  const { id, token } = readMachine(entry, registration);
  if (token === undefined) throw new RemoteError('protocol', `${registration}: field Token is missing`);
  // A header cannot carry it.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new RemoteError('protocol', `${registration}: field Token holds characters no token can have`);
  }
  return { id, token };
}

function readMachine(value: unknown, where: string): Machine {
  const fields = Fields.of(value, where);
  return {
    id: fields.required(fields.guid('Id', 'MachineId'), 'Id'),
    name: fields.text('Name') ?? '',
    ownerEmail: fields.object('Owner')?.text('EmailAddress') || undefined,
    system: fields.text('SystemName') || undefined,
    token: fields.text('Token')?.trim() || undefined,
  };
}
