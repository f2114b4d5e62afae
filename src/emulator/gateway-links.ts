// The gateway's calls about shared links: Links POST and GET, Link GET, PUT and DELETE, with the refusals their tables name.
// Source: the guide's Links chapters; section 4.15 of the API reference. Must not know: sockets, faults, where links are kept.
import { listOf, numberOf } from './call.ts';
import type { Call, Route } from './call.ts';
import type { Filing } from './filing.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { isExpired, newToken } from './links.ts';
import type { LinkRecord, LinkStore } from './links.ts';
import { linkShape, linkTarget } from './link-shape.ts';
import type { LinkTarget } from './link-shape.ts';
import { readLinkSettings } from './link-settings.ts';
import { arrayPieces } from './listing-json.ts';
import { namesOf } from './names.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import { parseRequest, RequestObject, requestObjects } from './request-json.ts';
import type { Account, Shapes } from './shapes.ts';
import type { ContentStore, SyncpointRecord } from './store.ts';
import type { WireObject } from './wire-json.ts';

/** What the calls about links work with. */
export interface LinkOptions {
  readonly account: Account;
  readonly store: ContentStore;
  readonly links: LinkStore;
  readonly lookup: GatewayLookup;
  readonly filing: Filing;
  readonly replies: ReplyWriter;
  readonly shapes: Shapes;
}

/** The guide's limits: links in one Links POST, and links of a user. */
const LINKS_PER_CALL = 100;
const LINKS_PER_USER = 10_000;

/** The routes of the calls about shared links. */
export function linkRoutes(options: LinkOptions): readonly Route[] {
  const { account, store, links, lookup, filing, replies, shapes } = options;
  const { dialect } = replies;
  // A dialect that takes the guide's spellings takes any case too.
  const requestDialect = { keys: dialect.linkRequestKeys === 'any' ? 'lower' : dialect.keys } as const;

  async function create(call: Call): Promise<Reply> {
    refuseModifiers(call);
    const made: LinkRecord[] = [];
    const objects = requestObjects(await call.body(), requestDialect, LINKS_PER_CALL);
    for (const one of objects) {
      const syncpoint = await syncpointOf(one);
      const settings = readLinkSettings(one, account.shareLinkPolicy, dialect);
      const target = await targetOf(syncpoint, one.text('VirtualPath') ?? '');
      if (target === undefined) {
        if (dialect.linkNotMade === 'refused') throw new Refusal(404, 'File Not Found');
        continue;
      }
      made.push({ ...settings.of(defaults(target)), token: newToken() });
    }
    // No document says what becomes of one link more than a user may have.
    if (links.size + made.length > LINKS_PER_USER) throw new Refusal(403, 'Max Limit On Links Reached');
    await links.put(made);
    const shown: WireObject[] = [];
    for (const [index, record] of made.entries()) shown.push(await shape(record, index));
    return replies.json(shown);
  }

  /** What a link is unless it is told otherwise. */
  function defaults({ record, kind, syncpointId, virtualPath }: LinkTarget): LinkRecord {
    return {
      token: '',
      syncpointId,
      kind,
      objectId: record.id,
      virtualPath,
      policy: account.shareLinkPolicy,
      outlookPolicy: account.shareLinkPolicy,
      hasPassword: false,
      expireInDays: 0,
      users: [],
      groups: [],
      message: '',
      sharedMs: Date.now(),
      downloads: 0,
    };
  }

  async function syncpointOf(one: RequestObject): Promise<SyncpointRecord> {
    const refusal = new Refusal(403, 'spVirtualFolderGetById did not return a result when one was expected');
    const id = one.integer('SyncPointId');
    if (id === undefined) throw refusal;
    return lookup.syncpoint(id, refusal);
  }

  async function targetOf(syncpoint: SyncpointRecord, virtualPath: string): Promise<LinkTarget | undefined> {
    const names = namesOf(virtualPath);
    const isFolder = /[\\/]$/.test(virtualPath);
    const { folderId, missing } = await filing.folderAt(syncpoint, isFolder ? names : names.slice(0, -1));
    if (missing.length > 0 || virtualPath === '') return undefined;
    if (isFolder) {
      const record = await store.folder(syncpoint.id, folderId);
      return record && linkTarget(record, record.virtualPath);
    }
    const child = await filing.child(syncpoint.id, folderId, names.at(-1) ?? '');
    if (child === undefined) return undefined;
    if (child.kind === 'folder') return linkTarget(child.folder, child.folder.virtualPath);
    const folder = await store.folder(syncpoint.id, folderId);
    return linkTarget(child.file, `${folder?.virtualPath ?? '\\'}${child.file.name}`);
  }

  async function list(call: Call): Promise<Reply> {
    const user = (call.url.searchParams.get('user') ?? '').toLowerCase();
    if (user !== '' && user !== account.user.id) throw new Refusal(403, 'User Not Authorized For Action');
    const wanted = filterOf(call);
    const include = listOf(call, 'include');
    const [now, shown]: [number, WireObject[]] = [Date.now(), []];
    for (const record of links.all()) {
      if (!wanted(record) || (isExpired(record, now) && !include.has('expired'))) continue;
      shown.push(await shape(record, shown.length));
    }
    return replies.jsonStream(arrayPieces(replies.writer, shown));
  }

  /** Which links a query is about. */
  function filterOf(call: Call): (record: LinkRecord) => boolean {
    switch (dialect.linkFilter) {
      case 'ignored':
        return () => true;
      case 'file_id': {
        const fileId = numberOf(call, 'file_id');
        return (record) => fileId === undefined || isFile(record, fileId);
      }
      case 'fileId-with-syncpointId': {
        const [fileId, syncpointId] = [numberOf(call, 'fileId'), numberOf(call, 'syncpointId')];
        if ((fileId === undefined) !== (syncpointId === undefined)) throw new Refusal(400, 'Bad Request');
        return (record) =>
          fileId === undefined || (isFile(record, fileId) && BigInt(record.syncpointId) === syncpointId);
      }
    }
  }

  function isFile({ kind, objectId }: LinkRecord, fileId: bigint): boolean {
    return kind === 'file' && objectId === lookup.storeId(fileId);
  }

  async function show(call: Call): Promise<Reply> {
    return replies.json(await shape(linkOf(call), 0));
  }

  async function change(call: Call): Promise<Reply> {
    refuseModifiers(call);
    const record = linkOf(call);
    const settings = readLinkSettings(
      new RequestObject(parseRequest(await call.body()), requestDialect),
      account.shareLinkPolicy,
      dialect,
    );
    const changed = settings.of(record);
    await links.put([changed]);
    if (dialect.linkPutReply === 'empty') return done();
    const password = dialect.linkPutReply === 'with-password' ? settings.password : undefined;
    return replies.json({ ...(await shape(changed, 0)), Password: password });
  }

  async function revoke(call: Call): Promise<Reply> {
    await links.delete(linkOf(call).token);
    return done();
  }

  function linkOf(call: Call): LinkRecord {
    const record = links.get(decodeURIComponent(call.segments[0] ?? ''));
    if (record === undefined) throw new Refusal(404, 'Token Not found');
    return record;
  }

  function refuseModifiers(call: Call): void {
    const modifier = call.url.searchParams.get('modifier') ?? '';
    if (modifier !== '' && modifier !== 'send_email') throw new Refusal(400, 'Bad Request');
  }

  async function shape(record: LinkRecord, index: number): Promise<WireObject> {
    return linkShape(record, { index, dialect, shapes, store, nowMs: Date.now() });
  }

  function done(): Reply {
    return { status: 200, headers: {}, body: '' };
  }

  const route = (endpoint: string, method: string, path: RegExp, handle: (call: Call) => Promise<Reply>): Route => ({
    endpoint,
    method,
    path,
    handle: lookup.guarded(handle),
  });
  const [linksPath, linkPath] = [/^\/syncpoint\/links\.svc\/?$/, /^\/syncpoint\/link\.svc\/([^/]+)\/?$/];
  return [
    route('linksPost', 'POST', linksPath, create),
    route('links', 'GET', linksPath, list),
    route('link', 'GET', linkPath, show),
    route('linkPut', 'PUT', linkPath, change),
    route('linkDelete', 'DELETE', linkPath, revoke),
  ];
}
