// The gate of bytes against a model: never too much inside, order of arrival, nobody left standing.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteGate } from '../../../src/cache/blocks/byte-gate.ts';

test('who fits gets in, who does not waits, and all get in at last', async () => {
  const step = fc.record({ owner: fc.nat(2), bytes: fc.integer({ min: 1, max: 30 }), abort: fc.nat(9) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 40 }),
      fc.infiniteStream(fc.nat(39)),
      async (steps, which) => {
        const gate = new ByteGate(20);
        const owners = [{}, {}, {}];
        const inside: { owner: object; bytes: number }[] = [];
        const entered: number[][] = [[], [], []];
        let left = 0;
        let aborted = 0;
        const leaveOne = (): void => {
          const [one] = inside.splice((which.next().value ?? 0) % inside.length, 1);
          if (one === undefined) return;
          left++;
          gate.leave(one.owner, one.bytes);
        };
        const entries = steps.map(async ({ owner, bytes, abort }, at) => {
          const aborting = new AbortController();
          try {
            const entrance = gate.enter(owners[owner] ?? {}, bytes, aborting.signal);
            if (abort === 0) aborting.abort(new Error('left'));
            await entrance;
          } catch {
            aborted++;
            return;
          }
          inside.push({ owner: owners[owner] ?? {}, bytes });
          entered[owner]?.push(at);
          expect(gate.usedBytes <= 20 || inside.length === 1).toBe(true);
        });
        for (let turn = 0; turn < 200 && left + aborted < steps.length; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
          if (inside.length > 0) leaveOne();
        }
        await Promise.all(entries);
        expect(left + aborted).toBe(steps.length);
        expect(gate.usedBytes).toBe(0);
        for (const order of entered) expect(order).toEqual([...order].sort((a, b) => a - b));
      },
    ),
    { numRuns: 200 },
  );
});

test('a large one is not overtaken, however many small ones come', async () => {
  const gate = new ByteGate(100);
  expect(gate.enter({}, 40, undefined)).toBeUndefined();
  const order: string[] = [];
  const owner = {};
  const large = gate.enter(owner, 1000, undefined)?.then(() => order.push('large'));
  const small = gate.enter({}, 10, undefined)?.then(() => order.push('small'));
  gate.leave({}, 40);
  await large;
  expect(order).toEqual(['large']);
  gate.leave(owner, 1000);
  await small;
});

test('one owner who waits for ever does not shut out the others', () => {
  const gate = new ByteGate(100);
  const hung = {};
  for (let at = 0; at < 7; at++) expect(gate.enter(hung, 10, undefined)).toBeUndefined();
  gate.enter(hung, 10, undefined)?.catch(() => undefined);
  const aborting = new AbortController();
  void gate.enter(hung, 10, aborting.signal)?.catch(() => undefined);
  aborting.abort();
  expect(gate.usedBytes).toBe(70);
  void gate.enter({}, 20, undefined)?.catch(() => undefined);
  expect(gate.usedBytes).toBe(90);
  gate.close(new Error('closed'));
});
