// When a file that stays open for writing is sent: logs and databases, which are never closed and never done. Each upload of one makes
// the next one wait longer (J5).
import type { Journal, PendingRecord } from '../cache/journal.ts';

/** After its first change that was not sent. */
export const OPEN_FILE_DUE_MS = 5 * 60_000;
/** Uploads of a file that stays open back off to this. */
const OPEN_FILE_DUE_MS_MAX = 60 * 60_000;

export class OpenFilePace {
  readonly #journal: Journal;
  readonly #nowMs: () => number;
  readonly #uploads = new Map<number, { readonly count: number; readonly atMs: number }>();

  constructor(journal: Journal, nowMs: () => number) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /** A file was sent. */
  sent(inode: number): void {
    if (!this.#journal.isOpenForWriting(inode)) {
      this.#uploads.delete(inode);
      return;
    }
    const count = (this.#uploads.get(inode)?.count ?? 0) + 1;
    this.#uploads.set(inode, { count, atMs: this.#nowMs() });
  }

  /** When an open file may be sent at the earliest, wall clock, ms. */
  dueMs(record: PendingRecord): number {
    const before = this.#uploads.get(record.inode);
    const pauseMs = Math.min(OPEN_FILE_DUE_MS_MAX, OPEN_FILE_DUE_MS * 2 ** (before?.count ?? 0));
    return Math.max(record.sinceMs + OPEN_FILE_DUE_MS, before === undefined ? 0 : before.atMs + pauseMs);
  }
}
