// How a version made by an upload of ours is told from one that somebody else made, where no reply named it (J3).
// Must not know: listings' merging, calls.
import type { RemoteFile } from '../../remote-drive.ts';
import type { SentContent } from './records.ts';

/** Services round times: to 100 ns, to milliseconds, to seconds. */
const TIME_UNITS_NS = [1, 100, 1_000, 1_000_000, 1_000_000_000] as const;

/** The upload that made this version: its length, and its time as far as the service keeps it. */
export function sentAs(sent: readonly SentContent[], entry: RemoteFile): SentContent | undefined {
  return sent.findLast(
    (one) =>
      one.lengthBytes === entry.lengthBytes &&
      (one.already === true ||
        (one.modified.seconds === entry.modified.seconds &&
          TIME_UNITS_NS.some(
            (unit) => Math.floor(one.modified.nanoseconds / unit) * unit === entry.modified.nanoseconds,
          ))),
  );
}
