// `syncplicityfs mount`: finds the connection, checks this machine, starts the daemon and waits until the mount answers.
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { notifyServiceManager } from '../base/notify-socket.ts';
import { shellWord } from '../base/shell-word.ts';
import { UsageError } from '../base/usage-error.ts';
import {
  createMountConfig,
  type MountConfig,
  type MountOptions,
  mountOptionSpecs,
  type MountSource,
  parseMountOptions,
  parseOption,
} from '../config.ts';
import { type Connection, type ConnectionStore, openConnectionStore } from '../connections/store.ts';
import type { CliContext } from './context.ts';
import { logFileOf } from './daemon-log.ts';
import { runForeground, startDaemon } from './daemon-process.ts';
import { findNamed, namedConnection, onlyConnection } from './find-connection.ts';
import { checkDirectories, checkMountpoint, checkNotMounted, makeDirectories } from './mount-checks.ts';

interface OwnOptions {
  readonly demo?: true;
  readonly foreground?: true;
  readonly options?: readonly string[];
}

interface Source {
  readonly source: MountSource;
  readonly connectionName: string;
  readonly deviceName: string;
  /** The directory behind a connection of platform `fs`. */
  readonly servedDirectory: string | undefined;
}

export function mountCommand(context: CliContext): Command {
  const command = new Command('mount')
    .description('mount a connection, or a pool of connections, on a directory')
    .usage('[options] [CONNECTION[:/PATH]] MOUNTPOINT')
    .argument(
      '<where...>',
      'CONNECTION, its id or name, or those of a pool, with :/PATH for one folder of it (may be left out if there is only one), and MOUNTPOINT, an existing directory',
    )
    .option('--demo', 'mount the demo: a local server with some content; needs no account')
    .option('-f, --foreground', 'stay in the foreground, log to stderr, unmount on Ctrl-C')
    .option(
      '-o, --options <OPTIONS>',
      `options as in fstab, separated by commas: ${mountOptionSpecs.map(({ name }) => name).join(', ')}, and those of mount(8)`,
      (text: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), text],
    );
  for (const spec of mountOptionSpecs) {
    const option = new Option(spec.flags, spec.help);
    command.addOption(
      spec.parse === undefined
        ? option
        : option.argParser((text: string) => parseOption(spec, text, option.long ?? spec.name)),
    );
  }
  return command.action((where: string[], options: OwnOptions) => mount(context, command, where, options));
}

async function mount(context: CliContext, command: Command, where: string[], own: OwnOptions): Promise<void> {
  const { servedDirectory, ...named } = await findSource(context, where, own.demo === true);
  const mountpoint = await checkMountpoint(where.at(-1) as string);
  const foreground = own.foreground === true;
  const logFile = foreground ? undefined : logFileOf(context.directories.state, mountpoint);
  const options = { ...parseMountOptions(own.options ?? []), ...flagOptions(command) };
  if (options.asUser !== undefined && (named.source.kind === 'demo' || servedDirectory !== undefined)) {
    throw new UsageError(
      `--as-user: ${named.connectionName} has no users to act for`,
      'it is for Syncplicity connections',
    );
  }
  const what = { ...named, mountpoint, foreground, logFile };
  const config = createMountConfig(what, options, context.directories);
  await checkDirectories(config, servedDirectory);
  await checkNotMounted(config);
  await makeDirectories(config);

  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  await run(context, config, interruption.signal);
}

async function run(context: CliContext, config: MountConfig, signal: AbortSignal): Promise<void> {
  try {
    if (config.logFile !== undefined) {
      const warn = (line: string): void => context.warn(line);
      await startDaemon({ config, signal, logFile: config.logFile, warn });
      return;
    }
    const tell = (message: string): void => {
      notifyServiceManager(message, context.environment).catch((error: unknown) => {
        context.warn(`the service manager cannot be told: ${(error as Error).message}`);
      });
    };
    const onReady = (): void => {
      tell(`READY=1\nSTATUS=${config.deviceName} on ${config.mountpoint}`);
      context.warn(`${config.deviceName} is mounted on ${config.mountpoint}; Ctrl-C unmounts it`);
    };
    signal.addEventListener('abort', () => tell('STOPPING=1'), { once: true });
    if ((await runForeground({ config, signal, onReady })) !== 0) context.setExitCode(1);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot mount ${config.deviceName} on ${config.mountpoint}: ${reason}`, { cause: error });
  }
}

/** What the arguments before the mountpoint name. */
async function findSource(context: CliContext, where: readonly string[], demo: boolean): Promise<Source> {
  if (where.length > 2)
    throw new UsageError(`too many arguments: ${where.slice(2).join(' ')}`, 'give a connection and a mountpoint');
  const named = where.length === 2 ? where[0] : undefined;
  if (demo) {
    if (named !== undefined && named !== 'demo') throw new UsageError('--demo takes a mountpoint only');
    return { source: { kind: 'demo' }, connectionName: 'demo', deviceName: 'demo', servedDirectory: undefined };
  }
  const store = openConnectionStore(context.directories.config, (message) => context.warn(message));
  if (named === undefined) await requireMountpoint(store, where[0] as string);
  const { connection: found, path } =
    named === undefined ? { connection: await onlyConnection(store), path: '/' } : await namedConnection(store, named);
  const what = {
    source: { kind: 'connection', connectionId: found.id, path },
    connectionName: found.name,
    deviceName: named === undefined ? found.name : shownSource(named, found),
  } as const;
  if (found.group) {
    await requireMountable(store, found);
    return { ...what, servedDirectory: undefined };
  }
  if (found.disabled) throw new UsageError(`the connection "${found.name}" is disabled`);
  const auth = await store.auth(found.id);
  return { ...what, servedDirectory: auth.platform === 'fs' ? auth.directory : undefined };
}

/** A source as it was given, with the connection's name where that was its id, which says nothing to anybody. */
function shownSource(given: string, { id, name }: Connection): string {
  return given === id || given.startsWith(`${id}:/`) ? name + given.slice(id.length) : given;
}

/** Rejects where the only argument is a connection: what is missing is the mountpoint then. */
async function requireMountpoint(store: ConnectionStore, only: string): Promise<void> {
  if (existsSync(only) || (await findNamed(store, only)) === undefined) return;
  throw new UsageError(
    `the mountpoint is missing: "${only}" is a connection`,
    `write it like: syncplicityfs mount ${shellWord(only)} DIRECTORY`,
  );
}

/** Rejects a pool that is empty, or whose connections have no calls to share. */
async function requireMountable(store: ConnectionStore, { id, name, platform }: Connection): Promise<void> {
  if (platform === 'fs') {
    throw new UsageError(
      `"${name}" is a pool of directories, which have nothing to share`,
      'mount one of its connections',
    );
  }
  if ((await store.members(id)).length > 0) return;
  throw new UsageError(
    `the pool "${name}" has no connections`,
    `put some in with: syncplicityfs connections pool assign ID --name "${name}"`,
  );
}

/** The options given as arguments; they win over -o. */
function flagOptions(command: Command): MountOptions {
  const values = command.opts<Record<string, unknown>>();
  return Object.fromEntries(
    mountOptionSpecs
      .map(({ key, flags }) => [key, values[new Option(flags).attributeName()]] as const)
      .filter(([, value]) => value !== undefined),
  );
}
