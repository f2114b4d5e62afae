// A session without a kernel: messages go in, what it replied is read back.
import { expect } from 'vitest';
import type { Operations } from '../../../src/fs-ops/operations.ts';
import { Session, type ReplyChannel } from '../../../src/fuse/kernel/session.ts';
import { RequestCounters } from '../../../src/fuse/kernel/statistics.ts';
import { MemoryOperations } from './memory-operations.ts';
import { received, reply } from './messages.ts';

type Outcome = ReturnType<ReplyChannel['send']>;

/** Starts a conversation; `outcome` says what the kernel makes of a reply, `isToEnd` which threads got a signal to end. */
export function start(
  operations: Operations = new MemoryOperations(),
  outcome: (bytes: Buffer) => Outcome = () => 'sent',
  isToEnd: (thread: number) => boolean = () => true,
): {
  session: Session;
  counters: RequestCounters;
  replies: Buffer[];
  ask: (bytes: Uint8Array) => void;
} {
  const replies: Buffer[] = [];
  const counters = new RequestCounters();
  const session = new Session({
    operations,
    counters,
    channel: {
      send(pieces) {
        const bytes = Buffer.concat(pieces);
        replies.push(bytes);
        return outcome(bytes);
      },
    },
    events: { agreed: () => undefined, refused: () => undefined },
    maxReadAheadBytes: 2 ** 20,
    isToEnd,
  });
  return { session, counters, replies, ask: (bytes) => session.receive(received(bytes), bytes.length) };
}

/** A name as messages carry it. */
export function name(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** The one reply there is. */
export function answerOf(replies: readonly Buffer[]): ReturnType<typeof reply> {
  expect(replies).toHaveLength(1);
  return reply(replies[0] as Buffer);
}

/** Lets promises that are settled already run their callbacks. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
