// Stores one file: content made complete and durable, the folder looked at, the bytes sent, the outcome written down. What was begun
// is in the journal before its first byte goes out (J3, J8), and what another one stored meanwhile is not overwritten (J7).
import { sha256Of } from '../base/hashing-thread.ts';
import { createLog } from '../base/log.ts';
import { samePlace, type PendingRecord, type RemotePlace, type SentContent } from '../cache/journal.ts';
import { sameKeptTime, shownModified, type StagedContent, type TreeFile } from '../cache/tree.ts';
import { RemoteError, type Timestamp, type UploadOutcome } from '../remote-drive.ts';
import { CAREFUL_AGE_MS, lookAt, lookAtWay, NEW_NAME_AGE_MS } from './freshness.ts';
import { DamagedContent, type Parts, Replan, type SendableContent, SourceGone } from './parts.ts';

const log = createLog('store');

/** Below this, asking for a hash costs more than sending the bytes. */
const HASH_WORTH_BYTES = 2 ** 20;
/** Uploads of bytes that the service has, in vain, after which it takes no other time for them; fewer may have been lost. */
const TIME_TRIES = 3;

/** What became of a store: `unclear`: its reply was lost, or says something else, and only listings tell. */
export type StoreResult =
  { readonly state: 'stored' | 'untold' | 'unchanged' } | { readonly state: 'unclear'; readonly reason: string };

/** A file that is to be stored. */
export interface FileToStore {
  readonly record: PendingRecord;
  readonly node: TreeFile;
  readonly place: RemotePlace;
  /** How often no listing showed what was sent of it before. */
  readonly timesInVain: number;
  /** Hears how far it is. */
  readonly onSent: (sentBytes: number, lengthBytes: number) => void;
}

/** Stores a file at its place. Rejects with RemoteError or {@link Replan}. */
export async function storeFile(parts: Parts, file: FileToStore, signal: AbortSignal): Promise<StoreResult> {
  const { record, node, place } = file;
  const content = await contentOf(parts, record, node, signal);
  try {
    const sent = {
      generation: node.staged?.id ?? 0,
      place,
      lengthBytes: content.lengthBytes,
      modified: shownModified(node),
    };
    return await send(parts, { ...file, content, signal }, sent);
  } finally {
    content.close();
  }
}

interface Sending extends FileToStore {
  readonly content: SendableContent;
  readonly signal: AbortSignal;
}

async function send(parts: Parts, sending: Sending, facts: Omit<SentContent, 'sha256'>): Promise<StoreResult> {
  const { record, node, place, content, onSent, signal } = sending;
  const { inode } = record;
  if (record.doubtful !== undefined && record.doubtful === node.staged?.id) {
    await prove(content, node.staged.sha256, signal);
    parts.uploads.proven(inode, record.doubtful);
  }
  const sha256 = await content.sha256(signal);
  const sent: SentContent = { ...facts, sha256 };
  await content.makeDurable();
  await lookAtWay(parts, place.parent, signal);
  await look(parts, sending);
  if (isElsewhere(parts, node)) throw new Replan('it was renamed while it was prepared');
  if (await isUnchanged(parts, sending, sent)) {
    parts.uploads.unchanged(inode, sent);
    return { state: 'unchanged' };
  }
  const folder = parts.journal.remotePath(place.parent);
  if (folder?.syncpoint.remote === undefined) throw new Replan('its folder is not at the service any more');
  if (!parts.uploads.begins(inode, sent)) throw new Replan('there is nothing to send any more');
  const told = new WhatWasTold(content.lengthBytes);
  let outcome: UploadOutcome;
  try {
    outcome = await parts.drive.upload(
      {
        folder: {
          syncpointId: folder.syncpoint.remote.syncpointId,
          vaultId: folder.syncpoint.syncpoint?.vaultId,
          folderNames: folder.names,
        },
        name: place.name,
        lengthBytes: content.lengthBytes,
        modified: sent.modified,
        created: node.versionId === undefined ? earlier(node.created, sent.modified) : node.created,
        sha256,
        read: (offsetBytes, lengthBytes) => told.toItsEnd(content.read(offsetBytes, lengthBytes, signal), lengthBytes),
        session: record.session?.generation === sent.generation ? record.session.mark : undefined,
        onSession: (mark) => {
          if (mark !== undefined) told.more();
          parts.uploads.reached(inode, sent.generation, mark);
        },
        onSent: (sentBytes) => {
          told.has(sentBytes);
          onSent(sentBytes, content.lengthBytes);
        },
        beforeLast: async () => {
          await look(parts, sending);
          if (!isAwaited(parts, inode, sent)) throw new Replan('its name was taken by another one');
        },
      },
      { signal, callClass: 'commit' },
    );
  } catch (error) {
    // An abort may have cut off a request that was complete, whatever its reason is.
    const refused = error instanceof RemoteError || error instanceof Replan;
    if (signal.aborted ? !told.mayBeAll : refused) parts.uploads.failed(inode, sent);
    if (isGone(told.unreadable)) throw new SourceGone(told.unreadable);
    if (error instanceof RemoteError && (error.kind === 'exists' || error.kind === 'conflict')) {
      // A folder has the name, or what is there is not what was seen.
      await lookAt(parts, place.parent, 0, signal);
      throw new Replan(error.message);
    }
    throw error;
  }
  if (outcome.state === 'unclear') return outcome;
  const { fileId, versionId } = outcome;
  const ids = fileId === undefined || versionId === undefined ? undefined : { fileId, versionId };
  const kept = content.staged;
  parts.uploads.stored({ inode, place, sent: outcome.already ? { ...sent, already: true } : sent, ids, kept });
  return { state: ids === undefined ? 'untold' : 'stored' };
}

/** Whether the service may have all that it needs to store the content: until then an upload that is cut off has stored nothing. */
class WhatWasTold {
  readonly #lengthBytes: number;
  #hasBytes = 0;
  mayBeAll: boolean;
  /** Why the content could not be read to its end. */
  unreadable: unknown;

  constructor(lengthBytes: number) {
    this.#lengthBytes = lengthBytes;
    this.mayBeAll = lengthBytes === 0;
  }

  /** A request's content as it goes out. With its last byte, the service may act on it: a chunk may be taken for the whole. */
  async *toItsEnd(pieces: AsyncIterable<Uint8Array>, lengthBytes: number): AsyncGenerator<Uint8Array> {
    let left = lengthBytes;
    try {
      for await (const piece of pieces) {
        left -= piece.length;
        if (left <= 0) this.mayBeAll = true;
        yield piece;
      }
    } catch (error) {
      this.unreadable = error;
      throw error;
    }
  }

  /** So much of the content is at the service. */
  has(bytes: number): void {
    this.#hasBytes = bytes;
  }

  /** The service wants more than it has: a last request, where nothing is missing. */
  more(): void {
    this.mayBeAll = this.#hasBytes >= this.#lengthBytes;
  }
}

function isGone(error: unknown): error is RemoteError {
  return error instanceof RemoteError && error.kind === 'not-found';
}

/** Looks at the folder where what is known of it is too old, and whether the file is still to be stored there (J7). */
async function look(parts: Parts, { record, node, place, signal }: Sending): Promise<void> {
  const { journal } = parts;
  const age = node.versionId === undefined ? NEW_NAME_AGE_MS : CAREFUL_AGE_MS;
  await lookAt(parts, place.parent, age, signal);
  const now = journal.get(record.inode);
  const present = journal.tree.node(record.inode);
  const moved =
    record.at === undefined ? now?.at !== undefined : now?.at === undefined || !samePlace(now.at, record.at);
  if (now?.content !== true || moved || present?.kind !== 'file' || present.versionId !== node.versionId) {
    throw new Replan('it changed at the service or here while it was prepared');
  }
}

/** True where the file was moved here, or kept under another name, since it was planned. */
function isElsewhere({ journal }: Parts, node: TreeFile): boolean {
  const present = journal.tree.node(node.inode);
  return present?.parent !== node.parent || present.remoteName !== node.remoteName;
}

/** True while this upload is one that the journal expects: a conflict gives the file another name, and nothing may come under the first one. */
function isAwaited({ journal }: Parts, inode: number, { generation }: SentContent): boolean {
  return journal.get(inode)?.sent.some((one) => one.generation === generation) === true;
}

/** J8: rejects with {@link DamagedContent} unless the bytes are those that were written before the machine went down. */
async function prove(content: SendableContent, sha256: string | undefined, signal: AbortSignal): Promise<void> {
  if (sha256 === undefined) throw new DamagedContent('nothing tells whether all of its bytes are there');
  let found: string;
  try {
    found = await hashOf(content, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    throw new DamagedContent(error instanceof Error ? error.message : String(error));
  }
  if (found !== sha256) throw new DamagedContent('some of its bytes are gone');
}

/** True where the service has these bytes as this file's present version, and takes no other time for them. */
async function isUnchanged(parts: Parts, sending: Sending, sent: SentContent): Promise<boolean> {
  const { record, node, place, timesInVain } = sending;
  const home = record.at !== undefined && samePlace(record.at, place);
  if (!home || node.fileId === undefined || node.lengthBytes !== sent.lengthBytes) return false;
  const isItsTime = parts.storesTimes !== true || sameKeptTime(node.modified, sent.modified);
  if (!isItsTime && timesInVain < TIME_TRIES) return false;
  if (timesInVain > 0) return isThereAlready(parts, sending, sent);
  if (node.sha256 !== undefined) return node.sha256 === sent.sha256;
  if (sent.lengthBytes < HASH_WORTH_BYTES) return false;
  const stored = await toldHash(parts, sending);
  return stored !== undefined && stored === sent.sha256;
}

/**
 * The same after an upload in vain, at any cost that is less than uploads without end: a vault may keep the version it has when the same
 * bytes come again, and answer nothing, so that no listing ever shows a new one.
 */
async function isThereAlready(parts: Parts, sending: Sending, sent: SentContent): Promise<boolean> {
  const { node, content, signal } = sending;
  try {
    const held = node.sha256 ?? (await toldHash(parts, sending)) ?? (await hashOfVersion(parts, node, signal));
    return held !== undefined && held === (sent.sha256 ?? (await hashOf(content, signal)));
  } catch (error) {
    if (signal.aborted || !(error instanceof RemoteError)) throw error;
    log('what the service has of inode %d cannot be told, so it is sent: %s', node.inode, error.message);
    return false;
  }
}

/** The hash of a file's present version, where the service tells it. */
async function toldHash(parts: Parts, { node, place, signal }: Sending): Promise<string | undefined> {
  const folder = parts.journal.folder(place.parent);
  if (folder === undefined || node.fileId === undefined) return undefined;
  return parts.drive.contentHash(folder.syncpointId, node.fileId, { signal, callClass: 'commit' });
}

function hashOf(content: SendableContent, signal: AbortSignal): Promise<string> {
  return sha256Of(content.lengthBytes, () => content.read(0, content.lengthBytes, signal));
}

/** Reads back the version that is known of a file. */
async function hashOfVersion(parts: Parts, node: TreeFile, signal: AbortSignal): Promise<string | undefined> {
  const version = parts.journal.version(node);
  if (version === undefined) return undefined;
  const held = parts.content.version(version);
  try {
    return await hashOf(held, signal);
  } finally {
    held.close();
  }
}

async function contentOf(
  parts: Parts,
  record: PendingRecord,
  node: TreeFile,
  signal: AbortSignal,
): Promise<SendableContent> {
  if (node.staged !== undefined) return sealed(parts, node.staged, signal);
  const copied = record.copyOf ?? (node.versionId === undefined ? undefined : parts.journal.version(node));
  if (copied !== undefined) return parts.content.version(copied);
  if (node.lengthBytes > 0) throw new Error(`the content of inode ${node.inode} is nowhere`);
  return nothing;
}

/** What was not written is fetched; rejects with {@link SourceGone} where that is gone at the service. */
async function sealed(parts: Parts, staged: StagedContent, signal: AbortSignal): Promise<SendableContent> {
  try {
    return await parts.content.seal(staged, signal);
  } catch (error) {
    throw isGone(error) ? new SourceGone(error) : error;
  }
}

/** Of nothing. */
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const nothing: SendableContent = {
  lengthBytes: 0,
  staged: undefined,
  sha256: () => Promise.resolve(EMPTY_SHA256),
  // eslint-disable-next-line @typescript-eslint/require-await -- it has nothing to wait for
  read: async function* () {
    yield* [];
  },
  makeDurable: () => Promise.resolve(),
  close: () => undefined,
};

function earlier(a: Timestamp, b: Timestamp): Timestamp {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds <= b.nanoseconds) ? a : b;
}
