// Who waits for news is told once for many, or when he gives up.
import { expect, it, vi } from 'vitest';
import { News } from '../../src/sync/news.ts';

it('tells all who wait, once for many pieces of news that come together', async () => {
  vi.useFakeTimers();
  const news = new News();
  const { signal } = new AbortController();
  news.tellSoon();
  expect(vi.getTimerCount()).toBe(0);
  let told = 0;
  const count = (): unknown => (told += 1);
  const both = Promise.all([news.next(signal).then(count), news.next(signal).then(count)]);
  for (let time = 0; time < 5; time += 1) news.tellSoon();
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(10);
  await both;
  expect(told).toBe(2);
  vi.useRealTimers();
});

it('lets go of who gives up, and tells at once at the end', async () => {
  const news = new News();
  const giving = new AbortController();
  const given = news.next(giving.signal);
  const waiting = news.next(new AbortController().signal);
  giving.abort();
  await given;
  news.tell();
  await waiting;
});
