import { describe, expect, it } from 'vitest';
import { Coalesced } from '../../src/base/coalesced.ts';
import { deferred, type Deferred } from '../../src/base/deferred.ts';

/** Work that ends when it is told to. */
function steppedWork(): { runs: Deferred<undefined>[]; work: Coalesced; call: () => Promise<void> } {
  const runs: Deferred<undefined>[] = [];
  const work = new Coalesced(() => {
    const run = deferred<undefined>();
    runs.push(run);
    return run.promise.then(() => undefined);
  });
  return { runs, work, call: () => work.run() };
}

describe('coalesced work', () => {
  it('answers each call by a run that began after it, shared by all who called meanwhile', async () => {
    const { runs, call } = steppedWork();
    const ended: string[] = [];
    const note = (name: string): void => void ended.push(name);
    const first = call().then(() => note('first'));
    const second = call().then(() => note('second'));
    const third = call().then(() => note('third'));
    expect(runs).toHaveLength(1);
    runs[0]?.resolve(undefined);
    await first;
    await expect.poll(() => runs.length).toBe(2);
    expect(ended).toEqual(['first']);
    runs[1]?.resolve(undefined);
    await Promise.all([second, third]);
    const fourth = call();
    expect(runs).toHaveLength(3);
    runs[2]?.resolve(undefined);
    await fourth;
  });

  it('rejects those alone whose run failed', async () => {
    const { runs, call } = steppedWork();
    const first = call();
    const second = call();
    runs[0]?.reject(new Error('the disk is gone'));
    await expect(first).rejects.toThrow('the disk is gone');
    await expect.poll(() => runs.length).toBe(2);
    runs[1]?.resolve(undefined);
    await second;
  });

  it('is idle when the last run has ended, the one that waits for another included', async () => {
    const { runs, work, call } = steppedWork();
    await work.idle();
    const calls = Promise.allSettled([call(), call()]);
    let isIdle = false;
    const idle = work.idle().then(() => (isIdle = true));
    runs[0]?.reject(new Error('the disk is gone'));
    await expect.poll(() => runs.length).toBe(2);
    expect(isIdle).toBe(false);
    runs[1]?.resolve(undefined);
    await Promise.all([idle, calls]);
  });
});
