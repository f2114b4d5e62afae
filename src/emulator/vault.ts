// The vault's calls: the bytes of one version, by both documented URL forms, with the ranges a dialect understands.
// Source: the guide's retrieveFile GET; section 6 of the API reference for /v2/files. Must not know: sockets, stores' kinds.
import type { Call, Route } from './call.ts';
import type { Dialect } from './dialect.ts';
import { Refusal } from './reply.ts';
import type { Reply } from './reply.ts';
import type { ContentStore } from './store.ts';
import { requireVaultAccess } from './vault-access.ts';
import type { VaultAccessParts } from './vault-access.ts';

export interface VaultOptions extends VaultAccessParts {
  readonly store: ContentStore;
}

/** What a Range header asks for: bytes [start, end) or, with `undefined`, everything. */
type Asked = { readonly start: number; readonly end: number } | undefined;

export function vaultRoutes(options: VaultOptions): readonly Route[] {
  const { store, dialect } = options;

  function retrieveFile(call: Call): Promise<Reply> {
    if (dialect.downloads === 'v2') throw new Refusal(404, 'Not Found');
    requireVaultAccess(options, call, 'download');
    const parts = /^([0-9]{1,19})-([0-9]{1,19})$/.exec(call.url.searchParams.get('vToken') ?? '');
    if (parts === null) throw new Refusal(400, 'Bad request');
    return content(call, parts[1], parts[2]);
  }

  function v2Files(call: Call): Promise<Reply> {
    if (dialect.downloads === 'retrieveFile') throw new Refusal(404, 'Not Found');
    requireVaultAccess(options, call, 'download');
    const query = call.url.searchParams;
    return content(call, query.get('syncpoint_id') ?? undefined, query.get('file_version_id') ?? undefined);
  }

  async function content(call: Call, syncpointText?: string, versionText?: string): Promise<Reply> {
    const ids = [syncpointText, versionText].map((text) =>
      text !== undefined && /^[0-9]{1,19}$/.test(text) ? BigInt(text) : 0n,
    );
    const [syncpoint = 0n, version = 0n] = ids;
    if (syncpoint === 0n || version === 0n) throw new Refusal(400, 'Bad request');
    const plain = version - dialect.idBase;
    const max = BigInt(Number.MAX_SAFE_INTEGER);
    if (plain <= 0n || plain > max || syncpoint > max) throw new Refusal(404, 'File Not Found');
    if (dialect.deletedContent !== 'served' && (await store.fileOfVersion(Number(plain)))?.file.deleted === true) {
      throw dialect.deletedContent === '404'
        ? new Refusal(404, 'File Not Found')
        : new Refusal(403, 'User Not Authorized For Action');
    }
    const opened = await store.open(Number(syncpoint), Number(plain));
    if (opened === undefined) throw new Refusal(404, 'File Not Found');
    try {
      const total = opened.lengthBytes;
      const asked = askedRange(call.headers.range, total, dialect);
      const empty = asked !== undefined && asked.start >= total;
      const { start, end } = asked === undefined || empty ? { start: 0, end: empty ? 0 : total } : asked;
      const partial = asked !== undefined && !empty;
      const headers: Record<string, string> = {
        'Content-Type': 'application/octet-stream',
        'Content-Disposition': `attachment; filename*=UTF-8''${encodeName(opened.name)}`,
      };
      if (partial && dialect.contentRange !== 'absent') {
        headers['Content-Range'] =
          `bytes ${start}-${end - 1}/${dialect.contentRange === 'total' ? String(total) : '*'}`;
      }
      return {
        status: empty ? 204 : partial ? 206 : 200,
        headers,
        body: opened.stream(start, end - start),
        ...(dialect.downloadLength && !empty && { lengthBytes: end - start }),
        done: () => opened.close(),
      };
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  return [
    { endpoint: 'retrieveFile', method: 'GET', path: /^\/retrieveFile\.php$/, handle: retrieveFile },
    { endpoint: 'v2files', method: 'GET', path: /^\/v2\/files\/?$/, handle: v2Files },
  ];
}

/** Reads a Range header as the dialect does; an answer that starts at the total length or past it means `empty`. */
function askedRange(header: string | undefined, total: number, dialect: Dialect): Asked {
  if (header === undefined || dialect.ranges === 'ignored') return undefined;
  const forms = dialect.ranges === 'raw' ? /^([0-9]{1,15})-$/ : /^bytes=([0-9]{1,15})-([0-9]{0,15})$|^([0-9]{1,15})-$/;
  const match = forms.exec(header);
  const start = Number(match?.[1] ?? match?.[3]);
  const last = match?.[2] ?? '';
  if (match === null || (last !== '' && Number(last) < start)) {
    if (dialect.badRange === 'ignored') return undefined;
    throw new Refusal(400, 'Bad request');
  }
  if (start >= total) {
    if (dialect.pastEnd === 'empty') return { start, end: start };
    if (dialect.pastEnd === '400') throw new Refusal(400, 'Bad request');
    throw new Refusal(416, 'Requested Range Not Satisfiable', { 'Content-Range': `bytes */${total}` });
  }
  const bounded = last !== '' && dialect.ranges === 'bounded';
  return { start, end: bounded ? Math.min(Number(last) + 1, total) : total };
}

/** RFC 8187. What is not valid Unicode is replaced as UTF-8 encoders do. */
function encodeName(name: string): string {
  const valid = Buffer.from(name, 'utf8').toString('utf8');
  return encodeURIComponent(valid).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}
