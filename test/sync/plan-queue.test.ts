// What waits to be planned: in its order, once, in turns that leave room for other work.
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { PlanQueue } from '../../src/sync/plan-queue.ts';

it('plans in the next turn, in the order it came, each once', async () => {
  const planned: number[] = [];
  const queue = new PlanQueue(
    (inode) => planned.push(inode),
    () => true,
  );
  queue.add(3);
  queue.planSoon([1, 3, 2]);
  expect(planned).toEqual([]);
  await setImmediate();
  expect(planned).toEqual([3, 1, 2]);
});

it('plans 200 in a turn, the rest in later ones, and what a plan adds as well', async () => {
  const planned: number[] = [];
  const queue = new PlanQueue(
    (inode) => {
      planned.push(inode);
      if (inode < 100) queue.add(inode + 1000);
    },
    () => true,
  );
  queue.planSoon(Array.from({ length: 350 }, (_, index) => index));
  await setImmediate();
  expect(planned).toHaveLength(200);
  await setImmediate();
  await setImmediate();
  expect(planned).toHaveLength(450);
});

it('keeps everything while nothing may be planned, and plans no more once it is stopped', async () => {
  const planned: number[] = [];
  let mayPlan = false;
  const queue = new PlanQueue(
    (inode) => planned.push(inode),
    () => mayPlan,
  );
  queue.planSoon([1]);
  await setImmediate();
  expect(planned).toEqual([]);
  mayPlan = true;
  queue.wake();
  await setImmediate();
  expect(planned).toEqual([1]);
  queue.planSoon([2]);
  queue.stop();
  queue.planSoon([3]);
  await setImmediate();
  expect(planned).toEqual([1]);
});
