// What is pending, in words for people: which path, what change, how far, what went wrong. Reads journal and pusher, changes nothing.
import { isPending, type Journal, type PendingRecord } from '../cache/journal.ts';
import { shownLengthBytes } from '../cache/tree.ts';
import type { Pusher } from './pusher.ts';

/** One change that is not at the service. */
export interface ChangeReport {
  readonly inode: number;
  /** From the drive's root on. */
  readonly path: string;
  readonly change: 'store' | 'make-folder' | 'rename' | 'remove';
  readonly bytes: number;
  readonly sentBytes: number;
  readonly state: 'waiting' | 'sending' | 'retrying';
  readonly attempts: number;
  /** The last failure; empty if there was none. */
  readonly error: string;
  /** Refused by the service. */
  readonly failed: PendingRecord['failed'];
  /** Stays on this machine. */
  readonly localOnly: boolean;
}

/** Every change, oldest first, and what stays on this machine. */
export function changeReports(journal: Journal, pusher: Pusher): ChangeReport[] {
  const reports = pusher.progress().map(({ record, state, sentBytes, trouble }) => ({
    ...reportOf(journal, record),
    // Sent whole, and not confirmed yet.
    sentBytes: record.sent.length > 0 && !record.content ? reportOf(journal, record).bytes : sentBytes,
    state,
    attempts: trouble?.attempts ?? 0,
    error: record.failed?.message ?? trouble?.message ?? '',
  }));
  const local = [...journal.records()].filter((record) => record.localOnly && record.gone === undefined);
  return [
    ...reports,
    ...local.map((record) => ({
      ...reportOf(journal, record),
      sentBytes: 0,
      state: 'waiting' as const,
      attempts: 0,
      error: '',
    })),
  ];
}

/** The path a record's object has here, or had. */
export function pathOf(journal: Journal, record: PendingRecord): string {
  const node = journal.tree.node(record.inode);
  if (node !== undefined) return journal.tree.path(node);
  return record.gone?.path ?? `inode ${record.inode}`;
}

function reportOf(
  journal: Journal,
  record: PendingRecord,
): Pick<ChangeReport, 'inode' | 'path' | 'change' | 'bytes' | 'failed' | 'localOnly'> {
  const node = journal.tree.node(record.inode);
  const stores = node?.kind === 'file' && (record.content || record.sent.length > 0);
  const change =
    record.gone !== undefined
      ? 'remove'
      : stores
        ? 'store'
        : node?.kind === 'directory' && record.at === undefined
          ? 'make-folder'
          : 'rename';
  return {
    inode: record.inode,
    path: pathOf(journal, record),
    change,
    bytes: stores ? shownLengthBytes(node) : 0,
    failed: record.failed,
    localOnly: record.localOnly && isPending({ ...record, localOnly: false }),
  };
}
