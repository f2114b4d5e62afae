// What the freedesktop thumbnail specification asks of a thumbnail: how its file is called, how large it is, and what it says of the file
// that it shows. Knows neither where thumbnails are kept nor where pictures come from.
import { createHash } from 'node:crypto';
import { fitted } from './fitted.ts';
import type { Image } from './image.ts';
import { pngChunks, pngOf, pngTexts } from './png-chunks.ts';

/** Directories of a repository of thumbnails, with the pixels that its images may have either way. */
export const THUMBNAIL_SIZES = { normal: 128, large: 256 } as const;
export type ThumbnailSize = keyof typeof THUMBNAIL_SIZES;

/** What a thumbnail says of its file, and by which readers judge whether it still shows it. */
export interface ThumbnailFacts {
  readonly uri: string;
  readonly modifiedSeconds: number;
  readonly lengthBytes: number;
}

const URI_KEY = 'Thumb::URI';
const MODIFIED_KEY = 'Thumb::MTime';

/** The URI of a file of this machine, by its absolute path: escaped as GLib does it, for readers compare hashes. */
export function fileUri(path: string): string {
  return `file://${escaped(path)}`;
}

/** The URI that a repository beside its files knows one by. */
export function sharedUri(name: string): string {
  return `./${escaped(name)}`;
}

/** What GLib leaves as it is in a path. */
function escaped(path: string): string {
  return Buffer.from(path, 'utf8')
    .toString('latin1')
    .replace(/[^A-Za-z0-9!$&'()*+,\-./:=@_~]/g, (byte) => {
      return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
    });
}

/** What the thumbnail of a URI is called. */
export function thumbnailName(uri: string): string {
  return `${createHash('md5').update(uri, 'utf8').digest('hex')}.png`;
}

/** The thumbnail's file. */
export async function thumbnailPng(image: Image, size: ThumbnailSize, facts: ThumbnailFacts): Promise<Buffer> {
  const { encode } = await import('fast-png');
  const { width, height, data } = fitted(image, THUMBNAIL_SIZES[size]);
  const text = {
    [URI_KEY]: facts.uri,
    [MODIFIED_KEY]: String(facts.modifiedSeconds),
    'Thumb::Size': String(facts.lengthBytes),
    Software: 'syncplicityfs',
  };
  const [header, ...chunks] = pngChunks(encode({ width, height, data, channels: 4, depth: 8, text }));
  if (header === undefined) throw new Error('the encoder made no PNG');
  // Before the pixels: readers that want to know whether a thumbnail is still right need not read them.
  const isText = ({ type }: { readonly type: string }): boolean => type === 'tEXt';
  return pngOf([header, ...chunks.filter(isText), ...chunks.filter((chunk) => !isText(chunk))]);
}

/** Whether a file is a thumbnail of what that URI had at that time. */
export function isThumbnailOf(png: Uint8Array, { uri, modifiedSeconds }: Omit<ThumbnailFacts, 'lengthBytes'>): boolean {
  const texts = pngTexts(png);
  return texts.get(URI_KEY) === uri && texts.get(MODIFIED_KEY) === String(modifiedSeconds);
}
