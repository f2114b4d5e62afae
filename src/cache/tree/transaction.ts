// What changes of the tree are made of: transactions and what they may do, what came of them, who made them, what is known of listings.
// Shapes only; the tree keeps its promises about them.
import type { ConflictRecord, PendingRecord, Purge, UnfinishedContent } from './pending-record.ts';
import type { TreeNode } from './records.ts';

/**
 * How a transaction is kept: logged when it returns; committed at once, for hundreds of writes, which are better off without a log; or,
 * where nobody relies on it yet, logged with the next one that is.
 */
export type Keeping = 'logged' | 'bulk' | 'loggable';

/** What is known of a folder's listing. */
export interface ListingState {
  /** Wall clock, ms: when the request that brought it was sent. */
  readonly listedAtMs: number;
  /** Counts changes of the folder's set of entries; a number never returns. */
  readonly generation: number;
  /** The tree's moment when that request was sent; 0 where it proves nothing. */
  readonly moment: number;
  /** Wall clock, ms: from then on it is looked at again, for something here was believed against it; undefined: nothing was. */
  readonly againAtMs?: number | undefined;
}

/** When a listing was asked for. */
export type ListingTime = Pick<ListingState, 'listedAtMs' | 'moment'>;

/** What became of one entry. */
export type TreeChange =
  | { readonly kind: 'added'; readonly current: TreeNode }
  | { readonly kind: 'changed'; readonly previous: TreeNode; readonly current: TreeNode }
  | { readonly kind: 'removed'; readonly previous: TreeNode };

/**
 * Who made a change. `service`: a listing. `local`: a program through the mount, which knows already. `push`: our own upload or move came
 * through: ids and places at the service changed, content and name as programs see them did not, unless a conflict moved them.
 */
export type ChangeOrigin = 'service' | 'local' | 'push';

/** What a transaction may do. Valid until the function it was given to returns. */
export interface TreeTransaction {
  /** Stores a node; inode 0 gives it a new number. A node whose parent or name differs from before is moved. Returns it as stored. */
  put<Node extends TreeNode>(node: Node): Node;
  /** Cuts a node off, a directory with all it holds. False when it was gone already. */
  remove(node: TreeNode): boolean;
  /** A number for an object that has no node. */
  allocateInode(): number;
  putPending(record: PendingRecord): void;
  removePending(inode: number): void;
  putUnfinished(content: UnfinishedContent): void;
  removeUnfinished(generation: number): void;
  putConflict(conflict: ConflictRecord): void;
  removeConflict(inode: number): void;
  putPin(inode: number): void;
  removePin(inode: number): void;
  putPurge(purge: Purge): void;
  removePurge(inode: number): void;
  putBootId(bootId: string): void;
  /** Marks a directory made here as completely listed: it has nothing that is not known. */
  putListing(directory: number, listedAtMs: number): void;
}
