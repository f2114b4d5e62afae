// `syncplicityfs service`: drives that systemd mounts when the user's session begins, and again when their daemon died. Writes units into the
// user's own directory and tells the session's systemd of them. Promises: a drive that another unit or hand mounts is left alone.
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { replaceFile } from '../base/atomic-file.ts';
import { UsageError } from '../base/usage-error.ts';
import { parseMountOptions } from '../config.ts';
import { environmentConnectionName } from '../connections/environment.ts';
import { openConnectionStore } from '../connections/store.ts';
import { type CliContext, printJson } from './context.ts';
import { requireConnection } from './find-connection.ts';
import { type JsonOptions, wantsJson, withJson } from './json-option.ts';
import { checkMountpoint } from './mount-checks.ts';
import { mountpointOf, unitName, unitText } from './service-unit.ts';
import { formatTable } from './table.ts';

const programFile = fileURLToPath(new URL('../../bin/syncplicityfs.js', import.meta.url));
/** What a session need not have, and the user's terminal has. */
const PLACES = ['XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME'] as const;
const COLUMNS = ['Unit', 'State', 'Mountpoint'].map((header) => ({ header }));
/** Mounting waits for the service, with limits of its own. */
const SYSTEMCTL_TIMEOUT_MS = 180_000;

interface InstallOptions {
  readonly options?: readonly string[];
  readonly start: boolean;
}

/** The command with its subcommands. */
export function serviceCommand(context: CliContext): Command {
  const command = new Command('service').description('drives that systemd mounts when your session begins');
  command
    .command('install')
    .description('have a drive mounted now, with each session from now on, and again when its daemon died')
    .argument('<CONNECTION>', 'id or name of a connection or pool')
    .argument('<MOUNTPOINT>', 'an existing directory')
    .option('-o, --options <OPTIONS>', 'mount options as in fstab, separated by commas', collect)
    .option('--no-start', 'from the next session on only')
    .action((connection: string, mountpoint: string, options: InstallOptions) =>
      install(context, connection, mountpoint, options),
    );
  command
    .command('remove')
    .description('unmount a drive that was installed, once what is pending is sent, and mount it no more')
    .argument('<DRIVE>', 'id or name of the connection or pool, or the mountpoint')
    .action((drive: string) => remove(context, drive));
  withJson(command.command('list').description('list the drives that were installed')).action((options: JsonOptions) =>
    list(context, options),
  );
  return command;
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function install(
  context: CliContext,
  name: string,
  where: string,
  { options = [], start }: InstallOptions,
): Promise<void> {
  requireSystemd();
  const connection = await requireConnection(storeOf(context), name);
  if (connection.name === environmentConnectionName && connection.id.startsWith(environmentConnectionName)) {
    throw new UsageError('the connection "env" is of this terminal only', 'add it with: syncplicityfs connections add');
  }
  const mountpoint = await checkMountpoint(where);
  // What cannot be mounted so is said now, not in a log of the next session.
  parseMountOptions(options);
  const unit = unitName(connection.name);
  const directory = unitDirectory(context);
  // Where no systemd answers nothing is left behind.
  await systemctl('daemon-reload');
  await mkdir(directory, { recursive: true });
  const { id } = connection;
  const text = unitText({
    connection: { id, name: connection.name },
    mountpoint,
    options: options.join(','),
    program: [process.execPath, programFile],
    environment: placesOf(context.environment),
  });
  await replaceFile(join(directory, unit), text, 0o644);
  await systemctl('daemon-reload');
  await systemctl('enable', unit);
  if (start) await systemctl('restart', unit);
  context.print(
    start ? `${connection.name} is mounted on ${mountpoint}, now and with each session` : `${unit} is installed`,
  );
  context.warn('to have it mounted before you log in: loginctl enable-linger');
}

async function remove(context: CliContext, drive: string): Promise<void> {
  requireSystemd();
  const directory = unitDirectory(context);
  const connection = await storeOf(context).find(drive);
  const wanted = unitName(connection?.name ?? drive);
  const units = await installed(directory);
  const unit = (units.find(({ unit }) => unit === wanted) ?? units.find((one) => one.mountpoint === resolve(drive)))
    ?.unit;
  if (unit === undefined) {
    throw new UsageError(`"${drive}" is not installed as a service`, 'syncplicityfs service list shows what is');
  }
  await systemctl('disable', '--now', unit);
  await rm(join(directory, unit));
  await systemctl('daemon-reload');
  context.print(`${unit} is removed`);
}

async function list(context: CliContext, options: JsonOptions): Promise<void> {
  requireSystemd();
  const units = await installed(unitDirectory(context));
  const found = await Promise.all(
    units.map(async ({ unit, mountpoint }) => ({ unit, state: await stateOf(unit), mountpoint })),
  );
  if (wantsJson(options)) printJson(context, found);
  else {
    const rows = found.map(({ unit, state, mountpoint }) => [unit, state, mountpoint]);
    formatTable(COLUMNS, rows).forEach((line) => context.print(line));
  }
}

/** The units there that were written here. */
async function installed(directory: string): Promise<{ readonly unit: string; readonly mountpoint: string }[]> {
  const names = (await namesIn(directory)).filter((name) => /^syncplicityfs@.+\.service$/.test(name)).sort();
  const texts = await Promise.all(names.map((unit) => textOf(join(directory, unit))));
  return names.flatMap((unit, index) => {
    const mountpoint = mountpointOf(texts[index] ?? '');
    // Somebody's own unit of that name is theirs.
    return mountpoint === undefined ? [] : [{ unit, mountpoint }];
  });
}

function storeOf(context: CliContext): ReturnType<typeof openConnectionStore> {
  return openConnectionStore(context.directories.config, (message) => context.warn(message));
}

function requireSystemd(): void {
  if (process.platform !== 'linux') {
    throw new UsageError(
      'services are systemd units, which this system has none of',
      'mount it with: syncplicityfs mount',
    );
  }
}

/** Where systemd looks for a user's units. */
function unitDirectory({ environment }: CliContext): string {
  const home = environment['XDG_CONFIG_HOME'];
  const config = home !== undefined && isAbsolute(home) ? home : join(environment['HOME'] ?? homedir(), '.config');
  return join(config, 'systemd', 'user');
}

function placesOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  const places: Record<string, string> = {};
  for (const name of PLACES) {
    const value = environment[name];
    if (value !== undefined && isAbsolute(value)) places[name] = value;
  }
  return places;
}

async function systemctl(...args: readonly string[]): Promise<void> {
  const words = ['--user', ...args];
  try {
    await promisify(execFile)('systemctl', words, { timeout: SYSTEMCTL_TIMEOUT_MS });
  } catch (error) {
    const { stderr } = error as { readonly stderr?: string };
    const reason = stderr?.trim().split('\n')[0] || (error as Error).message;
    const unit = args.at(-1) ?? '';
    const advice =
      args[0] === 'restart'
        ? `journalctl --user -u '${unit}' says more`
        : 'it needs a session of systemd, which su and sudo do not begin: log in as this user, or use machinectl shell USER@';
    throw new Error(`systemctl ${words.join(' ')} failed: ${reason}\n${advice}`, { cause: error });
  }
}

/** As systemctl calls it: "active", "inactive", "failed". */
async function stateOf(unit: string): Promise<string> {
  try {
    return (await promisify(execFile)('systemctl', ['--user', 'is-active', unit])).stdout.trim();
  } catch (error) {
    // It ends with 3 where a unit is not active, and says what it is.
    const said = (error as { readonly stdout?: string }).stdout?.trim() ?? '';
    return said === '' ? 'unknown' : said;
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
