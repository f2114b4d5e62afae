// `syncplicityfs files ...`: single calls about files, for scripts and accounts that are not mounted. A mounted drive does the same with cp and rm,
// later and in fewer calls.
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import type { RemoteTarget, TargetFile, TargetFolder } from '../../mount/remote-path.ts';
import { type RemoteEntry, RemoteError, type RemoteFile, timestampOf } from '../../remote-drive.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { countOf, printable } from '../printable.ts';
import { formatTable } from '../table.ts';
import {
  type ContentOptions,
  onTarget,
  onTargets,
  PATH_ARGUMENT,
  type Service,
  withContentOptions,
} from './content-command.ts';
import { isoTime, timeCell } from './time-text.ts';
import { parentAndName } from './trash-entries.ts';
import type { LookAgain } from '../remote-target.ts';
import { bytesOf, onceListed, outputFile, storedFile, vaultOf, versionBytes, writeWhole } from './version-content.ts';

const COLUMNS = ['Id', 'Version', 'Bytes', 'Modified', 'Name'].map((header) => ({ header }));

interface ShowOptions extends ContentOptions {
  readonly hash?: true;
}

interface GetOptions extends ContentOptions {
  readonly output?: string;
}

/** The command with its subcommands. */
export function filesCommand(context: CliContext): Command {
  const command = new Command('files').description('files at Syncplicity, by single calls');
  withContentOptions(command.command('list').description('list the files of a folder'))
    .argument('<FOLDER>', PATH_ARGUMENT[1])
    .action((path: string, options: ContentOptions) => list(context, path, options));
  withContentOptions(command.command('show').description('show what Syncplicity has of a file'))
    .argument(...PATH_ARGUMENT)
    .option('--hash', 'with the SHA-256 of its content, where the service tells it')
    .action((path: string, options: ShowOptions) => show(context, path, options));
  withContentOptions(command.command('get').description('fetch a file'))
    .argument(...PATH_ARGUMENT)
    .option(
      '-o, --output <FILE>',
      'file or directory to write to, - for stdout (default: a new file of that name here)',
    )
    .action((path: string, options: GetOptions) => get(context, path, options));
  withContentOptions(command.command('put').description('store a file of this machine, as a new one or a new version'))
    .argument('<FILE>', 'a file of this machine')
    .argument('<PATH>', `${PATH_ARGUMENT[1]}: a folder, or what it is to be called`)
    .action((file: string, path: string, options: ContentOptions) => put(context, file, path, options));
  withContentOptions(command.command('delete').description('move files to the trash'))
    .argument('<PATH...>', PATH_ARGUMENT[1])
    .action((paths: string[], options: ContentOptions) => remove(context, paths, options));
  return command;
}

async function list(context: CliContext, path: string, options: ContentOptions): Promise<void> {
  await onTarget(context, path, options, async ({ api, call }, target) => {
    const { syncpointId, folderId } = requireFolder(target, path);
    const files: RemoteFile[] = [];
    for await (const batch of api.drive.list(syncpointId, folderId, call)) files.push(...batch.filter(isFile));
    files.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (wantsJson(options)) printJson(context, files.map(fileJson));
    else formatTable(COLUMNS, files.map(fileRow)).forEach((line) => context.print(line));
  });
}

async function show(context: CliContext, path: string, options: ShowOptions): Promise<void> {
  await onTarget(context, path, options, async ({ api, call }, target) => {
    const { syncpointId, fileId } = requireFile(target, path);
    const file = await api.drive.file(syncpointId, fileId, call);
    const sha256 = options.hash === true ? await api.drive.contentHash(syncpointId, fileId, call) : undefined;
    if (wantsJson(options)) {
      printJson(context, { ...fileJson(file), ...(options.hash === true ? { sha256: sha256 ?? null } : {}) });
      return;
    }
    formatTable(COLUMNS, [fileRow(file)]).forEach((line) => context.print(line));
    if (options.hash === true) context.print(`SHA-256 ${sha256 ?? 'is not told'}`);
  });
}

async function get(context: CliContext, path: string, options: GetOptions): Promise<void> {
  const toStdout = options.output === '-';
  if (toStdout && wantsJson(options)) throw new UsageError('--json and the content cannot both go to stdout');
  await onTarget(context, path, options, async (service, target) => {
    const { syncpointId, fileId, isPending } = requireFile(target, path);
    if (isPending) context.warn(`${printable(path)}: what was written last is not at Syncplicity yet`);
    const file = await service.api.drive.file(syncpointId, fileId, service.call);
    const { versionId, lengthBytes, modified } = file;
    const content = { syncpointId, versionId, vaultId: await vaultOf(service, syncpointId), lengthBytes };
    const bytes = versionBytes(service, content);
    if (toStdout) {
      await pipeline(Readable.from(bytes), process.stdout, { end: false });
      return;
    }
    const to = await outputFile(options.output, file.name);
    await writeWhole(to, bytes, new Date(isoTime(modified)));
    if (wantsJson(options)) printJson(context, { ...fileJson(file), file: to });
    else context.print(`${countOf(lengthBytes, 'byte')} written to ${printable(to)}`);
  });
}

/** Where a file is to be stored. */
interface Place {
  readonly folder: TargetFolder;
  /** Of the folder in the one that the path named; undefined: that one. */
  readonly below?: string;
  readonly name: string;
  /** What has the name now. */
  readonly present: RemoteFile | undefined;
}

async function put(context: CliContext, from: string, path: string, options: ContentOptions): Promise<void> {
  if (!(await stat(from)).isFile()) throw new UsageError(`${printable(from)} is no file`);
  const { parent, name } = parentAndName(path);
  const found = { isSyncpoint: false };
  await onTarget(context, parent, options, async (service, target, lookAgain) => {
    if (target.kind === 'root') {
      found.isSyncpoint = true;
      return;
    }
    await store(context, service, from, await placeFor(service, requireFolder(target, parent), name, from), {
      lookAgain,
      options,
    });
  });
  if (!found.isSyncpoint) return;
  await onTarget(context, path, options, async (service, target, lookAgain) => {
    const folder = requireFolder(target, path);
    await store(context, service, from, await placeIn(service, folder, basename(from)), { lookAgain, options });
  });
}

async function store(
  context: CliContext,
  service: Service,
  from: string,
  { folder, below, name, present }: Place,
  { lookAgain, options }: { readonly lookAgain: LookAgain; readonly options: ContentOptions },
): Promise<void> {
  const { size, mtimeMs, birthtimeMs } = await stat(from);
  const { syncpointId, names, folderId } = folder;
  const outcome = await service.api.drive.upload(
    {
      folder: { syncpointId, vaultId: await vaultOf(service, syncpointId), folderNames: names },
      name,
      lengthBytes: size,
      modified: timestampOf(mtimeMs),
      created: present?.created ?? timestampOf(birthtimeMs > 0 ? birthtimeMs : mtimeMs),
      sha256: undefined,
      read: bytesOf(from),
      onSent: service.moved,
    },
    service.call,
  );
  const told = outcome.state === 'stored' ? outcome.fileId : present?.id;
  const after = await afterStoring(service, { syncpointId, folderId, fileId: told }, name);
  if (outcome.state === 'unclear' && after.versionId === present?.versionId) {
    throw new RemoteError('protocol', `Syncplicity did not say that it stored ${name}: ${outcome.reason}`);
  }
  await lookAgain('paths', below);
  if (wantsJson(options)) printJson(context, fileJson(after));
  else context.print(`${printable(name)} is stored: version ${after.versionId}`);
}

/** The path is a file, a folder for a file of that name, or new. */
async function placeFor(service: Service, folder: TargetFolder, name: string, from: string): Promise<Place> {
  const { api, call } = service;
  const entries = await entriesOf(api.drive.list(folder.syncpointId, folder.folderId, call));
  const found = entries.find((entry) => entry.name === name);
  if (found?.kind !== 'folder') return { folder, name, present: found };
  const names = [...folder.names, found.name];
  const inside: TargetFolder = { ...folder, kind: 'folder', folderId: found.id, names };
  return { ...(await placeIn(service, inside, basename(from))), below: found.name };
}

/** A file of that name in a folder. */
async function placeIn({ api, call }: Service, folder: TargetFolder, name: string): Promise<Place> {
  const entries = await entriesOf(api.drive.list(folder.syncpointId, folder.folderId, call));
  const present = entries.find((entry) => entry.name === name);
  if (present?.kind === 'folder') throw new Error(`${printable(name)} is a folder there`);
  return { folder, name, present };
}

async function entriesOf(batches: AsyncIterable<readonly RemoteEntry[]>): Promise<RemoteEntry[]> {
  const entries: RemoteEntry[] = [];
  for await (const batch of batches) entries.push(...batch);
  return entries;
}

async function afterStoring(
  service: Service,
  {
    fileId,
    ...place
  }: Pick<TargetFile, 'syncpointId' | 'folderId'> & { readonly fileId: TargetFile['fileId'] | undefined },
  name: string,
): Promise<RemoteFile> {
  if (fileId !== undefined) return storedFile(service, { ...place, fileId }, name);
  const found = await onceListed(service, async () => {
    const entries = await entriesOf(service.api.drive.list(place.syncpointId, place.folderId, service.call));
    return entries.filter(isFile).find((file) => file.name === name);
  });
  if (found !== undefined) return found;
  throw new RemoteError('unavailable', `${name} is stored, but Syncplicity does not list it yet`);
}

async function remove(context: CliContext, paths: readonly string[], options: ContentOptions): Promise<void> {
  await onTargets(context, paths, options, async ({ api, call, moved }, targets, lookAgain) => {
    const files = targets.map((target, index) => requireFile(target, paths[index] ?? ''));
    for (const [index, { isPending }] of files.entries()) {
      if (isPending)
        throw new Error(`${printable(paths[index] ?? '')}: what was written last is not at Syncplicity yet`);
    }
    for (const [index, { syncpointId, versionId }] of files.entries()) {
      await api.drive.deleteFile(syncpointId, versionId, call);
      moved();
      if (!wantsJson(options)) context.print(`${printable(paths[index] ?? '')} is in the trash`);
    }
    await lookAgain('parents');
    if (wantsJson(options)) printJson(context, { deleted: files.map(({ fileId }) => fileId) });
  });
}

const isFile = (entry: RemoteEntry): entry is RemoteFile => entry.kind === 'file';

function requireFile(target: RemoteTarget, path: string): TargetFile {
  if (target.kind === 'file') return target;
  throw new Error(`${printable(path)} is a folder, not a file`);
}

/** The folder that a path is. Throws for files, and for the drive as a whole. */
export function requireFolder(target: RemoteTarget, path: string): TargetFolder {
  if (target.kind === 'root') {
    throw new Error(`${printable(path)} is the drive, which holds syncpoints: syncpoints list shows them`);
  }
  if (target.kind === 'file') throw new Error(`${printable(path)} is a file, not a folder`);
  return target;
}

function fileRow({ id, versionId, lengthBytes, modified, name }: RemoteFile): string[] {
  return [id, versionId, String(lengthBytes), timeCell(modified), printable(name)];
}

/** Keys that scripts may rely on. */
function fileJson({ id, versionId, name, lengthBytes, modified, created }: RemoteFile): Record<string, unknown> {
  return {
    id,
    version: versionId,
    name,
    bytes: lengthBytes,
    modified: isoTime(modified),
    created: isoTime(created),
  };
}
