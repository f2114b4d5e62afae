// Every "either way" of the service's documents that concerns thumbnails: they name the field ThumbnailUrl and say nothing of the address,
// nor of what is there. Must not know: stores, sockets.

export interface ThumbnailDialect {
  /**
   * Where ThumbnailUrl leads: a call of the gateway, by its whole address or by the path alone; the vault, which wants credentials; another
   * server, which takes a key in the address and refuses credentials; or nowhere, because no file has one.
   */
  readonly thumbnails: 'gateway' | 'relative' | 'vault' | 'elsewhere' | 'absent';
  readonly thumbnailFormat: 'jpeg' | 'png' | 'gif';
}

/** Nothing was observed of the real service. */
export const observedThumbnails: ThumbnailDialect = { thumbnails: 'gateway', thumbnailFormat: 'jpeg' };

/** Dialects of their own. */
export const thumbnailVariants = {
  'thumbnails-relative': { thumbnails: 'relative', thumbnailFormat: 'png' },
  'thumbnails-at-vault': { thumbnails: 'vault', thumbnailFormat: 'png' },
  'thumbnails-elsewhere': { thumbnails: 'elsewhere' },
  'thumbnails-absent': { thumbnails: 'absent' },
} as const satisfies Record<string, Partial<ThumbnailDialect>>;
