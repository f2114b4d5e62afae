// One file on its way to one vault: sends parts of it, and knows how it is named there.
import { sha256Of } from '../../base/hashing-thread.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, UploadRequest } from '../../remote-drive.ts';
import type { Vault } from '../vault.ts';
import type { VaultDirectory } from '../vaults.ts';
import type { UploadKnowledge } from './knowledge.ts';
import { contentForm, queryForm } from './multipart.ts';
import type { HashPart } from './multipart.ts';
import type { UploadReply } from './upload-reply.ts';
import { encodedPath, post } from './vault-posts.ts';
import type { PostParts } from './vault-posts.ts';

/** What sending to a vault takes. */
export interface TargetParts extends PostParts {
  /** Whose the upload is. */
  readonly memberId: string | undefined;
  readonly vaults: VaultDirectory;
}

/** A piece of the content as one request carries it. */
export interface UploadPart {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly etag: string | undefined;
  /** The content ends here. */
  readonly isLast: boolean;
  /** Sends this as the hash instead of the one of the part's own bytes. */
  readonly wholeSha256?: string | undefined;
}

/** One file and the vault it goes to. */
export class UploadTarget {
  readonly parts: TargetParts;
  readonly known: UploadKnowledge;
  readonly request: UploadRequest;
  readonly options: CallOptions;
  readonly #filepath: string;
  #vault: Vault;

  private constructor(
    parts: TargetParts,
    known: UploadKnowledge,
    request: UploadRequest,
    options: CallOptions,
    vault: Vault,
  ) {
    this.parts = parts;
    this.known = known;
    this.request = request;
    this.options = options;
    this.#filepath = encodedPath(request.folder, request.name);
    this.#vault = vault;
  }

  static async find(
    parts: TargetParts,
    known: UploadKnowledge,
    request: UploadRequest,
    options: CallOptions,
  ): Promise<UploadTarget> {
    for (const name of [...request.folder.folderNames, request.name]) {
      // It would name another place.
      if (/[\\/\0]/.test(name) || name === '')
        throw new RemoteError('invalid', `upload: no file can be called ${JSON.stringify(name)}`);
    }
    const vault = await parts.vaults.find(request.folder.vaultId, options);
    return new UploadTarget(parts, known, request, options, vault);
  }

  /** For messages. */
  get thing(): string {
    return `file ${JSON.stringify(this.request.name)} of syncpoint ${this.request.folder.syncpointId}`;
  }

  /**
   * Perhaps the vault moved: none of the known addresses could be reached, or what is there takes no uploads. Asked for once an upload, not
   * once a try. True where it is elsewhere.
   */
  async findAgain(tried: number): Promise<boolean> {
    if (tried > 0) return false;
    const moved = await this.parts.vaults.moved(this.request.folder.vaultId, this.#vault, this.options);
    if (moved !== undefined) this.#vault = moved;
    return moved !== undefined;
  }

  /** Asks how far a session is: the one with this ETag, or whatever the vault has for this path. */
  query(etag: string | undefined): Promise<UploadReply> {
    return post(
      this.parts,
      this.#vault,
      this.known,
      { filepath: this.#filepath, thing: this.thing, contentRange: '*/*', etag, form: queryForm },
      this.options,
    );
  }

  /** Sends one part; see {@link post}. */
  sendPart(part: UploadPart): Promise<UploadReply> {
    const { request } = this;
    const isWhole = part.lengthBytes === request.lengthBytes;
    return post(
      this.parts,
      this.#vault,
      this.known,
      {
        filepath: this.#filepath,
        thing: this.thing,
        contentRange: `${part.offsetBytes}-*/*`,
        etag: part.etag,
        form: (sessionKey) =>
          contentForm({
            fileName: request.name,
            lengthBytes: part.lengthBytes,
            read: () => this.#counted(part),
            hash: hashOf(part, request.lengthBytes),
            expectedSha256: isWhole ? request.sha256 : undefined,
            sessionKey,
            syncpointId: request.folder.syncpointId,
            created: request.created,
            modified: request.modified,
            isLast: part.isLast,
          }),
      },
      this.options,
    );
  }

  /** SHA-256 of the whole content; read once more where nobody knows it. */
  async wholeSha256(): Promise<string> {
    if (this.request.sha256 !== undefined) return this.request.sha256;
    return sha256Of(this.request.lengthBytes, () => this.#whole());
  }

  async *#whole(): AsyncGenerator<Uint8Array> {
    for await (const piece of this.request.read(0, this.request.lengthBytes)) {
      this.options.signal?.throwIfAborted();
      yield piece;
    }
  }

  async *#counted(part: UploadPart): AsyncGenerator<Uint8Array> {
    if (part.lengthBytes === 0) return;
    const { counters, rates } = this.parts;
    for await (const piece of this.request.read(part.offsetBytes, part.lengthBytes)) {
      for await (const portion of rates.up?.portions(piece, () => true, this.options.signal) ?? [piece]) {
        yield portion;
        counters.sent(portion.length);
      }
    }
  }
}

/** An empty file has the hash of nothing; the empty end of a longer one has none. */
function hashOf(part: UploadPart, totalBytes: number): HashPart {
  if (part.wholeSha256 !== undefined) return { of: 'whole', sha256: part.wholeSha256 };
  return part.lengthBytes === 0 && totalBytes > 0 ? { of: 'nothing' } : { of: 'bytes' };
}
