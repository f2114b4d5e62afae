// `syncplicityfs rols`: the regions (ROLs) of an e-mail address, by the public look-up, which takes no credentials: none are needed and no
// connection is opened.
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import type { RolFields } from '../../syncplicity/wire/entities.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { formatTable } from '../table.ts';
import { type ContentOptions, explained, withContentOptions } from './content-command.ts';

const COLUMNS = ['ID', 'Name', 'Gateway', 'Web', 'Home', 'Data'].map((header) => ({ header }));

interface RolsOptions extends ContentOptions {
  readonly golUrl?: string;
}

export function rolsCommand(context: CliContext): Command {
  return withContentOptions(new Command('rols'))
    .description('the regions (ROLs) where a user is known, and which one is home')
    .argument('<EMAIL>', 'e-mail address of the user; only a hash of it is sent')
    .option('--gol-url <URL>', 'address of the look-up (default: https://gol.syncplicity.com)')
    .action((email: string, options: RolsOptions) => rols(context, email, options));
}

async function rols(context: CliContext, email: string, options: RolsOptions): Promise<void> {
  if (!/^[^@\s]+@[^@\s]+$/.test(email.trim())) throw new UsageError(`"${printable(email)}" is no e-mail address`);
  const { caFile, golUrl } = options;
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  await explained(options, async ({ call: { signal } }) => {
    const { findRegions } = await import('../../syncplicity/home.ts');
    const found = await findRegions({ golUrl, email, ca, signal });
    if (wantsJson(options)) printJson(context, found.map(rolJson));
    else if (found.length > 0) formatTable(COLUMNS, found.map(rolRow)).forEach((line) => context.print(line));
    if (found.length > 0) return;
    context.setExitCode(1);
    context.warn(`no region knows ${printable(email.trim())}`);
  });
}

function rolRow({ id, name, gatewayUrl, webUrl, isHome, hasData }: RolFields): string[] {
  const cells = [id ?? '', name ?? '', gatewayUrl ?? '', webUrl ?? '', isHome ? 'yes' : '', hasData ? 'yes' : ''];
  return cells.map(printable);
}

/** Keys that scripts may rely on; what the look-up does not tell is null. */
function rolJson({ id, name, gatewayUrl, webUrl, isHome, hasData }: RolFields): Record<string, unknown> {
  return {
    id: id ?? null,
    name: name ?? null,
    gateway: gatewayUrl ?? null,
    web: webUrl ?? null,
    home: isHome,
    data: hasData,
  };
}
