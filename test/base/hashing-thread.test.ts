import { createHash, type Hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HashingThread, type GrowingHash } from '../../src/base/hashing-thread.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const mebibyte = 2 ** 20;

test('hashes as one would here, many at a time, of pieces of any length that change at once', () => {
  const thread = new HashingThread();
  const piece = fc.record({
    hash: fc.nat(3),
    length: fc.oneof(fc.nat(100), fc.constantFrom(0, mebibyte - 1, mebibyte, mebibyte + 1, 3 * mebibyte)),
    byte: fc.nat(255),
    what: fc.constantFrom('update', 'update', 'digest', 'begin anew'),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const begin = (): { onThread: GrowingHash; here: Hash } => ({
        onThread: thread.begin(),
        here: createHash('sha256'),
      });
      const pairs = Array.from({ length: 4 }, begin);
      for (const { hash, length, byte, what } of pieces) {
        const { onThread, here } = pairs[hash] as (typeof pairs)[0];
        if (what === 'begin anew') {
          onThread.close();
          pairs[hash] = begin();
        } else if (what === 'digest') {
          expect(onThread.digest()).toBe(here.copy().digest('hex'));
        } else {
          const bytes = Buffer.alloc(length, byte);
          here.update(bytes);
          onThread.update(bytes);
          bytes.fill(~byte);
        }
      }
      for (const { onThread, here } of pairs) {
        expect(onThread.digest()).toBe(here.digest('hex'));
        onThread.close();
      }
    }),
    { numRuns: 40 },
  );
});

test('tells when there is room for the next piece, and lets one after the other go on', async () => {
  const thread = new HashingThread();
  const bytes = Buffer.alloc(mebibyte, 7);
  const whole = Buffer.concat(Array.from({ length: 12 }, () => bytes));
  const write = async (): Promise<string | undefined> => {
    const hash = thread.begin();
    for (let at = 0; at < 12; at += 1) {
      hash.update(bytes);
      await thread.room();
    }
    return hash.digest();
  };
  const digests = await Promise.all(Array.from({ length: 8 }, write));
  expect(new Set(digests)).toEqual(new Set([sha256(whole)]));
});

test('has no room while the thread is behind; one that stands still is given up, and hashes are made here', async () => {
  const standing = new HashingThread(new URL('data:text/javascript,setInterval(() => {}, 1e6)'), 50);
  const hash = standing.begin();
  for (let at = 0; at < 3; at += 1) hash.update(Buffer.alloc(10));
  expect(standing.room()).toBeUndefined();
  hash.update(Buffer.alloc(10));
  const waiting = standing.room();
  expect(waiting).toBeInstanceOf(Promise);
  hash.update(Buffer.alloc(10));
  await waiting;
  expect(standing.room()).toBeUndefined();
  expect(hash.digest()).toBeUndefined();
  const here = standing.begin();
  here.update(Buffer.from('abc'));
  expect(here.digest()).toBe(sha256(Buffer.from('abc')));
});

test('a thread that ends lets everybody go on, without a digest', async () => {
  const ended = new HashingThread(new URL('data:text/javascript,setTimeout(() => process.exit(), 20)'));
  const hash = ended.begin();
  for (let at = 0; at < 4; at += 1) hash.update(Buffer.alloc(10));
  await Promise.all(Array.from({ length: 9 }, async () => ended.room()));
  expect(hash.digest()).toBeUndefined();
  hash.close();
});
