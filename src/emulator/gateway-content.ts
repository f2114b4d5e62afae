// The gateway's reading calls: syncpoints, storage endpoints, folder and file metadata, versions. Each handler is one
// documented call with the refusals its table names. Must not know: sockets, faults, where content lies.
import { listOf, numberOf } from './call.ts';
import type { Call, Route } from './call.ts';
import { positive } from './gateway-lookup.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { arrayPieces, objectPieces } from './listing-json.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import type { Account, Shapes, SyncpointIncludes } from './shapes.ts';
import { page, sorted } from './paging.ts';
import type { ContentStore, FileRecord, FolderListing, ListOptions, FolderRecord, SyncpointRecord } from './store.ts';
import type { SyncpointFacts } from './syncpoint-facts.ts';
import type { WireObject } from './wire-json.ts';

export interface ContentOptions {
  readonly account: Account;
  readonly store: ContentStore;
  readonly lookup: GatewayLookup;
  readonly facts: SyncpointFacts;
  readonly replies: ReplyWriter;
  readonly shapes: Shapes;
}

export function contentRoutes(options: ContentOptions): readonly Route[] {
  const { account, store, lookup, facts, replies, shapes } = options;
  const { dialect, writer } = replies;

  // --- syncpoints

  function refuseOtherUser(call: Call, refusal: Refusal): void {
    const user = call.url.searchParams.get('user');
    if (user === null || user === '') return;
    if (user.toLowerCase() !== account.user.id && user.toLowerCase() !== account.user.emailAddress) throw refusal;
  }

  function includesOf(call: Call): SyncpointIncludes {
    const names = listOf(call, 'include');
    return {
      participants: names.has('participants'),
      inviter: names.has('inviter'),
      remoteWipe: names.has('remotewipe'),
      children: names.has('children'),
      lastEvent: names.has('lastnewsfeedevent'),
    };
  }

  function syncpointShape(syncpoint: SyncpointRecord, all: readonly SyncpointRecord[], call: Call): WireObject {
    const children = all.filter((other) => other.parentSyncpointId === syncpoint.id).map((other) => other.id);
    const includes = includesOf(call);
    return { ...shapes.syncpoint(syncpoint, includes, children), ...facts.of(syncpoint, includes.participants) };
  }

  async function syncpoints(call: Call): Promise<Reply> {
    refuseOtherUser(call, new Refusal(403, 'Not A Business Admin'));
    const types = listOf(call, 'includeType');
    for (const type of types) if (!/^[0-9]+$/.test(type)) throw new Refusal(400, 'Bad Request');
    const all = await store.syncpoints({ lookForChanges: includesOf(call).lastEvent });
    const wanted = all.filter(({ type }) => (types.size === 0 ? type !== 8 : types.has(String(type))));
    return replies.json(wanted.map((syncpoint) => syncpointShape(syncpoint, all, call)));
  }

  async function syncpoint(call: Call): Promise<Reply> {
    const id = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    const all = await store.syncpoints({ lookForChanges: includesOf(call).lastEvent });
    const found = all.find((one) => BigInt(one.id) === id);
    if (found === undefined) throw lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist');
    return replies.json(syncpointShape(found, all, call));
  }

  // --- storage endpoints

  async function endpoint(call: Call): Promise<Reply> {
    refuseOtherUser(call, new Refusal(403, 'User Not Authorized For Action'));
    const shape = shapes.storageEndpoint(await store.space());
    return replies.json(dialect.endpointReply === 'array' ? [shape] : shape);
  }

  function endpointById(call: Call): Promise<Reply> {
    const id = (call.segments[0] ?? '').toLowerCase();
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) throw new Refusal(400, 'Invalid input');
    if (dialect.endpointById === 'admin-only') throw new Refusal(403, 'User Not Authorized For Action');
    if (id !== account.storageEndpointId) throw new Refusal(404, 'Storage Endpoint Not Found');
    return endpoint(call);
  }

  async function endpoints(call: Call): Promise<Reply> {
    if (dialect.endpointsCall === '404') throw new Refusal(404, 'Not Found');
    refuseOtherUser(call, new Refusal(403, 'User Not Authorized For Action'));
    const none = dialect.endpointsCall === 'empty' || listOf(call, 'include').has('search');
    return replies.json(none ? [] : [shapes.storageEndpoint(await store.space())]);
  }

  // --- folders and files

  function statuses(call: Call): { active: boolean; deleted: boolean } {
    const names = listOf(call, 'include');
    // `delete` is the guide's word, `deleted` the specification's.
    return { active: names.has('active'), deleted: names.has('deleted') || names.has('delete') };
  }

  /** `Hash` of a listing's files; undefined where it is not asked for or not told. */
  async function hashesOf(files: readonly FileRecord[], call: Call): Promise<readonly (string | undefined)[]> {
    if (!listOf(call, 'include').has('hash') || dialect.hash === 'absent') return [];
    const hashes: (string | undefined)[] = [];
    for (const file of files) hashes.push(await store.sha256(file.syncpointId, file.versionId));
    return hashes;
  }

  const wanted =
    ({ active, deleted }: { active: boolean; deleted: boolean }) =>
    (record: { readonly deleted: boolean }): boolean =>
      record.deleted ? deleted : active;

  async function listed(
    call: Call,
    refusals: { syncpointId: Refusal; folderId: Refusal; noSyncpoint: Refusal; noFolder: Refusal },
    options: ListOptions,
  ): Promise<FolderListing> {
    const syncpointId = positive(call.segments[0], refusals.syncpointId);
    const folderId = positive(call.segments[1], refusals.folderId);
    const { id: own } = await lookup.syncpoint(syncpointId, refusals.noSyncpoint);
    const listing = await store.list(own, lookup.storeId(folderId), options);
    const isHidden = listing?.folder.deleted === true && dialect.deletedFolder === '400';
    if (listing === undefined || isHidden) throw refusals.noFolder;
    return listing;
  }

  async function folder(call: Call): Promise<Reply> {
    if (dialect.folderCall === '404') throw new Refusal(404, 'Not Found');
    if (dialect.folderCall === '405') throw new Refusal(405, 'Method Not Allowed', { Allow: 'PUT, DELETE' });
    const include = statuses(call);
    const refusals = {
      syncpointId: new Refusal(400, 'Invalid SyncPoint ID'),
      folderId: new Refusal(400, 'Invalid Folder ID'),
      noSyncpoint: lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist'),
      noFolder: dialect.unknownFolder === '400' ? new Refusal(400, 'Invalid Folder ID') : unknownFolder(),
    };
    if (!include.active && !include.deleted) {
      const { id: syncpointId } = await lookup.syncpoint(
        positive(call.segments[0], refusals.syncpointId),
        refusals.noSyncpoint,
      );
      const folderId = lookup.storeId(positive(call.segments[1], refusals.folderId));
      const record = await store.folder(syncpointId, folderId);
      if (record === undefined) throw refusals.noFolder;
      return replies.json(shapes.folder(record));
    }
    return objectReply(await listed(call, refusals, { deleted: include.deleted }), include, {
      folderId: dialect.filesInFolderHaveFolderId,
      length: true,
    });
  }

  function unknownFolder(): Refusal {
    return new Refusal(404, 'Unknown Folder Id');
  }

  function objectReply(
    listing: FolderListing,
    include: { active: boolean; deleted: boolean },
    fileOptions: { folderId: boolean; length: boolean },
  ): Reply {
    const files = sorted(filtered(listing.files, wanted(include)), dialect.order);
    const folders = sorted(filtered(listing.folders, wanted(include)), dialect.order);
    const members = [
      { key: 'Files', items: mapped(files, (file) => shapes.file(file, fileOptions)) },
      { key: 'Folders', items: mapped(folders, (one) => shapes.folder(one)) },
    ];
    return replies.jsonStream(
      objectPieces(writer, shapes.folderHead(listing.folder), members, { omitEmpty: dialect.omitDefaults }),
    );
  }

  async function folders(call: Call): Promise<Reply> {
    const include = statuses(call);
    if (!include.active && !include.deleted) include.active = true;
    const limit = numberOf(call, 'limit');
    const after = numberOf(call, 'last_folder_id');
    const refusals = {
      syncpointId: new Refusal(400, 'Invalid SyncPoint Id'),
      folderId: new Refusal(400, 'Invalid Folder ID'),
      noSyncpoint: lookup.missingSyncpoint(404, 'Unknown Syncpoint Id'),
      noFolder: unknownFolder(),
    };
    const listing = await listed(call, refusals, pageOptions(include.deleted, after));
    const all: Iterable<FolderRecord> = filtered(listing.folders, wanted(include));
    const paged = page(
      sorted(all, dialect.order),
      limit,
      after === undefined ? undefined : lookup.storeId(after),
      dialect,
    );
    if (dialect.foldersReply === 'object') {
      // The guide's object carries the folder's files too; only the subfolders are paged.
      return objectReply({ ...listing, folders: paged }, include, { folderId: false, length: true });
    }
    return replies.jsonStream(
      arrayPieces(
        writer,
        mapped(paged, (one) => shapes.folder(one)),
      ),
    );
  }

  async function files(call: Call): Promise<Reply> {
    const include = statuses(call);
    const nothing = !include.active && !include.deleted && dialect.filesWithoutInclude === 'nothing';
    if (!include.active && !include.deleted && !nothing) include.active = true;
    const limit = numberOf(call, 'limit');
    const after = numberOf(call, 'offset');
    const refusals = {
      syncpointId: new Refusal(400, 'Invalid SyncPoint ID'),
      folderId: new Refusal(400, 'Invalid Folder ID'),
      noSyncpoint: lookup.missingSyncpoint(404, 'VirtualFolder Not Found'),
      noFolder: new Refusal(404, 'Directory Not Found'),
    };
    const listing = await listed(call, refusals, pageOptions(include.deleted, after));
    const all: Iterable<FileRecord> = nothing ? [] : filtered(listing.files, wanted(include));
    const paged = page(
      sorted(all, dialect.order),
      limit,
      after === undefined ? undefined : lookup.storeId(after),
      dialect,
    );
    const hashes = await hashesOf(paged, call);
    const fileOptions = { folderId: true, length: dialect.filesHaveLength };
    return replies.jsonStream(
      arrayPieces(
        writer,
        mapped(paged, (file, index) => shapes.file(file, { ...fileOptions, sha256: hashes[index] })),
      ),
    );
  }

  async function file(call: Call): Promise<Reply> {
    const syncpointId = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    const fileId = positive(call.segments[1], new Refusal(400, 'Invalid File ID'));
    const { id: own } = await lookup.syncpoint(syncpointId, lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist'));
    const record = await store.file(own, lookup.storeId(fileId));
    if (record === undefined) throw new Refusal(404, 'File Not Found');
    const [sha256] = await hashesOf([record], call);
    return replies.json(shapes.file(record, { folderId: true, length: true, sha256 }));
  }

  async function versions(call: Call): Promise<Reply> {
    const syncpointId = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    const versionId = positive(call.segments[1], new Refusal(400, 'Invalid Version ID'));
    const { id: own } = await lookup.syncpoint(syncpointId, new Refusal(400, 'Virtual Folder Does Not Exist'));
    const records = await store.versions(own, lookup.storeId(versionId));
    if (records === undefined) throw new Refusal(400, 'Invalid Version ID');
    return replies.json(records.map((record) => shapes.version(own, record)));
  }

  const get = (endpoint: string, path: RegExp, handle: (call: Call) => Promise<Reply>, contentType = true): Route => ({
    endpoint,
    method: 'GET',
    path,
    handle: lookup.guarded(handle, contentType),
  });
  return [
    get('syncpoints', /^\/syncpoint\/syncpoints\.svc\/?$/, syncpoints),
    get('syncpoint', /^\/syncpoint\/syncpoint\.svc\/([^/]*)\/?$/, syncpoint),
    get('storageendpoint', /^\/storage\/storageendpoint\.svc\/?$/, endpoint, false),
    get('storageendpoint', /^\/storage\/storageendpoint\.svc\/([^/]+)\/?$/, endpointById, false),
    get('storageendpoints', /^\/storage\/storageendpoints\.svc\/?$/, endpoints, false),
    get('folder', /^\/sync\/folder\.svc\/([^/]*)\/folder\/([^/]*)\/?$/, folder),
    get('folders', /^\/sync\/folder_folders\.svc\/([^/]*)\/folder\/([^/]*)\/folders\/?$/, folders),
    get('files', /^\/sync\/folder_files\.svc\/([^/]*)\/folder\/([^/]*)\/files\/?$/, files),
    get('file', /^\/sync\/file\.svc\/([^/]*)\/file\/([^/]*)\/?$/, file),
    get('versions', /^\/sync\/versions\.svc\/([^/]*)\/file\/([^/]*)\/versions\/?$/, versions),
  ];
}

/** Further pages may come from the moment of the first, so that a large folder is not read anew for each. */
function pageOptions(deleted: boolean, after: bigint | undefined): ListOptions {
  return { deleted, maxAgeMs: after === undefined ? 0 : 5000 };
}

function* filtered<T>(items: Iterable<T>, keep: (item: T) => boolean): Iterable<T> {
  for (const item of items) if (keep(item)) yield item;
}

function* mapped<T, U>(items: Iterable<T>, change: (item: T, index: number) => U): Iterable<U> {
  let index = 0;
  for (const item of items) yield change(item, index++);
}
