// When what failed is tried again.
import { expect, it } from 'vitest';
import { Troubles } from '../../src/sync/troubles.ts';

it('what the service asked to be left alone for is not tried before, and everything else at its own pace', () => {
  const troubles = new Troubles(() => 1_000);
  const asked = troubles.note(1, 'the vault asks for two minutes', { atLeastMs: 120_000 }).retryAtMs - 1_000;
  expect([asked >= 120_000, asked <= 132_000]).toEqual([true, true]);
  expect(troubles.note(2, 'no answer').retryAtMs - 1_000).toBeLessThanOrEqual(1_000);
  expect(troubles.note(2, 'no answer', { atLeastMs: 500 }).retryAtMs - 1_000).toBeGreaterThan(1_000);
});
