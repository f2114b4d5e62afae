// What a directory store knows of contents beside the present ones, in LMDB: older versions, the trash, hashes, and changes begun.
// Must not know: the host's directories.
import type { Database, RootDatabase } from 'lmdb';
import type { FileRecord, FileTimes, FolderRecord } from './store.ts';

/** A version that a later upload replaced. */
export interface OlderVersion extends FileTimes {
  readonly lengthBytes: number;
}

export type RemovedEntry =
  { readonly kind: 'file'; readonly record: FileRecord } | { readonly kind: 'folder'; readonly record: FolderRecord };

/** A file about to be replaced: enough to tell after a crash whether it was. */
export interface Replacement {
  readonly path: string;
  /** Inode number of the new content, in digits. */
  readonly inode: string;
  readonly times: FileTimes;
  readonly sha256: string;
  readonly replaced: OlderVersion;
}

/** A file or folder about to be moved: enough to tell after a crash whether it was. */
export interface Move {
  readonly path: string;
  /** Inode number of what is moved, in digits. */
  readonly inode: string;
  readonly parentId: number;
  readonly name: string;
  /** Of a file. */
  readonly times: FileTimes | undefined;
}

export const historyDatabases = ['versions', 'hashes', 'removed', 'removedFrom', 'replacements', 'moves'] as const;

export class DirectoryHistory {
  /** By [file, generation]. */
  readonly #versions: Database<OlderVersion, [number, number]>;
  /** SHA-256 by version id. */
  readonly #hashes: Database<string, number>;
  /** By [folder it was in, id]. */
  readonly #removed: Database<RemovedEntry, [number, number]>;
  /** The folder it was in, by id. */
  readonly #removedFrom: Database<number, number>;
  readonly #replacements: Database<Replacement, number>;
  /** By id. */
  readonly #moves: Database<Move, number>;

  constructor(root: RootDatabase) {
    this.#versions = root.openDB({ name: 'versions' });
    this.#hashes = root.openDB({ name: 'hashes' });
    this.#removed = root.openDB({ name: 'removed' });
    this.#removedFrom = root.openDB({ name: 'removedFrom' });
    this.#replacements = root.openDB({ name: 'replacements' });
    this.#moves = root.openDB({ name: 'moves' });
  }

  version(fileId: number, generation: number): OlderVersion | undefined {
    return this.#versions.get([fileId, generation]);
  }

  /** Oldest first. */
  versions(fileId: number): readonly (OlderVersion & { readonly generation: number })[] {
    const range = this.#versions.getRange({ start: [fileId, 0], end: [fileId + 1, 0] });
    return [...range].map(({ key: [, generation], value }) => ({ ...value, generation }));
  }

  keepVersion(fileId: number, generation: number, version: OlderVersion): void {
    void this.#versions.put([fileId, generation], version);
  }

  forgetVersion(fileId: number, generation: number): void {
    void this.#versions.remove([fileId, generation]);
  }

  forgetVersions(fileId: number): void {
    for (const { generation } of this.versions(fileId)) void this.#versions.remove([fileId, generation]);
  }

  sha256(versionId: number): string | undefined {
    return this.#hashes.get(versionId);
  }

  keepHash(versionId: number, sha256: string): void {
    void this.#hashes.put(versionId, sha256);
  }

  removed(id: number): RemovedEntry | undefined {
    const parentId = this.#removedFrom.get(id);
    return parentId === undefined ? undefined : this.#removed.get([parentId, id]);
  }

  removedIn(folderId: number): readonly RemovedEntry[] {
    const range = this.#removed.getRange({ start: [folderId, 0], end: [folderId + 1, 0] });
    return [...range].map(({ value }) => value);
  }

  keepRemoved(entry: RemovedEntry): void {
    const { id } = entry.record;
    const parentId = entry.kind === 'file' ? entry.record.folderId : entry.record.parentId;
    void this.#removed.put([parentId, id], entry);
    void this.#removedFrom.put(id, parentId);
  }

  forgetRemoved(id: number): void {
    const parentId = this.#removedFrom.get(id);
    if (parentId !== undefined) void this.#removed.remove([parentId, id]);
    void this.#removedFrom.remove(id);
  }

  /** Resolves when it is on disk. */
  beginReplacement(fileId: number, replacement: Replacement): Promise<boolean> {
    return this.#replacements.put(fileId, replacement);
  }

  endReplacement(fileId: number): void {
    void this.#replacements.remove(fileId);
  }

  /** Those begun and not ended, by file. */
  replacements(): readonly (Replacement & { readonly fileId: number })[] {
    return [...this.#replacements.getRange()].map(({ key: fileId, value }) => ({ ...value, fileId }));
  }

  /** Resolves when it is on disk. */
  beginMove(id: number, move: Move): Promise<boolean> {
    return this.#moves.put(id, move);
  }

  endMove(id: number): void {
    void this.#moves.remove(id);
  }

  /** Those begun and not ended, by what is moved. */
  moves(): readonly (Move & { readonly id: number })[] {
    return [...this.#moves.getRange()].map(({ key: id, value }) => ({ ...value, id }));
  }
}
