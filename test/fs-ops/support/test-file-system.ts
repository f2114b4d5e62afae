// A file system over real tree, journal and staging, and a drive in memory: everything but the kernel. Notes what the kernel is told.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Journal } from '../../../src/cache/journal.ts';
import { Listings } from '../../../src/cache/listings.ts';
import { LocalChanges } from '../../../src/cache/local-changes.ts';
import { Staging } from '../../../src/cache/staging.ts';
import { ROOT_INODE, Tree } from '../../../src/cache/tree.ts';
import type { SyncLog } from '../../../src/cache/tree/write-ahead-log.ts';
import { generationsOf } from '../../../src/cache/tree/records.ts';
import { FileSystem, type FileSystemOptions } from '../../../src/fs-ops/file-system.ts';
import { naming } from '../../../src/fs-ops/names.ts';
import type { Caller } from '../../../src/fs-ops/operations.ts';
import type { RemoteDrive, RemoteError } from '../../../src/remote-drive.ts';
import type { Trust } from '../../../src/cache/trust.ts';
import { lifetimeTrust } from '../../fakes/lifetime-trust.ts';
import { temporaryDirectory } from '../../fakes/temporary-directory.ts';

export const nobody: Caller = { uid: 7, gid: 8, pid: 1, signal: new AbortController().signal };

export interface TestFileSystemOptions extends Partial<
  Omit<FileSystemOptions, 'journal' | 'changes' | 'listings' | 'staging' | 'kernelCache' | 'onFailure'>
> {
  readonly lifetimeMs?: number;
  /** Whether the kernel can be told to ask for every name again; default: it can. */
  readonly canExpireNames?: boolean;
  /** Default: by lifetime alone. */
  readonly trust?: (journal: Journal) => Trust;
  /** Which start of the machine it is. */
  readonly bootId?: string;
  /** How long listings may lag; default: as those of a service far away. */
  readonly lagWindowMs?: number;
  /** Stands in for fdatasync(2) of the tree's log. */
  readonly syncLog?: SyncLog;
  /** Free space that is left to others; more than the disk has makes it full. */
  readonly reserveBytes?: number;
  /** Takes the place of the journal's writer. */
  readonly changes?: (journal: Journal, nowMs: () => number) => LocalChanges;
  /** What keeps bytes from coming. */
  readonly trouble?: RemoteError;
  /** Holds back who writes, as hashing does that is behind. */
  readonly keptUp?: () => Promise<void> | undefined;
  /** A directory with the state of a former one. */
  readonly state?: ReturnType<typeof temporaryDirectory>;
}

export class TestFileSystem {
  readonly fileSystem: FileSystem;
  readonly tree: Tree;
  readonly journal: Journal;
  readonly listings: Listings;
  readonly staging: Staging;
  readonly kernel: string[] = [];
  readonly failures: string[] = [];
  readonly state: ReturnType<typeof temporaryDirectory>;

  private constructor(parts: {
    tree: Tree;
    staging: Staging;
    drive: RemoteDrive;
    options: TestFileSystemOptions;
    state: ReturnType<typeof temporaryDirectory>;
  }) {
    const { tree, staging, drive, options } = parts;
    const nowMs = options.nowMs ?? Date.now;
    this.tree = tree;
    this.staging = staging;
    this.state = parts.state;
    this.journal = new Journal(tree, options.bootId, options.lagWindowMs);
    tree.onReleased((generations) => {
      for (const generation of generations) staging.drop(generation);
    });
    const trust = options.trust?.(this.journal) ?? lifetimeTrust(this.journal, options.lifetimeMs);
    this.listings = new Listings({ journal: this.journal, drive, naming, trust });
    this.fileSystem = new FileSystem({
      ownership: { uid: 7, gid: 8, umask: 0o022, keepsOwners: false },
      rootInode: ROOT_INODE,
      readOnly: false,
      opTimeoutMs: 5_000,
      ...options,
      nowMs,
      journal: this.journal,
      changes: options.changes?.(this.journal, nowMs) ?? new LocalChanges(this.journal, nowMs),
      listings: this.listings,
      staging: {
        openContent: (origin) => {
          const content = staging.openContent(origin);
          return options.keptUp === undefined ? content : Object.assign(content, { keptUp: options.keptUp });
        },
      },
      kernelCache: {
        invalidateEntry: (parent, name) => void this.kernel.push(`entry ${parent} ${name}`),
        canExpireNames: () => options.canExpireNames ?? true,
        expireNames: () => {
          if (options.canExpireNames === false) return false;
          this.kernel.push('all names');
          return true;
        },
        invalidateNode: (node, { content }) => void this.kernel.push(`node ${node}${content ? ' content' : ''}`),
      },
      onFailure: (failure) => void this.failures.push(failure.reason),
      prepareRead: (vaultId) => drive.prepareRead(vaultId),
    });
  }

  static async start(drive: RemoteDrive, options: TestFileSystemOptions = {}): Promise<TestFileSystem> {
    const state = options.state ?? temporaryDirectory();
    const tree = Tree.open(join(state.path, 'tree'), options.syncLog);
    const staging = await Staging.open({
      directory: join(state.path, 'staging'),
      blocks: {
        // Straight from the drive, so that a read waits and fails as the drive does.
        reader: (content) => ({
          async read(offsetBytes, lengthBytes, signal) {
            const pieces: Uint8Array[] = [];
            const range = { offsetBytes, lengthBytes };
            for await (const piece of await drive.read(content, range, { signal })) pieces.push(piece);
            return pieces;
          },
          trouble: options.trouble,
          close: () => undefined,
        }),
      },
      reserveBytes: options.reserveBytes ?? 0,
    });
    const started = new TestFileSystem({ tree, staging, drive, options, state });
    const named = [...tree.stagedFiles().flatMap((file) => generationsOf(file.staged))];
    await staging.sweep(new Set([...named, ...tree.unfinished().map(({ generation }) => generation)]));
    return started;
  }

  /** The state as a kill at this moment leaves it, for another one to start from. */
  afterKill(): ReturnType<typeof temporaryDirectory> {
    const copy = temporaryDirectory();
    cpSync(this.state.path, copy.path, { recursive: true });
    return copy;
  }

  /** Ends it; with `keepState` another one can be started where it ended. */
  async stop(keepState = false): Promise<void> {
    this.fileSystem.stop();
    await this.listings.stop();
    await this.staging.stop();
    await this.tree.close();
    if (!keepState) this.state.remove();
  }
}
