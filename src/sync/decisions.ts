// What the user decides about changes that the service refused, and about files that were never closed: try again, give up, save the
// bytes elsewhere. Nothing is lost before the user says so.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Journal, PendingRecord, UnfinishedContent } from '../cache/journal.ts';
import type { TreeNode } from '../cache/tree.ts';
import type { ContentToSend, SendableContent } from './parts.ts';
import { isPending, type Pusher } from './pusher.ts';
import { pathOf } from './reports.ts';

export interface DecisionsOptions {
  readonly journal: Journal;
  readonly content: ContentToSend;
  readonly pusher: Pusher;
  /** The bytes of a generation that was being written when its daemon ended, as far as they were written. */
  readonly unfinishedContent: (content: UnfinishedContent) => Pick<SendableContent, 'lengthBytes' | 'read'>;
  /** A generation that nobody wants any more. */
  readonly drop: (generation: number) => void;
}

export class Decisions {
  readonly #options: DecisionsOptions;

  constructor(options: DecisionsOptions) {
    this.#options = options;
  }

  /** Tries refused changes of a path, and below it, again. Returns how many. Rejects where there is none. */
  retry(path: string): number {
    const { journal, pusher } = this.#options;
    const records = this.#failed(path);
    if (records.length === 0) throw nothingAt(path, 'no change that Syncplicity refused');
    journal.change('push', (transaction) => {
      for (const record of records) transaction.putRecord({ ...record, failed: undefined });
    });
    pusher.retryNow();
    return records.length;
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
    for (const record of records) this.#discard(record);
    journal.change('local', (transaction) => {
      for (const { generation } of unfinished) transaction.removeUnfinished(generation);
    });
    for (const { generation } of unfinished) this.#options.drop(generation);
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

  /** The service's state is what is wanted now. */
  #discard(record: PendingRecord): void {
    const { journal } = this.#options;
    const node = journal.tree.node(record.inode);
    if (record.gone !== undefined) {
      journal.change('push', (transaction) => transaction.dropRecord(record.inode));
      if (record.at !== undefined) journal.tree.expireListing(record.at.parent);
      return;
    }
    if (node === undefined) return;
    if (record.at === undefined) {
      this.#removeAll(node);
      return;
    }
    // What the service has comes back with the next listing of its folder.
    const { parent } = record.at;
    journal.change('service', (transaction) => {
      transaction.remove(node);
      transaction.dropRecord(record.inode);
    });
    if (!journal.tree.closed) journal.tree.expireListing(parent);
  }

  /** What the service never had, with all that is in it. */
  #removeAll(node: TreeNode): void {
    const { journal } = this.#options;
    if (node.kind === 'directory') for (const child of [...journal.tree.children(node.inode)]) this.#removeAll(child);
    journal.change('service', (transaction) => {
      transaction.remove(node);
      transaction.dropRecord(node.inode);
    });
  }
}

function isAtOrBelow(path: string, above: string): boolean {
  const directory = above.endsWith('/') ? above : `${above}/`;
  return path === above || path.startsWith(directory);
}

function nothingAt(path: string, what: string): Error {
  return new Error(`${path} has ${what}; status shows what there is`);
}
