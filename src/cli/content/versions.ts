// `syncplicityfs versions ...`: what a file was.
import { Command } from 'commander';
import { fileVersions, type FileVersion } from '../../syncplicity/content/versions.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { formatTable } from '../table.ts';
import { type ContentOptions, onTarget, PATH_ARGUMENT, withContentOptions } from './content-command.ts';
import { isoTime, timeCell } from './time-text.ts';

const COLUMNS = ['Version', 'Added', 'Bytes', 'Action', 'User', 'Source'].map((header) => ({ header }));

/** The command with its subcommands. */
export function versionsCommand(context: CliContext): Command {
  const command = new Command('versions').description('the versions of a file');
  withContentOptions(command.command('list').description('list the versions of a file that Syncplicity keeps'))
    .argument(...PATH_ARGUMENT)
    .action((path: string, options: ContentOptions) => list(context, path, options));
  return command;
}

async function list(context: CliContext, path: string, options: ContentOptions): Promise<void> {
  await onTarget(context, path, options, async ({ api, call }, target) => {
    if (target.kind !== 'file') throw new Error(`${printable(path)} is a folder: only files have versions`);
    const versions = await fileVersions(api, target, call);
    if (wantsJson(options)) {
      printJson(context, versions.map(versionJson));
      return;
    }
    if (target.isPending) context.warn('what was written last is not at Syncplicity yet: it is no version of these');
    formatTable(COLUMNS, versions.map(versionRow)).forEach((line) => context.print(line));
  });
}

function versionRow({ id, added, lengthBytes, action, userName, userEmail, source }: FileVersion): string[] {
  const cells = [id, timeCell(added), String(lengthBytes), action, userName ?? userEmail ?? '', source ?? ''];
  return cells.map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function versionJson(version: FileVersion): Record<string, unknown> {
  return {
    id: version.id,
    added: version.added === undefined ? null : isoTime(version.added),
    bytes: version.lengthBytes,
    action: version.action,
    user: version.userName ?? null,
    email: version.userEmail ?? null,
    source: version.source ?? null,
  };
}
