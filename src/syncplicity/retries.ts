// Repeats what is safe to repeat: transport failures and server faults, a bounded number of times, with growing jittered pauses.
import { delay } from '../base/abort.ts';
import { RemoteError } from '../remote-drive.ts';
import { ReplyError } from './errors.ts';
import type { RetryLimits } from './options.ts';

/** No pause between two tries is longer than this, whatever a server asks for: the caller's patience is a matter of seconds. */
const pauseMaxMs = 15_000;

/** Runs `attempt` until it does not fail as `unavailable`, at most `limits.attempts` times. An abort ends the pauses at once. */
export async function withRetries<T>(
  limits: RetryLimits,
  signal: AbortSignal | undefined,
  attempt: (tried: number) => Promise<T>,
): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    try {
      return await attempt(tried);
    } catch (error) {
      const again = error instanceof RemoteError && isPassing(error) && tried + 1 < limits.attempts;
      if (!again || signal?.aborted === true) throw error;
      await delay(pauseMs(limits, tried, error), signal);
    }
  }
}

/** Full jitter on the upper half: clients that failed together do not come back together. */
export function pauseMs(limits: RetryLimits, tried: number, error: RemoteError): number {
  const asked = error instanceof ReplyError ? error.retryAfterMs : undefined;
  const own = limits.delayMs * 2 ** tried * (0.5 + Math.random() / 2);
  return Math.min(Math.max(own, asked ?? 0), pauseMaxMs);
}

/** Worth another try: the service could not be reached or failed, or a vault asked to come back later. */
function isPassing(error: RemoteError): boolean {
  return error.kind === 'unavailable' || (error.kind === 'throttled' && error instanceof ReplyError);
}
