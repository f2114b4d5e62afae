// Thumbnails in memory: a picture is fetched and decoded once for all who ask, and the least used ones go when there is no room. Must not know
// names or folders.
import { LRUCache } from 'lru-cache';
import { waitFor } from '../../base/abort.ts';
import { createLog } from '../../base/log.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { RemoteThumbnail, RemoteThumbnails, VaultId } from '../../remote-drive.ts';
import { ImageError } from '../../thumbnails/image-error.ts';
import { decodeImage } from '../../thumbnails/image.ts';
import { thumbnailPng, type ThumbnailFacts, type ThumbnailSize } from '../../thumbnails/thumbnail.ts';

const log = createLog('thumbnails');

/** Two thousand pictures of 40 by 40 pixels that nothing compresses. */
const BYTES_MAX = 16 << 20;
/** What an entry costs besides its bytes. */
const ENTRY_BYTES = 256;

/** Of what cannot be shown. */
const NONE: Uint8Array = new Uint8Array(0);

/** A thumbnail that is wanted. */
export interface WantedThumbnail {
  readonly size: ThumbnailSize;
  readonly facts: ThumbnailFacts;
}

export class Pictures {
  readonly #thumbnails: Pick<RemoteThumbnails, 'fetch'>;
  /** As they came, and as they are shown; empty: what came cannot be shown. */
  readonly #kept = new LRUCache<string, Uint8Array>({
    maxSize: BYTES_MAX,
    sizeCalculation: ({ length }) => length + ENTRY_BYTES,
  });
  readonly #underWay = new Map<string, Promise<Uint8Array>>();

  constructor(thumbnails: Pick<RemoteThumbnails, 'fetch'>) {
    this.#thumbnails = thumbnails;
  }

  /** A thumbnail's file, of a picture or one of its version that came before; undefined where that cannot be shown. */
  async file(
    picture: RemoteThumbnail,
    vaultId: VaultId | undefined,
    wanted: WantedThumbnail,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const key = keyOf(picture.versionId, wanted);
    const known = this.#kept.get(key);
    if (known !== undefined) return shown(known);
    const source = shown(await waitFor(this.#source(picture, vaultId), signal));
    if (source === undefined) return undefined;
    try {
      const file = await thumbnailPng(await decodeImage(source), wanted.size, wanted.facts);
      this.#kept.set(key, file);
      return file;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      log('the picture of file %s cannot be shown: %s', picture.fileId, error.message);
      this.#kept.set(picture.versionId, NONE);
      return undefined;
    }
  }

  /** A thumbnail's file that is here. */
  known(versionId: string, wanted: WantedThumbnail): Uint8Array | undefined {
    return shown(this.#kept.get(keyOf(versionId, wanted)) ?? NONE);
  }

  /** Shared with all who ask meanwhile: it does not end with the patience of one of them. */
  #source(picture: RemoteThumbnail, vaultId: VaultId | undefined): Promise<Uint8Array> {
    const { versionId } = picture;
    const known = this.#kept.get(versionId);
    if (known !== undefined) return Promise.resolve(known);
    let fetching = this.#underWay.get(versionId);
    if (fetching === undefined) {
      fetching = this.#fetch(picture, vaultId).finally(() => this.#underWay.delete(versionId));
      this.#underWay.set(versionId, fetching);
    }
    return fetching;
  }

  async #fetch(picture: RemoteThumbnail, vaultId: VaultId | undefined): Promise<Uint8Array> {
    const { fileId, versionId } = picture;
    let source = NONE;
    try {
      // A picture may be a call, and a folder has many: people who wait for listings and content go first.
      source = await this.#thumbnails.fetch(picture, vaultId, { callClass: 'prefetch' });
    } catch (error) {
      if (!(error instanceof RemoteError) || !saysThatThereIsNone(error)) throw error;
      log('there is no picture of file %s: %s', fileId, error.message);
      // There may be one later, or an address that is good again.
      if (error.kind === 'not-found' || error.kind === 'forbidden') return NONE;
    }
    this.#kept.set(versionId, source);
    return source;
  }
}

function shown(bytes: Uint8Array): Uint8Array | undefined {
  return bytes.length === 0 ? undefined : bytes;
}

function keyOf(versionId: string, { size, facts }: WantedThumbnail): string {
  return `${versionId} ${size} ${facts.modifiedSeconds} ${facts.lengthBytes} ${facts.uri}`;
}

/** Asking again for the same picture is no use. */
function saysThatThereIsNone({ kind }: RemoteError): boolean {
  return kind === 'not-found' || kind === 'forbidden' || kind === 'too-large' || kind === 'protocol';
}
