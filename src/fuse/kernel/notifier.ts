// Tells the kernel what to drop: a KernelCache whose calls only note what is stale; notes are written one at a time, never
// from within a request, since the kernel may hold the lock that request needs. What is noted twice is told once.
// A stale name also makes its directory's cached entries and attributes stale, so those are told together.
import { createLog } from '../../base/log.ts';
import type { KernelCache, NodeId } from '../../fs-ops/operations.ts';
import { incrementEpoch, invalidateEntry, invalidateInode } from './protocol/notification.ts';
import type { NotificationStatistics } from './statistics.ts';

const log = createLog('fuse');

/** Names that may wait: a listing of 50,000 that changed wholly fits; some 10 MB of memory. */
const NAMES_MAX = 65_536;
/** Nodes that may wait; beyond, the oldest is left to its lifetime. */
const NODES_MAX = 262_144;

/** Writes one notification; `done` gets the error, if any. */
export interface NotificationChannel {
  notify(notification: Uint8Array, done: (error: NodeJS.ErrnoException | null) => void): void;
}

export interface NotifierAbilities {
  /** INVAL_ENTRY can expire a name instead of tearing it out (Linux 6.2). Without, a process inside loses its getcwd(2). */
  readonly expireOnly: boolean;
  /** All names can be expired by one message (Linux 6.16), which takes away what is mounted on any of them. */
  readonly epoch: boolean;
}

/** A map taken from its front. Its own iterator knows where that is; a new one would walk over all that was taken before. */
class Queue<K, V> extends Map<K, V> {
  #rest = this.keys();
  #first: K | undefined;

  /** The key that has waited longest, or undefined if nothing waits. */
  first(): K | undefined {
    if (this.#first !== undefined && this.has(this.#first)) return this.#first;
    let next = this.#rest.next();
    if (next.done === true) {
      this.#rest = this.keys();
      next = this.#rest.next();
    }
    this.#first = next.done === true ? undefined : next.value;
    return this.#first;
  }
}

export class Notifier implements KernelCache {
  readonly #names = new Queue<NodeId, Queue<string, true>>();
  #nameCount = 0;
  /** Node to whether its content is stale too. */
  readonly #nodes = new Queue<NodeId, boolean>();
  #expireAll = false;
  #channel: NotificationChannel | undefined;
  #abilities: NotifierAbilities = { expireOnly: false, epoch: false };
  #carriesMounts = (): boolean => false;
  /** As seen when all names were last to be expired. */
  #carriedMounts = false;
  #busy = false;
  #scheduled = false;
  #sent = 0;
  #unknown = 0;
  #failed = 0;
  #overflows = 0;

  /**
   * From here on notes are written; before, the kernel has nothing to drop. `carriesMounts` tells whether something is mounted on a
   * directory of this mount.
   */
  start(channel: NotificationChannel, abilities: NotifierAbilities, carriesMounts: () => boolean): void {
    this.#channel = channel;
    this.#abilities = abilities;
    this.#carriesMounts = carriesMounts;
  }

  /** Drops what waits: the mount is gone. */
  stop(): void {
    this.#channel = undefined;
    this.#names.clear();
    this.#nodes.clear();
    this.#nameCount = 0;
    this.#expireAll = false;
  }

  statistics(): NotificationStatistics {
    return {
      sent: this.#sent,
      waiting: this.#nameCount + this.#nodes.size,
      unknown: this.#unknown,
      failed: this.#failed,
      overflows: this.#overflows,
    };
  }

  invalidateEntry(parent: NodeId, name: string): void {
    if (this.#channel === undefined) return;
    this.#noteNode(parent, true);
    if (this.#expireAll) return;
    if (this.#nameCount >= NAMES_MAX) {
      this.#overflow();
      return;
    }
    let names = this.#names.get(parent);
    if (names === undefined) {
      names = new Queue();
      this.#names.set(parent, names);
    }
    if (!names.has(name)) {
      names.set(name, true);
      this.#nameCount++;
    }
    this.#schedule();
  }

  invalidateNode(node: NodeId, what: { readonly content: boolean }): void {
    if (this.#channel === undefined) return;
    this.#noteNode(node, what.content);
  }

  canExpireNames(): boolean {
    return this.#abilities.epoch && !this.#carriedMounts;
  }

  expireNames(): boolean {
    if (this.#channel === undefined || !this.#abilities.epoch) return false;
    this.#carriedMounts = this.#carriesMounts();
    if (this.#carriedMounts) return false;
    this.#names.clear();
    this.#nameCount = 0;
    this.#expireAll = true;
    this.#schedule();
    return true;
  }

  #noteNode(node: NodeId, content: boolean): void {
    this.#nodes.set(node, content || this.#nodes.get(node) === true);
    if (this.#nodes.size > NODES_MAX) {
      const oldest = this.#nodes.first();
      if (oldest !== undefined) this.#nodes.delete(oldest);
      log('more than %d nodes wait to be invalidated: one is left to its lifetime', NODES_MAX);
    }
    this.#schedule();
  }

  #overflow(): void {
    this.#overflows++;
    if (!this.expireNames())
      log('more than %d names wait to be invalidated: the next is left to its lifetime', NAMES_MAX);
  }

  /** The next turn of the event loop: whatever request is being served has been replied to by then. */
  #schedule(): void {
    if (this.#busy || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#writeNext();
    });
  }

  #writeNext(): void {
    const channel = this.#channel;
    if (this.#busy || channel === undefined) return;
    const notification = this.#takeNext();
    if (notification === undefined) return;
    this.#busy = true;
    channel.notify(notification, (error) => {
      this.#busy = false;
      if (error === null) this.#sent++;
      else if (error.code === 'ENOENT') this.#unknown++;
      else if (error.code === 'ENODEV') this.stop();
      else {
        this.#failed++;
        log('a notification failed: %s', error.message);
      }
      this.#writeNext();
    });
  }

  #takeNext(): Buffer | undefined {
    if (this.#expireAll) {
      this.#expireAll = false;
      return incrementEpoch();
    }
    // Names first: once a directory's entries are told stale, whoever lists it anew must not meet a stale name.
    const parent = this.#names.first();
    const names = parent === undefined ? undefined : this.#names.get(parent);
    const name = names?.first();
    if (parent !== undefined && names !== undefined && name !== undefined) {
      names.delete(name);
      this.#nameCount--;
      if (names.size === 0) this.#names.delete(parent);
      return invalidateEntry(parent, name, this.#abilities.expireOnly);
    }
    const node = this.#nodes.first();
    if (node === undefined) return undefined;
    const content = this.#nodes.get(node) === true;
    this.#nodes.delete(node);
    return invalidateInode(node, content);
  }
}
