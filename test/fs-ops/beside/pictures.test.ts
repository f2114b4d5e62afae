// Pictures in memory: asked for once, shared, bounded, and never a failure of the service kept as an answer.
import { encode } from 'fast-png';
import { expect, it } from 'vitest';
import { Pictures } from '../../../src/fs-ops/beside/pictures.ts';
import { RemoteError } from '../../../src/remote-drive.ts';
import type { CallClass, FileId, RemoteErrorKind, RemoteThumbnail, VersionId } from '../../../src/remote-drive.ts';
import { imageOf } from '../../thumbnails/images.ts';

const png = encode({ ...imageOf(4, 4, [1, 2, 3, 255]), channels: 4, depth: 8 });
const { signal } = new AbortController();

function picture(version: number): RemoteThumbnail {
  return { fileId: '1' as FileId, versionId: String(version) as VersionId, name: 'a.png', url: '/thumb' };
}

const wanted = (size: 'normal' | 'large', uri = './a.png') =>
  ({ size, facts: { uri, modifiedSeconds: 1, lengthBytes: 2 } }) as const;

/** A service that gives one answer after the other, and the last one for ever. */
function service(...answers: readonly (Uint8Array | RemoteErrorKind)[]): { pictures: Pictures; asked: () => number } {
  let asked = 0;
  const fetch = (): Promise<Uint8Array> => {
    const answer = answers[Math.min(asked, answers.length - 1)] as Uint8Array | RemoteErrorKind;
    asked += 1;
    return typeof answer === 'string' ? Promise.reject(new RemoteError(answer, 'refused')) : Promise.resolve(answer);
  };
  return { pictures: new Pictures({ fetch }), asked: () => asked };
}

it('are fetched once for all sizes and names, at once or later', async () => {
  const { pictures, asked } = service(png);
  const files = await Promise.all([
    pictures.file(picture(1), undefined, wanted('normal'), signal),
    pictures.file(picture(1), undefined, wanted('large'), signal),
    pictures.file(picture(1), undefined, wanted('normal', 'a.png'), signal),
  ]);
  expect(files.every((file) => file !== undefined)).toBe(true);
  expect(pictures.known('1', wanted('normal'))).toBe(files[0]);
  expect(await pictures.file(picture(1), undefined, wanted('normal'), signal)).toBe(files[0]);
  expect(asked()).toBe(1);
  await pictures.file(picture(2), undefined, wanted('normal'), signal);
  expect(asked()).toBe(2);
});

it('give way to people who wait for listings and content', async () => {
  const classes: (CallClass | undefined)[] = [];
  const pictures = new Pictures({
    fetch: (_picture, _vaultId, call) => {
      classes.push(call?.callClass);
      return Promise.resolve(png);
    },
  });
  await pictures.file(picture(1), undefined, wanted('normal'), signal);
  expect(classes).toEqual(['prefetch']);
});

it('that cannot be shown are asked for once', async () => {
  for (const answer of [Buffer.from('GIF89a'), Buffer.alloc(0), 'too-large', 'protocol'] as const) {
    const { pictures, asked } = service(answer, png);
    for (const size of ['normal', 'large', 'normal'] as const) {
      expect(await pictures.file(picture(1), undefined, wanted(size), signal)).toBeUndefined();
    }
    expect(asked()).toBe(1);
  }
});

it('that are refused may be there later', async () => {
  for (const kind of ['not-found', 'forbidden'] as const) {
    const { pictures } = service(kind, png);
    expect(await pictures.file(picture(1), undefined, wanted('normal'), signal)).toBeUndefined();
    expect(await pictures.file(picture(1), undefined, wanted('normal'), signal)).toBeDefined();
  }
});

it('of a service in trouble are no answer', async () => {
  const { pictures } = service('unavailable', png);
  await expect(pictures.file(picture(1), undefined, wanted('normal'), signal)).rejects.toThrow('refused');
  expect(await pictures.file(picture(1), undefined, wanted('normal'), signal)).toBeDefined();
});

it('go on being fetched for others when one gives up', async () => {
  let give: (bytes: Uint8Array) => void = () => undefined;
  const pictures = new Pictures({ fetch: () => new Promise((resolve) => (give = resolve)) });
  const leaving = new AbortController();
  const left = pictures.file(picture(1), undefined, wanted('normal'), leaving.signal);
  const stayed = pictures.file(picture(1), undefined, wanted('normal'), signal);
  leaving.abort(new Error('enough'));
  await expect(left).rejects.toThrow('enough');
  give(png);
  expect(await stayed).toBeDefined();
});

it('make room for others', async () => {
  const noise = Buffer.alloc(1 << 20, png);
  const { pictures, asked } = service(noise);
  for (let version = 0; version < 40; version += 1) {
    await pictures.file(picture(version), undefined, wanted('normal'), signal);
  }
  expect(pictures.known('0', wanted('normal'))).toBeUndefined();
  expect(pictures.known('39', wanted('normal'))).toBeDefined();
  expect(asked()).toBe(40);
  await pictures.file(picture(0), undefined, wanted('large'), signal);
  expect(asked()).toBe(41);
});
