// Pictures of files: which files of a folder have one, by ThumbnailUrl of its listing, and one picture. No document says where these addresses
// lead. Credentials go to the gateway and to vaults that it named, to nobody else; and only a request to the gateway counts as a call.
import { namesLoopback } from '../../base/loopback.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, RemoteThumbnail, RemoteThumbnails, ThumbnailFolder, VaultId } from '../../remote-drive.ts';
import { ReplyError, replyError } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { bodyBytes } from '../http/body-text.ts';
import { retryAfterMs } from '../http/retry-after.ts';
import type { HttpReply, HttpTransport } from '../http/transport.ts';
import type { FolderListing } from '../listing.ts';
import type { Members } from '../members/members.ts';
import type { Retries } from '../retries.ts';
import { authorised } from '../vault-address.ts';
import type { Vault } from '../vault.ts';
import type { VaultDirectory } from '../vaults.ts';

const name = 'thumbnail GET';
/** What the service makes has 40 by 40 pixels: a hundred times as much is no thumbnail. */
const BYTES_MAX = 1 << 20;
/** The guide has every call of the gateway accept JSON. */
const headers = { accept: 'image/png, image/jpeg, application/json;q=0.2, */*;q=0.1' };

export interface ThumbnailParts {
  readonly gateway: Gateway;
  readonly listing: FolderListing;
  readonly members: Members;
  readonly retries: Retries;
  readonly transport: HttpTransport;
  readonly vaults: VaultDirectory;
}

export class Thumbnails implements RemoteThumbnails {
  readonly #parts: ThumbnailParts;

  constructor(parts: ThumbnailParts) {
    this.#parts = parts;
  }

  /** See {@link RemoteThumbnails.list}. */
  async list({ syncpointId, folderId }: ThumbnailFolder, call: CallOptions = {}): Promise<RemoteThumbnail[]> {
    const found: RemoteThumbnail[] = [];
    for await (const batch of this.#parts.listing.entries(syncpointId, folderId, call)) {
      for (const entry of batch) {
        if (entry.kind === 'folder' || entry.thumbnailUrl === undefined) continue;
        found.push({ fileId: entry.id, versionId: entry.versionId, name: entry.name, url: entry.thumbnailUrl });
      }
    }
    return found;
  }

  /** See {@link RemoteThumbnails.fetch}. */
  async fetch(
    { fileId, url: text }: RemoteThumbnail,
    vaultId: VaultId | undefined,
    call: CallOptions = {},
  ): Promise<Uint8Array> {
    const { gateway, members, vaults } = this.#parts;
    const thing = `file ${fileId}`;
    const base = await members.attempt(call.signal, undefined, ({ session }) => session.gatewayUrl(call.signal));
    const url = addressOf(text, base, thing);
    const path = pathBelow(base, url);
    if (path !== undefined) {
      return whole(await gateway.bytes({ name, thing, path, accept: headers.accept }, BYTES_MAX, call), thing);
    }
    const vault = await vaults.at(url.origin, vaultId, call);
    return vault === undefined ? this.#fromAnywhere(url, thing, call) : this.#fromVault(vault, url, thing, call);
  }

  #fromVault(vault: Vault, url: URL, thing: string, call: CallOptions): Promise<Uint8Array> {
    const { members, transport } = this.#parts;
    const { signal } = call;
    return this.#parts.retries.run(signal, () =>
      members.attempt(signal, undefined, async ({ session, counters }) => {
        const answer = await authorised(
          { session, counters },
          vault,
          { call: name, thing, headers },
          call,
          async (all) => {
            counters.transfer(name);
            return { reply: await transport.send({ pool: 'vault', method: 'GET', url, headers: all, signal }) };
          },
        );
        if (answer instanceof ReplyError) throw answer;
        return this.#body(answer.reply, url, thing, signal);
      }),
    );
  }

  /** Whoever has it is told nothing of the account. What it says is not repeated: it may hold the address, and with it a key. */
  #fromAnywhere(url: URL, thing: string, { signal }: CallOptions): Promise<Uint8Array> {
    const { members, retries, transport } = this.#parts;
    return retries.run(signal, async () => {
      members.all[0]?.counters.transfer(name);
      const reply = await transport.send({ pool: 'vault', method: 'GET', url, headers, signal });
      if (reply.status === 200) return this.#body(reply, url, thing, signal);
      reply.body.destroy();
      const pauseMs = retryAfterMs(reply.headers, Date.now());
      throw replyError({ call: name, thing, status: reply.status, reason: '', body: '', retryAfterMs: pauseMs });
    });
  }

  async #body(reply: HttpReply, url: URL, thing: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    let bytes: Buffer | undefined;
    try {
      bytes = await bodyBytes(reply, BYTES_MAX);
    } catch (error) {
      throw this.#parts.transport.failure(error, url, signal);
    } finally {
      reply.body.destroy();
    }
    return whole(bytes, thing);
  }
}

function whole(bytes: Buffer | undefined, thing: string): Uint8Array {
  if (bytes !== undefined) return bytes;
  throw new RemoteError('too-large', `${name}: ${thing}: its picture is larger than ${BYTES_MAX} bytes`);
}

/** Where a picture is. Rejects what could lead a request, or what it carries, astray; http is for a gateway on this machine. */
export function addressOf(text: string, base: URL, thing: string): URL {
  const refused = (why: string): RemoteError => new RemoteError('protocol', `${name}: ${thing}: its address ${why}`);
  let url: URL;
  try {
    url = new URL(text, `${base.href.replace(/\/+$/, '')}/`);
  } catch {
    throw refused('is no URL');
  }
  const isLocal = url.protocol === 'http:' && namesLoopback(url.hostname) && namesLoopback(base.hostname);
  if (url.protocol !== 'https:' && !isLocal) throw refused('is not https');
  if (url.username !== '' || url.password !== '') throw refused('carries a user name or password');
  url.hash = '';
  return url;
}

/** Path and query of an address of the gateway; undefined for another one. */
function pathBelow(base: URL, url: URL): string | undefined {
  const above = base.href.replace(/\/+$/, '');
  return url.href.startsWith(`${above}/`) ? url.href.slice(above.length) : undefined;
}
