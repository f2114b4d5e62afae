// The content of a folder, that which is there or that in the trash: one folder.svc GET where the server has that call, else Folders GET and Files GET page by
// page. Every id comes once, whatever the paging means, and a listing that cannot be completed is an error, never a part.
import { createLog } from '../base/log.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, FolderId, RemoteEntry, SyncpointId, VersionId } from '../remote-drive.ts';
import { ReplyError } from './errors.ts';
import type { Gateway, GatewayCall } from './gateway.ts';
import { readListing } from './listing-reply.ts';
import type { ListedEntry, ListingFrame, Wanted } from './listing-reply.ts';
import type { Retries } from './retries.ts';
import { fileWithLength } from './wire/entities.ts';
import type { FileFields } from './wire/entities.ts';

const log = createLog('listing');

/** Folders GET refuses more with 400 `Max Limit Is 1000`. */
const pageEntries = 1_000;
/** Twenty times the documented 50,000 entries of a folder: more pages than that is a server that counts in circles. */
const pagesMax = 1_000;
/** A missing call is believed after this many replies that point to it. */
const missingProofs = 3;
/** Then it is not tried again for a day: servers get upgraded. */
const missingForgottenMs = 86_400_000;
/** Lengths of versions that were asked for file by file are kept for as many as one folder may hold. */
const lengthsMax = 50_000;
/** It is believed not to list what folders hold after so many that it calls empty both before and after the other calls list them. */
const contradictionProofs = 2;

/**
 * Asks another call for one file whose listing entry had no length: perhaps its next version, and perhaps without a length, too; undefined
 * where it is gone by then.
 */
export type AskFile = (entry: FileFields, options: CallOptions) => Promise<FileFields | undefined>;

export type FolderListingCapability = 'unknown' | 'folder.svc' | 'folder_folders.svc';

export class FolderListing {
  readonly #gateway: Gateway;
  readonly #retries: Retries;
  #proofs = 0;
  #missingUntilMs = 0;
  #proven = false;
  /** Calls whose replies carried lengths: where one of them leaves one out it is the default, 0. Another call may never tell any. */
  readonly #tellLengths = new Set<string>();
  /** What file.svc said of the length of versions, which never changes, the one longest known first. */
  readonly #lengths = new Map<VersionId, number>();
  /** Some reply of file.svc carried a length. */
  #fileTellsLengths = false;
  /** folder.svc listed something: it does not stop at a folder's own fields. */
  #listsContent = false;
  #contradictions = 0;

  constructor(gateway: Gateway, retries: Retries) {
    this.#gateway = gateway;
    this.#retries = retries;
  }

  get capability(): FolderListingCapability {
    if (performance.now() < this.#missingUntilMs) return 'folder_folders.svc';
    return this.#proven ? 'folder.svc' : 'unknown';
  }

  /** See RemoteDrive.list and RemoteDrive.deleted. */
  async *list(
    syncpointId: SyncpointId,
    folderId: FolderId,
    options: CallOptions,
    askFile: AskFile,
    wanted: Wanted = 'active',
  ): AsyncGenerator<RemoteEntry[]> {
    const lengthless: Told<FileFields>[] = [];
    for await (const batch of this.#batches(syncpointId, folderId, options, wanted)) {
      const known = this.#knownOf(batch, lengthless);
      if (known.length > 0) yield known;
    }
    yield* this.#withLengths({ syncpointId, folderId, options, lengthless }, askFile);
  }

  /** The entries as the service tells them, files without a length among them: what asks for nothing more. */
  async *entries(
    syncpointId: SyncpointId,
    folderId: FolderId,
    options: CallOptions,
    wanted: Wanted = 'active',
  ): AsyncGenerator<ListedEntry[]> {
    for await (const { told } of this.#batches(syncpointId, folderId, options, wanted)) yield told;
  }

  async *#batches(
    syncpointId: SyncpointId,
    folderId: FolderId,
    options: CallOptions,
    wanted: Wanted,
  ): AsyncGenerator<Batch> {
    const folder: Folder = { syncpointId, folderId, options, wanted, seen: new Set() };
    if (this.capability === 'folder_folders.svc') {
      yield* this.#paged(folder);
    } else {
      const missing = yield* this.#single(folder);
      if (missing) {
        yield* this.#paged(folder);
        this.#proofs += 1;
        log('folder.svc GET is missing (%d of %d proofs)', this.#proofs, missingProofs);
        if (this.#proofs >= missingProofs) this.#missingUntilMs = performance.now() + missingForgottenMs;
      }
    }
  }

  /** folder.svc GET; returns true when the server seems to lack the call. */
  async *#single(folder: Folder): AsyncGenerator<Batch, boolean> {
    let isEmpty: boolean;
    try {
      isEmpty = yield* this.#calledEmpty(folder);
    } catch (error) {
      if (error instanceof ReplyError && mayLackCall(error)) return true;
      throw error;
    }
    if (!isEmpty) this.#listsContent = true;
    else if (!this.#listsContent && (yield* this.#isNotEmpty(folder))) return false;
    this.#proven = true;
    this.#proofs = 0;
    return false;
  }

  /** The one call's entries; true where it has none. */
  async *#calledEmpty(folder: Folder): AsyncGenerator<Batch, boolean> {
    const { syncpointId, folderId } = folder;
    const call: GatewayCall = {
      name: 'folder.svc GET',
      thing: `folder ${folderId} of syncpoint ${syncpointId}`,
      path: `/sync/folder.svc/${syncpointId}/folder/${folderId}?include=${included(folder.wanted === 'deleted' ? 'all' : folder.wanted)}`,
    };
    const frame = yield* this.#entries(folder, call, 'folders');
    return frame.fileCount + frame.folderCount === 0;
  }

  /**
   * Lists a folder that folder.svc calls empty by the other calls: some servers may answer with a folder's own fields alone, and
   * an empty directory in place of a full one is the worst answer. Returns true when it has content that folder.svc leaves out.
   */
  async *#isNotEmpty(folder: Folder): AsyncGenerator<Batch, boolean> {
    try {
      yield* this.#paged(folder);
    } catch (error) {
      // Without these calls there is no second opinion.
      if (!(error instanceof ReplyError) || error.status >= 500 || error.status === 429) throw error;
    }
    if (folder.seen.size > 0) {
      // Something may have come to be in it just now: the belief would make three calls of one for a day.
      if (!(yield* this.#calledEmpty(folder))) {
        this.#listsContent = true;
        return false;
      }
      this.#contradictions += 1;
      log(
        'folder.svc GET does not list what folders hold (%d of %d proofs)',
        this.#contradictions,
        contradictionProofs,
      );
      if (this.#contradictions >= contradictionProofs) {
        this.#missingUntilMs = performance.now() + missingForgottenMs;
        this.#contradictions = 0;
      }
      return true;
    }
    // However many are empty: that proves nothing of those that are not.
    return false;
  }

  async *#paged(folder: Folder): AsyncGenerator<Batch> {
    const thing = `folder ${folder.folderId} of syncpoint ${folder.syncpointId}`;
    const below = `${folder.syncpointId}/folder/${folder.folderId}`;
    const folders = yield* this.#pages(folder, 'folders', (limit, last) => ({
      name: 'folder_folders.svc GET',
      thing,
      path: `/sync/folder_folders.svc/${below}/folders?${query(folder.wanted, limit, 'last_folder_id', last)}`,
    }));
    // The object shape of Folders GET carries the files as well, as far as it does not cut them off too.
    if (folders.hasFiles && folders.fileCount > 0 && endsListing(folders.fileCount)) return;
    yield* this.#pages(folder, 'files', (limit, last) => ({
      name: 'folder_files.svc GET',
      thing,
      path: `/sync/folder_files.svc/${below}/files?${query(folder.wanted, limit, 'offset', last)}`,
    }));
  }

  /** Pages until nothing new comes; returns the first page's frame. */
  async *#pages(
    folder: Folder,
    what: 'files' | 'folders',
    callFor: (limit: number | undefined, last: string | undefined) => GatewayCall,
  ): AsyncGenerator<Batch, ListingFrame> {
    let first: ListingFrame | undefined;
    let last: string | undefined;
    let received = 0;
    for (let page = 0; page < pagesMax; page += 1) {
      const before = folder.seen.size;
      const call = callFor(pageEntries, last);
      const frame = yield* this.#entries(folder, call, what);
      first ??= frame;
      const count = what === 'files' ? frame.fileCount : frame.folderCount;
      const lastOfPage = what === 'files' ? frame.lastFileId : frame.lastFolderId;
      if (count === 0 && page > 0 && what === 'files') {
        yield* this.#byPosition(folder, callFor, received);
        return first;
      }
      received += count;
      if (count === 0 || endsListing(count) || lastOfPage === undefined) return first;
      if (page > 0 && folder.seen.size === before) {
        // Nothing new. An inclusive offset repeats an entry or so; a whole page again means that the offset is not looked at.
        // More than was asked for means that neither is the limit, and that everything is here.
        if (count === pageEntries) yield* this.#unlimited(folder, what, callFor(undefined, undefined), count);
        return first;
      }
      if (lastOfPage === last) return first;
      last = lastOfPage;
    }
    throw new RemoteError('protocol', `${callFor(undefined, undefined).name}: paging does not end`);
  }

  /** Files behind a page after which no more came: perhaps the offset is meant as a number of files, as its name says. */
  async *#byPosition(
    folder: Folder,
    callFor: (limit: number | undefined, last: string | undefined) => GatewayCall,
    received: number,
  ): AsyncGenerator<Batch> {
    for (let position = received; position < pageEntries * pagesMax;) {
      const before = folder.seen.size;
      let frame: ListingFrame;
      try {
        frame = yield* this.#entries(folder, callFor(pageEntries, String(position)), 'files');
      } catch (error) {
        // The number of files is the id of none.
        const isFirst = position === received;
        if (isFirst && error instanceof ReplyError && (error.status === 400 || error.status === 404)) return;
        throw error;
      }
      if (folder.seen.size === before) return;
      position += frame.fileCount;
    }
    throw new RemoteError('protocol', `${callFor(undefined, undefined).name}: paging does not end`);
  }

  /** The last resort where paging does not work: everything at once. */
  async *#unlimited(
    folder: Folder,
    what: 'files' | 'folders',
    call: GatewayCall,
    pageCount: number,
  ): AsyncGenerator<Batch> {
    const before = folder.seen.size;
    const frame = yield* this.#entries(folder, call, what);
    const count = what === 'files' ? frame.fileCount : frame.folderCount;
    if (count <= pageCount && folder.seen.size === before) {
      throw new RemoteError(
        'protocol',
        `${call.name}: ${call.thing}: the server repeats its first page: no way to list the rest`,
      );
    }
  }

  /** One call's entries that were not seen before, in spite of a reply that breaks off once or twice. */
  async *#entries(
    folder: Folder,
    call: GatewayCall,
    arrayHolds: 'files' | 'folders',
  ): AsyncGenerator<Batch, ListingFrame> {
    const { signal } = folder.options;
    for (let tried = 0; ; tried += 1) {
      const opened = await this.#gateway.open(call, folder.options);
      let failure: Error;
      try {
        const batches = readListing(
          opened.reply.body as AsyncIterable<Uint8Array>,
          call.name,
          arrayHolds,
          folder.folderId,
          (fields) => this.#gateway.refusal(fields, call),
          folder.wanted,
        );
        for (;;) {
          const next = await batches.next();
          if (next.done === true) return next.value;
          const fresh = this.#fresh(folder, next.value);
          if (fresh.length > 0) yield { by: call.name, told: fresh };
        }
      } catch (error) {
        failure = this.#gateway.broken(error, opened, signal);
      } finally {
        opened.reply.body.destroy();
      }
      await this.#retries.pause(failure, tried, signal);
    }
  }

  #fresh({ seen }: Folder, entries: readonly ListedEntry[]): ListedEntry[] {
    return entries.filter((entry) => {
      const key = entry.kind === 'file' ? `f${entry.id}` : `d${entry.id}`;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
  }

  /** The entries whose length is known; the others go to `lengthless`. */
  #knownOf({ by, told }: Batch, lengthless: Told<FileFields>[]): RemoteEntry[] {
    const known: RemoteEntry[] = [];
    for (const entry of told) {
      if (entry.kind === 'folder') {
        known.push(entry);
      } else if (entry.lengthBytes !== undefined) {
        this.#tellLengths.add(by);
        known.push(fileWithLength(entry, entry.lengthBytes));
      } else if (this.#tellLengths.has(by)) {
        known.push(fileWithLength(entry, 0));
      } else {
        lengthless.push({ by, told: entry });
      }
    }
    return known;
  }

  /** Files whose entry had no Length, before it was known whether the call that told them leaves out zeros only. */
  async *#withLengths(folder: Lengthless, askFile: AskFile): AsyncGenerator<RemoteEntry[]> {
    for (let start = 0; start < folder.lengthless.length; start += pageEntries) {
      const batch: RemoteEntry[] = [];
      const untold: FileFields[] = [];
      for (const { by, told } of folder.lengthless.slice(start, start + pageEntries)) {
        const lengthBytes = this.#tellLengths.has(by) ? 0 : this.#lengths.get(told.versionId);
        if (lengthBytes !== undefined) {
          batch.push(fileWithLength(told, lengthBytes));
          continue;
        }
        const file = await askFile(told, folder.options);
        if (file === undefined) continue;
        if (file.lengthBytes === undefined) {
          untold.push(told);
          continue;
        }
        this.#fileTellsLengths = true;
        this.#remember(file.versionId, file.lengthBytes);
        // Its length is that of the version it came with. Where the file lies is for the listing to say.
        const { versionId, modified, created } = file;
        batch.push(fileWithLength({ ...told, versionId, modified, created }, file.lengthBytes));
      }
      // What leaves out zeros tells other lengths; what tells none must not make every file an empty one.
      if (untold.length > 0 && !this.#fileTellsLengths) {
        const thing = `folder ${folder.folderId} of syncpoint ${folder.syncpointId}`;
        throw new RemoteError(
          'protocol',
          `${thing}: neither the listing nor file.svc GET tells the length of any file`,
        );
      }
      for (const entry of untold) batch.push(fileWithLength(entry, 0));
      yield batch;
    }
  }

  #remember(version: VersionId, lengthBytes: number): void {
    this.#lengths.delete(version);
    this.#lengths.set(version, lengthBytes);
    const [oldest] = this.#lengths.keys();
    if (this.#lengths.size > lengthsMax && oldest !== undefined) this.#lengths.delete(oldest);
  }
}

/** What a reply of one call says. */
interface Told<T> {
  /** The call's name. */
  readonly by: string;
  readonly told: T;
}

type Batch = Told<ListedEntry[]>;

interface Folder {
  readonly syncpointId: SyncpointId;
  readonly folderId: FolderId;
  readonly options: CallOptions;
  readonly wanted: Wanted;
  /** "f" or "d" and the id. */
  readonly seen: Set<string>;
}

interface Lengthless extends Pick<Folder, 'syncpointId' | 'folderId' | 'options'> {
  readonly lengthless: readonly Told<FileFields>[];
}

/** The specification's word, as the samples have it; the guide writes "delete". */
function included(wanted: Wanted): string {
  return wanted === 'all' ? 'active,deleted' : wanted;
}

function query(wanted: Wanted, limit: number | undefined, offsetName: string, last: string | undefined): string {
  const parts = [`include=${included(wanted)}`];
  if (limit !== undefined) parts.push(`limit=${limit}`);
  if (last !== undefined) parts.push(`${offsetName}=${last}`);
  return parts.join('&');
}

/**
 * Whether a page of this many entries is the last. A server may have a cap of its own below the limit we ask for; such caps are
 * round numbers, so only a short page of an odd size is believed.
 */
function endsListing(count: number): boolean {
  if (count >= pageEntries) return false;
  const round = count >= 20 && (count % 10 === 0 || count % 32 === 0);
  return !round;
}

/** The server answers for the call, not for the folder: wrong method, or a 404 that does not speak of anything of ours. */
function mayLackCall(error: ReplyError): boolean {
  if (error.status === 405 || error.status === 501) return true;
  if (error.status !== 404) return false;
  return !/\b(folder|directory|sync ?point|virtual ?folder)\b/i.test(error.text);
}
