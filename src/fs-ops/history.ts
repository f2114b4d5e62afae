// What files were and what folders held, beside the tree: `.versions/FILE/` in each folder has the versions of a file, `.deleted/` what was
// removed from the folder. Both are reached by name only and cost nothing until somebody looks into them; nothing of them is in the tree or
// the journal, and no verb changes anything in them. All that is not theirs goes on to the file system as it came.
import { errno } from '../base/errno.ts';
import type { ContentReader } from '../cache/blocks.ts';
import type { Journal } from '../cache/journal.ts';
import type { TreeDirectory, TreeFile } from '../cache/tree.ts';
import type { ContentReference, RemoteDrive, RemoteEntry, RemoteVersion } from '../remote-drive.ts';
import type { FileSystem } from './file-system.ts';
import { attributesLifetimeMs, historyAttributes } from './history/attributes.ts';
import { CONTENTS_LIFETIME_MS, HistoryContents } from './history/contents.ts';
import { namedRemovals, namedVersions } from './history/names.ts';
import {
  FIRST_HISTORY_NUMBER,
  HistoryNodes,
  type HistoryDirectory,
  type HistoryFile,
  type HistoryNode,
} from './history/nodes.ts';
import { HANDLES_MAX } from './open-files.ts';
import {
  FsError,
  ROOT_NODE,
  type Answer,
  type Attributes,
  type Caller,
  type Entry,
  type NodeId,
  type NoEntry,
  type OpenDirectory,
  type OpenFile,
  type RowSink,
} from './operations.ts';

/** The names that are reached in each folder that the service has. An entry of the folder that is called so comes first. */
export const VERSIONS_NAME = '.versions';
export const DELETED_NAME = '.deleted';

/** What the history works with. */
export interface HistoryOptions {
  readonly fileSystem: FileSystem;
  readonly journal: Journal;
  readonly drive: Pick<RemoteDrive, 'versions' | 'deleted'>;
  readonly reader: (content: ContentReference) => ContentReader;
  /** True while content waits for the limit on bandwidth: reads are then not timed out. */
  readonly isHeldBack: () => boolean;
}

const DOT_COOKIE = 1;
const DOT_DOT_COOKIE = 2;
const O_ACCMODE = 3;
const O_TRUNC = 0o1000;

interface Child {
  readonly name: string;
  readonly key: string;
  readonly value: HistoryNode;
}

type Handle =
  | { readonly kind: 'file'; readonly file: HistoryFile; readonly reader: ContentReader }
  | { readonly kind: 'directory'; readonly directory: HistoryDirectory; readonly children: readonly Child[] };

/** The nodes beside the tree, and what can be done with them. */
export class History {
  readonly #options: HistoryOptions;
  readonly #nodes = new HistoryNodes();
  readonly #contents: HistoryContents;
  readonly #handles = new Map<number, Handle>();
  #nextHandle = FIRST_HISTORY_NUMBER;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#contents = new HistoryContents(options.drive);
  }

  /** True for node ids and handles of this kind. */
  owns(number: number): boolean {
    return number >= FIRST_HISTORY_NUMBER;
  }

  /** True for the names that are reached in folders. */
  reserves(name: string): boolean {
    return name === VERSIONS_NAME || name === DELETED_NAME;
  }

  /** What a folder of the tree has under a reserved name, where it has no entry of that name; counts one lookup. */
  enter(folder: NodeId, name: string): Entry | undefined {
    const { journal, fileSystem } = this.#options;
    const directory = fileSystem.view.directory(folder);
    const remote = journal.folder(directory.inode);
    if (remote === undefined) return undefined;
    const { syncpointId, folderId } = remote;
    const facts = { directory: directory.inode, syncpointId } as const;
    const key = `${name}/${directory.inode}`;
    const value = this.#nodes.place(key, () => ({
      kind: 'directory',
      parentInode: directory.inode,
      path: `${journal.tree.path(directory)}/${name}`,
      modified: directory.modified,
      about:
        name === VERSIONS_NAME
          ? { ...facts, kind: 'versions' }
          : { ...facts, kind: 'removed', folder: { syncpointId, folderId, isRemoved: false } },
    }));
    return this.#grant({ name, key, value });
  }

  lookup(parent: NodeId, name: string, caller: Caller): Answer<Entry | NoEntry> {
    const directory = this.#directory(parent);
    const found = (child: Child | undefined): Entry | NoEntry =>
      child === undefined ? { node: 0, entryLifetimeMs: 0 } : this.#grant(child);
    if (directory.about.kind === 'versions') {
      const { inode } = this.#folder(directory);
      return this.#listed(directory, caller, () => {
        const file = this.#options.journal.tree.child(inode, name);
        return found(file?.kind === 'file' ? this.#fileVersions(directory, file) : undefined);
      });
    }
    return then(this.#children(directory, caller), (children) => found(children.find((child) => child.name === name)));
  }

  forget(node: NodeId, count: number): void {
    this.#nodes.letGo(node, count);
  }

  getAttributes(node: NodeId): { readonly attributes: Attributes; readonly lifetimeMs: number } {
    const value = this.#node(node);
    return {
      attributes: historyAttributes(value, this.#options.fileSystem.view.ownership),
      lifetimeMs: attributesLifetimeMs(value),
    };
  }

  open(node: NodeId, flags: number): OpenFile {
    const file = this.#node(node);
    if (file.kind === 'directory') throw new FsError(errno.EISDIR, `${file.path} is a directory`);
    if ((flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0) throw readOnly(file.path);
    const reader = this.#options.reader(file.content);
    return { handle: this.#handle({ kind: 'file', file, reader }), keepCache: true };
  }

  read(handle: number, offsetBytes: number, lengthBytes: number, caller: Caller): Answer<readonly Uint8Array[]> {
    const opened = this.#handles.get(handle);
    if (opened?.kind !== 'file') throw new FsError(errno.EBADF, `no open file ${handle}`);
    const { file, reader } = opened;
    if (offsetBytes >= file.content.lengthBytes) return [];
    const { waits } = this.#options.fileSystem;
    return waits.run(
      'read',
      () => file.path,
      caller,
      async (signal) => {
        try {
          return await reader.read(offsetBytes, lengthBytes, signal);
        } catch (error) {
          throw notOfTheName(waits.failed('read', file.path, error), errno.EIO);
        }
      },
      undefined,
      this.#options.isHeldBack,
    );
  }

  openDirectory(node: NodeId, caller: Caller): Answer<OpenDirectory> {
    const directory = this.#directory(node);
    return then(this.#children(directory, caller), (children) => {
      return {
        handle: this.#handle({ kind: 'directory', directory, children }),
        cacheEntries: false,
        keepCache: false,
      };
    });
  }

  readDirectory(handle: number, cookie: number, plus: boolean, sink: RowSink): void {
    const opened = this.#handles.get(handle);
    if (opened?.kind !== 'directory') throw new FsError(errno.EBADF, `no open directory ${handle}`);
    const { node, parentInode } = opened.directory;
    if (cookie < DOT_COOKIE && !sink({ name: '.', inode: node, type: 'directory', cookie: DOT_COOKIE })) return;
    const above = { name: '..', inode: parentInode, type: 'directory', cookie: DOT_DOT_COOKIE } as const;
    if (cookie < DOT_DOT_COOKIE && !sink(above)) return;
    for (let at = Math.max(0, cookie - DOT_DOT_COOKIE); at < opened.children.length; at += 1) {
      const child = opened.children[at] as Child;
      const { name, value } = child;
      const entry = plus ? this.#entry(value) : undefined;
      if (!sink({ name, inode: value.node, type: value.kind, cookie: at + DOT_DOT_COOKIE + 1, entry })) return;
      if (plus) this.#nodes.hold(child.key, value);
    }
  }

  release(handle: number): void {
    const opened = this.#handles.get(handle);
    if (opened?.kind === 'file') {
      opened.reader.close();
      this.#nodes.letGo(opened.file.node, 1);
    } else if (opened !== undefined) this.#nodes.letGo(opened.directory.node, 1);
    this.#handles.delete(handle);
  }

  /** The node of the folder of the tree that a node hangs on, or the root where that is gone. */
  folderNode(node: NodeId): NodeId {
    const value = this.#node(node);
    const { fileSystem, journal } = this.#options;
    const folder = journal.tree.node(value.kind === 'file' ? value.directory : value.about.directory);
    return folder === undefined ? ROOT_NODE : fileSystem.view.nodeOf(folder);
  }

  /** The attributes that tell what a node is at the service. */
  extendedAttributes(node: NodeId): ReadonlyMap<string, string> {
    const value = this.#node(node);
    const { syncpointId } = value.kind === 'file' ? value.content : value.about;
    const values = new Map<string, string>([['user.syncplicity.syncpoint_id', syncpointId]]);
    if (value.kind === 'file') values.set('user.syncplicity.version_id', value.content.versionId);
    else if (value.about.kind === 'file-versions') values.set('user.syncplicity.file_id', value.about.fileId);
    else if (value.about.kind === 'removed') values.set('user.syncplicity.folder_id', value.about.folder.folderId);
    return values;
  }

  /** Throws EROFS: nothing here can be changed. */
  refuseChange(node: NodeId): never {
    throw readOnly(this.#nodes.get(node)?.path ?? `node ${node}`);
  }

  /** Nodes that the kernel or a handle holds. */
  get count(): number {
    return this.#nodes.count;
  }

  /** Closes what is left open. */
  stop(): void {
    for (const handle of [...this.#handles.keys()]) this.release(handle);
  }

  #node(node: NodeId): HistoryNode {
    const found = this.#nodes.get(node);
    if (found === undefined) throw new FsError(errno.ESTALE, `node ${node} is not known any more`);
    return found;
  }

  #directory(node: NodeId): HistoryDirectory {
    const found = this.#node(node);
    if (found.kind === 'file') throw new FsError(errno.ENOTDIR, `${found.path} is a file`);
    return found;
  }

  /** The folder of the tree that a directory hangs on. */
  #folder({ about, path }: HistoryDirectory): TreeDirectory {
    const found = this.#options.journal.tree.node(about.directory);
    if (found?.kind !== 'directory') throw new FsError(errno.ENOENT, `the folder of ${path} is gone`);
    return found;
  }

  /** Runs `work` once the folder that `.versions` hangs on is known. */
  #listed<T>(directory: HistoryDirectory, caller: Caller, work: () => Answer<T>): Answer<T> {
    return this.#options.fileSystem.view.listed('lookup', this.#folder(directory), caller, work);
  }

  #children(directory: HistoryDirectory, caller: Caller): Answer<readonly Child[]> {
    const { about, path } = directory;
    if (about.kind === 'versions') {
      return this.#listed(directory, caller, () => {
        const children = [...this.#options.journal.tree.children(about.directory)];
        return children.flatMap((child) => (child.kind === 'file' ? (this.#fileVersions(directory, child) ?? []) : []));
      });
    }
    const { waits } = this.#options.fileSystem;
    return waits.run(
      'readdir',
      () => path,
      caller,
      async (signal) => {
        if (about.kind === 'file-versions') return this.#versions(directory, about, signal);
        try {
          const entries = await this.#contents.removed(about.folder, signal);
          return [...namedRemovals(entries)].map(([name, entry]) => this.#removal(directory, about, name, entry));
        } catch (error) {
          // The service does not tell of what is in the trash: the name is there all the same.
          const failure = waits.failed('readdir', path, error);
          throw about.folder.isRemoved ? notOfTheName(failure, errno.EACCES) : failure;
        }
      },
    );
  }

  /** The directory of a file's versions; undefined where the service has no version of it. Costs no call. */
  #fileVersions({ node, path, about }: HistoryDirectory, file: TreeFile): Child | undefined {
    const { fileId, inode, name, modified } = file;
    if (fileId === undefined || file.versionId === undefined) return undefined;
    const { directory, syncpointId } = about;
    const key = `${VERSIONS_NAME}/${directory}/${inode}`;
    const value = this.#nodes.place(key, () => ({
      kind: 'directory',
      parentInode: node,
      path: `${path}/${name}`,
      modified,
      about: { kind: 'file-versions', directory, syncpointId, file: inode, fileId },
    }));
    return { name, key, value };
  }

  async #versions(
    { path, about: { directory } }: HistoryDirectory,
    { file, fileId, syncpointId }: HistoryDirectory['about'] & { readonly kind: 'file-versions' },
    signal: AbortSignal,
  ): Promise<readonly Child[]> {
    const present = this.#options.journal.tree.node(file);
    if (present?.kind !== 'file' || present.versionId === undefined) {
      throw new FsError(errno.ENOENT, `the file of ${path} is gone`);
    }
    const versions = await this.#contents.versions({ syncpointId, fileId, versionId: present.versionId }, signal);
    const vaultId = this.#options.journal.vaultOf(syncpointId);
    return [...namedVersions(present.name, versions)].map(
      ([name, { id, lengthBytes, added }]: [string, RemoteVersion]) => {
        const key = `version/${directory}/${id}`;
        const content = { syncpointId, versionId: id, vaultId, lengthBytes };
        const modified = added ?? present.modified;
        const value = this.#nodes.place(key, () => ({
          kind: 'file',
          path: `${path}/${name}`,
          directory,
          content,
          modified,
        }));
        return { name, key, value };
      },
    );
  }

  #removal(
    { node, path, modified }: HistoryDirectory,
    { directory, syncpointId }: HistoryDirectory['about'],
    name: string,
    entry: RemoteEntry,
  ): Child {
    const at = `${path}/${name}`;
    if (entry.kind === 'folder') {
      const key = `removed/${directory}/${entry.id}`;
      const folder = { syncpointId, folderId: entry.id, isRemoved: true };
      const about = { kind: 'removed', directory, syncpointId, folder } as const;
      const value = this.#nodes.place(key, () => ({ kind: 'directory', parentInode: node, path: at, modified, about }));
      return { name, key, value };
    }
    const key = `version/${directory}/${entry.versionId}`;
    const { versionId, lengthBytes } = entry;
    const content = { syncpointId, versionId, vaultId: this.#options.journal.vaultOf(syncpointId), lengthBytes };
    const value = this.#nodes.place(key, () => ({
      kind: 'file',
      path: at,
      directory,
      content,
      modified: entry.modified,
    }));
    return { name, key, value };
  }

  #handle(opened: Handle): number {
    if (this.#handles.size >= HANDLES_MAX) throw new FsError(errno.ENFILE, `${HANDLES_MAX} files are open`);
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    this.#handles.set(handle, opened);
    const value = opened.kind === 'file' ? opened.file : opened.directory;
    // The kernel may forget what it has open.
    this.#nodes.hold('', value);
    return handle;
  }

  #grant({ key, value }: Child): Entry {
    this.#nodes.hold(key, value);
    return this.#entry(value);
  }

  #entry(value: HistoryNode): Entry {
    return {
      node: value.node,
      attributes: historyAttributes(value, this.#options.fileSystem.view.ownership),
      entryLifetimeMs: CONTENTS_LIFETIME_MS,
      attributesLifetimeMs: attributesLifetimeMs(value),
    };
  }
}

function readOnly(path: string): FsError {
  return new FsError(errno.EROFS, `${path} shows what was: nothing in it can be changed`);
}

/** A refusal that says that a name is missing, of one that is there. */
function notOfTheName(failure: FsError, instead: number): FsError {
  return failure.errno === errno.ENOENT ? new FsError(instead, failure.message, { cause: failure }) : failure;
}

/** Goes on with an answer, at once where it is there. */
function then<T, R>(answer: Answer<T>, next: (value: T) => R): Answer<R> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
