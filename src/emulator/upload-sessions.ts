// Uploads in pieces: what a session has so far, which ETag goes on with it, how long it lives.
// Promises: what a reply acknowledged is kept over a restart of the emulator; one request at a time adds to a session, the newest.
// Must not know: forms, folders.
import { createHash, randomBytes } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { Dialect } from './dialect.ts';
import { Refusal } from './reply.ts';
import type { ContentStore, Staged } from './store.ts';

/** What a session's note keeps. */
interface Note {
  readonly id: string;
  readonly filePath: string;
  readonly sequence: number;
  readonly lengthBytes: number;
  readonly chunkBytes: number;
  readonly expiresAt: number;
}

export class UploadSession {
  readonly staged: Staged;
  readonly filePath: string;
  readonly id: string;
  sequence: number;
  /** What a chunk may hold, as told last. */
  chunkBytes: number;
  expiresAt: number;
  /** Ends the request that adds to the session. */
  #claim: { readonly abort: AbortController; readonly over: Promise<void> } | undefined;
  /** Of the bytes so far, while they came in order. */
  #hash: { readonly state: Hash; readonly lengthBytes: number } | undefined;

  constructor(staged: Staged, note: Note) {
    this.staged = staged;
    this.id = note.id;
    this.filePath = note.filePath;
    this.sequence = note.sequence;
    this.chunkBytes = note.chunkBytes;
    this.expiresAt = note.expiresAt;
    if (staged.lengthBytes === 0) this.#hash = { state: createHash('sha256'), lengthBytes: 0 };
  }

  /** Takes the session over from a request that still holds it; `release` gives it up. */
  async claim(): Promise<{ readonly signal: AbortSignal; readonly release: () => void }> {
    while (this.#claim !== undefined) {
      this.#claim.abort.abort(new Refusal(409, 'Conflict', { Connection: 'close' }));
      await this.#claim.over;
    }
    const abort = new AbortController();
    let release = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      release = () => {
        this.#claim = undefined;
        resolve();
      };
    });
    this.#claim = { abort, over };
    return { signal: abort.signal, release };
  }

  /** The hash to go on with from a length; undefined when it has to be made anew at the end. */
  hashAt(lengthBytes: number): Hash | undefined {
    return this.#hash?.lengthBytes === lengthBytes ? this.#hash.state.copy() : undefined;
  }

  rememberHash(state: Hash | undefined): void {
    this.#hash = state && { state, lengthBytes: this.staged.lengthBytes };
  }

  async sha256(): Promise<string> {
    const known = this.hashAt(this.staged.lengthBytes);
    if (known !== undefined) return known.digest('hex');
    const hash = createHash('sha256');
    for await (const bytes of this.staged.bytes()) hash.update(bytes);
    return hash.digest('hex');
  }

  note(): string {
    const { id, filePath, sequence, chunkBytes, expiresAt } = this;
    const note: Note = { id, filePath, sequence, chunkBytes, expiresAt, lengthBytes: this.staged.lengthBytes };
    return JSON.stringify(note);
  }
}

/** Uploads in chunks that are not complete yet. */
export class UploadSessions {
  readonly #store: ContentStore;
  readonly #dialect: Dialect;
  /** Oldest first. */
  readonly #sessions = new Map<string, UploadSession>();
  #loaded: Promise<void> | undefined;

  constructor(store: ContentStore, dialect: Dialect) {
    this.#store = store;
    this.#dialect = dialect;
  }

  async begin(filePath: string): Promise<UploadSession> {
    await this.#load();
    await this.#endExpired();
    const session = new UploadSession(await this.#store.stage(), {
      id: randomBytes(9).toString('base64url'),
      filePath,
      sequence: 0,
      lengthBytes: 0,
      chunkBytes: this.#dialect.chunkSizeBytes,
      expiresAt: 0,
    });
    this.#sessions.set(session.id, session);
    return session;
  }

  /** The session an If-Match names. A query may name it by any ETag it ever had; a chunk only by the newest. */
  async find(ifMatch: string, purpose: 'query' | 'chunk'): Promise<UploadSession> {
    await this.#load();
    await this.#endExpired();
    const [, id = '', sequence] = /^"?([\w-]+)\.(\d+)"?$/.exec(ifMatch) ?? [];
    const session = this.#sessions.get(id);
    if (session === undefined) throw new Refusal(412, 'Precondition Failed');
    if (purpose === 'chunk' && Number(sequence) !== session.sequence) throw new Refusal(412, 'Precondition Failed');
    return session;
  }

  /** The session begun last for a path. */
  async findByPath(filePath: string): Promise<UploadSession | undefined> {
    await this.#load();
    await this.#endExpired();
    return [...this.#sessions.values()].reverse().find((session) => session.filePath === filePath);
  }

  /** Keeps what the session has; answers the headers that tell a client how to go on. */
  async keep(session: UploadSession): Promise<Record<string, string>> {
    const { etag, etagQuotes, rangeReply, rangeUnit, chunkSizeBytes, chunkSizes, chunkSizeTold } = this.#dialect;
    if (etag === 'per-reply') session.sequence++;
    if (chunkSizes === 'halving') {
      session.chunkBytes = session.chunkBytes === chunkSizeBytes ? Math.ceil(chunkSizeBytes / 2) : chunkSizeBytes;
    }
    session.expiresAt = Date.now() + this.#dialect.sessionLifetimeMs;
    await session.staged.keep(session.note());
    const tag = `${session.id}.${session.sequence}`;
    const headers: Record<string, string> = { ETag: etagQuotes ? `"${tag}"` : tag };
    const stored = session.staged.lengthBytes;
    // Nothing stored cannot be told as a first and last byte.
    if (rangeReply === 'exclusive' || (rangeReply === 'inclusive' && stored > 0)) {
      const range = `0-${rangeReply === 'exclusive' ? stored : stored - 1}`;
      headers['Range'] = rangeUnit ? `bytes=${range}` : range;
    }
    if (chunkSizeTold) headers['Syncplicity-Chunk-Size'] = String(session.chunkBytes);
    return headers;
  }

  /** Forgets a session; its stage is the caller's. */
  end(session: UploadSession): void {
    this.#sessions.delete(session.id);
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#store.kept().then(async (kept) => {
      for (const staged of kept) {
        const note = JSON.parse(staged.note ?? '{}') as Partial<Note>;
        // Another emulator of the same store has it in hand, or what follows the note was never acknowledged.
        if (note.id === undefined || note.lengthBytes === undefined) continue;
        await staged.cut(note.lengthBytes);
        this.#sessions.set(note.id, new UploadSession(staged, note as Note));
      }
    });
    return this.#loaded;
  }

  async #endExpired(): Promise<void> {
    const now = Date.now();
    for (const session of this.#sessions.values()) {
      if (session.expiresAt === 0 || session.expiresAt > now) continue;
      this.#sessions.delete(session.id);
      await session.staged.drop();
    }
  }
}
