// Who asks: a person's program, that looks into a few folders and wants them as they are now, or one that walks over everything. A walk is
// shown what is known where that may have changed, and what crawls in the background gives way to people in the call budget. Tells them
// apart by how many folders a process asks for and by its name. Makes no calls.
import { processName } from '../base/process-name.ts';
import type { Asker } from '../cache/listings.ts';
import type { Caller } from './operations.ts';

/** Folders that may have changed and that one process waits for within {@link WALK_MS}; whoever asks for more walks. */
const WAITS_MAX = 4;
const WALK_MS = 5_000;
/** Listings that one process may cause within {@link CRAWL_MS} before it gives way to everybody else. */
const LISTINGS_MAX = 300;
const CRAWL_MS = 60_000;
/** A process may become another program. */
const NAME_MS = 10_000;
const PROCESSES_MAX = 256;

/** Programs that go through everything whether somebody waits or not, by their names of at most 15 bytes. */
const crawlers: ReadonlySet<string> = new Set([
  'updatedb',
  'updatedb.mlocat',
  'updatedb.plocat',
  'mlocate',
  'plocate',
  'tracker-miner-f',
  'tracker-extract',
  'localsearch-3',
  'localsearch-ext',
  'baloo_file',
  'baloo_file_extr',
  'recollindex',
  'tumblerd',
  'zeitgeist-daemo',
  'rygel',
  'minidlnad',
  'clamscan',
  'clamd',
]);
/** Programs that sum up a tree: what is known is what they want, in a moment. */
const walkers: ReadonlySet<string> = new Set(['du', 'ncdu', 'baobab']);

interface Process {
  readonly name: string;
  readonly namedMs: number;
  listings: number;
  listingsSinceMs: number;
  readonly waited: Set<number>;
  waitedSinceMs: number;
}

/** What is known of who asks; for tests. */
export interface AskersOptions {
  /** Monotonic. */
  readonly nowMs?: (() => number) | undefined;
  readonly nameOf?: ((pid: number) => string | undefined) | undefined;
}

export class Askers {
  readonly #nowMs: () => number;
  readonly #nameOf: (pid: number) => string | undefined;
  /** By pid, the one longest unheard of first. */
  readonly #processes = new Map<number, Process>();

  constructor({ nowMs, nameOf }: AskersOptions = {}) {
    this.#nowMs = nowMs ?? ((): number => performance.now());
    this.#nameOf = nameOf ?? processName;
  }

  /** Somebody asks for a folder that is not known to be as it is shown. */
  of({ pid }: Pick<Caller, 'pid'>): Asker {
    const now = this.#nowMs();
    const process = this.#process(pid, now);
    if (now - process.listingsSinceMs > CRAWL_MS) {
      process.listings = 0;
      process.listingsSinceMs = now;
    }
    process.listings += 1;
    const crawls = crawlers.has(process.name) || process.listings > LISTINGS_MAX;
    return {
      callClass: crawls ? 'background' : 'interactive',
      minds: (inode) => !crawls && !walkers.has(process.name) && this.#waits(process, inode, now),
    };
  }

  /** True for a program that is known to go through everything: nothing is fetched ahead of it. */
  crawls({ pid }: Pick<Caller, 'pid'>): boolean {
    return crawlers.has(this.#process(pid, this.#nowMs()).name);
  }

  #waits(process: Process, inode: number, now: number): boolean {
    if (now - process.waitedSinceMs > WALK_MS) {
      process.waited.clear();
      process.waitedSinceMs = now;
    }
    if (process.waited.size >= WAITS_MAX && !process.waited.has(inode)) {
      // As long as it goes on walking.
      process.waitedSinceMs = now;
      return false;
    }
    process.waited.add(inode);
    return true;
  }

  #process(pid: number, now: number): Process {
    const known = this.#processes.get(pid);
    this.#processes.delete(pid);
    const process =
      known !== undefined && now - known.namedMs < NAME_MS
        ? known
        : {
            listings: 0,
            listingsSinceMs: now,
            waited: new Set<number>(),
            waitedSinceMs: now,
            ...known,
            name: this.#nameOf(pid) ?? '',
            namedMs: now,
          };
    this.#processes.set(pid, process);
    const [oldest] = this.#processes.keys();
    if (this.#processes.size > PROCESSES_MAX && oldest !== undefined) this.#processes.delete(oldest);
    return process;
  }
}
