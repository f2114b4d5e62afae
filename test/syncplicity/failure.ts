// What work that is to fail failed with, for the client's tests.
import { RemoteError } from '../../src/remote-drive.ts';

/** The RemoteError that `work` rejects with. Rejects where it does not, or with anything else. */
export async function failure(work: Promise<unknown>): Promise<RemoteError> {
  const outcome: unknown = await work.then(
    (value) => value,
    (reason: unknown) => reason,
  );
  if (!(outcome instanceof RemoteError)) throw new Error(`expected a RemoteError, got ${String(outcome)}`);
  return outcome;
}
