import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RunningHash } from '../../../src/cache/staging/running-hash.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('tells the hash of the whole, or nothing, whatever is written where, and however many contents are open', () => {
  const write = fc.record({
    offset: fc.oneof(fc.constant('end' as const), fc.nat(100_000)),
    length: fc.oneof(fc.nat(100), fc.constantFrom(65_536, 65_537, 200_000)),
    byte: fc.nat(255),
  });
  const others = Array.from({ length: 70 }, () => new RunningHash());
  fc.assert(
    fc.property(
      fc.array(write, { maxLength: 8 }),
      fc.boolean(),
      fc.constantFrom('nobody', 'until answered', 'until asked'),
      (writes, isCrowded, waiting) => {
        // Beyond what is kept of pieces, all are hashed as they come.
        if (isCrowded) for (const other of others) other.wrote(0, Buffer.alloc(65_536));
        const hash = new RunningHash();
        let content = Buffer.alloc(0);
        for (const { offset, length, byte } of writes) {
          const at = offset === 'end' ? content.length : Math.min(offset, content.length);
          const data = Buffer.alloc(length, byte);
          const later: (() => void)[] = [];
          hash.wrote(at, data, waiting === 'nobody' ? undefined : { afterReply: (work) => later.push(work) });
          const whole = Buffer.alloc(Math.max(content.length, at + length));
          content.copy(whole);
          data.copy(whole, at);
          content = whole;
          if (waiting === 'until answered') {
            for (const work of later) work();
            // The bytes last no longer than the answer takes.
            data.fill(~byte);
          }
          const told = hash.digest(content.length);
          if (told !== undefined) expect(told).toBe(sha256(content));
          if (writes.every((one) => one.offset === 'end')) expect(told).toBe(sha256(content));
        }
        hash.close();
        for (const other of others) other.close();
      },
    ),
  );
});

/** Writes this many pieces one after the other, each when the hashing has room for it. */
async function writeInOrder(hash: RunningHash, pieces: readonly Uint8Array[]): Promise<void> {
  let at = 0;
  for (const piece of pieces) {
    hash.wrote(at, piece);
    at += piece.length;
    await hash.keptUp();
  }
}

const megabytes = Array.from({ length: 16 }, (_, byte) => Buffer.alloc(2 ** 20, byte));
const whole = Buffer.concat(megabytes);

test('a program that waits too long for the hashing goes on without it, and what it writes anew has a hash again', async () => {
  const hash = new RunningHash({ ms: 0, part: 0 });
  let wait: Promise<void> | undefined;
  let at = 0;
  do {
    hash.wrote(at, whole);
    at += whole.length;
    wait = hash.keptUp();
  } while (wait === undefined);
  await wait;
  hash.wrote(at, whole);
  expect(hash.digest(at + whole.length)).toBeUndefined();
  hash.wrote(0, whole);
  expect(hash.digest(whole.length)).toBe(sha256(whole));
  hash.close();
});

test('a program whose patience lasts gets a hash, however often it waits', async () => {
  const hash = new RunningHash({ ms: Infinity, part: 0 });
  await writeInOrder(hash, megabytes);
  expect(hash.digest(whole.length)).toBe(sha256(whole));
  hash.close();
});
