// Why bytes make no thumbnail.

/** What came is no image that can be shown. `message` says of "it" why not. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}
