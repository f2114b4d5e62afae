// PNG or JPEG to pixels. What comes from elsewhere may be hostile: dimensions, inflated bytes and passes are bounded before anything is
// decoded. Loads the decoders when the first image comes. Must not know what the pixels are for.
import { constants, inflateSync } from 'node:zlib';
import type { DecodedPng } from 'fast-png';
import { ImageError } from './image-error.ts';
import { type PngChunk, type PngHeader, isPng, pngChunks, pngHeader, pngOf } from './png-chunks.ts';

/** Eight bits each of red, green, blue and alpha, row by row. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** The largest that the thumbnail specification knows. */
const SIDE_MAX_PIXELS = 1024;
/** Each scan of a progressive JPEG passes over the whole image; encoders make about ten. */
const JPEG_SCANS_MAX = 64;
const JPEG_MEMORY_MAX_MB = 64;
/** The colour type of images with a palette. */
const PALETTE = 3;

/** Decodes an image. Rejects with {@link ImageError}. */
export async function decodeImage(bytes: Uint8Array): Promise<Image> {
  if (isPng(bytes)) return decodePng(bytes);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return decodeJpeg(bytes);
  throw new ImageError('it is neither PNG nor JPEG');
}

async function decodePng(bytes: Uint8Array): Promise<Image> {
  const chunks = pngChunks(bytes).filter(({ type }) => /^(IHDR|PLTE|tRNS|IDAT|IEND)$/.test(type));
  const header = pngHeader(chunks);
  requireSize(header.width, header.height);
  // The decoder takes such rows for whole bytes.
  if (header.isInterlaced && header.depth < 8) throw new ImageError('it is an interlaced PNG of few colours');
  requireBounded(chunks, header);
  const { decode } = await import('fast-png');
  try {
    // The decoder takes a transparent colour of a small image for a mistake.
    const isKey = ({ type }: PngChunk): boolean => type === 'tRNS' && header.colourType !== PALETTE;
    const key = chunks.find(isKey)?.data;
    return fromPng(decode(pngOf(chunks.filter((chunk) => !isKey(chunk)))), key);
  } catch (error) {
    throw new ImageError('it is a broken PNG', { cause: error });
  }
}

/** The decoder inflates whatever comes: what the header does not announce is not given to it. */
function requireBounded(
  chunks: readonly PngChunk[],
  { width, height, depth, channels, isInterlaced }: PngHeader,
): void {
  const rowBytes = Math.ceil((width * channels * depth) / 8) + 1;
  // Seven passes of a part of the rows and columns each, with a byte before each of their rows.
  const imageBytes = isInterlaced ? width * height * channels * (depth / 8) + 2 * height + 8 : rowBytes * height;
  const deflated = Buffer.concat(chunks.flatMap(({ type, data }) => (type === 'IDAT' ? [data] : [])));
  try {
    inflateSync(deflated, { maxOutputLength: imageBytes, finishFlush: constants.Z_SYNC_FLUSH });
  } catch (error) {
    throw new ImageError('it is a broken PNG', { cause: error });
  }
}

/** `key`: the samples of the colour that is transparent, of two bytes each. */
function fromPng({ width, height, data, depth, channels, palette }: DecodedPng, key: Buffer | undefined): Image {
  const pixels = new Uint8Array(width * height * 4);
  const most = 2 ** Math.min(depth, 8) - 1;
  const rowSamples = depth < 8 ? Math.ceil((width * depth) / 8) : width * channels;
  const sample = (x: number, y: number, channel: number): number => {
    if (depth >= 8) return data[y * rowSamples + x * channels + channel] as number;
    const bit = x * depth;
    return ((data[y * rowSamples + (bit >> 3)] as number) >> (8 - depth - (bit & 7))) & most;
  };
  const level = (value: number): number => (depth === 16 ? value >> 8 : Math.round((value * 255) / most));
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      if (palette !== undefined) {
        const [red = 0, green = 0, blue = 0, alpha = 255] = palette[sample(x, y, 0)] ?? [];
        pixels.set([red, green, blue, alpha], at);
        continue;
      }
      const raw = Array.from({ length: channels }, (_, channel) => sample(x, y, channel));
      const isGrey = channels < 3;
      const hasAlpha = channels % 2 === 0;
      const colours = isGrey ? [raw[0], raw[0], raw[0]] : raw.slice(0, 3);
      const isKey = key?.length === 2 * channels && raw.every((value, index) => value === key.readUInt16BE(2 * index));
      const alpha = hasAlpha ? level(raw[channels - 1] as number) : isKey ? 0 : 255;
      pixels.set([...colours.map((value) => level(value as number)), alpha], at);
    }
  }
  return { width, height, data: pixels };
}

async function decodeJpeg(bytes: Uint8Array): Promise<Image> {
  const scans = Buffer.from(bytes).toString('latin1').split('\xff\xda').length - 1;
  if (scans > JPEG_SCANS_MAX) throw new ImageError(`it is a JPEG of ${scans} scans`);
  const { default: jpeg } = await import('jpeg-js');
  let image: Image;
  try {
    image = jpeg.decode(bytes, {
      useTArray: true,
      tolerantDecoding: true,
      maxResolutionInMP: (SIDE_MAX_PIXELS * SIDE_MAX_PIXELS) / 1e6,
      maxMemoryUsageInMB: JPEG_MEMORY_MAX_MB,
    });
  } catch (error) {
    const isLarge = error instanceof Error && /max(Resolution|Memory)/.test(error.message);
    throw new ImageError(isLarge ? tooLarge() : 'it is a broken JPEG', { cause: error });
  }
  requireSize(image.width, image.height);
  return image;
}

function requireSize(width: number, height: number): void {
  if (width > SIDE_MAX_PIXELS || height > SIDE_MAX_PIXELS) throw new ImageError(tooLarge());
  if (width === 0 || height === 0) throw new ImageError('it has no pixels');
}

function tooLarge(): string {
  return `it is larger than ${SIDE_MAX_PIXELS} by ${SIDE_MAX_PIXELS} pixels`;
}
