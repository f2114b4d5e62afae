// A drive that holds nothing but content: each version's bytes follow from its id and the offset, so that any length costs no
// memory. Behaves as vaults of all four range dialects; counts what it is asked. Faults come from outside, by decoration.
import { abortReason } from '../../src/base/abort.ts';
import {
  type CallOptions,
  type ContentReference,
  type ContentStream,
  type RangeSupport,
  type RemoteDrive,
  RemoteError,
  type SyncpointId,
  type VaultId,
  type VersionId,
} from '../../src/remote-drive.ts';

export type ContentDrive = Pick<RemoteDrive, 'read' | 'rangeSupport'>;

/** A reference to made-up content. Same id, same bytes. */
export function contentReference(id: string, lengthBytes: number): ContentReference {
  return {
    syncpointId: '1' as SyncpointId,
    versionId: id as VersionId,
    vaultId: 'vault' as VaultId,
    lengthBytes,
  };
}

/** Length of the pattern that content repeats, prime so that blocks of it never look alike. */
const patternBytes = 1_048_573;
const patterns = new Map<string, Buffer>();

/** The bytes [offsetBytes, endBytes) of a version. */
export function bytesOf(content: ContentReference, offsetBytes: number, endBytes: number): Buffer {
  let pattern = patterns.get(content.versionId);
  if (pattern === undefined) {
    pattern = Buffer.alloc(patternBytes);
    let state = 2166136261;
    for (const char of content.versionId) state = Math.imul(state ^ char.charCodeAt(0), 16777619);
    for (let at = 0; at < patternBytes; at++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      pattern[at] = state >>> 24;
    }
    if (patterns.size > 16) patterns.clear();
    patterns.set(content.versionId, pattern);
  }
  const bytes = Buffer.allocUnsafe(Math.max(0, endBytes - offsetBytes));
  for (let at = 0; at < bytes.length;) {
    const from = (offsetBytes + at) % patternBytes;
    at += pattern.copy(bytes, at, from, Math.min(patternBytes, from + bytes.length - at));
  }
  return bytes;
}

export interface FakeContentDriveOptions {
  readonly ranges?: Exclude<RangeSupport, 'unknown'>;
  /** Tells its dialect only after the first read. */
  readonly learns?: boolean;
  readonly chunkBytes?: number;
  /** Awaited before each answer and each chunk. */
  readonly pace?: (
    event: 'open' | 'chunk',
    content: ContentReference,
    offsetBytes: number,
    signal: AbortSignal,
  ) => unknown;
}

/** What was asked of the drive. */
export interface ContentCall {
  readonly content: ContentReference;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Bytes handed out so far. */
  sentBytes: number;
  closed: boolean;
}

export class FakeContentDrive implements ContentDrive {
  readonly calls: ContentCall[] = [];
  readonly #options: Required<FakeContentDriveOptions>;
  #taught: boolean;

  constructor(options: FakeContentDriveOptions = {}) {
    this.#options = { ranges: 'bounded', learns: false, chunkBytes: 64 * 1024, pace: () => undefined, ...options };
    this.#taught = !this.#options.learns;
  }

  get sentBytes(): number {
    return this.calls.reduce((sum, call) => sum + call.sentBytes, 0);
  }

  /** Transfers not yet closed. */
  get openCalls(): number {
    return this.calls.filter((call) => !call.closed).length;
  }

  rangeSupport(): RangeSupport {
    return this.#taught ? this.#options.ranges : 'unknown';
  }

  async read(
    content: ContentReference,
    range: { readonly offsetBytes: number; readonly lengthBytes: number },
    options: CallOptions = {},
  ): Promise<ContentStream> {
    const { offsetBytes, lengthBytes } = range;
    if (lengthBytes <= 0 || offsetBytes < 0 || offsetBytes + lengthBytes > content.lengthBytes) {
      throw new Error(`range ${offsetBytes}+${lengthBytes} is empty or outside of ${content.lengthBytes}`);
    }
    const call: ContentCall = { content, offsetBytes, lengthBytes, sentBytes: 0, closed: false };
    this.calls.push(call);
    const closing = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, closing.signal]) : closing.signal;
    const { ranges, pace, chunkBytes } = this.#options;
    try {
      await pace('open', content, offsetBytes, signal);
      if (signal.aborted) throw abortReason(signal);
    } catch (error) {
      call.closed = true;
      throw error;
    }
    this.#taught = true;
    const startBytes = ranges === 'none' ? 0 : offsetBytes;
    const endBytes = ranges === 'bounded' ? offsetBytes + lengthBytes : content.lengthBytes;
    return {
      offsetBytes: startBytes,
      endBytes,
      close() {
        call.closed = true;
        closing.abort(new RemoteError('unavailable', 'closed'));
      },
      async *[Symbol.asyncIterator]() {
        for (let at = startBytes; at < endBytes;) {
          await pace('chunk', content, at, signal);
          if (signal.aborted) throw abortReason(signal);
          const to = Math.min(endBytes, at + chunkBytes);
          call.sentBytes += to - at;
          yield bytesOf(content, at, to);
          at = to;
        }
      },
    };
  }
}

/** What may go wrong with one transfer; `failAfterBytes` counts from its first byte. */
export interface TransferFault {
  readonly failAfterBytes: number;
  /** `break` throws `unavailable`, `short` ends as if complete, `hang` never goes on. */
  readonly how: 'break' | 'short' | 'hang';
}

/** A drive whose transfers fail as `fault` decides, call by call; a RemoteError fails the opening. */
export function faultyContentDrive(
  drive: ContentDrive,
  fault: (call: number) => TransferFault | RemoteError | undefined,
): ContentDrive {
  let calls = 0;
  return {
    rangeSupport: (content) => drive.rangeSupport(content),
    async read(content, range, options) {
      const planned = fault(calls++);
      if (planned instanceof RemoteError) throw planned;
      const stream = await drive.read(content, range, options);
      if (planned === undefined) return stream;
      return {
        offsetBytes: stream.offsetBytes,
        endBytes: stream.endBytes,
        close: () => stream.close(),
        async *[Symbol.asyncIterator]() {
          let left = planned.failAfterBytes;
          for await (const chunk of stream) {
            if (chunk.length <= left) {
              left -= chunk.length;
              yield chunk;
              continue;
            }
            if (left > 0) yield chunk.subarray(0, left);
            if (planned.how === 'short') return;
            if (planned.how === 'break') throw new RemoteError('unavailable', 'the connection was reset');
            await new Promise((_, reject) => {
              options?.signal?.addEventListener('abort', () => reject(abortReason(options.signal as AbortSignal)));
            });
          }
        },
      };
    },
  };
}
