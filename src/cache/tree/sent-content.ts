// How a version made by an upload of ours is told from one that somebody else made, where no reply named it (J3).
// Must not know: listings' merging, calls.
import type { RemoteFile, Timestamp } from '../../remote-drive.ts';
import { samePlace, type PendingRecord, type RemotePlace, type SentContent } from './pending-record.ts';
import type { TreeFile } from './records.ts';

/** Services keep times in units of 1 ns, 100 ns, a microsecond, a millisecond or a second, and cut off or round what is below. */
const TIME_UNITS_NS = [1, 100, 1_000, 1_000_000, 1_000_000_000] as const;

/** The upload that made this version: its length, and its time as far as the service keeps it. */
export function sentAs(sent: readonly SentContent[], entry: RemoteFile): SentContent | undefined {
  return sent.findLast(
    (one) =>
      one.lengthBytes === entry.lengthBytes && (one.already === true || isKeptTime(one.modified, entry.modified)),
  );
}

/**
 * The upload that the service says it stored and that may have made this version, the first one of a new file, though of another time:
 * services may keep their own, or as much of one as they can hold. Another one may have made it in the same moment, so its content is not
 * known to be ours.
 */
export function storedAs(sent: readonly SentContent[], entry: RemoteFile): SentContent | undefined {
  return sent.findLast((one) => one.stored === true && one.lengthBytes === entry.lengthBytes);
}

/** The upload of which the service took a chunk for the whole file, and made this version. */
export function sentInPartAs(sent: readonly SentContent[], entry: RemoteFile): SentContent | undefined {
  return sent.findLast(
    (one) => entry.lengthBytes > 0 && entry.lengthBytes < one.lengthBytes && isKeptTime(one.modified, entry.modified),
  );
}

/** Some databases count in 300ths of a second, and tell them in milliseconds, which then end in 0, 3 or 7. */
const TICK_NS = 4_000_000;
const TICK_ENDS_MS: readonly number[] = [0, 3, 7];

/** True where a service that was sent one time may tell the other. */
export function isKeptTime(sent: Timestamp, kept: Timestamp): boolean {
  const apartNs = Math.abs((kept.seconds - sent.seconds) * 1e9 + (kept.nanoseconds - sent.nanoseconds));
  if (TIME_UNITS_NS.some((unit) => kept.nanoseconds % unit === 0 && apartNs < unit)) return true;
  const keptMs = kept.nanoseconds / 1_000_000;
  return TICK_ENDS_MS.includes(keptMs % 10) && apartNs < TICK_NS;
}

/**
 * True for a file that was moved and then removed here, as it is after the move: services may count a move as a version, and with length and
 * time as before it has the content it had.
 */
export function isRemovedAfterMove({ gone, was, asked }: PendingRecord, entry: RemoteFile): boolean {
  return (
    gone?.kind === 'file' &&
    was.length + asked.length > 0 &&
    gone.fileId === entry.id &&
    gone.lengthBytes === entry.lengthBytes &&
    isKeptTime(gone.modified, entry.modified)
  );
}

/** Services may count a rename as a version: a file elsewhere than before, with length and time as before, has the content it had. */
export function isOnlyMoved(entry: RemoteFile, here: RemotePlace, { at, was }: PendingRecord, node: TreeFile): boolean {
  const moved = was.length > 0 || at === undefined || !samePlace(at, here);
  const known = node.versionId !== undefined && node.lengthBytes === entry.lengthBytes;
  return moved && known && isKeptTime(node.modified, entry.modified);
}
