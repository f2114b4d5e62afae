// Images for tests: of one colour, and PNG files of every kind, put together here by the letter of that format.
import { deflateSync, crc32 } from 'node:zlib';
import type { Image } from '../../src/thumbnails/image.ts';

/** An image of one colour. */
export function imageOf(width: number, height: number, colour: readonly [number, number, number, number]): Image {
  return { width, height, data: new Uint8Array(Buffer.alloc(width * height * 4, Buffer.from(colour))) };
}

/** What a PNG file is made of. */
export interface PngParts {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  /** With the byte of the filter before each row. */
  readonly rows: Uint8Array;
  readonly palette?: Uint8Array;
  readonly transparency?: Uint8Array;
  readonly isInterlaced?: boolean;
}

/** A PNG file. */
export function pngFile({
  width,
  height,
  depth,
  colourType,
  rows,
  palette,
  transparency,
  isInterlaced,
}: PngParts): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colourType, 0, 0, isInterlaced === true ? 1 : 0], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...(palette === undefined ? [] : [chunk('PLTE', palette)]),
    ...(transparency === undefined ? [] : [chunk('tRNS', transparency)]),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}
