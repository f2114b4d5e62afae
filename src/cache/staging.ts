// Written content on this machine. A file being written is a generation: a sparse file in the staging directory and, in memory and in the
// journal, what is valid in it; what was not written shows through from a version of the service or from the generation before. Promises
// that what the journal names is there after any crash, byte for byte (J1), whatever was being written over it. Knows no names.
//
// Invariants, asserted in tests:
// G1 a generation that the journal names, or is about to name, is not changed by writes: the first one after a commit begins another.
// G2 a file goes when neither the journal names its generation, safely against power loss, nor anybody in this process reads it.
// G3 what shows of a committed generation is the same at every moment while it is filled (fill.ts) or folded (fold.ts).
import { chmod, mkdir } from 'node:fs/promises';
import type { ContentBlocks } from './blocks.ts';
import type { HandleReader } from './staging/content-reader.ts';
import { type AbandonedContent, abandonedContent } from './staging/abandoned.ts';
import { DiskRoom } from './staging/disk-room.ts';
import { fill } from './staging/fill.ts';
import { Folding } from './staging/fold.ts';
import { GapFilling } from './staging/gap-filling.ts';
import { type Generation, resolved } from './staging/generation.ts';
import { Generations } from './staging/generations.ts';
import { type Evict, KeptGenerations } from './staging/kept.ts';
import { type ContentOrigin, type ContentSurroundings, OpenContent } from './staging/open-content.ts';
import { ReadBuffers } from './staging/read-buffers.ts';
import { type SealedContent, SealedGeneration } from './staging/sealed-content.ts';
import { secureBytes } from './staging/secure.ts';
import { StagedFiles, type StagingSystem } from './staging/staged-files.ts';
import { StagingError, type StagingErrorCode } from './staging/staging-error.ts';
import type { StagedContent } from './tree/records.ts';

export {
  type ContentOrigin,
  type Evict,
  type HandleReader,
  OpenContent,
  type SealedContent,
  StagingError,
  type StagingErrorCode,
};

/** For the tree's database, the logs and everybody else on that disk, who fail worse than a program that hears ENOSPC. */
const defaultReserveBytes = 256 * 2 ** 20;
/** What was written lately is what is read next; beyond this the cache of blocks does it as well. */
const defaultKeptBytesMax = 1024 * 2 ** 20;
/** Files looked at or synced at a time, when there are many. */
const batchSize = 16;

/** Where written content lies, and what it may take. */
export interface StagingOptions {
  /** Made if missing; nobody else's files are in it. */
  readonly directory: string;
  /** Reads versions of the service. */
  readonly blocks: Pick<ContentBlocks, 'reader'>;
  /** Free space of the disk that is left to others: where it would be touched, writes fail with ENOSPC. */
  readonly reserveBytes?: number | undefined;
  /** So many bytes would be welcome on the disk, soon: other caches on it give way, too. */
  readonly onScarce?: ((lackingBytes: number) => void) | undefined;
  /** What stored generations may take that are kept as cache. */
  readonly keptBytesMax?: number | undefined;
  /** Files that nobody needs any more are kept, empty, for new ones: so many. Default: none. */
  readonly spareFilesMax?: number | undefined;
  /** Resolves when what the journal was told so far is safe against power loss: files go only then. Default: at once. */
  readonly journalFlushed?: (() => Promise<unknown>) | undefined;
  /** Stands in for the operating system, for tests. */
  readonly system?: Partial<StagingSystem> | undefined;
}

/** What lies in the staging directory. */
export interface StagingStatistics {
  readonly files: number;
  /** What they take on disk. */
  readonly bytes: number;
  /** Of these, what only serves as cache. */
  readonly keptBytes: number;
}

/** The staging directory of an account. */
export class Staging {
  readonly #files: StagedFiles;
  readonly #generations: Generations;
  readonly #folding: Folding;
  readonly #kept: KeptGenerations;
  readonly #around: ContentSurroundings;

  private constructor(options: StagingOptions) {
    const { directory, blocks, system } = options;
    const files = new StagedFiles(directory, options.spareFilesMax ?? 0, system);
    const room = new DiskRoom(directory, options.reserveBytes ?? defaultReserveBytes, (bytes) => {
      this.#kept.makeRoom(bytes);
      options.onScarce?.(bytes);
    });
    const generations = new Generations(files, options.journalFlushed ?? (() => Promise.resolve()));
    const folding = new Folding(files, room, generations);
    const buffers = new ReadBuffers();
    const gapFilling = new GapFilling({ files, room, blocks, buffers }, generations);
    this.#files = files;
    this.#generations = generations;
    this.#folding = folding;
    this.#kept = new KeptGenerations({
      bytesMax: options.keptBytesMax ?? defaultKeptBytesMax,
      measured: (id) => files.measured(id),
      inUse: (id) => generations.inUse(id),
      inBackground: (work) => generations.inBackground(work),
    });
    this.#around = {
      files,
      blocks,
      room,
      generations,
      folding,
      gapFilling,
      buffers,
      sync: (records) => this.#sync(records),
      onNamed: (ids) => ids.forEach((id) => this.#kept.remove(id)),
    };
  }

  /** Opens the directory, and makes it where it is missing. Deletes nothing: {@link sweep} does, once, before anything is written. */
  static async open(options: StagingOptions): Promise<Staging> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    await chmod(options.directory, 0o700);
    const staging = new Staging(options);
    for (const id of await staging.#files.list()) staging.#files.seen(id);
    staging.#files.makeSpares();
    return staging;
  }

  /** Deletes every file whose number is not in `named`: what the journal names, unfinished generations and all. */
  async sweep(named: ReadonlySet<number>): Promise<void> {
    for (const id of named) this.#files.seen(id);
    const ids = await this.#files.list();
    for (let at = 0; at < ids.length; at += batchSize) {
      await Promise.all(
        ids.slice(at, at + batchSize).map((id) => (named.has(id) ? this.#files.adopt(id) : this.#files.sweep(id))),
      );
    }
  }

  /** The content of an opened file; one for all its handles, so that each sees what the others write. To be closed. */
  openContent(origin: ContentOrigin): OpenContent {
    if (origin.staged !== undefined) this.#kept.touch(origin.staged.id);
    return new OpenContent(origin, this.#around);
  }

  /**
   * Makes a committed generation complete, which fetches what shows through from the service, and immutable until it is closed. Rejects
   * with RemoteError, StagingError or the signal's reason; what was fetched until then is not fetched again.
   */
  async seal(staged: StagedContent, signal: AbortSignal): Promise<SealedContent> {
    const generation = this.#generations.of(staged);
    const record = this.#generations.holdRecord(staged);
    const hold = this.#generations.hold(generation);
    for (const each of foldTargets(generation)) each.seals++;
    const onClose = (): void => {
      // It may have been folded into another one since.
      for (const each of foldTargets(generation)) each.seals--;
      hold.release();
      record.release();
      this.#folding.settle(generation.lineage);
    };
    try {
      await fill(generation, this.#around, signal);
    } catch (error) {
      onClose();
      throw error;
    }
    return new SealedGeneration(generation, {
      files: this.#files,
      sync: () => this.#sync([staged, generation.record()]),
      onClose,
    });
  }

  /** Makes the bytes of what the journal names, and their files' names, safe against power loss. Rejects with StagingError. */
  sync(staged: StagedContent): Promise<void> {
    return this.#sync([staged]);
  }

  /** The journal does not name this generation any more: its file goes when nobody reads it. Unknown ones are none of its business. */
  drop(id: number): void {
    this.#kept.remove(id);
    this.#generations.drop(id);
  }

  /**
   * The content is at the service; the tree goes on naming this generation, which is complete (see {@link SealedContent.staged}), until
   * room is needed: then `evict` forgets it in a transaction, and its files go after that. To be called again after each start.
   */
  keep(staged: StagedContent, evict: Evict): void {
    this.#kept.keep(staged, evict);
  }

  /** What was written of a generation that nobody finished. */
  abandoned(id: number): AbandonedContent {
    return abandonedContent(this.#files.pathOf(id));
  }

  statistics(): StagingStatistics {
    return { files: this.#files.count, bytes: this.#files.allocatedBytes, keptBytes: this.#kept.bytes };
  }

  /** Resolves when nothing is being folded or deleted in the background. */
  idle(): Promise<void> {
    return this.#generations.idle();
  }

  /** Ends what is under way and closes the files; contents still open can't be used any more. */
  async stop(): Promise<void> {
    this.#folding.stop();
    this.#around.gapFilling.stop();
    await this.#generations.stop();
    await this.#files.close();
  }

  async #sync(records: readonly StagedContent[]): Promise<void> {
    const holds = records.map((staged) => this.#generations.holdRecord(staged));
    try {
      const generations = new Set(holds.flatMap((hold) => hold.generations));
      const ids = [...generations].map(({ id }) => id);
      await Promise.all([...[...generations].map((each) => this.#syncGeneration(each)), this.#files.syncNames(ids)]);
    } finally {
      for (const hold of holds) hold.release();
    }
  }

  #syncGeneration(generation: Generation): Promise<void> {
    generation.promised = generation.holdsPromised = true;
    return secureBytes(generation, this.#files);
  }
}

/** A generation, and those whose files hold its content since. */
function foldTargets(generation: Generation): Generation[] {
  const last = resolved(generation);
  const targets = [generation];
  for (let at = generation; at !== last; at = at.foldedInto ?? last) targets.push(at.foldedInto ?? last);
  return targets;
}
