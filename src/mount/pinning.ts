// What is kept on this machine, put together: the pins, their keeper, and what commands ask of both by path. Part of the composition root.
import { Slices } from '../base/event-loop.ts';
import type { Stops } from '../base/stops.ts';
import type { ContentBlocks } from '../cache/blocks.ts';
import type { Journal } from '../cache/journal.ts';
import type { Listings } from '../cache/listings.ts';
import { LocalChanges } from '../cache/local-changes.ts';
import { Pins } from '../cache/pins.ts';
import { PinKeeper } from '../cache/pins/keeper.ts';
import type { TreeNode } from '../cache/tree.ts';
import type { Freed, NotKeptPath } from '../control/methods.ts';
import type { Pinning as PinnedAttribute } from '../fs-ops/extended-attributes.ts';
import { findNode } from '../fs-ops/find-directory.ts';
import type { SyncplicityDrive } from '../syncplicity/drive.ts';

/** Failures that are told one by one; a whole drive that is out of reach has a million. */
const FAILURES_TOLD_MAX = 1_000;

export interface PinningOptions {
  readonly journal: Journal;
  readonly listings: Listings;
  readonly blocks: ContentBlocks;
  readonly drive: Pick<SyncplicityDrive, 'statistics'>;
  readonly cacheBytesMax: number;
  readonly opTimeoutMs: number;
}

/** Pins by path, and as the file system needs them. */
export class Pinning {
  readonly keeper: PinKeeper;
  readonly attribute: PinnedAttribute;
  readonly #options: PinningOptions;
  readonly #pins: Pins;
  readonly #changes: LocalChanges;

  constructor(options: PinningOptions, stops: Stops) {
    const { journal, listings, blocks, drive, cacheBytesMax } = options;
    this.#options = options;
    this.#pins = new Pins(journal.tree);
    this.#changes = new LocalChanges(journal);
    const keeper = new PinKeeper({
      journal,
      pins: this.#pins,
      listings,
      blocks,
      cacheBytesMax,
      isOnline: () => drive.statistics().online,
      forgetKept: (inode, generation) => this.#changes.forgetKept(inode, generation),
    });
    stops.add('pinned content', () => keeper.stop());
    this.keeper = keeper;
    this.attribute = {
      isPinned: (object) => this.#pins.above(object) !== undefined,
      pin: (object) => keeper.pinSoon(object),
      unpin: (object) => keeper.unpin(object),
    };
  }

  async pin(paths: readonly string[], wait: boolean, signal: AbortSignal): Promise<NotKeptPath[]> {
    const nodes = await this.#nodes(paths);
    const { tree } = this.#options.journal;
    const failed = await this.keeper.pin(nodes, wait, signal);
    return failed.slice(0, FAILURES_TOLD_MAX).map(({ inode, reason }) => {
      const node = tree.node(inode);
      return { path: node === undefined ? `(gone: ${inode})` : tree.path(node), reason };
    });
  }

  /** Rejects where a path has no pin, or stays pinned by one above it. */
  async unpin(paths: readonly string[]): Promise<number> {
    const { tree } = this.#options.journal;
    let count = 0;
    for (const node of await this.#nodes(paths)) {
      const removed = this.keeper.unpin(node);
      const above = this.#pins.above(node);
      if (above !== undefined) {
        throw new Error(`${tree.path(node)} is kept because ${tree.path(above)} is pinned: unpin that`);
      }
      if (removed === 0) throw new Error(`${tree.path(node)} is not pinned`);
      count += removed;
    }
    return count;
  }

  /** Drops what is cached of files, but of those that are pinned or not stored yet. */
  async free(paths: readonly string[]): Promise<Freed> {
    const freed = { bytes: 0, files: 0, pinned: 0, pending: 0 };
    const slices = new Slices();
    for (const node of await this.#nodes(paths)) await this.#freeBelow(node, freed, slices);
    return freed;
  }

  async #freeBelow(
    node: TreeNode,
    freed: { -readonly [Key in keyof Freed]: Freed[Key] },
    slices: Slices,
  ): Promise<void> {
    const { journal, blocks } = this.#options;
    // Programs get their turns while a whole drive is gone through.
    if (slices.due) await slices.pause();
    if (node.kind === 'directory') {
      for (const child of [...journal.tree.children(node.inode)]) await this.#freeBelow(child, freed, slices);
      return;
    }
    if (this.#pins.above(node) !== undefined) {
      freed.pinned += 1;
      return;
    }
    if (journal.get(node.inode)?.content === true || node.versionId === undefined) {
      freed.pending += 1;
      return;
    }
    let bytes = 0;
    if (node.staged !== undefined) {
      this.#changes.forgetKept(node.inode, node.staged.id);
      bytes += node.staged.lengthBytes;
    }
    const version = journal.version(node);
    if (version !== undefined) bytes += await blocks.drop(version);
    if (bytes === 0) return;
    freed.bytes += bytes;
    freed.files += 1;
  }

  async #nodes(paths: readonly string[]): Promise<TreeNode[]> {
    const { journal, listings, opTimeoutMs } = this.#options;
    const nodes: TreeNode[] = [];
    for (const path of paths) {
      const found = await findNode({ tree: journal.tree, listings, path, timeoutMs: opTimeoutMs });
      if ('missing' in found) throw new Error(`the drive has nothing at ${path}`);
      nodes.push(found.node);
    }
    return nodes;
  }
}
