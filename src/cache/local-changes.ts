// What programs do to the tree through the mount: each verb one transaction of node, directory times and journal record. Decides
// what becomes pending; whether a change is allowed is decided before it gets here. Knows neither kernel nor service.
import { timestampOf, type Timestamp } from '../remote-drive.ts';
import { isDropping } from './droppings.ts';
import { generationsOf } from './tree/records.ts';
import {
  isWantedAt,
  sentPlaces,
  type GoneObject,
  type Journal,
  type JournalTransaction,
  type PendingRecord,
  type RemotePlace,
} from './journal.ts';
import {
  sameKeptTime,
  type LocalAttributes,
  type StagedContent,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
} from './tree.ts';

/** A name as programs see it and as the service is to have it. */
export interface NewName {
  readonly name: string;
  readonly remoteName: string;
}

/** Where a node is to be. */
export interface NewPlace extends NewName {
  readonly parent: TreeDirectory;
}

/** How changes are kept. */
export interface LocalChangesOptions {
  /** A modification time set without a change of content is brought to the service, which takes storing the content again. */
  readonly storesTimes?: boolean | undefined;
}

export class LocalChanges {
  readonly #journal: Journal;
  readonly #nowMs: () => number;
  readonly #storesTimes: boolean;

  /** `nowMs` is the wall clock. */
  constructor(journal: Journal, nowMs: () => number = Date.now, options: LocalChangesOptions = {}) {
    this.#journal = journal;
    this.#nowMs = nowMs;
    this.#storesTimes = options.storesTimes ?? false;
  }

  /**
   * Makes an empty file. `unclosed`: a program holds it open, and until the first commit of its content a crash takes it back. The name
   * must be free.
   */
  createFile(place: NewPlace, attributes: LocalAttributes, unclosed: boolean): TreeFile {
    const now = this.#now();
    return this.#journal.change(
      'local',
      (transaction) => {
        const file = transaction.put<TreeFile>({
          kind: 'file',
          inode: 0,
          parent: place.parent.inode,
          name: place.name,
          remoteName: place.remoteName,
          fileId: undefined,
          versionId: undefined,
          lengthBytes: 0,
          modified: now,
          created: now,
          sha256: undefined,
          staged: undefined,
          local: { accessed: now, changed: now, ...attributes },
        });
        transaction.putRecord({
          ...this.#journal.freshRecord(file, this.#nowMs()),
          at: undefined,
          content: true,
          unclosed,
          localOnly: isDropping(place.name),
        });
        this.#touch(transaction, place.parent.inode, now);
        return file;
      },
      unclosed ? 'loggable' : 'logged',
    );
  }

  /** Makes an empty directory. The name must be free. */
  makeDirectory(place: NewPlace, attributes: LocalAttributes): TreeDirectory {
    const now = this.#now();
    return this.#journal.change('local', (transaction) => {
      const directory = transaction.put<TreeDirectory>({
        kind: 'directory',
        inode: 0,
        parent: place.parent.inode,
        name: place.name,
        remoteName: place.remoteName,
        remote: undefined,
        syncpoint: undefined,
        modified: now,
        local: { accessed: now, changed: now, ...attributes },
      });
      transaction.putListing(directory.inode, this.#nowMs());
      transaction.putRecord({ ...this.#journal.freshRecord(directory, this.#nowMs()), at: undefined });
      this.#touch(transaction, place.parent.inode, now);
      return directory;
    });
  }

  /** Removes a file, or a directory that is empty. The service's copy is removed later. */
  remove(node: TreeNode): void {
    const now = this.#now();
    this.#journal.change('local', (transaction) => {
      this.#remove(transaction, node);
      this.#touch(transaction, node.parent, now);
    });
  }

  /** Moves a node, in place of `replaced` where that is given: a file over a file, or a directory over an empty one. Returns it as it is now. */
  rename(node: TreeNode, to: NewPlace, replaced: TreeNode | undefined): TreeNode {
    const now = this.#now();
    return this.#journal.change('local', (transaction) => {
      if (replaced !== undefined) this.#remove(transaction, replaced);
      const moved = this.#move(transaction, node, to, now);
      this.#touch(transaction, node.parent, now);
      if (to.parent.inode !== node.parent) this.#touch(transaction, to.parent.inode, now);
      return moved;
    });
  }

  /** Gives each of two nodes the other's place. */
  exchange(
    first: TreeNode,
    second: TreeNode,
    places: { readonly first: TreeDirectory; readonly second: TreeDirectory },
  ): void {
    const now = this.#now();
    this.#journal.change('local', (transaction) => {
      const at = (node: TreeNode, parent: TreeDirectory): NewPlace => ({ ...node, parent });
      this.#move(transaction, first, at(second, places.second), now);
      this.#move(transaction, second, at(first, places.first), now);
      this.#touch(transaction, first.parent, now);
      if (second.parent !== first.parent) this.#touch(transaction, second.parent, now);
    });
  }

  /** Changes attributes; those left out stay. A time of content that is pending goes with it, any other stays here, or is to be stored. */
  setAttributes(node: TreeNode, attributes: LocalAttributes): TreeNode {
    // What was not closed yet does not outlive a crash, whatever its attributes.
    const keeping = this.#journal.get(node.inode)?.unclosed === true ? 'loggable' : 'logged';
    return this.#journal.change(
      'local',
      (transaction) => {
        const changed = transaction.put<TreeNode>({
          ...node,
          local: { ...node.local, changed: this.#now(), ...attributes },
        });
        const record = transaction.record(node.inode);
        if (attributes.modified === undefined) return changed;
        if (record?.content === true && record.doneAtMs === undefined) {
          transaction.putRecord({ ...record, changedAtMs: this.#nowMs() });
        } else if (this.#storesTimes && node.kind === 'file' && !sameKeptTime(attributes.modified, node.modified)) {
          const pending = record?.doneAtMs === undefined ? record : undefined;
          const base = pending ?? { ...this.#journal.freshRecord(node, this.#nowMs()), ...guardOf(record) };
          transaction.putRecord({
            ...base,
            content: true,
            onlyTime: true,
            failed: undefined,
            changedAtMs: this.#nowMs(),
          });
        }
        return changed;
      },
      keeping,
    );
  }

  /** A generation of the file's content begins: a crash before its commit leaves it as unfinished. */
  beginContent(file: TreeFile, generation: number): void {
    this.#journal.change('local', (transaction) =>
      transaction.putUnfinished({
        generation,
        inode: file.inode,
        path: this.#journal.tree.path(file),
        sinceMs: this.#nowMs(),
        abandoned: false,
      }),
    );
  }

  /** Forgets a generation that never came to be: its file was unlinked and is closed. */
  endContent(generation: number): void {
    this.#journal.change('local', (transaction) => transaction.removeUnfinished(generation));
  }

  /**
   * The file has this content now (undefined: what it had, nothing was written since it was made), which is pending from here on (J2).
   * The bytes are in the staged file already (J1).
   */
  commitContent(
    file: TreeFile,
    staged: StagedContent | undefined,
    modified: Timestamp,
    changed: Timestamp = this.#now(),
  ): TreeFile {
    return this.#journal.change('local', (transaction) => {
      const committed = transaction.put<TreeFile>({
        ...file,
        staged: staged ?? file.staged,
        local: { ...file.local, modified, changed },
      });
      const record = transaction.record(file.inode);
      const fresh = this.#journal.freshRecord(file, this.#nowMs());
      transaction.putRecord(
        record === undefined || record.doneAtMs !== undefined
          ? { ...fresh, ...guardOf(record), content: true }
          : {
              ...record,
              content: true,
              onlyTime: staged === undefined ? record.onlyTime : undefined,
              unclosed: false,
              failed: undefined,
              changedAtMs: this.#nowMs(),
            },
      );
      // With what it lies over: of that a commit may have failed.
      for (const generation of generationsOf(staged)) transaction.removeUnfinished(generation);
      return committed;
    });
  }

  /**
   * The file's content is safe against power loss: fsync(2) made it so, or this machine by itself. Where that is forgotten, its hash tells
   * as well. What an earlier end of the machine may have touched stays in doubt.
   */
  madeDurable(inode: number, { id, sha256 }: StagedContent): void {
    this.#journal.change(
      'local',
      (transaction) => {
        const record = transaction.record(inode);
        if (record?.content === true && record.durable !== id && record.doubtful !== id) {
          transaction.updateRecord({ ...record, durable: id, doubtful: undefined });
        }
      },
      sha256 === undefined ? 'logged' : 'loggable',
    );
  }

  /** Content kept as cache makes room: the file shows the service's version from here on, which has the same bytes. */
  forgetKept(inode: number, generation: number): void {
    this.#journal.change('push', (transaction) => {
      const file = this.#journal.tree.node(inode);
      if (file?.kind !== 'file' || file.staged?.id !== generation || file.versionId === undefined) return;
      if (transaction.record(inode)?.content === true) return;
      transaction.put<TreeFile>({ ...file, staged: undefined });
    });
  }

  #remove(transaction: JournalTransaction, node: TreeNode): void {
    const record = transaction.record(node.inode);
    const at = this.#journal.place(node.inode);
    const gone = this.#goneObject(node);
    transaction.remove(node);
    transaction.removeConflict(node.inode);
    // What was to follow this object's content need not wait any longer: nobody wants it.
    for (const waiting of this.#journal.index.waitingFor(node.inode)) {
      transaction.putRecord({ ...(transaction.record(waiting.inode) ?? waiting), after: undefined });
    }
    const sentTo = record === undefined ? undefined : sentPlaces(record).at(-1);
    const object = at === undefined || gone === undefined ? this.#neverSeen(node, sentTo) : gone;
    if (object === undefined) {
      transaction.dropRecord(node.inode);
      return;
    }
    transaction.putRecord({
      ...(record ?? this.#journal.freshRecord(node, this.#nowMs())),
      at: at ?? sentTo,
      gone: object,
      changedAtMs: this.#nowMs(),
      content: false,
      unclosed: false,
      copyOf: undefined,
      session: undefined,
      via: undefined,
      failed: undefined,
      doneAtMs: undefined,
    });
  }

  #goneObject(node: TreeNode): GoneObject | undefined {
    const path = this.#journal.tree.path(node);
    if (node.kind === 'directory') {
      if (node.remote === undefined) return undefined;
      const listedAt = this.#journal.tree.listing(node.inode)?.moment;
      return { kind: 'directory', ...node.remote, listedAt, path };
    }
    if (node.versionId === undefined) return undefined;
    const { fileId, versionId, lengthBytes, created, modified, sha256 } = node;
    return { kind: 'file', fileId, versionId, lengthBytes, created, modified, sha256, path };
  }

  /** An object that was sent to a place: the service may have it there, under ids not told yet. Undefined where nothing was sent. */
  #neverSeen(node: TreeNode, sentTo: RemotePlace | undefined): GoneObject | undefined {
    if (sentTo === undefined) return undefined;
    const path = this.#journal.tree.path(node);
    if (node.kind === 'directory') {
      const above = this.#journal.folder(sentTo.parent);
      if (above === undefined) return undefined;
      return { kind: 'directory', syncpointId: above.syncpointId, folderId: undefined, listedAt: undefined, path };
    }
    const { lengthBytes, created, modified } = node;
    return { kind: 'file', fileId: undefined, versionId: undefined, lengthBytes, created, modified, path };
  }

  #move(transaction: JournalTransaction, node: TreeNode, to: NewPlace, now: Timestamp): TreeNode {
    const at = this.#journal.place(node.inode);
    const record = transaction.record(node.inode);
    // Whoever renames the copy of a conflict, or removes it, has seen it.
    transaction.removeConflict(node.inode);
    const moved = transaction.put<TreeNode>({
      ...node,
      parent: to.parent.inode,
      name: to.name,
      remoteName: to.remoteName,
      local: { ...node.local, changed: now },
    });
    const home = isWantedAt(moved, at);
    const guard = record === undefined || record.doneAtMs !== undefined;
    if (guard && home) return moved;
    const base = record === undefined ? this.#journal.freshRecord(node, this.#nowMs()) : record;
    // What was sent and not heard of is to be looked for wherever it is wanted now.
    const unheard = base.sent.length > 0 || base.asked.length > 0 || base.copyOf !== undefined;
    if (!guard && home && !record.content && !unheard) {
      // Back where it was before anything was sent; older places are still guarded against.
      // Listings that lag behind what the service confirmed lately are guarded against too.
      const isOver = record.was.length === 0 && record.confirmedAtMs === undefined;
      if (isOver) transaction.dropRecord(node.inode);
      else transaction.putRecord({ ...record, via: undefined, failed: undefined, doneAtMs: this.#nowMs() });
      return moved;
    }
    const unsent = at === undefined && base.sent.length === 0;
    const from = (at === undefined ? undefined : this.#journal.folder(at.parent)?.syncpointId) ?? base.fromSyncpoint;
    const isFromHere = from === this.#journal.tree.syncpointOf(to.parent)?.remote?.syncpointId;
    transaction.putRecord({
      ...base,
      at,
      fromSyncpoint: isFromHere ? undefined : from,
      changedAtMs: this.#nowMs(),
      localOnly: unsent && node.kind === 'file' && isDropping(to.name),
      failed: undefined,
      doneAtMs: undefined,
      content: guard ? false : base.content,
    });
    return moved;
  }

  /** A directory's set of entries changed. */
  #touch(transaction: JournalTransaction, inode: number, now: Timestamp): void {
    const directory = this.#journal.tree.node(inode);
    if (directory?.kind !== 'directory' || (directory.syncpoint === undefined && directory.parent === directory.inode))
      return;
    transaction.put<TreeDirectory>({
      ...directory,
      modified: now,
      local: { ...directory.local, modified: undefined, changed: now },
    });
  }

  #now(): Timestamp {
    return timestampOf(this.#nowMs());
  }
}

/** What of a record outlasts the change it was made for: later listings may still show what was before. */
function guardOf(
  record: PendingRecord | undefined,
): Partial<Pick<PendingRecord, 'sent' | 'replaced' | 'was' | 'confirmedAtMs'>> {
  if (record === undefined) return {};
  const { sent, replaced, was, confirmedAtMs } = record;
  return { sent, replaced, was, confirmedAtMs };
}
