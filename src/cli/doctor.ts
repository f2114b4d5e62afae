// `syncplicityfs doctor`: looks at everything a mount needs and says what to do about what is missing.
import { Command } from 'commander';
import { UsageError } from '../base/usage-error.ts';
import { openConnectionStore } from '../connections/store.ts';
import { type CliContext, mayColour, printJson } from './context.ts';
import { connectionChecks } from './doctor-connection.ts';
import { machineChecks } from './doctor-machine.ts';
import { poolChecks } from './doctor-pool.ts';
import type { Check, Finding } from './finding.ts';

const COLOURS = { ok: 32, warn: 33, fail: 31 } as const;

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
    const connection = await store.find(idOrName);
    if (connection === undefined) {
      throw new UsageError(`there is no connection "${idOrName}"`, 'syncplicityfs connections list shows them');
    }
    const more = connection.group
      ? await poolChecks(store, connection.id, options.caFile)
      : connectionChecks(await store.auth(connection.id), options.caFile);
    checks = [...checks, ...more];
  }
  const nameWidth = Math.max(...checks.map(({ name }) => name.length));
  const findings: (Finding & { readonly check: string })[] = [];
  // One after the other: a later check may rely on what an earlier one did, and people read along.
  for (const check of checks) {
    const finding = await look(check);
    findings.push({ check: check.name, ...finding });
    if (options.json !== true) show(context, check.name.padEnd(nameWidth), finding);
  }
  if (options.json === true) printJson(context, findings);
  if (findings.some(({ state }) => state === 'fail')) context.setExitCode(1);
}

async function look(check: Check): Promise<Finding> {
  try {
    return await check.look();
  } catch (error) {
    return { state: 'fail', detail: error instanceof Error ? error.message : String(error) };
  }
}

function show(context: CliContext, name: string, { state, detail, advice }: Finding): void {
  const word = state.toUpperCase().padEnd(4);
  const coloured = mayColour(process.stdout, context.environment) ? `\u001b[${COLOURS[state]}m${word}\u001b[0m` : word;
  context.print(`${coloured} ${name}  ${detail}`);
  if (advice !== undefined) context.print(`     ${' '.repeat(name.length)}  -> ${advice}`);
}
