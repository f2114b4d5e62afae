// `syncplicityfs doctor`: looks at everything a mount needs and says what to do about what is missing.
import { Command } from 'commander';
import { openConnectionStore } from '../connections/store.ts';
import { runChecks } from './check-run.ts';
import { requireConnection } from './find-connection.ts';
import type { CliContext } from './context.ts';
import { machineChecks } from './doctor-machine.ts';
import { checksOf } from './doctor-pool.ts';

export function doctorCommand(context: CliContext): Command {
  return new Command('doctor')
    .description(
      'check FUSE, permissions, directories and disk; with a connection its credentials, clock and service too',
    )
    .argument('[CONNECTION]', 'id or name of a connection or pool to try')
    .option('--ca-file <FILE>', 'PEM file with further certificate authorities to trust')
    .option('--json', 'print JSON')
    .action((connection: string | undefined, options: { json?: true; caFile?: string }) =>
      examine(context, connection, options),
    );
}

async function examine(
  context: CliContext,
  idOrName: string | undefined,
  options: { readonly json?: true; readonly caFile?: string },
): Promise<void> {
  const store = openConnectionStore(context.directories.config, (message) => context.warn(message));
  let checks = machineChecks(context.directories, store);
  if (idOrName !== undefined) {
    const connection = await requireConnection(store, idOrName);
    checks = [...checks, ...(await checksOf(store, connection, options.caFile))];
  }
  await runChecks(context, checks, options.json === true);
}
