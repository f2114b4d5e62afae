// The content of one version while somebody reads it: which blocks are on their way, from where, and which transfers bring
// them. Promises one fetch per block however many readers want it, and at most one transfer where the vault ignores ranges.
// Knows no patterns: readers say what they need and what they will need.
import type { ContentReference, RemoteError } from '../../remote-drive.ts';
import { Block, blockCountMax, blockSizeBytes } from './block.ts';
import type { ContentOnDisk } from './block-disk.ts';
import { segmentSizeBytes } from './segment-record.ts';
import { challenged, inherit, isSilent, mayProbe } from './rivals.ts';
import type { Surroundings, Version } from './surroundings.ts';
import { Transfer, type TransferHost } from './transfer.ts';

/** Reading through a gap of this length is cheaper than a new stream: 1 MiB is 20 ms of 400 Mbit/s, less than a round trip. */
const gapBytesMax = 2 ** 20;
/** Streams one reader keeps open but unread: it may follow two places of a file in turn. */
const pausedMaxPerReader = 2;
/** Of the memory, what may be on its way from the disk for nobody in particular. */
const loadingShare = 1 / 8;
/** Blocks loaded from the disk in one go. */
const diskRunBlocksMax = 8;

/** Why a transfer was ended that nobody needs; its blocks are asked for again if somebody does. */
const notNeeded = new Error('the transfer is not needed any more');

export class VersionContent implements TransferHost, Version {
  readonly content: ContentReference;
  readonly number: number;
  readonly disk: ContentOnDisk | undefined;
  readonly #around: Surroundings;
  /** Incomplete blocks by index. */
  readonly #coming = new Map<number, Block>();
  /** Those of them that nobody brings yet, and the reader who asked first. */
  readonly #unsourced = new Map<Block, object>();
  readonly #transfers = new Set<Transfer>();
  readonly #loads = new Set<Promise<void>>();
  /** Readers, and reads that may still ask. */
  readers = 0;
  #stopped: RemoteError | undefined;
  #trouble: RemoteError | undefined;
  blocksInMemory = 0;

  constructor(content: ContentReference, number: number, around: Surroundings) {
    this.content = content;
    this.number = number;
    this.#around = around;
    this.disk = around.disk?.content(content);
  }

  get drive(): Surroundings['drive'] {
    return this.#around.drive;
  }
  get slots(): Surroundings['slots'] {
    return this.#around.slots;
  }
  get times(): Surroundings['times'] {
    return this.#around.times;
  }

  /** Nothing of this version is in use or in memory. */
  get idle(): boolean {
    return this.readers === 0 && this.blocksInMemory === 0 && this.#coming.size === 0 && this.#transfers.size === 0;
  }

  /** What went wrong last with fetching, if no byte has come since. */
  get trouble(): RemoteError | undefined {
    return this.#trouble;
  }

  /** Why nothing can be read any more. */
  get stopped(): RemoteError | undefined {
    return this.#stopped;
  }

  key(index: number): number {
    return this.number * blockCountMax + index;
  }

  /** The block if its first `neededBytes` are in memory. */
  find(index: number, neededBytes: number, touch: boolean): Block | undefined {
    const block = this.#around.memory.find(this.key(index), touch);
    if (block !== undefined) return block;
    const coming = this.#coming.get(index);
    return coming !== undefined && coming.source !== 'disk' && coming.filledBytes >= neededBytes ? coming : undefined;
  }

  /** The incomplete block, made if need be. Whoever asks adds itself to its waiters and then calls {@link bring}. */
  need(index: number, reader: object): Block {
    const coming = this.#coming.get(index);
    if (coming === undefined) {
      this.#around.counts.misses += this.disk?.has(index) === true ? 0 : 1;
      this.#around.counts.hits += this.disk?.has(index) === true ? 1 : 0;
      return this.#make(index, reader);
    }
    this.#around.counts.hits++;
    coming.unused = false;
    // It was only passing by: now it must come.
    if (coming.source instanceof Transfer) coming.source.assign(coming);
    return coming;
  }

  /** Asks for what is in neither memory nor disk of the blocks [first, end), for nobody in particular. */
  fetchAhead(first: number, end: number, reader: object): void {
    for (let index = first; index < end; index++) {
      if (!this.#has(index) && this.disk?.has(index) !== true) this.#make(index, reader).unused = true;
    }
    this.bring();
  }

  /** Loads those of the blocks [first, end) that are on disk; false when too much is being loaded already. */
  loadAhead(first: number, end: number, reader: object): boolean {
    if (this.disk === undefined) return true;
    if (this.#around.loading.bytes >= this.#around.memory.bytesMax * loadingShare) return false;
    for (let index = first; index < end; index++)
      if (!this.#has(index) && this.disk.has(index)) this.#make(index, reader);
    this.bring();
    return true;
  }

  /** Has those of the blocks [first, end) written that are in memory and not on disk. */
  store(first: number, end: number): void {
    for (let index = first; index < end; index++) {
      const block = this.disk?.has(index) === false ? this.#around.memory.find(this.key(index), false) : undefined;
      if (block !== undefined) this.disk?.store(block);
    }
  }

  /** Takes the blocks that nobody is using out of memory. */
  forget(): void {
    const blockCount = Math.ceil(this.content.lengthBytes / blockSizeBytes);
    for (let index = 0; index < blockCount; index++) this.#around.memory.delete(this.key(index));
  }

  /** True when all of the blocks [first, last] are in memory or on disk. */
  isNear(first: number, last: number): boolean {
    for (let index = first; index <= last; index++) {
      if (this.#around.memory.has(this.key(index))) continue;
      const coming = this.#coming.get(index);
      if (coming === undefined ? this.disk?.has(index) !== true : coming.source !== 'disk') return false;
    }
    return true;
  }

  /** Finds a source for every block that has none. */
  bring(): void {
    this.slots.reconsider();
    if (this.#unsourced.size === 0) return;
    if (this.#stopped !== undefined) {
      this.#refuse(this.#stopped);
      return;
    }
    this.#bringFromDisk();
    for (const block of [...this.#unsourced.keys()]) if (this.#attach(block)) this.#unsourced.delete(block);
    if (this.#unsourced.size === 0) return;
    const support = this.drive.rangeSupport(this.content);
    if (support === 'bounded' || support === 'open') {
      for (const run of this.#runs()) this.#start(run);
    } else if (
      this.#transfers.size === 0 ||
      (support === 'unknown' && mayProbe(this.#transfers, this.times.silenceMs))
    ) {
      // `unknown`: the first transfer teaches what to do with the rest. `none`: it passes everything.
      const runs = this.#runs();
      this.#start(support === 'none' ? runs.flat() : (runs.find(isAwaited) ?? (runs[0] as Block[])));
    } else if (support === 'none') {
      // What lies behind the one transfer needs another from the start, once this one has served those ahead.
      for (const transfer of this.#transfers) if (transfer.state === 'paused') transfer.stop(notNeeded);
    }
  }

  /** A reader no longer waits for this block. */
  left(block: Block): void {
    if (block.waiters.size > 0 || block.complete) return;
    const { source } = block;
    if (source === undefined) {
      this.#discard(block);
    } else if (source instanceof Transfer) {
      for (const transfer of [source, source.rival]) if (transfer !== undefined) this.#leave(transfer);
    }
    this.#around.settled(this);
  }

  /** Somebody waits anew for the block: not for a server that hung when others began to wait. */
  waitedFor(block: Block): void {
    const { source } = block;
    if (source instanceof Transfer && isSilent(source, this.times.silenceMs)) this.#challenge(source);
  }

  /** A read that stood in line has its blocks, or has given up. */
  readGone(): void {
    this.readers--;
    this.#around.settled(this);
  }

  /** A reader has gone: what only it would have used stops. */
  closed(reader: object): void {
    this.readers--;
    for (const transfer of this.#transfers) {
      if (transfer.reader !== reader && this.readers > 0) continue;
      if (!transfer.watched && !this.#isNearlyThrough(transfer)) transfer.stop(notNeeded);
    }
    this.#around.settled(this);
  }

  /** Ends everything under way; waiting readers get the error. */
  async stop(error: RemoteError): Promise<void> {
    this.#stopped = error;
    this.#refuse(error);
    const ends = [...this.#transfers].map((transfer) => transfer.done);
    for (const transfer of this.#transfers) transfer.stop(error);
    await Promise.all([...ends, ...this.#loads]);
  }

  // What transfers ask and tell.

  blockFor(index: number, transfer: Transfer, atStart: boolean): Block | undefined {
    const coming = this.#coming.get(index);
    if (coming !== undefined) return coming.source === 'disk' ? undefined : coming;
    if (!atStart || !transfer.openEnded || this.#has(index) || this.disk?.has(index) === true) return undefined;
    const block = this.#make(index, transfer.reader);
    this.#unsourced.delete(block);
    block.source = transfer;
    block.unused = true;
    return block;
  }

  troubled(error: RemoteError): void {
    this.#trouble = error;
  }

  arrived(lengthBytes: number): void {
    this.#trouble = undefined;
    this.#around.counts.bytesFetched += lengthBytes;
  }

  allocate(block: Block): Buffer {
    return this.#around.memory.allocate(block);
  }

  grew(block: Block): void {
    block.wakeWaiters();
    if (!block.complete) return;
    // Another stream passing by, or a rival, may have been faster than the one that was to bring it.
    for (const transfer of this.#transfers) transfer.assigned.delete(block);
    this.#complete(block);
    this.disk?.store(block);
  }

  roomToBegin(): Promise<void> | undefined {
    // A large file outruns the disk for long, and what is not kept of it is little; a small one is kept or it is not.
    return this.content.lengthBytes <= segmentSizeBytes ? this.#around.disk?.room() : undefined;
  }

  room(): Promise<void> | undefined {
    return this.drive.rangeSupport(this.content) === 'none' ? this.#around.disk?.room() : undefined;
  }

  opened(transfer: Transfer): void {
    if (this.drive.rangeSupport(this.content) === 'none') {
      // Others that began before this was known would each bring the whole content.
      for (const other of this.#transfers)
        if (other !== transfer && other.state !== 'ended') this.#merge(other, transfer);
    }
    this.bring();
  }

  paused(transfer: Transfer): void {
    if (this.drive.rangeSupport(this.content) === 'none' && this.#unsourced.size > 0) {
      transfer.stop(notNeeded);
      return;
    }
    this.#around.paused(transfer);
    const mine = [...this.#transfers].filter((other) => other.reader === transfer.reader && other.state === 'paused');
    // Sets keep the order of insertion: the first is the oldest.
    if (mine.length > pausedMaxPerReader) (mine[0] as Transfer).stop(notNeeded);
  }

  silent(transfer: Transfer): void {
    if (transfer.watched) this.#challenge(transfer);
    else this.bring();
  }

  outran(winner: Transfer): void {
    const loser = winner.rival;
    if (loser === undefined) return;
    inherit(loser, winner);
    loser.stop(notNeeded);
  }

  ended(transfer: Transfer, error: Error | undefined): void {
    this.#transfers.delete(transfer);
    if (transfer.rival !== undefined) inherit(transfer, transfer.rival);
    for (const block of [...this.#coming.values()]) {
      if (block.source !== transfer) continue;
      if (block.waiters.size === 0) {
        this.#discard(block);
      } else if (error === undefined || error === notNeeded) {
        block.source = undefined;
        this.#unsourced.set(block, transfer.reader);
      } else {
        block.failWaiters(error);
        this.#discard(block);
      }
    }
    this.bring();
    this.#around.settled(this);
  }

  /** Sends a second transfer after the blocks that somebody waits for. */
  #challenge(silent: Transfer): void {
    if (this.#stopped !== undefined) return;
    const found = challenged(silent, this.times.silenceMs, notNeeded);
    if (found === undefined) return;
    const second = new Transfer(this, found.elder.reader, found.blocks);
    this.#transfers.add(second);
    found.elder.rival = second;
    second.rival = found.elder;
  }

  /** Ending it would cost its connection, which the next file's first byte needs, and save less than a block. */
  #isNearlyThrough(transfer: Transfer): boolean {
    const isFlowing = transfer.state === 'flowing' && !transfer.openEnded && !isSilent(transfer, this.times.silenceMs);
    return isFlowing && this.#stopped === undefined && transfer.restBytes <= blockSizeBytes;
  }

  /** Nobody waits for one of the transfer's blocks any more. */
  #leave(transfer: Transfer): void {
    if (transfer.watched) return;
    const bounded = !transfer.openEnded && this.drive.rangeSupport(this.content) === 'bounded';
    // What a bounded range still brings is worth keeping, if it brings anything.
    if (!bounded || transfer.state === 'queued' || isSilent(transfer, this.times.silenceMs)) transfer.stop(notNeeded);
  }

  #refuse(error: RemoteError): void {
    for (const block of [...this.#unsourced.keys()]) {
      block.failWaiters(error);
      this.#discard(block);
    }
  }

  #has(index: number): boolean {
    return this.#coming.has(index) || this.#around.memory.has(this.key(index));
  }

  #make(index: number, reader: object): Block {
    const lengthBytes = Math.min(blockSizeBytes, this.content.lengthBytes - index * blockSizeBytes);
    const block = new Block(this.number, index, lengthBytes);
    this.#coming.set(index, block);
    this.#unsourced.set(block, reader);
    return block;
  }

  #discard(block: Block): void {
    this.#unsourced.delete(block);
    if (this.#coming.get(block.index) === block) this.#coming.delete(block.index);
    this.#around.memory.drop(block);
  }

  #complete(block: Block): void {
    this.#coming.delete(block.index);
    block.source = undefined;
    this.blocksInMemory++;
    this.#around.memory.insert(block);
  }

  #start(blocks: readonly Block[]): void {
    const reader = this.#unsourced.get(blocks[0] as Block) as object;
    for (const block of blocks) this.#unsourced.delete(block);
    this.#transfers.add(new Transfer(this, reader, blocks));
  }

  /** Lets a stream that is under way anyhow bring the block. */
  #attach(block: Block): boolean {
    const support = this.drive.rangeSupport(this.content);
    for (const transfer of this.#transfers) {
      if (transfer.state === 'ended' || (!transfer.openEnded && support !== 'open' && support !== 'none')) continue;
      const gapBytes = block.startBytes - Math.max(transfer.positionBytes, transfer.endBytes - gapBytesMax);
      const ahead = block.startBytes >= transfer.positionBytes;
      // Bytes that a reader asked for are brought in any case: only what lies behind them is a gap.
      if (!ahead || (support !== 'none' && gapBytes > gapBytesMax)) continue;
      // To go on for ever for those ahead would starve those who wait for the next transfer.
      if (support === 'none' && this.#anyBehind(transfer)) continue;
      transfer.assign(block);
      return true;
    }
    return false;
  }

  #anyBehind(transfer: Transfer): boolean {
    for (const block of this.#unsourced.keys()) if (block.startBytes < transfer.positionBytes) return true;
    return false;
  }

  #merge(from: Transfer, into: Transfer): void {
    for (const block of [...from.assigned]) {
      from.assigned.delete(block);
      if (block.startBytes >= into.positionBytes) into.assign(block);
      else {
        block.source = undefined;
        this.#unsourced.set(block, from.reader);
      }
    }
    from.stop(notNeeded);
  }

  #bringFromDisk(): void {
    const { disk } = this;
    if (disk === undefined) return;
    let run: Block[] = [];
    for (const block of this.#sorted()) {
      // A block begun by the network is finished by it.
      if (block.filledBytes > 0 || !disk.has(block.index)) continue;
      if (run.length > 0 && (run.at(-1)?.index !== block.index - 1 || run.length === diskRunBlocksMax)) {
        this.#load(disk, run);
        run = [];
      }
      run.push(block);
    }
    if (run.length > 0) this.#load(disk, run);
  }

  #load(disk: ContentOnDisk, run: readonly Block[]): void {
    const readers = run.map((block) => this.#unsourced.get(block) as object);
    const { loading } = this.#around;
    const runBytes = run.reduce((sum, block) => sum + block.lengthBytes, 0);
    loading.bytes += runBytes;
    for (const block of run) {
      this.#unsourced.delete(block);
      block.source = 'disk';
      this.#around.memory.allocate(block);
    }
    const load = disk.load(run).then((loaded) => {
      this.#loads.delete(load);
      loading.bytes -= runBytes;
      run.forEach((block, at) => {
        if (loaded[at] === true) {
          block.filledBytes = block.lengthBytes;
          block.wakeWaiters();
          this.#complete(block);
        } else {
          block.source = undefined;
          this.#unsourced.set(block, readers[at] as object);
        }
      });
      this.bring();
      this.#around.settled(this);
    });
    this.#loads.add(load);
  }

  #sorted(): Block[] {
    return [...this.#unsourced.keys()].sort((a, b) => a.index - b.index);
  }

  /** Unsourced blocks in stretches without a gap; none has bytes but a stretch's first, so that one range fits each. */
  #runs(): Block[][] {
    const runs: Block[][] = [];
    for (const block of this.#sorted()) {
      const run = runs.at(-1);
      if (run?.at(-1)?.index === block.index - 1 && block.filledBytes === 0) run.push(block);
      else runs.push([block]);
    }
    return runs;
  }
}

function isAwaited(run: readonly Block[]): boolean {
  return run.some((block) => block.waiters.size > 0);
}
