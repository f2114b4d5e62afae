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
}

export class VainUploads {
  readonly #journal: Journal;
  readonly #nowMs: () => number;
  readonly #streaks = new Map<VaultId | undefined, Streak>();

  constructor(journal: Journal, nowMs: () => number) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /** When a file may be stored in a folder, wall clock, ms; undefined: now. Whoever is told so begins, and says so. */
  untilMs(folder: number): number | undefined {
    const streak = this.#streak(folder);
    return streak === undefined || streak.inARow < IN_A_ROW || streak.nextAtMs <= this.#nowMs()
      ? undefined
      : streak.nextAtMs;
  }

  /** A file is being stored in a folder. */
  begun(folder: number): void {
    const streak = this.#streak(folder);
    if (streak !== undefined) streak.nextAtMs = this.#nowMs() + pauseMs(streak);
  }

  /** No listing shows what was sent of a file, for long enough. There are services that store no empty ones. */
  inVain({ sent }: PendingRecord): void {
    const last = sent.at(-1);
    if (last === undefined || last.lengthBytes === 0) return;
    const folder = last.place.parent;
    const streak = this.#streak(folder) ?? { inARow: 0, nextAtMs: 0 };
    streak.inARow += 1;
    streak.nextAtMs = Math.max(streak.nextAtMs, this.#nowMs() + pauseMs(streak));
    this.#streaks.set(this.#vault(folder), streak);
  }

  /**
   * A step is done that may have stored a file, in `folder` or where what was sent of it before was to be. True where others waited for one
   * to be stored.
   */
  done({ inode, sent }: PendingRecord, folder = sent.at(-1)?.place.parent): boolean {
    const streak = folder === undefined ? undefined : this.#streak(folder);
    const isOpen = (this.#journal.get(inode)?.sent.length ?? 0) > 0;
    if (streak === undefined || folder === undefined || isOpen) return false;
    this.#streaks.delete(this.#vault(folder));
    return streak.inARow >= IN_A_ROW;
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
