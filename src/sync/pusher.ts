// Drains the journal: takes each object's next step when it is due, several at once, until the service has what is wanted here.
// Goes on where an earlier process ended. Promises that nothing is dropped: what fails is tried again, later each time, or, where the
// service refuses it, waits for the user. Knows no call's form and no file's bytes.
import { isAbort } from '../base/abort.ts';
import { deferred } from '../base/deferred.ts';
import { createLog } from '../base/log.ts';
import { isPending, type PendingRecord } from '../cache/journal.ts';
import { FOLDERS_PER_CALL, RemoteError } from '../remote-drive.ts';
import { Blockers } from './blockers.ts';
import { DueTimes } from './due-times.ts';
import { Failures } from './failures.ts';
import { FlushScope } from './flush-scope.ts';
import type { FolderToMake } from './folders.ts';
import { News } from './news.ts';
import { OPEN_FILE_DUE_MS } from './open-file-pace.ts';
import { Outage } from './outage.ts';
import { Outcomes } from './outcomes.ts';
import { Purges } from './purges.ts';
import type { Parts } from './parts.ts';
import { nextStep, wayOut, type Step, type Surroundings, type UnderWay } from './plan.ts';
import { PlanQueue } from './plan-queue.ts';
import { StepWork } from './step-work.ts';
import { Troubles, type Trouble } from './troubles.ts';
import { Turns } from './turns.ts';
import { UploadOutcomes } from './upload-outcomes.ts';
import { cutOff, UploadPaused } from './upload-pause.ts';
import { VainUploads } from './vain-uploads.ts';

const log = createLog('pusher');

/** Between two looks at guards whose time is over, and at files long open; nobody waits for either. */
const CHORES_MS = 15_000;
/** What waits for something that has no record is planned again after this, should nobody tell. */
const BLOCKED_AGAIN_MS = 5_000;

export interface PusherOptions extends Omit<Parts, 'outcomes' | 'uploads' | 'nowMs' | 'steadyMs'> {
  /** How long after its last change an object waits, so that pairs of changes meet. */
  readonly settleMs: number;
  /** Files sent at once. */
  readonly uploadsMax: number;
  /** Commits what was written to open files, where its first change is at least so old: without, there is nothing of them to send. */
  readonly commitOpenFiles: (ageMs: number) => void;
  /** Told of each change that is begun in a syncpoint; what it returns is called when that has ended. */
  readonly onChange?: ((syncpointId: string) => () => void) | undefined;
  /** Wall clock, ms; for tests. */
  readonly nowMs?: (() => number) | undefined;
  /** A clock that nobody sets, ms; for tests. Default: theirs, or the monotonic one. */
  readonly steadyMs?: (() => number) | undefined;
}

/** A step that is being done. */
interface Running extends UnderWay {
  readonly step: Step['kind'];
  readonly controller: AbortController;
  readonly done: Promise<void>;
  sentBytes: number;
}

/** How an object that is pending is doing. */
export interface Progress {
  readonly record: PendingRecord;
  readonly state: 'waiting' | 'sending' | 'retrying';
  readonly sentBytes: number;
  readonly trouble: Trouble | undefined;
  /** What the service refused: this, or what this waits for. */
  readonly refused: PendingRecord | undefined;
}

export class Pusher {
  readonly #options: PusherOptions;
  readonly #parts: Parts;
  readonly #nowMs: () => number;
  /** Waits go by it: the wall clock is set back when the network comes, which is just when much waits. */
  readonly #steadyMs: () => number;
  readonly #troubles: Troubles;
  readonly #work: StepWork;
  readonly #queue: PlanQueue;
  readonly #turns: Turns;
  readonly #blockers = new Blockers();
  readonly #due: DueTimes;
  readonly #purges: Purges;
  readonly #outage: Outage;
  readonly #vain: VainUploads;
  readonly #running = new Map<number, Running>();
  readonly #failures: Failures;
  readonly #news = new News();
  readonly #unsubscribe: () => void;
  #chores: NodeJS.Timeout | undefined;
  #hurries = 0;
  #paused = false;
  #stopped = false;

  constructor(options: PusherOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#steadyMs = options.steadyMs ?? options.nowMs ?? ((): number => performance.now());
    const { journal } = options;
    const [outcomes, uploads] = [new Outcomes(journal, this.#nowMs), new UploadOutcomes(journal, this.#nowMs)];
    this.#parts = { ...options, outcomes, uploads, nowMs: this.#nowMs, steadyMs: this.#steadyMs };
    this.#troubles = new Troubles(this.#steadyMs);
    this.#work = new StepWork(this.#parts, (folders) => this.#lookAgain(folders));
    this.#outage = new Outage(this.#steadyMs);
    this.#vain = new VainUploads(journal, this.#steadyMs);
    this.#purges = new Purges(options);
    this.#failures = new Failures(this.#parts, this.#troubles);
    this.#queue = new PlanQueue(
      (inode) => this.#planOne(inode),
      () => !this.#paused,
    );
    this.#due = new DueTimes(this.#steadyMs, (inodes) => this.#queue.planSoon(inodes));
    this.#turns = new Turns({
      journal,
      nowMs: this.#nowMs,
      uploadsMax: options.uploadsMax,
      running: this.#running,
      isHurried: () => this.#hurries > 0,
      onTurn: (inodes) => this.#queue.planSoon(inodes),
    });
    const unsubscribe = [
      options.journal.onChange((inodes) => this.#changed(inodes)),
      options.listings.onFetched(() => this.#hinted()),
    ];
    this.#unsubscribe = () => unsubscribe.forEach((end) => end());
  }

  /** Begins with what earlier processes left. Does not wait for any of it. */
  start(): void {
    this.#chores = setInterval(() => this.#doChores(), CHORES_MS);
    this.#chores.unref();
    this.#queue.planSoon([...this.#options.journal.records()].map(({ inode }) => inode));
    this.#purges.nudge();
  }

  /**
   * Begins nothing more, and ends uploads that are not through within a moment: they go on from their last chunk after `resume`. Resolves
   * when no more bytes go out.
   */
  async pause(): Promise<void> {
    this.#paused = true;
    this.#purges.pause();
    const uploads = [...new Set(this.#running.values())].filter(({ step }) => step === 'store');
    await cutOff(uploads, () => this.#isPausing());
  }

  resume(): void {
    this.#paused = false;
    this.#purges.resume();
    this.retryNow();
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Asked anew after a wait. */
  #isPausing(): boolean {
    return this.#paused && !this.#stopped;
  }

  /** Tries at once what waits for its next try: the service is back, or somebody asked. */
  retryNow(): void {
    this.#outage.retry();
    this.#vain.retry();
    this.#queue.planSoon(this.#troubles.hurry());
  }

  /**
   * Resolves when every change made so far is at the service, or is refused by it, some again and again, or with the signal: with when the latest of them was made,
   * wall clock, ms. Hurries them on: nothing waits to settle meanwhile.
   */
  async flush(signal: AbortSignal, inodes?: readonly number[]): Promise<number> {
    if (inodes === undefined) this.#options.commitOpenFiles(0);
    const scope = new FlushScope(this.#options.journal, (inode) => this.#refusedAhead(inode) !== undefined, inodes);
    this.#hurries += 1;
    try {
      for (const inode of [...scope.inodes, ...this.#due.inodes()]) this.#queue.add(inode);
      this.retryNow();
      while (scope.isLeft() && !signal.aborted && !this.#stopped) {
        await this.#news.next(signal);
      }
      if (inodes === undefined && !signal.aborted) await this.#purges.flush(signal);
      return scope.latestMs;
    } finally {
      this.#hurries -= 1;
    }
  }

  /** How everything that is pending is doing, failed ones included, oldest first. */
  progress(): Progress[] {
    const found: Progress[] = [];
    for (const record of this.#options.journal.records()) {
      if (!isPending(record)) continue;
      const running = this.#running.get(record.inode);
      const trouble = this.#troubles.get(record.inode);
      const state = running !== undefined ? 'sending' : trouble === undefined ? 'waiting' : 'retrying';
      const sentBytes = running?.sentBytes ?? 0;
      found.push({ record, state, sentBytes, trouble, refused: this.#refusedAhead(record.inode) });
    }
    return found.toSorted((a, b) => a.record.sinceMs - b.record.sinceMs);
  }

  /** True while a step of this object is being done. */
  isSending(inode: number): boolean {
    return this.#running.has(inode);
  }

  /** Why one of these objects is not stored, where the service refused it, or what it waits for. */
  refusalOf(inodes: readonly number[]): RemoteError | undefined {
    for (const inode of inodes) {
      const refused = this.#refusedAhead(inode);
      const why = refused?.failed ?? (refused && this.#troubles.get(refused.inode));
      if (why !== undefined) return new RemoteError('kind' in why ? why.kind : 'protocol', why.message);
    }
    return undefined;
  }

  /** What is still to be purged, and why something was left in the trash. */
  get purges(): Pick<Purges, 'pendingCount' | 'refusals'> {
    return this.#purges;
  }

  /** Bytes a second that the service took lately. */
  get bytesPerSecond(): number {
    return this.#work.bytesPerSecond;
  }

  /** Ends what is under way; it goes on in the next process where the journal says. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    this.#due.stop();
    this.#turns.stop();
    this.#queue.stop();
    clearInterval(this.#chores);
    const reason = new RemoteError('unavailable', 'the drive is being unmounted');
    for (const { controller } of this.#running.values()) controller.abort(reason);
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    this.#news.tell();
    await this.#purges.stop();
  }

  #doChores(): void {
    this.#options.commitOpenFiles(OPEN_FILE_DUE_MS);
    try {
      const { journal, listings } = this.#options;
      journal.sweepGuards(this.#nowMs(), listings.oldestAskedMs);
    } catch (error) {
      // A full disk, most likely: they do no harm until the next time.
      log('guards could not be dropped: %O', error);
    }
  }

  #changed(inodes: readonly number[]): void {
    for (const inode of inodes) this.#requeue(inode);
    this.#queue.wake();
    this.#news.tellSoon();
  }

  /** An object, and what waits for it, is worth a new look. */
  #requeue(inode: number): void {
    this.#queue.add(inode);
    for (const one of this.#blockers.release(inode)) this.#queue.add(one);
  }

  #planOne(inode: number): void {
    this.#due.delete(inode);
    this.#blockers.clear(inode);
    this.#turns.forget(inode);
    if (this.#running.has(inode)) return; // planned again when it is done
    const record = this.#options.journal.get(inode);
    if (this.#vain.isOver(inode, record)) this.#hurry();
    if (record === undefined) {
      this.#troubles.forget(inode);
      this.#work.forget(inode);
      this.#failures.forget(inode);
      return;
    }
    const trouble = this.#troubles.get(inode);
    if (trouble !== undefined && trouble.retryAtMs > this.#steadyMs() && isPending(record)) {
      this.#due.set(inode, trouble.retryAtMs);
      return;
    }
    try {
      this.#take(record, nextStep(record, this.#nowMs(), this.#surroundings()));
    } catch (error) {
      this.#due.set(inode, this.#unwritten(inode, error));
    }
  }

  /** What is to become of an object cannot be written down, most likely for want of room on the disk: that is tried again like a step that failed. Returns when, ms. */
  #unwritten(inode: number, error: unknown): number {
    log('what becomes of inode %d could not be written down: %O', inode, error);
    return this.#troubles.note(inode, error instanceof Error ? error.message : String(error)).retryAtMs;
  }

  #take(record: PendingRecord, step: Step): void {
    const { outcomes } = this.#parts;
    const { inode } = record;
    switch (step.kind) {
      case 'rest':
        return;
      case 'settle':
        outcomes.settle(inode);
        return;
      case 'wait':
        this.#due.set(inode, step.untilMs - this.#aheadMs);
        return;
      case 'blocked':
        this.#block(record, step.by);
        return;
      case 'detour':
        outcomes.detour(inode, step.place);
        return;
      case 'inherit':
        outcomes.inherit(inode, step.from);
        return;
      case 'give-up-looking':
        if (this.#vain.inVain(record)) this.#troubles.forget(inode);
        this.#failures.noteInVain(record, this.#work.giveUpLooking(inode));
        return;
      default:
        if (!this.#waitsForService(inode, step) && this.#turns.hasCome(record, step)) this.#run(record, step);
    }
  }

  /** While the service is away, or a vault stores nothing, one object at a time finds out when it is back. */
  #waitsForService(inode: number, step: Step): boolean {
    const vaultMs = step.kind === 'store' ? this.#vain.untilMs(step.place.parent) : undefined;
    const untilMs = this.#outage.untilMs ?? vaultMs;
    if (untilMs !== undefined) this.#due.set(inode, untilMs);
    return untilMs !== undefined;
  }

  /** Does a step, and looks afterwards at what it changed. */
  #run(record: PendingRecord, step: Step): void {
    const { inode } = record;
    const controller = new AbortController();
    const place = step.kind === 'store' ? step.place : undefined;
    const path = place === undefined ? undefined : this.#options.journal.remotePath(place.parent);
    const folders = new Set(path?.inodes);
    // Folders made together run as one step, each of them under way.
    const together = step.kind === 'make-folder' ? this.#siblings(record, step) : [];
    const inodes = [inode, ...together.map(({ node }) => node.inode).filter((other) => other !== inode)];
    const finished = deferred<undefined>();
    const running: Running = {
      step: step.kind,
      place,
      folders,
      controller,
      done: finished.promise.then(() => undefined),
      sentBytes: 0,
    };
    for (const one of inodes) this.#running.set(one, running);
    this.#outage.tried();
    if (place !== undefined) this.#vain.begun(inode, place.parent);
    const ended = this.#begin(record, step);
    this.#work
      .do(record, step, together, running, controller.signal)
      .then(
        (changed) => this.#succeeded(inodes, changed),
        (error: unknown) => this.#failed(record, inodes, error),
      )
      .finally(() => {
        ended?.();
        for (const one of inodes) {
          this.#running.delete(one);
          this.#requeue(one);
        }
        this.#turns.release();
        this.#news.tellSoon();
        finished.resolve(undefined);
      })
      .catch((error: unknown) => {
        // They are planned in a later turn, and wait then.
        for (const one of inodes) this.#unwritten(one, error);
      });
  }

  /** Says that something is going to change at the service, where it is. */
  #begin({ inode, at }: PendingRecord, step: Step): (() => void) | undefined {
    if (step.kind === 'confirm') return undefined;
    const { journal, onChange } = this.#options;
    const parent = at?.parent ?? journal.tree.node(inode)?.parent;
    const syncpointId = parent === undefined ? undefined : journal.folder(parent)?.syncpointId;
    return syncpointId === undefined ? undefined : onChange?.(syncpointId);
  }

  /** Directories of the same parent that can be made in the same call, this one first. */
  #siblings(record: PendingRecord, step: Extract<Step, { kind: 'make-folder' }>): FolderToMake[] {
    const found: FolderToMake[] = [{ node: step.node, name: step.name }];
    const around = this.#surroundings();
    for (const other of this.#options.journal.index.inDirectory(step.node.parent)) {
      if (found.length === FOLDERS_PER_CALL) break;
      const { inode } = other;
      if (inode === record.inode || this.#running.has(inode) || this.#troubles.get(inode) !== undefined) continue;
      const theirs = nextStep(other, this.#nowMs(), around);
      if (theirs.kind === 'make-folder') found.push({ node: theirs.node, name: theirs.name });
    }
    return found;
  }

  /** A step that went well and left everything as it was would be done again at once, and for ever: it waits like one that failed. */
  #succeeded(inodes: readonly number[], changed: boolean): void {
    this.#answered();
    this.#purges.nudge();
    for (const one of inodes) {
      const record = this.#options.journal.get(one);
      // Whether an upload was in vain, as one before it, a listing has to tell.
      const untold = record !== undefined && record.doneAtMs === undefined && record.sent.length > 0;
      if (changed && !untold) this.#troubles.forget(one);
      else if (!changed) this.#troubles.note(one, 'the service answered, and nothing changed');
    }
  }

  #failed(record: PendingRecord, inodes: readonly number[], error: unknown): void {
    this.#vain.ended(record.inode);
    if (this.#stopped || isAbort(error) || error instanceof UploadPaused) return;
    const away = error instanceof RemoteError && (error.kind === 'unavailable' || error.kind === 'unauthenticated');
    if (away) this.#outage.failed();
    else this.#answered();
    this.#failures.note(record, inodes, error);
  }

  /** The service is there; where it had been away, everything is worth a try at once. */
  #answered(): void {
    if (this.#outage.answered()) this.#hurry();
  }

  /** A listing came, for whomever. */
  #hinted(): void {
    if (this.#outage.hinted()) this.#hurry();
  }

  /** What waits for the service is worth a try. */
  #hurry(): void {
    this.#queue.planSoon([...this.#due.inodes(), ...this.#troubles.hurry()]);
  }

  #surroundings(): Surroundings {
    return {
      journal: this.#options.journal,
      underWay: this.#running,
      settleMs: this.#options.settleMs,
      hurried: this.#hurries > 0,
      moveSupport: (syncpointId, kind) => this.#options.drive.moveSupport(syncpointId, kind),
      isImmovable: (inode) => this.#work.isImmovable(inode),
      openFileDueMs: (record) => this.#work.openFileDueMs(record),
      lookAtMs: (record) => this.#lookAtMs(record),
    };
  }

  /** By the wall clock, as plans go. */
  #lookAtMs(record: PendingRecord): number | undefined {
    const atMs = this.#work.lookAtMs(record, this.#hurries > 0, this.#turns);
    if (atMs === undefined) return undefined;
    return atMs <= this.#steadyMs() ? 0 : atMs + this.#aheadMs;
  }

  /** How far the wall clock is ahead of the steady one now, ms. */
  get #aheadMs(): number {
    return this.#nowMs() - this.#steadyMs();
  }

  /** Nothing more is on its way to some folders: what was stored there can be confirmed. */
  #lookAgain(folders: readonly number[]): void {
    if (this.#hurries === 0) return;
    for (const folder of folders) {
      if (this.#turns.isAwaited(folder)) continue;
      for (const { inode, sent, doneAtMs } of this.#options.journal.index.inDirectory(folder)) {
        if (sent.length > 0 && doneAtMs === undefined) this.#queue.add(inode);
      }
    }
  }

  /** Waits for another object; where that waits for this one in turn, a temporary name leads out (J9). */
  #block({ inode }: PendingRecord, by: number): void {
    const circle = this.#blockers.set(inode, by);
    if (circle !== undefined) this.#leadOut(circle);
    // No change of the journal tells those who wait for it.
    if (this.#refusedAhead(inode) !== undefined) this.#news.tellSoon();
    if (this.#options.journal.get(by) === undefined && !this.#running.has(by)) {
      this.#due.set(inode, this.#steadyMs() + BLOCKED_AGAIN_MS);
    }
  }

  #leadOut(circle: readonly number[]): void {
    const way = wayOut(circle, this.#surroundings());
    const outcome = way === undefined ? 'on their way out' : `${way.inode} goes round`;
    log('inodes %o wait for each other, %s', circle, outcome);
    if (way !== undefined) this.#parts.outcomes.detour(way.inode, way.place);
  }

  /** What the service refused, or goes on refusing: the object, or the one that it waits for. */
  #refusedAhead(inode: number): PendingRecord | undefined {
    return [...this.#blockers.chain(inode)]
      .map((one) => this.#options.journal.get(one))
      .find((record) => record?.failed !== undefined || (record !== undefined && this.#troubles.isStuck(record.inode)));
  }
}
