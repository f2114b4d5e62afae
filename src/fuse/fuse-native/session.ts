// One mount's requests: runs each, and answers each exactly once, since a thread of libfuse waits for it. Throws never: what goes wrong
// becomes an errno and a line in the log. Knows no mountpoint.
import { performance } from 'node:perf_hooks';
import { isAbort } from '../../base/abort.ts';
import { errno } from '../../base/errno.ts';
import { createLog } from '../../base/log.ts';
import { FsError, type Answer, type Caller, type Operations } from '../../fs-ops/operations.ts';
import { LatencyHistogram } from '../latency-histogram.ts';
import type { OpcodeStatistics } from '../transport.ts';
import type { Handler, OperationName, Signal, Waiting } from './binding.ts';
import * as throughHandles from './handle-requests.ts';
import { Handles } from './handles.ts';
import * as aboutPaths from './path-requests.ts';
import { Paths } from './paths.ts';
import type { Context, OpenedDirectory, OpenedFile, Reply, Request } from './request.ts';
import { hostErrno } from './words.ts';

const log = createLog('fuse');

type AnyRequest = Request<readonly never[]>;

const requests: readonly AnyRequest[] = [...Object.values(aboutPaths), ...Object.values(throughHandles)] as never;

const OWN_UID = process.geteuid?.() ?? 0;
const OWN_GID = process.getegid?.() ?? 0;

/** libfuse tells nobody but itself who asks: everything is done in this process's name. */
class Asking implements Caller {
  readonly uid = OWN_UID;
  readonly gid = OWN_GID;
  readonly pid = 0;
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#controller ??= new AbortController();
    this.#controller.abort(reason);
  }

  get aborted(): boolean {
    return this.#controller?.signal.aborted === true;
  }
}

interface Counts {
  requests: number;
  errors: number;
  bytes: number;
  readonly latency: LatencyHistogram | undefined;
}

export class Session {
  readonly #context: Context & { readonly files: Handles<OpenedFile>; readonly directories: Handles<OpenedDirectory> };
  readonly #signalOf: (name: OperationName) => Signal;
  readonly #pending = new Set<Asking>();
  readonly #counts = new Map<string, Counts>();
  readonly #timesRequests: boolean;

  constructor(operations: Operations, signalOf: (name: OperationName) => Signal, timesRequests = false) {
    this.#signalOf = signalOf;
    this.#timesRequests = timesRequests;
    this.#context = { operations, paths: new Paths(operations), files: new Handles(), directories: new Handles() };
  }

  /** A handler for each kind of request. `onReady` is called with the first request, which says that the kernel has mounted. */
  handlers(onReady: () => void): ReadonlyMap<OperationName, Handler> {
    const handlers = new Map<OperationName, Handler>();
    for (const request of requests) handlers.set(request.name, this.#handler(request));
    const ready = this.#signalOf('init');
    handlers.set('init', (waiting) => {
      ready(waiting, 0);
      onReady();
    });
    return handlers;
  }

  #handler(request: AnyRequest): Handler {
    const signal = this.#signalOf(request.name);
    const counts = this.#countsOf(request.opcode);
    const { latency } = counts;
    const reply = (waiting: Waiting, begunMs: number, [result, ...rest]: Reply): void => {
      try {
        signal(waiting, result, ...rest);
      } catch (error) {
        log('%s could not be answered: %s', request.opcode, stackOf(error));
      }
      latency?.record(performance.now() - begunMs);
    };
    return (waiting, _operation, ...given) => {
      counts.requests += 1;
      const begunMs = latency === undefined ? 0 : performance.now();
      const args = given as unknown as readonly never[];
      const asking = new Asking();
      const done = (answer: Reply): void => {
        if (answer[0] > 0) counts.bytes += answer[0];
        reply(waiting, begunMs, answer);
      };
      const fail = (error: unknown): void => {
        counts.errors += 1;
        reply(waiting, begunMs, [-hostErrno(errnoOf(request, asking, error)), ...request.failed(args)]);
      };
      let answer: Answer<Reply>;
      try {
        answer = request.ask(this.#context, args, asking, waiting);
      } catch (error) {
        fail(error);
        return;
      }
      if (!(answer instanceof Promise)) {
        done(answer);
        return;
      }
      this.#pending.add(asking);
      answer.then(
        (result) => {
          this.#pending.delete(asking);
          done(result);
        },
        (error: unknown) => {
          this.#pending.delete(asking);
          fail(error);
        },
      );
    };
  }

  #countsOf(opcode: string): Counts {
    let counts = this.#counts.get(opcode);
    if (counts === undefined) {
      counts = { requests: 0, errors: 0, bytes: 0, latency: this.#timesRequests ? new LatencyHistogram() : undefined };
      this.#counts.set(opcode, counts);
    }
    return counts;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  byOpcode(): Record<string, OpcodeStatistics> {
    return Object.fromEntries(
      [...this.#counts]
        .filter(([, counts]) => counts.requests > 0)
        .map(([opcode, counts]) => [opcode, { ...counts, latency: counts.latency?.snapshot() }]),
    );
  }

  /** Nobody waits any more for what is still asked: libfuse's threads end with its answer. */
  abort(): void {
    const reason = new FsError(errno.EINTR, 'the file system was unmounted');
    for (const asking of this.#pending) asking.abort(reason);
  }

  /** The kernel is gone: does what was put off and releases what it held open. */
  async end(): Promise<void> {
    this.abort();
    const { operations, paths, files, directories } = this.#context;
    await paths.end();
    for (const { handle, name } of files.drain()) {
      operations.release(handle);
      name.drop();
    }
    for (const { handle, held } of directories.drain()) {
      operations.releaseDirectory(handle);
      held.release();
    }
  }
}

/** libfuse takes errors up to here for one. */
const ERRNO_MAX = 999;

function errnoOf(request: AnyRequest, asking: Asking, error: unknown): number {
  if (error instanceof FsError) {
    if (Number.isInteger(error.errno) && error.errno > 0 && error.errno <= ERRNO_MAX) {
      log('%s: errno %d: %s', request.opcode, error.errno, error.message);
      // From a verb ENOSYS is about this one call; the kernel would never ask for any such call again.
      return error.errno === errno.ENOSYS ? errno.ENOTSUP : error.errno;
    }
  } else if (asking.aborted && isAbort(error, asking.signal)) return errno.EINTR;
  log('%s failed: %s', request.opcode, stackOf(error));
  return errno.EIO;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
