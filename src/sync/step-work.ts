// Does one step at the service and notes what only this process has to remember of it: which outcomes were not told, which objects are
// not moved, how fast bytes go out. When a step's turn is, is the pusher's.
import { createLog } from '../base/log.ts';
import type { PendingRecord } from '../cache/journal.ts';
import { Confirmations } from './confirmations.ts';
import type { InVain } from './failures.ts';
import { makeFolders, type FolderToMake } from './folders.ts';
import { lookAt } from './freshness.ts';
import { Lookouts } from './lookouts.ts';
import { moveObject } from './moves.ts';
import { OpenFilePace } from './open-file-pace.ts';
import type { Parts } from './parts.ts';
import type { Step } from './plan.ts';
import { Rate } from './rate.ts';
import { removeFile, removeFolder } from './removals.ts';
import { storeFile } from './store.ts';
import type { Turns } from './turns.ts';

const log = createLog('pusher');

/** After a lost reply: the service may still be at it. */
const UNCLEAR_PAUSE_MS = 500;

/** How far the content of a step is. */
export interface SentBytes {
  sentBytes: number;
}

export class StepWork {
  readonly #parts: Parts;
  readonly #lookouts: Lookouts;
  readonly #confirmations: Confirmations;
  readonly #openFiles: OpenFilePace;
  readonly #rate = new Rate();
  /** Objects that the service would not move; until they are stored anew. */
  readonly #immovable = new Set<number>();
  /** Why it is not clear what became of objects that are looked for. */
  readonly #unclear = new Map<number, string>();
  readonly #onQuiet: (folders: readonly number[]) => void;

  /** `onQuiet` hears of folders that nothing more is on its way to. */
  constructor(parts: Parts, onQuiet: (folders: readonly number[]) => void) {
    this.#parts = parts;
    this.#lookouts = new Lookouts(parts.steadyMs);
    this.#confirmations = new Confirmations(parts.steadyMs);
    this.#openFiles = new OpenFilePace(parts.journal, parts.nowMs);
    this.#onQuiet = onQuiet;
  }

  /** Bytes a second that the service took lately. */
  get bytesPerSecond(): number {
    return this.#rate.perSecond(this.#parts.nowMs());
  }

  isImmovable(inode: number): boolean {
    return this.#immovable.has(inode);
  }

  /** When an open file may be sent at the earliest, wall clock, ms. */
  openFileDueMs(record: PendingRecord): number {
    return this.#openFiles.dueMs(record);
  }

  /**
   * When to look next for an upload whose outcome nobody told, steady clock, ms; undefined: it was looked for long enough. `hurried`:
   * somebody waits for it; `turns` tells whether more waits to be stored.
   */
  lookAtMs(record: PendingRecord, hurried: boolean, turns: Pick<Turns, 'isAwaited'>): number | undefined {
    const atMs = this.#lookouts.nextAtMs(record.inode);
    if (atMs === undefined || record.at === undefined) return atMs;
    const { parent } = record.at;
    return Math.max(atMs, this.#confirmations.dueMs(parent, hurried, turns));
  }

  /** It is looked for no longer. Returns how often that came to pass, and what the service had said, if it had. */
  giveUpLooking(inode: number): InVain {
    return { times: this.#lookouts.gaveUp(inode), answer: this.#unclear.get(inode) };
  }

  /** The object has no record any more. */
  forget(inode: number): void {
    this.#lookouts.forget(inode);
    this.#unclear.delete(inode);
    this.#immovable.delete(inode);
  }

  /**
   * Does a step; `together` are the folders that are made in one call. Rejects with RemoteError, with Replan, or with the signal's reason.
   * Resolves with false where the service answered and nothing came of it.
   */
  async do(
    record: PendingRecord,
    step: Step,
    together: readonly FolderToMake[],
    progress: SentBytes,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { journal, outcomes } = this.#parts;
    const { inode } = record;
    switch (step.kind) {
      case 'make-folder':
        await makeFolders(this.#parts, step.parent, together, signal);
        break;
      case 'store':
        await this.#store(record, step, progress, signal);
        break;
      case 'confirm':
        for (const folder of step.folders) {
          this.#confirmations.looked(folder);
          await this.#askForEvents(folder, signal);
          await lookAt(this.#parts, folder, 0, signal);
        }
        this.#lookouts.looked(inode);
        this.#keep(inode);
        return true;
      case 'move':
        if ((await moveObject(this.#parts, record, step, signal)) === 'moved') break;
        this.#immovable.add(inode);
        return true;
      case 'detach':
        if (step.node.kind === 'directory' && journal.tree.listing(inode) === undefined) {
          await lookAt(this.#parts, inode, 0, signal);
        }
        outcomes.detach(inode);
        this.#immovable.delete(inode);
        break;
      case 'remove-file':
        await removeFile(this.#parts, record, signal);
        break;
      case 'remove-folder':
        await removeFolder(this.#parts, record, signal);
        break;
      default:
        throw new Error(`a step ${step.kind} is no work`);
    }
    return journal.get(inode) !== record || record.sent.length > 0;
  }

  async #store(
    record: PendingRecord,
    step: Extract<Step, { kind: 'store' }>,
    progress: SentBytes,
    signal: AbortSignal,
  ): Promise<void> {
    const { inode } = record;
    const folder = step.place.parent;
    const onSent = (sentBytes: number): void => {
      this.#rate.add(sentBytes - progress.sentBytes, this.#parts.nowMs());
      progress.sentBytes = sentBytes;
    };
    const { node, place } = step;
    const file = { record, node, place, timesInVain: this.#lookouts.timesInVain(inode), onSent };
    this.#lookouts.delayed(inode, UNCLEAR_PAUSE_MS);
    this.#confirmations.begin(folder);
    const result = await storeFile(this.#parts, file, signal).finally(() => {
      const quiet = this.#confirmations.end(folder);
      if (quiet.length > 0) this.#onQuiet(quiet);
    });
    this.#unclear.delete(inode);
    if (result.state === 'untold') {
      this.#lookouts.delayed(inode, 0);
      this.#confirmations.untold(folder);
    } else if (result.state === 'unclear') {
      this.#lookouts.delayed(inode, UNCLEAR_PAUSE_MS);
      this.#unclear.set(inode, result.reason);
    }
    this.#openFiles.sent(inode);
    this.#keep(inode);
  }

  /**
   * Our changes are events as well. Where the last of them is over, a listing asked for after it, and after its event was seen, stays good
   * until something else happens.
   */
  async #askForEvents(folder: number, signal: AbortSignal): Promise<void> {
    const { journal, listings } = this.#parts;
    const syncpointId = journal.folder(folder)?.syncpointId;
    if (syncpointId === undefined || !listings.missesOwnEvents(syncpointId)) return;
    // Without it the listing is as good as it was before: suspect when the event is seen.
    await listings.refresh(journal.tree.root(), signal, 'commit').catch((error: unknown) => {
      if (signal.aborted) throw error;
      log('the events were not asked for: %s', error instanceof Error ? error.message : error);
    });
  }

  /** What is stored serves reads from here on, until room is needed. */
  #keep(inode: number): void {
    const { journal, content } = this.#parts;
    const node = journal.tree.node(inode);
    if (node?.kind !== 'file' || node.staged === undefined || node.versionId === undefined) return;
    if (journal.get(inode)?.content !== true) content.keep(inode, node.staged);
  }
}
