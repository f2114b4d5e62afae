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
