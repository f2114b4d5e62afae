// `syncplicityfs versions ...`: what a file was. An old version is made the present one by storing its bytes anew: no call does that.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import type { TargetFile } from '../../mount/remote-path.ts';
import {
  type ContentReference,
  RemoteError,
  type RemoteFile,
  type RemoteVersion,
  timestampOf,
} from '../../remote-drive.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { countOf, printable } from '../printable.ts';
import type { LookAgain } from '../remote-target.ts';
import { formatTable } from '../table.ts';
import { type ContentOptions, onTarget, PATH_ARGUMENT, type Service, withContentOptions } from './content-command.ts';
import { isoTime, timeCell } from './time-text.ts';
import {
  hasContent,
  onceListed,
  outputFile,
  storeAgain,
  storedFile,
  vaultOf,
  versionBytes,
  writeWhole,
} from './version-content.ts';

const COLUMNS = ['Version', 'Added', 'Bytes', 'Action', 'User', 'Source'].map((header) => ({ header }));
const VERSION_ARGUMENT = ['<VERSION>', 'the id of a version, as `versions list` shows it'] as const;

interface GetOptions extends ContentOptions {
  readonly output?: string;
}

/** The command with its subcommands. */
export function versionsCommand(context: CliContext): Command {
  const command = new Command('versions').description('the versions of a file');
  withContentOptions(command.command('list').description('list the versions of a file that Syncplicity keeps'))
    .argument(...PATH_ARGUMENT)
    .action((path: string, options: ContentOptions) => list(context, path, options));
  withContentOptions(command.command('get').description('fetch a version of a file'))
    .argument(...PATH_ARGUMENT)
    .argument(...VERSION_ARGUMENT)
    .option(
      '-o, --output <FILE>',
      'file or directory to write to, - for stdout (default: a new file of that name here)',
    )
    .action((path: string, version: string, options: GetOptions) => get(context, path, version, options));
  withContentOptions(
    command.command('restore').description('make an old version of a file the present one, by storing it anew'),
  )
    .argument(...PATH_ARGUMENT)
    .argument(...VERSION_ARGUMENT)
    .action((path: string, version: string, options: ContentOptions) => restore(context, path, version, options));
  withContentOptions(command.command('delete').description('delete old versions of a file for good'))
    .argument(...PATH_ARGUMENT)
    .argument('<VERSION...>', VERSION_ARGUMENT[1])
    .action((path: string, versions: string[], options: ContentOptions) => remove(context, path, versions, options));
  return command;
}

async function list(context: CliContext, path: string, options: ContentOptions): Promise<void> {
  await onFile(context, path, options, async ({ api, call }, target) => {
    const versions = await api.drive.versions(target, call);
    if (wantsJson(options)) {
      printJson(context, versions.map(versionJson));
      return;
    }
    if (target.isPending) context.warn('what was written last is not at Syncplicity yet: it is no version of these');
    formatTable(COLUMNS, versions.map(versionRow)).forEach((line) => context.print(line));
  });
}

async function get(context: CliContext, path: string, id: string, options: GetOptions): Promise<void> {
  requireIds([id]);
  const toStdout = options.output === '-';
  if (toStdout && wantsJson(options)) throw new UsageError('--json and the content cannot both go to stdout');
  await onFile(context, path, options, async (service, target) => {
    const version = requireVersion(await service.api.drive.versions(target, service.call), id, path);
    const bytes = versionBytes(service, await contentOf(service, target, version));
    if (toStdout) {
      await pipeline(Readable.from(bytes), process.stdout, { end: false });
      return;
    }
    const to = await outputFile(options.output, target.names.at(-1) ?? '');
    await writeWhole(to, bytes, version.added === undefined ? undefined : new Date(isoTime(version.added)));
    if (wantsJson(options)) printJson(context, { ...versionJson(version), file: to });
    else context.print(`${countOf(version.lengthBytes, 'byte')} written to ${printable(to)}`);
  });
}

async function restore(context: CliContext, path: string, id: string, options: ContentOptions): Promise<void> {
  requireIds([id]);
  await onFile(context, path, options, async (service, target, lookAgain) => {
    const { api, call } = service;
    if (target.isPending) {
      throw new Error(`${printable(path)}: what was written last is not at Syncplicity yet: flush first`);
    }
    const version = requireVersion(await api.drive.versions(target, call), id, path);
    const before = await api.drive.file(target.syncpointId, target.fileId, call);
    if (before.versionId === id) throw new Error(`version ${id} is what ${printable(path)} has already`);
    const content = await contentOf(service, target, version);
    const { syncpointId, names } = target;
    const { outcome, sha256 } = await storeAgain(context, service, content, {
      folder: { syncpointId, vaultId: content.vaultId, folderNames: names.slice(0, -1) },
      name: before.name,
      // It changes now; when the old version was written no call tells.
      modified: timestampOf(Date.now()),
      created: before.created,
      beforeLast: async () => {
        const { versionId, name } = await api.drive.file(syncpointId, target.fileId, call);
        if (versionId !== before.versionId || name !== before.name) {
          throw new RemoteError('conflict', `${path} was changed meanwhile: nothing was restored`);
        }
      },
    });
    const fileId = (outcome.state === 'stored' ? outcome.fileId : undefined) ?? target.fileId;
    const wanted = { lengthBytes: version.lengthBytes, sha256, before: before.versionId };
    const look = async (): Promise<RemoteFile | undefined> => {
      const file = await storedFile(service, { ...target, fileId }, before.name);
      return (await hasContent(service, syncpointId, file, wanted)) ? file : undefined;
    };
    const saysAlready = outcome.state === 'stored' && outcome.already;
    const after = saysAlready ? await look() : await onceListed(service, look);
    if (after === undefined) {
      const said = saysAlready ? 'it says that it has these bytes already' : 'it does not list it yet';
      const reason = outcome.state === 'unclear' ? outcome.reason : said;
      throw new RemoteError('protocol', `Syncplicity did not make version ${id} the present one: ${reason}`);
    }
    await lookAgain('parents');
    if (wantsJson(options)) {
      printJson(context, { restored: id, version: after.versionId, bytes: after.lengthBytes });
      return;
    }
    context.print(`${printable(path)} is as in version ${id} again: version ${after.versionId}`);
  });
}

async function remove(context: CliContext, path: string, ids: string[], options: ContentOptions): Promise<void> {
  requireIds(ids);
  await onFile(context, path, options, async (service, target) => {
    const { api, call } = service;
    const versions = await api.drive.versions(target, call);
    const present = await api.drive.file(target.syncpointId, target.fileId, call);
    for (const id of ids) {
      requireVersion(versions, id, path);
      if (id === present.versionId) {
        throw new Error(
          `version ${id} is what ${printable(path)} has now: remove the file, or restore another version first`,
        );
      }
    }
    const { deleteVersion } = await import('../../syncplicity/content/versions.ts');
    for (const version of versions.filter(({ id }) => ids.includes(id))) {
      await deleteVersion(api.gateway, { ...target, versionId: version.id }, call);
      if (!wantsJson(options)) context.print(`version ${version.id} is deleted`);
    }
    if (wantsJson(options)) printJson(context, { deleted: ids });
  });
}

async function onFile(
  context: CliContext,
  path: string,
  options: ContentOptions,
  work: (service: Service, target: TargetFile, lookAgain: LookAgain) => Promise<void>,
): Promise<void> {
  await onTarget(context, path, options, async (service, target, lookAgain) => {
    if (target.kind !== 'file') throw new Error(`${printable(path)} is a folder: only files have versions`);
    await work(service, target, lookAgain);
  });
}

function requireIds(ids: readonly string[]): void {
  for (const id of ids) {
    if (!/^[0-9]{1,20}$/.test(id))
      throw new UsageError(`"${printable(id)}" is no version`, 'versions list shows their ids');
  }
}

function requireVersion(versions: readonly RemoteVersion[], id: string, path: string): RemoteVersion {
  const found = versions.find((version) => version.id === id);
  if (found !== undefined) return found;
  throw new Error(`${printable(path)} has no version ${id}: versions list shows those it has`);
}

async function contentOf(
  service: Service,
  { syncpointId }: TargetFile,
  { id, lengthBytes }: RemoteVersion,
): Promise<ContentReference> {
  return { syncpointId, versionId: id, vaultId: await vaultOf(service, syncpointId), lengthBytes };
}

function versionRow({ id, added, lengthBytes, action, userName, userEmail, source }: RemoteVersion): string[] {
  const cells = [id, timeCell(added), String(lengthBytes), action, userName ?? userEmail ?? '', source ?? ''];
  return cells.map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function versionJson(version: RemoteVersion): Record<string, unknown> {
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
