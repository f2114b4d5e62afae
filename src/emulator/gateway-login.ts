// The gateway's page where users sign in: /oauth/authorize. There is one user, who is signed in and agrees, or refuses, at once.
// Source: section 2.3 of the API reference; RFC 6749 where it is silent. Must not know: what a code is worth.
import type { Apps } from './apps.ts';
import type { Call, Route } from './call.ts';
import type { Logins } from './logins.ts';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';

/** How sign-ins go. */
export interface SignInOptions {
  /** Where the app may have users sent back to, to the letter; by default to any address of this machine. */
  readonly redirectUri?: string;
  /** The user refuses to let the app in. */
  readonly refuses?: boolean;
}

export interface LoginOptions {
  readonly apps: Apps;
  readonly logins: Logins;
  readonly signIn: SignInOptions;
}

export function loginRoutes({ apps, logins, signIn }: LoginOptions): readonly Route[] {
  function isRegistered(uri: string): boolean {
    if (signIn.redirectUri !== undefined) return uri === signIn.redirectUri;
    return URL.canParse(uri) && /^(127\.0\.0\.1|\[::1\]|localhost)$/.test(new URL(uri).hostname);
  }

  function authorize(call: Call): Promise<Reply> {
    const query = call.url.searchParams;
    const given = (name: string): string | undefined => query.get(name) ?? undefined;
    const app = apps.byKey(given('client_id'));
    // These two are told to the user: an address nobody registered must learn nothing.
    if (app === undefined) throw new Refusal(401, 'Invalid client identifier');
    const redirectUri = given('redirect_uri');
    if (redirectUri !== undefined && !isRegistered(redirectUri)) throw new Refusal(400, 'Invalid redirection uri');
    const challenge = given('code_challenge');
    const error =
      given('response_type') !== 'code'
        ? 'unsupported_response_type'
        : challenge !== undefined && given('code_challenge_method') !== 'S256'
          ? 'invalid_request'
          : signIn.refuses === true
            ? 'access_denied'
            : undefined;
    const answer =
      error === undefined ? { code: logins.signIn({ appKey: app.appKey, redirectUri, challenge }) } : { error };
    return Promise.resolve(
      redirectUri === undefined ? page(answer) : back(redirectUri, { ...answer, state: given('state') }),
    );
  }

  return [{ endpoint: 'authorize', method: 'GET', path: /^\/oauth\/authorize$/, handle: authorize }];
}

/** For apps that have users copy the code. */
function page(answer: Readonly<Record<string, string>>): Reply {
  const lines = Object.entries(answer).map(([name, value]) => `${name}: ${value}\n`);
  return { status: 200, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: lines.join('') };
}

function back(redirectUri: string, answer: Readonly<Record<string, string | undefined>>): Reply {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(answer)) if (value !== undefined) url.searchParams.set(name, value);
  return { status: 302, headers: { Location: url.href, 'Cache-Control': 'no-store' }, body: '' };
}
