// The changes a directory store makes on behalf of calls: plain file operations first, then the index that names them.
// Promises: a process killed in between leaves the old or the new, and ids that were told go on naming what they named; what others
// made or changed is neither overwritten nor removed before a listing told of it. The index is written behind:
// `DirectoryIndex.committed` tells when. Must not know: HTTP, listings.
import { chmodSync, lstatSync, mkdirSync, renameSync } from 'node:fs';
import { versionIdOf } from './directory-index.ts';
import type { DirectoryIndex, IndexEntry } from './directory-index.ts';
import { ARRIVING_PREFIX, scannedEntry } from './directory-scan.ts';
import type { ScannedEntry } from './directory-scan.ts';
import { FileStaged, setModified } from './directory-staging.ts';
import { fileRecord } from './directory-tree.ts';
import type { DirectoryTree, Found, Place } from './directory-tree.ts';
import { onDisk } from './disk-refusal.ts';
import type { KeptFiles } from './kept-files.ts';
import { StoreRefusal } from './store.ts';
import type { FileRecord, FileTimes, FileToStore, FolderRecord } from './store.ts';

export class DirectoryChanges {
  readonly #tree: DirectoryTree;
  readonly #index: DirectoryIndex;
  readonly #kept: KeptFiles;

  constructor(tree: DirectoryTree, kept: KeptFiles) {
    this.#tree = tree;
    this.#index = tree.index;
    this.#kept = kept;
  }

  /** After a start: ends the replacements during which an earlier process was killed, one way or the other. */
  async finishReplacements(): Promise<void> {
    const { history } = this.#index;
    for (const { fileId, path, inode, times, sha256, replaced } of history.replacements()) {
      history.endReplacement(fileId);
      const entry = this.#index.entry(fileId);
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (entry === undefined || stats?.isFile() !== true) continue;
      const { fingerprint } = scannedEntry(entry.name, stats);
      if (String(stats.ino) === inode) {
        const next = { ...entry, fingerprint, generation: entry.generation + 1, times };
        this.#index.put(next);
        history.keepVersion(fileId, entry.generation, replaced);
        history.keepHash(versionIdOf(next), sha256);
      } else if (isSameContent(entry.fingerprint, fingerprint)) {
        // Keeping the old content changed nothing of the file but its status time.
        this.#index.put({ ...entry, fingerprint });
      }
    }
    await this.#index.committed();
  }

  /** After a start: what an earlier process had moved when it was killed keeps its id. */
  async finishMoves(): Promise<void> {
    const { history } = this.#index;
    for (const { id, path, inode, parentId, name, times } of history.moves()) {
      history.endMove(id);
      const entry = this.#index.entry(id);
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (entry === undefined || stats === undefined || String(stats.ino) !== inode) continue;
      const { fingerprint } = scannedEntry(name, stats);
      const moved = { ...entry, parentId, name, ...(entry.isFolder ? {} : { fingerprint, times }) };
      this.#index.move(moved, entry.parentId);
    }
    await this.#index.committed();
  }

  createFolder(syncpointId: number, parentId: number, name: string): Promise<FolderRecord> {
    return this.#tree.withFolders([parentId], async () => {
      const place = this.#place(syncpointId, parentId);
      refuseOwnName(name);
      onDisk(() => mkdirSync(`${place.path}/${name}`));
      this.#tree.changed(syncpointId, 'entries');
      const { id } = await this.#tree.add(place, this.#scan(place, name));
      return folderRecord(syncpointId, id, place, name);
    });
  }

  storeFile(file: FileToStore): Promise<FileRecord> {
    const { syncpointId, folderId, name, staged, sha256, created, modified, replace } = file;
    if (!(staged instanceof FileStaged)) throw new TypeError('these bytes are staged in another store');
    return this.#tree.withFolders([folderId], async () => {
      const place = this.#place(syncpointId, folderId);
      // Before the name is looked at: it may take as long as copying does.
      const arrived = await staged.finish(place.path, modified);
      const found = await this.#present(place, name);
      if (found !== undefined && this.#tree.isUnseen(found.entry.id)) throw unseen(name);
      const times = { created, modified, added: BigInt(Date.now()) * 10_000n };
      const path = `${place.path}/${name}`;
      if (found !== undefined && replace === 'next-version') {
        return this.#replace({ syncpointId, path, found, arrived, times, sha256 });
      }
      onDisk(() => renameSync(arrived, path));
      this.#tree.changed(syncpointId, 'entries');
      if (found !== undefined) await this.#tree.forget(found.entry);
      const scanned = this.#scan(place, name);
      const entry = await this.#tree.add(place, scanned, times);
      this.#index.history.keepHash(versionIdOf(entry), sha256);
      return fileRecord(syncpointId, entry, scanned);
    });
  }

  async #replace(change: {
    readonly syncpointId: number;
    readonly path: string;
    readonly found: Found;
    readonly arrived: string;
    readonly times: FileTimes;
    readonly sha256: string;
  }): Promise<FileRecord> {
    const { syncpointId, path, found, arrived, times, sha256 } = change;
    const { history } = this.#index;
    const { entry, scanned } = found;
    const before = fileRecord(syncpointId, entry, scanned);
    const { created, modified, added, lengthBytes } = before;
    const replaced = { created, modified, added, lengthBytes };
    const inode = String(lstatSync(arrived, { bigint: true }).ino);
    await history.beginReplacement(entry.id, { path, inode, times, sha256, replaced });
    const present = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (present === undefined || scannedEntry(entry.name, present).fingerprint !== scanned.fingerprint) {
      history.endReplacement(entry.id);
      throw unseen(entry.name);
    }
    onDisk(() => {
      this.#kept.keepVersion(path, entry.id, entry.generation);
      chmodSync(arrived, lstatSync(path).mode & 0o7777);
      renameSync(arrived, path);
    });
    const now = scannedEntry(entry.name, lstatSync(path, { bigint: true }));
    const next = { ...entry, fingerprint: now.fingerprint, generation: entry.generation + 1, times };
    this.#tree.changed(syncpointId, 'entries');
    history.keepVersion(entry.id, entry.generation, replaced);
    history.keepHash(versionIdOf(next), sha256);
    history.endReplacement(entry.id);
    await this.#put(next);
    return fileRecord(syncpointId, next, now);
  }

  async setTimes(
    syncpointId: number,
    fileId: number,
    { created, modified }: Pick<FileTimes, 'created' | 'modified'>,
  ): Promise<FileRecord> {
    const { parentId } = this.#entry(fileId);
    return this.#tree.withFolders([parentId], async () => {
      const place = this.#place(syncpointId, parentId);
      const { entry, scanned } = await this.#own(place, fileId);
      const path = `${place.path}/${entry.name}`;
      onDisk(() => setModified(path, modified));
      const { added } = fileRecord(syncpointId, entry, scanned);
      const now = this.#scan(place, entry.name);
      const next = { ...entry, fingerprint: now.fingerprint, times: { created, modified, added } };
      this.#tree.changed(syncpointId, 'entries');
      await this.#put(next);
      return fileRecord(syncpointId, next, now);
    });
  }

  async moveFile(syncpointId: number, fileId: number, toFolderId: number, name: string): Promise<FileRecord> {
    const { parentId } = this.#entry(fileId);
    return this.#tree.withFolders([parentId, toFolderId], async () => {
      const [from, to] = [this.#place(syncpointId, parentId), this.#place(syncpointId, toFolderId)];
      const { entry, scanned } = await this.#own(from, fileId);
      const { created, modified, added } = fileRecord(syncpointId, entry, scanned);
      const times = { created, modified, added };
      await this.#rename(entry, from, to, name, times);
      this.#tree.changed(syncpointId, 'entries');
      const now = this.#scan(to, name);
      const moved = { ...entry, parentId: toFolderId, name, fingerprint: now.fingerprint, times };
      await this.#relocate(entry, moved);
      return fileRecord(syncpointId, moved, now);
    });
  }

  async moveFolder(syncpointId: number, folderId: number, toFolderId: number, name: string): Promise<FolderRecord> {
    const { parentId } = this.#entry(folderId);
    return this.#tree.withFolders([parentId, toFolderId, folderId], async () => {
      const [from, to] = [this.#place(syncpointId, parentId), this.#place(syncpointId, toFolderId)];
      const { entry } = await this.#own(from, folderId);
      const path = `${from.path}/${entry.name}`;
      this.#refuseState(path);
      if (`${to.path}/`.startsWith(`${path}/`)) {
        throw new StoreRefusal('a folder cannot move into itself', 'invalid');
      }
      await this.#rename(entry, from, to, name);
      this.#tree.changed(syncpointId, 'structure');
      await this.#relocate(entry, { ...entry, parentId: toFolderId, name });
      return folderRecord(syncpointId, folderId, to, name);
    });
  }

  async removeFile(syncpointId: number, fileId: number): Promise<void> {
    const { parentId } = this.#entry(fileId);
    await this.#tree.withFolders([parentId], async () => {
      const place = this.#place(syncpointId, parentId);
      const { entry, scanned } = await this.#own(place, fileId);
      const record = { ...fileRecord(syncpointId, entry, scanned), deleted: true };
      onDisk(() => this.#kept.keepRemoved(`${place.path}/${entry.name}`, fileId));
      this.#tree.changed(syncpointId, 'entries');
      this.#index.history.keepRemoved({ kind: 'file', record });
      await this.#takeOut(entry);
    });
  }

  async removeFolder(syncpointId: number, folderId: number): Promise<void> {
    const { parentId } = this.#entry(folderId);
    await this.#tree.withFolders([parentId, folderId], async () => {
      const place = this.#place(syncpointId, parentId);
      const { entry } = await this.#own(place, folderId);
      this.#refuseState(`${place.path}/${entry.name}`);
      if (await this.#tree.holdsUnseen(folderId, `${place.path}/${entry.name}`)) throw unseen(entry.name);
      const record = { ...folderRecord(syncpointId, folderId, place, entry.name), deleted: true };
      onDisk(() => this.#kept.keepRemoved(`${place.path}/${entry.name}`, folderId));
      this.#tree.changed(syncpointId, 'structure');
      this.#index.history.keepRemoved({ kind: 'folder', record });
      await this.#takeOut(entry);
    });
  }

  async removeVersion(fileId: number, generation: number): Promise<void> {
    this.#index.history.forgetVersion(fileId, generation);
    // The record before what it names.
    await this.#index.committed();
    onDisk(() => this.#kept.forgetVersion(fileId, generation));
  }

  async purge(syncpointId: number, id: number): Promise<void> {
    const { history } = this.#index;
    history.forgetRemoved(id);
    history.forgetVersions(id);
    this.#tree.changed(syncpointId, 'entries');
    // The records before what they name.
    await this.#index.committed();
    onDisk(() => {
      this.#kept.forgetRemoved(id);
      this.#kept.forgetVersions(id);
    });
  }

  #entry(id: number): IndexEntry {
    const entry = this.#index.entry(id);
    if (entry === undefined || entry.parentId === 0) throw new StoreRefusal(`no entry ${id}`, 'missing');
    return entry;
  }

  #place(syncpointId: number, folderId: number): Place {
    const place = this.#tree.place(syncpointId, folderId);
    if (place === undefined) throw new StoreRefusal(`no folder ${folderId}`, 'missing');
    return place;
  }

  /** An entry by id, as it is now. */
  async #own(place: Place, id: number): Promise<Found> {
    const found = await this.#tree.find(place, this.#entry(id).name);
    if (found?.entry.id !== id) throw new StoreRefusal(`no entry ${id}`, 'missing');
    return found;
  }

  /** The file under a name; refuses what is there and is none. */
  async #present(place: Place, name: string): Promise<Found | undefined> {
    refuseOwnName(name);
    const found = await this.#tree.find(place, name);
    const path = `${place.path}/${name}`;
    const isTaken = found === undefined ? exists(path) : found.entry.isFolder;
    if (isTaken) throw new StoreRefusal(`the name is taken: ${name}`, 'taken');
    return found;
  }

  #refuseState(path: string): void {
    if (this.#tree.holdsState(path)) throw new StoreRefusal('the emulator keeps its state in there', 'forbidden');
  }

  #scan(place: Place, name: string): ScannedEntry {
    return scannedEntry(name, lstatSync(`${place.path}/${name}`, { bigint: true }));
  }

  /** On the disk; {@link #relocate} follows. */
  async #rename(entry: IndexEntry, from: Place, to: Place, name: string, times?: FileTimes): Promise<void> {
    refuseOwnName(name);
    const [former, path] = [`${from.path}/${entry.name}`, `${to.path}/${name}`];
    if (exists(path)) throw new StoreRefusal(`the name is taken: ${name}`, 'taken');
    const inode = String(onDisk(() => lstatSync(former, { bigint: true })).ino);
    await this.#index.history.beginMove(entry.id, { path, inode, parentId: to.record.id, name, times });
    if (exists(path)) {
      this.#index.history.endMove(entry.id);
      throw new StoreRefusal(`the name is taken: ${name}`, 'taken');
    }
    onDisk(() => renameSync(former, path));
  }

  async #put(entry: IndexEntry): Promise<void> {
    const known = await this.#tree.known(entry.parentId);
    known.set(entry.name, entry);
    this.#tree.remember(entry.parentId, known);
    this.#index.put(entry);
  }

  async #relocate(former: IndexEntry, now: IndexEntry): Promise<void> {
    const [from, to] = [await this.#tree.known(former.parentId), await this.#tree.known(now.parentId)];
    from.delete(former.name);
    this.#tree.remember(former.parentId, from);
    // One folder has one map; of two, each is remembered.
    const target = former.parentId === now.parentId ? from : to;
    target.set(now.name, now);
    this.#tree.remember(now.parentId, target);
    this.#index.move(now, former.parentId);
    this.#index.history.endMove(now.id);
  }

  async #takeOut(entry: IndexEntry): Promise<void> {
    const known = await this.#tree.known(entry.parentId);
    known.delete(entry.name);
    this.#tree.remember(entry.parentId, known);
    await this.#tree.forgetRemoved(entry);
  }
}

function folderRecord(syncpointId: number, id: number, parent: Place, name: string): FolderRecord {
  const virtualPath = `${parent.record.virtualPath}${name}\\`;
  return { syncpointId, id, parentId: parent.record.id, name, virtualPath, deleted: false };
}

/** Others changed it beside the store since it was listed: who was told of it before must not end what it is now. */
function unseen(name: string): StoreRefusal {
  return new StoreRefusal(`changed by another program: ${name}`, 'unseen');
}

/** A name that listings would pass over. */
function refuseOwnName(name: string): void {
  if (name.startsWith(ARRIVING_PREFIX)) throw new StoreRefusal(`a name of the emulator's own: ${name}`, 'invalid');
}

function exists(path: string): boolean {
  return onDisk(() => lstatSync(path, { throwIfNoEntry: false })) !== undefined;
}

/** The parts of a fingerprint but the status time. */
function isSameContent(one: string, other: string): boolean {
  const [size, modified, , inode] = one.split(' ');
  const [otherSize, otherModified, , otherInode] = other.split(' ');
  return size === otherSize && modified === otherModified && inode === otherInode;
}
