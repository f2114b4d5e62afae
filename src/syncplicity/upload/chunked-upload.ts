// A chunked upload from its query to its last chunk: goes on with the newest ETag, from where the vault says it is, through lost
// replies, refused sessions and servers that understand chunks in their own way. Bounded: every turn that brings nothing new
// counts. Sends each byte once unless the vault says it does not have it.
import { RemoteError } from '../../remote-drive.ts';
import type { UploadOutcome } from '../../remote-drive.ts';
import { ReplyError, UnclearError } from '../errors.ts';
import { wasNeverSent } from '../http/transport.ts';
import { mayRefuseForm } from '../vault-address.ts';
import { oneRequestBytesMax, smallerThan } from './knowledge.ts';
import { readMark, writeMark } from './session-mark.ts';
import { endByReading, readingOf, verdict } from './upload-reply.ts';
import type { UploadReply } from './upload-reply.ts';
import type { UploadTarget } from './upload-target.ts';

/** Sessions begun anew, and last chunks sent again, before chunks are given up. */
const restartsMax = 3;
const finalsMax = 3;
const strangeRangesMax = 2;
/** The whole file's hash, and back where that was not the trouble. */
const hashTurnsMax = 2;
/** Refusals of the query that say: there is no such step here. */
const noQueryStatuses: ReadonlySet<number> = new Set([400, 404, 405, 409, 411, 412, 500, 501]);
/** Chunks end at such borders; half a chunk that a vault kept does not. */
const borderBytes = 1024;

/** The answer to a query. */
interface Asked {
  readonly reply: UploadReply;
  /** It is about the session whose ETag was sent. */
  readonly isNamed: boolean;
}

/** One file's upload in chunks, run once. */
export class ChunkedUpload {
  readonly #target: UploadTarget;
  readonly #totalBytes: number;
  #etag: string | undefined;
  /** What the vault has for certain. */
  #offsetBytes = 0;
  /** Where the chunk ends of which nobody knows whether the vault has it. */
  #sentBytes = 0;
  #chunkBytes: number;
  /** The vault told the chunk size itself. */
  #isChunkSizeTold: boolean;
  #canQuery: boolean;
  #usesWholeHash: boolean;
  /** Unexplained refusals, each followed by the other kind of hash. */
  #hashTurns = 0;
  /** The session held bytes before the first of ours. */
  #isForeign = false;
  /** Such a session is what chunks were given up for. */
  #isBlocked = false;
  /** The next chunk is the first after going on with somebody's session. */
  #isResumed = false;
  /** Where the session ends the vault did not tell: it may have begun another one. */
  #isGuessed = false;
  #furthestBytes = 0;
  #failures = 0;
  #restarts = 0;
  #finals = 0;
  #misreadings = 0;
  /** Ranges that fit nothing sent. */
  #strangeRanges = 0;
  /** A chunk without a session was lost on the way back. */
  #mayHaveStoredPart = false;
  /** Larger chunks were refused, whatever the vault tells. */
  #chunkBytesMax = Infinity;
  #why: Error = new RemoteError('protocol', 'the vault takes no chunks');

  constructor(target: UploadTarget) {
    const { known, request } = target;
    this.#target = target;
    this.#totalBytes = request.lengthBytes;
    this.#chunkBytes = known.chunkBytes ?? Math.min(oneRequestBytesMax, known.oneRequestBytesMax);
    this.#isChunkSizeTold = known.chunkBytes !== undefined;
    this.#canQuery = known.query !== 'no';
    this.#usesWholeHash = known.wantsWholeHash;
  }

  /** Why the content should go in one request instead. */
  get why(): Error {
    return this.#why;
  }

  /** A session of another upload was in the way: that passes. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** The vault took, or may have taken, a chunk for the whole file, so that a listing shows it. */
  get hasStoredPart(): boolean {
    return this.#misreadings > 0 || this.#mayHaveStoredPart;
  }

  async run(): Promise<UploadOutcome | 'in-one-request'> {
    const mark = readMark(this.#target.request);
    if (mark !== undefined && this.#canQuery) {
      this.#etag = mark.etag;
      this.#offsetBytes = mark.offsetBytes;
      this.#sentBytes = Math.min(mark.offsetBytes + mark.chunkBytes, this.#totalBytes);
      this.#target.known.rangeReading ??= mark.rangeReading;
      this.#isResumed = true;
    }
    await this.#synchronise();
    for (;;) {
      const outcome = await this.#sendNext();
      if (outcome !== undefined) return outcome;
    }
  }

  /** Sends one chunk and judges the reply. Undefined: go on. */
  async #sendNext(): Promise<UploadOutcome | 'in-one-request' | undefined> {
    const { request, known } = this.#target;
    const startBytes = this.#offsetBytes;
    // Without a session, nothing has told that more than one request's worth is welcome.
    const mostBytes =
      this.#etag === undefined ? Math.min(this.#chunkBytes, known.oneRequestBytesMax) : this.#chunkBytes;
    const lengthBytes = Math.min(mostBytes, this.#totalBytes - startBytes);
    const endBytes = startBytes + lengthBytes;
    const isLast = endBytes === this.#totalBytes;
    // Without an ETag, a vault may take a first chunk for the whole file.
    if (isLast || this.#etag === undefined) await request.beforeLast?.();
    const wholeSha256 = isLast && this.#usesWholeHash ? await this.#target.wholeSha256() : undefined;
    this.#sentBytes = endBytes;
    let reply: UploadReply;
    try {
      reply = await this.#target.sendPart({
        offsetBytes: startBytes,
        lengthBytes,
        etag: this.#etag,
        isLast,
        wholeSha256,
      });
    } catch (error) {
      if (isLast && error instanceof UnclearError) return { state: 'unclear', reason: error.message };
      return this.#recover(error, lengthBytes, isLast);
    }
    const said = verdict(reply);
    if (said.state === 'incomplete') {
      this.#take(reply);
      return isLast ? this.#finishAgain(reply) : this.#advance(reply, endBytes);
    }
    if (!isLast) return this.#misread(reply);
    if (said.state === 'stored') {
      known.wantsWholeHash = this.#usesWholeHash;
      request.onSent?.(this.#totalBytes);
    }
    return said;
  }

  /** After a chunk that is not the last: where the vault says the next one begins. */
  async #advance(reply: UploadReply, endBytes: number): Promise<'in-one-request' | undefined> {
    const { known } = this.#target;
    if (reply.rangeEnd !== undefined) {
      known.rangeReading ??= readingOf(reply.rangeEnd, endBytes);
      const reading = known.rangeReading;
      if (reading === undefined || endByReading(reply.rangeEnd, reading) !== endBytes) {
        this.#strangeRanges += 1;
        if (this.#strangeRanges > strangeRangesMax) return this.#giveUp('the vault keeps other bytes than it was sent');
        await this.#pause(
          new RemoteError('unavailable', `upload of ${this.#target.thing}: the vault did not keep a chunk`),
        );
        await this.#synchronise();
        return undefined;
      }
    }
    this.#isResumed = false;
    this.#isGuessed = false;
    this.#isForeign = false;
    this.#confirm(endBytes);
    return undefined;
  }

  /** The last chunk was taken for one in between: fileDone was not seen. */
  async #finishAgain(reply: UploadReply): Promise<'in-one-request' | undefined> {
    this.#finals += 1;
    if (this.#finals >= finalsMax) return this.#giveUp('the vault does not end the session');
    if (reply.rangeEnd === undefined) this.#offsetBytes = this.#totalBytes;
    else if (this.#canQuery) await this.#synchronise();
    else if (this.#positionOf(reply) === this.#totalBytes) this.#offsetBytes = this.#totalBytes;
    return undefined;
  }

  /** A chunk was taken for the whole file. */
  async #misread(reply: UploadReply): Promise<'in-one-request' | undefined> {
    this.#misreadings += 1;
    const hadSession = this.#etag !== undefined;
    this.#restart();
    if (hadSession && this.#canQuery && this.#misreadings === 1) {
      await this.#synchronise();
      return undefined;
    }
    this.#target.known.misreadsChunks = true;
    return this.#giveUp(`the vault took a chunk for a whole file (HTTP ${reply.status})`);
  }

  /** After a failed chunk. Throws what no other attempt can mend. */
  async #recover(error: unknown, lengthBytes: number, isLast: boolean): Promise<'in-one-request' | undefined> {
    if (!(error instanceof ReplyError)) {
      if (error instanceof UnclearError && this.#etag === undefined) this.#mayHaveStoredPart = true;
      await this.#pause(error instanceof UnclearError ? error.cause : error);
      if (wasNeverSent(error)) await this.#target.findAgain(this.#failures - 1);
      await this.#synchronise();
      return undefined;
    }
    const { status, kind } = error;
    this.#why = error;
    this.#sentBytes = this.#offsetBytes;
    if (status === 409 || status === 412 || status === 416) return this.#newSession();
    const isTooLarge = status === 413 || kind === 'too-large';
    if (!isTooLarge && !(status === 400 && kind === 'protocol')) throw error;
    // Perhaps the session gone on with was not ours, or is not as long as that.
    if ((this.#isResumed || this.#isGuessed) && !isTooLarge) return this.#newSession();
    const smaller = smallerThan(lengthBytes);
    if (smaller !== undefined && (isTooLarge || (!this.#isChunkSizeTold && smaller === 5_000_000))) {
      this.#chunkBytes = smaller;
      this.#chunkBytesMax = smaller;
      this.#target.known.oneRequestBytesMax = Math.min(this.#target.known.oneRequestBytesMax, smaller);
      await this.#synchronise();
      return undefined;
    }
    if (!isTooLarge && this.#hashTurns < hashTurnsMax && (isLast || this.#etag !== undefined)) {
      this.#hashTurns += 1;
      this.#usesWholeHash = !this.#usesWholeHash;
      await this.#synchronise();
      return undefined;
    }
    // A session that holds other bytes may want to be gone on with, and by no call can it be ended.
    if (this.#etag === undefined || this.#isForeign) return this.#giveUp(error.message);
    throw error;
  }

  /** The vault does not know the session (any more): asks for one, and goes on where that one is. */
  async #newSession(): Promise<'in-one-request' | undefined> {
    this.#restarts += 1;
    if (this.#restarts > restartsMax) return this.#giveUp('the vault refuses every session');
    if (this.#isResumed || this.#isGuessed || !this.#canQuery) this.#restart();
    await this.#synchronise();
    return undefined;
  }

  /** Asks the vault how far it is, and takes over its ETag and chunk size; without a query step, goes on as before. */
  async #synchronise(): Promise<void> {
    if (!this.#canQuery) return;
    const { known } = this.#target;
    let asked: Asked;
    try {
      asked = await this.#ask();
    } catch (error) {
      const answer = error instanceof UnclearError ? error.cause : error;
      const isNone =
        answer instanceof ReplyError && (isNoQuery(answer) || (known.url === undefined && mayRefuseForm(answer)));
      if (!isNone) throw error;
      this.#withoutQuery();
      return;
    }
    const { reply } = asked;
    if (verdict(reply).state !== 'incomplete') {
      this.#withoutQuery();
      return;
    }
    known.query = 'yes';
    if (this.#sentBytes === 0 && (reply.rangeEnd ?? 0) > 0) this.#isForeign = true;
    const isSameSession = asked.isNamed || (this.#etag !== undefined && reply.etag === this.#etag);
    const positionBytes =
      reply.rangeEnd === undefined ? (isSameSession ? this.#offsetBytes : 0) : this.#positionOf(reply);
    // A session without an ETag is none: its chunks would be taken for whole files.
    this.#etag = undefined;
    this.#take(reply);
    if (positionBytes < this.#offsetBytes) this.#target.request.onSent?.(positionBytes);
    this.#offsetBytes = positionBytes;
    this.#isGuessed = reply.rangeEnd === undefined && positionBytes > 0;
    if (positionBytes > 0) this.#confirm(positionBytes);
  }

  /** The query, for the session at hand where there is one: some vaults find it by its ETag only, others by the path only. */
  async #ask(): Promise<Asked> {
    const { parts, options } = this.#target;
    const etag = this.#etag;
    if (etag !== undefined) {
      try {
        const reply = await parts.retries.run(options.signal, () => this.#target.query(etag));
        if (verdict(reply).state === 'incomplete') return { reply, isNamed: true };
      } catch (error) {
        if (!(error instanceof ReplyError) || (error.kind !== 'protocol' && error.kind !== 'conflict')) throw error;
      }
    }
    const reply = await parts.retries.run(options.signal, () => this.#target.query(undefined));
    return { reply, isNamed: false };
  }

  #withoutQuery(): void {
    const { known } = this.#target;
    if (known.query === 'unknown') known.query = 'no';
    this.#canQuery = false;
    // What a mark knew cannot be checked.
    if (this.#isResumed) this.#restart();
  }

  /** The newest ETag and chunk size. */
  #take(reply: UploadReply): void {
    this.#etag = reply.etag ?? this.#etag;
    if (reply.chunkBytes === undefined) return;
    this.#chunkBytes = Math.min(reply.chunkBytes, this.#chunkBytesMax);
    this.#isChunkSizeTold = true;
    this.#target.known.chunkBytes = this.#chunkBytes;
  }

  /**
   * Where the next chunk begins by a reply's Range; 0 where that is not certain. Only what this content's own chunks can have
   * brought there counts: the session may hold another file's bytes.
   */
  #positionOf(reply: UploadReply): number {
    const end = reply.rangeEnd;
    // `0-0` is nothing, in either reading.
    if (end === undefined || end === 0 || this.#sentBytes === 0 || this.#isForeign) return 0;
    const reading =
      this.#target.known.rangeReading ??
      readingOf(end, this.#sentBytes) ??
      readingOf(end, this.#offsetBytes) ??
      atBorder(end);
    if (reading === undefined) return 0;
    const position = endByReading(end, reading);
    return position <= this.#sentBytes ? position : 0;
  }

  /** The vault has this much. */
  #confirm(endBytes: number): void {
    const { request, known } = this.#target;
    this.#offsetBytes = endBytes;
    if (endBytes > this.#furthestBytes) {
      this.#furthestBytes = endBytes;
      this.#failures = 0;
    }
    request.onSent?.(endBytes);
    request.onSession?.(
      writeMark(request, {
        etag: this.#etag,
        offsetBytes: endBytes,
        chunkBytes: this.#chunkBytes,
        rangeReading: known.rangeReading,
        memberId: this.#target.parts.memberId,
      }),
    );
  }

  /** From the first byte, in a session of its own. */
  #restart(): void {
    const { request } = this.#target;
    this.#etag = undefined;
    this.#offsetBytes = 0;
    this.#sentBytes = 0;
    this.#isResumed = false;
    this.#isGuessed = false;
    request.onSent?.(0);
    request.onSession?.(undefined);
  }

  async #pause(error: unknown): Promise<void> {
    await this.#target.parts.retries.pause(error, this.#failures, this.#target.options.signal);
    this.#failures += 1;
  }

  #giveUp(why: string): 'in-one-request' {
    this.#isBlocked = this.#isForeign;
    this.#restart();
    this.#why = new RemoteError('protocol', `upload of ${this.#target.thing}: ${why}`, { cause: this.#why });
    return 'in-one-request';
  }
}

function isNoQuery(answer: ReplyError): boolean {
  return (
    noQueryStatuses.has(answer.status) &&
    (answer.kind === 'protocol' || answer.kind === 'conflict' || answer.kind === 'unavailable')
  );
}

/** The reading that makes a Range end where chunks do. */
function atBorder(end: number): 'exclusive' | 'inclusive' | undefined {
  if (end % borderBytes === 0) return 'exclusive';
  return (end + 1) % borderBytes === 0 ? 'inclusive' : undefined;
}
