// The addresses of thumbnails that listings give, as a dialect has them. Files have a picture by their extension, for nobody here looks into
// them. Must not know: the calls behind the addresses.
import { createHmac, randomBytes } from 'node:crypto';
import { extname } from 'node:path';
import type { Dialect } from './dialect.ts';
import type { FileRecord } from './store.ts';

const PICTURED: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg', '.gif', '.bmp', '.tif', '.tiff']);

/** Whether the service makes a picture of a file. */
export function hasPicture({ name, deleted }: FileRecord): boolean {
  return !deleted && PICTURED.has(extname(name).toLowerCase());
}

export interface ThumbnailOptions {
  readonly dialect: Dialect;
  readonly gatewayUrl: () => string;
  readonly vaultUrl: () => string;
}

/** The addresses of pictures. One for a server: keys are good for its time. */
export class ThumbnailAddresses {
  readonly #options: ThumbnailOptions;
  readonly #secret = randomBytes(16);

  constructor(options: ThumbnailOptions) {
    this.#options = options;
  }

  /** What ThumbnailUrl says of a file; undefined where it has no picture. */
  of(file: FileRecord): string | undefined {
    const { dialect, gatewayUrl, vaultUrl } = this.#options;
    if (!hasPicture(file)) return undefined;
    const { syncpointId, id } = file;
    const wireId = String(BigInt(id) + dialect.idBase);
    const call = `/sync/thumbnail.svc/${syncpointId}/file/${wireId}`;
    switch (dialect.thumbnails) {
      case 'gateway':
        return `${gatewayUrl()}${call}`;
      case 'relative':
        return call;
      case 'vault':
        return `${vaultUrl()}/thumbnail.php?syncpoint=${syncpointId}&file=${wireId}`;
      case 'elsewhere':
        return `${elsewhere(vaultUrl())}/pictures/${syncpointId}/${wireId}?key=${this.key(syncpointId, wireId)}`;
      case 'absent':
        return undefined;
    }
  }

  key(syncpointId: number, wireId: string): string {
    return createHmac('sha256', this.#secret).update(`${syncpointId}/${wireId}`).digest('hex');
  }
}

/** The vault's port under another name: another server, as far as anybody can tell. */
function elsewhere(vaultUrl: string): string {
  const url = new URL(vaultUrl);
  url.hostname = 'localhost';
  return url.origin;
}
