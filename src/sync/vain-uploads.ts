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

/** Uploads that came to nothing, none stored since. */
interface Streak {
  inARow: number;
  /** When the next file may find out. */
  nextAtMs: number;
  /** When the last one of them was begun: what is stored of those begun since ends it. */
  begunMs: number;
}

/** An upload under way, or of which a listing has to tell whether it is stored. */
interface Begun {
  readonly vault: VaultId | undefined;
  readonly atMs: number;
  /** Begun while the vault stored nothing, which is over. */
  excused: boolean;
}

export class VainUploads {
  readonly #journal: Journal;
  readonly #nowMs: () => number;
  readonly #streaks = new Map<VaultId | undefined, Streak>();
  readonly #begun = new Map<number, Begun>();
  /** When the last one of what each vault is known to have stored was begun. */
  readonly #storedMs = new Map<VaultId | undefined, number>();

  constructor(journal: Journal, nowMs: () => number) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /** When a file may be stored in a folder, steady clock, ms; undefined: now. Whoever is told so begins, and says so. */
  untilMs(folder: number): number | undefined {
    if (this.#streaks.size === 0) return undefined;
    const streak = this.#streaks.get(this.#vault(folder));
    return streak === undefined || streak.inARow < IN_A_ROW || streak.nextAtMs <= this.#nowMs()
      ? undefined
      : streak.nextAtMs;
  }

  /** A file is being stored in a folder. */
  begun(inode: number, folder: number): void {
    const vault = this.#vault(folder);
    const atMs = this.#nowMs();
    this.#begun.set(inode, { vault, atMs, excused: false });
    const streak = this.#streaks.get(vault);
    if (streak !== undefined) streak.nextAtMs = atMs + pauseMs(streak);
  }

  /** It was not: nothing was sent, or it was refused. */
  ended(inode: number): void {
    this.#begun.delete(inode);
  }

  /**
   * No listing shows what was sent of a file, for long enough. There are services that store no empty ones, and a line that breaks now and
   * then says nothing of a vault that stored what was begun after it. True where that is over which kept the file from being stored: it may
   * be sent again at once.
   */
  inVain({ inode, sent }: PendingRecord): boolean {
    const begun = this.#begun.get(inode);
    this.ended(inode);
    const last = sent.at(-1);
    const isExcused = begun?.excused === true;
    if (last === undefined || last.lengthBytes === 0 || isExcused) return isExcused;
    const vault = this.#vault(last.place.parent);
    // One of which only the journal tells was begun before anything that this process knows to be stored.
    const begunMs = begun?.atMs ?? -Infinity;
    const storedMs = this.#storedMs.get(vault);
    if (storedMs !== undefined && storedMs >= begunMs) return false;
    const streak = this.#streaks.get(vault) ?? { inARow: 0, nextAtMs: 0, begunMs };
    streak.inARow += 1;
    streak.begunMs = Math.max(streak.begunMs, begunMs);
    streak.nextAtMs = Math.max(streak.nextAtMs, this.#nowMs() + pauseMs(streak));
    this.#streaks.set(vault, streak);
    return false;
  }

  /** Looks at what became of a file that nobody is sending now. True where it is stored, and others waited for that. */
  isOver(inode: number, record: PendingRecord | undefined): boolean {
    const begun = this.#begun.get(inode);
    // What is done is remembered for a while with what was sent.
    if (begun === undefined || (record !== undefined && record.sent.length > 0 && record.doneAtMs === undefined))
      return false;
    const { vault, atMs } = begun;
    this.ended(inode);
    this.#storedMs.set(vault, Math.max(this.#storedMs.get(vault) ?? -Infinity, atMs));
    const streak = this.#streaks.get(vault);
    if (streak === undefined || atMs < streak.begunMs) return false;
    this.#streaks.delete(vault);
    if (streak.inARow < IN_A_ROW) return false;
    for (const other of this.#begun.values()) if (other.vault === vault) other.excused = true;
    return true;
  }

  /** Somebody has reason to think that it is over. */
  retry(): void {
    for (const streak of this.#streaks.values()) streak.nextAtMs = 0;
  }

  #vault(folder: number): VaultId | undefined {
    const place = this.#journal.folder(folder);
    return place === undefined ? undefined : this.#journal.vaultOf(place.syncpointId);
  }
}

function pauseMs({ inARow }: Streak): number {
  return Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(20, Math.max(0, inARow - IN_A_ROW)));
}
