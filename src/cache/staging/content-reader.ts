// Reads of content that is partly on this machine and partly at the service, for one handle. Promises the content as of when it answers,
// and answers at once where nothing has to be fetched. Knows neither programs nor journal.
import type { ContentReference, RemoteError } from '../../remote-drive.ts';
import type { ContentBlocks, ContentReader } from '../blocks.ts';
import { addRange, coversUpTo, eachPart } from './extents.ts';
import { eachSegment, lengthOf, type Source } from './generation.ts';
import type { ReadBuffers } from './read-buffers.ts';
import type { StagedFiles } from './staged-files.ts';

/** Ranges of a version that lie no further apart are fetched as one: a block's worth costs less than another request. */
const joinedGapBytesMax = 128 * 1024;

/** Where content is read from. */
export interface ReaderSurroundings {
  readonly files: StagedFiles;
  readonly blocks: Pick<ContentBlocks, 'reader'>;
  readonly buffers: ReadBuffers;
}

/** Reads one content for one handle. */
export interface HandleReader {
  /**
   * The bytes [offsetBytes, offsetBytes + lengthBytes), cut at the content's end, as pieces in order; at once when nothing has to be
   * fetched. The pieces stay as they are until the present tick (that of the settled promise) ends. Rejects with RemoteError or
   * StagingError, or with the signal's reason after an abort; what fails at once is thrown.
   */
  read(
    offsetBytes: number,
    lengthBytes: number,
    signal?: AbortSignal,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** See {@link ContentReader.trouble}. */
  readonly trouble: RemoteError | undefined;
  /** The handle is gone. Reads under way still settle. */
  close(): void;
}

/** Reads what is staged from its files, and what shows through from the service's blocks. */
export class StagedReader implements HandleReader {
  readonly #source: () => Source | undefined;
  readonly #around: ReaderSurroundings;
  /** Of the version read last: it learns this handle's pattern. */
  #version: { readonly content: ContentReference; readonly reader: ContentReader } | undefined;

  /** `source` tells the content as it is now; undefined: nothing. */
  constructor(source: () => Source | undefined, around: ReaderSurroundings) {
    this.#source = source;
    this.#around = around;
  }

  read(
    offsetBytes: number,
    lengthBytes: number,
    signal?: AbortSignal,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const source = this.#source();
    const endBytes = Math.min(lengthOf(source), offsetBytes + lengthBytes);
    if (endBytes <= offsetBytes || source === undefined) return [];
    if (source.kind === 'version') {
      return this.#readerOf(source.content).read(offsetBytes, endBytes - offsetBytes, signal);
    }
    const atService = eachSegment(source, offsetBytes, endBytes, ({ kind }) => kind === 'version');
    if (atService) return this.#readMixed(offsetBytes, endBytes, signal);
    const buffer = this.#around.buffers.take(endBytes - offsetBytes);
    this.#readStaged(source, buffer, offsetBytes);
    return [buffer];
  }

  get trouble(): RemoteError | undefined {
    return this.#version?.reader.trouble;
  }

  close(): void {
    this.#version?.reader.close();
    this.#version = undefined;
  }

  /**
   * Fetches first and reads what is here last, in one turn, so that the answer is of one moment however often the content changed
   * meanwhile. Only where a version takes the place of what was here is there more to fetch.
   */
  async #readMixed(offsetBytes: number, endBytes: number, signal: AbortSignal | undefined): Promise<Uint8Array[]> {
    const buffer = Buffer.allocUnsafe(endBytes - offsetBytes);
    /** Relative to the offset. */
    const fetched: number[] = [];
    for (;;) {
      const source = this.#source();
      const cutBytes = Math.min(endBytes, lengthOf(source));
      if (source === undefined || cutBytes <= offsetBytes) return [];
      const missing = missingOf(source, offsetBytes, cutBytes, fetched);
      if (missing.length === 0) {
        const cut = buffer.subarray(0, cutBytes - offsetBytes);
        this.#readStaged(source, cut, offsetBytes);
        return [cut];
      }
      await Promise.all(
        missing.map(async ({ content, start, end }) => {
          const pieces = await this.#readerOf(content).read(start, end - start, signal);
          let at = start - offsetBytes;
          for (const piece of pieces) {
            buffer.set(piece, at);
            at += piece.length;
          }
          addRange(fetched, start - offsetBytes, end - offsetBytes);
        }),
      );
    }
  }

  #readStaged(source: Source, buffer: Buffer, offsetBytes: number): void {
    eachSegment(source, offsetBytes, offsetBytes + buffer.length, (from, start, end) => {
      if (from.kind === 'staged') {
        this.#around.files.read(from.id, buffer.subarray(start - offsetBytes, end - offsetBytes), start);
      }
      return false;
    });
  }

  #readerOf(content: ContentReference): ContentReader {
    if (this.#version?.content !== content) {
      this.#version?.reader.close();
      this.#version = { content, reader: this.#around.blocks.reader(content) };
    }
    return this.#version.reader;
  }
}

interface VersionRange {
  readonly content: ContentReference;
  readonly start: number;
  end: number;
}

/** Ranges of versions that show in [start, end) and have not been fetched. */
function missingOf(source: Source, start: number, end: number, fetched: readonly number[]): VersionRange[] {
  const missing: VersionRange[] = [];
  if (coversUpTo(fetched, end - start)) return missing;
  eachSegment(source, start, end, (from, rangeStart, rangeEnd) => {
    if (from.kind !== 'version') return false;
    return eachPart(fetched, rangeStart - start, rangeEnd - start, (partStart, partEnd, there) => {
      if (there) return false;
      const range = { content: from.content, start: start + partStart, end: start + partEnd };
      const last = missing.at(-1);
      if (last?.content === from.content && range.start - last.end <= joinedGapBytesMax) last.end = range.end;
      else missing.push(range);
      return false;
    });
  });
  return missing;
}
