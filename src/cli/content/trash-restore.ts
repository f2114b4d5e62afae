// Restores what lies in the trash. No call of the API is known to do that, so its bytes are fetched and stored under its name once more,
// with its times: another file with the same content. Nothing that has the name meanwhile is replaced, and what was removed stays in the
// trash as it is.
import type { TargetFolder } from '../../mount/remote-path.ts';
import {
  type FolderId,
  type RemoteEntry,
  RemoteError,
  type RemoteFile,
  type RemoteFolder,
  type VaultId,
} from '../../remote-drive.ts';
import type { CliContext } from '../context.ts';
import type { Service } from './content-command.ts';
import { isUntold, pathOf, removedIn, type TrashEntry } from './trash-entries.ts';
import { hasContent, storeAgain, vaultOf } from './version-content.ts';

/** What became of one thing that was to be restored. */
export interface Restored {
  readonly path: string;
  readonly kind: RemoteEntry['kind'];
  readonly error: string | undefined;
}

interface Restoring {
  readonly context: CliContext;
  readonly service: Service;
  readonly vaultId: VaultId | undefined;
}

/** Restores one thing, a folder with what it held. Rejects where nothing of it can be; tells of each file how that went. */
export async function* restoreEntry(
  context: CliContext,
  service: Service,
  folder: TargetFolder,
  { entry }: TrashEntry,
): AsyncGenerator<Restored> {
  const restoring = { context, service, vaultId: await vaultOf(service, folder.syncpointId) };
  if (entry.kind === 'file') {
    await restoreFile(restoring, folder, entry);
    yield restored(folder, entry);
    return;
  }
  yield* restoreFolder(restoring, folder, entry);
}

function restored(folder: TargetFolder, { kind, name }: RemoteEntry, error?: RemoteError): Restored {
  return { path: `${pathOf(folder)}/${name}`, kind, error: error?.message };
}

async function restoreFile(
  { context, service, vaultId }: Restoring,
  folder: TargetFolder,
  file: RemoteFile,
): Promise<void> {
  const { syncpointId, names } = folder;
  const { name, lengthBytes, versionId, modified, created } = file;
  const requireFree = async (): Promise<void> => {
    if ((await namesake(service, folder, name)) === undefined) return;
    throw new RemoteError('exists', `${pathOf(folder)}/${name} is there already: rename it first`);
  };
  await requireFree();
  const content = { syncpointId, versionId, vaultId, lengthBytes };
  const target = { folder: { syncpointId, vaultId, folderNames: names }, name, modified, created };
  const { outcome, sha256 } = await storeAgain(context, service, content, { ...target, beforeLast: requireFree });
  const stored = await namesake(service, folder, name);
  const wanted = { lengthBytes, sha256, before: undefined };
  if (stored?.kind === 'file' && (await hasContent(service, syncpointId, stored, wanted))) return;
  // Listings may lag; the service's own word with ids is as good.
  if (outcome.state === 'stored' && !outcome.already) return;
  const reason = outcome.state === 'unclear' ? outcome.reason : 'it says that it has it already';
  throw new RemoteError('protocol', `Syncplicity did not store ${pathOf(folder)}/${name}: ${reason}`);
}

async function* restoreFolder(
  restoring: Restoring,
  parent: TargetFolder,
  folder: RemoteFolder,
): AsyncGenerator<Restored> {
  const { service } = restoring;
  const { syncpointId } = parent;
  const held: RemoteEntry[] = [];
  try {
    for await (const entry of removedIn(service, { syncpointId, folderId: folder.id, isRemoved: true }))
      held.push(entry);
  } catch (error) {
    if (!isUntold(error)) throw error;
    const why = `Syncplicity does not tell what ${pathOf(parent)}/${folder.name} held: restore it on its web page`;
    throw new RemoteError('forbidden', why, { cause: error });
  }
  if ((await namesake(service, parent, folder.name)) !== undefined) {
    throw new RemoteError('exists', `${pathOf(parent)}/${folder.name} is there already: rename it first`);
  }
  const folderId = await makeFolder(service, parent, folder.name);
  const made: TargetFolder = { ...parent, kind: 'folder', folderId, names: [...parent.names, folder.name] };
  yield restored(parent, folder);
  for (const entry of newestOfEachName(held)) {
    try {
      if (entry.kind === 'folder') {
        yield* restoreFolder(restoring, made, entry);
      } else {
        await restoreFile(restoring, made, entry);
        yield restored(made, entry);
      }
    } catch (error) {
      if (
        !(error instanceof RemoteError) ||
        ['unavailable', 'throttled', 'unauthenticated', 'quota'].includes(error.kind)
      ) {
        throw error;
      }
      yield restored(made, entry, error);
    }
  }
}

/** What was removed from a folder before it was itself has ids as old as it is; of one name the youngest was there last. */
function newestOfEachName(entries: readonly RemoteEntry[]): readonly RemoteEntry[] {
  const newest = new Map<string, RemoteEntry>();
  for (const entry of entries) {
    const known = newest.get(entry.name);
    if (known === undefined || BigInt(entry.id) > BigInt(known.id)) newest.set(entry.name, entry);
  }
  return [...newest.values()];
}

async function makeFolder({ api, call }: Service, parent: TargetFolder, name: string): Promise<FolderId> {
  const { syncpointId, folderId } = parent;
  const [made] = await api.drive.createFolders(syncpointId, folderId, [name], call);
  if (made !== undefined) return made.id;
  const found = await namesake({ api, call, moved: () => undefined }, parent, name);
  if (found?.kind === 'folder') return found.id;
  throw new RemoteError('protocol', `Syncplicity did not make the folder ${pathOf(parent)}/${name}`);
}

async function namesake(
  { api, call }: Service,
  { syncpointId, folderId }: TargetFolder,
  name: string,
): Promise<RemoteEntry | undefined> {
  let found: RemoteEntry | undefined;
  for await (const batch of api.drive.list(syncpointId, folderId, call)) {
    // Some servers take names that differ by case for the same.
    found ??= batch.find((entry) => entry.name.toLowerCase() === name.toLowerCase());
  }
  return found;
}
