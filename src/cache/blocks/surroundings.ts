// What all versions share: the drive, the memory, the slots, the disk and the counts.
import type { ContentReference, RemoteDrive } from '../../remote-drive.ts';
import type { AheadReaders } from './ahead-readers.ts';
import type { BlockDisk } from './block-disk.ts';
import type { BlockMemory } from './block-memory.ts';
import type { ByteGate } from './byte-gate.ts';
import type { TransferSlots } from './transfer-slots.ts';
import type { Transfer, TransferTimes } from './transfer.ts';

/** Counted since the start. */
export interface BlockCounts {
  /** Blocks that a read found in memory, on disk, or on their way. */
  hits: number;
  /** Blocks that a read had to send for. */
  misses: number;
  /** Bytes that came from the drive. */
  bytesFetched: number;
  /** Bytes fetched ahead that left memory before anybody read them. */
  prefetchUnusedBytes: number;
}

/** A version as far as the bookkeeping of versions in use goes. */
export interface Version {
  readonly content: ContentReference;
  readonly number: number;
  /** Nothing of it is in use or in memory. */
  readonly idle: boolean;
}

export interface Surroundings {
  readonly drive: Pick<RemoteDrive, 'read' | 'rangeSupport'>;
  readonly memory: BlockMemory;
  /** What waiting reads hold: those that wait for the drive; and those that wait for the disk alone, not held up by the former; and those that no program waits for. */
  readonly gates: { readonly drive: ByteGate; readonly disk: ByteGate; readonly patient: ByteGate };
  readonly ahead: AheadReaders;
  /** Blocks on their way from the disk. */
  readonly loading: { bytes: number };
  readonly slots: TransferSlots;
  readonly times: TransferTimes;
  readonly disk: BlockDisk | undefined;
  readonly counts: BlockCounts;
  /** A version may have become idle. */
  settled(version: Version): void;
  /** A transfer holds a stream open for later. */
  paused(transfer: Transfer): void;
}
