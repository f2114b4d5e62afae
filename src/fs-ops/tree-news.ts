// Changes of the tree -> what the kernel must forget, and what open files must know. What a program did through the mount the kernel
// knows already; our own uploads change ids, not bytes. Knows no verbs.
import { Slices } from '../base/event-loop.ts';
import { createLog } from '../base/log.ts';
import {
  ROOT_INODE,
  type ChangeOrigin,
  type Tree,
  type TreeChange,
  type TreeDirectory,
  type TreeFile,
  type TreeNode,
} from '../cache/tree.ts';
import { timestampOf } from '../remote-drive.ts';
import type { FoldedNames } from './folded-names.ts';
import type { Nodes } from './nodes.ts';
import type { OpenContents } from './open-contents.ts';
import type { OpenFiles } from './open-files.ts';
import type { KernelCache } from './operations.ts';
import type { View } from './view.ts';

const log = createLog('news');

/** Directories deeper than this are damage: a path has 4,096 bytes at most. */
const DEPTH_MAX = 2048;

/** What follows the tree's changes. */
export interface TreeNewsOptions {
  readonly tree: Tree;
  readonly nodes: Nodes;
  readonly contents: OpenContents;
  readonly files: OpenFiles;
  readonly view: View;
  readonly folded: FoldedNames;
  readonly kernelCache: KernelCache;
  /** Wall clock. */
  readonly nowMs: () => number;
}

/** Tells the kernel, and the nodes it holds, of each change of the tree. */
export class TreeNews {
  readonly #options: TreeNewsOptions;
  readonly #unsubscribe: () => void;
  #expiring = Promise.resolve();
  /** The directories above what is open, those that are gone included; undefined where that may have changed. */
  #aboveOpen: ReadonlySet<number> | undefined;
  #stopped = false;

  constructor(options: TreeNewsOptions) {
    this.#options = options;
    this.#unsubscribe = options.tree.onChange((change, origin) => this.#heard(change, origin));
  }

  /** An entry that the kernel may know as missing, or not at all, is there. */
  appeared(node: TreeNode): void {
    const { nodes, kernelCache } = this.#options;
    const parent = nodes.node(node.parent);
    if (!nodes.known(parent)) return;
    kernelCache.invalidateEntry(parent, node.name);
    kernelCache.invalidateNode(parent, { content: true });
  }

  /** Something happened in a syncpoint, and nobody tells what: whatever the kernel knows of it is to be asked for again. */
  expire(top: TreeDirectory): void {
    const { kernelCache } = this.#options;
    if (kernelCache.expireNames()) return;
    this.#expiring = this.#expiring
      .then(() => this.#expireEach(top))
      // What the kernel was not told has its lifetime.
      .catch((error: unknown) => log('names of %s were not expired: %O', top.name, error));
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
  }

  /** Kernels before 6.16 are told name by name, and later ones while something is mounted in here. */
  async #expireEach(top: TreeDirectory): Promise<void> {
    const { nodes, tree, view, kernelCache } = this.#options;
    const slices = new Slices();
    for (const node of nodes.held()) {
      if (slices.due) await slices.pause();
      if (this.#stopped || tree.closed) return;
      const object = tree.node(nodes.inode(node));
      if (object === undefined || view.syncpoint(object)?.inode !== top.inode) continue;
      const parent = nodes.node(object.parent);
      if (nodes.known(parent)) kernelCache.invalidateEntry(parent, object.name);
    }
  }

  #heard(change: TreeChange, origin: ChangeOrigin): void {
    const { folded } = this.#options;
    folded.treeChanged(change);
    switch (change.kind) {
      case 'added':
        if (origin !== 'local') this.appeared(change.current);
        return;
      case 'changed':
        if (origin !== 'local') this.#changed(change, origin);
        return;
      case 'removed':
        this.#removed(change.previous, origin);
    }
  }

  #removed(object: TreeNode, origin: ChangeOrigin): void {
    const { nodes, contents } = this.#options;
    const node = nodes.node(object.inode);
    if (origin === 'local') {
      // Its link count changed.
      const changed = timestampOf(this.#options.nowMs());
      nodes.removed({ ...object, local: { ...object.local, changed } }, 'removed');
      if (object.kind === 'file') contents.removed(node);
      return;
    }
    const above = this.#above(object);
    nodes.removed(object, 'vanished', above);
    if (nodes.known(node)) this.#options.kernelCache.invalidateNode(node, { content: false });
    this.#vanished(object);
    if (object.kind === 'directory') this.#removedBelow(object, above);
  }

  /** What a directory held went with it, and nobody tells of that: files that are open stay as they were. */
  #removedBelow(directory: TreeDirectory, above: readonly TreeDirectory[]): void {
    const { nodes, tree, kernelCache } = this.#options;
    if (!this.#holdsOpen(directory.inode)) return;
    for (const node of nodes.open()) {
      const file = tree.node(nodes.inode(node));
      if (file === undefined) continue;
      const between = this.#above(file);
      if ((between[0] ?? file).parent !== directory.inode) continue;
      nodes.removed(file, 'vanished', [...above, directory, ...between]);
      if (nodes.known(node)) kernelCache.invalidateNode(node, { content: false });
    }
  }

  /** Whether something open lay below a directory that is gone. Many go at once: what is open is looked through once for all of them. */
  #holdsOpen(directory: number): boolean {
    const { nodes, tree } = this.#options;
    if (this.#aboveOpen === undefined) {
      const found = new Set<number>();
      for (const node of nodes.open()) {
        const file = tree.node(nodes.inode(node));
        if (file === undefined) continue;
        for (const { parent } of [...this.#above(file), file]) found.add(parent);
      }
      this.#aboveOpen = found;
      queueMicrotask(() => (this.#aboveOpen = undefined));
    }
    return this.#aboveOpen.has(directory);
  }

  /** The directories that an object lies in, from its syncpoint's on, or from where they are cut off. */
  #above(object: TreeNode): TreeDirectory[] {
    const { tree } = this.#options;
    const above: TreeDirectory[] = [];
    for (let at: TreeNode | undefined = object; ;) {
      if (at.kind === 'directory' && at.syncpoint !== undefined) return above;
      at = tree.node(at.parent);
      if (at?.kind !== 'directory' || at.inode === ROOT_INODE || above.length === DEPTH_MAX) return above;
      above.unshift(at);
    }
  }

  #changed(change: Extract<TreeChange, { kind: 'changed' }>, origin: ChangeOrigin): void {
    const { nodes, contents } = this.#options;
    const { previous, current } = change;
    let renewed = false;
    if (
      previous.kind === 'file' &&
      current.kind === 'file' &&
      origin === 'service' &&
      otherContent(previous, current)
    ) {
      renewed = nodes.replaced(previous);
      if (!renewed) this.#contentChanged(previous);
    } else {
      contents.renamed(change, nodes.node(current.inode));
      if (origin === 'service') this.#attributesChanged(current);
    }
    const moved = previous.parent !== current.parent || previous.name !== current.name;
    if (!moved && !renewed) return;
    this.#vanished(previous, moved);
    if (moved) this.appeared(current);
  }

  #contentChanged(file: TreeFile): void {
    const { nodes, files, kernelCache } = this.#options;
    const node = nodes.node(file.inode);
    files.pagesDropped(node);
    if (nodes.known(node)) kernelCache.invalidateNode(node, { content: true });
  }

  #attributesChanged(object: TreeNode): void {
    const { nodes, kernelCache } = this.#options;
    const node = nodes.node(object.inode);
    if (nodes.known(node)) kernelCache.invalidateNode(node, { content: false });
  }

  /** An entry's name does not stand for the same object any more. */
  #vanished({ parent: directory, name }: TreeNode, entries = true): void {
    const { nodes, kernelCache } = this.#options;
    const parent = nodes.node(directory);
    if (!nodes.known(parent)) return;
    kernelCache.invalidateEntry(parent, name);
    if (entries) kernelCache.invalidateNode(parent, { content: true });
  }
}

/** Whether programs would read other bytes. Content staged here is the same for as long as it is shown, whatever ids it gets. */
function otherContent(before: TreeFile, after: TreeFile): boolean {
  if (before.staged !== undefined || after.staged !== undefined) return before.staged?.id !== after.staged?.id;
  return before.versionId !== after.versionId;
}
