// Content by blocks: answers reads of immutable versions from memory, from the disk cache, or from one shared download, and
// fetches ahead of sequential readers. Promises right bytes or an error, never fewer bytes. Knows no names and no inodes.
import { type ContentReference, type RemoteDrive, RemoteError } from '../remote-drive.ts';
import { AheadReaders } from './blocks/ahead-readers.ts';
import { blockCountMax, blockSizeBytes } from './blocks/block.ts';
import { BlockMemory } from './blocks/block-memory.ts';
import { BlockReader } from './blocks/block-reader.ts';
import { ByteGate } from './blocks/byte-gate.ts';
import { isOnDisk, keepContent } from './blocks/keeping.ts';
import type { ProtectedContents } from './blocks/cached-content.ts';
import { openDiskCache } from './blocks/open-disk-cache.ts';
import type { Surroundings } from './blocks/surroundings.ts';
import { type Transfer, type TransferTimes } from './blocks/transfer.ts';
import { TransferSlots } from './blocks/transfer-slots.ts';
import { VersionContent } from './blocks/version-content.ts';

/** Streams held open for readers that may go on; each is a connection. */
const pausedTransfersMax = 16;

const defaultTimes: TransferTimes = {
  retryDelayMs: 100,
  retryDelayMsMax: 3000,
  // Vaults answer within a second; the rest is for the call budget. Less than a file system request may take, so that the
  // next try still falls into it.
  openMs: 24_000,
  // Half a full queue takes a disk that makes 500 files a second this long; a slower one keeps less instead.
  roomMs: 250,
  // Longer than any pause of a server that will still answer, shorter than the 30 s a file system request may take.
  stallMs: 15_000,
  // Many times what a vault takes to find an object: beyond this a second request costs less than the wait.
  silenceMs: 4000,
  // Players and pagers stop for seconds; a vault's own idle limit is about a minute.
  idleMs: 20_000,
};

/** Of the memory, what reads may hold that wait for the drive. */
const waitingForDriveShare = 3 / 8;
/** What reads may hold that wait for the disk. The rest: blocks to be written (1/4), loaded ahead (1/8) and just read. */
const waitingForDiskShare = 1 / 8;
/** What reads may hold that no program waits for: in a line of their own, so that nobody stands behind them. */
const patientShare = 1 / 16;

export interface ContentBlocksOptions {
  /** The cache directory, made if missing; nobody else's files are in it. */
  readonly directory: string;
  /** What the cache may take on disk, its index included. */
  readonly diskBytesMax: number;
  /** Blocks in memory, those still arriving included. */
  readonly memoryBytesMax: number;
  readonly drive: Pick<RemoteDrive, 'read' | 'rangeSupport'>;
  /** What is left free of the disk, for everybody else on it. Default: nothing. */
  readonly reserveBytes?: number | undefined;
  /** What is free of the disk; stands in for the operating system, for tests. */
  readonly freeBytes?: (() => number) | undefined;
  /** Delays of transfers, for tests. */
  readonly times?: Partial<TransferTimes> | undefined;
}

export interface ContentStatistics {
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Blocks that a read found in memory, on disk, or on their way. */
  readonly hits: number;
  /** Blocks that a read had to send for. */
  readonly misses: number;
  readonly bytesFetched: number;
  /** Bytes fetched ahead that left memory before anybody read them. */
  readonly prefetchUnusedBytes: number;
}

export interface ContentReader {
  /**
   * The bytes [offsetBytes, offsetBytes + lengthBytes), cut at the content's end, as pieces in order; at once when they are in
   * memory. The pieces stay as they are until the present tick (that of the settled promise) ends. Rejects with RemoteError,
   * or with the signal's reason after an abort, while the shared download goes on for others.
   */
  read(
    offsetBytes: number,
    lengthBytes: number,
    signal?: AbortSignal,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** What went wrong last with fetching this content, if no byte of it has come since: who waits may be waiting because of that. */
  readonly trouble?: RemoteError | undefined;
  /** The handle is gone: ends what was fetched for it alone. Reads under way still settle. */
  close(): void;
}

export interface ContentBlocks {
  /** A reader for one open file; it learns that file's access pattern. To be closed. */
  reader(content: ContentReference): ContentReader;
  /**
   * Fetches what is in neither memory nor disk, for somebody who will read it soon, behind everybody who waits. Returns what ends that,
   * as far as nobody else wants it.
   */
  fetchAhead(content: ContentReference): () => void;
  /** How much of a content would have to be fetched; counted no further than to what is above `bytesMax`. Costs no I/O. */
  uncachedBytes(content: ContentReference, bytesMax: number): number;
  /**
   * Brings all of a content to the disk, behind everybody who waits. Rejects with RemoteError, with an Error where the disk does not take
   * it, or with the signal's reason.
   */
  keep(content: ContentReference, signal: AbortSignal): Promise<void>;
  /** True when all of a content is on disk. Costs no I/O. */
  isKept(content: ContentReference): boolean;
  /** Has the disk cache give way until so many bytes more than usual are free on its disk; soon, and as far as that goes. */
  makeRoom(bytes: number): void;
  /** Makes sure that what is kept is found again, however this process ends. */
  commit(): void;
  /** What is not evicted from the disk; undefined without a disk. */
  readonly protected: ProtectedContents | undefined;
  /** Drops a content from memory and disk, as far as nobody uses it just now. Resolves with the bytes freed on the disk. */
  drop(content: ContentReference): Promise<number>;
  statistics(): ContentStatistics;
  /** Ends all transfers, rejects waiting reads with `unavailable` and closes the disk cache. */
  stop(): Promise<void>;
}

/** Opens the cache. Rejects when another process uses the directory. */
export async function openContentBlocks(options: ContentBlocksOptions): Promise<ContentBlocks> {
  const versions = new Map<string, VersionContent>();
  const versionsByNumber = new Map<number, VersionContent>();
  const pausedTransfers = new Set<Transfer>();
  /** Keys of blocks begin with a version's number and stay exact below 2^53: numbers are used again. */
  const freeNumbers: number[] = [];
  let lastNumber = 0;
  let stopped = false;

  const counts = { hits: 0, misses: 0, bytesFetched: 0, prefetchUnusedBytes: 0 };
  const memory = new BlockMemory(options.memoryBytesMax, (block) => {
    if (block.unused) counts.prefetchUnusedBytes += block.lengthBytes;
    const version = versionsByNumber.get(Math.floor(block.key / blockCountMax));
    if (version === undefined) return;
    version.blocksInMemory--;
    around.settled(version);
  });
  const around: Surroundings = {
    drive: options.drive,
    memory,
    gates: {
      drive: new ByteGate(options.memoryBytesMax * waitingForDriveShare),
      disk: new ByteGate(options.memoryBytesMax * waitingForDiskShare),
      patient: new ByteGate(options.memoryBytesMax * patientShare),
    },
    ahead: new AheadReaders(options.memoryBytesMax),
    loading: { bytes: 0 },
    slots: new TransferSlots(),
    times: { ...defaultTimes, ...options.times },
    disk: await openDiskCache(options.directory, {
      diskBytesMax: options.diskBytesMax,
      memoryBytesMax: options.memoryBytesMax,
      pin: (block) => memory.pin(block),
      unpin: (block) => memory.unpin(block),
      reserveBytes: options.reserveBytes ?? 0,
      ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
    }),
    counts,
    settled(version) {
      if (!version.idle || versionsByNumber.get(version.number) !== version) return;
      versions.delete(nameOf(version.content));
      versionsByNumber.delete(version.number);
      freeNumbers.push(version.number);
    },
    paused(transfer) {
      pausedTransfers.delete(transfer);
      pausedTransfers.add(transfer);
      for (const other of pausedTransfers) {
        if (other.state !== 'paused') pausedTransfers.delete(other);
        else if (pausedTransfers.size > pausedTransfersMax) other.stop(new Error('too many streams are held open'));
        else break;
      }
    },
  };

  const blockReader = (content: ContentReference): BlockReader => {
    if (stopped) throw new RemoteError('unavailable', 'the cache is closed');
    if (content.lengthBytes > blockCountMax * blockSizeBytes) {
      throw new RemoteError('protocol', `a file of ${content.lengthBytes} bytes is larger than any vault stores`);
    }
    const name = nameOf(content);
    let version = versions.get(name);
    if (version === undefined) {
      version = new VersionContent(content, freeNumbers.pop() ?? ++lastNumber, around);
      versions.set(name, version);
      versionsByNumber.set(version.number, version);
    }
    return new BlockReader(version, around);
  };

  return {
    reader: blockReader,
    fetchAhead(content) {
      const reader = blockReader(content);
      reader.fetchAll();
      return () => reader.close();
    },
    uncachedBytes(content, bytesMax) {
      if (stopped) throw new RemoteError('unavailable', 'the cache is closed');
      const version = versions.get(nameOf(content));
      const disk = version === undefined ? around.disk?.content(content) : undefined;
      let bytes = 0;
      for (let at = 0; at < content.lengthBytes && bytes <= bytesMax; at += blockSizeBytes) {
        const index = at / blockSizeBytes;
        const cached = version === undefined ? disk?.has(index) === true : version.isNear(index, index);
        if (!cached) bytes += Math.min(blockSizeBytes, content.lengthBytes - at);
      }
      return bytes;
    },
    async keep(content, signal) {
      const reader = blockReader(content);
      try {
        const { disk } = around;
        if (disk === undefined) throw new Error('there is no disk cache: syncplicityfs doctor says why');
        await keepContent(content, disk.content(content), disk, reader, signal);
      } finally {
        reader.close();
      }
    },
    isKept: (content) => around.disk !== undefined && isOnDisk(content, around.disk.content(content)),
    makeRoom: (bytes) => around.disk?.makeRoom(bytes),
    commit: () => around.disk?.commit(),
    get protected() {
      return around.disk?.protected;
    },
    async drop(content) {
      versions.get(nameOf(content))?.forget();
      return (await around.disk?.content(content).remove()) ?? 0;
    },
    statistics: () => ({ memoryBytes: memory.usedBytes, diskBytes: around.disk?.usedBytes ?? 0, ...counts }),
    async stop() {
      if (stopped) return;
      stopped = true;
      const error = new RemoteError('unavailable', 'the cache is closing');
      for (const gate of Object.values(around.gates)) gate.close(error);
      await Promise.all([...versions.values()].map((version) => version.stop(error)));
      await around.disk?.stop();
      memory.clear();
    },
  };
}

/** The same for all readers of one version. */
function nameOf(content: ContentReference): string {
  return `${content.vaultId ?? ''}/${content.versionId}/${content.lengthBytes}`;
}
