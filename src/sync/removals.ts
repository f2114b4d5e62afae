// Removes at the service what was removed here. J6: only what is known to be what was removed: a file in the version that was seen, a
// folder whose whole content was. What another one added or changed stays, and comes back here.
import { ROOT_INODE, type SyncpointFacts, type TreeNode } from '../cache/tree.ts';
import { isRemovedAfterMove, sentAs, type GoneObject, type PendingRecord } from '../cache/journal.ts';
import { RemoteError, type RemoteEntry } from '../remote-drive.ts';
import { lookAt, refresh } from './freshness.ts';
import { type Parts, Replan } from './parts.ts';
import { isAlive } from './plan.ts';

/** Many removals of a folder share one look at it. */
const REMOVAL_AGE_MS = 10_000;

/** Moves a file to the trash. Rejects with RemoteError, or {@link Replan} where it changed. */
export async function removeFile(parts: Parts, record: PendingRecord, signal: AbortSignal): Promise<void> {
  const { gone, at } = record;
  if (gone?.kind !== 'file' || gone.versionId === undefined || at === undefined) throw new Replan('nothing to remove');
  if (isAlive(parts.journal, at.parent) && (await lookAt(parts, at.parent, REMOVAL_AGE_MS, signal))) {
    // What changed there was dropped from the journal.
    if (parts.journal.get(record.inode)?.revision !== record.revision) throw new Replan('it changed at the service');
  }
  // Where a move may have come through unheard, its own folder may be gone: the id is what counts.
  const [folder] = [at, ...record.asked].flatMap(({ parent }) => parts.journal.folder(parent) ?? []);
  if (folder === undefined) throw new Replan('its folder is gone');
  try {
    await parts.drive.deleteFile(folder.syncpointId, gone.versionId, { signal, callClass: 'commit' });
  } catch (error) {
    if (!(error instanceof RemoteError) || error.kind !== 'conflict') throw error;
    // Where a move may have come through unheard, only the other folder shows what it is now.
    const folders = new Set([at, ...record.asked].map(({ parent }) => parent));
    for (const one of folders) if (isAlive(parts.journal, one)) await lookAt(parts, one, 0, signal);
    throw new Replan(error.message);
  }
  const { inode, after } = record;
  const { syncpointId } = folder;
  const { versionId, path } = gone;
  // What is stored elsewhere since was moved, not removed.
  const isForGood = parts.purgesRemoved === true && after === undefined;
  parts.outcomes.removed(record, isForGood ? { inode, syncpointId, path, kind: 'file', versionId } : undefined);
}

/** Moves a folder and what was removed in it to the trash. Rejects with RemoteError, or {@link Replan} where it holds something unseen. */
export async function removeFolder(parts: Parts, record: PendingRecord, signal: AbortSignal): Promise<void> {
  const { gone } = record;
  if (gone?.kind !== 'directory' || gone.folderId === undefined) throw new Replan('nothing to remove');
  const inside = foldersInside(parts, record);
  if (!(await isUnchangedByEvent(parts, gone.syncpointId, inside, signal))) await keepUnseen(parts, inside, signal);
  if (parts.journal.get(record.inode)?.revision !== record.revision) throw new Replan('it changed here');
  const { syncpointId, folderId, path } = gone;
  try {
    await parts.drive.deleteFolder(syncpointId, folderId, { signal, callClass: 'commit' });
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    if (error.kind === 'conflict') await keepUnseen(parts, inside, signal);
    // What was removed by a call whose answer was lost may be refused in words that nobody knows.
    if (error.kind !== 'protocol' || !(await isGone(parts, gone, signal))) throw error;
  }
  const { inode, after } = record;
  const isForGood = parts.purgesRemoved === true && after === undefined;
  parts.outcomes.removed(record, isForGood ? { inode, syncpointId, path, kind: 'folder', folderId } : undefined);
}

/** Rejects with {@link Replan} where one of the folders holds what was not seen here: it is not removed any more. */
async function keepUnseen(parts: Parts, folders: readonly PendingRecord[], signal: AbortSignal): Promise<void> {
  for (const folder of folders) {
    if (!(await holdsUnseen(parts, folder, signal))) continue;
    parts.outcomes.resurrect(folder);
    throw new Replan(`${folder.gone?.path ?? ''} holds what was not seen here`);
  }
}

/** The folder and those removed in it, the outermost first. */
function foldersInside(parts: Parts, record: PendingRecord): PendingRecord[] {
  const found = [record];
  for (const inside of parts.journal.index.inFolder(record.inode)) {
    const here = inside.at?.parent === record.inode && inside.doneAtMs === undefined;
    if (here && inside.gone?.kind === 'directory') found.push(...foldersInside(parts, inside));
  }
  return found;
}

/** True where the syncpoint's last event is the one it was before these folders were listed: one call for all of them. */
async function isUnchangedByEvent(
  parts: Parts,
  syncpointId: string,
  folders: readonly PendingRecord[],
  signal: AbortSignal,
): Promise<boolean> {
  const { tree } = parts.journal;
  const top = (): SyncpointFacts | undefined => facts([...tree.children(ROOT_INODE)], syncpointId);
  const before = top();
  if (before?.lastEvent === undefined) return false;
  const listedAt = folders.map(({ gone }) => (gone?.kind === 'directory' ? gone.listedAt : undefined) ?? 0);
  // Asking is worth it only where the answer can prove something, and is cheaper than looking.
  if (listedAt.some((at) => at < before.lastEventMoment)) return false;
  await refresh(parts, tree.root(), signal);
  return top()?.lastEvent === before.lastEvent;
}

function facts(tops: readonly TreeNode[], syncpointId: string): SyncpointFacts | undefined {
  for (const top of tops) {
    if (top.kind === 'directory' && top.remote?.syncpointId === syncpointId) return top.syncpoint;
  }
  return undefined;
}

async function holdsUnseen(parts: Parts, folder: PendingRecord, signal: AbortSignal): Promise<boolean> {
  const { gone } = folder;
  if (gone?.kind !== 'directory' || gone.folderId === undefined) return false;
  const known = new Map<string, PendingRecord>();
  for (const record of parts.journal.index.inFolder(folder.inode)) {
    const inside = record.gone;
    if (inside?.kind === 'directory' && inside.folderId !== undefined) known.set(`folder ${inside.folderId}`, record);
    else if (inside?.kind === 'file' && inside.fileId !== undefined) known.set(`file ${inside.fileId}`, record);
  }
  const isOurs = (entry: RemoteEntry): boolean =>
    entry.kind === 'file' &&
    parts.journal.index
      .at({ parent: folder.inode, name: entry.name })
      .some((record) => record.gone?.kind === 'file' && sentAs(record.sent, entry) !== undefined);
  try {
    for await (const batch of parts.drive.list(gone.syncpointId, gone.folderId, { signal, callClass: 'commit' })) {
      for (const entry of batch) {
        // Removed here before any listing told which version the upload had made.
        if (!isKnown(entry, known.get(`${entry.kind} ${entry.id}`)) && !isOurs(entry)) return true;
      }
    }
  } catch (error) {
    // Gone already: there is nothing in it.
    if (!(error instanceof RemoteError) || error.kind !== 'not-found') throw error;
  }
  return false;
}

/** True for a folder of which the service says that there is none. */
async function isGone(parts: Parts, folder: GoneObject, signal: AbortSignal): Promise<boolean> {
  if (folder.kind !== 'directory' || folder.folderId === undefined) return false;
  const { syncpointId, folderId } = folder;
  const batches = parts.drive.list(syncpointId, folderId, { signal, callClass: 'commit' })[Symbol.asyncIterator]();
  try {
    await batches.next();
    return false;
  } catch (error) {
    if (error instanceof RemoteError && error.kind === 'not-found') return true;
    throw error;
  } finally {
    await batches.return?.();
  }
}

function isKnown(entry: RemoteEntry, record: PendingRecord | undefined): boolean {
  if (record?.gone === undefined) return false;
  if (entry.kind === 'folder') return true;
  return (
    (record.gone.kind === 'file' && record.gone.versionId === entry.versionId) || isRemovedAfterMove(record, entry)
  );
}
