// Vaults that asked to be left alone for a while (Retry-After): nothing is sent there until then by the app key that was asked, whoever wants
// something of them. Knows no request.
import { delay } from '../base/abort.ts';
import { RemoteError } from '../remote-drive.ts';
import type { VaultId } from '../remote-drive.ts';
import { isThrottling } from './errors.ts';
import type { ErrorReply } from './errors.ts';
import { pauseMaxMs } from './retries.ts';
import type { Session } from './session.ts';
import type { Vault } from './vault.ts';

export class VaultHolds {
  /** By whom it was asked, and which vault; monotonic clock. */
  readonly #untilMs = new WeakMap<Session, Map<VaultId, number>>();

  /** What a vault answered: it may ask for a pause. */
  note(session: Session, { id }: Vault, error: ErrorReply): void {
    const { retryAfterMs } = error;
    if (retryAfterMs === undefined || !(error.status === 503 || isThrottling(error))) return;
    const holds = this.#untilMs.get(session) ?? new Map<VaultId, number>();
    this.#untilMs.set(session, holds.set(id, Math.max(holds.get(id) ?? 0, performance.now() + retryAfterMs)));
  }

  /** Resolves when the vault may be asked. Rejects with `throttled` where that is later than anybody waits, or with the signal's reason. */
  async pass(session: Session, { id, name }: Vault, signal: AbortSignal | undefined): Promise<void> {
    const waitMs = (this.#untilMs.get(session)?.get(id) ?? 0) - performance.now();
    if (waitMs <= 0) return;
    if (waitMs <= pauseMaxMs) {
      await delay(waitMs, signal);
      return;
    }
    const text = `vault ${name} asks to be left alone for ${Math.ceil(waitMs / 1000)} s more`;
    throw new RemoteError('throttled', text, { retryAfterMs: waitMs });
  }
}
