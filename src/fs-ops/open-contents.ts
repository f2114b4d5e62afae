// The content of every file that is open: one object a node, shared by its handles, with what programs did to it since the last
// commit. Knows when content becomes the journal's; knows neither handles nor the kernel.
//
// J2: a commit is one transaction of constant time, made before FLUSH is answered; what arrives after the last FLUSH is committed with
// RELEASE. What was unlinked is never journaled: its bytes go with its last handle.
import type { Waiting } from '../base/after-reply.ts';
import { errno } from '../base/errno.ts';
import { foldName } from '../base/fold-name.ts';
import { createLog } from '../base/log.ts';
import type { Journal } from '../cache/journal.ts';
import type { LocalChanges } from '../cache/local-changes.ts';
import {
  shownLengthBytes,
  shownModified,
  type StagedContent,
  type TreeChange,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
} from '../cache/tree.ts';
import { conflictName } from '../cache/tree/naming.ts';
import { timestampOf, type ContentReference, type RemoteError, type Timestamp } from '../remote-drive.ts';
import { later, type UncommittedState } from './attributes.ts';
import { naming } from './names.ts';
import type { FrozenNode, Nodes } from './nodes.ts';
import { FsError, type Answer, type NodeId } from './operations.ts';

const log = createLog('fs-ops');

/** Where a content begins: the version of the service, and what this machine has over it. */
export interface ContentOrigin {
  readonly version: ContentReference | undefined;
  readonly staged: StagedContent | undefined;
}

/** Reads an open content for one handle, cut at the content's end; sees that handle's access pattern. */
export interface HandleReader {
  read(offsetBytes: number, lengthBytes: number, signal: AbortSignal): Answer<readonly Uint8Array[]>;
  /** What may keep the bytes from coming that somebody waits for. */
  readonly trouble: RemoteError | undefined;
  close(): void;
}

/** What the file system needs of an open content. Synchronous calls throw what {@link toFsError} knows. */
export interface FileContent {
  readonly lengthBytes: number;
  /** Changed since the last commit(). */
  readonly dirty: boolean;
  /** The generation that takes writes now; undefined before the first write. */
  readonly writingId: number | undefined;
  reader(): HandleReader;
  write(offsetBytes: number, data: Uint8Array, waiting: Waiting): void;
  /** Resolves when whoever wrote may write on; undefined where that is at once. */
  keptUp(): Promise<void> | undefined;
  truncate(lengthBytes: number): void;
  allocate(offsetBytes: number, lengthBytes: number, keepSize: boolean): void;
  punch(offsetBytes: number, lengthBytes: number): void;
  zeroRange(offsetBytes: number, lengthBytes: number): void;
  commit(): StagedContent;
  committed(staged: StagedContent): void;
  sync(): Promise<void>;
  rebase(origin: ContentOrigin): void;
  /** `keepsBytes`: what was committed and is in no file stays on the disk, because the journal still names it as unfinished. */
  close(keepsBytes?: boolean): void;
}

/** What the file system needs of the staging directory. */
export interface ContentStore {
  openContent(origin: ContentOrigin): FileContent;
}

/** What open contents work with. */
export interface OpenContentsOptions {
  readonly journal: Journal;
  readonly changes: LocalChanges;
  readonly staging: ContentStore;
  readonly nodes: Nodes;
  /** Wall clock. */
  readonly nowMs: () => number;
  /** Told of what nobody made by its name. */
  readonly onAppeared: (object: TreeNode) => void;
}

/** A generation is journaled as unfinished this long after its first write: most files are closed before, and need it never. */
const UNFINISHED_AFTER_MS = 500;

interface Opened {
  readonly node: NodeId;
  readonly content: FileContent;
  handles: number;
  /** Made by a program that has not closed it yet. */
  unclosed: boolean;
  /** Since the last commit. */
  modified: Timestamp | undefined;
  changed: Timestamp | undefined;
  /** Wall clock, ms, of the first change since the last commit. */
  sinceMs: number | undefined;
  /** Committed as content, and not in the journal because that failed. */
  unjournaled: StagedContent | undefined;
  /** The generations that the journal names as unfinished: more than one where commits failed. */
  unfinished: readonly number[];
}

/** The contents of open files, by node. */
export class OpenContents {
  readonly #options: OpenContentsOptions;
  readonly #opened = new Map<NodeId, Opened>();
  /** Written to, and not named by the journal yet. */
  readonly #unnamed = new Set<Opened>();
  #naming: NodeJS.Timeout | undefined;
  /** Inodes of files made by programs that are gone and that no commit could complete: the journal would hold them back for ever. */
  readonly #left = new Set<number>();

  constructor(options: OpenContentsOptions) {
    this.#options = options;
    options.journal.onNeeded((inode) => this.#tryToCommit(options.nodes.node(inode), false));
  }

  /** A handle of the node is opened; `file` is the object as the node shows it. `unclosed`: it was made by this very open. */
  open(node: NodeId, file: TreeFile, unclosed: boolean): FileContent {
    let opened = this.#opened.get(node);
    if (opened === undefined) {
      opened = {
        node,
        content: this.#options.staging.openContent(this.#requireOrigin(file)),
        handles: 0,
        unclosed,
        modified: undefined,
        changed: undefined,
        sinceMs: undefined,
        unjournaled: undefined,
        unfinished: [],
      };
      this.#opened.set(node, opened);
    }
    opened.handles += 1;
    return opened.content;
  }

  /** A handle of the node is gone; what it left uncommitted must have been committed before. */
  release(node: NodeId): void {
    const opened = this.#opened.get(node);
    if (opened === undefined) return;
    opened.handles -= 1;
    if (opened.handles > 0) return;
    this.#opened.delete(node);
    if (opened.unclosed) this.#left.add(this.#options.nodes.inode(node));
    opened.content.close(!this.#forgetUnfinished(opened));
  }

  /** What programs see of an open file that the tree does not have yet. */
  uncommitted(node: NodeId): UncommittedState | undefined {
    const opened = this.#opened.get(node);
    if (opened === undefined) return undefined;
    return { lengthBytes: opened.content.lengthBytes, modified: opened.modified, changed: opened.changed };
  }

  /** True where a node has changes that only a commit keeps. */
  dirty(node: NodeId): boolean {
    const opened = this.#opened.get(node);
    return opened !== undefined && (opened.content.dirty || opened.unjournaled !== undefined);
  }

  /** Runs a change of an open content, whose times become now where there is one: `work` tells. */
  change(node: NodeId, work: (content: FileContent) => boolean): void {
    const opened = this.#opened.get(node);
    if (opened === undefined) throw new FsError(errno.EBADF, `node ${node} is not open`);
    if (!work(opened.content)) return;
    const now = this.#now();
    opened.modified = now;
    opened.changed = now;
    opened.sinceMs ??= this.#options.nowMs();
    const { writingId } = opened.content;
    if (writingId !== undefined && !opened.unfinished.includes(writingId)) this.#nameLater(opened);
  }

  /** Sets the modification time that the next commit of a dirty file gives it. */
  setModified(node: NodeId, modified: Timestamp): void {
    const opened = this.#opened.get(node);
    if (opened !== undefined) opened.modified = modified;
  }

  /** Changes the length of a file that need not be open. With `commit` the journal has it at once, and the inode is returned as in {@link commit}. */
  truncate(node: NodeId, file: TreeFile, lengthBytes: number, commit: boolean): number | undefined {
    this.open(node, file, false);
    try {
      this.change(node, (content) => resize(content, lengthBytes));
      return commit ? this.commit(node) : undefined;
    } finally {
      this.release(node);
    }
  }

  /**
   * Hands what is uncommitted to the journal. `closing`: by a close(2) of the descriptor that made the file, which is complete from
   * then on even if nothing was written. Returns the inode that has something new to be stored.
   */
  commit(node: NodeId, closing = false): number | undefined {
    const opened = this.#opened.get(node);
    if (opened === undefined) return undefined;
    if (!this.dirty(node) && !(closing && opened.unclosed)) return undefined;
    const file = this.#committable(opened);
    if (file === undefined) return undefined;
    if (opened.content.dirty) opened.unjournaled = opened.content.commit();
    const staged = opened.unjournaled;
    // The times are those of the last change, not of this commit: who looked in between sees no other ones afterwards.
    const changed = later(opened.changed, file.local?.changed);
    this.#options.changes.commitContent(file, staged, opened.modified ?? shownModified(file), changed);
    opened.unjournaled = undefined;
    opened.unfinished = [];
    opened.unclosed = false;
    opened.modified = undefined;
    opened.changed = undefined;
    opened.sinceMs = undefined;
    this.#unnamed.delete(opened);
    if (staged !== undefined) opened.content.committed(staged);
    return file.inode;
  }

  /**
   * Commits what was first changed at least so long ago in files that stay open, so that it can be stored (J5). With 0 somebody waits for
   * all there is: new files that nothing was written to yet are then what they look like, too.
   */
  commitOlder(ageMs: number): void {
    for (const { node, sinceMs, unclosed } of [...this.#opened.values()]) {
      const isNew = unclosed && ageMs === 0;
      if (!isNew && (sinceMs === undefined || this.#options.nowMs() - sinceMs < ageMs)) continue;
      this.#tryToCommit(node, isNew);
    }
    for (const inode of this.#left) this.#complete(inode);
  }

  #tryToCommit(node: NodeId, closing: boolean): void {
    try {
      this.commit(node, closing);
    } catch (error) {
      // The program hears of it when it closes the file.
      log('node %d could not be committed: %O', node, error);
    }
  }

  /** A file that its program could not close, for want of room most likely, is from here on what it looks like: empty. */
  #complete(inode: number): void {
    const { changes, journal, nodes } = this.#options;
    if (this.#opened.has(nodes.node(inode))) return;
    const file = journal.tree.node(inode);
    try {
      if (file?.kind === 'file' && journal.get(inode)?.unclosed === true)
        changes.commitContent(file, undefined, shownModified(file), file.local?.changed);
      this.#left.delete(inode);
    } catch (error) {
      // Tried again with the next call.
      log('%s could not be completed: %O', file?.name, error);
    }
  }

  /**
   * Makes what is committed of an open node, and the journal that names it, safe against power loss (J8). The journal has to say so
   * itself, with one sync after the other, only of content that no hash proves.
   */
  async makeDurable(node: NodeId): Promise<void> {
    const { journal, nodes, changes } = this.#options;
    const { tree } = journal;
    const opened = this.#opened.get(node);
    const file = opened === undefined || nodes.frozen(node) !== undefined ? undefined : tree.node(nodes.inode(node));
    const staged = file?.kind === 'file' ? file.staged : undefined;
    const isProven = staged?.sha256 !== undefined;
    await Promise.all([opened?.content.sync(), isProven ? tree.flushed() : undefined]);
    if (file !== undefined && staged !== undefined) changes.madeDurable(file.inode, staged);
    if (!isProven) await tree.flushed();
  }

  /** The content of an open node, to be made safe against power loss. */
  content(node: NodeId): FileContent | undefined {
    return this.#opened.get(node)?.content;
  }

  /** A file was removed here: what is uncommitted of it never comes to be. */
  removed(node: NodeId): void {
    const opened = this.#opened.get(node);
    if (opened !== undefined) this.#forgetUnfinished(opened);
  }

  /** The same bytes have other ids now: our upload was stored, or what was kept of it went. */
  renamed(change: Extract<TreeChange, { kind: 'changed' }>, node: NodeId): void {
    const opened = this.#opened.get(node);
    if (opened === undefined || change.current.kind !== 'file' || this.dirty(node)) return;
    const origin = this.#origin(change.current);
    if (origin !== undefined) opened.content.rebase(origin);
  }

  /** Ends what would be named later. The handles, which hold the contents, are closed before. */
  stop(): void {
    clearTimeout(this.#naming);
    this.#unnamed.clear();
  }

  /** Undefined where nobody knows any more what the file holds. */
  #origin(file: TreeFile): ContentOrigin | undefined {
    const version = this.#options.journal.version(file);
    const lost = version === undefined && file.staged === undefined && shownLengthBytes(file) > 0;
    return lost ? undefined : { version, staged: file.staged };
  }

  #requireOrigin(file: TreeFile): ContentOrigin {
    const origin = this.#origin(file);
    if (origin !== undefined) return origin;
    throw new FsError(errno.ESTALE, `the content of ${this.#options.journal.tree.path(file)} is gone`);
  }

  /** The file that a commit of this content belongs to; undefined where it belongs to none, being unlinked. */
  #committable(opened: Opened): TreeFile | undefined {
    const { nodes, journal } = this.#options;
    const frozen = nodes.frozen(opened.node);
    if (frozen?.how === 'removed') return undefined;
    if (frozen?.object.kind === 'file') return this.#keepBoth(opened.node, frozen.object, frozen);
    const file = journal.tree.node(nodes.inode(opened.node));
    if (file?.kind === 'file' && journal.tree.syncpointOf(file) !== undefined) return file;
    throw new FsError(errno.ESTALE, `the folder of what is written to ${file?.name ?? 'a file'} is gone`);
  }

  /**
   * The service replaced what was being written, or lost it. Ours becomes a file of its own, which the node stands for from then on: under
   * its name where that is free, else beside theirs (J7).
   */
  #keepBoth(node: NodeId, file: TreeFile, { how, above }: FrozenNode): TreeFile {
    const { changes, journal, nodes } = this.#options;
    const { tree } = journal;
    const parent = this.#folderOf(file, above);
    if (parent === undefined) throw new FsError(errno.ESTALE, `the folder of ${file.name} is gone`);
    const sinceMs = this.#options.nowMs();
    let { name, remoteName } = file;
    if (how === 'replaced' || this.#namesake(parent, file) !== undefined) {
      name = this.#conflictName(file, parent);
      remoteName = name;
    }
    const ours = changes.createFile({ parent, name, remoteName }, file.local ?? {}, false);
    nodes.thawed(node, ours.inode);
    this.#options.onAppeared(ours);
    if (name === file.name) return ours;
    const path = tree.path(file);
    const keptAs = tree.path(ours);
    journal.change('local', (transaction) => transaction.putConflict({ inode: ours.inode, path, keptAs, sinceMs }));
    log('%s was replaced at the service while it was written here: ours is kept as %s', path, keptAs);
    return ours;
  }

  /** The folder of a file, made anew with those above it where others removed them; undefined where its syncpoint is gone. */
  #folderOf(file: TreeFile, above: readonly TreeDirectory[]): TreeDirectory | undefined {
    const { journal } = this.#options;
    const { tree } = journal;
    const attached = (inode: number): TreeDirectory | undefined => {
      const directory = tree.node(inode);
      return directory?.kind === 'directory' && tree.syncpointOf(directory) !== undefined ? directory : undefined;
    };
    let at = attached(file.parent);
    if (at !== undefined) return at;
    for (const directory of above) {
      at = attached(directory.inode) ?? (at === undefined ? undefined : this.#folderAgain(directory, at));
      if (at === undefined) return undefined;
    }
    return at;
  }

  #folderAgain(gone: TreeDirectory, parent: TreeDirectory): TreeDirectory {
    const { changes, journal, onAppeared } = this.#options;
    const there = this.#namesake(parent, gone);
    if (there?.kind === 'directory') return there;
    let { name, remoteName } = gone;
    if (there !== undefined) {
      name = this.#conflictName(gone, parent);
      remoteName = name;
    }
    const again = changes.makeDirectory({ parent, name, remoteName }, { permissions: gone.local?.permissions });
    onAppeared(again);
    log('%s was removed at the service: it is made anew for what is written in it', journal.tree.path(again));
    return again;
  }

  /** What has the name of a node in a directory by now, or one that the service may take for it. */
  #namesake(parent: TreeDirectory, { name, remoteName }: TreeNode): TreeNode | undefined {
    const { tree } = this.#options.journal;
    const there = tree.child(parent.inode, name);
    if (there !== undefined) return there;
    const folded = foldName(remoteName);
    for (const child of tree.children(parent.inode)) if (foldName(child.remoteName) === folded) return child;
    return undefined;
  }

  #conflictName(ours: TreeNode, parent: TreeDirectory): string {
    const isTaken = (name: string): boolean => this.#options.journal.tree.child(parent.inode, name) !== undefined;
    return conflictName(naming, ours, isTaken, new Date(this.#options.nowMs()));
  }

  /** False where the journal goes on naming what was written to it as unfinished. */
  #forgetUnfinished(opened: Opened): boolean {
    this.#unnamed.delete(opened);
    const { unfinished } = opened;
    opened.unfinished = [];
    try {
      for (const generation of unfinished) this.#options.changes.endContent(generation);
      return true;
    } catch (error) {
      // A full disk: the next start tells of it as unfinished, and the handle is gone all the same.
      log('generations %o could not be taken out of the journal: %O', unfinished, error);
      return false;
    }
  }

  /** Has the journal name what is being written, unless it is committed before. */
  #nameLater(opened: Opened): void {
    this.#unnamed.add(opened);
    this.#naming ??= setTimeout(() => {
      this.#naming = undefined;
      for (const late of this.#unnamed) this.#name(late);
      this.#unnamed.clear();
    }, UNFINISHED_AFTER_MS).unref();
  }

  #name(opened: Opened): void {
    const { changes, journal, nodes } = this.#options;
    const generation = opened.content.writingId;
    const frozen = nodes.frozen(opened.node);
    if (generation === undefined || frozen?.how === 'removed') return;
    const file = frozen?.object ?? journal.tree.node(nodes.inode(opened.node));
    if (file?.kind !== 'file') return;
    try {
      changes.beginContent(file, generation);
      opened.unfinished = [...opened.unfinished, generation];
    } catch (error) {
      // A full disk, most likely: the writer hears of it at its next write, or when it closes.
      log('%s is written to and could not be journaled: %O', journal.tree.path(file), error);
    }
  }

  #now(): Timestamp {
    return timestampOf(this.#options.nowMs());
  }
}

/** A length that is there already is no change: it must not have the content stored again. */
export function resize(content: FileContent, lengthBytes: number): boolean {
  if (content.lengthBytes === lengthBytes) return false;
  content.truncate(lengthBytes);
  return true;
}
