// The directories that are syncpoints, made, renamed and removed where the mount was told that they may be. Such a change concerns
// everybody a syncpoint is shared with, and is no file's: it is not kept here to be sent later, but made at the service while the
// program waits. Removed is only what is empty there too, after everything that was changed here of it is stored.
import { delay } from '../base/abort.ts';
import { errno } from '../base/errno.ts';
import { isPending, type Journal, type PendingRecord } from '../cache/journal.ts';
import type { Listings } from '../cache/listings.ts';
import { ROOT_INODE, type TreeDirectory, type TreeNode } from '../cache/tree.ts';
import type { SyncpointId } from '../remote-drive.ts';
import type { NewNames } from './new-names.ts';
import { FsError, type Answer, type Caller, type Entry, type RenameFlags } from './operations.ts';
import type { Storing } from './stored.ts';
import type { View } from './view.ts';
import type { Waits } from './waits.ts';

/** What changes syncpoints at the service. Each resolves when that is done, and rejects with RemoteError. */
export interface SyncpointCalls {
  create(name: string, signal: AbortSignal): Promise<SyncpointId>;
  rename(id: SyncpointId, name: string, signal: AbortSignal): Promise<void>;
  remove(id: SyncpointId, signal: AbortSignal): Promise<void>;
}

export interface SyncpointDirectoriesOptions {
  readonly calls: SyncpointCalls;
  readonly journal: Journal;
  readonly listings: Listings;
  readonly view: View;
  readonly names: NewNames;
  readonly waits: Waits;
  readonly storing: Storing | undefined;
}

/** The service's limit, in characters. */
const NAME_MAX = 50;
/** Lists may lag behind a change: they are asked for again after this, and ever later. */
const FIRST_LOOK_MS = 250;
const LATEST_LOOK_MS = 4_000;

export class SyncpointDirectories {
  readonly #options: SyncpointDirectoriesOptions;

  constructor(options: SyncpointDirectoriesOptions) {
    this.#options = options;
  }

  make(name: string, caller: Caller): Answer<Entry> {
    const { calls, view } = this.#options;
    return this.#changed('mkdir', name, caller, async (root, signal) => {
      if (this.#child(name) !== undefined) throw new FsError(errno.EEXIST, `${name} is there already`);
      const id = await calls.create(this.#newName(root, name), signal);
      return view.grant(await this.#shown(() => this.#syncpoint(id), signal));
    });
  }

  rename(from: string, to: string, flags: RenameFlags, caller: Caller): Answer<void> {
    const { calls } = this.#options;
    return this.#changed('rename', from, caller, async (root, signal) => {
      const { node, id } = this.#present(from);
      if (from === to) return;
      if (flags.exchange) throw new FsError(errno.EINVAL, 'the service cannot exchange two syncpoints');
      if (this.#child(to) !== undefined) throw new FsError(errno.EEXIST, `${to} is another syncpoint`);
      const remoteName = this.#newName(root, to, node);
      await calls.rename(id, remoteName, signal);
      await this.#shown(() => {
        const found = this.#syncpoint(id);
        return found?.remoteName === remoteName ? found : undefined;
      }, signal);
    });
  }

  remove(name: string, caller: Caller): Answer<void> {
    const { calls, listings, storing } = this.#options;
    return this.#changed('rmdir', name, caller, async (_root, signal) => {
      const { node, id } = this.#present(name);
      await listings.ensure(node, signal);
      this.#requireEmpty(node);
      const pending = this.#pendingIn(node);
      if (pending.length > 0) {
        storing?.nudge();
        await storing?.settled(pending, signal);
      }
      // What others stored meanwhile is not to go with it.
      await listings.refresh(node, signal, 'interactive');
      this.#requireEmpty(this.#present(name).node);
      await calls.remove(id, signal);
      await this.#shown(() => this.#syncpoint(id) === undefined || undefined, signal);
    });
  }

  /** Runs a change of the root's entries once these are known, as long as an operation may take. */
  #changed<T>(
    verb: string,
    name: string,
    caller: Caller,
    work: (root: TreeDirectory, signal: AbortSignal) => Promise<T>,
  ): Answer<T> {
    const { waits, journal, listings } = this.#options;
    const root = journal.tree.root();
    return waits.run(
      verb,
      () => `/${name}`,
      caller,
      async (signal) => {
        await listings.ensure(root, signal);
        return work(root, signal);
      },
    );
  }

  /** What a list of syncpoints shows, sooner or later. */
  async #shown<T>(find: () => T | undefined, signal: AbortSignal): Promise<T> {
    const { listings, journal } = this.#options;
    for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(2 * pauseMs, LATEST_LOOK_MS)) {
      await listings.refresh(journal.tree.root(), signal, 'interactive');
      const found = find();
      if (found !== undefined) return found;
      await delay(pauseMs, signal);
    }
  }

  /** The name that the service is to know it by. */
  #newName(root: TreeDirectory, name: string, moved?: TreeNode): string {
    const { remoteName } = this.#options.names.take(root, name, moved);
    if (remoteName.length <= NAME_MAX) return remoteName;
    throw new FsError(
      errno.ENAMETOOLONG,
      `${remoteName.length} characters, a syncpoint's name has at most ${NAME_MAX}`,
    );
  }

  #child(name: string): TreeNode | undefined {
    return this.#options.journal.tree.child(ROOT_INODE, name);
  }

  #present(name: string): { readonly node: TreeDirectory; readonly id: SyncpointId } {
    const node = this.#child(name);
    if (node?.kind !== 'directory' || node.remote === undefined)
      throw new FsError(errno.ENOENT, `no syncpoint ${name}`);
    return { node, id: node.remote.syncpointId };
  }

  #syncpoint(id: SyncpointId): TreeNode | undefined {
    for (const node of this.#options.journal.tree.children(ROOT_INODE))
      if (node.kind === 'directory' && node.remote?.syncpointId === id) return node;
    return undefined;
  }

  #requireEmpty(directory: TreeDirectory): void {
    for (const { name } of this.#options.journal.tree.children(directory.inode))
      throw new FsError(errno.ENOTEMPTY, `${directory.name} is not empty: it holds ${name}`);
  }

  /** Whatever is still to be done at the service with something that is in the syncpoint, or was. */
  #pendingIn(top: TreeDirectory): number[] {
    const { journal } = this.#options;
    const isConcerned = (record: PendingRecord): boolean =>
      record.copyOf?.syncpointId === top.remote?.syncpointId ||
      this.#isBelow(record.at?.parent, top) ||
      this.#isBelow(journal.tree.node(record.inode)?.parent, top);
    const concerned: number[] = [];
    for (const record of journal.records()) if (isPending(record) && isConcerned(record)) concerned.push(record.inode);
    return concerned;
  }

  /** True for a folder in the syncpoint, of those that were removed here too. */
  #isBelow(inode: number | undefined, top: TreeDirectory): boolean {
    const { journal } = this.#options;
    let at = inode;
    // Deeper is damage: paths are limited to 4,096 bytes.
    for (let depth = 0; at !== undefined && at !== ROOT_INODE && depth < 4096; depth += 1) {
      if (at === top.inode) return true;
      at = journal.tree.node(at)?.parent ?? journal.get(at)?.at?.parent;
    }
    return false;
  }
}
