// `syncplicityfs machines ...`: the devices that may call for an account. Promises: a machine's token is stored, never shown.
import { Command } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import { openConnectionStore } from '../../connections/store.ts';
import type { Machine } from '../../syncplicity/content/machines.ts';
import { type CliContext, printJson } from '../context.ts';
import { requireConnection } from '../find-connection.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { registerFor } from '../registering.ts';
import { requireStoredAccount } from '../stored-account.ts';
import { formatLabels, formatTable } from '../table.ts';
import {
  type AccountOptions,
  type ContentOptions,
  onAccount,
  withAccountOptions,
  withContentOptions,
} from './content-command.ts';

const COLUMNS = ['ID', 'Name', 'System', 'Owner', 'This'].map((header) => ({ header }));

interface RegisterOptions extends ContentOptions {
  readonly connection?: string;
  readonly name?: string;
  readonly again?: true;
}

interface ListOptions extends AccountOptions {
  readonly user?: string;
  readonly inactive?: true;
}

/** The command with its subcommands. */
export function machinesCommand(context: CliContext): Command {
  const command = new Command('machines').description('the devices that are registered for an account');
  withContentOptions(command.command('register'))
    .description('register this machine; StorageVaults with authentication of their own want one')
    .option('--connection <NAME>', 'the connection that it is stored in (default: the only one)')
    .option('--name <NAME>', 'what it is called, 50 characters at most (default: after this host)')
    .option('--again', 'although the connection has a machine, which it uses no more then')
    .action((options: RegisterOptions) => register(context, options));
  withAccountOptions(command.command('list').description('list the machines of an account'))
    .option('--user <GUID>', 'those of another user; for administrators')
    .option('--inactive', 'those that are not in use any more too')
    .action((options: ListOptions) => list(context, options));
  return command;
}

async function register(context: CliContext, options: RegisterOptions): Promise<void> {
  const { name, caFile } = options;
  if (name !== undefined && (name.trim() === '' || name.length > 50)) {
    throw new UsageError('the name of a machine has 1 to 50 characters');
  }
  const store = openConnectionStore(context.directories.config, (message) => context.warn(message));
  const account = await requireStoredAccount(store, options.connection);
  const { connection, auth } = account;
  if (auth.credentials.machineToken !== undefined && options.again !== true) {
    const id = auth.machineId === undefined ? '' : ` (${auth.machineId})`;
    throw new UsageError(`"${connection.name}" has a machine already${id}`, '--again registers another one');
  }
  await onAccount(context, connection.id, options, async (service) => {
    const machine = await registerFor(context, service, { store, account, name, caFile });
    if (wantsJson(options)) {
      printJson(context, { ...machine, connection: connection.name, connectionId: connection.id });
      return;
    }
    const rows = [
      ['ID', machine.id],
      ['Name', printable(machine.name)],
      ['Connection', printable(connection.name)],
    ] as const;
    formatLabels(rows).forEach((line) => context.print(line));
  });
}

async function list(context: CliContext, options: ListOptions): Promise<void> {
  const { user, inactive } = options;
  const own = await ownMachine(context, options.account);
  await onAccount(context, options.account, options, async ({ api, call }) => {
    const { machinesOf } = await import('../../syncplicity/content/machines.ts');
    const found = await machinesOf(api.gateway, { user, withInactive: inactive ?? false }, call);
    if (wantsJson(options))
      printJson(
        context,
        found.map((machine) => machineJson(machine, own(machine))),
      );
    else
      formatTable(
        COLUMNS,
        found.map((machine) => machineRow(machine, own(machine))),
      ).forEach((line) => context.print(line));
  });
}

/** Tells the machine that the connection calls from; of a path, or a pool, none is known. */
async function ownMachine(context: CliContext, text: string | undefined): Promise<(machine: Machine) => boolean> {
  const store = openConnectionStore(context.directories.config, (message) => context.warn(message));
  const connection = text === undefined ? await requireConnection(store, undefined) : await store.find(text);
  if (connection === undefined || connection.group) return () => false;
  const auth = await store.auth(connection.id);
  if (auth.platform === 'fs') return () => false;
  const { machineId, credentials } = auth;
  return ({ id, token }) =>
    id === machineId?.toLowerCase() || (token !== undefined && token === credentials.machineToken);
}

function machineRow({ id, name, system, ownerEmail }: Machine, isOwn: boolean): string[] {
  return [id, name, system ?? '', ownerEmail ?? '', isOwn ? 'yes' : ''].map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function machineJson({ id, name, system, ownerEmail }: Machine, isOwn: boolean): Record<string, unknown> {
  return { id, name, system: system ?? null, owner: ownerEmail ?? null, current: isOwn };
}
