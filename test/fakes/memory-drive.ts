// A remote drive in memory: the counterpart of the tree and the file system in tests. Counts calls; faults and delays are
// under the test's control.
import { waitFor } from '../../src/base/abort.ts';
import {
  RemoteError,
  type CallOptions,
  type ContentReference,
  type ContentStream,
  type FileId,
  type FolderId,
  type RemoteDrive,
  type RemoteEntry,
  type RemoteFile,
  type RemoteSyncpoint,
  type RemoteVault,
  type SyncpointId,
  type VaultId,
  type VersionId,
} from '../../src/remote-drive.ts';

interface Folder {
  readonly id: string;
  readonly entries: RemoteEntry[];
}

/** A drive whose content tests write directly. */
export class MemoryDrive implements RemoteDrive {
  readonly syncpointList: RemoteSyncpoint[] = [];
  readonly vaultList: RemoteVault[] = [
    { id: 'vault-1' as VaultId, name: 'Vault', sizeBytes: 1000, consumedBytes: 400 },
  ];
  readonly calls: string[] = [];
  /** Awaited before each call answers; a test holds or fails calls here. */
  gate: (call: string) => Promise<void> = () => Promise.resolve();
  batchSize = 1000;
  readonly #folders = new Map<string, Folder>();
  readonly #contents = new Map<string, Uint8Array>();
  #nextId = 1000;

  addSyncpoint(name: string, facts: Partial<RemoteSyncpoint> = {}): RemoteSyncpoint {
    const root = this.#newFolder();
    const syncpoint: RemoteSyncpoint = {
      id: this.#id() as SyncpointId,
      name,
      rootFolderId: root.id as FolderId,
      permission: 'read-write',
      vaultId: 'vault-1' as VaultId,
      owner: undefined,
      parentId: undefined,
      lastEvent: undefined,
      ...facts,
    };
    this.syncpointList.push(syncpoint);
    return syncpoint;
  }

  addFolder(parent: FolderId, name: string): FolderId {
    const folder = this.#newFolder();
    this.entries(parent).push({ kind: 'folder', id: folder.id as FolderId, name });
    return folder.id as FolderId;
  }

  addFile(parent: FolderId, name: string, content: string | Uint8Array, id: string = this.#id()): RemoteFile {
    const file = this.#version(id, name, content);
    this.entries(parent).push(file);
    return file;
  }

  /** A new version of a file. */
  write(parent: FolderId, name: string, content: string): RemoteFile {
    const entries = this.entries(parent);
    const at = entries.findIndex((entry) => entry.name === name);
    const file = this.#version(entries[at]?.id ?? this.#id(), name, content);
    entries.splice(at, 1, file);
    return file;
  }

  remove(parent: FolderId, name: string): void {
    const entries = this.entries(parent);
    entries.splice(
      entries.findIndex((entry) => entry.name === name),
      1,
    );
  }

  rename(parent: FolderId, name: string, newName: string): void {
    const entries = this.entries(parent);
    const at = entries.findIndex((entry) => entry.name === name);
    const entry = entries[at];
    if (entry !== undefined) entries.splice(at, 1, { ...entry, name: newName });
  }

  /** The living list of a folder's entries. */
  entries(folder: FolderId): RemoteEntry[] {
    const found = this.#folders.get(folder);
    if (found === undefined) throw new RemoteError('not-found', `folder ${folder}: Invalid Folder ID`);
    return found.entries;
  }

  dropFolder(folder: FolderId): void {
    this.#folders.delete(folder);
  }

  async account(options?: CallOptions): Promise<{ userId: string; email: undefined }> {
    await this.#call('account', options);
    return { userId: 'user', email: undefined };
  }

  async syncpoints(options?: CallOptions): Promise<RemoteSyncpoint[]> {
    await this.#call('syncpoints', options);
    return [...this.syncpointList];
  }

  async *list(_syncpoint: SyncpointId, folder: FolderId, options?: CallOptions): AsyncGenerator<RemoteEntry[]> {
    await this.#call(`list ${folder}`, options);
    const entries = [...this.entries(folder)];
    for (let from = 0; from < entries.length; from += this.batchSize) yield entries.slice(from, from + this.batchSize);
  }

  async file(_syncpoint: SyncpointId, id: FileId): Promise<RemoteFile> {
    await this.#call(`file ${id}`);
    for (const { entries } of this.#folders.values()) {
      for (const entry of entries) if (entry.kind === 'file' && entry.id === id) return entry;
    }
    throw new RemoteError('not-found', `file ${id}: File Not Found`);
  }

  async read(
    content: ContentReference,
    range: { offsetBytes: number; lengthBytes: number },
    options?: CallOptions,
  ): Promise<ContentStream> {
    await this.#call(`read ${content.versionId}`, options);
    const bytes = this.#contents.get(content.versionId);
    if (bytes === undefined) throw new RemoteError('not-found', `version ${content.versionId}`);
    const endBytes = range.offsetBytes + range.lengthBytes;
    return {
      offsetBytes: range.offsetBytes,
      endBytes,
      close: () => undefined,
      async *[Symbol.asyncIterator]() {
        yield await Promise.resolve(bytes.subarray(range.offsetBytes, endBytes));
      },
    };
  }

  /** The whole content of a version. */
  content(version: VersionId): Uint8Array {
    return this.#contents.get(version) ?? new Uint8Array();
  }

  rangeSupport(): 'bounded' {
    return 'bounded';
  }

  async vaults(options?: CallOptions): Promise<RemoteVault[]> {
    await this.#call('vaults', options);
    return this.vaultList;
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  #call(name: string, options: CallOptions = {}): Promise<void> {
    this.calls.push(name);
    return waitFor(this.gate(name), options.signal);
  }

  #newFolder(): Folder {
    const folder = { id: this.#id(), entries: [] };
    this.#folders.set(folder.id, folder);
    return folder;
  }

  #version(id: string, name: string, content: string | Uint8Array): RemoteFile {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const versionId = this.#id() as VersionId;
    this.#contents.set(versionId, bytes);
    const time = { seconds: 1_473_662_671, nanoseconds: 900_000_000 };
    return {
      kind: 'file',
      id: id as FileId,
      name,
      versionId,
      lengthBytes: bytes.length,
      modified: time,
      created: time,
    };
  }

  #id(): string {
    this.#nextId += 1;
    return String(this.#nextId);
  }
}
