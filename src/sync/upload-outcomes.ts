// What came of uploads, written into tree and journal: each outcome one transaction. A result counts for the file as it was when its
// upload began; what programs changed since stays pending. J3 is kept here.
import { samePlace, type Journal, type RemotePlace, type SentContent } from '../cache/journal.ts';
import { shownModified, type StagedContent, type TreeFile } from '../cache/tree.ts';
import type { FileId, Timestamp, VersionId } from '../remote-drive.ts';
import { settleRecord } from './settle-record.ts';

/** A file that the service says it stored. */
export interface StoredFile {
  readonly inode: number;
  readonly place: RemotePlace;
  readonly sent: SentContent;
  readonly ids: { readonly fileId: FileId; readonly versionId: VersionId } | undefined;
  /** The content complete in itself, to serve reads. */
  readonly kept: StagedContent | undefined;
}

export class UploadOutcomes {
  readonly #journal: Journal;
  readonly #nowMs: () => number;

  constructor(journal: Journal, nowMs: () => number) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /** An upload is about to begin: from here on a version like this is ours. Returns false where there is nothing to send any more. */
  begins(inode: number, sent: SentContent): boolean {
    return this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record === undefined || record.gone !== undefined || !record.content) return false;
      const others = record.sent.filter((one) => !sameContent(one, sent));
      transaction.updateRecord({ ...record, sent: [...others, sent], durable: sent.generation });
      return true;
    });
  }

  /** Content that the machine's end may have touched is what was written. */
  proven(inode: number, generation: number): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record?.doubtful === generation) transaction.updateRecord({ ...record, doubtful: undefined });
    });
  }

  /** What to go on with where an upload is cut off. */
  reached(inode: number, generation: number, mark: string | undefined): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record === undefined) return;
      transaction.updateRecord({ ...record, session: mark === undefined ? undefined : { generation, mark } });
    });
  }

  /** An upload that stored nothing for certain: nothing like it will ever show up. */
  failed(inode: number, sent: SentContent): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      if (record === undefined) return;
      const left = record.sent.filter((one) => !sameContent(one, sent));
      const nothing = left.length === 0 && record.gone?.kind === 'file' && record.gone.versionId === undefined;
      if (nothing) transaction.dropRecord(inode);
      else transaction.updateRecord({ ...record, sent: left });
    });
  }

  /** A file is stored. Without ids the next listing of its folder tells them, and confirms it. */
  stored({ inode, place, sent, ids, kept }: StoredFile): void {
    const now = this.#nowMs();
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      const node = this.#journal.tree.node(inode);
      if (record === undefined) return;
      const others = record.sent.filter((one) => !sameContent(one, sent));
      // A listing that came before this reply has shown it already: then nothing is left to be looked for.
      const seen = !record.sent.some((one) => sameContent(one, sent));
      const left = ids === undefined && !seen ? [...others, { ...sent, stored: true }] : others;
      if (record.gone?.kind === 'file') {
        // Removed while it was being sent. Listings that lag show what was there before.
        const { gone } = record;
        const { lengthBytes, modified, sha256 } = sent;
        const { versionId: former } = gone;
        const isNew = ids !== undefined && !seen && former !== undefined && former !== ids.versionId;
        transaction.updateRecord({
          ...record,
          at: place,
          sent: left,
          confirmedAtMs: now,
          replaced: isNew ? [...record.replaced, former] : record.replaced,
          gone: ids === undefined ? gone : { ...gone, ...ids, lengthBytes, modified: keptTime(modified), sha256 },
        });
        return;
      }
      if (node?.kind !== 'file') return;
      // A listing that came before this reply showed another one's version, and ours was given another name: it is a file of its own, which
      // is not stored yet. What came to be under the first name is that file's next version.
      if (seen && node.versionId === undefined) return;
      const whole = isStill(node, sent);
      const before = node.versionId;
      // What the service had already is no new version.
      const isPresent = sent.already === true || before === ids?.versionId;
      const staged = node.staged?.id === kept?.id ? kept : node.staged;
      const stored =
        ids === undefined
          ? node
          : transaction.put<TreeFile>({
              ...node,
              ...ids,
              staged,
              lengthBytes: sent.lengthBytes,
              modified: keptTime(sent.modified),
              created: node.fileId === ids.fileId ? node.created : sent.modified,
              sha256: sent.sha256,
            });
      // Others have moved here what was to be removed elsewhere: it has a next version now, and its removal would take that along.
      const moved = ids === undefined ? [] : this.#journal.removals('file', ids.fileId);
      for (const { inode: removal } of moved) transaction.dropRecord(removal);
      const former = moved.flatMap(({ gone, replaced }) =>
        gone?.kind === 'file' && gone.versionId !== undefined ? [...replaced, gone.versionId] : replaced,
      );
      const outcome = {
        ...record,
        at: place,
        content: record.content && !whole,
        copyOf: whole && ids !== undefined ? undefined : record.copyOf,
        session: undefined,
        sent: left,
        failed: undefined,
        confirmedAtMs: now,
        replaced: [
          ...record.replaced,
          ...(seen || before === undefined || isPresent ? [] : [before]),
          ...former.filter((version) => version !== ids?.versionId),
        ],
      };
      // J3: under which id it is stored, only a listing tells. Until then the version known here is the one before.
      if (ids === undefined && !seen) transaction.updateRecord(outcome);
      else settleRecord(transaction, stored, outcome, now);
    });
  }

  /** The service has these very bytes already. */
  unchanged(inode: number, sent: SentContent): void {
    this.#journal.change('push', (transaction) => {
      const record = transaction.record(inode);
      const node = this.#journal.tree.node(inode);
      if (record === undefined || node?.kind !== 'file' || !isStill(node, sent)) return;
      settleRecord(transaction, node, { ...record, content: false, session: undefined }, this.#nowMs());
    });
  }
}

/** True where the file is as it was when it was sent. */
function isStill(node: TreeFile, sent: SentContent): boolean {
  const { seconds, nanoseconds } = shownModified(node);
  const { modified, generation } = sent;
  return (node.staged?.id ?? 0) === generation && seconds === modified.seconds && nanoseconds === modified.nanoseconds;
}

/** A time as the service keeps it: in units of 100 ns. */
function keptTime({ seconds, nanoseconds }: Timestamp): Timestamp {
  return { seconds, nanoseconds: nanoseconds - (nanoseconds % 100) };
}

function sameContent(a: SentContent, b: SentContent): boolean {
  return (
    samePlace(a.place, b.place) &&
    a.generation === b.generation &&
    a.lengthBytes === b.lengthBytes &&
    a.modified.seconds === b.modified.seconds &&
    a.modified.nanoseconds === b.modified.nanoseconds
  );
}
