// How the record of an object at the service ends: one place, so that nothing is taken for done that is not.
import { isStoredAsWanted, type JournalTransaction, type PendingRecord } from '../cache/journal.ts';
import type { TreeNode } from '../cache/tree.ts';

/** Keeps the record while anything is left to do, else as a guard against listings that lag behind. */
export function settleRecord(
  transaction: JournalTransaction,
  node: TreeNode,
  record: PendingRecord,
  nowMs: number,
): void {
  if (!isStoredAsWanted(record, node)) transaction.updateRecord(record);
  else transaction.updateRecord({ ...record, asked: [], failed: undefined, doneAtMs: nowMs });
}
