// `syncplicityfs trash ...`: what was removed from a folder, as long as Syncplicity keeps it.
import { Command } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import type { RemoteTarget, TargetFolder } from '../../mount/remote-path.ts';
import type { RemovedObject } from '../../remote-drive.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { countOf, printable } from '../printable.ts';
import type { LookAgain } from '../remote-target.ts';
import { formatTable } from '../table.ts';
import { type ContentOptions, onTarget, type Service, withContentOptions } from './content-command.ts';
import { isoTime, timeCell } from './time-text.ts';
import { isAgreed } from './confirmation.ts';
import { chosenEntry, parentAndName, type TrashEntry, trashOf } from './trash-entries.ts';
import { restoreEntry, type Restored } from './trash-restore.ts';

const COLUMNS = ['Id', 'Kind', 'Bytes', 'Modified', 'Path'].map((header) => ({ header }));
const FOLDER_ARGUMENT = ['<FOLDER>', 'a folder in a mounted drive, or CONNECTION:/Syncpoint/path'] as const;
const REMOVED_ARGUMENT = [
  '<PATH>',
  'the path that it had, in a mounted drive or as CONNECTION:/Syncpoint/path',
] as const;

interface ListOptions extends ContentOptions {
  readonly recursive?: true;
}

interface ChoiceOptions extends ContentOptions {
  readonly id?: string;
}

interface PurgeOptions extends ChoiceOptions {
  readonly all?: true;
  readonly yes?: true;
}

/** The command with its subcommands. */
export function trashCommand(context: CliContext): Command {
  const command = new Command('trash').description('what was removed, as long as Syncplicity keeps it');
  withContentOptions(command.command('list').description('list what was removed from a folder'))
    .argument(...FOLDER_ARGUMENT)
    .option('-r, --recursive', 'and from all folders below, with what removed folders held; two calls a folder')
    .action((path: string, options: ListOptions) => list(context, path, options));
  withContentOptions(
    command.command('restore').description('store what was removed under its name again, over nothing that has it now'),
  )
    .argument(...REMOVED_ARGUMENT)
    .option('--id <ID>', 'which one, where several of that name were removed')
    .action((path: string, options: ChoiceOptions) => restore(context, path, options));
  withContentOptions(command.command('purge').description('delete for good what was removed'))
    .argument(...REMOVED_ARGUMENT)
    .option('--id <ID>', 'which one, where several of that name were removed')
    .option('--all', 'PATH is a folder: all that was removed from it; asks first')
    .option('--yes', 'do not ask')
    .action((path: string, options: PurgeOptions) => purge(context, path, options));
  return command;
}

async function list(context: CliContext, path: string, options: ListOptions): Promise<void> {
  await onFolder(context, path, options, async (service, folder) => {
    const entries: TrashEntry[] = [];
    const unread: string[] = [];
    const onUnread = (of: TrashEntry): void => void unread.push(of.path);
    for await (const entry of trashOf(service, folder, options.recursive === true ? onUnread : undefined)) {
      entries.push(entry);
    }
    if (wantsJson(options)) printJson(context, entries.map(entryJson));
    else formatTable(COLUMNS, entries.map(entryRow)).forEach((line) => context.print(line));
    for (const one of unread) context.warn(`Syncplicity does not tell what ${printable(one)} held`);
  });
}

async function restore(context: CliContext, path: string, options: ChoiceOptions): Promise<void> {
  await onRemoved(context, path, options, async (service, folder, entry, lookAgain) => {
    const restored: Restored[] = [];
    for await (const one of restoreEntry(context, service, folder, entry)) {
      restored.push(one);
      if (one.error !== undefined) {
        context.warn(`${printable(one.path)}: ${printable(one.error)}`);
        context.setExitCode(1);
      } else if (!wantsJson(options)) context.print(`${printable(one.path)} is there again`);
    }
    await lookAgain('paths');
    if (wantsJson(options)) printJson(context, restored.map(restoredJson));
  });
}

async function purge(context: CliContext, path: string, options: PurgeOptions): Promise<void> {
  if (options.all === true) {
    if (options.id !== undefined) throw new UsageError('--all and --id exclude each other');
    if (options.yes !== true && !process.stdin.isTTY) {
      throw new UsageError('--all deletes for good: say --yes where nobody can be asked');
    }
    await onFolder(context, path, options, async (service, folder) => {
      const entries: TrashEntry[] = [];
      for await (const entry of trashOf(service, folder)) entries.push(entry);
      const question = `delete for good ${countOf(entries.length, 'thing')} removed from ${printable(path)}?`;
      const isMeant = entries.length === 0 || options.yes === true || (await isAgreed(question));
      await purgeEach(context, service, folder, isMeant ? entries : [], options);
    });
    return;
  }
  await onRemoved(context, path, options, async (service, folder, entry) => {
    await purgeEach(context, service, folder, [entry], options);
  });
}

async function purgeEach(
  context: CliContext,
  { api, call, moved }: Service,
  { syncpointId }: TargetFolder,
  entries: readonly TrashEntry[],
  options: ContentOptions,
): Promise<void> {
  for (const { entry, path } of entries) {
    const removed: RemovedObject =
      entry.kind === 'file'
        ? { syncpointId, kind: 'file', versionId: entry.versionId }
        : { syncpointId, kind: 'folder', folderId: entry.id };
    await api.drive.purge(removed, call);
    moved();
    if (!wantsJson(options)) context.print(`${printable(path)} is deleted for good`);
  }
  if (wantsJson(options)) printJson(context, { purged: entries.map(entryJson) });
}

async function onFolder(
  context: CliContext,
  path: string,
  options: ContentOptions,
  work: (service: Service, folder: TargetFolder, lookAgain: LookAgain) => Promise<void>,
): Promise<void> {
  await onTarget(context, path, options, (service, target, lookAgain) =>
    work(service, requireFolder(target, path), lookAgain),
  );
}

function requireFolder(target: RemoteTarget, path: string): TargetFolder {
  if (target.kind === 'file') throw new Error(`${printable(path)} is a file: only folders have a trash`);
  if (target.kind === 'root') throw new Error(`${printable(path)} is the whole drive: name a folder of a syncpoint`);
  return target;
}

async function onRemoved(
  context: CliContext,
  path: string,
  options: ChoiceOptions,
  work: (service: Service, folder: TargetFolder, entry: TrashEntry, lookAgain: LookAgain) => Promise<void>,
): Promise<void> {
  const { parent, name } = parentAndName(path);
  await onFolder(context, parent, options, async (service, folder, lookAgain) => {
    const candidates: TrashEntry[] = [];
    for await (const entry of trashOf(service, folder)) candidates.push(entry);
    await work(service, folder, chosenEntry(candidates, name, options.id, path), lookAgain);
  });
}

function entryRow({ entry, path }: TrashEntry): string[] {
  const { kind, id } = entry;
  const facts = entry.kind === 'file' ? [String(entry.lengthBytes), timeCell(entry.modified)] : ['', ''];
  return [id, kind, ...facts, path].map(printable);
}

/** Keys that scripts may rely on. */
function entryJson({ entry, path }: TrashEntry): Record<string, unknown> {
  const isFile = entry.kind === 'file';
  return {
    id: entry.id,
    kind: entry.kind,
    path,
    version: isFile ? entry.versionId : null,
    bytes: isFile ? entry.lengthBytes : null,
    modified: isFile ? isoTime(entry.modified) : null,
  };
}

function restoredJson({ path, kind, error }: Restored): Record<string, unknown> {
  return { path, kind, error: error ?? null };
}
