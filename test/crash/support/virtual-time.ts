// Time that passes only when nothing else is left to do: minutes of waiting and backing off take a test milliseconds. Real files and
// databases go on in real time meanwhile. Knows nothing of what waits.
import { setImmediate as realImmediate } from 'node:timers';
import { setTimeout as realPause } from 'node:timers/promises';
import { stat } from 'node:fs/promises';
import { vi } from 'vitest';

/** Turns of the event loop that must pass quietly before the clock moves. */
const QUIET_TURNS = 3;
/** What takes no time of the clock may take some of the machine's, when that has much to do. */
const REAL_LIMIT_MS = 20_000;
/** The machine's own, also while another one is shown. */
const realClock = performance;

/** Replaces clock and timers until {@link leaveVirtualTime}; with `monotonic` the clock that nobody sets, too. */
export function enterVirtualTime({ monotonic = false } = {}): void {
  vi.useFakeTimers({
    toFake: [
      'Date',
      'setTimeout',
      'clearTimeout',
      'setInterval',
      'clearInterval',
      ...(monotonic ? (['performance'] as const) : []),
    ],
    now: 1_790_000_000_000,
  });
}

export function leaveVirtualTime(): void {
  vi.useRealTimers();
}

/**
 * Settles as the work does, letting the clock run meanwhile; `look` is called whenever nothing is left to do at that time. Rejects when
 * it takes longer than `limitMs` of that clock's time.
 */
export async function passing<T>(work: Promise<T>, look?: () => void, limitMs = 7_200_000): Promise<T> {
  const state = { settled: false };
  const outcome = work.finally(() => (state.settled = true));
  // Whoever waits below learns of it.
  outcome.catch(() => undefined);
  const endMs = Date.now() + limitMs;
  const realEndMs = realClock.now() + REAL_LIMIT_MS;
  for (;;) {
    await quiet();
    if (state.settled) return outcome;
    if (Date.now() > endMs) {
      if (realClock.now() > realEndMs) throw new Error(`nothing came of it within ${limitMs / 1000} s`);
      await realPause(1);
    }
    look?.();
    if (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer();
  }
}

/** Lets that much time pass. */
export async function pass(ms: number, stepMs = 5_000): Promise<void> {
  const endMs = Date.now() + ms;
  for (;;) {
    await quiet();
    if (Date.now() >= endMs) return;
    // Step by step: what one timer begins may have to end before the next one is due.
    vi.advanceTimersByTime(Math.min(stepMs, endMs - Date.now()));
  }
}

async function quiet(): Promise<void> {
  for (let turn = 0; turn < QUIET_TURNS; turn += 1) {
    // Behind what the thread pool was given before.
    await stat('/');
    await new Promise((resolve) => realImmediate(resolve));
    while (process.getActiveResourcesInfo().some((kind) => kind.startsWith('FSReq'))) await realPause(1);
  }
}
