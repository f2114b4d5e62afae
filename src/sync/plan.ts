// What is to be done next for one record of the journal: pure reading of journal, tree and what is under way. J5, J6 and J9 are
// kept here: one upload a file, nothing removed before what replaces it is stored, nothing sent below a folder that moves.
import { foldName } from '../base/fold-name.ts';
import { samePlace, sentPlaces, type Journal, type PendingRecord, type RemotePlace } from '../cache/journal.ts';
import type { TreeDirectory, TreeFile, TreeNode } from '../cache/tree.ts';
import type { FolderId, MoveSupport, RemoteEntry, SyncpointId } from '../remote-drive.ts';

/** The next step for an object. */
export type Step =
  /** Nothing, until its record changes. */
  | { readonly kind: 'rest' }
  /** Nothing is left to do: the record becomes a guard. */
  | { readonly kind: 'settle' }
  /** Not before that time, wall clock, ms. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  /** Something else has to be done first, for that inode. */
  | { readonly kind: 'blocked'; readonly by: number }
  | { readonly kind: 'make-folder'; readonly node: TreeDirectory; readonly parent: FolderPlace; readonly name: string }
  | { readonly kind: 'store'; readonly node: TreeFile; readonly place: RemotePlace }
  /** Stored, as the service says, but under ids it did not tell; or a reply was lost: a listing of the folder may show it. */
  | { readonly kind: 'confirm'; readonly folders: readonly number[] }
  /** It was looked for as long as listings lag. */
  | { readonly kind: 'give-up-looking' }
  | {
      readonly kind: 'move';
      readonly node: TreeNode;
      readonly from: FolderPlace;
      readonly to: FolderPlace;
      readonly name: string;
    }
  /** The service cannot move it: it becomes new content and a removal. */
  | { readonly kind: 'detach'; readonly node: TreeNode }
  /** A way round something that is in the way of itself: a temporary name at the service. */
  | { readonly kind: 'detour'; readonly place: RemotePlace }
  /** The file that was removed there lives on as this one's former version. */
  | { readonly kind: 'inherit'; readonly from: PendingRecord }
  | { readonly kind: 'remove-file'; readonly record: PendingRecord }
  | { readonly kind: 'remove-folder'; readonly record: PendingRecord };

/** A folder at the service, and the inode that stands for it. */
export interface FolderPlace {
  readonly inode: number;
  readonly syncpointId: SyncpointId;
  readonly folderId: FolderId;
}

/** What the plan has to know besides journal and tree. */
export interface Surroundings {
  readonly journal: Journal;
  /** Inodes that a step is under way for, with the folders at the service that it names, by inode. */
  readonly underWay: ReadonlyMap<number, UnderWay>;
  readonly settleMs: number;
  /** True while a flush hurries everything on. */
  readonly hurried: boolean;
  moveSupport(syncpointId: SyncpointId, kind: RemoteEntry['kind']): MoveSupport;
  /** True for an object that the service would not move lately, whatever it says of others. */
  isImmovable(inode: number): boolean;
  /** When a file that is open for writing may be sent at the earliest, wall clock, ms. */
  openFileDueMs(record: PendingRecord): number;
  /** When to look next for an upload whose outcome nobody told, wall clock, ms; undefined: it was looked for long enough. */
  lookAtMs(record: PendingRecord): number | undefined;
}

export interface UnderWay {
  /** Where an upload goes to. */
  readonly place: RemotePlace | undefined;
  /** Folders at the service on the way there. */
  readonly folders: ReadonlySet<number>;
}

const rest: Step = { kind: 'rest' };
/** How often a removal looks whether programs have closed the file. */
const OPEN_LOOK_MS = 2_000;
/** Others are not shown it for longer than that. */
const OPEN_MS_MAX = 3_600_000;

/** The step for a record as of `nowMs`, wall clock. */
export function nextStep(record: PendingRecord, nowMs: number, around: Surroundings): Step {
  if (record.doneAtMs !== undefined || record.failed !== undefined || record.localOnly || record.unclosed) return rest;
  const due = record.changedAtMs + around.settleMs;
  // A clock set back must not hold anything for longer than the settling takes.
  if (!around.hurried && nowMs < due && nowMs >= record.changedAtMs) return { kind: 'wait', untilMs: due };
  if (record.gone !== undefined) return removal(record, nowMs, around);
  const node = around.journal.tree.node(record.inode);
  if (node === undefined) return { kind: 'settle' };
  // A way round through a folder that was removed since leads nowhere: another one is found where one is needed still.
  if (record.via !== undefined && !isKept(around.journal, record.via.parent)) return { kind: 'settle' };
  const step =
    node.kind === 'directory' ? folderStep(record, node, nowMs, around) : fileStep(record, node, nowMs, around);
  return step;
}

function removal(record: PendingRecord, nowMs: number, around: Surroundings): Step {
  const { journal } = around;
  const { gone, at } = record;
  if (record.after !== undefined && !isStored(journal, record.after)) return { kind: 'blocked', by: record.after };
  if (at === undefined || gone === undefined) return { kind: 'settle' };
  if (gone.kind === 'directory' && gone.folderId === undefined) return looking(record, nowMs, around);
  const above = journal.get(at.parent);
  if (above?.gone !== undefined && above.doneAtMs === undefined && above.failed === undefined)
    return { kind: 'blocked', by: at.parent };
  // It went with its folder, unless a move that nobody heard of took it to another one.
  if (![at, ...record.asked].some(({ parent }) => isAlive(journal, parent))) return { kind: 'settle' };
  // Programs read what they have open to its end, and a service need not give anything of what is in its trash.
  const mayWait = !around.hurried && nowMs - record.changedAtMs < OPEN_MS_MAX && !isWantedPlace(journal, at);
  if (mayWait && isReadInside(journal, record)) return { kind: 'wait', untilMs: nowMs + OPEN_LOOK_MS };
  if (gone.kind === 'file') {
    if (gone.versionId === undefined) return looking(record, nowMs, around);
    // Where a move of it may have come through unheard, it is perhaps not in anybody's place: it goes by its id.
    const isThere = record.asked.length === 0;
    const heir = isThere && record.after === undefined ? heirOf(journal, at) : undefined;
    if (heir !== undefined) return { kind: 'blocked', by: heir };
    // What was stored last may have come to be under ids that nobody told: removing what was there before would leave it.
    return record.sent.length > 0 ? looking(record, nowMs, around) : { kind: 'remove-file', record };
  }
  for (const [inode, { folders }] of around.underWay)
    if (folders.has(record.inode)) return { kind: 'blocked', by: inode };
  const holdsBack = livingInside(journal, record.inode);
  return holdsBack === undefined ? { kind: 'remove-folder', record } : { kind: 'blocked', by: holdsBack };
}

/** True where something else is to be in the place of what was removed. */
function isWantedPlace(journal: Journal, place: RemotePlace): boolean {
  const node = journal.tree.child(place.parent, place.name);
  return node !== undefined && samePlace(wantedPlace(node), place);
}

/** True where programs have a removed file open, or one that was removed with the folder. */
function isReadInside(journal: Journal, { inode, kind }: PendingRecord): boolean {
  if (kind === 'file') return journal.isOpen(inode);
  if (!journal.isRemovedOpen()) return false;
  for (const record of journal.index.inFolder(inode))
    if (record.gone !== undefined && record.doneAtMs === undefined && isReadInside(journal, record)) return true;
  return false;
}

/** True for a folder that the service has, or is to have. */
export function isAlive(journal: Journal, folder: number): boolean {
  const record = journal.get(folder);
  if (record?.gone !== undefined) return record.doneAtMs === undefined;
  return journal.tree.node(folder) !== undefined;
}

/** True for a folder that the service has and that is not to be removed. */
function isKept(journal: Journal, folder: number): boolean {
  return journal.get(folder)?.gone === undefined && journal.folder(folder) !== undefined;
}

/** New content that is wanted in the place of a file removed here: it becomes that file's next version, so nothing goes before it (J6). */
function heirOf(journal: Journal, place: RemotePlace): number | undefined {
  const node = journal.tree.child(place.parent, place.name);
  if (node?.kind !== 'file' || !samePlace(wantedPlace(node), place)) return undefined;
  const record = journal.get(node.inode);
  if (record === undefined || record.localOnly || record.doneAtMs !== undefined) return undefined;
  return hasBytes(node, record) ? node.inode : undefined;
}

/**
 * True for new content that lies here. Whatever else there is, a file never written to or a version at another place, would show the
 * old version's bytes as soon as the file has its ids.
 */
function hasBytes(node: TreeFile, { content }: PendingRecord): boolean {
  return content && node.staged !== undefined;
}

/** Something that the service has below a folder removed here, and that is not removed here; or a removal that must wait. */
function livingInside(journal: Journal, folder: number): number | undefined {
  for (const record of journal.index.inFolder(folder)) {
    if (record.at?.parent !== folder || record.doneAtMs !== undefined) continue;
    if (record.gone === undefined) return record.inode;
    if (record.gone.kind === 'directory' && record.gone.folderId === undefined) return record.inode;
    if (record.after !== undefined && !isStored(journal, record.after)) return record.after;
    const inside = record.kind === 'directory' ? livingInside(journal, record.inode) : undefined;
    if (inside !== undefined) return inside;
  }
  return undefined;
}

/** True where the content of a file is at the service for certain. */
function isStored(journal: Journal, inode: number): boolean {
  const record = journal.get(inode);
  if (record === undefined || record.doneAtMs !== undefined || record.gone !== undefined) return true;
  const node = journal.tree.node(inode);
  return node?.kind !== 'file' || (!record.content && node.versionId !== undefined);
}

/** J3: what may have come through is looked for, where it was sent to, before anything is sent again. */
function looking(record: PendingRecord, nowMs: number, around: Surroundings): Step {
  const untilMs = around.lookAtMs(record);
  if (untilMs === undefined) return { kind: 'give-up-looking' };
  if (nowMs < untilMs) return { kind: 'wait', untilMs };
  const places = [...sentPlaces(record), ...(record.at === undefined ? [] : [record.at])];
  return { kind: 'confirm', folders: [...new Set(places.map(({ parent }) => parent))] };
}

function folderStep(record: PendingRecord, node: TreeDirectory, nowMs: number, around: Surroundings): Step {
  const { journal } = around;
  const target = record.via ?? wantedPlace(node);
  // It may have been made elsewhere, by a call that nobody heard of.
  if (record.at === undefined && record.asked.some((place) => !samePlace(place, target))) {
    return looking(record, nowMs, around);
  }
  const inTheWay = blockedAbove(target.parent, around);
  if (inTheWay !== undefined) return inTheWay;
  const parent = folderPlace(journal, target.parent);
  if (parent === undefined) return { kind: 'blocked', by: target.parent };
  if (record.at !== undefined && samePlace(record.at, target)) {
    return mayBeElsewhere(record, target) ? looking(record, nowMs, around) : arrived(record, node, around);
  }
  if (record.at !== undefined && !isMovable(record.at, node, parent, around)) {
    return leaving(record, record.at, node, target, nowMs, around);
  }
  const occupied = occupant(record, target, around);
  if (occupied !== undefined) return { kind: 'blocked', by: occupied.inode };
  if (record.at === undefined) return { kind: 'make-folder', node, parent, name: target.name };
  return moving(record.at, node, parent, target.name, around);
}

function fileStep(record: PendingRecord, node: TreeFile, nowMs: number, around: Surroundings): Step {
  const { journal } = around;
  if (journal.isOpenForWriting(node.inode) && !around.hurried) {
    const untilMs = around.openFileDueMs(record);
    if (nowMs < untilMs) return { kind: 'wait', untilMs };
  }
  const target = record.via ?? wantedPlace(node);
  if (record.sent.length > 0) return looking(record, nowMs, around);
  const inTheWay = blockedAbove(target.parent, around);
  if (inTheWay !== undefined) return inTheWay;
  const parent = folderPlace(journal, target.parent);
  if (parent === undefined) return { kind: 'blocked', by: target.parent };
  const home = record.at !== undefined && samePlace(record.at, target);
  if (home && mayBeElsewhere(record, target)) return looking(record, nowMs, around);
  if (!record.content && home) {
    return node.versionId === undefined ? { kind: 'give-up-looking' } : arrived(record, node, around);
  }
  const occupied = home ? undefined : occupant(record, target, around);
  if (record.at !== undefined && !home) {
    // New content that takes a removed file's place becomes that file's next version, and only then goes what is left behind (J6).
    const replaces = record.content && occupied?.gone?.kind === 'file';
    if (replaces || !isMovable(record.at, node, parent, around))
      return leaving(record, record.at, node, target, nowMs, around);
  }
  if (occupied !== undefined) {
    const { gone, after, asked, failed } = occupied;
    const isThere = asked.length === 0 && occupied.at?.name === target.name;
    const heir = record.at === undefined && hasBytes(node, record) && isThere;
    const free = !around.underWay.has(occupied.inode) && after === undefined && failed === undefined;
    if (heir && free && gone?.kind === 'file' && gone.versionId !== undefined)
      return { kind: 'inherit', from: occupied };
    return { kind: 'blocked', by: occupied.inode };
  }
  if (record.at === undefined || home) return { kind: 'store', node, place: target };
  return moving(record.at, node, parent, target.name, around);
}

/** A move away from its place may have come through, and nobody has heard of it. */
function mayBeElsewhere({ asked }: PendingRecord, target: RemotePlace): boolean {
  return asked.some((place) => !samePlace(place, target));
}

/** It is at its place, or on its way round to it: there it stays, with what is put into it meanwhile, until its own place is free. */
function arrived(record: PendingRecord, node: TreeNode, around: Surroundings): Step {
  if (record.via === undefined) return { kind: 'settle' };
  const inTheWay = blockedAbove(node.parent, around);
  if (inTheWay !== undefined) return inTheWay;
  const occupied = occupant(record, wantedPlace(node), around);
  return occupied === undefined ? { kind: 'settle' } : { kind: 'blocked', by: occupied.inode };
}

function moving(at: RemotePlace, node: TreeNode, to: FolderPlace, name: string, around: Surroundings): Step {
  for (const [inode, { folders }] of around.underWay)
    if (folders.has(node.inode)) return { kind: 'blocked', by: inode };
  const from = folderPlace(around.journal, at.parent);
  return from === undefined ? { kind: 'settle' } : { kind: 'move', node, from, to, name };
}

/** True unless the service is known not to move it. */
function isMovable(at: RemotePlace, node: TreeNode, to: FolderPlace, around: Surroundings): boolean {
  const from = folderPlace(around.journal, at.parent);
  const kind = node.kind === 'directory' ? 'folder' : 'file';
  if (from?.syncpointId !== to.syncpointId || around.isImmovable(node.inode)) return false;
  if (node.kind === 'file' && isSucceeded(node, around.journal)) return false;
  return around.moveSupport(to.syncpointId, kind) !== 'no';
}

/**
 * True for a file whose name others gave to one made here: what that stored is its next version, and a move would take that along. The two
 * are one at the service until this one is stored anew.
 */
function isSucceeded({ inode, fileId }: TreeFile, journal: Journal): boolean {
  if (fileId === undefined) return false;
  const storedMs = journal.get(inode)?.confirmedAtMs ?? 0;
  return journal.index
    .withRemoteId('file', fileId)
    .some((one) => one.inode !== inode && one.gone === undefined && (one.confirmedAtMs ?? 0) > storedMs);
}

/** What cannot be moved leaves its old self behind, to be removed when it is stored anew. */
function leaving(
  record: PendingRecord,
  at: RemotePlace,
  node: TreeNode,
  to: RemotePlace,
  nowMs: number,
  around: Surroundings,
): Step {
  // A move that nobody heard of may have taken it elsewhere, and what is left behind is known by its place alone.
  if (mayBeElsewhere(record, at)) return looking(record, nowMs, around);
  for (const [inode, { folders }] of around.underWay)
    if (folders.has(node.inode)) return { kind: 'blocked', by: inode };
  // Its folder is what an upload without an answer is looked for in.
  for (const theirs of around.journal.index.inFolder(node.inode)) {
    // What moves is known by its id, wherever it is.
    const sentTo = theirs.at === undefined ? sentPlaces(theirs) : theirs.sent.map(({ place }) => place);
    const isThere = sentTo.some(({ parent }) => parent === node.inode);
    if (isThere && theirs.doneAtMs === undefined) return { kind: 'blocked', by: theirs.inode };
  }
  // A service blind to case would take the new name for the old file.
  const caseOnly = at.parent === to.parent && foldName(at.name) === foldName(to.name);
  if (caseOnly && record.via === undefined) {
    return { kind: 'detour', place: { parent: to.parent, name: temporaryName(node) } };
  }
  return { kind: 'detach', node };
}

/** A directory above that is to be made or moved first, here or where it is at the service. */
function blockedAbove(directory: number, around: Surroundings): Step | undefined {
  const { journal } = around;
  let at = directory;
  for (let depth = 0; depth < 4096; depth += 1) {
    const node = journal.tree.node(at);
    if (node?.kind !== 'directory' || node.syncpoint !== undefined) return undefined;
    const record = journal.get(at);
    if (record !== undefined && record.doneAtMs === undefined) {
      const failed = record.failed !== undefined && record.at !== undefined;
      const away = record.at === undefined || !samePlace(record.at, record.via ?? wantedPlace(node));
      if (away && !failed) return { kind: 'blocked', by: at };
      if (around.underWay.has(at)) return { kind: 'blocked', by: at };
    }
    at = node.parent;
  }
  return undefined;
}

/** What the service has, or is being sent, at a place that is to be this object's. */
function occupant(record: PendingRecord, target: RemotePlace, around: Surroundings): PendingRecord | undefined {
  const { journal } = around;
  for (const [inode, { place }] of around.underWay) {
    if (inode === record.inode || place?.parent !== target.parent || foldName(place.name) !== foldName(target.name))
      continue;
    const sender = journal.get(inode);
    if (sender !== undefined) return sender;
  }
  // What was sent there and not heard of may come to be there, wherever its file is to be now.
  const sent = journal.index
    .sentNear(target)
    .find(({ inode, doneAtMs }) => inode !== record.inode && doneAtMs === undefined);
  return (
    sent ??
    journal.index
      .near(target)
      .find(
        ({ inode, gone, doneAtMs }) =>
          inode !== record.inode && !(doneAtMs !== undefined && gone !== undefined) && !isHome(journal, inode),
      )
  );
}

/** True for an object that is where it is wanted: it is in nobody's way but that of a name told apart by more than case. */
function isHome(journal: Journal, inode: number): boolean {
  const record = journal.get(inode);
  const node = journal.tree.node(inode);
  if (record?.at === undefined || node === undefined) return false;
  return samePlace(record.at, wantedPlace(node)) && record.via === undefined;
}

/** The folder at the service that an inode stands for. */
export function folderPlace(journal: Journal, inode: number): FolderPlace | undefined {
  const folder = journal.folder(inode);
  return folder === undefined ? undefined : { inode, syncpointId: folder.syncpointId, folderId: folder.folderId };
}

/**
 * The way out of a circle of objects that wait for each other: one of them goes by a temporary name, in a folder that is none of them
 * (J9). Undefined where each has a way already.
 */
export function wayOut(
  circle: readonly number[],
  around: Surroundings,
): { readonly inode: number; readonly place: RemotePlace } | undefined {
  const { journal } = around;
  const candidates = circle.flatMap((inode) => {
    const record = journal.get(inode);
    const node = journal.tree.node(inode);
    if (record === undefined || record.doneAtMs !== undefined || record.via !== undefined || node === undefined)
      return [];
    const parent = folderOutside((record.at ?? wantedPlace(node)).parent, circle, journal);
    const to = parent === undefined ? undefined : folderPlace(journal, parent);
    if (to === undefined) return [];
    const movable = record.at !== undefined && isMovable(record.at, node, to, around);
    // What has to be stored anew takes what it holds along.
    return [
      {
        inode,
        place: { parent: to.inode, name: temporaryName(node) },
        cost: movable ? 0 : node.kind === 'file' ? 2 : 1,
      },
    ];
  });
  return candidates.toSorted((a, b) => a.cost - b.cost)[0];
}

/** The nearest folder, from that one up at the service, that is neither to be removed nor in the circle. */
function folderOutside(folder: number, circle: readonly number[], journal: Journal): number | undefined {
  let at: number | undefined = folder;
  for (let depth = 0; at !== undefined && depth < 4096; depth += 1) {
    if (!circle.includes(at) && isKept(journal, at)) return at;
    at = journal.place(at)?.parent ?? journal.tree.node(at)?.parent;
  }
  return undefined;
}

/** A name at the service that nobody else gives: the object's inode is this machine's alone, so the clock goes with it. */
function temporaryName(node: TreeNode): string {
  return `.syncplicityfs-${node.inode}-${Date.now().toString(36)}`;
}

function wantedPlace(node: TreeNode): RemotePlace {
  return { parent: node.parent, name: node.remoteName };
}
