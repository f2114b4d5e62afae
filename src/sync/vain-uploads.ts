// Vaults that take uploads and store nothing: they answer with an error that may mean that all is well, or lose their replies, and no listing
// shows what was sent. While one does so, one file at a time finds out when that is over, so that neither content goes out nor folders are
// listed for every file again and again. Knows no files.
import type { Journal, PendingRecord } from '../cache/journal.ts';
import type { VaultId } from '../remote-drive.ts';

/** Uploads in a row that came to nothing: more than one bad moment. */
const IN_A_ROW = 3;
/** From the begin of one to the next; what comes of one is known after some 15 s. */
const PAUSE_MS = 15_000;
const PAUSE_MS_MAX = 30_000;

interface Streak {
  inARow: number;
  nextAtMs: number;
  /** Begun since. */
  readonly tried: Set<number>;
}

export class VainUploads {
  readonly #journal: Journal;
  readonly #nowMs: () => number;
  readonly #streaks = new Map<VaultId | undefined, Streak>();
  /** Sent while a vault stored nothing, which is over. */
  readonly #excused = new Set<number>();

  constructor(journal: Journal, nowMs: () => number) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /** When a file may be stored in a folder, steady clock, ms; undefined: now. Whoever is told so begins, and says so. */
  untilMs(folder: number): number | undefined {
    const streak = this.#streak(folder);
    return streak === undefined || streak.inARow < IN_A_ROW || streak.nextAtMs <= this.#nowMs()
      ? undefined
      : streak.nextAtMs;
  }

  /** A file is being stored in a folder. */
  begun(inode: number, folder: number): void {
    const streak = this.#streak(folder);
    if (streak === undefined) return;
    streak.nextAtMs = this.#nowMs() + pauseMs(streak);
    streak.tried.add(inode);
  }

  /** It was not: nothing was sent, or it was refused. */
  ended(inode: number): void {
    this.#excused.delete(inode);
    for (const { tried } of this.#streaks.values()) tried.delete(inode);
  }

  /**
   * No listing shows what was sent of a file, for long enough. There are services that store no empty ones. True where that is over which
   * kept it from being stored: it may be sent again at once.
   */
  inVain({ inode, sent }: PendingRecord): boolean {
    const wasExcused = this.#excused.has(inode);
    this.ended(inode);
    const last = sent.at(-1);
    if (last === undefined || last.lengthBytes === 0 || wasExcused) return wasExcused;
    const folder = last.place.parent;
    const streak = this.#streak(folder) ?? { inARow: 0, nextAtMs: 0, tried: new Set() };
    streak.inARow += 1;
    streak.nextAtMs = Math.max(streak.nextAtMs, this.#nowMs() + pauseMs(streak));
    this.#streaks.set(this.#vault(folder), streak);
    return false;
  }

  /** Looks at what became of a file that nobody is sending now. True where it is stored, and others waited for that. */
  isOver(inode: number, record: PendingRecord | undefined): boolean {
    // What is done is remembered for a while with what was sent.
    if (record !== undefined && record.sent.length > 0 && record.doneAtMs === undefined) return false;
    this.#excused.delete(inode);
    for (const [vault, { tried, inARow }] of this.#streaks) {
      if (!tried.delete(inode)) continue;
      for (const other of tried) this.#excused.add(other);
      this.#streaks.delete(vault);
      return inARow >= IN_A_ROW;
    }
    return false;
  }

  /** Somebody has reason to think that it is over. */
  retry(): void {
    for (const streak of this.#streaks.values()) streak.nextAtMs = 0;
  }

  #streak(folder: number): Streak | undefined {
    return this.#streaks.size === 0 ? undefined : this.#streaks.get(this.#vault(folder));
  }

  #vault(folder: number): VaultId | undefined {
    const place = this.#journal.folder(folder);
    return place === undefined ? undefined : this.#journal.vaultOf(place.syncpointId);
  }
}

function pauseMs({ inARow }: Streak): number {
  return Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(20, Math.max(0, inARow - IN_A_ROW)));
}
