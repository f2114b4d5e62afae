// How the record of an object at the service ends: one place, so that nothing is taken for done that is not.
import { isWantedAt, type JournalTransaction, type PendingRecord } from '../cache/journal.ts';
import type { TreeNode } from '../cache/tree.ts';

/** Keeps the record while anything is left to do, else as a guard against listings that lag behind. */
export function settleRecord(
  transaction: JournalTransaction,
  node: TreeNode,
  record: PendingRecord,
  nowMs: number,
): void {
  const told = node.kind === 'directory' || node.versionId !== undefined;
  if (record.content || !isWantedAt(node, record.at) || !told || record.via !== undefined)
    transaction.updateRecord(record);
  else transaction.updateRecord({ ...record, failed: undefined, doneAtMs: nowMs });
}
