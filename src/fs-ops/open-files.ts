// Handles of files: who may read and write through which, and what close(2) and fsync(2) mean. The content behind a handle is its
// node's. Knows no names.
import { performance } from 'node:perf_hooks';
import { errno } from '../base/errno.ts';
import { fileBytesMax } from '../cache/staging/open-content.ts';
import type { Journal } from '../cache/journal.ts';
import { shownLengthBytes, type Tree, type TreeFile } from '../cache/tree.ts';
import { RemoteError } from '../remote-drive.ts';
import type { AttributeChanges } from './attribute-changes.ts';
import type { Changeable } from './changeable.ts';
import type { Neighbours } from './neighbours.ts';
import type { Nodes } from './nodes.ts';
import type { FileContent, HandleReader, OpenContents } from './open-contents.ts';
import { FsError, type Answer, type Caller, type KernelCache, type NodeId, type OpenFile } from './operations.ts';
import type { Stored } from './stored.ts';
import type { View } from './view.ts';
import type { Waits } from './waits.ts';

/** What handles of files work with. */
export interface OpenFilesOptions {
  readonly journal: Journal;
  readonly nodes: Nodes;
  readonly contents: OpenContents;
  readonly view: View;
  readonly changeable: Changeable;
  readonly attributes: AttributeChanges;
  readonly waits: Waits;
  readonly kernelCache: KernelCache;
  readonly stored: Stored;
  readonly neighbours: Neighbours<TreeFile>;
  /** True while content waits for the limit on bandwidth: a read is then not too late. */
  readonly isHeldBack: (() => boolean) | undefined;
}

interface Handle {
  readonly node: NodeId;
  /** As it was opened: what the node stands for may change. */
  readonly inode: number;
  readonly reader: HandleReader;
  readonly writes: boolean;
  /** The file was made by this open. */
  readonly made: boolean;
  /** When a read failed last, monotonic ms. */
  failedAtMs: number;
  /** Of the content as it was opened; 0 once somebody was told that all of it was read. */
  unreadBytes: number;
}

/** More than any program opens; a leak ends here, not in the machine's memory. */
export const HANDLES_MAX = 65_536;
/**
 * After a failed read-ahead the kernel asks for the same bytes again, page by page, before the program gets its error: without
 * this it would wait several times the operation timeout.
 */
const REPEATED_READ_WINDOW_MS = 2_000;
const REPEATED_READ_TIMEOUT_MS = 250;
/** open(2)'s access mode bits, of which 3 is none, and the flag that empties the file. */
const O_ACCMODE = 3;
const O_TRUNC = 0o1000;

/** fallocate(2)'s modes. */
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const FALLOC_FL_ZERO_RANGE = 16;

/** Handles of files, and the verbs that go through them. */
export class OpenFiles {
  readonly #options: OpenFilesOptions;
  readonly #tree: Tree;
  readonly #handles = new Map<number, Handle>();
  /** Nodes of which the kernel's pages are right: it was told to drop those of all others. */
  readonly #pages = new Set<NodeId>();
  #nextHandle = 1;

  constructor(options: OpenFilesOptions) {
    this.#options = options;
    this.#tree = options.journal.tree;
  }

  /** `made`: the file was made for this handle. */
  open(
    node: NodeId,
    flags: number,
    how: { readonly made?: boolean; readonly killPrivileges?: boolean } = {},
  ): OpenFile {
    const made = how.made === true;
    const { nodes, contents, view, changeable, journal } = this.#options;
    const object = view.object(node);
    // A handle of open_by_handle_at(2) may find it in the kernel's memory still; its content went with its last descriptor.
    if (!made && !journal.isOpen(object.inode) && !view.isShown(object))
      throw new FsError(errno.ESTALE, `${this.#tree.path(object)} was removed`);
    if (object.kind === 'directory') throw new FsError(errno.EISDIR, `${this.#tree.path(object)} is a directory`);
    const access = flags & O_ACCMODE;
    if (access === O_ACCMODE) throw new FsError(errno.EINVAL, 'a file is opened to read, to write or both');
    const truncates = (flags & O_TRUNC) !== 0 && !made;
    const writes = access !== 0;
    if ((writes || truncates) && !made) changeable.require(object);
    this.requireRoom();
    const content = contents.open(node, object, made);
    nodes.opened(node);
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    const { inode } = object;
    this.#handles.set(handle, {
      node,
      inode,
      reader: content.reader(),
      writes,
      made,
      failedAtMs: -Infinity,
      unreadBytes: shownLengthBytes(object),
    });
    journal.opened(inode);
    if (writes) journal.openedForWriting(inode);
    try {
      if (truncates) this.#empty(node, content);
      if (truncates && how.killPrivileges === true) this.#options.attributes.killPrivileges(node);
    } catch (error) {
      this.release(handle);
      throw error;
    }
    const keepCache = this.#pages.has(node);
    this.#pages.add(node);
    return { handle, keepCache };
  }

  /**
   * Has the content of a file just opened begin to come, where its beginning is not here. Where the service does not have that version any
   * more, the open fails with ESTALE: the kernel then looks the name up anew and opens what is there, instead of a program's read failing.
   */
  begin(opened: OpenFile, caller: Caller): Answer<OpenFile> {
    const held = this.#handle(opened.handle);
    let gone: RemoteError | undefined;
    const come = this.#options.waits.run(
      'open',
      () => this.#options.view.path(held.node),
      caller,
      (signal) => {
        const pieces = held.reader.read(0, 1, signal);
        if (!(pieces instanceof Promise)) return undefined;
        return pieces.then(
          () => undefined,
          (error: unknown) => {
            if (!isGone(error)) throw error;
            gone = error;
          },
        );
      },
    );
    if (!(come instanceof Promise)) return opened;
    return come.then(
      () => {
        if (gone === undefined) return opened;
        const stale = this.#stale('open', held.node, gone);
        this.release(opened.handle);
        throw stale;
      },
      (error: unknown) => {
        if (!caller.signal.aborted) {
          // Who reads is told, and does not wait as long again.
          held.failedAtMs = performance.now();
          return opened;
        }
        this.release(opened.handle);
        throw error;
      },
    );
  }

  read(handle: number, offsetBytes: number, lengthBytes: number, caller: Caller): Answer<readonly Uint8Array[]> {
    const opened = this.#handle(handle);
    const failedLately = performance.now() - opened.failedAtMs < REPEATED_READ_WINDOW_MS;
    const answer = this.#options.waits.run(
      'read',
      () => this.#options.view.path(opened.node),
      caller,
      (signal) => {
        const pieces = opened.reader.read(offsetBytes, lengthBytes, signal);
        if (!(pieces instanceof Promise)) return pieces;
        return pieces.catch((error: unknown) => this.#readFailed(opened, error, signal));
      },
      failedLately ? REPEATED_READ_TIMEOUT_MS : undefined,
      this.#options.isHeldBack,
    );
    this.#noteRead(opened, lengthBytes);
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((error: unknown) => {
      if (error instanceof FsError && error.errno === errno.EIO) opened.failedAtMs = performance.now();
      throw error;
    });
  }

  #noteRead(opened: Handle, lengthBytes: number): void {
    if (opened.unreadBytes <= 0) return;
    opened.unreadBytes -= lengthBytes;
    const file = opened.unreadBytes <= 0 ? this.#tree.node(opened.inode) : undefined;
    if (file?.kind === 'file') this.#options.neighbours.taken(file);
  }

  /**
   * Takes all of `data`. Where to is the kernel's to say, with O_APPEND too: it holds the file's lock and its length, and stores through
   * a mapping come through the same handles. The writer is held back where it is faster than what has to be done with the bytes.
   */
  write(
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    killPrivileges: boolean,
    caller: Caller,
  ): Answer<number> {
    const { node } = this.#writer(handle);
    let goOn: Promise<void> | undefined;
    if (killPrivileges) this.#options.attributes.killPrivileges(node);
    this.#options.contents.change(node, (content) => {
      const endBytes = offsetBytes + data.length;
      // One that no vault could hold is another error.
      if (endBytes > content.lengthBytes && endBytes <= fileBytesMax) this.#requireRoom(node, endBytes);
      content.write(offsetBytes, data, caller);
      goOn = content.keptUp();
      return data.length > 0;
    });
    return goOn === undefined ? data.length : goOn.then(() => data.length);
  }

  #requireRoom(node: NodeId, lengthBytes: number): void {
    const object = this.#options.view.object(node);
    if (object.kind === 'file') this.#options.changeable.requireRoom(object, lengthBytes);
  }

  /**
   * FALLOCATE; EOPNOTSUPP for the modes no file system but a disk's has. The kernel does not say whether set-user-id bits are to go, as it
   * does with a write: they go unless root asks.
   */
  allocate(handle: number, mode: number, offsetBytes: number, lengthBytes: number, caller: Caller): void {
    const { node } = this.#writer(handle);
    if (lengthBytes <= 0) throw new FsError(errno.EINVAL, 'nothing to allocate');
    this.#options.contents.change(node, (content) => {
      const lengthBefore = content.lengthBytes;
      switch (mode) {
        case 0:
        case FALLOC_FL_KEEP_SIZE:
          content.allocate(offsetBytes, lengthBytes, mode === FALLOC_FL_KEEP_SIZE);
          return content.lengthBytes !== lengthBefore;
        case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
        case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
          content.punch(offsetBytes, lengthBytes);
          return offsetBytes < lengthBefore;
        case FALLOC_FL_ZERO_RANGE:
          content.zeroRange(offsetBytes, lengthBytes);
          return true;
        default:
          throw new FsError(errno.ENOTSUP, `fallocate mode ${mode} is not supported`);
      }
    });
    if (caller.uid === 0 || !this.#options.attributes.killPrivileges(node)) return;
    // The kernel goes on with the bits it knows.
    this.#options.kernelCache.invalidateNode(node, { content: false });
  }

  /** ENFILE where no further handle can be given. */
  requireRoom(): void {
    if (this.#handles.size >= HANDLES_MAX) throw new FsError(errno.ENFILE, `${HANDLES_MAX} files are open`);
  }

  /** A handle that a length is changed through. */
  requireWriter(handle: number): void {
    this.#writer(handle);
  }

  /** What was written to a file so far is its content from here on, though who made it has not closed it. */
  complete(inode: number): void {
    this.#options.contents.commit(this.#options.nodes.node(inode), true);
  }

  /** close(2) of one of perhaps many descriptors: what was written is the journal's before this answers. */
  flush(handle: number, caller: Caller): Answer<void> {
    const { node, made } = this.#handle(handle);
    const changed = this.#options.contents.commit(node, made);
    return changed === undefined ? undefined : this.#options.stored.wait('close', [changed], caller);
  }

  /** fsync(2): what was written is safe against power loss, with the entry that says so. */
  sync(handle: number, caller: Caller): Answer<void> {
    const { contents, stored, waits } = this.#options;
    const { node, made } = this.#handle(handle);
    const changed = contents.commit(node, made);
    if (changed !== undefined) stored.nudge();
    return waits.run(
      'fsync',
      () => this.#options.view.path(node),
      caller,
      () => contents.makeDurable(node),
    );
  }

  /** The handle is gone. What came after its last close(2), through a mapping, is committed now. */
  release(handle: number): void {
    const opened = this.#handles.get(handle);
    if (opened === undefined) return;
    const { contents, journal, nodes, waits } = this.#options;
    this.#handles.delete(handle);
    try {
      if (opened.writes || opened.made) contents.commit(opened.node, opened.made);
    } catch (error) {
      // Nobody waits for this answer: `status` and the log are told instead.
      waits.failed('release', this.#options.view.path(opened.node), error);
    }
    opened.reader.close();
    contents.release(opened.node);
    nodes.released(opened.node);
    journal.closed(opened.inode);
    if (opened.writes) journal.closedForWriting(opened.inode);
  }

  /** The kernel's pages of a node are, or are about to be, dropped. */
  pagesDropped(node: NodeId): void {
    this.#pages.delete(node);
  }

  get count(): number {
    return this.#handles.size;
  }

  /** Closes every handle left open. */
  stop(): void {
    for (const handle of [...this.#handles.keys()]) this.release(handle);
  }

  /** O_TRUNC. What is empty has nothing new to be stored, but its time changes. */
  #empty(node: NodeId, content: FileContent): void {
    if (content.lengthBytes > 0 || content.dirty) {
      this.#options.contents.change(node, (open) => {
        open.truncate(0);
        return true;
      });
      return;
    }
    this.#options.attributes.touch(node);
  }

  #handle(handle: number): Handle {
    const opened = this.#handles.get(handle);
    if (opened === undefined) throw new FsError(errno.EBADF, `no open file ${handle}`);
    return opened;
  }

  #writer(handle: number): Handle {
    const opened = this.#handle(handle);
    if (!opened.writes) throw new FsError(errno.EBADF, `handle ${handle} was not opened for writing`);
    return opened;
  }

  /**
   * Time that ran out is told with what used it up. A version the service no longer has: what is open is stale, and so is the listing that
   * showed it.
   */
  #readFailed({ node, reader }: Handle, error: unknown, signal: AbortSignal): never {
    if (error === signal.reason && error instanceof FsError && reader.trouble !== undefined) {
      throw new FsError(error.errno, `${error.message}: ${reader.trouble.message}`);
    }
    throw isGone(error) ? this.#stale('read', node, error) : error;
  }

  #stale(verb: string, node: NodeId, cause: RemoteError): FsError {
    const { view, nodes, kernelCache } = this.#options;
    const file = view.object(node) as TreeFile;
    if (!this.#tree.closed) this.#tree.expireListing(file.parent);
    kernelCache.invalidateEntry(nodes.node(file.parent), file.name);
    return new FsError(errno.ESTALE, `${verb} ${this.#tree.path(file)}: ${cause.message}; open it again`, { cause });
  }
}

/** The service does not have that version. */
function isGone(error: unknown): error is RemoteError {
  return error instanceof RemoteError && error.kind === 'not-found';
}
