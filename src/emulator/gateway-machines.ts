// The calls about machines: machines.svc POST and GET, machine.svc GET, and the legacy host's machines.svc POST, which an application
// token opens. Source: section 2.4 of the API reference. Must not know: content.
import { same } from './apps.ts';
import type { Call, Route } from './call.ts';
import type { Dialect } from './dialect.ts';
import { requireAccess } from './gateway-access.ts';
import type { Credentials } from './identity.ts';
import type { Machine, Machines } from './machines.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import { parseRequest, RequestObject } from './request-json.ts';
import type { Account } from './shapes.ts';
import type { Tokens } from './tokens.ts';
import type { WireObject } from './wire-json.ts';

export interface MachineOptions {
  readonly account: Account;
  readonly credentials: Credentials;
  readonly machines: Machines;
  readonly tokens: Tokens;
  readonly replies: ReplyWriter;
  readonly dialect: Dialect;
}

export function machineRoutes(options: MachineOptions): readonly Route[] {
  const { account, credentials, machines, tokens, replies, dialect } = options;

  /** What a registration answers. */
  function registered(machine: Machine): WireObject {
    const { id, name, systemName, systemVersion, clientVersion, token } = machine;
    return {
      Id: id,
      Name: name,
      SystemName: systemName,
      SystemVersion: systemVersion,
      ClientVersion: clientVersion,
      Token: token,
    };
  }

  function told({ id, name, token }: Machine): WireObject {
    const { user } = account;
    return {
      Id: id,
      Name: name,
      Token: dialect.machineTokens === 'always' ? token : undefined,
      Owner: { Id: user.id, EmailAddress: user.emailAddress },
    };
  }

  async function register(call: Call): Promise<Reply> {
    const asked = parseRequest(await call.body());
    if (!Array.isArray(asked) || asked.length !== 1) throw new Refusal(400, 'Only One Machine Per Request');
    return replies.json([registered(machines.register(new RequestObject(asked[0], dialect)))]);
  }

  function requireGatewayForm(call: Call): void {
    if (dialect.machinesCall === 'legacy') throw new Refusal(404, 'Not Found');
    requireAccess(call, tokens, dialect, { contentType: true });
  }

  async function registerHere(call: Call): Promise<Reply> {
    requireGatewayForm(call);
    return register(call);
  }

  async function registerLegacy(call: Call): Promise<Reply> {
    if (dialect.machinesCall === 'gateway') throw new Refusal(404, 'Not Found');
    const token = /^Application +(\S+)$/i.exec(call.headers.authorization ?? '')?.[1];
    if (token === undefined || !same(token, credentials.appToken)) throw new Refusal(401, 'Not Authorized');
    if (!/^application\/json\b/i.test(call.headers['content-type'] ?? '')) throw new Refusal(400, 'Bad Request');
    return register(call);
  }

  async function list(call: Call): Promise<Reply> {
    requireGatewayForm(call);
    const user = call.url.searchParams.get('user') ?? '';
    if (user !== '') {
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(user)) throw new Refusal(400, 'Invalid user ID');
      if (user.toLowerCase() !== account.user.id.toLowerCase()) throw new Refusal(403, 'Not A Business Admin');
    }
    return Promise.resolve(replies.json(machines.list.map(told)));
  }

  async function one(call: Call): Promise<Reply> {
    requireGatewayForm(call);
    const machine = machines.byId(call.segments[0] ?? '');
    if (machine === undefined) throw new Refusal(404, 'Machine Not Found');
    return Promise.resolve(replies.json(told(machine)));
  }

  return [
    { endpoint: 'machines', method: 'POST', path: /^\/provisioning\/machines\.svc\/?$/, handle: registerHere },
    { endpoint: 'machines', method: 'GET', path: /^\/provisioning\/machines\.svc\/?$/, handle: list },
    { endpoint: 'machine', method: 'GET', path: /^\/provisioning\/machine\.svc\/([^/]+)\/?$/, handle: one },
    { endpoint: 'legacyMachines', method: 'POST', path: /^\/1\.1\/auth\/machines\.svc\/?$/, handle: registerLegacy },
  ];
}
