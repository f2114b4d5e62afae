// What one kind of request is to the session: how its arguments become verbs of the file system, and what its signal takes besides
// the result. Nothing of paths.
import type { Answer, Caller, Operations } from '../../fs-ops/operations.ts';
import type { OperationName, Waiting } from './binding.ts';
import type { Handles } from './handles.ts';
import type { Held, OpenName } from './open-name.ts';
import type { Paths } from './paths.ts';

export interface OpenedFile {
  readonly name: OpenName;
  /** The node that was opened; its name may show another by now. */
  readonly node: number;
  /** The file system's handle. */
  readonly handle: number;
}

export interface OpenedDirectory {
  readonly held: Held;
  readonly handle: number;
}

/** What requests may use. */
export interface Context {
  readonly operations: Operations;
  readonly paths: Paths;
  readonly files: Handles<OpenedFile>;
  readonly directories: Handles<OpenedDirectory>;
}

/** The result, 0 or a count, and what follows it. */
export type Reply = readonly [result: number, ...rest: unknown[]];

export interface Request<Arguments extends readonly unknown[]> {
  readonly name: OperationName;
  /** The kernel's name of it, for statistics. */
  readonly opcode: string;
  ask(context: Context, args: Arguments, caller: Caller, waiting: Waiting): Answer<Reply>;
  /** What the signal takes besides the errno: it must be there. */
  failed(args: Arguments): readonly unknown[];
}

export const DONE: Reply = [0];

/** A request that is answered with nothing but its errno. */
export function plain<Arguments extends readonly unknown[]>(
  name: OperationName,
  opcode: string,
  work: (context: Context, args: Arguments, caller: Caller, waiting: Waiting) => Answer<void>,
): Request<Arguments> {
  return {
    name,
    opcode,
    ask(context, args, caller, waiting) {
      const answer = work(context, args, caller, waiting);
      return answer instanceof Promise ? answer.then(() => DONE) : DONE;
    },
    failed: () => [],
  };
}
