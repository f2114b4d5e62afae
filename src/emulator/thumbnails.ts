// The calls behind the addresses of thumbnails. A picture is 40 by 40 pixels of a colour that tells versions apart. Must not know: sockets,
// faults, how listings tell of pictures.
import type { Call, Route } from './call.ts';
import type { Dialect } from './dialect.ts';
import { positive } from './gateway-lookup.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';
import type { ContentStore } from './store.ts';
import { hasPicture } from './thumbnail-addresses.ts';
import type { ThumbnailAddresses } from './thumbnail-addresses.ts';
import type { Tokens } from './tokens.ts';

const SIDE_PIXELS = 40;
const JPEG_QUALITY = 95;
const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

/** The gateway's call. */
export function thumbnailRoutes(parts: PictureParts & { readonly lookup: GatewayLookup }): Route[] {
  const { lookup } = parts;
  const thumbnail = async (call: Call): Promise<Reply> => {
    const syncpointId = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    const { id } = await lookup.syncpoint(syncpointId, lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist'));
    return picture(parts, String(id), call.segments[1]);
  };
  const path = /^\/sync\/thumbnail\.svc\/([^/]*)\/file\/([^/]*)\/?$/;
  return [{ endpoint: 'thumbnail', method: 'GET', path, handle: lookup.guarded(thumbnail) }];
}

/** The vault's call, and that of a server that knows nobody. */
export function picturesAtVault(
  parts: PictureParts & { readonly tokens: Tokens; readonly addresses: ThumbnailAddresses },
): Route[] {
  const { dialect, tokens, addresses } = parts;
  const atVault = (call: Call): Promise<Reply> => {
    if (dialect.thumbnails !== 'vault') throw new Refusal(404, 'Not Found');
    if (tokens.scopeOf(call.headers.authorization, call.headers['appkey']) === undefined) {
      throw new Refusal(401, 'Invalid authorization or storage token');
    }
    const query = call.url.searchParams;
    return picture(parts, query.get('syncpoint') ?? undefined, query.get('file') ?? undefined);
  };
  const byKey = (call: Call): Promise<Reply> => {
    if (dialect.thumbnails !== 'elsewhere') throw new Refusal(404, 'Not Found');
    const { authorization, appkey } = call.headers;
    if (authorization !== undefined || appkey !== undefined) throw new Refusal(400, 'Only one auth mechanism allowed');
    const [syncpoint = '', file = ''] = call.segments;
    if (call.url.searchParams.get('key') !== addresses.key(Number(syncpoint), file))
      throw new Refusal(403, 'Forbidden');
    return picture(parts, syncpoint, file);
  };
  return [
    { endpoint: 'vaultThumbnail', method: 'GET', path: /^\/thumbnail\.php$/, handle: atVault },
    { endpoint: 'picture', method: 'GET', path: /^\/pictures\/([^/]*)\/([^/]*)$/, handle: byKey },
  ];
}

interface PictureParts {
  readonly store: ContentStore;
  readonly paint: Painter;
  readonly dialect: Dialect;
}

async function picture(
  { store, dialect, paint }: PictureParts,
  syncpointText: string | undefined,
  fileText: string | undefined,
): Promise<Reply> {
  const [syncpoint, wireId] = [syncpointText, fileText].map((text) => (/^[0-9]{1,19}$/.test(text ?? '') ? text : '0'));
  const fileId = BigInt(wireId ?? 0) - dialect.idBase;
  if (fileId <= 0n || fileId > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refusal(404, 'File Not Found');
  const file = await store.file(Number(syncpoint), Number(fileId));
  if (file === undefined || !hasPicture(file)) throw new Refusal(404, 'File Not Found');
  const bytes = paint(file.versionId);
  return {
    status: 200,
    headers: { 'Content-Type': `image/${dialect.thumbnailFormat}` },
    body: one(bytes),
    lengthBytes: bytes.length,
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- it has nothing to wait for
async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Makes the picture of a version: a square of a colour that is its own. */
export type Painter = (versionId: number) => Uint8Array;

/** A painter for a format. Loads what it takes beforehand: a server that is asked for a picture answers at once. */
export async function openPainter(format: Dialect['thumbnailFormat']): Promise<Painter> {
  const image = (versionId: number): { width: number; height: number; data: Buffer } => {
    const data = Buffer.alloc(SIDE_PIXELS * SIDE_PIXELS * 4, Buffer.from([...pictureColour(versionId), 255]));
    return { width: SIDE_PIXELS, height: SIDE_PIXELS, data };
  };
  switch (format) {
    case 'png': {
      const { encode } = await import('fast-png');
      return (versionId) => encode({ ...image(versionId), channels: 4, depth: 8 });
    }
    case 'jpeg': {
      const { default: jpeg } = await import('jpeg-js');
      return (versionId) => jpeg.encode(image(versionId), JPEG_QUALITY).data;
    }
    case 'gif':
      return () => GIF;
  }
}

/** Red, green and blue of the picture of a version. */
export function pictureColour(versionId: number): readonly [number, number, number] {
  return [(versionId * 67) % 256, (versionId * 151) % 256, (versionId * 29) % 256];
}
