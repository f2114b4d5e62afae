// Many tiny contents: what they take besides their bytes counts against the memory's limit.
import { expect, it } from 'vitest';
import { BlockMemory } from '../../../src/cache/blocks/block-memory.ts';
import { Block } from '../../../src/cache/blocks/block.ts';

it('holds a bounded number of blocks of one byte', () => {
  let evicted = 0;
  const memory = new BlockMemory(1024 * 1024, () => (evicted += 1));
  for (let number = 1; number <= 10_000; number += 1) {
    const block = new Block(number, 0, 1);
    memory.allocate(block);
    memory.insert(block);
  }
  expect(10_000 - evicted).toBeLessThan(400);
  expect(memory.usedBytes).toBeLessThanOrEqual(1024 * 1024);
  memory.clear();
  expect(memory.usedBytes).toBe(0);
});
