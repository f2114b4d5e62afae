// Names, URIs and files of thumbnails as the freedesktop thumbnail specification has them; the files are read by others than who wrote them.
import { execFileSync } from 'node:child_process';
import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { fileUri, isThumbnailOf, sharedUri, thumbnailName, thumbnailPng } from '../../src/thumbnails/thumbnail.ts';
import { fitted } from '../../src/thumbnails/fitted.ts';
import { imageOf } from './images.ts';
import { lacks } from '../machine.ts';

describe('names', () => {
  it("are those of the specification's examples", () => {
    expect(fileUri('/home/jens/photos/me.png')).toBe('file:///home/jens/photos/me.png');
    expect(thumbnailName(fileUri('/home/jens/photos/me.png'))).toBe('c6ee772d9e49320e97ec29a7eb5b1697.png');
    expect(sharedUri('picture.png')).toBe('./picture.png');
  });

  it.each([
    ['/a b.png', 'file:///a%20b.png'],
    ['/ü.png', 'file:///%C3%BC.png'],
    ['/100%.png', 'file:///100%25.png'],
    ["/!$&'()*+,-.:=@_~", "file:///!$&'()*+,-.:=@_~"],
    ['/"#;<>?[\\]^`{|}', 'file:///%22%23%3B%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D'],
    ['/line\nend\x7f', 'file:///line%0Aend%7F'],
  ])('of %j are escaped as GLib does it', (path, uri) => {
    expect(fileUri(path)).toBe(uri);
  });
});

describe('files', () => {
  const facts = { uri: 'file:///a%20b.png', modifiedSeconds: 1_700_000_000, lengthBytes: 12_345 };

  it('are PNG of eight bits with alpha, and tell what they show', async () => {
    const png = await thumbnailPng(imageOf(40, 30, [10, 20, 30, 255]), 'normal', facts);
    const { width, height, depth, channels, text, data } = decode(png);
    expect([width, height, depth, channels]).toEqual([40, 30, 8, 4]);
    expect([...data.subarray(0, 4)]).toEqual([10, 20, 30, 255]);
    expect(text).toEqual({
      'Thumb::URI': facts.uri,
      'Thumb::MTime': '1700000000',
      'Thumb::Size': '12345',
      Software: 'syncplicityfs',
    });
  });

  it.skipIf(lacks('python3'))('hold what Python finds whole, texts before pixels', async () => {
    const png = await thumbnailPng(imageOf(3, 2, [1, 2, 3, 4]), 'normal', facts);
    const script = `
import sys, struct, zlib
data = sys.stdin.buffer.read()
assert data[:8] == b'\\x89PNG\\r\\n\\x1a\\n'
at, types, pixels = 8, [], b''
while at < len(data):
    size, = struct.unpack('>I', data[at:at + 4])
    kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
    assert struct.unpack('>I', data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
    types.append(kind.decode())
    if kind == b'IDAT': pixels += body
    at += 12 + size
print(types[0], types[-1], types.index('IDAT') > max(i for i, t in enumerate(types) if t == 'tEXt'), zlib.decompress(pixels).hex())
`;
    const row = `00${'01020304'.repeat(3)}`;
    const told = execFileSync('python3', ['-c', script], { input: png, encoding: 'utf8' });
    expect(told.trim()).toBe(`IHDR IEND True ${row}${row}`);
  });

  it('are known again by URI and time, unless they were cut off', async () => {
    const png = await thumbnailPng(imageOf(4, 4, [0, 0, 0, 255]), 'large', facts);
    expect(isThumbnailOf(png, facts)).toBe(true);
    expect(isThumbnailOf(png, { ...facts, modifiedSeconds: 1 })).toBe(false);
    expect(isThumbnailOf(png, { ...facts, uri: 'file:///other' })).toBe(false);
    expect(isThumbnailOf(png.subarray(0, png.length - 1), facts)).toBe(false);
    expect(isThumbnailOf(Buffer.from('no PNG'), facts)).toBe(false);
  });

  it('are as large as their directory allows, and never larger than the picture', async () => {
    const sizes = async (width: number, height: number): Promise<number[][]> => {
      const image = imageOf(width, height, [9, 9, 9, 255]);
      const files = [await thumbnailPng(image, 'normal', facts), await thumbnailPng(image, 'large', facts)];
      return files.map((png) => [decode(png).width, decode(png).height]);
    };
    expect(await sizes(40, 40)).toEqual([
      [40, 40],
      [40, 40],
    ]);
    expect(await sizes(512, 256)).toEqual([
      [128, 64],
      [256, 128],
    ]);
    expect(await sizes(1, 1000)).toEqual([
      [1, 128],
      [1, 256],
    ]);
  });
});

it('makes smaller by the mean, where what cannot be seen has no colour', () => {
  const data = Uint8Array.from(
    [
      [255, 0, 0, 255],
      [0, 0, 255, 255],
      [0, 255, 0, 0],
      [100, 100, 100, 255],
    ].flat(),
  );
  expect([...fitted({ width: 4, height: 1, data }, 2).data]).toEqual([128, 0, 128, 255, 100, 100, 100, 128]);
});
