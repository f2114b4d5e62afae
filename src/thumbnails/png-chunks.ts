// The chunks that a PNG file consists of: found, told apart, read for text and put together again. Must not know what an image shows.
import { ImageError } from './image-error.ts';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
/** Length and type before a chunk's data, its checksum behind. */
const BEFORE_BYTES = 8;
const AROUND_BYTES = 12;

/** One chunk. */
export interface PngChunk {
  /** Four letters: "IHDR". */
  readonly type: string;
  readonly data: Buffer;
  /** As it stands in the file. */
  readonly whole: Buffer;
}

/** True for what begins as PNG files do. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.equals(bytes.subarray(0, SIGNATURE.length));
}

/** The chunks of a file up to the last one that is whole. */
export function pngChunks(bytes: Uint8Array): readonly PngChunk[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: PngChunk[] = [];
  for (let at = SIGNATURE.length; at + AROUND_BYTES <= file.length;) {
    const dataBytes = file.readUInt32BE(at);
    const end = at + AROUND_BYTES + dataBytes;
    if (end > file.length) break;
    const type = file.toString('latin1', at + 4, at + BEFORE_BYTES);
    const data = file.subarray(at + BEFORE_BYTES, at + BEFORE_BYTES + dataBytes);
    chunks.push({ type, data, whole: file.subarray(at, end) });
    at = end;
  }
  return chunks;
}

/** A file of these chunks. */
export function pngOf(chunks: readonly PngChunk[]): Buffer {
  return Buffer.concat([SIGNATURE, ...chunks.map(({ whole }) => whole)]);
}

/** The texts of a file by their keywords; none where it is no PNG file, or one that was cut off. */
export function pngTexts(bytes: Uint8Array): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  if (!isPng(bytes)) return texts;
  const chunks = pngChunks(bytes);
  if (chunks.at(-1)?.type !== 'IEND') return texts;
  for (const { type, data } of chunks) {
    const end = data.indexOf(0);
    if (type === 'tEXt' && end > 0) texts.set(data.toString('latin1', 0, end), data.toString('latin1', end + 1));
  }
  return texts;
}

/** What the first chunk says of the image. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample. */
  readonly depth: number;
  /** As the format numbers them. */
  readonly colourType: number;
  /** Samples of a pixel; a palette has one. */
  readonly channels: number;
  readonly isInterlaced: boolean;
}

const CHANNELS: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [2, 3],
  [3, 1],
  [4, 2],
  [6, 4],
]);

/** The header of a file. Throws ImageError where it has none. */
export function pngHeader([first]: readonly PngChunk[]): PngHeader {
  const channels = first?.data.length === 13 ? CHANNELS.get(first.data[9] as number) : undefined;
  if (first?.type !== 'IHDR' || channels === undefined) throw new ImageError('it is a broken PNG');
  const { data } = first;
  return {
    width: data.readUInt32BE(0),
    height: data.readUInt32BE(4),
    depth: data[8] as number,
    colourType: data[9] as number,
    channels,
    isInterlaced: data[12] !== 0,
  };
}
