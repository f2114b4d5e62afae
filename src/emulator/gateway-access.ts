// Who may call the gateway, and the calls that give and take tokens: /oauth/token, /oauth/revoke, ROLs GET.
// Source: sections 2 and 3 of the API reference; the guide's ROLs GET.
import { createHmac } from 'node:crypto';
import type { App, Apps } from './apps.ts';
import type { Call, Route } from './call.ts';
import type { Dialect } from './dialect.ts';
import type { Logins } from './logins.ts';
import { HOME_ROL_ID, type People, rolPath } from './people.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import type { Account } from './shapes.ts';
import type { Holder, Tokens } from './tokens.ts';

export interface AccessOptions {
  readonly account: Account;
  readonly apps: Apps;
  readonly tokens: Tokens;
  readonly logins: Logins;
  readonly replies: ReplyWriter;
  readonly tokenLifetimeSeconds: number;
  readonly gatewayUrl: () => string;
  readonly people: People;
}

/** Refuses a gateway call that lacks what the documents require of every call. */
export function requireAccess(
  call: Call,
  tokens: Tokens,
  dialect: Dialect,
  options: { readonly contentType: boolean },
): void {
  const { authorization, appkey } = call.headers;
  if (!tokens.isAppKey(appkey) || authorization === undefined) throw new Refusal(401, 'Not Authorized');
  if (tokens.scopeOf(authorization, appkey) !== 'account') {
    throw dialect.expired === '401' ? new Refusal(401, 'Not Authorized') : new Refusal(403, 'Forbidden');
  }
  requireAccept(call);
  if (options.contentType && dialect.contentTypeRequired) {
    const type = call.headers['content-type'] ?? '';
    if (!/^application\/json\b/i.test(type)) throw new Refusal(400, 'Bad Request: Content-Type is required');
  }
}

function requireAccept(call: Call): void {
  const accept = call.headers.accept ?? '';
  if (!/application\/json|application\/\*|\*\/\*/i.test(accept)) {
    throw new Refusal(accept === '' ? 400 : 406, 'Bad Request: Accept must allow application/json');
  }
}

/** The value ROLs GET knows a user by: HMAC-MD5 of the address, lower case. */
export function emailHash(email: string): string {
  const salt = '6adebb9f-21f9-49d8-95bf-b7007a208cd4';
  return createHmac('md5', salt).update(email.trim().toLowerCase(), 'utf8').digest('hex');
}

/** Whoever signed in with a browser did so at no machine. */
const nowhere: Holder = { machineId: undefined };

const SST_GRANT = 'urn:syncplicity:oauth:grant-type:access-token';
const SST_RESOURCE = 'urn:syncplicity:resources:storage:';

export function accessRoutes(options: AccessOptions): readonly Route[] {
  const { account, apps, tokens, logins, replies } = options;

  async function token(call: Call): Promise<Reply> {
    const app = apps.byBasic(call.headers.authorization);
    if (app === undefined) throw new Refusal(401, 'Invalid client');
    if (!/^application\/x-www-form-urlencoded\b/i.test(call.headers['content-type'] ?? '')) {
      throw new Refusal(400, 'Invalid request');
    }
    const form = new URLSearchParams(await call.body());
    switch (form.get('grant_type')) {
      case 'client_credentials':
        return tokenReply('account', holderIn(call), app);
      case SST_GRANT: {
        if (replies.dialect.vaultTokens === 'refused-by-gateway') throw new Refusal(400, 'Unsupported grant type');
        const shown = tokens.find(`Bearer ${form.get('token') ?? ''}`, app.appKey);
        if (shown?.scope !== 'account') throw new Refusal(401, 'Invalid token');
        if (form.get('resource')?.toLowerCase() !== SST_RESOURCE + account.storageEndpointId) {
          throw new Refusal(400, 'Invalid resource');
        }
        return tokenReply('vault', shown, app);
      }
      case 'authorization_code': {
        const [code, redirectUri, verifier] = ['code', 'redirect_uri', 'code_verifier'].map(
          (key) => form.get(key) ?? undefined,
        );
        if (code === undefined) throw new Refusal(400, 'Required param : code');
        const refreshToken = logins.redeem({ appKey: app.appKey, code, redirectUri, verifier });
        if (refreshToken === undefined) return oauthRefusal('invalid_grant', 'Invalid Authorization Code');
        return tokenReply('account', nowhere, app, { refresh_token: refreshToken });
      }
      case 'refresh_token': {
        const renewed = logins.renew(app.appKey, form.get('refresh_token') ?? '');
        if (renewed === undefined) return oauthRefusal('invalid_grant', 'Invalid Refresh Token');
        return tokenReply('account', nowhere, app, { refresh_token: renewed.next });
      }
      default:
        throw new Refusal(400, 'Unsupported grant type');
    }
  }

  function holderIn({ headers }: Call): Holder {
    const holder = tokens.holder(one(headers['sync-app-token']), one(headers['sync-machine-token']));
    if (holder === undefined) throw new Refusal(401, 'Invalid application token');
    return holder;
  }

  /** As OAuth has it where errors are JSON, else as all others. */
  function oauthRefusal(error: string, description: string): Reply {
    if (replies.dialect.errors !== 'json') return replies.refusal(new Refusal(400, description));
    const body = JSON.stringify({ error, error_description: description });
    return { status: 400, headers: { 'Content-Type': 'application/json' }, body };
  }

  function tokenReply(
    scope: 'account' | 'vault',
    holder: Holder,
    app: App,
    more: { readonly refresh_token: string | undefined } = { refresh_token: 'not-offered-by-the-emulator' },
  ): Reply {
    const { tokenLifetimeSeconds: lifetime } = options;
    const issuedAt = Date.now();
    return replies.json({
      access_token: tokens.issue(scope, holder, app, lifetime),
      token_type: 'Bearer',
      expires_in: replies.dialect.expiresIn === 'string' ? String(lifetime) : lifetime,
      issued_at: String(issuedAt),
      ...more,
      refresh_token_expires_in: '0',
      refresh_count: '0',
      scope: 'read readwrite',
      client_id: app.appKey,
      user_id: account.user.id,
      user_email: account.user.emailAddress,
      user_company_id: account.companyId,
      application_name: 'emulated',
      status: 'approved',
    });
  }

  function revoke(call: Call): Promise<Reply> {
    requireAccess(call, tokens, replies.dialect, { contentType: false });
    // Revocation ends the app's grant: every token given under it.
    tokens.endAll();
    logins.endAll();
    return Promise.resolve({ status: 200, headers: {}, body: '' });
  }

  function rols(call: Call): Promise<Reply> {
    requireAccept(call);
    const hash = call.url.searchParams.get('uhid');
    if (hash === null || !/^[0-9a-f]{32}$/.test(hash)) throw new Refusal(400, 'Bad Request');
    const url = options.gatewayUrl();
    const home = { Id: HOME_ROL_ID, Name: 'Emulator', ApigeeUrl: url, MyUrl: url, IsHome: true, HasData: true };
    const abroad = [...new Set(options.people.abroad.map(({ rolId }) => rolId))].map((rolId) => {
      const address = url + rolPath(rolId);
      return { Id: rolId, Name: `Abroad ${rolId}`, ApigeeUrl: address, MyUrl: address, IsHome: false, HasData: true };
    });
    return Promise.resolve(replies.json(hash === emailHash(account.user.emailAddress) ? [home, ...abroad] : []));
  }

  return [
    { endpoint: 'token', method: 'POST', path: /^\/oauth\/token$/, handle: token },
    { endpoint: 'revoke', method: 'GET', path: /^\/oauth\/revoke$/, handle: revoke },
    { endpoint: 'rols', method: 'GET', path: /^\/api\/v1\/rols\/?$/, handle: rols },
  ];
}

/** A header's value where one is expected. */
function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
