// `syncplicityfs syncpoints ...`: the syncpoints of an account, and making, renaming, giving away, mapping and deleting one.
import { Command, Option } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import { RemoteError, type VaultId } from '../../remote-drive.ts';
import type * as Calls from '../../syncplicity/content/syncpoints.ts';
import type { SyncpointDetails } from '../../syncplicity/content/syncpoints.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import type { LookAgain } from '../remote-target.ts';
import { formatLabels, formatTable } from '../table.ts';
import { isCaller } from './caller.ts';
import { isTyped } from './confirmation.ts';
import {
  type ContentOptions,
  onAccount,
  onTarget,
  PATH_ARGUMENT,
  type Service,
  withContentOptions,
} from './content-command.ts';
import { isGuid } from './sharees.ts';
import { syncpointAt } from './target-syncpoint.ts';
import { parentAndName } from './trash-entries.ts';

const COLUMNS = ['Id', 'Name', 'Type', 'Permission', 'Owner', 'Bytes'].map((header) => ({ header }));

interface CreateOptions extends ContentOptions {
  readonly type: 'folder' | 'drive';
  readonly vault?: string;
}

interface MapOptions extends ContentOptions {
  readonly machine: string;
  readonly path?: string;
  readonly unmap?: true;
  /** False with `--no-download`, `--no-upload`. */
  readonly download: boolean;
  readonly upload: boolean;
}

interface DeleteOptions extends ContentOptions {
  readonly yes?: true;
}

/** The command with its subcommands. */
export function syncpointsCommand(context: CliContext): Command {
  const command = new Command('syncpoints').description('the syncpoints of an account: its top-level folders');
  withContentOptions(command.command('list').description('list all syncpoints, those inside others too'))
    .argument('[ACCOUNT]', 'a connection or a path in a mounted drive (default: the only connection)')
    .action((account: string | undefined, options: ContentOptions) => list(context, account, options));
  withContentOptions(command.command('show').description('show all that is told of a syncpoint'))
    .argument(...PATH_ARGUMENT)
    .action((path: string, options: ContentOptions) => show(context, path, options));
  withContentOptions(command.command('create').description('make a syncpoint'))
    .argument('<PATH>', 'its name in a mounted drive, or CONNECTION:/Name')
    .addOption(
      new Option('--type <TYPE>', 'a folder, or a SyncDrive, in which files and folders can be renamed and moved')
        .choices(['folder', 'drive'])
        .default('folder'),
    )
    .option('--vault <ID>', 'the storage endpoint to keep it (default: your own)')
    .action((path: string, options: CreateOptions) => create(context, path, options));
  withContentOptions(command.command('rename').description('give a syncpoint another name, for everybody'))
    .argument(...PATH_ARGUMENT)
    .argument('<NAME>', 'the new name')
    .action((path: string, name: string, options: ContentOptions) => rename(context, path, name, options));
  withContentOptions(command.command('transfer').description('give a syncpoint to another owner'))
    .argument(...PATH_ARGUMENT)
    .argument('<ADDRESS>', 'the e-mail address of the new owner, who is of your company')
    .action((path: string, email: string, options: ContentOptions) => transfer(context, path, email, options));
  withContentOptions(command.command('map').description('map a syncpoint to a machine, which then keeps a copy of it'))
    .argument(...PATH_ARGUMENT)
    .requiredOption('--machine <ID>', 'the GUID of the machine')
    .option('--path <DIRECTORY>', 'where the machine keeps it')
    .option('--no-download', 'the machine gets no changes')
    .option('--no-upload', 'the machine sends no changes')
    .option('--unmap', 'end the mapping instead')
    .action((path: string, options: MapOptions) => map(context, path, options));
  withContentOptions(
    command
      .command('delete')
      .description("delete a syncpoint of yours for everybody, or leave another's; asks for its name first"),
  )
    .argument(...PATH_ARGUMENT)
    .option('--yes', 'do not ask')
    .action((path: string, options: DeleteOptions) => remove(context, path, options));
  return command;
}

async function list(context: CliContext, account: string | undefined, options: ContentOptions): Promise<void> {
  await onAccount(context, account, options, async ({ api, call }) => {
    const { allSyncpoints } = await calls();
    const found = await allSyncpoints(api.gateway, api.account.userId, call);
    if (wantsJson(options)) printJson(context, found.map(syncpointJson));
    else formatTable(COLUMNS, found.map(syncpointRow)).forEach((line) => context.print(line));
  });
}

async function show(context: CliContext, path: string, options: ContentOptions): Promise<void> {
  await onSyncpoint(context, path, options, (_service, syncpoint) => {
    print(context, options, syncpoint);
    return Promise.resolve();
  });
}

async function create(context: CliContext, path: string, options: CreateOptions): Promise<void> {
  const { parent, name } = parentAndName(path);
  const { SYNCPOINT_NAME_MAX } = await calls();
  requireName(name, SYNCPOINT_NAME_MAX);
  if (options.vault !== undefined && !isGuid(options.vault)) {
    throw new UsageError(`"${printable(options.vault)}" is no storage endpoint: their ids are GUIDs`);
  }
  await onTarget(context, parent, options, async ({ api, call }, target, lookAgain) => {
    if (target.kind !== 'root') {
      throw new Error(`${printable(parent)} is not the root of a drive: folders below are made with mkdir`);
    }
    const { allSyncpoints, createSyncpoint } = await calls();
    const { userId } = api.account;
    if ((await allSyncpoints(api.gateway, userId, call)).some((one) => one.name === name)) {
      throw new RemoteError('exists', `there is a syncpoint "${name}" already`);
    }
    const vaultId = options.vault?.toLowerCase() as VaultId | undefined;
    const made = await createSyncpoint(api.gateway, { name, type: options.type, vaultId }, userId, call);
    await shown(context, lookAgain);
    if (vaultId !== undefined && made.vaultId !== undefined && made.vaultId !== vaultId) {
      context.warn(`it lies on the storage endpoint ${made.vaultId}, not on that asked for`);
      context.setExitCode(1);
    }
    if (wantsJson(options)) printJson(context, syncpointJson(made));
    else context.print(`the syncpoint "${printable(made.name)}" is made: ${made.id}`);
  });
}

async function rename(context: CliContext, path: string, name: string, options: ContentOptions): Promise<void> {
  const { renameSyncpoint, SYNCPOINT_NAME_MAX } = await calls();
  requireName(name, SYNCPOINT_NAME_MAX);
  await onSyncpoint(context, path, options, async ({ api, call }, before, lookAgain) => {
    const isSame = before.name === name;
    const after = isSame ? before : await renameSyncpoint(api.gateway, before, name, api.account.userId, call);
    if (!isSame) await shown(context, lookAgain);
    if (wantsJson(options)) printJson(context, syncpointJson(after));
    else context.print(`"${printable(before.name)}" is called "${printable(after.name)}" now`);
  });
}

async function transfer(context: CliContext, path: string, email: string, options: ContentOptions): Promise<void> {
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw new UsageError(`"${printable(email)}" is no e-mail address`);
  await onSyncpoint(context, path, options, async ({ api, call }, before) => {
    const { transferSyncpoint } = await calls();
    await transferSyncpoint(api.gateway, before, email, call);
    if (wantsJson(options)) printJson(context, { id: before.id, name: before.name, owner: email });
    else context.print(`"${printable(before.name)}" belongs to ${printable(email)} now`);
  });
}

async function map(context: CliContext, path: string, options: MapOptions): Promise<void> {
  const { machine, unmap, download, upload } = options;
  if (!isGuid(machine)) throw new UsageError(`"${printable(machine)}" is no machine: their ids are GUIDs`);
  if (unmap !== true && (options.path ?? '') === '') {
    throw new UsageError('where the machine keeps it is missing: --path DIRECTORY, or --unmap to end the mapping');
  }
  await onSyncpoint(context, path, options, async ({ api, call }, before) => {
    const { mapSyncpoint } = await calls();
    const directory = options.path ?? before.mappings?.find((one) => one.machineId === machine.toLowerCase())?.path;
    const wanted = {
      machineId: machine,
      path: directory ?? '',
      isMapped: unmap !== true,
      downloads: download,
      uploads: upload,
    };
    const after = await mapSyncpoint(api.gateway, before, wanted, api.account.userId, call);
    if (wantsJson(options)) printJson(context, syncpointJson(after));
    else context.print(`"${printable(after.name)}" is ${unmap === true ? 'no more ' : ''}mapped to ${machine}`);
  });
}

async function remove(context: CliContext, path: string, options: DeleteOptions): Promise<void> {
  if (options.yes !== true && !process.stdin.isTTY) {
    throw new UsageError('a syncpoint is deleted with all it holds: say --yes where nobody can be asked');
  }
  await onSyncpoint(context, path, options, async (service, syncpoint, lookAgain) => {
    const { api, call } = service;
    const { deleteSyncpoint } = await calls();
    const name = printable(syncpoint.name);
    const isOwn = isOwnedByCaller(service, syncpoint);
    const question = isOwn
      ? `"${name}" is deleted with all it holds, for everybody it is shared with.`
      : `"${name}" belongs to ${printable(syncpoint.owner ?? 'somebody else')}: it is deleted for you alone.`;
    if (options.yes !== true && !(await isTyped(question, syncpoint.name))) {
      throw new Error(`that is not its name: "${name}" stays as it is`);
    }
    await deleteSyncpoint(api.gateway, syncpoint.id, call);
    await shown(context, lookAgain);
    if (wantsJson(options)) {
      printJson(context, { deleted: syncpoint.id, name: syncpoint.name, forEverybody: isOwn });
    } else context.print(isOwn ? `"${name}" is deleted` : `"${name}" is deleted for you`);
  });
}

/** Without an owner told it is taken for the caller's, of which more would be lost. */
function isOwnedByCaller(service: Service, { ownerId: id, owner: email }: SyncpointDetails): boolean {
  return (id === undefined && email === undefined) || isCaller(service, { id, email });
}

async function onSyncpoint(
  context: CliContext,
  path: string,
  options: ContentOptions,
  work: (service: Service, syncpoint: SyncpointDetails, lookAgain: LookAgain) => Promise<void>,
): Promise<void> {
  await onTarget(context, path, options, async (service, target, lookAgain) => {
    const { api, call } = service;
    const { id } = await syncpointAt(service, target, path);
    const { syncpointById } = await calls();
    await work(service, await syncpointById(api.gateway, id, api.account.userId, call), lookAgain);
  });
}

/** Has a mounted drive show what was changed through it, so that the next command finds it there. The change itself is made. */
async function shown(context: CliContext, lookAgain: LookAgain): Promise<void> {
  try {
    await lookAgain();
  } catch (error) {
    context.warn(
      `the drive does not show it yet: ${printable(error instanceof Error ? error.message : String(error))}`,
    );
  }
}

/** Loaded on demand: most commands never talk to the service. */
function calls(): Promise<typeof Calls> {
  return import('../../syncplicity/content/syncpoints.ts');
}

function requireName(name: string, lengthMax: number): void {
  if (name.trim() !== name || name === '' || /[\\/<>\p{Cc}]/u.test(name)) {
    throw new UsageError(`"${printable(name)}" is no name for a syncpoint: no \\ / < > and no blanks around it`);
  }
  if (name.length > lengthMax) throw new UsageError(`a syncpoint's name has at most ${lengthMax} characters`);
}

function print(context: CliContext, options: ContentOptions, syncpoint: SyncpointDetails): void {
  if (wantsJson(options)) {
    printJson(context, syncpointJson(syncpoint));
    return;
  }
  const { id, name, type, permission, owner, ownerName, isShared, vaultId, parentPath, sizeBytes } = syncpoint;
  const mapped = (syncpoint.mappings ?? []).filter(({ isMapped }) => isMapped);
  const rows: readonly (readonly [string, string])[] = [
    ['Id', id],
    ['Name', name],
    ['Type', type],
    ['Permission', permission],
    ['Owner', [ownerName, owner].filter((one) => one !== undefined).join(', ')],
    ['Shared', isShared === undefined ? '' : isShared ? 'yes' : 'no'],
    ['Inside', parentPath ?? ''],
    ['Vault', vaultId ?? ''],
    ['Bytes', sizeBytes === undefined ? '' : String(sizeBytes)],
    ...mapped.map(({ machineId, path }) => ['Mapped', `${machineId ?? ''} ${path ?? ''}`] as const),
  ];
  const told = rows.filter(([, value]) => value !== '').map(([label, value]) => [label, printable(value)] as const);
  formatLabels(told).forEach((line) => context.print(line));
}

function syncpointRow({ id, name, type, permission, owner, sizeBytes }: SyncpointDetails): string[] {
  return [id, name, type, permission, owner ?? '', sizeBytes === undefined ? '' : String(sizeBytes)].map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function syncpointJson(one: SyncpointDetails): Record<string, unknown> {
  return {
    id: one.id,
    name: one.name,
    type: one.type,
    permission: one.permission,
    owner: one.owner ?? null,
    ownerName: one.ownerName ?? null,
    shared: one.isShared ?? null,
    rootFolder: one.rootFolderId ?? null,
    vault: one.vaultId ?? null,
    parent: one.parentId ?? null,
    path: one.parentPath ?? null,
    bytes: one.sizeBytes ?? null,
    mappings:
      one.mappings?.map(({ machineId, path, isMapped }) => {
        return { machine: machineId ?? null, path: path ?? null, mapped: isMapped };
      }) ?? null,
  };
}
