// On the desktop, else in the log, one at a time: what is told where, and what is left behind.
import { expect, it } from 'vitest';
import type { Notification } from '../../src/desktop/notification.ts';
import { Telling, type News } from '../../src/desktop/telling.ts';

const notification = { title: 'Title', text: 'text', icon: 'icon' };
const news = (more: Partial<News> = {}): News => ({
  cause: 'quota',
  isNew: true,
  notification,
  isStillSo: () => true,
  ...more,
});

/** A desktop that answers as told, and a log. */
function desktop(answers: readonly (number | undefined | Error)[]): {
  readonly telling: Telling;
  readonly lines: readonly string[];
  readonly shown: readonly Notification[];
  readonly asked: (count: number) => Promise<void>;
} {
  const lines: string[] = [];
  const shown: Notification[] = [];
  const waiters = new Set<() => void>();
  const show = (one: Notification): Promise<number | undefined> => {
    const answer = answers[shown.length];
    shown.push(one);
    for (const wake of waiters) wake();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const asked = async (count: number): Promise<void> => {
    while (shown.length < count) await new Promise<void>((resolve) => waiters.add(resolve));
  };
  const telling = new Telling({ show, log: (line) => lines.push(line), againAfterMs: [1, 1] });
  return { telling, lines, shown, asked };
}

it('what the desktop shows is not in the log, and is replaced by more of it', async () => {
  const { telling, lines, shown, asked } = desktop([7, 7, 8]);
  telling.tell(news());
  telling.tell(news({ isNew: false }));
  telling.tell(news());
  await asked(3);
  await telling.stop();
  expect(shown.map(({ replaces }) => replaces)).toEqual([undefined, 7, undefined]);
  expect(lines).toEqual([]);
});

it('what it does not show is in the log once, and on the desktop when that has come up', async () => {
  const { telling, lines, shown, asked } = desktop([undefined, new Error('nobody shows it'), 3]);
  telling.tell(news());
  await asked(3);
  await telling.stop();
  expect(shown).toHaveLength(3);
  expect(lines).toEqual(['Title: text']);
});

it('is not tried again where it is so no more, nor for ever', async () => {
  const mended = desktop([undefined]);
  mended.telling.tell(news({ isStillSo: () => false }));
  const hopeless = desktop([undefined, undefined, undefined]);
  hopeless.telling.tell(news());
  await hopeless.asked(3);
  // Longer than any pause of the test's: nothing more comes.
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([mended.shown.length, hopeless.shown.length]).toEqual([1, 3]);
  await Promise.all([mended.telling.stop(), hopeless.telling.stop()]);
});

it('more of what the log has is not in the log again', async () => {
  const { telling, lines, asked } = desktop([undefined, undefined, undefined]);
  telling.tell(news({ isNew: false }));
  await asked(1);
  await telling.stop();
  expect(lines).toEqual([]);
});

it('one is under way at most, and an end gives it up and writes what was not begun to the log', async () => {
  const lines: string[] = [];
  let underWay = 0;
  const show = (_: Notification, signal: AbortSignal): Promise<number> => {
    underWay += 1;
    expect(underWay).toBe(1);
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        underWay -= 1;
        reject(signal.reason as Error);
      });
    });
  };
  const telling = new Telling({ show, log: (line) => lines.push(line) });
  telling.tell(news());
  telling.tell(news({ cause: 'conflict', notification: { ...notification, title: 'Other' } }));
  await new Promise((resolve) => setImmediate(resolve));
  expect(underWay).toBe(1);
  await telling.stop();
  expect(underWay).toBe(0);
  expect(lines).toEqual(['Title: text', 'Other: text']);
});

it('without a desktop wanted it is the log alone', async () => {
  const lines: string[] = [];
  const telling = new Telling({ show: undefined, log: (line) => lines.push(line) });
  telling.tell(news());
  await telling.stop();
  expect(lines).toEqual(['Title: text']);
});
