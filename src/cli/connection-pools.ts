// `syncplicityfs connections pool ...`: SkySync's commands that put connections into pools and take them out.
import { Command } from 'commander';
import { UsageError } from '../base/usage-error.ts';
import type { Connection, ConnectionStore, PoolReference } from '../connections/store.ts';
import { checkConnectionName } from './connection-name.ts';
import { assignmentLabels, connectionJson } from './connection-output.ts';
import { type CliContext, printJson } from './context.ts';
import { type JsonOptions, wantsJson, withJson } from './json-option.ts';

interface AssignOptions extends JsonOptions {
  readonly name?: string;
  readonly pool?: string;
}

/** The command with its subcommands. `store` opens the store when one of them runs. */
export function poolCommand(context: CliContext, store: () => ConnectionStore): Command {
  const command = new Command('pool').description(
    'put connections of one account into a pool, which is mounted as one and makes as many calls as all of them together',
  );
  withJson(command.command('assign <ID>').description('put a connection into a pool, and out of the one it was in'))
    .option('--name <NAME>', 'name of the pool, which is made if there is none')
    .option('--pool <ID>', 'id of an existing pool')
    .action((id: string, options: AssignOptions) => assign(context, store(), id, options));
  withJson(command.command('unassign <ID>').description('take a connection out of its pool')).action(
    async (idOrName: string, options: JsonOptions) => {
      const connections = store();
      const found = await connections.find(idOrName);
      const freed = found === undefined ? undefined : await connections.unassign(found.id);
      if (freed === undefined) context.setExitCode(1);
      if (wantsJson(options)) return;
      if (freed !== undefined) context.print('The connection was successfully removed from a connection pool.');
      else context.warnPlain('An error occurred removing the connection from a connection pool.');
    },
  );
  return command;
}

async function assign(
  context: CliContext,
  store: ConnectionStore,
  idOrName: string,
  options: AssignOptions,
): Promise<void> {
  const reference = await poolReference(store, options);
  const found = await store.find(idOrName);
  if (found === undefined) throw noConnection(idOrName);
  const connection: Connection = await store.assign(found.id, reference);
  if (wantsJson(options)) printJson(context, [connectionJson(connection)]);
  else assignmentLabels(connection).forEach((line) => context.print(line));
}

/** The pool that the options name. An existing one may be named where its id is asked for, as connections may. */
async function poolReference(store: ConnectionStore, { name, pool }: AssignOptions): Promise<PoolReference> {
  if (name !== undefined && pool !== undefined) throw new UsageError('--name and --pool exclude each other');
  if (pool !== undefined) return { id: (await store.find(pool))?.id ?? pool };
  if (name === undefined) throw new UsageError('say which pool: --name NAME, or --pool ID for an existing one');
  checkConnectionName(name);
  return { name };
}

function noConnection(idOrName: string): Error {
  return new Error(`there is no connection "${idOrName}"\nsyncplicityfs connections list shows them`);
}
