// `syncplicityfs folders ...`: single calls about folders, for scripts and accounts that are not mounted.
import { Command } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import type { RemoteFolder } from '../../remote-drive.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { formatTable } from '../table.ts';
import { isAgreed } from './confirmation.ts';
import { type ContentOptions, onTarget, PATH_ARGUMENT, withContentOptions } from './content-command.ts';
import { requireFolder } from './files.ts';
import { parentAndName } from './trash-entries.ts';

const COLUMNS = ['Id', 'Name'].map((header) => ({ header }));

interface DeleteOptions extends ContentOptions {
  readonly yes?: true;
}

/** The command with its subcommands. */
export function foldersCommand(context: CliContext): Command {
  const command = new Command('folders').description('folders at Syncplicity, by single calls');
  withContentOptions(command.command('list').description('list the folders in a folder'))
    .argument('<FOLDER>', PATH_ARGUMENT[1])
    .action((path: string, options: ContentOptions) => list(context, path, options));
  withContentOptions(command.command('create').description('make a folder'))
    .argument(...PATH_ARGUMENT)
    .action((path: string, options: ContentOptions) => create(context, path, options));
  withContentOptions(command.command('delete').description('move a folder and all it holds to the trash'))
    .argument(...PATH_ARGUMENT)
    .option('--yes', 'do not ask where it holds something')
    .action((path: string, options: DeleteOptions) => remove(context, path, options));
  return command;
}

async function list(context: CliContext, path: string, options: ContentOptions): Promise<void> {
  await onTarget(context, path, options, async ({ api, call }, target) => {
    const { syncpointId, folderId } = requireFolder(target, path);
    const folders: RemoteFolder[] = [];
    for await (const batch of api.drive.list(syncpointId, folderId, call)) {
      for (const entry of batch) if (entry.kind === 'folder') folders.push(entry);
    }
    folders.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (wantsJson(options)) printJson(context, folders.map(folderJson));
    else
      formatTable(
        COLUMNS,
        folders.map(({ id, name }) => [id, printable(name)]),
      ).forEach((line) => context.print(line));
  });
}

async function create(context: CliContext, path: string, options: ContentOptions): Promise<void> {
  const { parent, name } = parentAndName(path);
  await onTarget(context, parent, options, async ({ api, call }, target, lookAgain) => {
    const { syncpointId, folderId } = requireFolder(target, parent);
    const [made] = await api.drive.createFolders(syncpointId, folderId, [name], call);
    if (made === undefined)
      throw new Error(`Syncplicity does not say that it made ${printable(path)}: folders list shows`);
    await lookAgain('paths');
    if (wantsJson(options)) printJson(context, folderJson(made));
    else context.print(`${printable(path)} is made: ${made.id}`);
  });
}

async function remove(context: CliContext, path: string, options: DeleteOptions): Promise<void> {
  await onTarget(context, path, options, async ({ api, call }, target, lookAgain) => {
    const { kind, syncpointId, folderId } = requireFolder(target, path);
    if (kind === 'syncpoint') throw new Error(`${printable(path)} is a syncpoint: syncpoints delete ends those`);
    if (options.yes !== true && !(await isEmpty(api.drive.list(syncpointId, folderId, call)))) {
      if (!process.stdin.isTTY) {
        throw new UsageError(`${printable(path)} is not empty: say --yes where nobody can be asked`);
      }
      if (!(await isAgreed(`move ${printable(path)} and all it holds to the trash?`))) {
        context.setExitCode(1);
        return;
      }
    }
    await api.drive.deleteFolder(syncpointId, folderId, call);
    await lookAgain('parents');
    if (wantsJson(options)) printJson(context, { deleted: folderId });
    else context.print(`${printable(path)} is in the trash`);
  });
}

async function isEmpty(batches: AsyncIterable<readonly unknown[]>): Promise<boolean> {
  for await (const batch of batches) if (batch.length > 0) return false;
  return true;
}

/** Keys that scripts may rely on. */
function folderJson({ id, name }: RemoteFolder): Record<string, unknown> {
  return { id, name };
}
