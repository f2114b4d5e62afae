// What a store in memory is made of: folder and file nodes, and content given as bytes or as a function.
// Promises: a snapshot stays as it was when nodes change, for records are replaced and never changed.
import { StoreRefusal } from './store.ts';
import type { FileRecord, FolderRecord, VersionContent, VersionRecord } from './store.ts';
import { syntheticFile, syntheticFolder } from './synthetic-tree.ts';
import type { SyntheticRange } from './synthetic-tree.ts';

/** Bytes, or a function that makes the bytes [offset, offset + length); it may answer fewer, never none. */
export type MemoryContent = Uint8Array | { readonly lengthBytes: number; readonly at: ContentAt };
export type ContentAt = (offset: number, length: number) => Uint8Array | Promise<Uint8Array>;

export interface FolderNode {
  record: FolderRecord;
  readonly folders: Map<string, FolderNode>;
  readonly files: Map<string, FileNode>;
  readonly ranges: SyntheticRange[];
}

export interface FileNode {
  record: FileRecord;
  readonly versions: VersionRecord[];
}

export interface StoredVersion {
  readonly node: FileNode;
  readonly syncpointId: number;
  readonly content: MemoryContent;
  /** Known from the upload, or once somebody asked. */
  sha256?: string;
}

const CHUNK_BYTES = 256 * 1024;

/** What a folder holds now: its own nodes copied, its bulk ranges by position. */
export function folderSnapshot(node: FolderNode): Iterable<FolderRecord> {
  const own = [...node.folders.values()].map((folder) => folder.record);
  const ranges = [...node.ranges];
  return {
    *[Symbol.iterator]() {
      yield* own;
      for (const range of ranges) {
        for (let index = 0; index < range.folders; index++) yield syntheticFolder(range, index);
      }
    },
  };
}

export function fileSnapshot(node: FolderNode): Iterable<FileRecord> {
  const own = [...node.files.values()].map((file) => file.record);
  const ranges = node.ranges.filter((range) => range.folders === 0);
  return {
    *[Symbol.iterator]() {
      yield* own;
      for (const range of ranges) yield* syntheticFiles(range, 0);
    },
  };
}

export function syntheticFiles(range: SyntheticRange, first: number): Iterable<FileRecord> {
  return {
    *[Symbol.iterator]() {
      for (let index = first; index < first + range.filesPerFolder; index++) yield syntheticFile(range, index);
    },
  };
}

export function memoryContent(name: string, content: MemoryContent): VersionContent {
  const lengthBytes = content instanceof Uint8Array ? content.byteLength : content.lengthBytes;
  const at: ContentAt = content instanceof Uint8Array ? (o, n) => content.subarray(o, o + n) : content.at;
  return {
    lengthBytes,
    name,
    async *stream(offset, length) {
      const end = offset + length;
      for (let position = offset; position < end;) {
        const chunk = await at(position, Math.min(CHUNK_BYTES, end - position));
        if (chunk.byteLength === 0) throw new StoreRefusal(`content function gave no bytes at ${position}`);
        yield chunk;
        position += chunk.byteLength;
      }
    },
    close: () => Promise.resolve(),
  };
}
