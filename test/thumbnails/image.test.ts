// Pictures as they may come: every kind of PNG, JPEG, what is neither, and what somebody made to do harm.
import { encode } from 'fast-png';
import jpeg from 'jpeg-js';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../src/thumbnails/image.ts';
import { imageOf, pngFile, type PngParts } from './images.ts';

async function pixels(parts: PngParts): Promise<number[][]> {
  const { data } = await decodeImage(pngFile(parts));
  return Array.from({ length: parts.width * parts.height }, (_, index) => [...data.subarray(index * 4, index * 4 + 4)]);
}

const white = [255, 255, 255, 255];
const black = [0, 0, 0, 255];

describe('PNG', () => {
  const two = { width: 2, height: 1 };

  it.each<[string, PngParts, number[][]]>([
    ['grey of 1 bit', { ...two, depth: 1, colourType: 0, rows: Buffer.from([0, 0b10000000]) }, [white, black]],
    ['grey of 4 bits', { ...two, depth: 4, colourType: 0, rows: Buffer.from([0, 0x5f]) }, [[85, 85, 85, 255], white]],
    [
      'grey of 8 bits',
      { ...two, depth: 8, colourType: 0, rows: Buffer.from([0, 7, 9]) },
      [
        [7, 7, 7, 255],
        [9, 9, 9, 255],
      ],
    ],
    [
      'grey of 16 bits',
      { ...two, depth: 16, colourType: 0, rows: Buffer.from([0, 7, 1, 9, 1]) },
      [
        [7, 7, 7, 255],
        [9, 9, 9, 255],
      ],
    ],
    [
      'grey with alpha',
      { ...two, depth: 8, colourType: 4, rows: Buffer.from([0, 7, 1, 9, 2]) },
      [
        [7, 7, 7, 1],
        [9, 9, 9, 2],
      ],
    ],
    [
      'colour',
      { ...two, depth: 8, colourType: 2, rows: Buffer.from([0, 1, 2, 3, 4, 5, 6]) },
      [
        [1, 2, 3, 255],
        [4, 5, 6, 255],
      ],
    ],
    [
      'colour with a transparent one',
      {
        ...two,
        depth: 8,
        colourType: 2,
        rows: Buffer.from([0, 1, 2, 3, 4, 5, 6]),
        transparency: Buffer.from([0, 4, 0, 5, 0, 6]),
      },
      [
        [1, 2, 3, 255],
        [4, 5, 6, 0],
      ],
    ],
    [
      'colour with alpha',
      { ...two, depth: 8, colourType: 6, rows: Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8]) },
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
    ],
    [
      'a palette of 2 bits, one of it transparent',
      {
        width: 3,
        height: 1,
        depth: 2,
        colourType: 3,
        rows: Buffer.from([0, 0b00011000]),
        palette: Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255]),
        transparency: Buffer.from([128]),
      },
      [
        [255, 0, 0, 128],
        [0, 255, 0, 255],
        [0, 0, 255, 255],
      ],
    ],
    [
      'interlaced',
      { width: 1, height: 2, depth: 8, colourType: 0, rows: Buffer.from([0, 3, 0, 4]), isInterlaced: true },
      [
        [3, 3, 3, 255],
        [4, 4, 4, 255],
      ],
    ],
  ])('of %s', async (_name, parts, expected) => {
    expect(await pixels(parts)).toEqual(expected);
  });

  it.each([
    ['bytes of the letter', Buffer.from('hello')],
    ['a GIF', Buffer.from('GIF89a')],
    ['nothing', Buffer.alloc(0)],
  ])('is not %s', async (_name, bytes) => {
    await expect(decodeImage(bytes)).rejects.toThrow('it is neither PNG nor JPEG');
  });

  it('is refused where it was cut off, anywhere', async () => {
    const png = encode({ ...imageOf(9, 9, [1, 2, 3, 255]), channels: 4, depth: 8 });
    for (let end = 8; end < png.length - 12; end += 1) {
      await expect(decodeImage(png.subarray(0, end)), String(end)).rejects.toThrow('it is a broken PNG');
    }
  });

  it('is refused where it is larger than any thumbnail, or empty', async () => {
    const parts = { depth: 8, colourType: 0, rows: Buffer.alloc(4096) };
    for (const [width, height] of [
      [1025, 1],
      [1, 1025],
      [2 ** 31 - 1, 2 ** 31 - 1],
    ] as const) {
      await expect(decodeImage(pngFile({ ...parts, width, height }))).rejects.toThrow('larger than 1024 by 1024');
    }
    await expect(decodeImage(pngFile({ ...parts, width: 0, height: 1 }))).rejects.toThrow('it has no pixels');
  });

  it('is refused where more comes out of it than its size needs', async () => {
    const bomb = pngFile({ width: 1, height: 1, depth: 8, colourType: 0, rows: Buffer.alloc(64 << 20) });
    expect(bomb.length).toBeLessThan(1 << 20);
    await expect(decodeImage(bomb)).rejects.toThrow('it is a broken PNG');
  });
});

describe('JPEG', () => {
  const { data: file } = jpeg.encode(
    { ...imageOf(40, 40, [200, 30, 60, 255]), data: Buffer.from(imageOf(40, 40, [200, 30, 60, 255]).data) },
    95,
  );

  it('is decoded', async () => {
    const { width, height, data } = await decodeImage(file);
    expect([width, height]).toEqual([40, 40]);
    const [red = 0, green = 0, blue = 0, alpha] = data;
    for (const [is, was] of [
      [red, 200],
      [green, 30],
      [blue, 60],
    ] as const)
      expect(Math.abs(is - was)).toBeLessThan(6);
    expect(alpha).toBe(255);
  });

  it('is refused where it is broken, too large, or passes over its pixels for ever', async () => {
    await expect(decodeImage(file.subarray(0, 100))).rejects.toThrow('it is a broken JPEG');
    const large = Buffer.from(file);
    const frame = large.indexOf(Buffer.from([0xff, 0xc0]));
    large.writeUInt16BE(60_000, frame + 5);
    large.writeUInt16BE(60_000, frame + 7);
    await expect(decodeImage(large)).rejects.toThrow('larger than 1024 by 1024');
    const scan = file.subarray(file.indexOf(Buffer.from([0xff, 0xda])), file.length - 2);
    const many = Buffer.concat([
      file.subarray(0, file.length - 2),
      ...Array.from({ length: 100 }, () => scan),
      file.subarray(file.length - 2),
    ]);
    await expect(decodeImage(many)).rejects.toThrow('it is a JPEG of 101 scans');
  });
});
