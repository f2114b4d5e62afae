// The desktop's keyring (Secret Service on Linux, the keychain on macOS), for users who want no secret in a file. Promises: what cannot be
// kept there is an error with its cause, never kept elsewhere instead. Must not know what a secret is for.
import type { AsyncEntry as Entry } from '@napi-rs/keyring';
import { waitFor } from '../base/abort.ts';
import { Deadline } from '../base/deadline.ts';

/** Texts by name, kept by the desktop. */
export interface Keyring {
  /** Undefined where there is none of that name. */
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
  /** Does nothing where there is none of that name. */
  remove(name: string): Promise<void>;
}

/** What the desktop shows the entries under. */
const SERVICE = 'syncplicityfs';
/** Time for a user to unlock it. */
const ANSWER_TIMEOUT_MS = 60_000;

/** The keyring of this session. Every call rejects where there is none, or where the user does not unlock it. */
export const desktopKeyring: Keyring = {
  read: (name) => use(name, async (entry) => (await entry.getPassword()) ?? undefined),
  write: (name, text) => use(name, (entry) => entry.setPassword(text)),
  remove: (name) =>
    use(name, async (entry) => {
      await entry.deleteCredential();
    }),
};

async function use<T>(name: string, work: (entry: Entry) => Promise<T>): Promise<T> {
  const late = (): Error => new Error(`it did not answer within ${ANSWER_TIMEOUT_MS / 1000} s: unlock it`);
  const deadline = new Deadline(ANSWER_TIMEOUT_MS, late);
  try {
    // Optional: there is no build of it for every machine.
    const { AsyncEntry } = await import('@napi-rs/keyring');
    // Without a session the package would turn to the kernel's keyring, which a restart empties.
    const entry = new AsyncEntry(SERVICE, name, { linux: { store: 'secret-service' } });
    return await waitFor(work(entry), deadline.signal);
  } catch (error) {
    throw new Error(`the desktop keyring cannot be used: ${reasonOf(error)}`, { cause: error });
  } finally {
    deadline.release();
  }
}

/** The innermost cause says most. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? (error.message.split('\n')[0] ?? '') : reasonOf(error.cause);
}
