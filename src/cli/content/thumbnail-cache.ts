// The user's thumbnails, which file managers show instead of looking into files: where they are, and which of them are right. Must not know
// where pictures come from.
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../base/atomic-file.ts';
import type { Image } from '../../thumbnails/image.ts';
import {
  fileUri,
  isThumbnailOf,
  type ThumbnailFacts,
  type ThumbnailSize,
  THUMBNAIL_SIZES,
  thumbnailName,
  thumbnailPng,
} from '../../thumbnails/thumbnail.ts';

const SIZES = Object.keys(THUMBNAIL_SIZES) as ThumbnailSize[];
const DIRECTORY_PERMISSIONS = 0o700;
const FILE_PERMISSIONS = 0o600;

/** What a file is now, as a thumbnail tells of it. */
export async function factsOf(path: string): Promise<ThumbnailFacts> {
  const { mtimeMs, size } = await stat(path);
  return { uri: fileUri(path), modifiedSeconds: Math.floor(mtimeMs / 1000), lengthBytes: size };
}

/** The thumbnails of a user, in their directory. */
export class ThumbnailCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Whether every size of a file's thumbnail is there, made of the file as it is. */
  async has(facts: ThumbnailFacts): Promise<boolean> {
    for (const size of SIZES) {
      const png = await this.#read(size, facts.uri);
      if (png === undefined || !isThumbnailOf(png, facts)) return false;
    }
    return true;
  }

  /** Writes every size of a file's thumbnail. */
  async put(facts: ThumbnailFacts, image: Image): Promise<void> {
    for (const size of SIZES) {
      await mkdir(join(this.#directory, size), { recursive: true, mode: DIRECTORY_PERMISSIONS });
      await replaceFile(this.#path(size, facts.uri), await thumbnailPng(image, size, facts), FILE_PERMISSIONS);
    }
  }

  async #read(size: ThumbnailSize, uri: string): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#path(size, uri));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #path(size: ThumbnailSize, uri: string): string {
    return join(this.#directory, size, thumbnailName(uri));
  }
}
