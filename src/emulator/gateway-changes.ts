// The gateway's changing calls: folders made, files and folders removed, renamed and moved. Each handler is one documented call
// with the refusals its table names. Source: the guide's Folders POST, Folder and File DELETE; section 9 of the API reference.
// Must not know: sockets, faults, where content lies.
import type { Call, Route } from './call.ts';
import type { MoveBehaviour } from './dialect-writes.ts';
import type { Filing } from './filing.ts';
import { positive } from './gateway-lookup.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { namesOf } from './names.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import { parseRequest, RequestObject, requestObjects } from './request-json.ts';
import type { Shapes } from './shapes.ts';
import type { ContentStore, FolderRecord, SyncpointRecord } from './store.ts';
import type { WireObject } from './wire-json.ts';

/** What the changing calls work with. */
export interface ChangeOptions {
  readonly store: ContentStore;
  readonly lookup: GatewayLookup;
  readonly filing: Filing;
  readonly replies: ReplyWriter;
  readonly shapes: Shapes;
}

const ADDED = 1;
const MOVED_OR_RENAMED = 6;
const PRIVATE_TYPE = 7;
const SYNCDRIVE_TYPE = 8;

/** The routes of the calls that change folders and files. */
export function changeRoutes(options: ChangeOptions): readonly Route[] {
  const { store, lookup, filing, replies, shapes } = options;
  const { dialect } = replies;

  function writable(call: Call): Promise<SyncpointRecord> {
    const id = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    return lookup.writableSyncpoint(id, lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist'));
  }

  // --- folders made

  /** The names of a request to make folders, all of them acceptable. */
  function namesToMake(objects: readonly RequestObject[], nameOf: (one: RequestObject) => string): readonly string[] {
    const statuses = objects.map((one) => one.integer('Status'));
    if (new Set(statuses).size > 1) throw new Refusal(400, 'Different Statuses Are Not Allowed');
    if (statuses[0] !== BigInt(ADDED)) throw new Refusal(400, 'Invalid Status');
    const names = objects.map(nameOf);
    if (names.some((name) => name.trim() === '')) throw new Refusal(400, 'Empty Folder Names Not Allowed');
    return names.map((name) => filing.name(name, 'Invalid Folder Name'));
  }

  function refusePrivate({ type }: SyncpointRecord): void {
    if (type === PRIVATE_TYPE) throw new Refusal(403, 'Creating Directory In Private Folder Not Allowed');
  }

  async function makeFolders(call: Call): Promise<Reply> {
    const folderId = positive(call.segments[1], new Refusal(400, 'Invalid Folder ID'));
    const syncpoint = await writable(call);
    refusePrivate(syncpoint);
    const objects = requestObjects(await call.body(), dialect);
    const names = namesToMake(objects, (one) => one.text('Name') ?? '');
    return filing.change(syncpoint.id, async () => {
      const parent = await store.folder(syncpoint.id, lookup.storeId(folderId));
      if (parent === undefined) throw new Refusal(400, 'Invalid Folder ID');
      const replied: FolderRecord[] = [];
      if (dialect.takenFolderName === '400') {
        if (new Set(names).size < names.length) throw takenName();
        for (const name of names) if (await filing.child(syncpoint.id, parent.id, name)) throw takenName();
      }
      for (const name of names) {
        const present = await filing.child(syncpoint.id, parent.id, name);
        if (present === undefined) replied.push(await store.createFolder(syncpoint.id, parent.id, name));
        else if (present.kind === 'file' || dialect.takenFolderName === '400-after-some') throw takenName();
        else if (dialect.takenFolderName === 'returned') replied.push(present.folder);
      }
      return replies.json(replied.map(createdShape));
    });
  }

  /** By path, missing folders on the way included. */
  async function makeFoldersByPath(call: Call): Promise<Reply> {
    const syncpoint = await writable(call);
    refusePrivate(syncpoint);
    const objects = requestObjects(await call.body(), dialect);
    for (const one of objects) {
      if (one.integer('SyncpointId') !== BigInt(syncpoint.id)) throw new Refusal(400, 'SyncpointId Does Not Match');
    }
    const paths = objects.map((one) => namesOf(one.text('VirtualPath') ?? ''));
    namesToMake(objects, (one) => namesOf(one.text('VirtualPath') ?? '').at(-1) ?? '');
    for (const name of paths.flat()) filing.name(name, 'Invalid Folder Name');
    return filing.change(syncpoint.id, async () => {
      const made: FolderRecord[] = [];
      for (const path of paths) {
        const { folderId, missing } = await filing.folderAt(syncpoint, path);
        if (missing.length === 0) throw takenName();
        const folder = await filing.makeFolders(syncpoint.id, folderId, missing);
        if (folder !== undefined) made.push(folder);
      }
      return replies.json(made.map(createdShape));
    });
  }

  function createdShape(folder: FolderRecord): WireObject {
    if (dialect.createdPath === 'backslash') return shapes.folder(folder);
    return shapes.folder({ ...folder, virtualPath: folder.virtualPath.replaceAll('\\', '/') });
  }

  function takenName(): Refusal {
    return new Refusal(400, 'Folder With The Same Name Already Exists');
  }

  // --- removed

  /** Whether the call ends what is in the trash; refuses other modifiers. */
  function isPurge(call: Call): boolean {
    const modifier = call.url.searchParams.get('modifier') ?? '';
    if (modifier !== '' && modifier !== 'permanently') throw new Refusal(400, 'Bad Request');
    return modifier !== '';
  }

  function refuseForeignPurge(syncpoint: SyncpointRecord): void {
    if (syncpoint.owner !== undefined) throw new Refusal(403, 'Not An Owner');
  }

  async function removeFile(call: Call): Promise<Reply> {
    const versionId = positive(call.segments[1], new Refusal(400, 'Invalid Version ID'));
    const syncpoint = await writable(call);
    const purge = isPurge(call);
    return filing.change(syncpoint.id, async () => {
      const found = await store.fileOfVersion(lookup.storeId(versionId));
      if (found === undefined) throw new Refusal(400, 'Invalid Version ID');
      const { file, isLatest } = found;
      if (file.syncpointId !== syncpoint.id) throw new Refusal(400, 'Mismatched SyncPoint ID');
      if (file.deleted !== purge) {
        throw new Refusal(400, purge ? 'Purging Active File Not Allowed' : 'File Already Deleted');
      }
      if (!isLatest && dialect.staleVersionDelete === '400') throw new Refusal(400, 'Invalid Version ID');
      if (purge) {
        refuseForeignPurge(syncpoint);
        await store.purge(syncpoint.id, file.id);
      } else await store.removeFile(syncpoint.id, file.id);
      return done();
    });
  }

  async function removeVersion(call: Call): Promise<Reply> {
    const syncpointId = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    const fileId = positive(call.segments[1], new Refusal(400, 'Invalid File ID'));
    const versionId = positive(call.segments[2], new Refusal(400, 'Invalid Version ID'));
    const syncpoint = await lookup.writableSyncpoint(syncpointId, new Refusal(400, 'Virtual Folder Does Not Exist'));
    return filing.change(syncpoint.id, async () => {
      const id = lookup.storeId(versionId);
      const found = await store.fileOfVersion(id);
      const known = found === undefined ? undefined : await store.versions(syncpoint.id, id);
      const isItsVersion = found?.file.id === lookup.storeId(fileId) && known?.some((one) => one.id === id) === true;
      // No document says what becomes of a file without its latest version.
      if (!isItsVersion || found.isLatest) throw new Refusal(400, 'Invalid Version ID');
      await store.removeVersion(syncpoint.id, found.file.id, id);
      return done();
    });
  }

  async function removeFolder(call: Call): Promise<Reply> {
    const folderId = positive(call.segments[1], new Refusal(400, 'Invalid Folder ID'));
    const syncpoint = await writable(call);
    const purge = isPurge(call);
    return filing.change(syncpoint.id, async () => {
      await endFolder(syncpoint, lookup.storeId(folderId), purge);
      return done();
    });
  }

  async function endFolder(syncpoint: SyncpointRecord, id: number, purge: boolean): Promise<void> {
    const folder = await store.folder(syncpoint.id, id);
    if (folder === undefined && (await store.removedFolder(syncpoint.id, id)) === undefined) {
      throw new Refusal(400, 'Invalid Folder ID');
    }
    if ((folder === undefined) !== purge) {
      throw new Refusal(400, purge ? 'Purging Active Folder Not Allowed' : 'Folder Already Deleted');
    }
    if (id === syncpoint.rootFolderId) throw new Refusal(400, 'Invalid Folder ID');
    if (purge) {
      refuseForeignPurge(syncpoint);
      await store.purge(syncpoint.id, id);
    } else await store.removeFolder(syncpoint.id, id);
  }

  /** Whether a bulk removal's entry ends what is in the trash: Status 5, against 4 for folders and 3 for files. */
  function isConfirmedRemoval(one: RequestObject, removedStatus: number): boolean {
    const status = one.integer('Status');
    if (status !== BigInt(removedStatus) && status !== 5n) throw new Refusal(400, 'Invalid Status');
    return status === 5n;
  }

  async function removeFolders(call: Call): Promise<Reply> {
    const syncpoint = await writable(call);
    const objects = requestObjects(await call.body(), dialect);
    return filing.change(syncpoint.id, async () => {
      for (const one of objects) {
        const id = lookup.storeId(one.integer('FolderId') ?? 0n);
        await endFolder(syncpoint, id, isConfirmedRemoval(one, 4));
      }
      return done();
    });
  }

  async function removeFiles(call: Call): Promise<Reply> {
    const syncpoint = await writable(call);
    const objects = requestObjects(await call.body(), dialect);
    return filing.change(syncpoint.id, async () => {
      for (const one of objects) {
        // What is in the trash has no path to name it by.
        if (isConfirmedRemoval(one, 3)) throw new Refusal(400, 'Purging Active File Not Allowed');
        const { folderId, missing } = await filing.folderAt(syncpoint, namesOf(one.text('VirtualPath') ?? ''));
        const child =
          missing.length === 0 ? await filing.child(syncpoint.id, folderId, one.text('Filename') ?? '') : undefined;
        if (child?.kind !== 'file') throw new Refusal(400, 'File Already Deleted');
        await store.removeFile(syncpoint.id, child.file.id);
      }
      return done();
    });
  }

  // --- renamed and moved

  /** Refuses as the dialect does; answers whether the move really takes place. */
  function admitMove(behaviour: MoveBehaviour, syncpoint: SyncpointRecord): boolean {
    switch (behaviour) {
      case '404':
        throw new Refusal(404, 'Not Found');
      case '405':
        throw new Refusal(405, 'Method Not Allowed', { Allow: 'GET, DELETE' });
      case 'drive-only-400':
        if (syncpoint.type !== SYNCDRIVE_TYPE) throw new Refusal(400, 'Invalid Syncpoint Type');
        return true;
      case 'drive-only-403':
        if (syncpoint.type !== SYNCDRIVE_TYPE) throw new Refusal(403, 'Folder Move Is Forbidden');
        return true;
      case 'supported':
        return true;
      case 'ignored':
        return false;
    }
  }

  function requireMove(object: RequestObject, syncpoint: SyncpointRecord, whole: readonly string[]): void {
    if (object.integer('Status') !== BigInt(MOVED_OR_RENAMED)) throw new Refusal(400, 'Invalid Status');
    if (dialect.moveBody === 'any') return;
    if (object.integer('SyncpointId') !== BigInt(syncpoint.id)) throw new Refusal(400, 'SyncpointId Does Not Match');
    for (const key of whole) if (!object.has(key)) throw new Refusal(400, 'Bad Request');
  }

  async function moveFile(call: Call): Promise<Reply> {
    const syncpoint = await writable(call);
    const takesPlace = admitMove(dialect.fileMove, syncpoint);
    const object = new RequestObject(parseRequest(await call.body()), dialect);
    requireMove(object, syncpoint, ['FileId', 'Filename', 'FolderId', 'LatestVersionId']);
    const name = filing.name(object.text('Filename') ?? '', 'Invalid File Name');
    return filing.change(syncpoint.id, async () => {
      const file = await store.file(syncpoint.id, lookup.storeId(object.integer('FileId') ?? 0n));
      if (file === undefined) throw new Refusal(404, 'File Not Found');
      const folderId = lookup.storeId(object.integer('FolderId') ?? 0n);
      if ((await store.folder(syncpoint.id, folderId)) === undefined) throw new Refusal(400, 'Invalid Folder ID');
      const free = await freeName(syncpoint.id, folderId, name, file.id);
      const isThere = file.folderId === folderId && file.name === free;
      const moved =
        takesPlace && !isThere
          ? await store.moveFile(syncpoint.id, file.id, folderId, free)
          : { ...file, folderId, name };
      return replies.json(shapes.file(moved, { folderId: true, length: true }));
    });
  }

  async function moveFolder(call: Call): Promise<Reply> {
    const syncpoint = await writable(call);
    const takesPlace = admitMove(dialect.folderMove, syncpoint);
    const object = new RequestObject(parseRequest(await call.body()), dialect);
    requireMove(object, syncpoint, ['FolderId', 'Name', 'VirtualPath']);
    const name = filing.name(object.text('Name') ?? '', 'Invalid Folder Name');
    return filing.change(syncpoint.id, async () => {
      const folder = await store.folder(syncpoint.id, lookup.storeId(object.integer('FolderId') ?? 0n));
      if (folder === undefined || folder.parentId === 0) throw new Refusal(400, 'Invalid Folder ID');
      const parentId = object.has('ParentFolderId')
        ? lookup.storeId(object.integer('ParentFolderId') ?? 0n)
        : folder.parentId;
      const parent = await store.folder(syncpoint.id, parentId);
      if (parent === undefined || parent.virtualPath.startsWith(folder.virtualPath)) {
        throw new Refusal(400, 'Invalid Parent Folder Id');
      }
      const free = await freeName(syncpoint.id, parentId, name, folder.id);
      const isThere = folder.parentId === parentId && folder.name === free;
      const moved =
        takesPlace && !isThere
          ? await store.moveFolder(syncpoint.id, folder.id, parentId, free)
          : { ...folder, parentId, name };
      return replies.json(shapes.folder(moved));
    });
  }

  /** The name to move to: the wanted one, or another where a different entry has it and the dialect gives way. */
  async function freeName(syncpointId: number, folderId: number, wanted: string, ownId: number): Promise<string> {
    const dot = wanted.lastIndexOf('.');
    const [stem, extension] = dot > 0 ? [wanted.slice(0, dot), wanted.slice(dot)] : [wanted, ''];
    for (let turn = 0; ; turn++) {
      const name = turn === 0 ? wanted : `${stem} (${turn})${extension}`;
      const child = await filing.child(syncpointId, folderId, name);
      const id = child?.kind === 'file' ? child.file.id : child?.folder.id;
      if (id === undefined || id === ownId) return name;
      if (dialect.moveOntoTaken === '400') {
        throw new Refusal(400, `${child?.kind === 'file' ? 'File' : 'Folder'} With The Same Name Already Exists`);
      }
    }
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
  const [folderPath, filePath] = [
    /^\/sync\/folder\.svc\/([^/]*)\/folder\/([^/]*)\/?$/,
    /^\/sync\/file\.svc\/([^/]*)\/file\/([^/]*)\/?$/,
  ];
  const foldersPath = /^\/sync\/folder_folders\.svc\/([^/]*)\/folder\/([^/]*)\/folders\/?$/;
  return [
    route('folderFoldersPost', 'POST', foldersPath, makeFolders),
    route('foldersPost', 'POST', /^\/sync\/folders\.svc\/([^/]*)\/folders\/?$/, makeFoldersByPath),
    route('fileDelete', 'DELETE', filePath, removeFile),
    route(
      'versionDelete',
      'DELETE',
      /^\/sync\/version\.svc\/([^/]*)\/file\/([^/]*)\/version\/([^/]*)\/?$/,
      removeVersion,
    ),
    route('folderDelete', 'DELETE', folderPath, removeFolder),
    route('folderFoldersDelete', 'DELETE', foldersPath, removeFolders),
    route('filesDelete', 'DELETE', /^\/sync\/files\.svc\/([^/]*)\/files\/?$/, removeFiles),
    route('filePut', 'PUT', /^\/sync\/file\.svc\/([^/]*)\/file\/?$/, moveFile),
    route('folderPut', 'PUT', /^\/sync\/folder\.svc\/([^/]*)\/folder\/?$/, moveFolder),
  ];
}
