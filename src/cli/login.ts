// `syncplicityfs connections login`: a user signs in with a browser, as those must whose company has single sign-on, and the connection
// goes on with what came of it. Promises: what was there stays as it was unless somebody signed in; no secret is shown.
import { timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { namesLoopback } from '../base/loopback.ts';
import { UsageError } from '../base/usage-error.ts';
import { parseDuration } from '../base/quantities.ts';
import type { SyncplicityAuth } from '../connections/auth-file.ts';
import type { Connection, ConnectionStore } from '../connections/store.ts';
import type { SignIn, SignedIn } from '../syncplicity/sign-in.ts';
import { type AuthOptions, isFromInput, readAuth, secretsIn, withAuthOptions } from './auth-input.ts';
import { askBrowser, type PastedAnswer } from './browser-answer.ts';
import type { CallbackReader } from './callback-server.ts';
import { requireConnection } from './find-connection.ts';
import { checkConnectionName, freeConnectionName } from './connection-name.ts';
import { connectionJson, connectionLabels } from './connection-output.ts';
import { type CliContext, printJson } from './context.ts';
import { type JsonOptions, wantsJson, withJson } from './json-option.ts';

/** Signing in with a second factor, on a telephone to be found first. */
const DEFAULT_TIMEOUT_MS = 300_000;
/** From the code to the refresh token: one call, with a look-up of the home region before it. */
const REDEEM_TIMEOUT_MS = 60_000;

interface LoginOptions extends JsonOptions, AuthOptions {
  readonly name?: string;
  readonly browser: boolean;
  readonly redirectUri?: URL | 'none';
  readonly timeout: number;
  readonly caFile?: string;
}

export function loginCommand(context: CliContext, store: () => ConnectionStore): Command {
  const command = withJson(new Command('login'))
    .description('sign in with a browser (single sign-on), into a new connection or a stored one')
    .argument('[ID]', 'id or name of the connection to sign in again')
    .option('--name <NAME>', 'name of a new connection (default: made from the account)');
  return withAuthOptions(command)
    .option('--no-browser', 'only show the address to be opened')
    .option(
      '--redirect-uri <URL>',
      'where the service sends the browser back to, as it is registered for the app: with a port of this machine syncplicityfs listens there, else the code is pasted; "none" sends none (default: http://127.0.0.1, any port)',
      parseRedirect,
    )
    .option('--timeout <TIME>', 'how long to wait for the sign-in (default: 5m)', parseDuration, DEFAULT_TIMEOUT_MS)
    .option('--ca-file <FILE>', 'PEM file with further certificate authorities to trust')
    .action((id: string | undefined, options: LoginOptions) => login(context, store(), id, options))
    .addHelpText(
      'after',
      '\nThe app is that of the connection ID, else of the authentication JSON, which needs client_id and client_secret only.',
    );
}

async function login(
  context: CliContext,
  store: ConnectionStore,
  id: string | undefined,
  options: LoginOptions,
): Promise<void> {
  if (options.name !== undefined) checkConnectionName(options.name);
  const existing = id === undefined ? undefined : await requireUserConnection(store, id, options);
  const auth =
    existing === undefined ? await readAuth(context, 'syncplicity', options, 'app') : await store.auth(existing.id);
  if (auth.platform === 'fs') throw new UsageError(`"${existing?.name ?? ''}" is a directory: nobody signs in to it`);
  const signedIn = await signIn(context, auth, options);
  const connection = existing ?? (await addSignedIn(store, auth, signedIn, options));
  if (existing !== undefined) {
    requireSameUser(existing, auth, signedIn);
    await store.keepLogin(existing.id, signedIn.refreshToken);
  }
  context.warn(`signed in as ${signedIn.email ?? signedIn.userId ?? 'an unnamed user'}`);
  if (wantsJson(options)) printJson(context, [connectionJson(connection)]);
  else connectionLabels(connection).forEach((line) => context.print(line));
}

async function requireUserConnection(store: ConnectionStore, id: string, options: LoginOptions): Promise<Connection> {
  const { name, authFile, file, keyring } = options;
  if ((name ?? authFile ?? file ?? keyring) !== undefined || isFromInput(options)) {
    throw new UsageError(
      'a stored connection has its name, app and keyring: --name, --auth-file and --keyring are for new ones',
    );
  }
  const found = await requireConnection(store, id);
  if (found.group) throw new UsageError(`"${found.name}" is a pool`, 'sign in to each of its connections');
  return found;
}

/** A drive's state belongs to a user: another one's must not take its place unnoticed. */
function requireSameUser({ name }: Connection, { credentials }: SyncplicityAuth, { email }: SignedIn): void {
  const expected = credentials.email;
  if (expected === undefined || email === undefined || expected.toLowerCase() === email.toLowerCase()) return;
  throw new Error(
    `you signed in as ${email}, but "${name}" is the connection of ${expected}\nsign out in the browser and try again, or make another connection`,
  );
}

async function addSignedIn(
  store: ConnectionStore,
  auth: SyncplicityAuth,
  { refreshToken, userId, email }: SignedIn,
  options: LoginOptions,
): Promise<Connection> {
  const chosen = options.name ?? (await freeConnectionName(store, 'syncplicity', email ?? userId));
  return store.add({ name: chosen, auth: { ...auth, refreshToken }, secretsIn: secretsIn(options) });
}

/** What came back: a code, or the service's reason for none. */
type Answer = { readonly code: string } | { readonly error: string };

/** Sends the user to the service and waits for the answer, by the browser or pasted. */
async function signIn(context: CliContext, auth: SyncplicityAuth, options: LoginOptions): Promise<SignedIn> {
  const { SignIn } = await import('../syncplicity/sign-in.ts');
  const { clientId, clientSecret, email } = auth.credentials;
  const session = new SignIn({
    app: { clientId, clientSecret },
    email,
    apiUrl: auth.apiUrl,
    golUrl: auth.golUrl,
    ca: options.caFile === undefined ? undefined : await readFile(options.caFile, 'utf8'),
  });
  const { redirectUri } = options;
  const url = redirectUri === undefined ? new URL('http://127.0.0.1:0/callback') : listenUrl(redirectUri);
  /** What the service is told of where the browser is to come back to. */
  const sent = (back: string | undefined): string | undefined =>
    redirectUri === 'none' ? undefined : (redirectUri?.href ?? back);
  try {
    return await askBrowser<Answer, SignedIn>(
      context,
      {
        callback: url && { url, reader: codeReader(url, session) },
        address: (back, signal) => session.address(sent(back), signal),
        opens: options.browser,
        paste: isFromInput(options) ? undefined : pastedCode(session, url !== undefined),
        timeoutMs: options.timeout,
        missing: 'nobody signed in',
      },
      async (answer, back, signal) => {
        if ('error' in answer) throw new Error(`the sign-in was refused: ${answer.error}`);
        const limits = AbortSignal.any([signal, AbortSignal.timeout(REDEEM_TIMEOUT_MS)]);
        return session.redeem(answer.code, sent(back), limits);
      },
    );
  } finally {
    await session.stop();
  }
}

function codeReader(url: URL, { state }: SignIn): CallbackReader<Answer> {
  return {
    read: (asked) => {
      if (asked.pathname !== url.pathname) return 'elsewhere';
      const answer = answerIn(asked.searchParams, state);
      return answer === undefined ? 'foreign' : { answer };
    },
    page: (answer) =>
      'code' in answer
        ? 'You are signed in. You can close this window.'
        : 'You are not signed in; the terminal says why. You can close this window.',
  };
}

/** What the user pastes: the address the browser ended at, with the state of this sign-in, or the code alone, which is worth nothing here. */
function pastedCode({ state }: SignIn, isListening: boolean): PastedAnswer<Answer> {
  return {
    instruction: isListening
      ? 'Sign in there. If the browser cannot come back, paste the address it ends at, or the code, and press Enter.'
      : 'Sign in there, then paste the code, or the whole address it ends at, and press Enter.',
    read: (text) =>
      /^https?:/i.test(text) && URL.canParse(text) ? answerIn(new URL(text).searchParams, state) : { code: text },
    complaint: 'That is not the address at which this sign-in ends.',
    isSecret: false,
  };
}

/** The answer in what a browser was sent back with; undefined without the right state. */
function answerIn(query: URLSearchParams, state: string): Answer | undefined {
  const [given, expected] = [Buffer.from(query.get('state') ?? ''), Buffer.from(state)];
  if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) return undefined;
  const code = query.get('code');
  if (code !== null && code !== '') return { code };
  const error = query.get('error');
  if (error === null) return undefined;
  return { error: [error, query.get('error_description')].filter(Boolean).join(': ') };
}

/** Where to listen for it; undefined where the browser does not come back to this machine. */
function listenUrl(redirectUri: URL | 'none'): URL | undefined {
  if (redirectUri === 'none') return undefined;
  return redirectUri.protocol === 'http:' && namesLoopback(redirectUri.hostname) && redirectUri.port !== ''
    ? redirectUri
    : undefined;
}

function parseRedirect(text: string): URL | 'none' {
  if (text === 'none') return 'none';
  if (!URL.canParse(text)) throw new UsageError(`"${text}" is not a URL`, 'write it as it is registered, or "none"');
  return new URL(text);
}
