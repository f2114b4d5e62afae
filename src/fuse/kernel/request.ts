// One request on its way: who asks, how to reply, and the way to abort it. Holds nothing of the message it came in.
import type { Caller, NodeId } from '../../fs-ops/operations.ts';
import { size } from './protocol/constants.ts';
import type { DirectoryPage } from './protocol/directory-page.ts';
import type { Message } from './protocol/message.ts';

export class Request implements Caller {
  readonly opcode: number;
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly node: NodeId;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** When it came, by the counters' clock; 0: nobody wants to know. */
  readonly begunMs: number;
  /** What READ, READDIR and the xattr calls have room for, and what WRITE brought. */
  sizeBytes = 0;
  /** open(2)'s flags of an OPEN. */
  openFlags = 0;
  /** The page a READDIR or READDIRPLUS fills. */
  page: DirectoryPage | undefined;
  #controller: AbortController | undefined;
  /** What waits for the reply. Mostly nothing, or one thing. */
  #later: (() => void)[] | undefined;

  constructor(message: Message, begunMs = 0) {
    this.opcode = message.opcode;
    this.uniqueLow = message.u32(8);
    this.uniqueHigh = message.u32(12);
    this.node = message.node;
    this.uid = message.u32(24);
    this.gid = message.u32(28);
    this.pid = message.u32(32);
    this.begunMs = begunMs;
  }

  /** The request's number as a key. */
  get unique(): number {
    return uniqueKey(this.uniqueLow, this.uniqueHigh);
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  afterReply(work: () => void): void {
    (this.#later ??= []).push(work);
  }

  /** The reply is out: does what waited for that. */
  replied(): void {
    const later = this.#later;
    if (later === undefined) return;
    this.#later = undefined;
    for (const work of later) work();
  }

  get aborted(): boolean {
    return this.#controller?.signal.aborted === true;
  }

  abort(reason: Error): void {
    this.#controller ??= new AbortController();
    this.#controller.abort(reason);
  }
}

/** The number of the request an INTERRUPT is about, as {@link Request.unique}. */
export function interruptedUnique(message: Message): number {
  return uniqueKey(message.u32(size.IN_HEADER), message.u32(size.IN_HEADER + 4));
}

/** The kernel counts requests from a small number on, so that 53 bits do; more only blurs the key. */
function uniqueKey(low: number, high: number): number {
  return high * 2 ** 32 + low;
}
