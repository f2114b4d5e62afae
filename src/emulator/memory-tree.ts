// The nodes of a store in memory by id, and the bulk ranges beside them: finds either, and makes nodes of what is to change.
// Promises: ids stay when a part of a range becomes nodes; only the folder concerned does. Must not know: events, versions' making.
import type { ContentAt, FileNode, FolderNode, StoredVersion } from './memory-nodes.ts';
import { StoreRefusal } from './store.ts';
import type { FolderRecord } from './store.ts';
import {
  fileCount,
  filesOf,
  folderIndexOf,
  holdsName,
  subRange,
  syntheticBytes,
  syntheticFile,
  syntheticFolder,
} from './synthetic-tree.ts';
import type { SyntheticRange } from './synthetic-tree.ts';

export class MemoryTree {
  readonly folders = new Map<number, FolderNode>();
  readonly files = new Map<number, FileNode>();
  readonly versions = new Map<number, StoredVersion>();
  readonly ranges: SyntheticRange[] = [];

  /** The folder of a name, made a node if it was part of a range. */
  childFolder(parent: FolderNode, name: string): FolderNode | undefined {
    for (const range of parent.ranges) {
      const index = folderIndexOf(range, name);
      if (index >= 0) return this.#isolate(parent, range, index);
    }
    return parent.folders.get(name);
  }

  /** The file of a name, likewise. */
  childFile(parent: FolderNode, name: string): FileNode | undefined {
    if (parent.ranges.some((range) => range.folders === 0 && holdsName(range, name))) this.#materializeFiles(parent);
    return parent.files.get(name);
  }

  ownFolder(syncpointId: number, folderId: number): FolderNode {
    const found = this.syntheticFolder(folderId);
    const folder = found
      ? this.#isolate(this.ownFolder(found.range.syncpointId, found.range.parentId), found.range, found.index)
      : this.folders.get(folderId);
    if (folder?.record.syncpointId !== syncpointId) throw new StoreRefusal(`no folder ${folderId}`, 'missing');
    return folder;
  }

  /** The folder of an id, or undefined when the id is no folder's. */
  folderToChange(syncpointId: number, id: number): FolderNode | undefined {
    const isFolder = this.folders.has(id) || this.syntheticFolder(id) !== undefined;
    return isFolder ? this.ownFolder(syncpointId, id) : undefined;
  }

  ownFile(syncpointId: number, fileId: number): FileNode {
    const found = this.syntheticFile(fileId, (range) => range.firstFileId);
    if (found !== undefined) {
      this.#materializeFiles(this.ownFolder(found.range.syncpointId, syntheticFile(found.range, found.index).folderId));
    }
    const file = this.files.get(fileId);
    if (file?.record.syncpointId !== syncpointId) throw new StoreRefusal(`no file ${fileId}`, 'missing');
    return file;
  }

  keepFolder(record: FolderRecord): FolderNode {
    const node: FolderNode = { record, folders: new Map(), files: new Map(), ranges: [] };
    this.folders.set(record.id, node);
    return node;
  }

  /** Gives a moved folder and all below it their new virtual paths. */
  repath(folder: FolderNode, parentPath: string): void {
    folder.record = { ...folder.record, virtualPath: `${parentPath}${folder.record.name}\\` };
    const path = folder.record.virtualPath;
    for (const range of [...folder.ranges]) this.#replaceRange(folder, range, [{ ...range, parentPath: path }]);
    for (const child of folder.folders.values()) this.repath(child, path);
  }

  /** Forgets a folder with all it holds; its parent is the caller's to change. */
  forgetFolder(folder: FolderNode): void {
    for (const range of [...folder.ranges]) this.#replaceRange(folder, range, []);
    this.folders.delete(folder.record.id);
    for (const file of folder.files.values()) {
      this.files.delete(file.record.id);
      this.forgetVersions(file);
    }
    for (const child of folder.folders.values()) this.forgetFolder(child);
  }

  /** As {@link forgetFolder}; the versions of its files stay known. */
  takeOutFolder(folder: FolderNode): void {
    for (const range of [...folder.ranges]) this.#replaceRange(folder, range, []);
    this.folders.delete(folder.record.id);
    for (const file of folder.files.values()) this.files.delete(file.record.id);
    for (const child of folder.folders.values()) this.takeOutFolder(child);
  }

  forgetVersions(file: FileNode): void {
    for (const version of file.versions) this.versions.delete(version.id);
  }

  forgetVersion(file: FileNode, versionId: number): void {
    const index = file.versions.findIndex(({ id }) => id === versionId);
    if (index >= 0) file.versions.splice(index, 1);
    this.versions.delete(versionId);
  }

  syntheticFolder(folderId: number): { range: SyntheticRange; index: number } | undefined {
    const range = this.ranges.find((r) => folderId >= r.firstFolderId && folderId < r.firstFolderId + r.folders);
    return range && { range, index: folderId - range.firstFolderId };
  }

  syntheticFile(
    id: number,
    first: (range: SyntheticRange) => number,
  ): { range: SyntheticRange; index: number } | undefined {
    const range = this.ranges.find((r) => id >= first(r) && id < first(r) + fileCount(r));
    return range && { range, index: id - first(range) };
  }

  #replaceRange(parent: FolderNode, range: SyntheticRange, parts: readonly SyntheticRange[]): void {
    parent.ranges.splice(parent.ranges.indexOf(range), 1, ...parts);
    this.ranges.splice(this.ranges.indexOf(range), 1, ...parts);
  }

  /** Makes one folder of a bulk range a node of its own, ids kept, so that it can change. */
  #isolate(parent: FolderNode, range: SyntheticRange, index: number): FolderNode {
    const parts = [subRange(range, 0, index), subRange(range, index + 1, range.folders)];
    this.#replaceRange(
      parent,
      range,
      parts.filter((part) => part.folders > 0),
    );
    const folder = this.keepFolder(syntheticFolder(range, index));
    parent.folders.set(folder.record.name, folder);
    const files = filesOf(range, index);
    folder.ranges.push(files);
    this.ranges.push(files);
    return folder;
  }

  /** As `#isolate`, for the files that lie directly in a folder. */
  #materializeFiles(parent: FolderNode): void {
    for (const range of parent.ranges.filter(({ folders }) => folders === 0)) {
      this.#replaceRange(parent, range, []);
      for (let index = 0; index < range.filesPerFolder; index++) {
        const record = syntheticFile(range, index);
        const { versionId, lengthBytes, added } = record;
        const node: FileNode = { record, versions: [{ id: versionId, action: 0, lengthBytes, added }] };
        parent.files.set(record.name, node);
        this.files.set(record.id, node);
        const at: ContentAt = (offset, length) => syntheticBytes(versionId, offset, length);
        this.versions.set(versionId, { node, syncpointId: record.syncpointId, content: { lengthBytes, at } });
      }
    }
  }
}
