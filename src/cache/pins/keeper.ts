// Keeps what is pinned on this machine: lists the folders below it, fetches the content of the files, again when they change, and goes on
// after outages and remounts. All of it behind whoever waits for anything. Promises that what is pinned is not evicted once it is here, and
// that nothing is fetched that cannot fit. Knows no paths and no commands.
import { Slices } from '../../base/event-loop.ts';
import { createLog } from '../../base/log.ts';
import { formatSize } from '../../base/quantities.ts';
import { type ContentReference, RemoteError } from '../../remote-drive.ts';
import type { ContentBlocks } from '../blocks.ts';
import type { Journal } from '../journal.ts';
import type { Listings } from '../listings.ts';
import type { Pins } from '../pins.ts';
import type { StagedContent, TreeChange, TreeFile, TreeNode } from '../tree.ts';
import { Holdings, type HoldingSums } from './holdings.ts';
import { PinJob, type NotKept, type PinnedKind } from './jobs.ts';
import { PinnedFolders } from './pinned-folders.ts';
import { PinQueue, type Waiting } from './queue.ts';

const log = createLog('pins');

/** Calls are scarce: enough to hide their round trips. */
const FOLDERS_AT_ONCE = 4;
/** Small files cost a round trip each; a large one fills the line by itself. */
const FILES_AT_ONCE = 6;
/** After a failure; doubles up to the second one while nothing gets better. */
const RETRY_MS = 5_000;
const RETRY_MS_MAX = 300_000;
/** Of the cache, what is left for its index, for what is being written, and for what is merely read. */
const UNPINNED_SHARE = 1 / 16;
const PAUSED = 'transfers are paused';

export interface PinKeeperOptions {
  readonly journal: Journal;
  readonly pins: Pins;
  readonly listings: Pick<Listings, 'ensure' | 'onMoved' | 'eventLagMs' | 'lookAgain'>;
  readonly blocks: Pick<ContentBlocks, 'keep' | 'isKept' | 'commit' | 'protected'>;
  /** The size of the cache. */
  readonly cacheBytesMax: number;
  /** Whether the service answered last. */
  readonly isOnline: () => boolean;
  /** Lets go of staged content that the service has as well. */
  readonly forgetKept: (inode: number, generation: number) => void;
  /** For tests. */
  readonly retryMs?: number | undefined;
}

/** How far it is. */
export interface PinStatus extends HoldingSums {
  /** What is pinned itself. */
  readonly nodes: readonly TreeNode[];
  /** Folders whose content is not known yet. */
  readonly foldersLeft: number;
  /** Why something is not here, if there is a reason. */
  readonly trouble: string | undefined;
}

/** What is pinned would not fit into the cache. */
export class NoRoom extends Error {
  /** What it means to a program. */
  readonly code = 'ENOSPC';
}

export class PinKeeper {
  readonly #options: PinKeeperOptions;
  readonly #holdings: Holdings;
  readonly #bytesMax: number;
  readonly #folders: PinnedFolders;
  readonly #queue = new PinQueue();
  readonly #running = { directory: new Map<number, Waiting>(), file: new Map<number, Waiting>() };
  /** Staged content that goes when the service's version of it is here, by inode. */
  readonly #toForget = new Map<number, number>();
  readonly #work = new Set<Promise<void>>();
  readonly #unsubscribe: () => void;
  #stopping = new AbortController();
  #started = false;
  #paused = false;
  #stopped = false;
  /** Requests that have not found out yet whether what they want fits. */
  #undecided = 0;
  #fetchingBytes = 0;
  #retryMs: number;
  #retryTimer: NodeJS.Timeout | undefined;
  #rechecks = Promise.resolve();

  constructor(options: PinKeeperOptions) {
    this.#options = options;
    this.#holdings = new Holdings(options.blocks);
    const { journal, pins, listings } = options;
    this.#folders = new PinnedFolders({ tree: journal.tree, pins, listings, isPaused: () => this.#paused });
    this.#bytesMax = options.cacheBytesMax * (1 - UNPINNED_SHARE);
    this.#retryMs = options.retryMs ?? RETRY_MS;
    // Until the pinned files are looked through, any block may be one of theirs.
    if (options.blocks.protected !== undefined) options.blocks.protected.all = !options.pins.empty;
    this.#unsubscribe = options.journal.tree.onChange((change) => this.#heard(change));
  }

  /** Goes on with what earlier processes were told to keep. Does not wait for any of it. */
  start(): void {
    this.#started = true;
    for (const node of this.#options.pins.nodes()) this.#add(node, undefined);
    this.#pump();
    this.#folders.start();
  }

  /**
   * Pins, and resolves when all of it is here or has failed; without `wait`, when it is known that it fits. Rejects, with nothing pinned,
   * where it does not, and with the signal's reason, with everything pinned: it goes on.
   */
  async pin(nodes: readonly TreeNode[], wait: boolean, signal: AbortSignal): Promise<readonly NotKept[]> {
    const { pins } = this.#options;
    const fresh = pins.add(nodes.map(({ inode }) => inode));
    const job = new PinJob();
    this.#undecided += 1;
    try {
      for (const node of nodes) this.#add(node, job);
      this.#pump();
      await job.listed(signal);
      const { bytes } = this.#holdings.sums;
      if (bytes > this.#bytesMax) {
        pins.remove(fresh);
        await this.#recheck();
        throw new NoRoom(this.#tooLargeText(bytes));
      }
    } finally {
      this.#undecided -= 1;
      this.#pump();
    }
    if (wait) {
      await job.done(signal);
      this.#options.blocks.commit();
    }
    return job.failed;
  }

  /** Pins without waiting for anything. Throws where a file's content cannot fit. */
  pinSoon(node: TreeNode): void {
    const { pins } = this.#options;
    const content = node.kind === 'file' && pins.above(node) === undefined ? this.#contentOf(node) : undefined;
    const bytes = this.#holdings.sums.bytes + (content?.lengthBytes ?? 0);
    if (bytes > this.#bytesMax) throw new NoRoom(this.#tooLargeText(bytes));
    pins.add([node.inode]);
    this.#add(node, undefined);
    this.#pump();
  }

  /** Takes the pins of a node and of all below it away; returns how many there were. What is here stays until room is needed. */
  unpin(node: TreeNode): number {
    const count = this.#options.pins.removeBelow(node);
    if (count > 0) this.#recheckSoon();
    return count;
  }

  status(): PinStatus {
    const { sums } = this.#holdings;
    const { folders, reason } = this.#queue.troubles();
    return {
      ...sums,
      nodes: this.#options.pins.nodes(),
      foldersLeft: this.#queue.size('directory') + this.#running.directory.size + folders,
      trouble: sums.bytes > this.#bytesMax ? this.#tooLargeText(sums.bytes) : reason,
    };
  }

  /** Fetches nothing until {@link resume}. */
  pause(): void {
    this.#paused = true;
    this.#stopping.abort(new Error(PAUSED));
    this.#stopping = new AbortController();
    this.#queue.failAll(PAUSED);
  }

  resume(): void {
    this.#paused = false;
    this.#retry();
    this.#folders.lookSoon();
  }

  /**
   * Room is wanted for staged content that the service has too: true where nobody needs it any more. What is pinned is needed until the
   * service's version of it is here; then it is let go of.
   */
  letGo(inode: number, generation: number): boolean {
    const { journal, pins, blocks } = this.#options;
    const node = journal.tree.node(inode);
    if (node?.kind !== 'file' || pins.above(node) === undefined) return true;
    const version = journal.version(node);
    if (version === undefined || blocks.isKept(version)) return true;
    this.#toForget.set(inode, generation);
    this.#consider(node, undefined);
    this.#pump();
    return false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    clearTimeout(this.#retryTimer);
    this.#queue.failAll('the drive is being unmounted');
    this.#stopping.abort(new Error('the drive is being unmounted'));
    await Promise.all([this.#folders.stop(), ...this.#work]);
  }

  // What is to be done.

  #add(node: TreeNode, job: PinJob | undefined): void {
    const jobs = job === undefined ? [] : [job];
    if (node.kind === 'directory') this.#queue.add('directory', node.inode, jobs);
    else this.#consider(node, jobs);
  }

  /** What a file needs is protected, and fetched if it is not here. */
  #consider(file: TreeFile, jobs: Iterable<PinJob> = []): void {
    const content = this.#contentOf(file);
    if (content === undefined || content.lengthBytes === 0) {
      this.#holdings.delete(file.inode);
      return;
    }
    if (!this.#holdings.set(file.inode, content).isStored) this.#queue.add('file', file.inode, jobs);
  }

  /** What the service has and a program would need to read the file: all of it, or what shows through below what was written here. */
  #contentOf(file: TreeFile): ContentReference | undefined {
    if (file.staged === undefined || this.#toForget.has(file.inode)) return this.#options.journal.version(file);
    return versionBelow(file.staged);
  }

  #pump(): void {
    if (!this.#started || this.#stopped) return;
    if (this.#paused) {
      this.#queue.failAll(PAUSED);
      return;
    }
    this.#begin('directory', FOLDERS_AT_ONCE, (inode, waiting) => this.#list(inode, waiting.jobs));
    if (
      this.#queue.size('directory') + this.#running.directory.size === 0 &&
      this.#options.blocks.protected !== undefined
    ) {
      this.#options.blocks.protected.all = false;
    }
    if (this.#undecided === 0) this.#begin('file', FILES_AT_ONCE, (inode, { jobs }) => this.#fetch(inode, jobs));
  }

  #begin(kind: PinnedKind, most: number, work: (inode: number, waiting: Waiting) => Promise<void>): void {
    const running = this.#running[kind];
    while (running.size < most) {
      // Asked for anew while it is on its way: afterwards.
      const next = this.#queue.take(kind, running);
      if (next === undefined) return;
      const [inode, one] = next;
      running.set(inode, one);
      const done = work(inode, one)
        .then(
          () => this.#succeeded(inode, one),
          (error: unknown) => this.#failed(inode, one, error),
        )
        .finally(() => {
          running.delete(inode);
          this.#work.delete(done);
          this.#pump();
        });
      this.#work.add(done);
    }
  }

  async #list(inode: number, jobs: ReadonlySet<PinJob>): Promise<void> {
    const { listings, pins, journal } = this.#options;
    const { tree } = journal;
    const { signal } = this.#stopping;
    const directory = tree.node(inode);
    if (directory?.kind !== 'directory' || pins.above(directory) === undefined) return;
    this.#folders.add(inode);
    // Who asks for it now wants what is there now; what is known of old is brought up to date by and by.
    if (jobs.size > 0 || tree.listing(inode) === undefined)
      await listings.ensure(directory, signal, { callClass: 'prefetch' });
    const slices = new Slices();
    const children: TreeNode[] = [...tree.children(inode)];
    for (const child of children) {
      if (slices.due) await slices.pause();
      if (this.#stopped) return;
      if (child.kind === 'directory') this.#queue.add('directory', child.inode, jobs);
      else this.#consider(child, jobs);
    }
  }

  async #fetch(inode: number, jobs: ReadonlySet<PinJob>): Promise<void> {
    const { blocks, forgetKept } = this.#options;
    const holding = this.#holdings.get(inode);
    if (holding === undefined || holding.isStored) return;
    const { bytes, bytesLeft } = this.#holdings.sums;
    if (bytes - bytesLeft + this.#fetchingBytes + holding.bytes > this.#bytesMax) {
      throw new NoRoom(this.#tooLargeText(bytes));
    }
    this.#fetchingBytes += holding.bytes;
    try {
      await blocks.keep(holding.content, this.#stopping.signal);
    } finally {
      this.#fetchingBytes -= holding.bytes;
    }
    const now = this.#holdings.get(inode);
    if (now !== holding) {
      // It has changed meanwhile: who waits for it waits for what it is now.
      if (now?.isStored === false) this.#queue.add('file', inode, jobs);
      return;
    }
    this.#holdings.stored(holding);
    const generation = this.#toForget.get(inode);
    if (generation !== undefined) {
      this.#toForget.delete(inode);
      forgetKept(inode, generation);
    }
  }

  #succeeded(inode: number, { kind, jobs }: Waiting): void {
    this.#retryMs = this.#options.retryMs ?? RETRY_MS;
    for (const job of jobs) job.ended(kind);
    log('%s %d is here', kind, inode);
  }

  #failed(inode: number, waiting: Waiting, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#queue.failed(inode, waiting, reason);
    const away = error instanceof RemoteError && error.kind === 'unavailable' && !this.#options.isOnline();
    // Each of the others would find out by itself, after all its tries.
    if (away) this.#queue.failAll(reason);
    if (!this.#paused) this.#retryLater();
  }

  #retryLater(): void {
    if (this.#retryTimer !== undefined || this.#stopped) return;
    this.#retryTimer = setTimeout(() => this.#retry(), this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
  }

  #retry(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#queue.again();
    this.#pump();
  }

  // What changes meanwhile.

  #heard(change: TreeChange): void {
    const { pins, journal } = this.#options;
    const wasPinned = change.kind === 'removed' && pins.has(change.previous.inode);
    pins.follow(change);
    if (wasPinned) {
      const now = journal.tree.child(change.previous.parent, change.previous.name);
      if (now !== undefined && pins.has(now.inode)) this.#add(now, undefined);
    }
    const node = change.kind === 'removed' ? change.previous : change.current;
    if (change.kind !== 'removed' && pins.above(node) !== undefined) {
      if (node.kind === 'file' || isElsewhere(change)) this.#add(node, undefined);
      this.#pump();
    } else if (node.kind === 'file') this.#letGoOf(node.inode);
    else if (change.kind === 'removed' || isElsewhere(change)) {
      if (!pins.empty || wasPinned) this.#recheckSoon();
    }
  }

  #letGoOf(inode: number): void {
    this.#holdings.delete(inode);
    this.#queue.forget(inode);
    this.#toForget.delete(inode);
  }

  #recheckSoon(): void {
    const work = this.#recheck().finally(() => this.#work.delete(work));
    this.#work.add(work);
  }

  /** Lets go of what is not pinned any more, and of what is gone; what changes while that goes on is looked at afterwards. */
  #recheck(): Promise<void> {
    this.#rechecks = this.#rechecks
      .then(() => this.#recheckAll())
      // Until the next one, more is kept than has to be.
      .catch((error: unknown) => log('what is pinned was not looked through: %O', error));
    return this.#rechecks;
  }

  async #recheckAll(): Promise<void> {
    const { pins, journal } = this.#options;
    const slices = new Slices();
    for (const inode of [...this.#holdings.inodes(), ...this.#queue.failedInodes()]) {
      if (slices.due) await slices.pause();
      if (this.#stopped) break;
      const node = journal.tree.node(inode);
      if (node === undefined || pins.above(node) === undefined) this.#letGoOf(inode);
    }
  }

  #tooLargeText(bytes: number): string {
    const { cacheBytesMax } = this.#options;
    const wanted = formatSize(bytes / (1 - UNPINNED_SHARE));
    return `what is pinned would take ${formatSize(bytes)}, and a cache of ${formatSize(cacheBytesMax)} keeps ${formatSize(this.#bytesMax)} at most: mount with --cache-size of more than ${wanted}`;
  }
}

/** It has come to its folder by this change. */
function isElsewhere(change: TreeChange): boolean {
  return change.kind === 'added' || (change.kind === 'changed' && change.previous.parent !== change.current.parent);
}

/** The version of the service that shows through below staged content. */
function versionBelow(staged: StagedContent): ContentReference | undefined {
  const { base } = staged;
  if (base === undefined) return undefined;
  return base.kind === 'version' ? base.content : versionBelow(base.staged);
}
