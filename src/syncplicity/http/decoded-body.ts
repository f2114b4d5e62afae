// Undoes the Content-Encoding of a reply as it streams: listings shrink to a tenth on the way.
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';

/** What decodedBody() understands, for Accept-Encoding. */
export const acceptedEncodings = 'gzip, deflate, br';

/** Larger pieces than zlib's own 16 KiB: fewer turns for a listing of megabytes. */
const chunkSize = 64 * 1024;

/** The body itself where it is not encoded; undefined for an encoding that was not asked for. */
export function decodedBody(body: Readable, encoding: string | undefined): Readable | undefined {
  switch ((encoding ?? '').trim().toLowerCase()) {
    case '':
    case 'identity':
      return body;
    case 'gzip':
    case 'x-gzip':
      return through(body, createGunzip({ chunkSize }));
    case 'deflate':
      return through(body, createInflate({ chunkSize }));
    case 'br':
      return through(body, createBrotliDecompress({ chunkSize }));
    default:
      return undefined;
  }
}

/** Like pipeline(), but the far end destroys the near one without an error when its reader leaves early. */
function through(body: Readable, decoder: Transform): Readable {
  body.on('error', (error) => decoder.destroy(error));
  decoder.on('close', () => body.destroy());
  return body.pipe(decoder);
}
