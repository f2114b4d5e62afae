// The vault's uploads, by both documented URL forms: whole files in one request, or a session of chunks.
// Source: the guide's saveFile POST; section 5 of the API reference. Must not know: sockets, stores' kinds.
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { Call, Route } from './call.ts';
import type { Dialect } from './dialect.ts';
import type { Filing } from './filing.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { ticksOf } from './iso-time.ts';
import { namesOf } from './names.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import type { Shapes } from './shapes.ts';
import { StoreRefusal } from './store.ts';
import type { ContentStore, FileRecord, Staged } from './store.ts';
import { readUploadForm } from './upload-form.ts';
import type { UploadForm } from './upload-form.ts';
import { UploadSessions } from './upload-sessions.ts';
import type { UploadSession } from './upload-sessions.ts';
import { bearerHolder, requireVaultAccess, unauthorized } from './vault-access.ts';
import type { VaultAccessParts } from './vault-access.ts';

/** What uploads work with. */
export interface UploadOptions extends VaultAccessParts {
  readonly store: ContentStore;
  readonly lookup: GatewayLookup;
  readonly filing: Filing;
  readonly replies: ReplyWriter;
  readonly shapes: Shapes;
}

type UrlForm = 'saveFile' | 'v2';

/** What Content-Range says: a question, or where the bytes of this request begin. */
type Position = { readonly kind: 'query' } | { readonly kind: 'start'; readonly start: number };

const REQUIRED_PARTS: Readonly<Record<Dialect['formParts'], readonly string[]>> = {
  all: ['virtualFolderId', 'sha256', 'creationTimeUtc', 'lastWriteTimeUtc'],
  minimum: ['virtualFolderId'],
};

/** The routes that take content. */
export function uploadRoutes(options: UploadOptions): readonly Route[] {
  const { store, lookup, filing, replies, shapes } = options;
  const { dialect } = replies;
  const sessions = new UploadSessions(store, dialect);
  const unlimited = new AbortController().signal;

  async function upload(call: Call, form: UrlForm): Promise<Reply> {
    if (dialect.uploads !== 'both' && dialect.uploads !== form) throw new Refusal(404, 'Not Found');
    requireAccess(call);
    const filePath = call.url.searchParams.get('filepath') ?? '';
    if (namesOf(filePath).length === 0) throw new Refusal(400, 'Bad request');
    const position = positionOf(call);
    const ifMatch = call.headers['if-match'];
    if (position.kind === 'query' && dialect.queryStep === 'supported') return query(call, filePath, ifMatch);
    if (ifMatch !== undefined) {
      const session = await sessions.find(ifMatch, 'chunk');
      if (session.filePath !== filePath) throw new Refusal(400, 'Bad request');
      return chunk(call, form, session, position.kind === 'start' ? position.start : 0);
    }
    if (position.kind === 'start' && position.start > 0) throw new Refusal(400, 'Bad request');
    return dialect.withoutIfMatch === 'session'
      ? chunk(call, form, await sessions.begin(filePath), 0)
      : whole(call, form, filePath);
  }

  function requireAccess(call: Call): void {
    requireVaultAccess(options, call, 'upload');
    if ((call.headers['user-agent'] ?? '') === '') throw new Refusal(400, 'Bad request');
  }

  function requireSessionKey(call: Call, form: UploadForm): void {
    const key = form.value('sessionKey') ?? '';
    const hasPrefix = /^Bearer /.test(key);
    if (dialect.sessionKey === (hasPrefix ? 'bare' : 'bearer')) throw unauthorized();
    bearerHolder(options, hasPrefix ? key : `Bearer ${key}`, call, 'upload');
  }

  /** How far a session has come; a new one when none is named. */
  async function query(call: Call, filePath: string, ifMatch: string | undefined): Promise<Reply> {
    const form = await readUploadForm(call, unlimited, () => Promise.resolve());
    requireSessionKey(call, form);
    let session = ifMatch === undefined ? undefined : await sessions.find(ifMatch, 'query');
    if (session === undefined && dialect.queryFinds === 'by-path') session = await sessions.findByPath(filePath);
    session ??= await sessions.begin(filePath);
    // What an abandoned request is still adding does not count.
    const { release } = await session.claim();
    try {
      return resumeReply(await sessions.keep(session));
    } finally {
      release();
    }
  }

  /** A file in one request. */
  async function whole(call: Call, urlForm: UrlForm, filePath: string): Promise<Reply> {
    const staged = await store.stage();
    try {
      const hash = createHash('sha256');
      const form = await readUploadForm(call, unlimited, (bytes) => {
        refuseTooLarge(staged.lengthBytes + bytes.byteLength);
        hash.update(bytes);
        return staged.append(bytes);
      });
      requireSessionKey(call, form);
      if (!form.hasData) return withoutData(call);
      const sha256 = hash.digest('hex');
      requireParts(form, sha256, sha256);
      return await file(form, urlForm, filePath, staged, sha256);
    } finally {
      await staged.drop();
    }
  }

  /** A chunk of a session, the last one where it has `fileDone`. */
  async function chunk(call: Call, urlForm: UrlForm, session: UploadSession, start: number): Promise<Reply> {
    const { signal, release } = await session.claim();
    const { staged } = session;
    const before = staged.lengthBytes;
    let isAccepted = false;
    let hasBrokenOff = false;
    try {
      if (start > before || (dialect.chunkStart === 'at-end' && start < before)) throw new Refusal(400, 'Bad request');
      await staged.cut(start);
      const hash = session.hashAt(start);
      const own = dialect.sha256Part === 'of-request' && start > 0 ? createHash('sha256') : undefined;
      const end = start + (call.headers['if-match'] === undefined ? sessionStartMax() : session.chunkBytes);
      const form = await readUploadForm(call, signal, async (bytes) => {
        if (staged.lengthBytes + bytes.byteLength > end) {
          throw new Refusal(dialect.chunkTooLarge === '413' ? 413 : 400, 'Request Entity Too Large');
        }
        hash?.update(bytes);
        own?.update(bytes);
        await staged.append(bytes);
        hasBrokenOff = true;
      });
      hasBrokenOff = false;
      session.rememberHash(hash);
      requireSessionKey(call, form);
      if (!form.hasData && form.value('fileDone') === undefined) return withoutData(call);
      const isLast = form.value('fileDone') !== undefined;
      requireParts(form, ownHash(own, hash), isLast ? await session.sha256() : undefined);
      isAccepted = true;
      if (!isLast) return resumeReply(await sessions.keep(session));
      sessions.end(session);
      return await file(form, urlForm, session.filePath, staged, await session.sha256());
    } finally {
      if (!isAccepted) await takeBack(session, start, hasBrokenOff);
      release();
    }
  }

  function ownHash(own: Hash | undefined, running: Hash | undefined): string | undefined {
    return own?.digest('hex') ?? running?.copy().digest('hex');
  }

  /** After a chunk that was refused or broke off. */
  async function takeBack(session: UploadSession, start: number, hasBrokenOff: boolean): Promise<void> {
    const { staged } = session;
    if (dialect.brokenChunk === 'dropped' || !hasBrokenOff) await staged.cut(Math.min(start, staged.lengthBytes));
    session.rememberHash(undefined);
    if (staged.note !== undefined) {
      await staged.keep(session.note());
      return;
    }
    // Its ETag was never told to anybody.
    sessions.end(session);
    await staged.drop();
  }

  /** Of the request that begins a session or is the whole file. */
  function sessionStartMax(): number {
    return dialect.oneShotBytesMax === 0 ? Number.POSITIVE_INFINITY : dialect.oneShotBytesMax;
  }

  function refuseTooLarge(bytes: number): void {
    if (bytes > sessionStartMax())
      throw new Refusal(dialect.oneShotTooLarge === '413' ? 413 : 400, 'Request Entity Too Large');
  }

  function requireParts(form: UploadForm, ofRequest: string | undefined, ofWhole: string | undefined): void {
    for (const name of REQUIRED_PARTS[dialect.formParts]) {
      if (form.value(name) === undefined) throw new Refusal(400, 'Bad request');
    }
    const told = form.value('sha256');
    const expected =
      dialect.sha256Part === 'of-request' ? ofRequest : dialect.sha256Part === 'of-whole' ? ofWhole : undefined;
    // The samples send nothing for no bytes.
    if (told === undefined || told === '' || expected === undefined) return;
    if (told !== expected) throw new Refusal(400, 'Bad request');
  }

  async function file(
    form: UploadForm,
    urlForm: UrlForm,
    filePath: string,
    staged: Staged,
    sha256: string,
  ): Promise<Reply> {
    const [created, modified] = [timeOf(form, 'creationTimeUtc'), timeOf(form, 'lastWriteTimeUtc')];
    const id = form.value('virtualFolderId') ?? '';
    if (!/^[0-9]{1,19}$/.test(id)) throw new Refusal(400, 'Bad request');
    const syncpoint = await lookup.writableSyncpoint(
      BigInt(id),
      lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist'),
    );
    const names = namesOf(filePath).map((name) => filing.name(name, 'Bad request'));
    const name = names.at(-1) ?? '';
    const folderNames = names.slice(0, -1);
    const filed = await filing.file({ syncpoint, folderNames, name, staged, sha256, created, modified });
    if (filed.outcome === 'unsaid') throw new Refusal(500, 'Internal Server Error');
    return storedReply(filed.outcome, filed.file, urlForm);
  }

  function storedReply(outcome: 'stored' | 'already', record: FileRecord | undefined, urlForm: UrlForm): Reply {
    const { uploadReply } = dialect;
    if (uploadReply === 'empty') return { status: 201, headers: {}, body: '' };
    const isJson = uploadReply === 'json' || (uploadReply === 'by-form' && urlForm === 'v2');
    if (isJson && record !== undefined) {
      return replies.json({ data_file_id: shapes.id(record.id), data_file_version_id: shapes.id(record.versionId) });
    }
    return text(200, outcome === 'already' ? 'Already Stored' : 'Stored', {});
  }

  /** A query where there is none, or a form that lacks its file. */
  function withoutData(call: Call): Reply {
    const isQuery = call.headers['content-range'] === '*/*' && dialect.queryStep !== 'supported';
    if (isQuery && dialect.queryStep === '200') return text(200, 'Stored', {});
    throw new Refusal(isQuery ? Number(dialect.queryStep) : 400, 'Bad request');
  }

  const route = (endpoint: string, path: RegExp, form: UrlForm): Route => ({
    endpoint,
    method: 'POST',
    path,
    handle: async (call) => {
      try {
        return await upload(call, form);
      } catch (error) {
        // Of the stage: what arrives has to lie somewhere.
        throw error instanceof StoreRefusal ? filing.refusalOf(error) : error;
      }
    },
  });
  return [route('saveFile', /^\/saveFile\.php$/, 'saveFile'), route('v2mime', /^\/v2\/mime\/files\/?$/, 'v2')];
}

function positionOf(call: Call): Position {
  const header = call.headers['content-range'];
  if (header === '*/*') return { kind: 'query' };
  if (header === undefined) return { kind: 'start', start: 0 };
  const start = /^([0-9]{1,15})-\*\/\*$/.exec(header)?.[1];
  if (start === undefined) throw new Refusal(400, 'Bad request');
  return { kind: 'start', start: Number(start) };
}

function timeOf(form: UploadForm, name: string): bigint {
  const text = form.value(name);
  const ticks = text === undefined || text === '' ? BigInt(Date.now()) * 10_000n : ticksOf(text);
  if (ticks === undefined) throw new Refusal(400, 'Bad request');
  return ticks;
}

function resumeReply(headers: Readonly<Record<string, string>>): Reply {
  return { ...text(308, 'Resume Incomplete', headers), reason: 'Resume Incomplete' };
}

function text(status: number, body: string, headers: Readonly<Record<string, string>>): Reply {
  return { status, headers: { ...headers, 'Content-Type': 'text/plain' }, body };
}
