// RemoteDrive.upload: small content in one request, larger in chunks, and from one to the other where a vault wants it so.
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, UploadOutcome, UploadRequest } from '../../remote-drive.ts';
import { ReplyError, UnclearError, knowsNoSuchCall } from '../errors.ts';
import { wasNeverSent } from '../http/transport.ts';
import type { Member } from '../members/member.ts';
import type { Members } from '../members/members.ts';
import { ChunkedUpload } from './chunked-upload.ts';
import { UploadKnowledgeByVault, smallerThan } from './knowledge.ts';
import type { UploadUrl } from './knowledge.ts';
import { UploadTarget } from './upload-target.ts';
import type { TargetParts } from './upload-target.ts';
import { readMark } from './session-mark.ts';
import { verdict } from './upload-reply.ts';

/** What is known of a vault, for statistics. */
export interface UploadCapability {
  readonly upload: UploadUrl | 'unknown';
  /** Bytes of one request, and of one chunk once the vault has told. */
  readonly oneRequestBytesMax: number;
  readonly chunkBytes: number | undefined;
}

/** What uploads take: the rest is their member's. */
export interface UploadParts extends Pick<TargetParts, 'transport' | 'vaults' | 'retries' | 'rates' | 'holds'> {
  readonly members: Members;
}

/** Stores files: in one request, in chunks, or in whichever of the two the vault takes. */
export class Uploads {
  readonly #parts: UploadParts;
  readonly #knowledge = new UploadKnowledgeByVault();

  constructor(parts: UploadParts) {
    this.#parts = parts;
  }

  /** See RemoteDrive.upload. All of it is one member's: a session belongs to whoever began it. */
  upload(request: UploadRequest, options: CallOptions): Promise<UploadOutcome> {
    const begunBy = readMark(request)?.memberId;
    return this.#parts.members.attempt(options.signal, begunBy, (member) => {
      const isAnothers = begunBy !== undefined && begunBy !== member.id;
      return this.#uploadBy(member, isAnothers ? { ...request, session: undefined } : request, options);
    });
  }

  async #uploadBy(member: Member, request: UploadRequest, options: CallOptions): Promise<UploadOutcome> {
    const { transport, vaults, retries, rates, holds } = this.#parts;
    const { session, counters, id: memberId } = member;
    const known = this.#knowledge.of(request.folder.vaultId);
    const parts = { transport, vaults, retries, rates, holds, session, counters, memberId };
    const target = await UploadTarget.find(parts, known, request, options);
    try {
      return await this.#send(target);
    } catch (error) {
      if (!knowsNoSuchCall(error) || !(await target.findAgain(0))) throw error;
      // What the server that is there now lacks, this one may have.
      if (known.query === 'no') known.query = 'unknown';
      return this.#send(target);
    }
  }

  async #send(target: UploadTarget): Promise<UploadOutcome> {
    const { request, known } = target;
    if (request.lengthBytes <= known.oneRequestBytesMax || known.misreadsChunks) {
      const outcome = await this.#whole(target);
      if (outcome !== 'in-chunks') return outcome;
    }
    const chunked = new ChunkedUpload(target);
    try {
      const outcome = await chunked.run();
      if (outcome !== 'in-one-request') return outcome;
      const whole = await this.#whole(target, chunked.why).catch((error: unknown) => {
        const isTooLarge = error instanceof RemoteError && error.kind === 'too-large';
        throw isTooLarge && chunked.isBlocked ? chunked.why : error;
      });
      if (whole !== 'in-chunks') return whole;
      throw chunked.why;
    } catch (error) {
      // The vault shows a part of the content as the file: that is not nothing.
      if (!chunked.hasStoredPart || !(error instanceof RemoteError)) throw error;
      return { state: 'unclear', reason: `${error.message}; the vault took a part for the whole file` };
    }
  }

  /** What is known of each vault, by its id. */
  capabilities(): Readonly<Record<string, UploadCapability>> {
    return Object.fromEntries(
      [...this.#knowledge.entries()].map(([id, { url, oneRequestBytesMax, chunkBytes }]) => [
        id,
        { upload: url ?? 'unknown', oneRequestBytesMax, chunkBytes },
      ]),
    );
  }

  /** The whole content in one request, again only where nothing can have been stored. After `failed`, chunks are no way out. */
  async #whole(target: UploadTarget, failed?: Error): Promise<UploadOutcome | 'in-chunks'> {
    const { request, known } = target;
    for (let tried = 0; ; tried += 1) {
      await request.beforeLast?.();
      try {
        const reply = await target.sendPart({
          offsetBytes: 0,
          lengthBytes: request.lengthBytes,
          etag: undefined,
          isLast: true,
        });
        const said = verdict(reply);
        if (said.state === 'incomplete') return 'in-chunks';
        if (said.state === 'stored') request.onSent?.(request.lengthBytes);
        return said;
      } catch (error) {
        if (error instanceof UnclearError) return { state: 'unclear', reason: error.message };
        if (request.lengthBytes === 0 && refusesWithoutWords(error)) return { state: 'unclear', reason: error.message };
        const smaller = failed === undefined ? smallerRequest(error, request.lengthBytes) : undefined;
        if (smaller !== undefined) {
          known.oneRequestBytesMax = Math.min(known.oneRequestBytesMax, smaller);
          // Whatever looked as if a chunk had been taken for the whole: only in chunks can it be stored.
          known.misreadsChunks = false;
          return 'in-chunks';
        }
        if (wasNeverSent(error)) await target.findAgain(tried);
        await this.#parts.retries.pause(error, tried, target.options.signal);
      }
    }
  }
}

/**
 * The request was read, and refused for nothing that was said. There are vaults that store no empty file, and do not say so: whether it is
 * stored, a listing tells, as where they say nothing at all.
 */
function refusesWithoutWords(error: unknown): error is ReplyError {
  return error instanceof ReplyError && error.kind === 'protocol' && [400, 411, 422].includes(error.status);
}

/** The limit to believe in after a refusal that may be about the length. */
function smallerRequest(error: unknown, lengthBytes: number): number | undefined {
  if (!(error instanceof ReplyError)) return undefined;
  if (error.status === 413 || error.kind === 'too-large') return smallerThan(lengthBytes);
  // Only the two readings of 5 MB are worth doubting an unexplained refusal.
  if (error.status !== 400 || error.kind !== 'protocol') return undefined;
  const smaller = smallerThan(lengthBytes);
  return smaller === 5_000_000 ? smaller : undefined;
}
