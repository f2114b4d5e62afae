// The content of one opened file, as programs see and change it. Writes go to a generation that nobody else sees until commit() names it;
// what the journal names is never changed by what was not committed. Knows neither names nor inodes; the journal is its owner's.
import type { Waiting } from '../../base/after-reply.ts';
import type { ContentReference } from '../../remote-drive.ts';
import { blockCountMax, blockSizeBytes } from '../blocks/block.ts';
import type { StagedContent } from '../tree/records.ts';
import { type HandleReader, type ReaderSurroundings, StagedReader } from './content-reader.ts';
import type { DiskRoom } from './disk-room.ts';
import type { Folding } from './fold.ts';
import type { GapFilling } from './gap-filling.ts';
import { type Generation, idsOf, generationsBelow, lengthOf, resolved, type Source } from './generation.ts';
import type { Generations, Hold } from './generations.ts';
import { RunningHash } from './running-hash.ts';
import { StagingError } from './staging-error.ts';

/** The largest content that can be read back in blocks: 8 TiB, more than any vault stores. */
export const fileBytesMax = blockCountMax * blockSizeBytes;

/** What the journal has of a file: the service's version, and what is staged over it. */
export interface ContentOrigin {
  readonly version: ContentReference | undefined;
  readonly staged: StagedContent | undefined;
}

/** What an open content works with. */
export interface ContentSurroundings extends ReaderSurroundings {
  readonly room: DiskRoom;
  readonly generations: Generations;
  readonly folding: Folding;
  readonly gapFilling: GapFilling;
  /** Makes all files that these name, and the names, safe against power loss. */
  readonly sync: (records: readonly StagedContent[]) => Promise<void>;
  /** The journal names these as pending now. */
  readonly onNamed: (ids: readonly number[]) => void;
}

interface InFlight {
  readonly generation: Generation;
  readonly staged: StagedContent;
  readonly hold: Hold;
}

/** The content of one open file, for all its handles. */
export class OpenContent {
  readonly #around: ContentSurroundings;
  readonly #hash = new RunningHash();
  /** What writes go over: the last commit, or what was there at first. */
  #top: Source | undefined;
  #topHold: Hold | undefined;
  #writing: Generation | undefined;
  #writingHold: Hold | undefined;
  #dirty = false;
  /** What the last commit returned, or the journal had at first. */
  #latest: StagedContent | undefined;
  /** What the journal has. */
  #named: StagedContent | undefined;
  /** Commits the journal has not told of yet, oldest first. */
  readonly #inFlight: InFlight[] = [];
  #closed = false;

  constructor(origin: ContentOrigin, around: ContentSurroundings) {
    this.#around = around;
    this.#adopt(origin);
  }

  /** As programs see it. */
  get lengthBytes(): number {
    return lengthOf(this.#source);
  }

  /** Changed since the last commit(). */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** Of the generation that takes writes now; undefined until the first write after opening, and after each commit. */
  get writingId(): number | undefined {
    return this.#writing?.id;
  }

  /** A reader for one handle, to be closed with it. */
  reader(): HandleReader {
    return new StagedReader(() => {
      this.#refuseClosed();
      return this.#source;
    }, this.#around);
  }

  /**
   * As pwrite(2) of all of `data`, for somebody who waits or for nobody. Throws StagingError; the content is then as before, but for bytes of
   * `data` where it had been written before.
   */
  write(offsetBytes: number, data: Uint8Array, waiting?: Waiting): void {
    if (data.length === 0) return;
    const endBytes = offsetBytes + data.length;
    refuseTooLarge(endBytes);
    this.#around.room.take(data.length);
    const generation = this.#begin();
    if (endBytes > generation.lengthBytes) this.#cleanEnd(generation);
    try {
      this.#around.files.write(generation.id, data, offsetBytes);
    } catch (error) {
      generation.overlong = true;
      this.#hash.changed(offsetBytes);
      throw error;
    }
    generation.filled(offsetBytes, endBytes);
    this.#hash.wrote(offsetBytes, data, waiting);
    this.#dirty = true;
    this.#around.gapFilling.check(generation);
  }

  /** Resolves when hashing has caught up so far that the next write holds up nobody else; undefined where it has. */
  keptUp(): Promise<void> | undefined {
    return this.#hash.keptUp();
  }

  /** As ftruncate(2): what is added is zeros. Throws StagingError. */
  truncate(lengthBytes: number): void {
    refuseTooLarge(lengthBytes);
    if (lengthBytes === this.lengthBytes) return;
    const generation = this.#begin();
    if (lengthBytes > generation.lengthBytes) this.#cleanEnd(generation);
    this.#around.files.truncate(generation.id, lengthBytes);
    generation.resized(lengthBytes);
    this.#hash.changed(lengthBytes);
    this.#dirty = true;
  }

  /** As fallocate(2) without flags, or with FALLOC_FL_KEEP_SIZE: the content grows to the range's end, in zeros, unless it keeps its size. */
  allocate(offsetBytes: number, lengthBytes: number, keepSize: boolean): void {
    const endBytes = offsetBytes + lengthBytes;
    refuseTooLarge(endBytes);
    this.#around.room.take(lengthBytes);
    const oldBytes = this.lengthBytes;
    if (keepSize || endBytes <= oldBytes) return;
    const generation = this.#begin();
    this.#cleanEnd(generation);
    try {
      this.#around.files.allocate(generation.id, Math.max(oldBytes, offsetBytes), endBytes);
    } catch (error) {
      generation.overlong = true;
      throw error;
    }
    generation.resized(endBytes);
    this.#dirty = true;
  }

  /** As fallocate(2) with FALLOC_FL_PUNCH_HOLE, or with FALLOC_FL_ZERO_RANGE and FALLOC_FL_KEEP_SIZE: what of the range lies in the content is zeros. */
  punch(offsetBytes: number, lengthBytes: number): void {
    refuseTooLarge(offsetBytes + lengthBytes);
    const endBytes = Math.min(this.lengthBytes, offsetBytes + lengthBytes);
    if (endBytes <= offsetBytes) return;
    const generation = this.#begin();
    this.#hash.changed(offsetBytes);
    this.#around.files.clear(generation.id, offsetBytes, endBytes);
    generation.filled(offsetBytes, endBytes);
    this.#dirty = true;
  }

  /** As fallocate(2) with FALLOC_FL_ZERO_RANGE: the range is zeros, and the content as long as that. */
  zeroRange(offsetBytes: number, lengthBytes: number): void {
    this.punch(offsetBytes, lengthBytes);
    const endBytes = offsetBytes + lengthBytes;
    if (endBytes > this.lengthBytes) this.truncate(endBytes);
  }

  /**
   * What the journal shall name: all bytes of it are in its file (J1). Clears `dirty`; later writes go to another generation. Takes no
   * longer for large content. Without a change since the last commit it returns that one again.
   */
  commit(): StagedContent {
    if (!this.#dirty && this.#latest !== undefined) return this.#latest;
    const generation = this.#begin();
    generation.sha256 = this.#hash.digest(generation.lengthBytes);
    this.#around.files.measure(generation.id);
    const staged = generation.record();
    const { generations } = this.#around;
    this.#inFlight.push({ generation, staged, hold: generations.hold(generation) });
    this.#setTop(generation);
    this.#setWriting(undefined);
    this.#dirty = false;
    return (this.#latest = staged);
  }

  /** The journal names what commit() returned, instead of all it named for this content before. */
  committed(staged: StagedContent): void {
    const at = this.#inFlight.findIndex(({ generation }) => generation.id === staged.id);
    if (at < 0) return;
    const told = this.#inFlight.splice(0, at + 1);
    const { generation } = told.at(-1) as InFlight;
    const { lineage } = generation;
    const { generations, folding, onNamed } = this.#around;
    const before = this.#named;
    const ids = idsOf(staged);
    this.#named = staged;
    lineage.top = generation;
    generations.name(staged, () => folding.settle(lineage));
    onNamed(ids);
    if (before !== undefined) for (const id of idsOf(before)) if (!ids.includes(id)) generations.drop(id);
    for (const { hold } of told) hold.release();
    folding.settle(lineage);
    for (const each of generationsBelow(lineage.top)) this.#around.gapFilling.check(each);
  }

  /** Makes safe against power loss what has been committed, the journal apart. Rejects with StagingError. */
  async sync(): Promise<void> {
    const records = this.#inFlight.map(({ staged }) => staged);
    if (this.#named !== undefined) records.push(this.#named);
    await this.#around.sync(records);
  }

  /** The journal has other names for the same bytes: what was uploaded is a version of the service. Changes that are not committed stay. */
  rebase(origin: ContentOrigin): void {
    if (this.#dirty || this.#inFlight.length > 0) return;
    const lengthBytes = origin.staged?.lengthBytes ?? origin.version?.lengthBytes ?? 0;
    if (lengthBytes !== this.lengthBytes) {
      throw new Error(`content of ${this.lengthBytes} bytes can't be that of ${lengthBytes} bytes`);
    }
    this.#setWriting(undefined);
    this.#adopt(origin);
  }

  /**
   * The last handle is gone. What was not committed is discarded; files that the journal does not name are deleted, unless `keepsBytes`:
   * those of commits that the journal was not told of stay until the next start then.
   */
  close(keepsBytes = false): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#hash.close();
    this.#setWriting(undefined);
    this.#setTop(undefined);
    if (!keepsBytes) for (const { hold } of this.#inFlight.splice(0)) hold.release();
  }

  get #source(): Source | undefined {
    return this.#writing ?? this.#top;
  }

  #adopt({ version, staged }: ContentOrigin): void {
    const versionSource: Source | undefined = version === undefined ? undefined : { kind: 'version', content: version };
    this.#setTop(staged === undefined ? versionSource : this.#around.generations.of(staged));
    this.#latest = this.#named = staged;
  }

  /** The generation that takes writes, where need be a new one that shows what was there. */
  #begin(): Generation {
    if (this.#writing !== undefined) return this.#writing;
    this.#refuseClosed();
    const { generations, files } = this.#around;
    const shownBytes = this.lengthBytes;
    const base = this.#top?.kind === 'staged' ? resolved(this.#top) : this.#top;
    const generation = generations.begin(base, shownBytes);
    try {
      // Its file is as long as the content at any time: whoever reads a range of it never meets its end.
      if (shownBytes > 0) files.truncate(generation.id, shownBytes);
    } catch (error) {
      generations.hold(generation).release();
      throw error;
    }
    this.#setWriting(generation);
    return generation;
  }

  /** Takes away what a failed write may have left behind the content's end, before that is moved. */
  #cleanEnd(generation: Generation): void {
    if (!generation.overlong) return;
    this.#around.files.truncate(generation.id, generation.lengthBytes);
    generation.overlong = false;
  }

  #refuseClosed(): void {
    if (this.#closed) throw new Error('content was used after it was closed');
  }

  #setWriting(generation: Generation | undefined): void {
    const hold = this.#writingHold;
    this.#writing = generation;
    this.#writingHold = generation === undefined ? undefined : this.#around.generations.hold(generation);
    hold?.release();
  }

  #setTop(source: Source | undefined): void {
    const hold = this.#topHold;
    this.#top = source;
    this.#topHold = source?.kind === 'staged' ? this.#around.generations.hold(source) : undefined;
    hold?.release();
  }
}

function refuseTooLarge(lengthBytes: number): void {
  if (lengthBytes <= fileBytesMax) return;
  throw new StagingError('EFBIG', `a file of ${lengthBytes} bytes is larger than any vault stores`);
}
