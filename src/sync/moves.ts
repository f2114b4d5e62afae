// Renames and moves at the service, where it can. What it says of a move is believed when a listing shows it: some servers answer
// 200 and do nothing, and a lost reply says nothing at all.
import { delay } from '../base/abort.ts';
import { samePlace, type PendingRecord, type RemotePlace } from '../cache/journal.ts';
import type { TreeNode } from '../cache/tree.ts';
import { RemoteError, type MoveOutcome } from '../remote-drive.ts';
import { lookAt } from './freshness.ts';
import { type Parts, Replan } from './parts.ts';
import { folderPlace, type FolderPlace } from './plan.ts';

/** When listings are looked at after a move, ms after its reply. They may lag for some seconds. */
const LOOKS_AFTER_MS = [0, 500, 1_000, 2_000, 4_000] as const;

export interface Move {
  readonly node: TreeNode;
  readonly from: FolderPlace;
  readonly to: FolderPlace;
  readonly name: string;
}

/** `unsupported`: this service cannot; the object has to be stored anew. */
export type MoveResult = 'moved' | 'unsupported';

/** Moves an object. Rejects with RemoteError, or {@link Replan} where it did not come through. */
export async function moveObject(
  parts: Parts,
  record: PendingRecord,
  move: Move,
  signal: AbortSignal,
): Promise<MoveResult> {
  const { at } = record;
  if (at === undefined) throw new Replan('it is not at the service');
  const target = { parent: move.to.inode, name: move.name };
  parts.outcomes.moveSent(record.inode, at, target);
  let outcome: MoveOutcome;
  try {
    outcome = await request(parts, at, move, signal);
  } catch (error) {
    // An abort may have cut off a request that was carried out.
    if (signal.aborted || !(error instanceof RemoteError || error instanceof Replan)) throw error;
    if (error instanceof RemoteError && (error.kind === 'exists' || error.kind === 'not-found')) {
      // An earlier try may have come through unheard: then it is where it is to be, or was to be then.
      parts.outcomes.moveAnswered(record.inode, target);
      const sentTo = parts.journal.get(record.inode)?.asked ?? [];
      for (const folder of new Set(sentTo.map(({ parent }) => parent))) await lookAt(parts, folder, 0, signal);
      if (isAt(parts, record.inode, target)) return 'moved';
      if (error.kind === 'exists') parts.outcomes.moveFailed(record.inode, at, target);
      else {
        // While listings may lag, what they show, or do not, says nothing of where it went.
        const { confirmedAtMs = 0 } = parts.journal.get(record.inode) ?? {};
        if (parts.nowMs() - confirmedAtMs > parts.journal.lagWindowMs) parts.outcomes.movesFailed(record.inode);
        // What may be elsewhere is not taken for gone, and to ask again is to say that it may be.
        await lookAt(parts, move.from.inode, 0, signal);
      }
      throw new Replan(error.message);
    }
    parts.outcomes.moveFailed(record.inode, at, target);
    // What a service says to a folder that would get into itself is not known.
    const isRefused = error instanceof RemoteError && (error.kind === 'invalid' || error.kind === 'protocol');
    if (isRefused && move.node.kind === 'directory') await requireTarget(parts, move, signal);
    throw error;
  }
  if (outcome === 'unsupported') {
    parts.outcomes.moveFailed(record.inode, at, target);
    return 'unsupported';
  }
  parts.outcomes.moveAnswered(record.inode, target);
  const kind = move.node.kind === 'directory' ? 'folder' : 'file';
  for (const pauseMs of LOOKS_AFTER_MS) {
    await delay(pauseMs, signal);
    await lookAt(parts, move.to.inode, 0, signal);
    if (isAt(parts, record.inode, target)) {
      parts.drive.moveSeen(move.to.syncpointId, kind, true);
      return 'moved';
    }
    if (parts.journal.get(record.inode)?.revision !== record.revision) throw new Replan('it changed meanwhile');
  }
  parts.drive.moveSeen(move.to.syncpointId, kind, false);
  parts.outcomes.moveFailed(record.inode, at, target);
  throw new Replan('the service answered and did not move it');
}

/**
 * Rejects with {@link Replan} unless the folder that is moved to is still the one there: others may have moved it, or one above it, into the
 * very folder that is to go into it, which nobody can do.
 */
async function requireTarget(parts: Parts, { to }: Move, signal: AbortSignal): Promise<void> {
  const { tree } = parts.journal;
  for (let at = tree.node(to.inode); at?.kind === 'directory' && at.syncpoint === undefined; at = tree.node(at.parent))
    await lookAt(parts, at.parent, 0, signal);
  if (folderPlace(parts.journal, to.inode)?.folderId !== to.folderId) throw new Replan('its folder went elsewhere');
}

function request(parts: Parts, at: RemotePlace, move: Move, signal: AbortSignal): Promise<MoveOutcome> {
  const { node, from, to, name } = move;
  const target = { folderId: to.folderId, name };
  const options = { signal, callClass: 'commit' } as const;
  if (node.kind === 'directory') {
    if (node.remote === undefined) throw new Replan('it is not at the service');
    const above = parts.journal.remotePath(from.inode);
    const folderNames = above === undefined ? undefined : [...above.names, at.name];
    const folder = { kind: 'folder', id: node.remote.folderId, name: at.name, folderNames } as const;
    return parts.drive.moveFolder(to.syncpointId, folder, from.folderId, target, options);
  }
  const { fileId, versionId, lengthBytes, modified, created } = node;
  if (fileId === undefined || versionId === undefined) throw new Replan('its ids are not known');
  const file = { kind: 'file', id: fileId, name: at.name, versionId, lengthBytes, modified, created } as const;
  return parts.drive.moveFile(to.syncpointId, file, from.folderId, target, options);
}

function isAt(parts: Parts, inode: number, target: RemotePlace): boolean {
  const place = parts.journal.place(inode);
  return place !== undefined && samePlace(place, target);
}
