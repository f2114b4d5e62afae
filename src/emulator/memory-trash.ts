// What was removed from a store in memory and not purged: told in listings that ask for it, its versions still known.
// Must not know: present content, events.
import type { FileNode, FolderNode } from './memory-nodes.ts';
import type { FileRecord, FolderRecord } from './store.ts';

export class MemoryTrash {
  readonly #files = new Map<number, FileNode>();
  readonly #folders = new Map<number, FolderNode>();
  /** By the folder they were in. */
  readonly #byParent = new Map<number, Set<number>>();

  putFile(node: FileNode): void {
    node.record = { ...node.record, deleted: true };
    this.#files.set(node.record.id, node);
    this.#under(node.record.folderId).add(node.record.id);
  }

  putFolder(node: FolderNode): void {
    node.record = { ...node.record, deleted: true };
    this.#folders.set(node.record.id, node);
    this.#under(node.record.parentId).add(node.record.id);
    for (const file of node.files.values()) this.putFile(file);
    for (const child of node.folders.values()) this.putFolder(child);
  }

  folder(id: number): FolderNode | undefined {
    return this.#folders.get(id);
  }

  file(id: number): FileNode | undefined {
    return this.#files.get(id);
  }

  foldersOf(parentId: number): readonly FolderRecord[] {
    return this.#idsOf(parentId).flatMap((id) => this.#folders.get(id)?.record ?? []);
  }

  filesOf(parentId: number): readonly FileRecord[] {
    return this.#idsOf(parentId).flatMap((id) => this.#files.get(id)?.record ?? []);
  }

  /** Ends an entry with all it holds; the files among that. */
  forget(id: number): readonly FileNode[] {
    const [file, folder] = [this.#files.get(id), this.#folders.get(id)];
    const parentId = file?.record.folderId ?? folder?.record.parentId;
    if (parentId !== undefined) this.#byParent.get(parentId)?.delete(id);
    this.#files.delete(id);
    this.#folders.delete(id);
    const below = folder === undefined ? [] : this.#idsOf(id).flatMap((inner) => this.forget(inner));
    return file === undefined ? below : [file];
  }

  #under(parentId: number): Set<number> {
    let ids = this.#byParent.get(parentId);
    if (ids === undefined) this.#byParent.set(parentId, (ids = new Set()));
    return ids;
  }

  #idsOf(parentId: number): readonly number[] {
    return [...(this.#byParent.get(parentId) ?? [])];
  }
}
