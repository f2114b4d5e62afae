// `syncplicityfs connections ...`: SkySync's command line for connections.
import { Command } from 'commander';
import { UsageError } from '../base/usage-error.ts';
import { authExamples, type ConnectionAuth } from '../connections/auth-file.ts';
import { findPlatform, platforms, type PlatformId } from '../connections/platforms.ts';
import { type Connection, type ConnectionStore, openConnectionStore } from '../connections/store.ts';
import { verifyConnection } from '../connections/verify.ts';
import { askMount } from '../control/methods.ts';
import { type AuthOptions, readAuth, secretsIn, withAuthOptions } from './auth-input.ts';
import { runChecks } from './check-run.ts';
import { requireConnection } from './find-connection.ts';
import { checkConnectionName, freeConnectionName } from './connection-name.ts';
import {
  connectionJson,
  connectionLabels,
  connectionTable,
  platformLabels,
  platformTable,
} from './connection-output.ts';
import { poolCommand } from './connection-pools.ts';
import { type CliContext, printJson } from './context.ts';
import { checksOf } from './doctor-pool.ts';
import { type JsonOptions, wantsJson, withJson } from './json-option.ts';
import { loginCommand } from './login.ts';
import { countOf } from './printable.ts';
import { requireServing } from './serving-mount.ts';
import { storageLoginCommand } from './storage-login.ts';

/** Verification asks for a token and the account: a few round trips, with a retry. */
const VERIFY_TIMEOUT_MS = 60_000;

interface ListOptions extends JsonOptions {
  readonly platform?: string;
  readonly search?: string;
  readonly active?: true;
  readonly pools?: true;
  readonly offset: number;
  readonly limit: number;
}

interface AddOptions extends JsonOptions, AuthOptions {
  readonly platform: string;
  readonly name?: string;
  readonly caFile?: string;
  readonly verify: boolean;
}

/** The command with its subcommands. */
export function connectionsCommand(context: CliContext): Command {
  const command = new Command('connections').description('keep the accounts and directories that can be mounted');
  const store = (): ConnectionStore =>
    openConnectionStore(context.directories.config, (message) => context.warn(message));

  withJson(command.command('list').description('list the connections'))
    .option('-p, --platform <PLATFORM>', 'only connections of this platform')
    .option('-q, --search <TEXT>', 'only connections with this text in their name')
    .option('--active', 'only active connections')
    .option('--pools', 'only connection pools (otherwise connections and pools)')
    .option('--offset <N>', 'leave out the first N', parseCount, 0)
    .option('--limit <N>', 'list N at most', parseCount, 20)
    .action((options: ListOptions) => list(context, store(), options));

  withJson(command.command('show <ID>').description('show one connection, by its id or name')).action(
    async (id: string, options: JsonOptions) => {
      const connection = await store().find(id);
      if (wantsJson(options)) printJson(context, [connection === undefined ? {} : connectionJson(connection)]);
      else connectionLabels(connection).forEach((line) => context.print(line));
    },
  );

  withJson(command.command('platforms [ID]').description('list the storage platforms, or show one')).action(
    (id: string | undefined, options: JsonOptions) => {
      const found = id === undefined ? platforms : [requirePlatform(id)];
      if (wantsJson(options)) printJson(context, found);
      else (id === undefined ? platformTable(found) : found.flatMap(platformLabels)).forEach((l) => context.print(l));
    },
  );

  const addition = withJson(command.command('add'))
    .description('add a connection, asking for its credentials on a terminal; they are tried first')
    .requiredOption('-p, --platform <PLATFORM>', 'storage platform: syncplicity or fs')
    .option('--name <NAME>', 'name of the connection (default: made from the platform and the account)');
  withAuthOptions(addition)
    .option('--ca-file <FILE>', 'PEM file with further certificate authorities to trust')
    .option('--no-verify', 'store the connection without trying it')
    .action((options: AddOptions) => add(context, store(), options))
    .addHelpText('after', () => `\nThe authentication JSON, by platform:\n${examples()}`);

  withJson(
    command.command('test [ID]').description('try a connection or a pool (may be left out if there is only one)'),
  )
    .option('--ca-file <FILE>', 'PEM file with further certificate authorities to trust')
    .action(async (idOrName: string | undefined, options: JsonOptions & { readonly caFile?: string }) => {
      const connections = store();
      const connection = await requireConnection(connections, idOrName);
      await runChecks(context, await checksOf(connections, connection, options.caFile), wantsJson(options));
    });

  command.addCommand(loginCommand(context, store));
  command.addCommand(storageLoginCommand(context, store));
  command.addCommand(poolCommand(context, store));

  withJson(
    command
      .command('delete <ID>')
      .description('delete a connection and its credentials, or a pool, whose connections stay')
      .option('--abandon-changes', 'also where changes made through it are not at Syncplicity yet: they stay here'),
  ).action(async (idOrName: string, options: JsonOptions & { readonly abandonChanges?: true }) => {
    const connections = store();
    const connection = await connections.find(idOrName);
    if (connection !== undefined && !connection.group) {
      const changes = await countKept(context, connections, connection);
      if (changes > 0 && options.abandonChanges !== true) throw new Error(keptText(connection.name, changes));
      if (changes > 0)
        context.warn(
          `${countOf(changes, 'change')} made through "${connection.name}" ${changes === 1 ? 'stays' : 'stay'} here unsent`,
        );
    }
    const deleted = connection !== undefined && (await connections.remove(connection.id));
    if (!deleted) context.setExitCode(1);
    if (wantsJson(options)) return;
    if (deleted) context.print('The connection was deleted successfully.');
    else context.warnPlain('The connection could not be deleted.');
  });
  return command;
}

/** The changes of a connection's account that are not at Syncplicity: without it nobody could send them. */
async function countKept(context: CliContext, store: ConnectionStore, { id }: Connection): Promise<number> {
  // Loaded here: no other subcommand needs the databases.
  const { keptChanges } = await import('../mount/kept-changes.ts');
  const kept = await keptChanges(context.directories.state, id, await store.address(id));
  let { changes } = kept;
  for (const mountpoint of kept.mountpoints) changes += await changesOf(context, mountpoint);
  return changes;
}

function keptText(name: string, changes: number): string {
  return [
    `${countOf(changes, 'change')} made through "${name}" ${changes === 1 ? 'is' : 'are'} not at Syncplicity yet`,
    'mount it and flush it first; status shows what failed, and --discard gives it up',
    'where the service is gone for good, --abandon-changes deletes it nevertheless',
  ].join('\n');
}

/** What a mounted drive has not sent. */
async function changesOf(context: CliContext, mountpoint: string): Promise<number> {
  const { client } = await requireServing(context, mountpoint);
  try {
    const { pending, failed, unfinished } = await askMount(client, 'status', { itemsMax: 0 });
    return pending.files + failed.length + unfinished.length;
  } finally {
    client.close();
  }
}

async function list(context: CliContext, store: ConnectionStore, options: ListOptions): Promise<void> {
  const platform = options.platform === undefined ? undefined : requirePlatform(options.platform).id;
  const text = options.search?.toLowerCase();
  const matching = (await store.list())
    .filter((connection) => platform === undefined || connection.platform === platform)
    .filter((connection) => text === undefined || connection.name.toLowerCase().includes(text))
    .filter((connection) => options.active !== true || !connection.disabled)
    .filter((connection) => options.pools !== true || connection.group)
    .slice(options.offset, options.offset + options.limit);
  if (wantsJson(options)) printJson(context, matching.map(connectionJson));
  else connectionTable(matching).forEach((line) => context.print(line));
}

async function add(context: CliContext, store: ConnectionStore, options: AddOptions): Promise<void> {
  const platform = requirePlatform(options.platform).id;
  if (options.name !== undefined) checkConnectionName(options.name);
  const auth = await readAuth(context, platform, options);
  if (options.keyring === true && auth.platform === 'fs') {
    throw new UsageError('--keyring: a directory has no secrets');
  }
  const account = options.verify ? await verified(auth, options.caFile) : undefined;
  const whose = account ?? (auth.platform === 'fs' ? auth.directory : auth.credentials.email);
  const name = options.name ?? (await freeConnectionName(store, platform, whose));
  const connection = await store.add({ name, auth, secretsIn: secretsIn(options) });
  if (wantsJson(options)) printJson(context, [connectionJson(connection)]);
  else connectionLabels(connection).forEach((line) => context.print(line));
}

async function verified(auth: ConnectionAuth, caFile: string | undefined): Promise<string> {
  try {
    const signal = AbortSignal.timeout(VERIFY_TIMEOUT_MS);
    return (await verifyConnection(auth, { caFile, signal })).account;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the connection does not work: ${reason}\n--no-verify stores it nevertheless`, { cause: error });
  }
}

function requirePlatform(idOrName: string): { id: PlatformId; name: string } {
  const platform = findPlatform(idOrName);
  if (platform !== undefined) return platform;
  throw new UsageError(`unknown platform "${idOrName}"`, `known are ${platforms.map(({ id }) => id).join(' and ')}`);
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`"${text}" is not a count`);
  return Number(text);
}

function examples(): string {
  return platforms.map(({ id }) => `  ${id}: ${authExamples[id]}`).join('\n');
}
