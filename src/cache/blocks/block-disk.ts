// What versions ask of the disk cache. Kept apart from the cache itself, so that blocks work without a disk.
import type { ContentReference } from '../../remote-drive.ts';
import type { Block } from './block.ts';
import type { ProtectedContents } from './cached-content.ts';

/** The disk cache's view of one version. */
export interface ContentOnDisk {
  /** True when the block is believed to be on disk. Costs no I/O. */
  has(index: number): boolean;
  /** Reads consecutive blocks into their buffers; tells for each whether its bytes are there and right. Never rejects. */
  load(blocks: readonly Block[]): Promise<readonly boolean[]>;
  /** Keeps a complete block, soon and if the disk can follow. Never fails. */
  store(block: Block): void;
  /** Drops what nobody uses at this moment; resolves with the bytes that this freed. */
  remove(): Promise<number>;
}

export interface BlockDisk {
  content(content: ContentReference): ContentOnDisk;
  /** Resolves when blocks can be stored without being refused; undefined if at once. */
  room(): Promise<void> | undefined;
  /** Resolves when what is to be written at this moment is written, or was refused. */
  written(): Promise<void>;
  /** Has what may be evicted give way until so many bytes more than usual are free on the disk; soon, and as far as that goes. */
  makeRoom(bytes: number): void;
  /** Makes the index say what is on disk, so that the end of this process loses none of it. */
  commit(): void;
  /** What is not evicted. */
  readonly protected: ProtectedContents;
  /** Why nothing is written at present; undefined where it is. */
  readonly refusal: string | undefined;
  readonly usedBytes: number;
  stop(): Promise<void>;
}
