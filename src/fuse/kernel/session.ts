// One mount's conversation: takes messages, runs their verbs, replies once to each. Synchronous answers are replied to before
// receive() returns. Throws never: what goes wrong becomes an errno and a line in the log. Knows no file descriptor.
import { isAbort } from '../../base/abort.ts';
import { errno } from '../../base/errno.ts';
import { createLog } from '../../base/log.ts';
import { FsError, type Answer, type Operations } from '../../fs-ops/operations.ts';
import { Interruptions } from './interruptions.ts';
import { opcode, opcodeName, size } from './protocol/constants.ts';
import { DirectoryPage } from './protocol/directory-page.ts';
import { negotiate, type Agreement } from './protocol/init.ts';
import { malformed, type Message } from './protocol/message.ts';
import { ReplyBuffer } from './protocol/reply-buffer.ts';
import { Request, interruptedUnique } from './request.ts';
import type { RequestCounters } from './statistics.ts';
import type { Verb, VerbContext } from './verb.ts';
import * as verbs from './verbs.ts';
import * as writing from './writing-verbs.ts';

const log = createLog('fuse');

/** Where replies go. 'refused': nobody waits for it any more. 'invalid': the kernel could not make sense of it. */
export interface ReplyChannel {
  send(pieces: readonly Uint8Array[]): 'sent' | 'refused' | 'invalid';
}

/** What the conversation tells its owner. */
export interface SessionEvents {
  agreed(agreement: Agreement): void;
  /** The kernel's version cannot be served; the mount is of no use. */
  refused(error: FsError): void;
}

const ENOTTY = 25;
/** The kernel takes errors up to here; anything else would leave the caller waiting for ever. */
const ERRNO_MAX = 511;
/** Pages kept for the next listing; as many listings at once as a busy desktop has. */
const IDLE_PAGES_MAX = 8;
/** What most getdents64(2) buffers ask for. */
const PAGE_BYTES_USUAL = 64 * 1024;

/** Errors that need no file system. ENOSYS is remembered by the kernel for the mount's life and saves it the question. */
const fixedErrors = new Map<number, number>([
  [opcode.READLINK, errno.EINVAL],
  // As a disk whose format has no links.
  [opcode.SYMLINK, errno.EPERM],
  [opcode.LINK, errno.EPERM],
  [opcode.IOCTL, ENOTTY],
  // LSEEK, POLL, BMAP, COPY_FILE_RANGE(_64), SYNCFS, STATX, GETLK, SETLK(W): unknown, so ENOSYS; the kernel does them by itself.
  // TMPFILE too: the kernel then says EOPNOTSUPP, after which programs make and unlink a file.
]);

/** What getting on with an opcode means. */
type Serve = (session: Session, request: Request, message: Message) => void;

function serve<R>(verb: Verb<R>): Serve {
  return (session, request, message) => session.serve(verb, request, message);
}

const served: (Serve | undefined)[] = [];
served[opcode.LOOKUP] = serve(verbs.lookup);
served[opcode.GETATTR] = serve(verbs.getAttributes);
served[opcode.SETATTR] = serve(verbs.setAttributes);
served[opcode.ACCESS] = serve(verbs.access);
served[opcode.OPEN] = serve(verbs.open);
served[opcode.READ] = serve(verbs.read);
served[opcode.RELEASE] = serve(verbs.release);
served[opcode.OPENDIR] = serve(verbs.openDirectory);
served[opcode.READDIR] = serve(verbs.readDirectory);
served[opcode.READDIRPLUS] = serve(verbs.readDirectory);
served[opcode.RELEASEDIR] = serve(verbs.releaseDirectory);
served[opcode.STATFS] = serve(verbs.statistics);
served[opcode.GETXATTR] = serve(verbs.getExtendedAttribute);
served[opcode.LISTXATTR] = serve(verbs.listExtendedAttributes);
served[opcode.CREATE] = serve(writing.create);
served[opcode.MKNOD] = serve(writing.makeNode);
served[opcode.MKDIR] = serve(writing.makeDirectory);
served[opcode.UNLINK] = serve(writing.unlink);
served[opcode.RMDIR] = serve(writing.removeDirectory);
served[opcode.RENAME] = serve(writing.rename);
served[opcode.RENAME2] = serve(writing.rename);
served[opcode.WRITE] = serve(writing.write);
served[opcode.FALLOCATE] = serve(writing.allocate);
served[opcode.SETXATTR] = serve(writing.setExtendedAttribute);
served[opcode.REMOVEXATTR] = serve(writing.removeExtendedAttribute);
served[opcode.FLUSH] = serve(writing.flush);
served[opcode.FSYNC] = serve(writing.sync);
served[opcode.FSYNCDIR] = serve(writing.syncDirectory);

export class Session implements VerbContext {
  readonly operations: Operations;
  readonly openFiles = new Set<number>();
  readonly openDirectories = new Set<number>();
  readonly #channel: ReplyChannel;
  readonly #counters: RequestCounters;
  readonly #events: SessionEvents;
  readonly #maxReadAheadBytes: number;
  readonly #reply = new ReplyBuffer(size.OUT_HEADER + size.ENTRY_OUT + size.OPEN_OUT);
  /** Requests whose verb has not answered yet: bounded by what the kernel lets programs wait for. */
  readonly #pending = new Map<number, Request>();
  readonly #interruptions: Interruptions;
  readonly #idlePages: DirectoryPage[] = [];
  #ended = false;

  constructor(parts: {
    operations: Operations;
    channel: ReplyChannel;
    counters: RequestCounters;
    events: SessionEvents;
    maxReadAheadBytes: number;
    /** Whether a thread got a signal that ends what it waits for; by default /proc tells. */
    isToEnd?: (thread: number) => boolean;
  }) {
    this.operations = parts.operations;
    this.#channel = parts.channel;
    this.#counters = parts.counters;
    this.#events = parts.events;
    this.#maxReadAheadBytes = parts.maxReadAheadBytes;
    this.#interruptions = new Interruptions((request) => this.#abort(request), parts.isToEnd);
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Serves one message. What is kept of it is copied before this returns. */
  receive(message: Message, lengthBytes: number): void {
    if (!message.accept(lengthBytes)) {
      this.#counters.malformed++;
      log('%s', malformed(`${lengthBytes} bytes`).message);
      return;
    }
    this.#counters.request(message.opcode);
    try {
      message.checkHeader();
      this.#dispatch(message);
    } catch (error) {
      this.#counters.malformed++;
      // FORGETs are not answered; an answer to one would be refused, which does no harm.
      this.#fail(new Request(message), error);
    }
  }

  #dispatch(message: Message): void {
    switch (message.opcode) {
      case opcode.FORGET:
        this.#forget(message.node, message.u64(size.IN_HEADER));
        return;
      case opcode.BATCH_FORGET:
        this.#forgetMany(message);
        return;
      case opcode.INTERRUPT:
        this.#interrupt(message);
        return;
      case opcode.INIT:
        this.#initialize(message);
        return;
      case opcode.NOTIFY_REPLY: // answers a RETRIEVE, which is never sent; takes no reply
        return;
      case opcode.DESTROY:
        this.#send(new Request(message), 0);
        return;
      default: {
        const request = new Request(message, this.#counters.beginning());
        const run = served[message.opcode];
        if (run !== undefined) run(this, request, message);
        else this.#replyError(request, fixedErrors.get(message.opcode) ?? errno.ENOSYS);
      }
    }
  }

  /** Runs a verb and replies with what it says, now or later. */
  serve<R>(verb: Verb<R>, request: Request, message: Message): void {
    let answer: Answer<R>;
    try {
      answer = verb.ask(this, request, message);
    } catch (error) {
      this.#fail(request, error);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#answer(verb, request, answer);
      return;
    }
    this.#pending.set(request.unique, request);
    answer.then(
      (result) => {
        this.#settled(request);
        this.#answer(verb, request, result);
      },
      (error: unknown) => {
        this.#settled(request);
        this.#fail(request, error);
      },
    );
  }

  #settled(request: Request): void {
    this.#pending.delete(request.unique);
    this.#interruptions.answered(request);
  }

  #answer<R>(verb: Verb<R>, request: Request, result: R): void {
    let outcome: 'sent' | 'refused' | 'invalid' = 'refused';
    let failure: unknown;
    try {
      const body = verb.encode(result, this.#reply, request);
      if (!this.#ended) outcome = this.#sendBody(request, body);
    } catch (error) {
      outcome = 'invalid';
      failure = error;
    }
    if (outcome === 'sent') {
      this.#counters.answered(request.opcode, request.begunMs);
      verb.granted?.(this, result, request);
      this.#givePageBack(request, true);
      request.replied();
      return;
    }
    this.#attempt(() => verb.takeBack?.(this, result, request));
    if (outcome === 'invalid') {
      this.#fail(
        request,
        failure ?? new Error(`${opcodeName(request.opcode)}: the kernel did not understand the reply`),
      );
      return;
    }
    this.#counters.refusedReplies++;
    this.#givePageBack(request, false);
    request.replied();
  }

  #sendBody(request: Request, body: number | readonly Uint8Array[]): 'sent' | 'refused' | 'invalid' {
    const { page } = request;
    if (page !== undefined) {
      page.reply.header(page.lengthBytes, 0, request.uniqueLow, request.uniqueHigh);
      this.#counters.replied(request.opcode, page.lengthBytes - size.OUT_HEADER);
      return this.#channel.send([page.reply.bytes.subarray(0, page.lengthBytes)]);
    }
    if (typeof body === 'number') return this.#send(request, body);
    let length = 0;
    for (const piece of body) length += piece.length;
    this.#reply.header(size.OUT_HEADER + length, 0, request.uniqueLow, request.uniqueHigh);
    this.#counters.replied(request.opcode, length);
    return this.#channel.send([this.#reply.bytes.subarray(0, size.OUT_HEADER), ...body]);
  }

  #send(request: Request, bodyBytes: number): 'sent' | 'refused' | 'invalid' {
    const length = size.OUT_HEADER + bodyBytes;
    this.#reply.header(length, 0, request.uniqueLow, request.uniqueHigh);
    this.#counters.replied(request.opcode, bodyBytes);
    return this.#channel.send([this.#reply.bytes.subarray(0, length)]);
  }

  #replyError(request: Request, number: number): void {
    this.#givePageBack(request, false);
    this.#counters.error(request.opcode);
    if (this.#ended) return;
    this.#reply.header(size.OUT_HEADER, number, request.uniqueLow, request.uniqueHigh);
    const outcome = this.#channel.send([this.#reply.bytes.subarray(0, size.OUT_HEADER)]);
    this.#counters.answered(request.opcode, request.begunMs);
    if (outcome === 'refused') this.#counters.refusedReplies++;
  }

  #fail(request: Request, error: unknown): void {
    this.#replyError(request, this.#errnoOf(request, error));
    request.replied();
  }

  #errnoOf(request: Request, error: unknown): number {
    if (error instanceof FsError) {
      if (Number.isInteger(error.errno) && error.errno > 0 && error.errno <= ERRNO_MAX) {
        log('%s node %d: errno %d: %s', opcodeName(request.opcode), request.node, error.errno, error.message);
        // From a verb ENOSYS is about this one call; the kernel would never ask for any such call again.
        return error.errno === errno.ENOSYS ? errno.ENOTSUP : error.errno;
      }
    } else if (request.aborted && isAbort(error, request.signal)) return errno.EINTR;
    log('%s node %d failed: %s', opcodeName(request.opcode), request.node, stackOf(error));
    return errno.EIO;
  }

  #forget(node: number, count: number): void {
    this.#attempt(() => this.operations.forget(node, count));
  }

  #forgetMany(message: Message): void {
    const count = message.u32(size.IN_HEADER);
    for (let index = 0; index < count; index++) {
      const at = size.IN_HEADER + 8 + index * 16;
      const node = message.u64(at);
      this.#forget(node, message.u64(at + 8));
    }
  }

  #interrupt(message: Message): void {
    const request = this.#pending.get(interruptedUnique(message));
    if (request === undefined) {
      // Answered already: the kernel does not take this reply. Were the request still to come, EAGAIN would make the kernel send
      // the INTERRUPT again.
      this.#replyError(new Request(message), errno.EAGAIN);
      return;
    }
    if (!request.aborted) this.#interruptions.heard(request);
  }

  #abort(request: Request): void {
    this.#counters.interrupted++;
    request.abort(new FsError(errno.EINTR, 'the caller was interrupted'));
  }

  #initialize(message: Message): void {
    const negotiation = negotiate(message, this.#reply, this.#maxReadAheadBytes);
    const request = new Request(message);
    if (negotiation.kind === 'refused') {
      this.#replyError(request, errno.EPROTO);
      this.#events.refused(negotiation.error);
      return;
    }
    this.#send(request, negotiation.lengthBytes);
    if (negotiation.kind === 'agreed') this.#events.agreed(negotiation.agreement);
  }

  page(limitBytes: number, plus: boolean): DirectoryPage {
    const index = this.#idlePages.findIndex((idle) => idle.capacityBytes >= limitBytes);
    const page =
      index < 0
        ? new DirectoryPage(Math.max(limitBytes, PAGE_BYTES_USUAL))
        : (this.#idlePages.splice(index, 1)[0] as DirectoryPage);
    page.start(limitBytes, plus);
    return page;
  }

  #givePageBack(request: Request, received: boolean): void {
    const { page } = request;
    if (page === undefined) return;
    request.page = undefined;
    if (!received) page.forEachGranted((node) => this.#forget(node, 1));
    if (this.#idlePages.length < IDLE_PAGES_MAX) this.#idlePages.push(page);
  }

  complain(what: string): void {
    log('%s', what);
  }

  /** Does what nobody waits for; a failure has no one to go to but the log. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      log('the file system failed where it may not: %s', stackOf(error));
    }
  }

  /** The kernel is gone: aborts what is pending and releases the handles it held. Lookups end with the mount. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const reason = new FsError(errno.EINTR, 'the file system was unmounted');
    for (const request of this.#pending.values()) request.abort(reason);
    for (const handle of this.openFiles) this.#attempt(() => this.operations.release(handle));
    for (const handle of this.openDirectories) this.#attempt(() => this.operations.releaseDirectory(handle));
    this.openFiles.clear();
    this.openDirectories.clear();
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
