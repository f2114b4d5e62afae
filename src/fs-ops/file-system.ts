// The file system: POSIX verbs over the tree, the journal and staged content. Answers from local state at once; waits for the service
// only for what was never fetched, and at most the operation timeout. Each verb is handed to the one who knows; here they are put
// together. Knows no URL, no disk path, no kernel bytes.
import type { Journal } from '../cache/journal.ts';
import type { Listings } from '../cache/listings.ts';
import type { LocalChanges } from '../cache/local-changes.ts';
import type { Tree, TreeDirectory, TreeFile } from '../cache/tree.ts';
import type { RemoteDrive, RemoteVault } from '../remote-drive.ts';
import { Askers } from './askers.ts';
import { AttributeChanges } from './attribute-changes.ts';
import type { Ownership } from './attributes.ts';
import { capacityOf } from './capacity.ts';
import { Changeable } from './changeable.ts';
import {
  changeExtendedAttribute,
  changePinning,
  changeState,
  extendedAttribute,
  extendedAttributeNames,
  type Attributed,
  type Pinning,
} from './extended-attributes.ts';
import { changeLinkAttribute, LINK, linkAttribute, type ObjectLinks } from './link-attribute.ts';
import { FoldedNames } from './folded-names.ts';
import { Moves, type MoveLimits } from './move-limits.ts';
import { Namespace } from './namespace.ts';
import { followedDirectories, followedFiles, type FetchAhead } from './followed.ts';
import type { Neighbours } from './neighbours.ts';
import { NewNames, requireShort } from './new-names.ts';
import { Nodes } from './nodes.ts';
import { OpenContents, type ContentStore } from './open-contents.ts';
import { OpenDirectories } from './open-directories.ts';
import { OpenFiles } from './open-files.ts';
import {
  type Answer,
  type AttributeChange,
  type Caller,
  type Capacity,
  type Entry,
  type KernelCache,
  type NodeId,
  type NodePlace,
  type NoEntry,
  type OpenDirectory,
  type OpenFile,
  type Operations,
  type RenameFlags,
  type RowSink,
} from './operations.ts';
import { Stored, type Storing } from './stored.ts';
import { type SyncpointCalls, SyncpointDirectories } from './syncpoint-directories.ts';
import { TreeNews } from './tree-news.ts';
import { View, type KnownAttributes } from './view.ts';
import { Waits, type Failure, type Wait } from './waits.ts';

export interface FileSystemOptions {
  /** With its tree. */
  readonly journal: Journal;
  readonly changes: LocalChanges;
  readonly listings: Listings;
  readonly staging: ContentStore;
  readonly kernelCache: KernelCache;
  readonly ownership: Ownership;
  /** The folder shown as the mount's root; the tree's root shows all syncpoints. */
  readonly rootInode: number;
  readonly readOnly: boolean;
  readonly opTimeoutMs: number;
  /** Told of every request whose failure its errno does not explain. */
  readonly onFailure: (failure: Failure) => void;
  /** Stores local changes; without it they stay pending. */
  readonly storing?: Storing | undefined;
  /** close(), mkdir, unlink and rename answer when the service has it. */
  readonly writeThrough?: boolean | undefined;
  readonly moves?: MoveLimits | undefined;
  /** Changes syncpoints; without it the root's entries cannot be made, renamed or removed. */
  readonly syncpoints?: SyncpointCalls | undefined;
  /** Has content fetched that is likely to be read next; without it, none is. */
  readonly fetchAhead?: FetchAhead | undefined;
  /** Told of the vault whose files somebody looks around among, and may read one of. */
  readonly prepareRead?: RemoteDrive['prepareRead'] | undefined;
  /** How many app keys list folders, each at its own pace; 1 unless said. */
  readonly callers?: number | undefined;
  /** What is to be kept on this machine. */
  readonly pinning?: Pinning | undefined;
  /** Shared links; without it no object has one. */
  readonly links?: ObjectLinks | undefined;
  /** True while content waits for the limit on bandwidth: reads are then not timed out. */
  readonly isHeldBack?: (() => boolean) | undefined;
  /** The service keeps no version that others replace: whether it has the one known is found out when a file is opened. */
  readonly versionsMayGo?: boolean | undefined;
  /** The wall clock. */
  readonly nowMs?: (() => number) | undefined;
}

const W_OK = 2;
/** As long as a poll's interval is by default. */
const MISSING_LIFETIME_MS = 15_000;

export class FileSystem implements Operations {
  /** What is shown beside the tree goes through these too. */
  readonly view: View;
  readonly waits: Waits;
  readonly #options: FileSystemOptions;
  readonly #tree: Tree;
  readonly #nodes: Nodes;
  readonly #stored: Stored;
  readonly #contents: OpenContents;
  readonly #changeable: Changeable;
  readonly #attributes: AttributeChanges;
  readonly #files: OpenFiles;
  readonly #directories: OpenDirectories;
  readonly #namespace: Namespace;
  readonly #followed: Neighbours<TreeFile>;
  readonly #walked: Neighbours<TreeDirectory>;
  readonly #news: TreeNews;

  constructor(options: FileSystemOptions) {
    const { journal, changes, listings, staging, kernelCache, ownership, opTimeoutMs } = options;
    const { tree } = journal;
    const nowMs = options.nowMs ?? Date.now;
    this.#options = options;
    this.#tree = tree;
    const nodes = new Nodes(options.rootInode);
    const waits = new Waits(opTimeoutMs, options.onFailure);
    const stored = new Stored(options.storing, options.writeThrough ?? false, waits, (inode) => {
      const object = tree.node(inode);
      return object === undefined ? `inode ${inode}` : tree.path(object);
    });
    const contents = new OpenContents({
      journal,
      changes,
      staging,
      nodes,
      nowMs,
      onAppeared: (object) => this.#news.appeared(object),
    });
    const askers = new Askers();
    const view = new View({ tree, listings, nodes, contents, waits, askers, ownership, opTimeoutMs });
    const changeable = new Changeable(tree, view, options.readOnly);
    const attributes = new AttributeChanges({ changes, nodes, contents, view, changeable, nowMs });
    const followed = followedFiles(tree, options.fetchAhead);
    const walked = followedDirectories(tree, listings, options.callers ?? 1);
    const files = new OpenFiles({
      journal,
      nodes,
      contents,
      view,
      changeable,
      attributes,
      waits,
      kernelCache,
      stored,
      neighbours: followed,
      isHeldBack: options.isHeldBack,
    });
    const folded = new FoldedNames(tree);
    const names = new NewNames(folded);
    const moves = new Moves(tree, options.moves ?? {});
    this.#followed = followed;
    this.#walked = walked;
    this.#nodes = nodes;
    this.waits = waits;
    this.#stored = stored;
    this.#contents = contents;
    this.view = view;
    this.#changeable = changeable;
    this.#attributes = attributes;
    this.#files = files;
    const { syncpoints: calls, storing, prepareRead } = options;
    this.#directories = new OpenDirectories({ tree, listings, nodes, view, askers, neighbours: walked, prepareRead });
    const syncpoints =
      calls === undefined || options.readOnly
        ? undefined
        : new SyncpointDirectories({ calls, journal, listings, view, names, waits, storing });
    this.#namespace = new Namespace({ tree, changes, view, changeable, names, moves, files, stored, syncpoints });
    this.#news = new TreeNews({ tree, nodes, contents, files, view, folded, kernelCache, nowMs });
    listings.onMoved((top) => this.#news.expire(top));
  }

  lookup(parent: NodeId, name: string, caller: Caller): Answer<Entry | NoEntry> {
    requireShort(name);
    if (name === '.') return this.view.again(parent);
    if (name === '..') return this.view.above(parent);
    const directory = this.view.directory(parent);
    const known = this.#tree.child(directory.inode, name);
    // What somebody wants in it will ask for its own listing: the way there need not be waited for folder by folder.
    if (known?.kind === 'directory' && this.#options.listings.showAsKnown(directory.inode))
      return this.view.grant(known);
    return this.view.listed<Entry | NoEntry>('lookup', directory, caller, () => {
      const found = this.#tree.child(directory.inode, name);
      if (found !== undefined) return this.view.grant(found);
      return { node: 0, entryLifetimeMs: this.#missingLifetimeMs(directory.inode) };
    });
  }

  /** Whether a directory has an entry of that name, as far as is known. */
  has(parent: NodeId, name: string): boolean {
    return this.#tree.child(this.#nodes.inode(parent), name) !== undefined;
  }

  forget(node: NodeId, count: number): void {
    if (!this.#nodes.forget(node, count)) return;
    this.#files.pagesDropped(node);
    this.#directories.forgotten(node);
  }

  getAttributes(node: NodeId): KnownAttributes {
    return this.view.attributes(node);
  }

  setAttributes(
    node: NodeId,
    handle: number | undefined,
    change: AttributeChange,
    caller: Caller,
  ): Answer<KnownAttributes> {
    const committed = this.#attempt('setattr', node, () => {
      const throughHandle = handle !== undefined && change.sizeBytes !== undefined;
      if (throughHandle) this.#files.requireWriter(handle);
      return this.#attributes.apply(node, change, throughHandle);
    });
    const stored = committed === undefined ? undefined : this.#stored.wait('truncate', [committed], caller);
    return stored === undefined ? this.view.attributes(node) : stored.then(() => this.view.attributes(node));
  }

  access(node: NodeId, mask: number): void {
    const object = this.view.object(node);
    if ((mask & W_OK) !== 0) this.#changeable.require(object);
  }

  open(node: NodeId, flags: number, _caller: Caller, killPrivileges = false): OpenFile {
    return this.#attempt('open', node, () => this.#files.open(node, flags, { killPrivileges }));
  }

  /** A file just opened is given to its program: see {@link OpenFiles}. */
  begin(opened: OpenFile, caller: Caller): Answer<OpenFile> {
    return this.#options.versionsMayGo === true ? this.#files.begin(opened, caller) : opened;
  }

  read(
    _node: NodeId,
    handle: number,
    offsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Answer<readonly Uint8Array[]> {
    return this.#files.read(handle, offsetBytes, lengthBytes, caller);
  }

  create(
    parent: NodeId,
    name: string,
    permissions: number,
    flags: number,
    caller: Caller,
    killPrivileges = false,
  ): Answer<{ readonly entry: Entry; readonly opened: OpenFile }> {
    return this.#namespace.create(parent, name, permissions, flags, caller, killPrivileges);
  }

  makeFile(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry> {
    return this.#namespace.makeFile(parent, name, permissions, caller);
  }

  makeDirectory(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry> {
    return this.#namespace.makeDirectory(parent, name, permissions, caller);
  }

  unlink(parent: NodeId, name: string, caller: Caller): Answer<void> {
    return this.#namespace.unlink(parent, name, caller);
  }

  removeDirectory(parent: NodeId, name: string, caller: Caller): Answer<void> {
    return this.#namespace.removeDirectory(parent, name, caller);
  }

  rename(from: NodePlace, to: NodePlace, flags: RenameFlags, caller: Caller): Answer<void> {
    return this.#namespace.rename(from, to, flags, caller);
  }

  write(
    node: NodeId,
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    killPrivileges: boolean,
    caller: Caller,
  ): Answer<number> {
    return this.#attempt('write', node, () => this.#files.write(handle, offsetBytes, data, killPrivileges, caller));
  }

  allocate(node: NodeId, handle: number, mode: number, offsetBytes: number, lengthBytes: number, caller: Caller): void {
    this.#attempt('fallocate', node, () => this.#files.allocate(handle, mode, offsetBytes, lengthBytes, caller));
  }

  setExtendedAttribute(
    node: NodeId,
    name: string,
    value: Uint8Array | undefined,
    _flags: number,
    caller: Caller,
  ): Answer<void> {
    const { links, pinning } = this.#options;
    if (links !== undefined && name === LINK) {
      return this.waits.run(
        'setxattr',
        () => this.view.path(node),
        caller,
        (signal) => changeLinkAttribute(links, this.view.object(node), value, signal),
      );
    }
    this.#attempt('setxattr', node, () => {
      if (pinning !== undefined && changePinning(this.view.object(node), name, value, pinning)) return;
      changeExtendedAttribute(name);
    });
  }

  flush(node: NodeId, handle: number, caller: Caller): Answer<void> {
    return this.#attempt('close', node, () => this.#files.flush(handle, caller));
  }

  sync(node: NodeId, handle: number, caller: Caller): Answer<void> {
    return this.#attempt('fsync', node, () => this.#files.sync(handle, caller));
  }

  syncDirectory(node: NodeId, _handle: number, caller: Caller): Answer<void> {
    return this.waits.run(
      'fsync',
      () => this.view.path(node),
      caller,
      () => this.#tree.flushed(),
    );
  }

  release(handle: number): void {
    this.#files.release(handle);
  }

  openDirectory(node: NodeId, caller: Caller): Answer<OpenDirectory> {
    return this.#directories.open(node, caller);
  }

  readDirectory(
    node: NodeId,
    handle: number,
    cookie: number,
    plus: boolean,
    sink: RowSink,
    caller: Caller,
  ): Answer<void> {
    return this.#directories.read(node, handle, cookie, plus, sink, caller);
  }

  releaseDirectory(handle: number): void {
    this.#directories.release(handle);
  }

  capacity(node: NodeId): Capacity {
    this.#options.listings.refreshVaults();
    const found = this.#tree.node(this.#nodes.inode(node));
    const syncpoint = found === undefined ? undefined : this.view.syncpoint(found);
    const tops = syncpoint === undefined ? [...this.#tree.children(this.#tree.root().inode)] : [syncpoint];
    const vaults = new Map<string, RemoteVault>();
    for (const top of tops) {
      const vaultId = top.kind === 'directory' ? top.syncpoint?.vaultId : undefined;
      const vault = vaultId === undefined ? undefined : this.#tree.vault(vaultId);
      if (vault !== undefined) vaults.set(vault.id, vault);
    }
    return capacityOf([...vaults.values()]);
  }

  getExtendedAttribute(node: NodeId, name: string, caller: Caller): Answer<Uint8Array> {
    const { links, pinning } = this.#options;
    if (links === undefined || name !== LINK) return extendedAttribute(this.#attributed(node), name, pinning);
    return this.waits.run(
      'getxattr',
      () => this.view.path(node),
      caller,
      (signal) => linkAttribute(links, this.view.object(node), signal),
    );
  }

  listExtendedAttributes(node: NodeId): readonly string[] {
    return extendedAttributeNames(this.#attributed(node));
  }

  /** Commits what was first changed at least so long ago in files that stay open: logs and databases are stored too. */
  commitOpenFiles(ageMs: number): void {
    this.#contents.commitOlder(ageMs);
  }

  /** Has the kernel ask anew for whatever it knows when it is used next; where it cannot be told so, each of it has its lifetime. */
  expireNames(): void {
    this.#options.kernelCache.expireNames();
  }

  /** Requests that wait for the service now. */
  waiting(): Wait[] {
    return this.waits.list();
  }

  /** The latest requests whose failure their errno does not explain, oldest first. */
  failures(): readonly Failure[] {
    return this.waits.failures();
  }

  /** Open files and directories, and nodes the kernel holds. */
  counts(): { readonly files: number; readonly directories: number; readonly nodes: number } {
    return { files: this.#files.count, directories: this.#directories.count, nodes: this.#nodes.heldCount };
  }

  /** Commits and closes every handle left open. The transport has stopped asking. */
  stop(): void {
    this.#followed.stop();
    this.#walked.stop();
    this.#files.stop();
    this.#contents.stop();
    this.#news.stop();
  }

  /** A name that was missing may come to be while the kernel cannot be told so. */
  #missingLifetimeMs(directory: number): number {
    const lifetimeMs = this.view.lifetimeMs(directory);
    return this.#options.kernelCache.canExpireNames() ? lifetimeMs : Math.min(lifetimeMs, MISSING_LIFETIME_MS);
  }

  #attributed(node: NodeId): Attributed {
    const object = this.view.object(node);
    const record = this.#options.journal.get(object.inode);
    const state = changeState(record, this.#contents.dirty(node), this.#stored.sending(object.inode));
    return { object, syncpoint: this.view.syncpoint(object), state };
  }

  #attempt<T>(verb: string, node: NodeId, work: () => T): T {
    return this.waits.attempt(verb, () => this.view.path(node), work);
  }
}
