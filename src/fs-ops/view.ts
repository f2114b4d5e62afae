// What programs see of the tree: nodes resolved to objects, whose folders are listed when they must be, with the attributes that open
// files have before the tree does. Decides nothing about changes. Knows no handles.
import { errno } from '../base/errno.ts';
import type { Listings } from '../cache/listings.ts';
import { ROOT_INODE, type Tree, type TreeDirectory, type TreeNode } from '../cache/tree.ts';
import { Tops } from '../cache/tree/tops.ts';
import type { SyncpointPermission } from '../remote-drive.ts';
import type { Askers } from './askers.ts';
import { attributesOf, type Ownership } from './attributes.ts';
import type { Nodes } from './nodes.ts';
import type { OpenContents } from './open-contents.ts';
import {
  FsError,
  ROOT_NODE,
  type Answer,
  type Attributes,
  type Caller,
  type Entry,
  type NodeId,
} from './operations.ts';
import type { Waits } from './waits.ts';

/** What a view looks at. */
export interface ViewOptions {
  readonly tree: Tree;
  readonly listings: Listings;
  readonly nodes: Nodes;
  readonly contents: OpenContents;
  readonly waits: Waits;
  readonly ownership: Ownership;
  readonly askers: Askers;
  readonly opTimeoutMs: number;
}

/** While an old listing is served, the kernel asks again after this: soon enough to see the service come back. */
const STALE_LIFETIME_MS = 1_000;

export interface KnownAttributes {
  readonly attributes: Attributes;
  readonly lifetimeMs: number;
}

/** Nodes of the kernel as objects of the tree, with their paths, permissions and attributes. */
export class View {
  readonly ownership: Ownership;
  readonly #options: ViewOptions;
  readonly #tree: Tree;
  readonly #nodes: Nodes;
  readonly #tops: Tops;

  constructor(options: ViewOptions) {
    this.#options = options;
    this.#tree = options.tree;
    this.#nodes = options.nodes;
    this.#tops = new Tops(options.tree);
    this.ownership = options.ownership;
  }

  /** The object of a node: as it is, or as it was where the node is frozen. */
  object(node: NodeId): TreeNode {
    const found = this.#nodes.frozen(node)?.object ?? this.#tree.node(this.#nodes.inode(node));
    if (found === undefined) throw new FsError(errno.ESTALE, `node ${node} is gone from the tree`);
    return found;
  }

  /** For messages: the path of a node's object, or what is known where it is gone. */
  path(node: NodeId): string {
    const found = this.#nodes.frozen(node)?.object ?? this.#tree.node(this.#nodes.inode(node));
    return found === undefined ? `node ${node}` : this.#tree.path(found);
  }

  directory(node: NodeId): TreeDirectory {
    const found = this.object(node);
    if (found.kind === 'file') throw new FsError(errno.ENOTDIR, `${this.#tree.path(found)} is a file`);
    return found;
  }

  /** The node that an object's present state is known under. */
  nodeOf(object: TreeNode): NodeId {
    return this.#nodes.node(object.inode);
  }

  /** Runs `then` once the folder may be read, at once where its listing is fresh. */
  listed<T>(verb: string, directory: TreeDirectory, caller: Caller, then: () => Answer<T>): Answer<T> {
    const { listings, waits, askers } = this.#options;
    const path = (): string => this.#tree.path(directory);
    listings.used.note(directory.inode);
    if (listings.isGood(directory.inode)) return waits.attempt(verb, path, then);
    return waits.run(verb, path, caller, (signal) => {
      const pending = listings.ensure(directory, signal, askers.of(caller));
      return pending === undefined ? then() : pending.then(then);
    });
  }

  /** How long the kernel may trust what it knows of a directory's entries. */
  lifetimeMs(directory: number): number {
    return Math.max(STALE_LIFETIME_MS, this.#options.listings.keptMs(directory));
  }

  attributes(node: NodeId): KnownAttributes {
    const object = this.object(node);
    const how = this.#nodes.frozen(node)?.how;
    const attributes = attributesOf(object, this.permission(object), this.ownership, {
      removed: how === 'removed' || how === 'vanished',
      uncommitted: this.#options.contents.uncommitted(node),
    });
    // What is frozen changes by its own handles only, which the kernel sees.
    const lifetimeMs = how === undefined ? this.lifetimeMs(object.parent) : this.#options.opTimeoutMs;
    return { attributes, lifetimeMs };
  }

  /** An entry of a directory of that permission and lifetime. Counts no lookup. */
  entry(object: TreeNode, permission: SyncpointPermission, lifetimeMs: number): Entry {
    const node = this.#nodes.node(object.inode);
    // Below the root each directory has its own permission.
    const own =
      object.kind === 'directory' && object.syncpoint !== undefined ? object.syncpoint.permission : permission;
    const uncommitted = this.#options.contents.uncommitted(node);
    return {
      node,
      attributes: attributesOf(object, own, this.ownership, { uncommitted }),
      entryLifetimeMs: lifetimeMs,
      attributesLifetimeMs: lifetimeMs,
    };
  }

  /** The entry of an object that a request is answered with: counts one lookup. */
  grant(object: TreeNode): Entry {
    const entry = this.entry(object, this.permission(object), this.lifetimeMs(object.parent));
    this.#nodes.remember(entry.node);
    return entry;
  }

  /**
   * The present entry of a node that the kernel may have forgotten: whoever has a file handle of it (NFS, open_by_handle_at(2)) comes back with
   * its number alone, even after a remount. Counts one lookup. ESTALE for a number that is no inode's, and for what is no longer in the drive.
   */
  again(node: NodeId): Entry {
    const object = this.#nodes.isLasting(node) ? this.#tree.node(this.#nodes.inode(node)) : undefined;
    if (object === undefined || !this.isShown(object))
      throw new FsError(errno.ESTALE, `node ${node} is not in the drive`);
    return this.grant(object);
  }

  /** The entry of the directory that such a node lies in; counts one lookup. The root lies in itself. */
  above(node: NodeId): Entry {
    return node === ROOT_NODE ? this.again(node) : this.again(this.#nodes.node(this.object(node).parent));
  }

  permission(object: TreeNode): SyncpointPermission {
    return this.syncpoint(object)?.syncpoint?.permission ?? 'read-write';
  }

  /** The top directory of the syncpoint that an object lies in; undefined for the root. */
  syncpoint(object: TreeNode): TreeDirectory | undefined {
    return this.#tops.above(object);
  }

  /** Whether an object lies below the mount's root: what was cut off does not, nor what is beside a mounted folder. */
  isShown(object: TreeNode): boolean {
    const root = this.#nodes.inode(ROOT_NODE);
    let at = this.#tree.node(object.inode);
    while (at !== undefined && at.inode !== root) at = at.inode === ROOT_INODE ? undefined : this.#tree.node(at.parent);
    return at !== undefined;
  }
}
