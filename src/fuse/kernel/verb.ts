// What one opcode is to the session: how its arguments become a verb of the file system and the result becomes a reply.
import type { Answer, Operations } from '../../fs-ops/operations.ts';
import type { DirectoryPage } from './protocol/directory-page.ts';
import type { Message } from './protocol/message.ts';
import type { ReplyBuffer } from './protocol/reply-buffer.ts';
import type { Request } from './request.ts';

/** What a verb may use besides its request. */
export interface VerbContext {
  readonly operations: Operations;
  /** An empty page for a listing; the session takes it back after the reply. */
  page(limitBytes: number, plus: boolean): DirectoryPage;
  /** Handles the kernel holds: released when the mount ends without the kernel saying so. */
  readonly openFiles: Set<number>;
  readonly openDirectories: Set<number>;
  /** Says in the log what the file system did wrong. */
  complain(what: string): void;
}

/** `encode` returns the bytes it wrote behind the reply's header, or the pieces that follow it. */
export interface Verb<R> {
  ask(context: VerbContext, request: Request, message: Message): Answer<R>;
  encode(result: R, reply: ReplyBuffer, request: Request): number | readonly Uint8Array[];
  /** The kernel has the reply. */
  granted?(context: VerbContext, result: R, request: Request): void;
  /** The kernel did not take the reply. */
  takeBack?(context: VerbContext, result: R, request: Request): void;
}

/** The encoding of a reply without a body. */
export const nothing = (): number => 0;
