// What is shown beside the tree, such as earlier versions of files: reached in folders by reserved names only, read-only, without cost until
// somebody looks into it, and never in the tree or the journal. What it is the shelves know. All that is not theirs goes on to the file
// system as it came.
import { errno } from '../base/errno.ts';
import type { ContentReader } from '../cache/blocks.ts';
import type { Journal } from '../cache/journal.ts';
import { CONTENTS_LIFETIME_MS, attributesLifetimeMs, besideAttributes } from './beside/attributes.ts';
import {
  BesideNodes,
  FIRST_BESIDE_NUMBER,
  type BesideDirectory,
  type BesideFile,
  type BesideNode,
  type Item,
} from './beside/nodes.ts';
import { notOfTheName, then, type Shelf } from './beside/shelf.ts';
import type { FileSystem } from './file-system.ts';
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

/** What it works with. */
export interface BesideOptions {
  readonly fileSystem: FileSystem;
  readonly journal: Journal;
  readonly shelves: readonly Shelf[];
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
  readonly value: BesideNode;
}

type Handle =
  | { readonly kind: 'file'; readonly file: BesideFile; readonly reader: ContentReader }
  | { readonly kind: 'directory'; readonly directory: BesideDirectory; readonly children: readonly Child[] };

/** The nodes beside the tree, and what can be done with them. */
export class Beside {
  readonly #options: BesideOptions;
  readonly #shelves: ReadonlyMap<string, Shelf>;
  readonly #nodes = new BesideNodes();
  readonly #handles = new Map<number, Handle>();
  #nextHandle = FIRST_BESIDE_NUMBER;

  constructor(options: BesideOptions) {
    this.#options = options;
    this.#shelves = new Map(options.shelves.flatMap((shelf) => shelf.names.map((name) => [name, shelf])));
  }

  /** True for node ids and handles of this kind. */
  owns(number: number): boolean {
    return number >= FIRST_BESIDE_NUMBER;
  }

  /** True for the names that are reached in folders. */
  reserves(name: string): boolean {
    return this.#shelves.has(name);
  }

  /** What a folder of the tree has under a reserved name, where it has no entry of that name; counts one lookup. */
  enter(folder: NodeId, name: string): Entry | undefined {
    const { journal, fileSystem } = this.#options;
    const directory = fileSystem.view.directory(folder);
    const remote = journal.folder(directory.inode);
    const shelf = this.#shelves.get(name);
    if (remote === undefined || shelf === undefined) return undefined;
    const value = shelf.enter(name, { directory, ...remote });
    return this.#grant(this.#placed({ name, key: `${name}/${directory.inode}`, value }));
  }

  lookup(parent: NodeId, name: string, caller: Caller): Answer<Entry | NoEntry> {
    // By a file handle. Another process may have given the number to something else.
    if (name === '.' || name === '..') throw new FsError(errno.ESTALE, `node ${parent} was forgotten`);
    const directory = this.#directory(parent);
    const { contents } = directory;
    const found = (item: Item | undefined): Entry | NoEntry =>
      item === undefined ? { node: 0, entryLifetimeMs: 0 } : this.#grant(this.#placed(item));
    if (contents.item !== undefined) return then(contents.item(directory, name, caller), found);
    return then(contents.items(directory, caller), (items) => found(items.find((item) => item.name === name)));
  }

  forget(node: NodeId, count: number): void {
    this.#nodes.letGo(node, count);
  }

  getAttributes(node: NodeId): { readonly attributes: Attributes; readonly lifetimeMs: number } {
    const value = this.#node(node);
    return {
      attributes: besideAttributes(value, this.#options.fileSystem.view.ownership),
      lifetimeMs: attributesLifetimeMs(value),
    };
  }

  open(node: NodeId, flags: number): OpenFile {
    const file = this.#node(node);
    if (file.kind === 'directory') throw new FsError(errno.EISDIR, `${file.path} is a directory`);
    if ((flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0) throw readOnly(file.path);
    const reader = file.open();
    return { handle: this.#handle({ kind: 'file', file, reader }), keepCache: true };
  }

  read(handle: number, offsetBytes: number, lengthBytes: number, caller: Caller): Answer<readonly Uint8Array[]> {
    const opened = this.#handles.get(handle);
    if (opened?.kind !== 'file') throw new FsError(errno.EBADF, `no open file ${handle}`);
    const { file, reader } = opened;
    if (offsetBytes >= (file.lengthBytes ?? 0)) return [];
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
    return then(this.#items(directory, caller), (children) => {
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
      // What only a lookup finds out is not told before.
      const isKnown = value.kind === 'directory' || value.lengthBytes !== undefined;
      const entry = plus && isKnown ? this.#entry(value) : undefined;
      if (!sink({ name, inode: value.node, type: value.kind, cookie: at + DOT_DOT_COOKIE + 1, entry })) return;
      if (entry !== undefined) this.#nodes.hold(child.key, value);
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
    const folder = journal.tree.node(value.folder);
    return folder === undefined ? ROOT_NODE : fileSystem.view.nodeOf(folder);
  }

  /** The attributes that tell what a node is at the service. */
  extendedAttributes(node: NodeId): ReadonlyMap<string, string> {
    return this.#node(node).extendedAttributes;
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

  #node(node: NodeId): BesideNode {
    const found = this.#nodes.get(node);
    if (found === undefined) throw new FsError(errno.ESTALE, `node ${node} is not known any more`);
    return found;
  }

  #directory(node: NodeId): BesideDirectory {
    const found = this.#node(node);
    if (found.kind === 'file') throw new FsError(errno.ENOTDIR, `${found.path} is a file`);
    return found;
  }

  #items(directory: BesideDirectory, caller: Caller): Answer<readonly Child[]> {
    return then(directory.contents.items(directory, caller), (items) => items.map((item) => this.#placed(item)));
  }

  #placed({ name, key, value }: Item): Child {
    return { name, key, value: this.#nodes.place(key, value) };
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

  #entry(value: BesideNode): Entry {
    return {
      node: value.node,
      attributes: besideAttributes(value, this.#options.fileSystem.view.ownership),
      entryLifetimeMs: CONTENTS_LIFETIME_MS,
      attributesLifetimeMs: attributesLifetimeMs(value),
    };
  }
}

function readOnly(path: string): FsError {
  return new FsError(errno.EROFS, `${path} is shown beside the files: nothing in it can be changed`);
}
