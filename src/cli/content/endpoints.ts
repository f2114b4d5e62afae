// `syncplicityfs endpoints ...`: the storage endpoints (StorageVaults) of an account. Promises: no access key is ever shown, nor what an
// address may carry besides host and path.
import { Command } from 'commander';
import { formatSize } from '../../base/quantities.ts';
import { UsageError } from '../../base/usage-error.ts';
import type { StorageEndpoint } from '../../syncplicity/content/endpoints.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { formatLabels, formatTable } from '../table.ts';
import { type AccountOptions, onAccount, type Service, withAccountOptions } from './content-command.ts';

const COLUMNS = ['ID', 'Name', 'Default', 'Used', 'Size', 'SignIn'].map((header) => ({ header }));

interface EndpointOptions extends AccountOptions {
  readonly user?: string;
}

/** The command with its subcommands. */
export function endpointsCommand(context: CliContext): Command {
  const command = new Command('endpoints').description('the storage endpoints (StorageVaults) where content lies');
  withEndpointOptions(command.command('list').description('list the storage endpoints of an account')).action(
    (options: EndpointOptions) => list(context, options),
  );
  withEndpointOptions(command.command('show').description('show one storage endpoint'))
    .argument('[ID]', 'its id or name (default: the one where new top folders are made)')
    .action((id: string | undefined, options: EndpointOptions) => show(context, id, options));
  return command;
}

function withEndpointOptions(command: Command): Command {
  return withAccountOptions(command).option('--user <GUID>', 'those of another user; for administrators');
}

async function list(context: CliContext, options: EndpointOptions): Promise<void> {
  await onAccount(context, options.account, options, async ({ api, call }) => {
    const { storageEndpoints } = await import('../../syncplicity/content/endpoints.ts');
    const found = await storageEndpoints(api.gateway, options.user, call);
    if (wantsJson(options)) printJson(context, found.map(endpointJson));
    else formatTable(COLUMNS, found.map(endpointRow)).forEach((line) => context.print(line));
  });
}

async function show(context: CliContext, id: string | undefined, options: EndpointOptions): Promise<void> {
  if (id !== undefined && options.user !== undefined) {
    throw new UsageError('--user asks for the default endpoint of a user: leave the id out');
  }
  await onAccount(context, options.account, options, async (service) => {
    const { defaultEndpoint } = await import('../../syncplicity/content/endpoints.ts');
    const found =
      id === undefined
        ? await defaultEndpoint(service.api.gateway, options.user, service.call)
        : await requireEndpoint(service, id);
    if (wantsJson(options)) printJson(context, endpointJson(found));
    else formatLabels(endpointLabels(found)).forEach((line) => context.print(line));
  });
}

/** The endpoint with this id or name. Rejects where there is none, or more than one. */
export async function requireEndpoint({ api, call }: Service, idOrName: string): Promise<StorageEndpoint> {
  const { findEndpoints } = await import('../../syncplicity/content/endpoints.ts');
  const [found, ...more] = await findEndpoints(api.gateway, idOrName, call);
  if (found === undefined) {
    throw new Error(`there is no storage endpoint ${printable(idOrName)}\nsyncplicityfs endpoints list shows them`);
  }
  if (more.length > 0) {
    throw new Error(`${more.length + 1} storage endpoints are called ${printable(idOrName)}: name one by its id`);
  }
  return found;
}

function endpointRow(endpoint: StorageEndpoint): string[] {
  const { id, name, isDefault, requiresStorageToken, sizeBytes, consumedBytes } = endpoint;
  return [
    id,
    printable(name),
    isDefault ? 'yes' : '',
    sizeCell(consumedBytes),
    sizeCell(sizeBytes),
    requiresStorageToken ? 'its own' : '',
  ];
}

function endpointLabels(endpoint: StorageEndpoint): (readonly [string, string])[] {
  const { companyName, description, isActive, requiresStorageToken } = endpoint;
  const rows: (readonly [string, string])[] = [
    ['ID', endpoint.id],
    ['Name', printable(endpoint.name)],
    ['Description', printable(description ?? '')],
    ['Company', printable(companyName ?? endpoint.companyId ?? '')],
    ...endpoint.urls.map((url) => ['Address', printable(addressOf(url))] as const),
    ['Default', String(endpoint.isDefault)],
    ['Active', isActive === undefined ? '' : String(isActive)],
    ['Used', sizeCell(endpoint.consumedBytes)],
    ['Size', sizeCell(endpoint.sizeBytes)],
    ['SignIn', requiresStorageToken ? 'its own: syncplicityfs connections storage-login' : ''],
    ['Protocol', String(endpoint.protocolVersion ?? '')],
  ];
  return rows.filter(([, value]) => value !== '');
}

function sizeCell(bytes: number | undefined): string {
  return bytes === undefined ? '' : formatSize(bytes);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function endpointJson(endpoint: StorageEndpoint): Record<string, unknown> {
  return {
    id: endpoint.id,
    name: endpoint.name,
    description: endpoint.description ?? null,
    company: endpoint.companyName ?? null,
    companyId: endpoint.companyId ?? null,
    urls: endpoint.urls.map(addressOf),
    default: endpoint.isDefault,
    active: endpoint.isActive ?? null,
    sizeBytes: endpoint.sizeBytes ?? null,
    usedBytes: endpoint.consumedBytes ?? null,
    ownAuthentication: endpoint.requiresStorageToken,
    hasPassword: endpoint.userHasPassword ?? null,
    protocolVersion: endpoint.protocolVersion ?? null,
  };
}

/** An address without user, password and query, which may be secrets. */
function addressOf(text: string): string {
  if (!URL.canParse(text)) return '(not a URL)';
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`;
}
