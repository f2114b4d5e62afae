// A directory of a test's own that is gone afterwards.
import tmp from 'tmp';

/** Makes an empty directory below the system's; `remove` deletes it with all it holds. */
export function temporaryDirectory(): { readonly path: string; remove(): void } {
  const made = tmp.dirSync({ prefix: 'syncplicityfs-test-', unsafeCleanup: true });
  return { path: made.name, remove: made.removeCallback };
}
