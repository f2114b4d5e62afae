// A vault's upload side for the client's tests: sections 5 and 10 of the documents, strict about what they require, with each
// "either way" as an option. A route of the fixture server; shares nothing with the client and nothing with the emulator.
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { reply } from './fixture-server.ts';
import type { Recorded, Route } from './fixture-server.ts';

export interface FormPart {
  readonly name: string;
  readonly head: string;
  readonly bytes: Buffer;
}

/** The parts of a multipart body; throws on anything RFC 2046 does not allow. */
export function formParts(request: Recorded): FormPart[] {
  const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(request.headers['content-type'] ?? '')?.[1];
  if (boundary === undefined) throw new Error('no boundary');
  const delimiter = Buffer.from(`--${boundary}`);
  const parts: FormPart[] = [];
  let at = 0;
  for (;;) {
    if (!request.bytes.subarray(at).subarray(0, delimiter.length).equals(delimiter)) throw new Error('no delimiter');
    at += delimiter.length;
    const after = request.bytes.toString('latin1', at, at + 4);
    if (after.startsWith('--\r\n') && at + 4 === request.bytes.length) return parts;
    if (!after.startsWith('\r\n')) throw new Error('a broken delimiter');
    const headEnd = request.bytes.indexOf('\r\n\r\n', at);
    const end = request.bytes.indexOf(Buffer.concat([Buffer.from('\r\n'), delimiter]), headEnd + 2);
    if (headEnd < 0 || end < headEnd + 4) throw new Error('a part without its blank line');
    const head = request.bytes.toString('utf8', at + 2, headEnd);
    const name = /name="([^"]*)"/.exec(head)?.[1] ?? '';
    parts.push({ name, head, bytes: request.bytes.subarray(headEnd + 4, end) });
    at = end + 2;
  }
}

export interface VaultDialect {
  readonly urls: readonly string[];
  /** What an unknown form of URL is answered with. */
  readonly unknownUrl: number;
  readonly query: 'works' | 200 | 400 | 404 | 405 | 500;
  /** Whether a query finds the session of its path, or the one whose ETag it sends, or begins another one each time. */
  readonly queryFinds: 'path' | 'etag' | 'nothing';
  /** Undefined: not told. */
  readonly chunkBytes: readonly number[] | undefined;
  readonly etag: 'reply' | 'session';
  readonly range: 'exclusive' | 'inclusive' | 'absent';
  readonly unit: boolean;
  readonly stored: (already: boolean) => unknown;
  readonly key: 'with' | 'bare';
  readonly hash: 'unchecked' | 'request' | 'whole';
  readonly oneRequestMax: number;
  readonly tooLarge: 400 | 413;
  /** The answer to a chunk that does not begin where the session ends. */
  readonly wrongStart: 400 | 409 | 412 | 416;
  /** A chunk without If-Match begins a session, as the guide tells it; else it is the whole file, as the vendor's comment does. */
  readonly firstChunkNeedsEtag: boolean;
  /** Takes every chunk for a whole file. */
  readonly misreads: boolean;
  /** Last chunks whose fileDone goes unseen. */
  readonly blindFinals: number;
  readonly keepsHalfChunks: boolean;
}

export const documented: VaultDialect = {
  urls: ['/saveFile.php', '/v2/mime/files'],
  unknownUrl: 404,
  query: 'works',
  queryFinds: 'path',
  chunkBytes: [5_242_880],
  etag: 'reply',
  range: 'exclusive',
  unit: false,
  stored: (already) => (already ? 'Already Stored' : 'Stored'),
  key: 'with',
  hash: 'request',
  oneRequestMax: Infinity,
  tooLarge: 413,
  wrongStart: 409,
  firstChunkNeedsEtag: true,
  misreads: false,
  blindFinals: 0,
  keepsHalfChunks: false,
};

interface Session {
  etag: number;
  /** Every one it had. */
  readonly etags: Set<number>;
  bytes: Buffer;
}

export interface StoredFile {
  readonly bytes: Buffer;
  readonly syncpointId: string;
  readonly created: string;
  readonly modified: string;
}

export class FixtureVault {
  readonly dialect: VaultDialect;
  readonly stored = new Map<string, StoredFile>();
  readonly sessions = new Map<string, Session>();
  /** Bytes of content that arrived in whole requests. */
  receivedBytes = 0;
  /** What was asked: `query`, `0-`, `5242880-`, with `!` where it ended the file. */
  readonly asked: string[] = [];
  /** Awaited with each request before it is handled; true: it was answered. */
  fault: (request: Recorded, response: ServerResponse, asked: string) => boolean | Promise<boolean> = () => false;
  #etags = 0;
  #finals = 0;

  constructor(dialect: Partial<VaultDialect> = {}) {
    this.dialect = { ...documented, ...dialect };
  }

  readonly route: Route = async (request, response) => {
    if (request.method !== 'POST' || !/^\/(saveFile\.php|v2\/mime\/files)$/.test(request.path)) return false;
    if (!this.dialect.urls.includes(request.path)) return reply(response, this.dialect.unknownUrl, '');
    const parts = new Map(formParts(request).map((part) => [part.name, part.bytes]));
    const range = request.headers['content-range'] ?? '';
    const asked = range === '*/*' ? 'query' : `${range.split('-')[0] ?? ''}-${parts.has('fileDone') ? '!' : ''}`;
    this.asked.push(asked);
    if (await this.fault(request, response, asked)) return true;
    return this.#handle(request, response, parts, range);
  };

  /** Handles a request as if it had arrived whole, and says nothing. */
  act(request: Recorded): void {
    const parts = new Map(formParts(request).map((part) => [part.name, part.bytes]));
    const silent = { writeHead: () => silent, end: () => silent } as unknown as ServerResponse;
    this.#handle(request, silent, parts, request.headers['content-range'] ?? '');
  }

  #handle(request: Recorded, response: ServerResponse, parts: Map<string, Buffer>, range: string): true {
    const { dialect } = this;
    const token = request.headers.authorization ?? '';
    if (!token.startsWith('Bearer ') || request.headers['user-agent'] === undefined) return reply(response, 401, '');
    if (request.headers['content-length'] === undefined || request.headers['appkey'] === undefined) {
      return reply(response, 400, 'Bad request');
    }
    const key = dialect.key === 'with' ? token : token.slice(7);
    if (parts.get('sessionKey')?.toString() !== key) return reply(response, 401, 'Not Authorized');
    const path = request.query.get('filepath') ?? '';
    if (range === '*/*') return this.#query(path, request.headers['if-match'], response);
    const start = /^(\d+)-\*\/\*$/.exec(range)?.[1];
    const data = parts.get('fileData');
    if (start === undefined || data === undefined) return reply(response, 400, 'Bad request');
    const isLast = parts.has('fileDone');
    if (isLast && parts.get('fileDone')?.length !== 0) return reply(response, 500, '');
    this.receivedBytes += data.length;
    const ifMatch = request.headers['if-match'];
    if (isLast && start === '0' && ifMatch === undefined) return this.#whole(path, data, parts, response);
    if (dialect.misreads || (ifMatch === undefined && dialect.firstChunkNeedsEtag)) {
      return this.#store(path, data, parts, response);
    }
    return this.#chunk(path, Number(start), data, isLast, ifMatch, parts, response);
  }

  #query(path: string, ifMatch: string | undefined, response: ServerResponse): true {
    const { query, queryFinds } = this.dialect;
    if (query !== 'works') return reply(response, query, query === 200 ? 'Stored' : '');
    let session = this.sessions.get(path);
    if (queryFinds === 'etag') {
      const isNamed = session !== undefined && session.etags.has(Number(ifMatch?.replace(/\D/g, '')));
      if (ifMatch !== undefined && !isNamed) return reply(response, 412, '');
      if (!isNamed) session = undefined;
    }
    if (queryFinds === 'nothing') session = undefined;
    session ??= this.#begin(path);
    if (this.dialect.etag === 'reply') this.#renewEtag(session);
    return this.#incomplete(session, response);
  }

  #whole(path: string, data: Buffer, parts: Map<string, Buffer>, response: ServerResponse): true {
    if (data.length > this.dialect.oneRequestMax) return reply(response, this.dialect.tooLarge, '');
    const isRight = parts.get('sha256')?.toString() === sha256(data);
    if (!isRight && this.dialect.hash !== 'unchecked') return reply(response, 400, 'Bad request');
    return this.#store(path, data, parts, response);
  }

  #chunk(
    path: string,
    start: number,
    data: Buffer,
    isLast: boolean,
    ifMatch: string | undefined,
    parts: Map<string, Buffer>,
    response: ServerResponse,
  ): true {
    const session = ifMatch === undefined ? this.#begin(path) : this.sessions.get(path);
    if (session === undefined || (ifMatch !== undefined && ifMatch !== `"e${session.etag}"`)) {
      return reply(response, 412, '');
    }
    if (start !== session.bytes.length) return reply(response, this.dialect.wrongStart, '');
    const size = this.#chunkSize(session);
    if (size !== undefined && data.length > size) return reply(response, 413, '');
    const whole = Buffer.concat([session.bytes, data]);
    const hashed = isLast && this.dialect.hash === 'whole' ? whole : data;
    const hash = hashed.length === 0 ? '' : sha256(hashed);
    if (this.dialect.hash !== 'unchecked' && parts.get('sha256')?.toString() !== hash) {
      return reply(response, 400, 'Bad request');
    }
    session.bytes = whole;
    if (this.dialect.etag === 'reply') this.#renewEtag(session);
    if (isLast && this.#finals >= this.dialect.blindFinals) return this.#store(path, whole, parts, response);
    if (isLast) this.#finals += 1;
    return this.#incomplete(session, response);
  }

  #store(path: string, bytes: Buffer, parts: Map<string, Buffer>, response: ServerResponse): true {
    const already = this.stored.get(path)?.bytes.equals(bytes) === true;
    this.sessions.delete(path);
    this.stored.set(path, {
      bytes: Buffer.from(bytes),
      syncpointId: parts.get('virtualFolderId')?.toString() ?? '',
      created: parts.get('creationTimeUtc')?.toString() ?? '',
      modified: parts.get('lastWriteTimeUtc')?.toString() ?? '',
    });
    return reply(response, 200, this.dialect.stored(already), { 'content-type': 'text/plain' });
  }

  #incomplete(session: Session, response: ServerResponse): true {
    const { range, unit } = this.dialect;
    const size = this.#chunkSize(session);
    const end = session.bytes.length;
    const text = `${unit ? 'bytes=' : ''}0-${range === 'inclusive' ? Math.max(0, end - 1) : end}`;
    return reply(response, 308, 'Resume Incomplete', {
      etag: `"e${session.etag}"`,
      ...(range === 'absent' ? {} : { range: text }),
      ...(size === undefined ? {} : { 'syncplicity-chunk-size': String(size) }),
    });
  }

  #begin(path: string): Session {
    const session = { etag: 0, etags: new Set<number>(), bytes: Buffer.alloc(0) };
    this.#renewEtag(session);
    this.sessions.set(path, session);
    return session;
  }

  /** Changes with each chunk. */
  #chunkSize(session: Session): number | undefined {
    const sizes = this.dialect.chunkBytes;
    return sizes?.[Math.floor(session.bytes.length / 1_000_000) % sizes.length];
  }

  #renewEtag(session: Session): void {
    this.#etags += 1;
    session.etag = this.#etags;
    session.etags.add(this.#etags);
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
