// What is known of a vault's uploads. Learnt from its replies, forgotten after a day: servers are changed.
import type { VaultId } from '../../remote-drive.ts';
import { VaultAddress } from '../vault-address.ts';
import type { RangeReading } from './upload-reply.ts';

/** The guide's call, and the newer one of the vendor's samples. A vault may have only one of them. */
export type UploadUrl = 'saveFile.php POST' | 'v2/mime/files POST';

/** Up to 5 MB go in one request: of the two readings the one that all samples use. */
export const oneRequestBytesMax = 5_242_880;
/** What is tried where that is refused: the other reading of 5 MB, an old sample's limit, and last resorts. */
const smallerBytes: readonly number[] = [5_000_000, 4_194_304, 1_048_576, 262_144];

const believedMs = 86_400_000;
/** Vaults of one user; far more are ids that came and went. */
const vaultsMax = 256;

/** What was learnt of one vault. */
export class UploadKnowledge {
  readonly address = new VaultAddress();
  readonly untilMs = performance.now() + believedMs;
  url: UploadUrl | undefined;
  /** Whether it answers how far a session is. */
  query: 'unknown' | 'yes' | 'no' = 'unknown';
  /** sessionKey without `Bearer `. */
  isKeyBare = false;
  /** The longest content of one request. */
  oneRequestBytesMax = oneRequestBytesMax;
  /** The Syncplicity-Chunk-Size seen last. */
  chunkBytes: number | undefined;
  /** It takes each chunk for a whole file: only single requests will do. */
  misreadsChunks = false;
  rangeReading: RangeReading | undefined;
  /** The last chunk wants the hash of the whole file. */
  wantsWholeHash = false;
}

/** The next smaller size of request worth trying. */
export function smallerThan(lengthBytes: number): number | undefined {
  return smallerBytes.find((size) => size < lengthBytes);
}

/** What was learnt of each vault. */
export class UploadKnowledgeByVault {
  readonly #byId = new Map<VaultId | 'default', UploadKnowledge>();

  of(vaultId: VaultId | undefined): UploadKnowledge {
    const id = vaultId ?? 'default';
    let known = this.#byId.get(id);
    if (known === undefined || performance.now() >= known.untilMs) {
      if (this.#byId.size >= vaultsMax) this.#byId.clear();
      known = new UploadKnowledge();
      this.#byId.set(id, known);
    }
    return known;
  }

  entries(): Iterable<readonly [string, UploadKnowledge]> {
    return this.#byId;
  }
}
