// Bulk content that needs no memory: folders and files whose ids, names, times and bytes follow from their position.
// Promises: the same numbers give the same tree; bytes differ between files and between offsets. Must not know: HTTP.
import type { FileRecord, FolderRecord, Ticks } from './store.ts';

export interface SyntheticShape {
  /** Folders below the root; 0 puts the files of one folder into the root itself. */
  readonly folders: number;
  readonly filesPerFolder: number;
  readonly bytesPerFile: number;
}

/** One range of ids laid out as a tree: folder i holds the files [i * filesPerFolder, (i + 1) * filesPerFolder). */
export interface SyntheticRange extends SyntheticShape {
  readonly syncpointId: number;
  readonly parentId: number;
  readonly parentPath: string;
  /** Names of this range start with it, so that several ranges fit into one folder. */
  readonly prefix: string;
  /** The number of its first folder in names and times: ranges can be split. */
  readonly firstIndex: number;
  readonly firstFolderId: number;
  readonly firstFileId: number;
  readonly firstVersionId: number;
}

const EPOCH: Ticks = 14_736_626_719_000_000n; // 2016-09-12T06:44:31.9Z
const TICKS_PER_MINUTE = 600_000_000n;

export function fileCount(range: SyntheticRange): number {
  return Math.max(range.folders, 1) * range.filesPerFolder;
}

export function syntheticFolder(range: SyntheticRange, index: number): FolderRecord {
  const name = `${range.prefix}folder-${String(range.firstIndex + index).padStart(6, '0')}`;
  return {
    syncpointId: range.syncpointId,
    id: range.firstFolderId + index,
    parentId: range.parentId,
    name,
    virtualPath: `${range.parentPath}${name}\\`,
    deleted: false,
  };
}

export function syntheticFile(range: SyntheticRange, index: number): FileRecord {
  const position = range.firstIndex * range.filesPerFolder + index;
  const time = EPOCH + BigInt(position) * TICKS_PER_MINUTE + BigInt(position % 10_000);
  const folderIndex = Math.floor(index / range.filesPerFolder);
  return {
    syncpointId: range.syncpointId,
    id: range.firstFileId + index,
    folderId: range.folders === 0 ? range.parentId : range.firstFolderId + folderIndex,
    name: `${range.prefix}file-${String(index % range.filesPerFolder).padStart(6, '0')}.bin`,
    lengthBytes: range.bytesPerFile,
    created: time,
    modified: time,
    added: time,
    versionId: range.firstVersionId + index,
    deleted: false,
  };
}

/** The position of a folder of that name in the range; -1 when it has none. */
export function folderIndexOf(range: SyntheticRange, name: string): number {
  if (!name.startsWith(`${range.prefix}folder-`)) return -1;
  const index = Number(name.slice(range.prefix.length + 'folder-'.length)) - range.firstIndex;
  const inside = Number.isInteger(index) && index >= 0 && index < range.folders;
  return inside && syntheticFolder(range, index).name === name ? index : -1;
}

/** Whether a name is one of those the range gives directly in its parent. */
export function holdsName(range: SyntheticRange, name: string): boolean {
  if (range.folders > 0) return folderIndexOf(range, name) >= 0;
  if (!name.startsWith(`${range.prefix}file-`)) return false;
  const index = Number.parseInt(name.slice(range.prefix.length + 'file-'.length), 10);
  return index >= 0 && index < range.filesPerFolder && syntheticFile(range, index).name === name;
}

/** The folders [from, to) of a range as a range of their own. */
export function subRange(range: SyntheticRange, from: number, to: number): SyntheticRange {
  return {
    ...range,
    folders: to - from,
    firstIndex: range.firstIndex + from,
    firstFolderId: range.firstFolderId + from,
    firstFileId: range.firstFileId + from * range.filesPerFolder,
    firstVersionId: range.firstVersionId + from * range.filesPerFolder,
  };
}

/** The files of one folder of a range as a range directly in that folder. */
export function filesOf(range: SyntheticRange, index: number): SyntheticRange {
  const { id, virtualPath } = syntheticFolder(range, index);
  return { ...subRange(range, index, index), parentId: id, parentPath: virtualPath };
}

// A prime period: no power of two is a multiple of it, so an offset wrong by 2^32 (or any block size) shows.
const PATTERN_BYTES = 1_048_573;
let sharedPattern: Uint8Array | undefined;

/** Twice the pattern, so that any slice up to one period long is contiguous. */
function pattern(): Uint8Array {
  if (sharedPattern !== undefined) return sharedPattern;
  const bytes = new Uint8Array(2 * PATTERN_BYTES);
  let state = 0x2545f491;
  for (let index = 0; index < PATTERN_BYTES; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state & 0xff;
  }
  bytes.copyWithin(PATTERN_BYTES, 0, PATTERN_BYTES);
  sharedPattern = bytes;
  return bytes;
}

/** The bytes [offset, offset + length) of the synthetic content `seed`: a view of shared memory, at most 1 MiB long. */
export function syntheticBytes(seed: number, offset: number, length: number): Uint8Array {
  const start = (offset + (seed % PATTERN_BYTES) * 7919) % PATTERN_BYTES;
  return pattern().subarray(start, start + Math.min(length, PATTERN_BYTES));
}
