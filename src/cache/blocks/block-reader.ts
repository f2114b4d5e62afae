// One open file: answers its reads, from memory at once, and has content fetched ahead of it as its pattern suggests. Knows
// nothing of transfers or of the disk.
import { abortReason } from '../../base/abort.ts';
import { type ContentReference, RemoteError } from '../../remote-drive.ts';
import { AccessPattern, aheadOf, type Run } from './access-pattern.ts';
import { type Block, blockSizeBytes } from './block.ts';
import { cutPieces, ReadRequest } from './read-request.ts';
import type { Surroundings } from './surroundings.ts';
import type { VersionContent } from './version-content.ts';

/** More than this ahead of one reader gains nothing: eight times what 30 ms of 400 Mbit/s hold. */
const aheadBytesMax = 16 * 2 ** 20;
/** One range of a stretch fetched ahead: large enough that a round trip between two is hidden by the others in flight. */
const rangeBytesMax = 4 * 2 ** 20;
const rangeBytesMin = 256 * 1024;
/** Ranges in flight ahead of a reader. */
const rangesInFlight = 4;
/** The disk is near: two runs of eight blocks keep it busy. */
const loadAheadBytesMax = 2 * 2 ** 20;

/** One read: what it asks for, where it lies, and what should be there for the next one. */
interface Want {
  readonly offsetBytes: number;
  readonly endBytes: number;
  /** Blocks, both inclusive. */
  readonly first: number;
  readonly last: number;
  readonly run: Run;
  readonly aheadBytes: number;
  readonly signal: AbortSignal | undefined;
  readonly isPatient: boolean;
}

export class BlockReader {
  readonly #version: VersionContent;
  readonly #around: Surroundings;
  readonly #content: ContentReference;
  readonly #pattern = new AccessPattern();
  #closed = false;

  constructor(version: VersionContent, around: Surroundings) {
    this.#version = version;
    this.#around = around;
    this.#content = version.content;
    version.readers++;
  }

  read(
    offsetBytes: number,
    lengthBytes: number,
    signal?: AbortSignal,
    isPatient = false,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const endBytes = Math.min(this.#content.lengthBytes, offsetBytes + lengthBytes);
    if (endBytes <= offsetBytes) return [];
    const version = this.#version;
    if (this.#closed) return Promise.reject(new RemoteError('unavailable', 'the file was closed'));
    if (version.stopped !== undefined) return Promise.reject(version.stopped);
    const run = this.#pattern.observe(offsetBytes, endBytes);
    const want: Want = {
      offsetBytes,
      endBytes,
      first: Math.floor(offsetBytes / blockSizeBytes),
      last: Math.floor((endBytes - 1) / blockSizeBytes),
      run,
      aheadBytes: this.#aheadBytes(run),
      signal,
      isPatient,
    };
    const present = this.#present(want);
    this.#around.counts.hits += present.length;
    if (present.length === want.last - want.first + 1) return this.#answer(want, present);
    if (signal?.aborted === true) return Promise.reject(abortReason(signal));

    const { gates } = this.#around;
    const isNear = version.isNear(want.first, want.last);
    const gate = isPatient ? gates.patient : isNear ? gates.disk : gates.drive;
    const bytes = (want.last - want.first + 1) * blockSizeBytes;
    const leave = (): void => gate.leave(version, bytes);
    const entrance = gate.enter(version, bytes, signal);
    if (entrance === undefined) return this.#gather(want, present, leave);
    version.readers++;
    return entrance
      .then(() => {
        if (version.stopped === undefined) return this.#gather(want, this.#present(want), leave);
        leave();
        throw version.stopped;
      })
      .finally(() => version.readGone());
  }

  get trouble(): RemoteError | undefined {
    return this.#version.trouble;
  }

  /** Has those of the blocks [first, end) written that are in memory only. */
  store(first: number, end: number): void {
    this.#version.store(first, end);
  }

  /** Has everything fetched that is not near, for whoever reads it next. */
  fetchAll(): void {
    this.#version.fetchAhead(0, Math.ceil(this.#content.lengthBytes / blockSizeBytes), this);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#around.ahead.gone(this);
    this.#version.closed(this);
  }

  #aheadBytes(run: Run): number {
    const aheadBytes = aheadOf(run, aheadBytesMax);
    return aheadBytes === 0 ? 0 : Math.min(aheadBytes, this.#around.ahead.bytesFor(this));
  }

  /** The blocks that can be answered from now. */
  #present(want: Want): Block[] {
    const present: Block[] = [];
    for (let index = want.first; index <= want.last; index++) {
      // What a sequential reader leaves behind is the first to go: it must not push out what others come back to.
      const block = this.#version.find(index, want.endBytes - index * blockSizeBytes, want.aheadBytes === 0);
      if (block === undefined) continue;
      block.unused = false;
      present.push(block);
    }
    return present;
  }

  #answer(want: Want, present: readonly Block[]): readonly Uint8Array[] {
    const pieces = cutPieces(present, want.offsetBytes, want.endBytes);
    this.#fetchAhead(want);
    return pieces;
  }

  /** Sends for what is missing and waits for it. */
  #gather(want: Want, present: readonly Block[], onEnd: () => void): Promise<readonly Uint8Array[]> {
    const version = this.#version;
    const { memory } = this.#around;
    const { offsetBytes, endBytes, signal, isPatient } = want;
    if (signal?.aborted === true) {
      onEnd();
      return Promise.reject(abortReason(signal));
    }
    if (present.length === want.last - want.first + 1) {
      // It came while the read stood in line.
      memory.afterTick(onEnd);
      return Promise.resolve(this.#answer(want, present));
    }
    const onLeave = (block: Block): void => version.left(block);
    const request = new ReadRequest({ offsetBytes, endBytes, memory, signal, isPatient, onLeave, onEnd });
    const missing: Block[] = [];
    for (let index = want.first, at = 0; index <= want.last; index++) {
      if (present[at]?.index === index) at++;
      else missing.push(version.need(index, this));
    }
    request.start(present, missing);
    for (const block of missing) version.waitedFor(block);
    version.bring();
    this.#fetchAhead(want);
    return request.pieces;
  }

  #fetchAhead({ run, aheadBytes }: Want): void {
    if (aheadBytes === 0 || this.#closed) return;
    const { lengthBytes } = this.#content;
    const end = Math.min(lengthBytes, run.endBytes + aheadBytes);
    const range = Math.min(rangeBytesMax, Math.max(rangeBytesMin, floorToBlock(aheadBytes / rangesInFlight)));
    for (let from = Math.max(run.fetchedBytes, floorToBlock(run.endBytes)); from < end;) {
      const to = Math.min(lengthBytes, from + range);
      // Many small requests would cost a round trip each: wait until a whole range fits.
      if (to > end) break;
      this.#version.fetchAhead(from / blockSizeBytes, Math.ceil(to / blockSizeBytes), this);
      run.fetchedBytes = from = to;
    }
    if (this.#version.disk === undefined) return;
    const loadEnd = Math.min(end, run.endBytes + loadAheadBytesMax);
    const from = Math.max(run.loadedBytes, floorToBlock(run.endBytes));
    if (loadEnd - from < loadAheadBytesMax / 2 && loadEnd < lengthBytes) return;
    if (!this.#version.loadAhead(from / blockSizeBytes, Math.ceil(loadEnd / blockSizeBytes), this)) return;
    run.loadedBytes = floorToBlock(loadEnd);
  }
}

function floorToBlock(bytes: number): number {
  return Math.floor(bytes / blockSizeBytes) * blockSizeBytes;
}
