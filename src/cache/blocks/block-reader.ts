// One open file: answers its reads, from memory at once, and has content fetched ahead of it as its pattern suggests. Knows
// nothing of transfers or of the disk.
import { type ContentReference } from '../../remote-drive.ts';
import { AccessPattern, aheadOf, type Run } from './access-pattern.ts';
import { type Block, blockSizeBytes } from './block.ts';
import { cutPieces, ReadRequest } from './read-request.ts';
import type { Surroundings } from './surroundings.ts';
import type { VersionContent } from './version-content.ts';

/** More than this ahead of one reader gains nothing: eight times what 30 ms of 400 Mbit/s hold. */
const aheadBytesMax = 16 * 2 ** 20;
/** Of the memory, what one reader may fill ahead of itself: the rest is for other readers and for what was just read. */
const aheadShare = 1 / 4;
/** One range of a stretch fetched ahead: large enough that a round trip between two is hidden by the others in flight. */
const rangeBytesMax = 4 * 2 ** 20;
const rangeBytesMin = 256 * 1024;
/** Ranges in flight ahead of a reader. */
const rangesInFlight = 4;
/** The disk is near: two runs of eight blocks keep it busy. */
const loadAheadBytesMax = 2 * 2 ** 20;

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
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const endBytes = Math.min(this.#content.lengthBytes, offsetBytes + lengthBytes);
    if (endBytes <= offsetBytes) return [];
    const run = this.#pattern.observe(offsetBytes, endBytes);
    const aheadBytes = this.#closed
      ? 0
      : aheadOf(run, Math.min(aheadBytesMax, this.#around.memory.bytesMax * aheadShare));
    const first = Math.floor(offsetBytes / blockSizeBytes);
    const last = Math.floor((endBytes - 1) / blockSizeBytes);
    const present: Block[] = [];
    for (let index = first; index <= last; index++) {
      // What a sequential reader leaves behind is the first to go: it must not push out what others come back to.
      const block = this.#version.find(index, endBytes - index * blockSizeBytes, aheadBytes === 0);
      if (block === undefined) continue;
      block.unused = false;
      present.push(block);
    }
    this.#around.counts.hits += present.length;
    if (present.length === last - first + 1) {
      const pieces = cutPieces(present, offsetBytes, endBytes);
      if (aheadBytes > 0) this.#fetchAhead(run, aheadBytes);
      return pieces;
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const request = new ReadRequest(offsetBytes, endBytes, this.#around.memory, signal);
    const missing: Block[] = [];
    for (let index = first, at = 0; index <= last; index++) {
      if (present[at]?.index === index) at++;
      else missing.push(this.#version.need(index, this));
    }
    request.start(present, missing, (block) => this.#version.left(block));
    this.#version.bring();
    if (aheadBytes > 0) this.#fetchAhead(run, aheadBytes);
    return request.pieces;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#version.closed(this);
  }

  #fetchAhead(run: Run, aheadBytes: number): void {
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
    run.loadedBytes = floorToBlock(loadEnd);
    this.#version.loadAhead(from / blockSizeBytes, Math.ceil(loadEnd / blockSizeBytes), this);
  }
}

function floorToBlock(bytes: number): number {
  return Math.floor(bytes / blockSizeBytes) * blockSizeBytes;
}
