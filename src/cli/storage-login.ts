// `syncplicityfs connections storage-login`: a user signs in to a StorageVault with authentication of its own, in a browser, and the
// connection keeps the vault's token. A machine is registered first where the connection has none. Promises: no token is shown.
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { parseDuration } from '../base/quantities.ts';
import { UsageError } from '../base/usage-error.ts';
import type { ConnectionStore } from '../connections/store.ts';
import type { StorageEndpoint } from '../syncplicity/content/endpoints.ts';
import { askBrowser, mayPasteSecret, type PastedAnswer } from './browser-answer.ts';
import type { CallbackReader } from './callback-server.ts';
import { onAccount, type Service } from './content/content-command.ts';
import { requireEndpoint } from './content/endpoints.ts';
import { type CliContext, printJson } from './context.ts';
import { type JsonOptions, wantsJson, withJson } from './json-option.ts';
import { printable } from './printable.ts';
import { registerFor } from './registering.ts';
import { requireStoredAccount, type StoredAccount } from './stored-account.ts';
import { formatLabels } from './table.ts';

/** Signing in with a second factor, on a telephone to be found first. */
const DEFAULT_TIMEOUT_MS = 300_000;
/** Finding the vault, and registering a machine. */
const SERVICE_TIMEOUT_MS = 60_000;
/** Where the vendor's own clients are sent back to. A browser shows nothing there; its address is what counts. */
const VENDOR_SCHEME = 'syncpsso253751160://';
/** A token is some hundred characters. */
const TOKEN_CHARACTERS_MAX = 16_384;

interface StorageLoginOptions extends JsonOptions {
  readonly browser: boolean;
  readonly paste?: true;
  readonly timeout: number;
  readonly caFile?: string;
}

export function storageLoginCommand(context: CliContext, store: () => ConnectionStore): Command {
  return withJson(new Command('storage-login'))
    .description('sign in to a StorageVault with authentication of its own, with a browser')
    .argument('<ID>', 'id or name of the connection')
    .argument('[VAULT]', 'id or name of the vault (default: the only one that wants it)')
    .option('--no-browser', 'only show the address to be opened')
    .option('--paste', 'the vault cannot send the browser back to this machine: the address it ends at is pasted')
    .option('--timeout <TIME>', 'how long to wait for the sign-in (default: 5m)', parseDuration, DEFAULT_TIMEOUT_MS)
    .option('--ca-file <FILE>', 'PEM file with further certificate authorities to trust')
    .action((id: string, vault: string | undefined, options: StorageLoginOptions) =>
      storageLogin(context, store(), id, vault, options),
    );
}

async function storageLogin(
  context: CliContext,
  store: ConnectionStore,
  id: string,
  vaultText: string | undefined,
  options: StorageLoginOptions,
): Promise<void> {
  const account = await requireStoredAccount(store, id);
  const { connection } = account;
  let found: { readonly vault: StorageEndpoint; readonly machineId: string } | undefined;
  const limits = { ...options, timeout: SERVICE_TIMEOUT_MS };
  await onAccount(context, connection.id, limits, async (service) => {
    const vault = vaultText === undefined ? await onlyVault(service) : await requireEndpoint(service, vaultText);
    if (!vault.requiresStorageToken) {
      throw new UsageError(`${printable(vault.name)} has no authentication of its own: nothing is to be done`);
    }
    found = { vault, machineId: await machineOf(context, service, store, account, options.caFile) };
  });
  if (found === undefined) throw new Error('the account was not asked');
  const { vault, machineId } = found;
  const token = await signIn(context, vault, machineId, options);
  await store.keepStorageToken(connection.id, vault.id, token);
  context.warn(`signed in to StorageVault ${printable(vault.name)}`);
  if (wantsJson(options)) {
    const told = { id: vault.id, name: vault.name };
    printJson(context, { connection: connection.name, connectionId: connection.id, vault: told, machineId });
    return;
  }
  const rows = [
    ['Connection', printable(connection.name)],
    ['Vault', printable(vault.name)],
    ['VaultID', vault.id],
    ['MachineID', machineId],
  ] as const;
  formatLabels(rows).forEach((line) => context.print(line));
}

/** The vault that wants a sign-in, where it is clear which. */
async function onlyVault({ api, call }: Service): Promise<StorageEndpoint> {
  const { storageEndpoints } = await import('../syncplicity/content/endpoints.ts');
  const asking = (await storageEndpoints(api.gateway, undefined, call)).filter((one) => one.requiresStorageToken);
  const [only, ...more] = asking;
  if (only !== undefined && more.length === 0) return only;
  throw only === undefined
    ? new UsageError(
        'no StorageVault that the service lists has authentication of its own',
        'name another one by its id; syncplicityfs endpoints list shows those it lists',
      )
    : new UsageError(
        'several StorageVaults have authentication of their own: say which',
        asking.map((one) => `${one.id} ${printable(one.name)}`).join('\n'),
      );
}

/** The id of the connection's machine; one whose token alone is stored is looked for, without any one is registered. */
async function machineOf(
  context: CliContext,
  service: Service,
  store: ConnectionStore,
  account: StoredAccount,
  caFile: string | undefined,
): Promise<string> {
  const { auth, connection } = account;
  const { machineToken } = auth.credentials;
  if (machineToken === undefined) {
    const machine = await registerFor(context, service, { store, account, name: undefined, caFile });
    context.warn(`registered this machine as "${printable(machine.name)}"`);
    return machine.id;
  }
  if (auth.machineId !== undefined) return auth.machineId;
  const { machinesOf } = await import('../syncplicity/content/machines.ts');
  const machines = await machinesOf(service.api.gateway, { user: undefined, withInactive: false }, service.call);
  const own = machines.find(({ token }) => token === machineToken);
  if (own !== undefined) {
    await store.keepMachine(connection.id, { id: own.id, token: machineToken });
    return own.id;
  }
  throw new Error(
    `"${connection.name}" has a machine_token, and the service does not tell of which machine\nadd it again with machine_id, or register one: syncplicityfs machines register --again`,
  );
}

type Answer = { readonly token: string } | { readonly error: string };

async function signIn(
  context: CliContext,
  vault: StorageEndpoint,
  machineId: string,
  options: StorageLoginOptions,
): Promise<string> {
  const { below, serviceUrl } = await import('../syncplicity/http/service-url.ts');
  const base = serviceUrl(vault.urls[0] ?? '', `StorageVault ${printable(vault.name)}: its address`);
  // The vault has no word for a state: the path is one that nobody else knows.
  const url = new URL(`http://127.0.0.1:0/${randomBytes(24).toString('base64url')}/`);
  const canPaste = mayPasteSecret(context);
  if (options.paste === true && !canPaste) {
    throw new UsageError(
      'the token would be shown while it is pasted',
      'let stderr be the terminal too, or give it on stdin',
    );
  }
  return askBrowser<Answer, string>(
    context,
    {
      callback: options.paste === true ? undefined : { url, reader: tokenReader(url) },
      address: (back) => {
        const address = below(base, '/v2/auth');
        address.searchParams.set('machine_id', machineId);
        address.searchParams.set('scheme', back ?? VENDOR_SCHEME);
        return Promise.resolve(address);
      },
      opens: options.browser,
      paste: canPaste ? pastedToken(options.paste === true) : undefined,
      timeoutMs: options.timeout,
      missing: 'nobody signed in',
    },
    (answer) => {
      if ('error' in answer) throw new Error(`the sign-in was refused: ${printable(answer.error)}`);
      return Promise.resolve(answer.token);
    },
  );
}

function tokenReader({ pathname }: URL): CallbackReader<Answer> {
  return {
    read: (asked) => {
      if (!asked.pathname.startsWith(pathname)) return 'elsewhere';
      const error = asked.searchParams.get('error');
      if (error !== null) return { answer: { error } };
      const token = tokenBehind(asked.pathname.slice(pathname.length), asked.searchParams);
      return token === undefined ? 'foreign' : { answer: { token } };
    },
    page: (answer) =>
      'token' in answer
        ? 'You are signed in. You can close this window.'
        : 'You are not signed in; the terminal says why. You can close this window.',
  };
}

/** `token/TOKEN` behind the address, as the guide has it behind a scheme, or a query. */
function tokenBehind(rest: string, query: URLSearchParams): string | undefined {
  const inPath = /^\/*token\/+(.+)$/i.exec(rest)?.[1];
  return inPath === undefined ? checked(query.get('token') ?? '') : decoded(inPath);
}

function pastedToken(isOnlyWay: boolean): PastedAnswer<Answer> {
  const where = `the address that begins with ${VENDOR_SCHEME}token/, which the browser's network tools show as Location`;
  return {
    instruction: isOnlyWay
      ? `Sign in there, then paste ${where}, or the token in it, and press Enter. It is not shown.`
      : 'Sign in there. If the browser cannot come back, paste the address it ends at, or the token in it, and press Enter. It is not shown.',
    read: (text) => {
      const token = tokenIn(text);
      return token === undefined ? undefined : { token };
    },
    complaint: 'That is neither the address nor the token: a token begins with SSOUser.',
    isSecret: true,
  };
}

/** The token in what was pasted: an address with it, or itself. */
function tokenIn(text: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    const inPath = /^[^?#]*?[:/]token\/+([^?#]+)$/i.exec(text)?.[1];
    if (inPath !== undefined) return decoded(inPath);
    return URL.canParse(text) ? checked(new URL(text).searchParams.get('token') ?? '') : undefined;
  }
  return /^SSOUser/.test(text) ? decoded(text) : undefined;
}

function decoded(text: string): string | undefined {
  try {
    return checked(decodeURIComponent(text));
  } catch {
    // A token with a "%" of its own.
    return checked(text);
  }
}

/** What a header can carry. */
function checked(text: string): string | undefined {
  const token = text.trim();
  return /^[\x21-\x7e]+$/.test(token) && token.length <= TOKEN_CHARACTERS_MAX ? token : undefined;
}
