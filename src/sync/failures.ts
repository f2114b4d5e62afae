// What becomes of an object whose step failed: tried again later, each time later still; or, where the service refuses it, kept with its
// content until the user decides. Nothing is dropped.
import { createLog } from '../base/log.ts';
import type { PendingRecord } from '../cache/journal.ts';
import { shownLengthBytes } from '../cache/tree.ts';
import { RemoteError, type RemoteErrorKind } from '../remote-drive.ts';
import { DamagedContent, Replan, SourceGone, type Parts } from './parts.ts';
import type { Troubles } from './troubles.ts';

const log = createLog('pusher');

/** What the service says no to for good: trying again changes nothing. */
const refusals: ReadonlySet<RemoteErrorKind> = new Set(['forbidden', 'quota', 'invalid', 'too-large']);
/** Plans that came to nothing in a row before the next one waits. */
const REPLANS_AT_ONCE = 5;
/** What is gone so many times in a row, over some seconds, is gone: a vault may be behind the gateway for a moment. */
const GONE_SOURCE_TRIES = 4;
/** An empty file that no listing shows after so many uploads is one that the service does not store. */
const EMPTY_FILE_TRIES = 2;
/** A look at the syncpoints that nobody waits for. */
const LEARN_LIMIT_MS = 60_000;

/** An upload that no listing shows. */
export interface InVain {
  /** How often that came to pass with the object. */
  readonly times: number;
  /** What the service had said instead of yes. */
  readonly answer: string | undefined;
}

export class Failures {
  readonly #parts: Parts;
  readonly #troubles: Troubles;
  readonly #replans = new Map<number, number>();

  constructor(parts: Parts, troubles: Troubles) {
    this.#parts = parts;
    this.#troubles = troubles;
  }

  /** A step failed that was done for `inodes`, `record`'s first. */
  note(record: PendingRecord, inodes: readonly number[], error: unknown): void {
    const { inode } = record;
    if (error instanceof Replan) {
      this.#replanned(inode, error);
      return;
    }
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof RemoteError && refusals.has(error.kind) && !error.isUnexplained) {
      log('inode %d is refused: %s', inode, message);
      // One of several may be what is refused: each is tried by itself.
      if (inodes.length > 1) for (const one of inodes) this.#troubles.note(one, message);
      else this.#parts.outcomes.failed(inode, error.kind, message);
      this.#learnFrom(error.kind);
      return;
    }
    if (error instanceof DamagedContent) {
      this.#parts.outcomes.failed(inode, 'conflict', message);
      return;
    }
    if (error instanceof SourceGone) {
      if ((this.#troubles.get(inode)?.attempts ?? 0) + 1 >= GONE_SOURCE_TRIES) {
        this.#parts.outcomes.failed(inode, 'not-found', message);
        return;
      }
    } else if (!(error instanceof RemoteError)) log('a step of inode %d failed: %O', inode, error);
    else if (error.kind === 'not-found') this.lookAbove(record);
    const askedMs = error instanceof RemoteError ? error.retryAfterMs : undefined;
    const isRefusal = error instanceof RemoteError && (error.kind === 'protocol' || error.isUnexplained);
    if (error instanceof RemoteError && error.isUnexplained) this.#learnFrom(error.kind);
    for (const one of inodes) {
      const { attempts, retryAtMs } = this.#troubles.note(one, message, { atLeastMs: askedMs, isRefusal });
      log('inode %d failed %d times, again in %d ms: %s', one, attempts, retryAtMs - this.#parts.steadyMs(), message);
    }
  }

  /**
   * No listing shows what was sent, for the `times`th time: it is sent again, later each time. An empty file is kept here in the end: there
   * are services that take it and store nothing.
   */
  noteInVain(record: PendingRecord, { times, answer }: InVain): void {
    const { inode } = record;
    const { journal, outcomes } = this.#parts;
    const node = journal.tree.node(inode);
    this.lookAbove(record);
    // Where going on with it comes to nothing too, its session is what is wrong.
    outcomes.notFound(inode, { keepsSession: times === 1 });
    if (node?.kind !== 'file') return;
    if (shownLengthBytes(node) === 0 && times >= EMPTY_FILE_TRIES) {
      outcomes.failed(inode, 'invalid', 'the service stores no empty file: it is sent once something is written to it');
    } else {
      const said = answer ?? 'the service told of no error';
      this.#troubles.note(inode, `${said}, but no listing shows what was sent`);
    }
  }

  /** Something on the way to an object may be gone: its folders are looked at before the next try. */
  lookAbove(record: PendingRecord): void {
    const { tree } = this.#parts.journal;
    let at = tree.node(record.inode)?.parent ?? record.at?.parent;
    for (let depth = 0; at !== undefined && depth < 4096; depth += 1) {
      const node = tree.node(at);
      if (node?.kind !== 'directory') return;
      tree.expireListing(at);
      if (node.syncpoint !== undefined) return;
      at = node.parent;
    }
  }

  /** The object has no record any more. */
  forget(inode: number): void {
    this.#replans.delete(inode);
  }

  #replanned(inode: number, { message }: Replan): void {
    log('inode %d is planned anew: %s', inode, message);
    const count = (this.#replans.get(inode) ?? 0) + 1;
    this.#replans.set(inode, count);
    // What changes under every try is let settle.
    if (count % REPLANS_AT_ONCE === 0) this.#troubles.note(inode, message);
  }

  /** What was refused for want of room or rights is refused to programs at once from here on, where the service tells of it. */
  #learnFrom(kind: RemoteErrorKind): void {
    const { listings, journal } = this.#parts;
    if (kind === 'quota') listings.refreshVaults(true);
    if (kind !== 'forbidden') return;
    listings
      .refresh(journal.tree.root(), AbortSignal.timeout(LEARN_LIMIT_MS), 'background')
      .catch((error: unknown) => log('the syncpoints could not be listed: %s', error));
  }
}
