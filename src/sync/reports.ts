// What is pending, in words for people: which path, what change, how far, what went wrong; and in sums, for those who only count. Reads
// journal and pusher, changes nothing.
import { Slices } from '../base/event-loop.ts';
import { isPending, type Journal, type PendingRecord } from '../cache/journal.ts';
import { shownLengthBytes } from '../cache/tree.ts';
import type { Progress, Pusher } from './pusher.ts';

/** One change that is not at the service. */
export interface ChangeReport {
  readonly inode: number;
  /** From the drive's root on. */
  readonly path: string;
  readonly change: 'store' | 'make-folder' | 'rename' | 'remove';
  /** When it was begun, wall clock, ms. */
  readonly sinceMs: number;
  readonly bytes: number;
  readonly sentBytes: number;
  readonly state: 'waiting' | 'sending' | 'retrying';
  readonly attempts: number;
  /** The last failure; empty if there was none. */
  readonly error: string;
  /** Refused by the service. */
  readonly failed: PendingRecord['failed'];
  /** Refused, or it waits for something that is: nothing happens with it until the user decides. */
  readonly isHopeless: boolean;
  /** Stays on this machine. */
  readonly localOnly: boolean;
}

/** Every change, oldest first, and what stays on this machine. */
export function changeReports(journal: Journal, pusher: Pusher): ChangeReport[] {
  return [
    ...pusher.progress().map((progress) => progressReport(journal, progress)),
    ...[...journal.records()].filter(isLocalOnly).map((record) => ({
      ...reportOf(journal, record),
      sentBytes: 0,
      state: 'waiting' as const,
      attempts: 0,
      error: '',
      isHopeless: false,
    })),
  ];
}

/** How much of each there is. */
export interface ChangeSums {
  readonly pending: {
    readonly changes: number;
    /** Those that are no uploads. */
    readonly withoutContent: number;
    readonly bytes: number;
    readonly sentBytes: number;
  };
  readonly failed: number;
  readonly localOnly: { readonly files: number; readonly bytes: number };
}

/** The sums of {@link changeReports}, with no path looked up and others let in between: a large copy has many thousand changes. */
export function changeSums(journal: Journal, pusher: Pusher): Promise<ChangeSums> {
  return sumUp(journal, pusher, () => undefined);
}

/** The sums, and what people look at: the first pending changes, and all that were refused, oldest first. */
export interface ChangeOverview extends ChangeSums {
  readonly firstPending: readonly ChangeReport[];
  readonly refused: readonly ChangeReport[];
}

/** As {@link changeSums}, with the paths of at most `pendingMax` pending changes looked up, and of those that were refused. */
export async function changeOverview(journal: Journal, pusher: Pusher, pendingMax: number): Promise<ChangeOverview> {
  const firstPending: ChangeReport[] = [];
  const refused: ChangeReport[] = [];
  const sums = await sumUp(journal, pusher, (progress) => {
    if (progress.record.failed !== undefined) refused.push(progressReport(journal, progress));
    else if (firstPending.length < pendingMax) firstPending.push(progressReport(journal, progress));
  });
  return { ...sums, firstPending, refused };
}

async function sumUp(journal: Journal, pusher: Pusher, see: (progress: Progress) => void): Promise<ChangeSums> {
  const pending = { changes: 0, withoutContent: 0, bytes: 0, sentBytes: 0 };
  const localOnly = { files: 0, bytes: 0 };
  let failed = 0;
  const slices = new Slices();
  for (const progress of pusher.progress()) {
    if (slices.due) await slices.pause();
    see(progress);
    const { record, sentBytes: runningBytes } = progress;
    if (record.failed !== undefined) {
      failed += 1;
      continue;
    }
    const { change, bytes, sentBytes } = withSent(measureOf(journal, record), record, runningBytes);
    pending.changes += 1;
    if (change !== 'store') pending.withoutContent += 1;
    pending.bytes += bytes;
    pending.sentBytes += sentBytes;
  }
  for (const record of journal.records()) {
    if (slices.due) await slices.pause();
    if (!isLocalOnly(record)) continue;
    const measured = measureOf(journal, record);
    if (!measured.localOnly) continue;
    localOnly.files += 1;
    localOnly.bytes += measured.bytes;
  }
  return { pending, failed, localOnly };
}

function isLocalOnly(record: PendingRecord): boolean {
  return record.localOnly && record.gone === undefined;
}

/** What was sent whole and is not confirmed yet counts as sent, though nothing runs. */
function withSent<T extends { readonly bytes: number }>(
  measured: T,
  record: PendingRecord,
  runningBytes: number,
): T & { readonly sentBytes: number } {
  return { ...measured, sentBytes: record.sent.length > 0 && !record.content ? measured.bytes : runningBytes };
}

/** The path a record's object has here, or had. */
export function pathOf(journal: Journal, record: PendingRecord): string {
  const node = journal.tree.node(record.inode);
  if (node !== undefined) return journal.tree.path(node);
  return record.gone?.path ?? `inode ${record.inode}`;
}

function progressReport(journal: Journal, { record, state, sentBytes, trouble, refused }: Progress): ChangeReport {
  return {
    ...withSent(reportOf(journal, record), record, sentBytes),
    state,
    attempts: trouble?.attempts ?? 0,
    error: record.failed?.message ?? trouble?.message ?? waitingText(journal, refused),
    isHopeless: refused !== undefined,
  };
}

function waitingText(journal: Journal, refused: PendingRecord | undefined): string {
  return refused === undefined ? '' : `waits for ${pathOf(journal, refused)}, which is refused`;
}

function reportOf(
  journal: Journal,
  record: PendingRecord,
): Pick<ChangeReport, 'inode' | 'path' | 'change' | 'sinceMs' | 'bytes' | 'failed' | 'localOnly'> {
  const { inode, sinceMs } = record;
  return { inode, path: pathOf(journal, record), sinceMs, ...measureOf(journal, record) };
}

function measureOf(
  journal: Journal,
  record: PendingRecord,
): Pick<ChangeReport, 'change' | 'bytes' | 'failed' | 'localOnly'> {
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
    change,
    bytes: stores ? shownLengthBytes(node) : 0,
    failed: record.failed,
    localOnly: record.localOnly && isPending({ ...record, localOnly: false }),
  };
}
