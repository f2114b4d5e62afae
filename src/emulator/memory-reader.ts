// The reading half of a store in memory. Promises: a listing taken stays as it was, for records are replaced and never changed; bulk
// trees cost nothing. Must not know: how content changes.
import { createHash } from 'node:crypto';
import { MemoryTrash } from './memory-trash.ts';
import type {
  Child,
  ContentReader,
  FileRecord,
  FolderListing,
  FolderRecord,
  ListOptions,
  SyncpointRecord,
  VersionContent,
  VersionRecord,
} from './store.ts';
import { MemoryTree } from './memory-tree.ts';
import { fileSnapshot, folderSnapshot, memoryContent, syntheticFiles } from './memory-nodes.ts';
import type { ContentAt, FolderNode } from './memory-nodes.ts';
import { fileCount, syntheticBytes, syntheticFile, syntheticFolder } from './synthetic-tree.ts';

export class MemoryReader implements ContentReader {
  protected readonly syncpointRecords = new Map<number, SyncpointRecord>();
  protected readonly tree = new MemoryTree();
  protected readonly trash = new MemoryTrash();

  syncpoints(): Promise<readonly SyncpointRecord[]> {
    return Promise.resolve([...this.syncpointRecords.values()]);
  }

  list(syncpointId: number, folderId: number, options?: ListOptions): Promise<FolderListing | undefined> {
    const node = this.tree.folders.get(folderId);
    if (node !== undefined) {
      if (node.record.syncpointId !== syncpointId) return Promise.resolve(undefined);
      const [folders, files] = [folderSnapshot(node), fileSnapshot(node)];
      const listing = { folder: node.record, folders, files };
      if (options?.deleted !== true) return Promise.resolve(listing);
      return Promise.resolve({
        folder: node.record,
        folders: [...folders, ...this.trash.foldersOf(folderId)],
        files: [...files, ...this.trash.filesOf(folderId)],
      });
    }
    const removed = options?.deleted === true ? this.trash.folder(folderId)?.record : undefined;
    if (removed?.syncpointId === syncpointId) {
      const [folders, files] = [this.trash.foldersOf(folderId), this.trash.filesOf(folderId)];
      return Promise.resolve({ folder: removed, folders, files });
    }
    const found = this.tree.syntheticFolder(folderId);
    if (found?.range.syncpointId !== syncpointId) return Promise.resolve(undefined);
    return Promise.resolve({
      folder: syntheticFolder(found.range, found.index),
      folders: [],
      files: syntheticFiles(found.range, found.index * found.range.filesPerFolder),
    });
  }

  folder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined> {
    const found = this.tree.syntheticFolder(folderId);
    const record = this.tree.folders.get(folderId)?.record ?? (found && syntheticFolder(found.range, found.index));
    return Promise.resolve(record?.syncpointId === syncpointId ? record : undefined);
  }

  file(syncpointId: number, fileId: number): Promise<FileRecord | undefined> {
    const found = this.tree.syntheticFile(fileId, (range) => range.firstFileId);
    const record = this.tree.files.get(fileId)?.record ?? (found && syntheticFile(found.range, found.index));
    return Promise.resolve(record?.syncpointId === syncpointId ? record : undefined);
  }

  versions(syncpointId: number, versionId: number): Promise<readonly VersionRecord[] | undefined> {
    const stored = this.tree.versions.get(versionId);
    if (stored !== undefined) {
      return Promise.resolve(stored.syncpointId === syncpointId ? [...stored.node.versions].reverse() : undefined);
    }
    const found = this.tree.syntheticFile(versionId, (range) => range.firstVersionId);
    if (found?.range.syncpointId !== syncpointId) return Promise.resolve(undefined);
    const { lengthBytes, added } = syntheticFile(found.range, found.index);
    return Promise.resolve([{ id: versionId, action: 0, lengthBytes, added }]);
  }

  open(syncpointId: number, versionId: number): Promise<VersionContent | undefined> {
    const stored = this.tree.versions.get(versionId);
    if (stored !== undefined) {
      if (stored.syncpointId !== syncpointId) return Promise.resolve(undefined);
      return Promise.resolve(memoryContent(stored.node.record.name, stored.content));
    }
    const found = this.tree.syntheticFile(versionId, (range) => range.firstVersionId);
    if (found?.range.syncpointId !== syncpointId) return Promise.resolve(undefined);
    const { name, lengthBytes } = syntheticFile(found.range, found.index);
    const at: ContentAt = (offset, length) => syntheticBytes(versionId, offset, length);
    return Promise.resolve(memoryContent(name, { lengthBytes, at }));
  }

  child(
    syncpointId: number,
    folderId: number,
    name: string,
    { ignoreCase }: { readonly ignoreCase: boolean },
  ): Promise<Child | undefined> {
    const parent = this.tree.ownFolder(syncpointId, folderId);
    const found =
      this.#childOf(parent, name) ?? (ignoreCase ? this.#childOf(parent, sameButCase(parent, name)) : undefined);
    return Promise.resolve(found);
  }

  fileOfVersion(versionId: number): Promise<{ file: FileRecord; isLatest: boolean } | undefined> {
    const found = this.tree.syntheticFile(versionId, (range) => range.firstVersionId);
    const file = this.tree.versions.get(versionId)?.node.record ?? (found && syntheticFile(found.range, found.index));
    return Promise.resolve(file && { file, isLatest: file.versionId === versionId });
  }

  removedFolder(syncpointId: number, folderId: number): Promise<FolderRecord | undefined> {
    const record = this.trash.folder(folderId)?.record;
    return Promise.resolve(record?.syncpointId === syncpointId ? record : undefined);
  }

  async sha256(syncpointId: number, versionId: number): Promise<string | undefined> {
    const stored = this.tree.versions.get(versionId);
    if (stored?.sha256 !== undefined && stored.syncpointId === syncpointId) return stored.sha256;
    const content = await this.open(syncpointId, versionId);
    if (content === undefined) return undefined;
    const hash = createHash('sha256');
    for await (const bytes of content.stream(0, content.lengthBytes)) hash.update(bytes);
    const sha256 = hash.digest('hex');
    if (stored !== undefined) stored.sha256 = sha256;
    return sha256;
  }

  async space(): Promise<{ totalBytes: number; usedBytes: number }> {
    const usedBytes = await this.contentBytes();
    return { totalBytes: Math.max(10_000e9, 2 * usedBytes), usedBytes };
  }

  contentBytes(): Promise<number> {
    let bytes = 0;
    for (const { record } of this.tree.files.values()) bytes += record.lengthBytes;
    for (const range of this.tree.ranges) bytes += fileCount(range) * range.bytesPerFile;
    return Promise.resolve(bytes);
  }

  #childOf(parent: FolderNode, name: string | undefined): Child | undefined {
    if (name === undefined) return undefined;
    const file = this.tree.childFile(parent, name);
    if (file !== undefined) return { kind: 'file', file: file.record };
    const folder = this.tree.childFolder(parent, name);
    return folder && { kind: 'folder', folder: folder.record };
  }
}

/** The name of an entry that differs by case only. */
function sameButCase(parent: FolderNode, name: string): string | undefined {
  const folded = name.toLowerCase();
  for (const file of fileSnapshot(parent)) if (file.name.toLowerCase() === folded) return file.name;
  for (const folder of folderSnapshot(parent)) if (folder.name.toLowerCase() === folded) return folder.name;
  return undefined;
}
