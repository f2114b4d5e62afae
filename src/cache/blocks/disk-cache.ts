// The disk cache: complete blocks in segment files, small contents in the index, the least recently used out first. Promises
// to serve only bytes whose checksum matches, to stay below its limit, to leave some of its disk to others, and never to fail a read:
// what goes wrong on the disk is logged once and costs a fetch. Order that a crash must not break: bytes, then their entry; an entry's
// end, then its file.
import { crc32 } from 'node:zlib';
import { createLog } from '../../base/log.ts';
import { formatSize } from '../../base/quantities.ts';
import type { ContentReference } from '../../remote-drive.ts';
import { type Block, blockSizeBytes } from './block.ts';
import type { BlockDisk, ContentOnDisk } from './block-disk.ts';
import { inlineAllocatedBytes, inlineBytesMax, nameOf, ProtectedContents } from './cached-content.ts';
import type { CacheIndex, Entry } from './cache-index.ts';
import { DiskShare } from './disk-share.ts';
import type { SegmentFiles } from './segment-files.ts';
import { SegmentQueue, type QueuedSegment } from './segment-queue.ts';
import { allocatedBytes, segmentBlocks, SegmentRecord } from './segment-record.ts';

const log = createLog('cache');

/** Of the limit, what small contents may take: the index never shrinks, so they must not crowd out the rest for good. */
const inlineShare = 1 / 8;
/** Blocks waiting to be written, at most; beyond this a block is not cached rather than kept in memory. */
const queueBytesMax = 8 * 2 ** 20;
/** Segments written at once: small files are a segment each, and each takes several turns of the event loop. */
const writersMax = 4;
/** After the disk refused a write. Full disks stay full for a while. */
const pauseMs = 60_000;
/** Evicting makes room for this share at once, so that it happens now and then and not with every write. */
const evictedShare = 1 / 32;
/** Entries passed over in one search for something to evict: what is protected comes to the order's end by that, bit by bit. */
const passedMax = 2_000;
/** The order of last use is kept to this share of the cache. */
const tickShare = 1 / 64;
/** How often the disk is looked at while nothing is written: others fill it, too. */
const lookEveryMs = 10_000;

export interface DiskCacheOptions {
  readonly index: CacheIndex;
  readonly files: SegmentFiles;
  readonly diskBytesMax: number;
  readonly memoryBytesMax: number;
  /** What is left free of the disk, for everybody else on it: they fail worse for want of room than a cache. */
  readonly reserveBytes: number;
  /** What is free of the disk now, in bytes. */
  readonly freeBytes: () => number;
  /** Keeps and releases a block's buffer. */
  readonly pin: (block: Block) => void;
  readonly unpin: (block: Block) => void;
}

export class DiskCache implements BlockDisk {
  readonly protected = new ProtectedContents();
  readonly #index: CacheIndex;
  readonly #files: SegmentFiles;
  readonly #options: DiskCacheOptions;
  readonly #queue: SegmentQueue;
  readonly #writers = new Set<Promise<void>>();
  /** Of what is being written now; some of it may be counted in the index already. */
  #writingBytes = 0;
  /** Segments whose entries were removed: their files go once the index says so on disk. */
  readonly #removed = new Set<string>();
  /** Segments being read or written: not to be evicted now. */
  readonly #busy = new Map<string, number>();
  readonly #share: DiskShare;
  readonly #looks: NodeJS.Timeout;
  /** Who asks for room meanwhile asks again. */
  #isMakingRoom = false;
  #roomWaiters: (() => void)[] = [];
  #failure: string | undefined;
  #pausedUntilMs = 0;
  #failureLogged = false;
  #stopped = false;

  constructor(options: DiskCacheOptions) {
    this.#options = options;
    this.#index = options.index;
    this.#files = options.files;
    this.#queue = new SegmentQueue(Math.min(queueBytesMax, Math.max(2 * blockSizeBytes, options.memoryBytesMax / 4)));
    this.#share = new DiskShare(options.freeBytes, options.reserveBytes);
    this.#looks = setInterval(() => this.makeRoom(0), lookEveryMs).unref();
  }

  get usedBytes(): number {
    return this.#index.bytes('s') + this.#index.fileBytes;
  }

  content(content: ContentReference): ContentOnDisk {
    const name = nameOf(content);
    if (content.lengthBytes <= inlineBytesMax) {
      return {
        has: () => this.#index.get('i', name) !== undefined,
        load: (blocks) => Promise.resolve(blocks.map((block) => this.#loadInline(name, block))),
        store: (block) => this.#storeInline(name, block),
        remove: () => Promise.resolve(this.#removeInline(name)),
      };
    }
    const blockCount = Math.ceil(content.lengthBytes / blockSizeBytes);
    return {
      has: (index) => {
        const entry = this.#index.get('s', segmentName(name, index));
        return entry !== undefined && new SegmentRecord(entry.payload).has(index % segmentBlocks);
      },
      load: (blocks) => this.#load(name, blocks),
      store: (block) => this.#enqueue(name, block, blockCount),
      remove: () => this.#removeSegments(name, blockCount),
    };
  }

  room(): Promise<void> | undefined {
    if (this.#hasRoom()) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  written(): Promise<void> {
    return this.#queue.written();
  }

  makeRoom(bytes: number): void {
    this.#share.lookAgain();
    if (this.#stopped || this.#isMakingRoom || this.#share.spareBytes >= bytes) return;
    this.#isMakingRoom = true;
    this.#inBackground(async () => {
      try {
        await this.#evictUntil(() => bytes - this.#share.spareBytes);
      } finally {
        this.#isMakingRoom = false;
      }
    });
  }

  commit(): void {
    this.#index.flush();
  }

  get refusal(): string | undefined {
    return this.#refuses() ? (this.#failure ?? 'the cache is closed') : undefined;
  }

  /** True while the segment is in use by this process: its file is not an orphan. */
  isBusy(segment: string): boolean {
    return this.#busy.has(segment) || this.#queue.isWaiting(segment);
  }

  /** The disk refused. Logged once until it works again. */
  failed(error: unknown): void {
    this.#pausedUntilMs = performance.now() + pauseMs;
    this.#failure = error instanceof Error ? error.message : String(error);
    if (!this.#failureLogged) console.error(`caching on disk pauses: ${this.#failure}`);
    this.#failureLogged = true;
    this.#wakeIfRoom();
  }

  /** Drops a segment and its file. */
  async discard(segment: string): Promise<void> {
    const entry = this.#index.get('s', segment);
    if (entry !== undefined) this.#index.remove(entry);
    this.#removed.add(segment);
    await this.#removeFiles();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#looks);
    this.#wakeIfRoom();
    while (this.#writers.size > 0) await Promise.all(this.#writers);
    const isTidy = await this.#removeFiles();
    await this.#files.close();
    await this.#index.close();
    if (!isTidy) throw new Error('files stay that the index may not know any more');
  }

  #hasRoom(): boolean {
    return this.#queue.bytes * 2 <= this.#queue.bytesMax || this.#refuses();
  }

  #wakeIfRoom(): void {
    if (this.#hasRoom()) for (const wake of this.#roomWaiters.splice(0)) wake();
  }

  /** No more blocks are taken; what is queued when the cache stops is still written. */
  #refuses(): boolean {
    return this.#stopped || this.#paused();
  }

  #paused(): boolean {
    return this.#index.isLost || performance.now() < this.#pausedUntilMs;
  }

  // Small contents.

  #loadInline(name: string, block: Block): boolean {
    const entry = this.#index.get('i', name);
    if (entry?.payload.length !== block.lengthBytes) return false;
    entry.payload.copy(block.buffer as Buffer);
    this.#index.touch(entry);
    return true;
  }

  #storeInline(name: string, block: Block): void {
    if (this.#refuses() || this.#index.dirtyBytes > this.#queue.bytesMax || this.#index.get('i', name) !== undefined)
      return;
    const bytes = inlineAllocatedBytes(block.lengthBytes);
    const { diskBytesMax } = this.#options;
    const inlineBytes = diskBytesMax * inlineShare;
    if (this.#index.bytes('i') + bytes > inlineBytes) this.#evictInline(bytes + inlineBytes * evictedShare);
    if (this.usedBytes + 2 * bytes > diskBytesMax || this.#share.spareBytes < 2 * bytes) {
      // The index grows into what segments hold: they make room for the next one.
      if (this.#index.bytes('s') > 0) this.#makeRoomForIndex();
      else this.#evictInline(bytes);
      return;
    }
    const payload = Buffer.from((block.buffer as Buffer).subarray(0, block.lengthBytes));
    this.#index.put({ kind: 'i', name, payload, bytes: 0, tick: 0, storedTick: -1 }, bytes);
    this.#index.written(bytes, diskBytesMax * tickShare);
  }

  #evictInline(bytes: number): void {
    let left = bytes;
    for (const entry of this.#evictable('i')) {
      if (left <= 0) return;
      left -= entry.bytes;
      this.#index.remove(entry);
    }
  }

  #removeInline(name: string): number {
    const entry = this.#index.get('i', name);
    if (entry === undefined) return 0;
    const { bytes } = entry;
    this.#index.remove(entry);
    return bytes;
  }

  async #removeSegments(content: string, blockCount: number): Promise<number> {
    let freed = 0;
    for (let index = 0; index < blockCount; index += segmentBlocks) {
      const segment = segmentName(content, index);
      const entry = this.isBusy(segment) ? undefined : this.#index.get('s', segment);
      if (entry === undefined) continue;
      freed += entry.bytes;
      this.#removed.add(segment);
      this.#index.remove(entry);
    }
    return (await this.#removeFiles()) ? freed : 0;
  }

  /** Files go after their entries; false where these could not be removed yet. */
  async #removeFiles(): Promise<boolean> {
    if (this.#removed.size === 0) return true;
    if (!this.#index.flush()) return false;
    for (const segment of this.#removed) {
      this.#removed.delete(segment);
      await this.#files.remove(segment);
    }
    return true;
  }

  /** What may go, the least recently used first. What is protected counts as used now, so that the next search does not meet it again. */
  *#evictable(kind: Entry['kind']): Generator<Entry> {
    if (this.protected.all) return;
    let passed = 0;
    for (const entry of this.#index.oldest(kind)) {
      if (this.protected.has(entry.name)) {
        this.#index.touch(entry);
        passed += 1;
        if (passed > passedMax) return;
      } else if (kind === 'i' || !this.#busy.has(entry.name)) yield entry;
    }
  }

  #makeRoomForIndex(): void {
    if (this.#writers.size > 0) return;
    this.#inBackground(async () => {
      await this.#makeRoom(this.usedBytes * evictedShare);
    });
  }

  #inBackground(work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => this.failed(error))
      .finally(() => this.#writers.delete(task));
    this.#writers.add(task);
  }

  // Segments.

  async #load(content: string, blocks: readonly Block[]): Promise<boolean[]> {
    const loaded: boolean[] = [];
    for (let at = 0; at < blocks.length;) {
      const segment = segmentName(content, (blocks[at] as Block).index);
      let end = at + 1;
      while (end < blocks.length && segmentName(content, (blocks[end] as Block).index) === segment) end++;
      loaded.push(...(await this.#loadFrom(segment, blocks.slice(at, end))));
      at = end;
    }
    return loaded;
  }

  async #loadFrom(segment: string, blocks: readonly Block[]): Promise<boolean[]> {
    const first = (blocks[0] as Block).index % segmentBlocks;
    this.#hold(segment);
    let whole = false;
    try {
      const buffers = blocks.map((block) => block.buffer as Buffer);
      whole = await this.#files.read(segment, buffers, first * blockSizeBytes);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') log('a cached segment cannot be read: %s', (error as Error).message);
      this.#index.lookForFile();
    } finally {
      this.#letGo(segment);
    }
    const entry = this.#index.get('s', segment);
    if (entry === undefined) return blocks.map(() => false);
    const record = new SegmentRecord(entry.payload);
    const right = blocks.map((block) => {
      const at = block.index % segmentBlocks;
      return whole && record.has(at) && record.checksum(at) === crc32(block.buffer as Buffer);
    });
    if (right.includes(false)) this.#forget(entry, record, blocks, right);
    else this.#index.touch(entry);
    return right;
  }

  /** Takes out of the entry what turned out not to be there. */
  #forget(entry: Entry, record: SegmentRecord, blocks: readonly Block[], right: readonly boolean[]): void {
    let lost = 0;
    blocks.forEach((block, at) => {
      if (right[at] === true || !record.has(block.index % segmentBlocks)) return;
      record.delete(block.index % segmentBlocks);
      lost += allocatedBytes(block.lengthBytes);
    });
    if (lost === 0) return;
    log('%d damaged bytes of the disk cache are dropped', lost);
    this.#index.put(entry, Math.max(0, entry.bytes - lost));
  }

  #enqueue(content: string, block: Block, blockCount: number): void {
    if (this.#refuses()) return;
    const segment = segmentName(content, block.index);
    const entry = this.#index.get('s', segment);
    if (entry !== undefined && new SegmentRecord(entry.payload).has(block.index % segmentBlocks)) return;
    const segmentStart = block.index - (block.index % segmentBlocks);
    if (!this.#queue.add(segment, block, Math.min(segmentBlocks, blockCount - segmentStart))) return;
    this.#options.pin(block);
    this.#startWriter();
  }

  #startWriter(): void {
    if (this.#writers.size >= writersMax) return;
    const writer = this.#write()
      .catch((error: unknown) => this.failed(error))
      .finally(() => {
        this.#writers.delete(writer);
        if (this.#queue.hasNext) this.#startWriter();
      });
    this.#writers.add(writer);
  }

  async #write(): Promise<void> {
    // What comes in together is written together.
    await new Promise((resolve) => setImmediate(resolve));
    for (let next = this.#queue.take(); next !== undefined; next = this.#queue.take()) {
      await this.#writeSegment(next);
      this.#queue.end(next);
    }
  }

  async #writeSegment({ segment, blockCount, blocks }: QueuedSegment): Promise<void> {
    const bytes = blocks.reduce((sum, block) => sum + allocatedBytes(block.lengthBytes), 0);
    this.#hold(segment);
    this.#writingBytes += bytes;
    try {
      if (this.#paused() || !(await this.#makeRoom())) return;
      if (this.#removed.delete(segment)) await this.#files.remove(segment);
      for (const run of runsOf(blocks)) await this.#writeRun(segment, run, blockCount);
      this.#share.took(bytes);
      this.#failureLogged = false;
    } catch (error) {
      this.failed(error);
      // A full disk takes a part: what no entry counts must not stay.
      if (this.#index.get('s', segment) === undefined)
        await this.#files.remove(segment).catch((cause: unknown) => this.failed(cause));
    } finally {
      this.#writingBytes -= bytes;
      this.#letGo(segment);
      this.#queue.release(blocks);
      for (const block of blocks) this.#options.unpin(block);
      this.#wakeIfRoom();
    }
  }

  async #writeRun(segment: string, run: readonly Block[], blockCount: number): Promise<void> {
    const first = run[0] as Block;
    const buffers = run.map((block) => block.buffer as Buffer);
    await this.#files.write(segment, buffers, (first.index % segmentBlocks) * blockSizeBytes);
    const entry = this.#index.get('s', segment) ?? {
      kind: 's' as const,
      name: segment,
      payload: SegmentRecord.empty(blockCount).payload,
      bytes: 0,
      tick: 0,
      storedTick: -1,
    };
    const record = new SegmentRecord(entry.payload);
    let bytes = 0;
    for (const block of run) {
      if (record.has(block.index % segmentBlocks)) continue;
      record.add(block.index % segmentBlocks, crc32(block.buffer as Buffer));
      bytes += allocatedBytes(block.lengthBytes);
    }
    this.#index.put(entry, entry.bytes + bytes);
    this.#index.written(bytes, this.#options.diskBytesMax * tickShare);
  }

  /** Evicts until what is being written, and further bytes, fit. False when they cannot; throws where that is for want of room on the disk. */
  async #makeRoom(furtherBytes = 0): Promise<boolean> {
    const excessBytes = (): number => this.usedBytes + this.#writingBytes - this.#options.diskBytesMax;
    const lackingBytes = (): number => this.#writingBytes - this.#share.spareBytes;
    const isDone = await this.#evictUntil(() => Math.max(excessBytes(), lackingBytes()) + furtherBytes);
    if (!isDone) return false;
    if (lackingBytes() > 0) {
      throw new Error(`less than ${formatSize(this.#share.reserveBytes)} of its disk would be left to others`);
    }
    return excessBytes() <= 0;
  }

  /** Evicts, somewhat more than is needed, while `excessBytes` is more than 0 and there is something to evict. False where the files stay. */
  async #evictUntil(excessBytes: () => number): Promise<boolean> {
    // What an index that could not be written still counts as gone takes room all the same.
    if (!(await this.#removeFiles())) return false;
    // The second round sees entries that the first one's commit brought into the order.
    for (let round = 0; round < 2; round++) {
      let left = excessBytes();
      if (left <= 0) return true;
      left += this.usedBytes * evictedShare;
      let bytes = 0;
      for (const entry of this.#evictable('s')) {
        if (bytes >= left) break;
        bytes += entry.bytes;
        this.#removed.add(entry.name);
        this.#index.remove(entry);
      }
      if (!this.#index.flush() || !(await this.#removeFiles())) return false;
      this.#share.took(-bytes);
    }
    return true;
  }

  #hold(segment: string): void {
    this.#busy.set(segment, (this.#busy.get(segment) ?? 0) + 1);
  }

  #letGo(segment: string): void {
    const users = (this.#busy.get(segment) ?? 1) - 1;
    if (users > 0) this.#busy.set(segment, users);
    else this.#busy.delete(segment);
  }
}

function segmentName(content: string, blockIndex: number): string {
  return `${content}-${Math.floor(blockIndex / segmentBlocks)}`;
}

/** Stretches of blocks without a gap. */
function runsOf(blocks: readonly Block[]): Block[][] {
  const runs: Block[][] = [];
  for (const block of blocks) {
    const run = runs.at(-1);
    if (run?.at(-1)?.index === block.index - 1) run.push(block);
    else runs.push([block]);
  }
  return runs;
}
