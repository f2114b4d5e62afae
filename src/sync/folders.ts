// Makes folders, as many at once as the service takes. Where it says nothing of one, or that the name is taken, a listing tells.
import { FOLDERS_PER_CALL, RemoteError, type RemoteFolder } from '../remote-drive.ts';
import type { TreeDirectory } from '../cache/tree.ts';
import { lookAt, NEW_NAME_AGE_MS } from './freshness.ts';
import { type Parts, Replan } from './parts.ts';
import type { FolderPlace } from './plan.ts';

/** A directory to be made, under the name it is to have. */
export interface FolderToMake {
  readonly node: TreeDirectory;
  readonly name: string;
}

/** Makes sibling folders, at most {@link FOLDERS_PER_CALL}. Rejects with RemoteError, or {@link Replan} where the listing says more. */
export async function makeFolders(
  parts: Parts,
  parent: FolderPlace,
  folders: readonly FolderToMake[],
  signal: AbortSignal,
): Promise<void> {
  if (await lookAt(parts, parent.inode, NEW_NAME_AGE_MS, signal)) throw new Replan('its folder was looked at');
  const asked = folders
    .slice(0, FOLDERS_PER_CALL)
    .map(({ node, name }) => ({ inode: node.inode, place: { parent: parent.inode, name } }));
  const names = asked.map(({ place }) => place.name);
  parts.outcomes.foldersAsked(asked);
  let made: RemoteFolder[];
  try {
    made = await parts.drive.createFolders(parent.syncpointId, parent.folderId, names, { signal, callClass: 'commit' });
  } catch (error) {
    if (signal.aborted || !(error instanceof RemoteError)) throw error;
    // It is there already, or some may have been made: the listing gives them their ids.
    if (error.kind === 'exists' || error.kind === 'unavailable') await lookAt(parts, parent.inode, 0, signal);
    if (error.kind !== 'unavailable') parts.outcomes.foldersRefused(asked);
    throw error.kind === 'exists' ? new Replan(error.message) : error;
  }
  const byName = new Map(made.map((folder) => [folder.name, folder]));
  const known = folders.flatMap(({ node, name }) => {
    const folder = byName.get(name);
    if (folder === undefined) return [];
    const remote = { syncpointId: parent.syncpointId, folderId: folder.id };
    return [{ inode: node.inode, place: { parent: parent.inode, name }, folder: remote }];
  });
  parts.outcomes.foldersMade(known);
  if (known.length === names.length) return;
  await lookAt(parts, parent.inode, 0, signal);
  const { journal } = parts;
  const missing = asked.find(
    ({ inode }) => journal.tree.node(inode) !== undefined && journal.folder(inode) === undefined,
  );
  if (missing !== undefined) {
    throw new RemoteError('unavailable', `the service answered, and ${missing.place.name} is not there yet`);
  }
}
