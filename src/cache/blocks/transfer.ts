// One transfer from the vault into blocks: opens the stream, copies what arrives into the blocks that lack it, resumes after a
// break from the first byte still missing, and pauses where the vault sends more than anybody wants yet. Promises each
// assigned block either its bytes or an error. Knows nothing of readers' patterns or of the disk.
import { delay } from '../../base/abort.ts';
import {
  type CallClass,
  type ContentReference,
  type ContentStream,
  type RemoteDrive,
  RemoteError,
} from '../../remote-drive.ts';
import { orAbort, StreamLimits } from './stream-limits.ts';
import { type Block, blockSizeBytes } from './block.ts';
import type { SlotRequest, TransferSlots } from './transfer-slots.ts';

export interface TransferTimes {
  /** First pause before an interrupted transfer goes on; doubles up to `retryDelayMsMax`, each with jitter. */
  readonly retryDelayMs: number;
  readonly retryDelayMsMax: number;
  /** An opening that takes this long is given up. It may wait for the call budget and for retries behind the drive. */
  readonly openMs: number;
  /** How long a transfer waits for the disk to follow. */
  readonly roomMs: number;
  /** A transfer that brings no byte for this long is broken. */
  readonly stallMs: number;
  /** After this long without a byte a second transfer tries its luck, for those who wait. */
  readonly silenceMs: number;
  /** A paused stream is closed after this. */
  readonly idleMs: number;
}

/** In a row, without a byte gained: with delays up to 3 s these are about 30 s, what a user waits at most. */
const attemptsMax = 18;
/** Where no program waits: bridges a restart of the service, and whoever wants it tries again later. */
const attemptsMaxPatient = 8;
/** A server that asks for a longer pause gets it from everybody: nobody waits so long for a byte. */
const askedMsMax = 15_000;
/** Nobody waits for read-ahead: the reader's own request will try again. */
const attemptsMaxUnwatched = 2;

export interface TransferHost {
  readonly content: ContentReference;
  readonly drive: Pick<RemoteDrive, 'read'>;
  readonly slots: TransferSlots;
  readonly times: TransferTimes;
  /** The incomplete block at this index, or one made for bytes that pass by; undefined where they are not needed. */
  blockFor(index: number, transfer: Transfer, atStart: boolean): Block | undefined;
  /** It failed, and goes on after a pause. */
  troubled(error: RemoteError): void;
  /** Bytes arrived from the vault, whether needed or not. */
  arrived(lengthBytes: number): void;
  /** Gives the block its buffer. */
  allocate(block: Block): Buffer;
  /** The block holds more bytes than before. */
  grew(block: Block): void;
  /** Resolves when what the transfer brings can be kept; undefined if at once. */
  roomToBegin(): Promise<void> | undefined;
  /** Resolves when further passing bytes can be kept; undefined if at once. */
  room(): Promise<void> | undefined;
  /** What the vault makes of ranges is known now. */
  opened(transfer: Transfer): void;
  /** The transfer has brought what it was asked for and holds its stream open. */
  paused(transfer: Transfer): void;
  /** No byte has come for a while. */
  silent(transfer: Transfer): void;
  /** Bytes have come while a rival was after the same ones. */
  outran(transfer: Transfer): void;
  /** The transfer is over; `error` is for the blocks it leaves incomplete. */
  ended(transfer: Transfer, error: Error | undefined): void;
}

export class Transfer {
  readonly #host: TransferHost;
  readonly #abort = new AbortController();
  /** Blocks it must bring. */
  readonly assigned = new Set<Block>();
  /** Who caused it; a stream kept open belongs to its reader. */
  readonly reader: object;
  /** The next byte of the stream; where it will start until then. */
  positionBytes: number;
  /** The stream goes on behind what was asked for. */
  openEnded = false;
  state: 'queued' | 'flowing' | 'paused' | 'ended' = 'queued';
  readonly done: Promise<void>;
  /** Another that was sent after the same blocks when one of the two had fallen silent. */
  rival: Transfer | undefined;
  readonly #slot: SlotRequest;
  /** Since when an open or opening stream has brought no byte. */
  #silentFromMs: number | undefined;
  #wake: (() => void) | undefined;
  /** Up to where it was asked to bring bytes. */
  endBytes = 0;

  constructor(host: TransferHost, reader: object, blocks: readonly Block[]) {
    this.#host = host;
    this.reader = reader;
    this.#slot = { owner: host.content, urgent: () => this.urgent, signal: this.#abort.signal };
    const first = blocks[0] as Block;
    this.positionBytes = first.startBytes + first.filledBytes;
    for (const block of blocks) this.assign(block);
    this.done = this.#run();
  }

  /** True while a reader waits for one of its blocks. */
  get watched(): boolean {
    for (const block of this.assigned) if (block.waiters.size > 0) return true;
    return false;
  }

  /** True while a program waits for one of its blocks. */
  get urgent(): boolean {
    for (const block of this.assigned) if (block.urgent) return true;
    return false;
  }

  /** For how long its server has owed it a byte. */
  get silentMs(): number {
    return this.#silentFromMs === undefined ? 0 : performance.now() - this.#silentFromMs;
  }

  /** How much of what it was asked for has not come. */
  get restBytes(): number {
    return Math.max(0, this.endBytes - this.positionBytes);
  }

  /** Makes the transfer bring this block too. Only sensible ahead of its position, or before it has started. */
  assign(block: Block): void {
    block.source = this;
    this.assigned.add(block);
    this.endBytes = Math.max(this.endBytes, block.startBytes + block.lengthBytes);
    this.#wake?.();
  }

  /** Ends it; incomplete blocks are left to the host. */
  stop(reason: Error): void {
    this.#abort.abort(reason);
    this.#wake?.();
  }

  async #run(): Promise<void> {
    let error: Error | undefined;
    try {
      await this.#attempts();
    } catch (caught) {
      error = caught instanceof Error ? caught : new Error(String(caught));
    }
    this.state = 'ended';
    this.#host.ended(this, error);
  }

  async #attempts(): Promise<void> {
    const { signal } = this.#abort;
    const { times } = this.#host;
    for (let failures = 0; this.assigned.size > 0;) {
      const before = this.#firstMissing();
      try {
        await this.#pass();
        failures = 0;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof RemoteError) || error.kind !== 'unavailable') throw error;
        if (this.assigned.size === 0) return;
        failures = this.#firstMissing() > before ? 1 : failures + 1;
        const { retryAfterMs = 0 } = error;
        if (failures >= this.#attemptsMax() || retryAfterMs > askedMsMax) throw error;
        this.#host.troubled(error);
        const pause = Math.min(times.retryDelayMsMax, times.retryDelayMs * 2 ** (failures - 1));
        await delay(Math.max(retryAfterMs, pause * (0.5 + Math.random() / 2)), signal);
      }
    }
  }

  #attemptsMax(): number {
    if (this.urgent) return attemptsMax;
    return this.watched ? attemptsMaxPatient : attemptsMaxUnwatched;
  }

  /** One stream, from its opening to its end. */
  async #pass(): Promise<void> {
    const { slots, times } = this.#host;
    const { signal } = this.#abort;
    const room = this.#host.roomToBegin();
    if (room !== undefined) await Promise.race([room, delay(times.roomMs, signal)]);
    await slots.acquire(this.#slot);
    const attempt = new AbortController();
    const onStop = (): void => attempt.abort(signal.reason);
    signal.addEventListener('abort', onStop, { once: true });
    const onSilence = (): void => {
      slots.lend(this.#slot);
      this.#host.silent(this);
    };
    const limits = new StreamLimits(times, onSilence, (ms) => {
      attempt.abort(new RemoteError('unavailable', `no byte arrived for ${ms / 1000} s`));
    });
    let stream: ContentStream | undefined;
    try {
      // It may have been stopped while the slot was on its way.
      signal.throwIfAborted();
      // Another stream may have passed by meanwhile.
      if (this.assigned.size === 0) return;
      const fromBytes = this.#firstMissing();
      this.state = 'flowing';
      this.positionBytes = fromBytes;
      this.#silentFromMs = performance.now();
      stream = await this.#open(fromBytes, attempt.signal);
      limits.opened();
      const iterator = stream[Symbol.asyncIterator]();
      while (this.positionBytes < stream.endBytes) {
        // The last chunk may have arrived in the same tick as the order to stop.
        signal.throwIfAborted();
        if (this.assigned.size === 0) {
          limits.hold();
          this.#silentFromMs = undefined;
          if (!this.openEnded) return;
          slots.release(this.#slot);
          if (!(await this.#pause())) return;
          slots.take(this.#slot);
          this.#silentFromMs = performance.now();
          limits.renew();
        }
        const room = this.openEnded ? this.#host.room() : undefined;
        if (room !== undefined) {
          limits.hold();
          await orAbort(room, attempt.signal);
          limits.renew();
        }
        const next = await orAbort(iterator.next(), attempt.signal);
        if (next.done === true) break;
        // An empty chunk is no sign of life.
        if (next.value.length === 0) continue;
        if (next.value.length > stream.endBytes - this.positionBytes) {
          throw new RemoteError('protocol', `the transfer went on behind its end at byte ${stream.endBytes}`);
        }
        limits.renew();
        this.#silentFromMs = performance.now();
        slots.take(this.#slot);
        this.#take(next.value);
        if (this.rival !== undefined) this.#host.outran(this);
      }
      if (this.positionBytes < stream.endBytes || this.assigned.size > 0) {
        throw new RemoteError('unavailable', `the transfer ended at byte ${this.positionBytes} of ${stream.endBytes}`);
      }
    } finally {
      limits.hold();
      this.#silentFromMs = undefined;
      signal.removeEventListener('abort', onStop);
      stream?.close();
      slots.release(this.#slot);
    }
  }

  async #open(fromBytes: number, signal: AbortSignal): Promise<ContentStream> {
    const { content, drive } = this.#host;
    const endBytes = this.endBytes;
    const currentClass = (): CallClass => (this.urgent ? 'interactive' : 'prefetch');
    const opening = drive.read(
      content,
      { offsetBytes: fromBytes, lengthBytes: endBytes - fromBytes },
      {
        signal,
        // What goes on after a pause is this transfer, which knows whether anybody waits.
        once: true,
        get callClass() {
          return currentClass();
        },
      },
    );
    // A drive that answers after the wait has ended must not keep a connection.
    const stream = await orAbort(opening, signal, (late) => late.close());
    const { offsetBytes } = stream;
    const covers = offsetBytes >= 0 && offsetBytes <= fromBytes && stream.endBytes >= endBytes;
    if (!covers || !Number.isSafeInteger(offsetBytes) || !(stream.endBytes <= content.lengthBytes)) {
      stream.close();
      const got = `${stream.offsetBytes}..${stream.endBytes}`;
      throw new RemoteError('protocol', `asked for bytes ${fromBytes}..${endBytes} of a version, got ${got}`);
    }
    this.positionBytes = stream.offsetBytes;
    this.openEnded = stream.endBytes > endBytes || stream.offsetBytes < fromBytes;
    this.#host.opened(this);
    return stream;
  }

  /** Copies a chunk into the blocks that lack its bytes. */
  #take(chunk: Uint8Array): void {
    this.#host.arrived(chunk.length);
    for (let at = 0; at < chunk.length;) {
      const index = Math.floor(this.positionBytes / blockSizeBytes);
      const inBlock = this.positionBytes - index * blockSizeBytes;
      const count = Math.min(chunk.length - at, blockSizeBytes - inBlock);
      const block = this.#host.blockFor(index, this, inBlock === 0);
      if (block !== undefined && inBlock <= block.filledBytes && block.filledBytes < inBlock + count) {
        const buffer = block.buffer ?? this.#host.allocate(block);
        buffer.set(chunk.subarray(at + block.filledBytes - inBlock, at + count), block.filledBytes);
        block.filledBytes = inBlock + count;
        if (block.complete) this.assigned.delete(block);
        this.#host.grew(block);
      }
      this.positionBytes += count;
      at += count;
    }
  }

  /** Waits until another block is wanted. False when that took too long. */
  #pause(): Promise<boolean> {
    this.state = 'paused';
    return new Promise<boolean>((resolve, reject) => {
      const idle = setTimeout(() => settle(), this.#host.times.idleMs).unref();
      const settle = (): void => {
        clearTimeout(idle);
        this.#wake = undefined;
        if (this.#abort.signal.aborted) {
          reject(this.#abort.signal.reason as Error);
          return;
        }
        this.state = this.assigned.size > 0 ? 'flowing' : 'ended';
        resolve(this.assigned.size > 0);
      };
      this.#wake = settle;
      this.#host.paused(this);
    });
  }

  /** The first byte that an assigned block still lacks. */
  #firstMissing(): number {
    let first = Number.MAX_SAFE_INTEGER;
    for (const block of this.assigned) first = Math.min(first, block.startBytes + block.filledBytes);
    return first;
  }
}
