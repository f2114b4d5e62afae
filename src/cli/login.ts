// `syncplicityfs connections login`: a user signs in with a browser, as those must whose company has single sign-on, and the connection
// goes on with what came of it. Promises: what was there stays as it was unless somebody signed in; no secret is shown.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { UsageError } from '../base/usage-error.ts';
import { formatDuration, parseDuration } from '../base/quantities.ts';
import type { SyncplicityAuth } from '../connections/auth-file.ts';
import type { Connection, ConnectionStore } from '../connections/store.ts';
import { isLoopback } from '../syncplicity/http/service-url.ts';
import type { SignIn, SignedIn } from '../syncplicity/sign-in.ts';
import { type AuthOptions, isFromInput, readAuth, secretsIn, withAuthOptions } from './auth-input.ts';
import { openBrowser } from './browser.ts';
import { answerIn, type CallbackAnswer, startCallbackServer } from './callback-server.ts';
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
  const leaving = new AbortController();
  const onSignal = (): void => leaving.abort(new Error('interrupted: nobody was signed in, nothing was changed'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const timer = setTimeout(
    () => leaving.abort(new Error(`nobody signed in within ${formatDuration(options.timeout)}; nothing was changed`)),
    options.timeout,
  );
  const stops: (() => unknown)[] = [() => session.stop()];
  try {
    const { redirectUri } = options;
    const listensAt = redirectUri === undefined ? undefined : listenUrl(redirectUri);
    const isListening = redirectUri === undefined || listensAt !== undefined;
    const server = isListening ? await startCallbackServer(session.state, listensAt) : undefined;
    if (server !== undefined) stops.push(() => server.stop());
    const sent = redirectUri === 'none' ? undefined : (redirectUri?.href ?? server?.url);
    const address = await session.address(sent, leaving.signal);
    const opened = options.browser && (await openBrowser(address, context.environment));
    context.warnPlain(opened ? 'Your browser opens this address:' : 'Open this address in a browser:');
    context.warnPlain(`\n  ${address.href}\n`);
    const mayPaste = !isFromInput(options);
    if (mayPaste) {
      context.warnPlain(
        server === undefined
          ? 'Sign in there, then paste the code, or the whole address it ends at, and press Enter.'
          : 'Sign in there. If the browser cannot come back, paste the address it ends at, or the code, and press Enter.',
      );
    }
    const answers = [server?.answer, mayPaste ? pasted(context, session, stops) : undefined];
    const answer = await Promise.race([...answers.filter((one) => one !== undefined), untilAborted(leaving.signal)]);
    if ('error' in answer) throw new Error(`the sign-in was refused: ${answer.error}`);
    return await session.redeem(
      answer.code,
      sent,
      AbortSignal.any([leaving.signal, AbortSignal.timeout(REDEEM_TIMEOUT_MS)]),
    );
  } finally {
    clearTimeout(timer);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, onSignal);
    for (const stop of stops.reverse()) await stop();
  }
}

/** What the user pastes: the address the browser ended at, with the state of this sign-in, or the code alone. */
function pasted(context: CliContext, { state }: SignIn, stops: (() => unknown)[]): Promise<CallbackAnswer> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: process.stdin });
    stops.push(() => {
      lines.close();
      process.stdin.destroy();
    });
    // The end of the input leaves the browser's way.
    lines.on('line', (line) => {
      const text = line.trim();
      const answer =
        /^https?:/i.test(text) && URL.canParse(text) ? answerIn(new URL(text).searchParams, state) : { code: text };
      if (text === '') return;
      if (answer === undefined) context.warnPlain('That is not the address at which this sign-in ends.');
      else resolve(answer);
    });
  });
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** Where to listen for it; undefined where the browser does not come back to this machine. */
function listenUrl(redirectUri: URL | 'none'): URL | undefined {
  if (redirectUri === 'none') return undefined;
  return redirectUri.protocol === 'http:' && isLoopback(redirectUri.hostname) && redirectUri.port !== ''
    ? redirectUri
    : undefined;
}

function parseRedirect(text: string): URL | 'none' {
  if (text === 'none') return 'none';
  if (!URL.canParse(text)) throw new UsageError(`"${text}" is not a URL`, 'write it as it is registered, or "none"');
  return new URL(text);
}
