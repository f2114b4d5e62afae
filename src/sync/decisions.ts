// What the user decides about changes that the service refused, and about files that were never closed: try again, give up, save the
// bytes elsewhere. Nothing is lost before the user says so.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  isPending,
  type Journal,
  type PendingRecord,
  type RemotePlace,
  type UnfinishedContent,
} from '../cache/journal.ts';
import type { TreeDirectory, TreeFile, TreeNode } from '../cache/tree.ts';
import type { ContentToSend, SendableContent } from './parts.ts';
import type { Pusher } from './pusher.ts';
import { pathOf } from './reports.ts';

export interface DecisionsOptions {
  readonly journal: Journal;
  readonly content: ContentToSend;
  readonly pusher: Pusher;
  /** The bytes of a generation that was being written when its daemon ended, as far as they were written. */
  readonly unfinishedContent: (content: UnfinishedContent) => Pick<SendableContent, 'lengthBytes' | 'read'>;
  /** Makes a file of what was written of an unfinished one: under its path, or beside what has that by now. */
  readonly restore: (content: UnfinishedContent) => Promise<void>;
  /** A generation that nobody wants any more. */
  readonly drop: (generation: number) => void;
}

export class Decisions {
  readonly #options: DecisionsOptions;

  constructor(options: DecisionsOptions) {
    this.#options = options;
  }

  /** Tries refused changes of a path, and below it, again, and makes changes of unfinished files. Returns how many. Rejects where there is none. */
  async retry(path: string): Promise<number> {
    const { journal, pusher, restore } = this.#options;
    const records = this.#failed(path);
    const unfinished = this.#unfinished(path);
    if (records.length + unfinished.length === 0) throw nothingAt(path, 'nothing refused and nothing unfinished');
    if (records.length > 0) {
      journal.change('push', (transaction) => {
        // Content that a power failure may have touched goes as it is: that is what was decided.
        for (const record of records) transaction.putRecord({ ...record, failed: undefined, doubtful: undefined });
      });
    }
    for (const content of unfinished) {
      await restore(content);
      this.#forget([content]);
    }
    pusher.retryNow();
    return records.length + unfinished.length;
  }

  /**
   * Gives refused changes and unfinished files of a path, and below it, up: a file that the service has shows that again, another one is
   * gone. Returns how many. Rejects where there is none.
   */
  discard(path: string): number {
    const { journal } = this.#options;
    const records = this.#failed(path);
    const unfinished = this.#unfinished(path);
    if (records.length + unfinished.length === 0) throw nothingAt(path, 'nothing refused and nothing unfinished');
    // What was discarded with a directory is not there any more.
    for (const record of records) if (journal.get(record.inode) === record) this.#discard(record);
    this.#forget(unfinished);
    return records.length + unfinished.length;
  }

  /** Copies the content of a refused or unfinished file to a new file of this machine. Returns its length. */
  async save(path: string, to: string, signal: AbortSignal): Promise<number> {
    const { journal, content, unfinishedContent } = this.#options;
    const [unfinished] = this.#unfinished(path).filter((one) => one.path === path);
    const [record] = this.#failed(path).filter((one) => pathOf(journal, one) === path);
    const node = record === undefined ? undefined : journal.tree.node(record.inode);
    let source: (Pick<SendableContent, 'lengthBytes' | 'read'> & Partial<Pick<SendableContent, 'close'>>) | undefined;
    if (node?.kind === 'file' && node.staged !== undefined) source = await content.seal(node.staged, signal);
    else if (record?.copyOf !== undefined) source = content.version(record.copyOf);
    else if (unfinished !== undefined) source = unfinishedContent(unfinished);
    if (source === undefined) throw nothingAt(path, 'no content that is only here');
    try {
      const file = await open(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        for await (const piece of source.read(0, source.lengthBytes)) {
          signal.throwIfAborted();
          await file.writeFile(piece);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      return source.lengthBytes;
    } finally {
      source.close?.();
    }
  }

  #failed(path: string): PendingRecord[] {
    const { journal } = this.#options;
    return [...journal.records()].filter(
      (record) => record.failed !== undefined && isPending(record) && isAtOrBelow(pathOf(journal, record), path),
    );
  }

  #unfinished(path: string): UnfinishedContent[] {
    return this.#options.journal.unfinished().filter((content) => isAtOrBelow(content.path, path));
  }

  #forget(unfinished: readonly UnfinishedContent[]): void {
    if (unfinished.length === 0) return;
    this.#options.journal.change('local', (transaction) => {
      for (const { generation } of unfinished) transaction.removeUnfinished(generation);
    });
    for (const { generation } of unfinished) this.#options.drop(generation);
  }

  /** The service's state is what is wanted now. */
  #discard(record: PendingRecord): void {
    const { journal } = this.#options;
    const { inode, at, gone } = record;
    const node = journal.tree.node(inode);
    if (gone !== undefined) {
      // It comes back with the next listing of its folder.
      journal.change('push', (transaction) => transaction.dropRecord(inode));
      if (at !== undefined) journal.tree.expireListing(at.parent);
    } else if (node !== undefined && at === undefined) this.#removeAll(node);
    else if (node !== undefined && at !== undefined) this.#putBack(node, record, at);
  }

  /** Where the service has it, with the content that the service has. */
  #putBack(node: TreeNode, record: PendingRecord, at: RemotePlace): void {
    const { journal } = this.#options;
    const { tree } = journal;
    const holder = tree.child(at.parent, at.name);
    if (tree.node(at.parent)?.kind !== 'directory' || (holder !== undefined && holder.inode !== node.inode)) {
      throw new Error(
        `${pathOf(journal, record)} cannot go back to where it was: something else is there; rename it first`,
      );
    }
    const home = { parent: at.parent, name: at.name, remoteName: at.name };
    journal.change('service', (transaction) => {
      if (node.kind === 'directory') transaction.put<TreeDirectory>({ ...node, ...home });
      else {
        const local = { ...node.local, modified: undefined };
        transaction.put<TreeFile>({ ...node, ...home, local, staged: record.content ? undefined : node.staged });
      }
      transaction.dropRecord(node.inode);
    });
    tree.expireListing(at.parent);
  }

  /** What the service never had under this name, with all that is in it. What it was to take the place of stays. */
  #removeAll(node: TreeNode): void {
    const { journal } = this.#options;
    if (node.kind === 'directory') for (const child of [...journal.tree.children(node.inode)]) this.#removeAll(child);
    const waiting = journal.index.waitingFor(node.inode);
    journal.change('service', (transaction) => {
      transaction.remove(node);
      transaction.dropRecord(node.inode);
      for (const { inode } of waiting) transaction.dropRecord(inode);
    });
    for (const { at } of waiting) if (at !== undefined) journal.tree.expireListing(at.parent);
  }
}

function isAtOrBelow(path: string, above: string): boolean {
  const directory = above.endsWith('/') ? above : `${above}/`;
  return path === above || path.startsWith(directory);
}

function nothingAt(path: string, what: string): Error {
  return new Error(`${path} has ${what}; status shows what there is`);
}
