// What puts something beside the tree: the names it is reached by in folders, and what is there. Knows no node's number.
import { errno } from '../../base/errno.ts';
import type { TreeDirectory } from '../../cache/tree.ts';
import type { FolderId, SyncpointId } from '../../remote-drive.ts';
import { FsError, type Answer } from '../operations.ts';
import type { Unplaced } from './nodes.ts';

/** A folder that the service has. */
export interface ShelvedFolder {
  readonly directory: TreeDirectory;
  readonly syncpointId: SyncpointId;
  readonly folderId: FolderId;
}

export interface Shelf {
  /** The names that are reached in each folder that the service has. An entry of the folder that is called so comes first. */
  readonly names: readonly string[];
  /** What a folder has under one of them. Costs nothing. */
  enter(name: string, folder: ShelvedFolder): Unplaced;
}

/** A refusal that says that a name is missing, of one that is there. */
export function notOfTheName(failure: FsError, instead: number): FsError {
  return failure.errno === errno.ENOENT ? new FsError(instead, failure.message, { cause: failure }) : failure;
}

/** Goes on with an answer, at once where it is there. */
export function then<T, R>(answer: Answer<T>, next: (value: T) => R): Answer<R> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
