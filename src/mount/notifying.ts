// What needs a person: what the service refused, conflicts, unfinished files, refused sign-ins. Looks at each as it comes, and has it told.
// Part of the composition root.
//
// Promises: once a cause, see `desktop/causes`; what was told is not told again after a remount; nobody waits for any of it, and a clock that
// is set changes nothing.
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { performance } from 'node:perf_hooks';
import { replaceFile } from '../base/atomic-file.ts';
import { Slices } from '../base/event-loop.ts';
import { createLog } from '../base/log.ts';
import type { Journal, PendingRecord } from '../cache/journal.ts';
import type { MountConfig } from '../config.ts';
import { Causes, type Pace, type Showing, type Told } from '../desktop/causes.ts';
import { showNotification } from '../desktop/notification.ts';
import { Telling, type TellingOptions } from '../desktop/telling.ts';
import { pathOf } from '../sync/reports.ts';
import type { RefusedSignIns } from '../syncplicity/sign-ins.ts';
import { noticeOf, type NoticeCause, type NoticeMatter } from './notices.ts';

const log = createLog('notifying');

/** What fails together is told together, and the first file of ten thousand soon; a cause is not worth more attention than this. */
const PACE: Pace = { gatherMs: 1_000, againMs: 10 * 60_000 };

export interface NotifyingOptions {
  readonly journal: Journal;
  readonly signIns: RefusedSignIns;
  readonly mountpoint: string;
  /** Keeps what was told between mounts. */
  readonly file: string;
  readonly telling: Pick<Telling, 'tell' | 'stop'>;
  /** For tests. */
  readonly pace?: Pace;
}

/** Inodes, generations, or whose sign-in it is: by cause, so that they do not meet. */
type Key = number | string;
/** What was so when it was found may have been told by an earlier mount. */
type Since = 'found' | 'new';

export class Notifying {
  readonly #options: NotifyingOptions;
  readonly #pace: Pace;
  readonly #causes: Causes<NoticeCause, Key>;
  /** What each inode was refused for last. */
  readonly #refused = new Map<number, NoticeCause>();
  /** Looks at what is so already. */
  #looking: Promise<void> = Promise.resolve();
  #isLooking = false;
  /** What changed in the meantime. */
  readonly #changed = new Set<number>();
  #isStopped = false;
  /** What the timer is set for. */
  #dueMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Writes down what was told, one after the other. */
  #keeping: Promise<void> = Promise.resolve();
  #keepTimer: NodeJS.Timeout | undefined;
  #unsubscribe: readonly (() => void)[] = [];

  constructor(options: NotifyingOptions) {
    this.#options = options;
    this.#pace = options.pace ?? PACE;
    this.#causes = new Causes(this.#pace);
  }

  /** Begins with what is so already, of which only what was not told by earlier mounts is told. Returns at once: that may be much. */
  start(): void {
    this.#isLooking = true;
    this.#looking = this.#begin().catch((error: unknown) => log('what is so already is not told: %O', error));
  }

  async #begin(): Promise<void> {
    await this.#recall();
    const slices = new Slices();
    if (!(await this.#goesOn(slices))) return;
    this.#follow();
    const { journal, signIns } = this.#options;
    for (const record of journal.records()) {
      this.#lookAtRecord(record, record.inode, 'found');
      if (!(await this.#goesOn(slices))) return;
    }
    for (const inode of journal.tree.conflictInodes()) {
      this.#lookAtConflict(inode, 'found');
      if (!(await this.#goesOn(slices))) return;
    }
    for (const { generation } of journal.unfinished()) {
      this.#arise('unfinished', generation, String(generation), 'found');
    }
    for (const who of [...signIns.refused.keys(), ...signIns.accepted]) this.#lookAtSignIn(who);
    // Whose sign-in is refused shows when something is asked of it.
    this.#causes.allFound('sign-in');
    this.#isLooking = false;
    this.#look(this.#changed);
    this.#changed.clear();
    this.#schedule();
  }

  /** Lets others in; false: the mount ends. */
  async #goesOn(slices: Slices): Promise<boolean> {
    if (slices.due) await slices.pause();
    return !this.#isStopped;
  }

  #follow(): void {
    const { journal, signIns } = this.#options;
    this.#unsubscribe = [
      journal.onChange((inodes) => {
        if (this.#isLooking) {
          // Nothing is over before all that is so was found.
          for (const inode of inodes) this.#changed.add(inode);
          return;
        }
        this.#look(inodes);
        this.#schedule();
      }),
      signIns.onChange((who) => {
        if (this.#isLooking) return;
        this.#lookAtSignIn(who);
        this.#schedule();
      }),
    ];
  }

  #look(changed: Iterable<number>): void {
    for (const inode of changed) {
      this.#lookAtRecord(this.#options.journal.get(inode), inode, 'new');
      this.#lookAtConflict(inode, 'new');
    }
  }

  /** Tells nothing more; what is under way is given up. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const end of this.#unsubscribe) end();
    clearTimeout(this.#timer);
    await this.#options.telling.stop();
    await this.#looking;
    if (this.#keepTimer !== undefined) this.#keep();
    await this.#keeping;
  }

  #lookAtRecord(record: PendingRecord | undefined, inode: number, since: Since): void {
    const failed = record?.failed;
    const before = this.#refused.get(inode);
    const cause = failed === undefined ? undefined : (`refused: ${failed.kind}` as const);
    if (before === cause) return;
    if (before !== undefined) {
      this.#refused.delete(inode);
      this.#mend(before, inode);
    }
    if (record === undefined || cause === undefined) return;
    this.#refused.set(inode, cause);
    this.#arise(cause, inode, this.#placeOf(record), since);
  }

  #lookAtConflict(inode: number, since: Since): void {
    if (this.#options.journal.tree.conflict(inode) === undefined) this.#mend('conflict', inode);
    else this.#arise('conflict', inode, String(inode), since);
  }

  /** A refusal that an earlier mount told of is the same one until the sign-in was accepted, whenever this mount meets it. */
  #lookAtSignIn(who: string): void {
    if (this.#options.signIns.refused.has(who)) {
      this.#arise('sign-in', who, who, 'found');
      return;
    }
    this.#mend('sign-in', who);
    if (this.#causes.end('sign-in', who)) this.#keepSoon();
  }

  #arise(cause: NoticeCause, key: Key, scope: string, since: Since): void {
    if (since === 'found') this.#causes.find(cause, key, { scope }, nowMs());
    else this.#causes.arise(cause, key, { scope }, nowMs());
  }

  #mend(cause: NoticeCause, key: Key): void {
    if (this.#causes.mend(cause, key)) this.#keepSoon();
  }

  /** What refusals of a kind have in common: room is a vault's, rights are a syncpoint's. */
  #placeOf({ inode, at, failed }: PendingRecord): string {
    const { tree } = this.#options.journal;
    const node = tree.node(inode) ?? tree.node(at?.parent ?? inode);
    const top = node === undefined ? undefined : tree.syncpointOf(node);
    const vault = failed?.kind === 'quota' ? top?.syncpoint?.vaultId : undefined;
    return vault ?? String(top?.inode ?? '');
  }

  #schedule(): void {
    const { dueMs } = this.#causes;
    // Changes come by the thousand, and nearly none of them is of interest here.
    if (dueMs === this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    if (dueMs === undefined || this.#isStopped) return;
    this.#timer = setTimeout(() => this.#tellDue(), Math.max(0, dueMs - nowMs())).unref();
  }

  #tellDue(): void {
    const { telling, mountpoint } = this.#options;
    this.#dueMs = undefined;
    const showings = this.#causes.take(nowMs());
    for (const showing of showings) {
      const { cause, isNew } = showing;
      const latest = this.#latest(showing);
      if (latest === undefined) continue;
      const notification = noticeOf({ cause, latest, count: countOf(showing), mountpoint });
      telling.tell({ cause, isNew, notification, isStillSo: () => this.#causes.isOpen(cause) });
    }
    if (showings.length > 0) this.#keep();
    this.#schedule();
  }

  /** Written with what ends in the same moment: conflicts are removed by the thousand. Lost, the next mount sees for itself what is over. */
  #keepSoon(): void {
    this.#keepTimer ??= setTimeout(() => this.#keep(), this.#pace.gatherMs).unref();
  }

  /** The next mount shall not tell it again. */
  #keep(): void {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    this.#keeping = this.#keeping
      .then(() => {
        const told = JSON.stringify(Object.fromEntries(this.#causes.told()));
        return replaceFile(this.#options.file, `${told}\n`, 0o600);
      })
      // A full disk, most likely: the next mount tells it once more.
      .catch((error: unknown) => log('what was told is not kept: %s', error));
  }

  async #recall(): Promise<void> {
    let read: unknown;
    try {
      read = JSON.parse(await readFile(this.#options.file, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') log('what was told is not known: %s', error);
      return;
    }
    for (const [cause, told] of Object.entries(read ?? {}) as [NoticeCause, Partial<Told> | null][]) {
      const { shownAtMs, scopes } = told ?? {};
      if (typeof shownAtMs !== 'number' || !Array.isArray(scopes)) continue;
      // A time to come is of a clock that was wrong; what was told then was told.
      this.#causes.recall(cause, { shownAtMs: Math.min(shownAtMs, nowMs()), scopes: scopes.map(String) });
    }
  }

  #latest({ cause, untold }: Showing<NoticeCause, Key>): NoticeMatter | undefined {
    const key = untold.at(-1);
    return key === undefined ? undefined : this.#matter(cause, key);
  }

  #matter(cause: NoticeCause, key: Key): NoticeMatter | undefined {
    const { journal, signIns } = this.#options;
    if (typeof key === 'string') return { name: key, detail: signIns.refused.get(key) ?? '' };
    if (cause === 'unfinished') {
      const found = journal.unfinished().find(({ generation }) => generation === key);
      return found === undefined ? undefined : { name: posix.basename(found.path), detail: '' };
    }
    if (cause === 'conflict') {
      const found = journal.tree.conflict(key);
      return found && { name: posix.basename(found.path), detail: posix.basename(found.keptAs) };
    }
    const record = journal.get(key);
    return record && { name: posix.basename(pathOf(journal, record)), detail: record.failed?.message ?? '' };
  }
}

/** Wall clock, ms, as it was when this process began: one that is set back in between would keep what is due from ever being so. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Tells on this user's desktop where that is wanted, else with `log`. */
export function openTelling(wanted: MountConfig['notifications'], log: (line: string) => void): Telling {
  const show: TellingOptions['show'] = (notification, signal) => showNotification(notification, process.env, signal);
  return new Telling({ show: wanted === 'off' ? undefined : show, log });
}

/** Each conflict is a matter of its own; of everything else more of the same is told with what it is more of. */
function countOf({ cause, open, untold }: Showing<NoticeCause, Key>): number {
  return cause === 'conflict' || cause === 'unfinished' ? untold.length : open.size;
}
