// What the tree keeps of all that is between here and the service: the record of an object whose wanted state the service does not
// have, content that no program has finished, files kept under another name. Must not know: how it is stored, what is done about it.
import { foldName } from '../../base/fold-name.ts';
import type {
  ContentReference,
  FileId,
  FolderId,
  RemoteErrorKind,
  SyncpointId,
  Timestamp,
  VersionId,
} from '../../remote-drive.ts';
import type { TreeNode } from './records.ts';

/** How long a listing may lag behind a change that the service confirmed. */
export const LAG_WINDOW_MS = 60_000;
/** The same of a service on this machine, whose listings do not lag: what a wall clock that is corrected may get wrong. */
export const LOCAL_LAG_WINDOW_MS = 1_000;

/** Where an object is at the service: in which folder (by the inode that stands for it here), under which name. */
export interface RemotePlace {
  readonly parent: number;
  readonly name: string;
}

export function samePlace(a: RemotePlace, b: RemotePlace): boolean {
  return a.parent === b.parent && a.name === b.name;
}

/** True for places that a service blind to case, or to how accents are composed, takes for one. */
export function isAlikePlace(a: RemotePlace, b: RemotePlace): boolean {
  return a.parent === b.parent && foldName(a.name) === foldName(b.name);
}

/** True where a node is wanted at that place. */
export function isWantedAt(node: Pick<TreeNode, 'parent' | 'remoteName'>, place: RemotePlace | undefined): boolean {
  return place !== undefined && node.parent === place.parent && node.remoteName === place.name;
}

/**
 * What is still to be done for one object: the wanted state differs from the service's, or did until lately. Of an object without a
 * record the tree's place is the service's, and its content too.
 */
export interface PendingRecord {
  readonly inode: number;
  readonly kind: 'file' | 'directory';
  /** Grows with each local change, over all records: a result of older work does not end the record. */
  readonly revision: number;
  /** Wall clock, ms, of the first and the latest local change that is not at the service. */
  readonly sinceMs: number;
  readonly changedAtMs: number;
  /** Where the service has it; undefined: nowhere. */
  readonly at: RemotePlace | undefined;
  /** The syncpoint of that place, where it was moved from there to another one: its folder there may be forgotten. */
  readonly fromSyncpoint?: SyncpointId | undefined;
  /** The user wants it gone: the tree has no such node any more, `gone` tells what the service has. */
  readonly gone: GoneObject | undefined;
  /** A file whose wanted content the service does not have: the node's `staged`, or, without one, `copyOf`. */
  readonly content: boolean;
  /** Of the content nothing but the modification time is new: where the service has other bytes by now, they are the newer ones. */
  readonly onlyTime?: boolean | undefined;
  /** Made by a program that has not closed it yet: a crash takes it back. */
  readonly unclosed: boolean;
  /** The content of a version that lies at another place, which has to be stored anew where the service cannot move it. */
  readonly copyOf: ContentReference | undefined;
  /** It is removed only after that inode's content has been stored. */
  readonly after: number | undefined;
  /** Uploads begun whose outcome no listing has shown yet (J3): a version like this is ours. */
  readonly sent: readonly SentContent[];
  /** Where calls that nobody has heard of yet were to make a folder, or move it or a file to: it may be there (J3). */
  readonly asked: readonly RemotePlace[];
  /** What goes on with an upload that was cut off. */
  readonly session: { readonly generation: number; readonly mark: string } | undefined;
  /** The generation whose bytes are safe against power loss (J8). */
  readonly durable: number | undefined;
  /** The machine went down before that: the generation is sent only if its bytes prove to be what was written. */
  readonly doubtful: number | undefined;
  /** A temporary place at the service, on the way to the wanted one (J9). */
  readonly via: RemotePlace | undefined;
  /** Stays on this machine: an editor's or a desktop's dropping. */
  readonly localOnly: boolean;
  /** The service refused it; it waits for the user. */
  readonly failed: { readonly kind: RemoteErrorKind; readonly message: string; readonly sinceMs: number } | undefined;
  /** When the service confirmed it, wall clock, ms: from then on the record only guards against listings that lag behind. */
  readonly doneAtMs: number | undefined;
  /** When the service last confirmed anything of it, wall clock, ms: listings requested before the lag window ends may not show it. */
  readonly confirmedAtMs: number | undefined;
  /** Places and versions that listings may still show until the guard ends. */
  readonly was: readonly RemotePlace[];
  readonly replaced: readonly VersionId[];
}

/** A record of an object that the service has at that place, with nothing pending as of `nowMs`. */
export function blankRecord(
  { inode, kind }: Pick<PendingRecord, 'inode' | 'kind'>,
  at: RemotePlace | undefined,
  nowMs: number,
): Omit<PendingRecord, 'revision'> {
  return {
    inode,
    kind,
    sinceMs: nowMs,
    changedAtMs: nowMs,
    at,
    gone: undefined,
    content: false,
    unclosed: false,
    copyOf: undefined,
    after: undefined,
    sent: [],
    asked: [],
    session: undefined,
    durable: undefined,
    doubtful: undefined,
    via: undefined,
    localOnly: false,
    failed: undefined,
    doneAtMs: undefined,
    confirmedAtMs: undefined,
    was: [],
    replaced: [],
  };
}

/** True where the service has all that is wanted of a node, and nothing it was asked for may have gone otherwise. */
export function isStoredAsWanted(record: PendingRecord, node: TreeNode): boolean {
  const { at, asked, content, via } = record;
  const told = node.kind === 'directory' || node.versionId !== undefined;
  const heard = at !== undefined && asked.every((place) => samePlace(place, at));
  return !content && isWantedAt(node, at) && told && heard && via === undefined;
}

/** True for what is not at the service, and is to be. */
export function isPending(record: PendingRecord): boolean {
  return record.doneAtMs === undefined && !record.localOnly;
}

/** Where something of it may have come to be that nobody has heard of yet. */
export function sentPlaces({ sent, asked }: PendingRecord): RemotePlace[] {
  return [...sent.map(({ place }) => place), ...asked];
}

/** What the service has of an object that was removed here. */
export type GoneObject =
  | {
      readonly kind: 'file';
      readonly fileId: FileId | undefined;
      readonly versionId: VersionId | undefined;
      readonly lengthBytes: number;
      readonly created: Timestamp;
      readonly modified: Timestamp;
      /** Of the version, where it is known. */
      readonly sha256?: string | undefined;
      /** The name it was shown under, for messages. */
      readonly path: string;
    }
  | {
      readonly kind: 'directory';
      readonly syncpointId: SyncpointId;
      /** Undefined while nobody knows whether it was made. */
      readonly folderId: FolderId | undefined;
      /** The tree's moment when what it holds was listed last; undefined where an older program wrote this. */
      readonly listedAt: number | undefined;
      readonly path: string;
    };

/** How a version made by an upload of ours can be told. */
export interface SentContent {
  readonly generation: number;
  /** Where it was sent to, wherever its file is now. */
  readonly place: RemotePlace;
  readonly lengthBytes: number;
  readonly modified: Timestamp;
  readonly sha256: string | undefined;
  /** The service said that it had these bytes already: then the version may carry any time. */
  readonly already?: boolean | undefined;
  /** The service said that it stored it, under ids that it did not tell. */
  readonly stored?: boolean | undefined;
}

/** Content that was being written when the daemon ended, or is being written now. */
export interface UnfinishedContent {
  readonly generation: number;
  readonly inode: number;
  readonly path: string;
  /** Wall clock, ms. */
  readonly sinceMs: number;
  /** Of a daemon that is gone. */
  readonly abandoned: boolean;
}

/** What lies in the service's trash, and is to be purged there. */
export type Purge = {
  /** What it was here. */
  readonly inode: number;
  readonly syncpointId: SyncpointId;
  /** For messages. */
  readonly path: string;
} & (
  { readonly kind: 'file'; readonly versionId: VersionId } | { readonly kind: 'folder'; readonly folderId: FolderId }
);

/** A file whose remote version won its name; ours was kept under another one. */
export interface ConflictRecord {
  readonly inode: number;
  /** What programs knew it as. */
  readonly path: string;
  readonly keptAs: string;
  /** Wall clock, ms. */
  readonly sinceMs: number;
}
