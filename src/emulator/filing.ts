// Puts complete uploads and new folders in their places: path to folder, names, case, quota, same content.
// Promises: changes of one syncpoint happen one after the other, each seen whole. Must not know: forms, sessions, JSON.
import { acceptedName } from './names.ts';
import { Refusal } from './reply.ts';
import { Sequencer } from './sequencer.ts';
import { StoreRefusal } from './store.ts';
import type { Child, ContentStore, FileRecord, FolderRecord, Staged, SyncpointRecord, Ticks } from './store.ts';
import type { Dialect } from './dialect.ts';

/** What filing works with. */
export interface FilingOptions {
  readonly store: ContentStore;
  readonly dialect: Dialect;
  /** Of all present files together; absent: only the disk's. */
  readonly quotaBytes: number | undefined;
}

/** A complete upload. */
export interface Upload {
  readonly syncpoint: SyncpointRecord;
  readonly folderNames: readonly string[];
  readonly name: string;
  readonly staged: Staged;
  readonly sha256: string;
  readonly created: Ticks;
  readonly modified: Ticks;
}

/** `already`: the content was there; `unsaid`: stored, and answered with an error all the same. */
export type Filed = { readonly outcome: 'stored' | 'already' | 'unsaid'; readonly file: FileRecord | undefined };

export class Filing {
  readonly #store: ContentStore;
  readonly #dialect: Dialect;
  readonly #quotaBytes: number | undefined;
  readonly #sequencer = new Sequencer();

  constructor({ store, dialect, quotaBytes }: FilingOptions) {
    this.#store = store;
    this.#dialect = dialect;
    this.#quotaBytes = quotaBytes;
  }

  /** Runs a change of a syncpoint when those before it are done, and sees it kept; a store's refusal becomes the call's. */
  async change<T>(syncpointId: number, work: () => Promise<T>): Promise<T> {
    try {
      const result = await this.#sequencer.run(syncpointId, work);
      await this.#store.durable();
      return result;
    } catch (error) {
      if (error instanceof StoreRefusal) throw this.refusalOf(error);
      throw error;
    }
  }

  /** The entry a name stands for, as the dialect compares names. */
  child(syncpointId: number, folderId: number, name: string): Promise<Child | undefined> {
    return this.#store.child(syncpointId, folderId, name, { ignoreCase: this.#dialect.nameCase === 'insensitive' });
  }

  /** What a name becomes; refuses it with 400 and the given words. */
  name(text: string, refusal: string): string {
    const name = acceptedName(text, this.#dialect);
    if (name === undefined) throw new Refusal(400, refusal);
    return name;
  }

  /** Follows a path down; answers the folder reached and the names that are missing below it. */
  async folderAt(
    syncpoint: SyncpointRecord,
    names: readonly string[],
  ): Promise<{ readonly folderId: number; readonly missing: readonly string[] }> {
    let folderId = syncpoint.rootFolderId;
    for (const [index, name] of names.entries()) {
      const child = await this.child(syncpoint.id, folderId, name);
      if (child === undefined) return { folderId, missing: names.slice(index) };
      if (child.kind === 'file') throw new Refusal(400, 'Invalid Folder Name');
      folderId = child.folder.id;
    }
    return { folderId, missing: [] };
  }

  async makeFolders(
    syncpointId: number,
    parentId: number,
    names: readonly string[],
  ): Promise<FolderRecord | undefined> {
    let made: FolderRecord | undefined;
    for (const name of names) made = await this.#store.createFolder(syncpointId, made?.id ?? parentId, name);
    return made;
  }

  /** Stores an upload, whose stage is used up in any case. */
  async file(upload: Upload): Promise<Filed> {
    try {
      return await this.change(upload.syncpoint.id, () => this.#file(upload));
    } finally {
      // Nothing is left of it where it was stored.
      await upload.staged.drop();
    }
  }

  async #file({ syncpoint, folderNames, name, staged, sha256, created, modified }: Upload): Promise<Filed> {
    const dialect = this.#dialect;
    const syncpointId = syncpoint.id;
    if (staged.lengthBytes === 0 && dialect.zeroLength !== 'stored') {
      if (dialect.zeroLength === '400') throw new Refusal(400, 'Bad request');
      return { outcome: 'stored', file: undefined };
    }
    const found = await this.folderAt(syncpoint, folderNames);
    let { folderId } = found;
    if (found.missing.length > 0) {
      if (dialect.missingFolder === '500-not-stored') throw new Refusal(500, 'Internal Server Error');
      folderId = (await this.makeFolders(syncpointId, folderId, found.missing))?.id ?? folderId;
    }
    const child = await this.child(syncpointId, folderId, name);
    if (child?.kind === 'folder') throw new Refusal(400, 'Folder With The Same Name Already Exists');
    const present = child?.file;
    if (present?.lengthBytes === staged.lengthBytes && dialect.sameContent !== 'stored') {
      if ((await this.#store.sha256(syncpointId, present.versionId)) === sha256) {
        if (dialect.sameContent === 'unchanged') return { outcome: 'already', file: present };
        return { outcome: 'already', file: await this.#store.setTimes(syncpointId, present.id, { created, modified }) };
      }
    }
    await this.#refuseOverQuota(staged.lengthBytes - (present?.lengthBytes ?? 0));
    const file = await this.#store.storeFile({
      syncpointId,
      folderId,
      // A server that ignores case keeps the name it has.
      name: present?.name ?? name,
      staged,
      sha256,
      created,
      modified,
      replace: dialect.overwrite,
    });
    const unsaid = found.missing.length > 0 && dialect.missingFolder === '500-stored';
    return { outcome: unsaid ? 'unsaid' : 'stored', file };
  }

  async #refuseOverQuota(bytesMore: number): Promise<void> {
    if (this.#quotaBytes === undefined || bytesMore <= 0) return;
    if ((await this.#store.contentBytes()) + bytesMore > this.#quotaBytes) throw this.#quotaRefusal();
  }

  #quotaRefusal(): Refusal {
    return this.#dialect.quotaRefusal === '402'
      ? new Refusal(402, 'Storage Quota Exceeded')
      : new Refusal(403, 'Max Limit On Storage Reached');
  }

  /** What a call is told that met a store's refusal. */
  refusalOf(refusal: StoreRefusal): Refusal {
    switch (refusal.reason) {
      case 'taken':
        return new Refusal(400, 'Folder With The Same Name Already Exists');
      case 'unseen':
        return new Refusal(409, 'Changed By Another Program');
      case 'missing':
        return new Refusal(404, 'Directory Not Found');
      case 'invalid':
        // In words that clients know: a bare "Bad request" may be anything, and is tried again.
        return new Refusal(400, 'Invalid File Name Or Path');
      case 'forbidden':
        return new Refusal(403, 'User Not Authorized For Action');
      case 'full':
        return this.#quotaRefusal();
      case 'away':
        return new Refusal(503, refusal.message);
      case 'other':
        return new Refusal(500, 'Internal Server Error');
    }
  }
}
