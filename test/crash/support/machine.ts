// A machine with the drive mounted, but for the kernel: file system, journal, staging and pusher put together as a mount does. Can be
// killed at any moment, and another one started from what it left on its disk.
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stops } from '../../../src/base/stops.ts';
import { Journal } from '../../../src/cache/journal.ts';
import { Listings } from '../../../src/cache/listings.ts';
import { ROOT_INODE, Tree } from '../../../src/cache/tree.ts';
import { FileSystem } from '../../../src/fs-ops/file-system.ts';
import { naming } from '../../../src/fs-ops/names.ts';
import { openWriting, type Writing } from '../../../src/mount/writing.ts';
import { lifetimeTrust } from '../../fakes/lifetime-trust.ts';
import { Program } from '../../fs-ops/support/program.ts';
import { CutDrive, type Service } from './cut-drive.ts';

/** A directory in memory where there is one: these disks are synced often, and thrown away. */
function freshDisk(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'crash-test-'));
}

export class Machine {
  readonly drive: CutDrive;
  readonly disk: string;
  readonly journal: Journal;
  readonly listings: Listings;
  readonly program: Program;
  readonly writing: Writing;
  readonly #stops: Stops;
  #dead = false;

  private constructor(parts: {
    drive: CutDrive;
    disk: string;
    journal: Journal;
    listings: Listings;
    writing: Writing;
    program: Program;
    stops: Stops;
  }) {
    this.drive = parts.drive;
    this.disk = parts.disk;
    this.journal = parts.journal;
    this.listings = parts.listings;
    this.writing = parts.writing;
    this.program = parts.program;
    this.#stops = parts.stops;
  }

  /** Starts on a disk, an empty one by default; the pusher does not begin before `writing.pusher.start()`. */
  static async start(service: Service, disk = freshDisk()): Promise<Machine> {
    const stops = new Stops();
    const drive = new CutDrive(service);
    const tree = Tree.open(join(disk, 'tree'));
    stops.add('tree', () => tree.close());
    const journal = new Journal(tree);
    const listings = new Listings({ journal, drive, naming, trust: lifetimeTrust(journal) });
    stops.add('listings', () => listings.stop());
    const writing = await openWriting(
      {
        accountDirectory: disk,
        config: { settleMs: 1_000, uploadsMax: 3, stageReserveBytes: 0, storesTimes: false, removal: 'permanently' },
        journal,
        listings,
        blocks: {
          makeRoom: () => undefined,
          reader: (content) => ({
            async read(offsetBytes, lengthBytes, signal) {
              const pieces: Uint8Array[] = [];
              const range = { offsetBytes, lengthBytes: Math.min(lengthBytes, content.lengthBytes - offsetBytes) };
              for await (const piece of await drive.read(content, range, { signal })) pieces.push(piece);
              return pieces;
            },
            close: () => undefined,
          }),
        },
        drive,
        // The clock that the tests let run.
        steadyMs: () => Date.now(),
        letGo: () => true,
        commitOpenFiles: (ageMs) => fileSystem.commitOpenFiles(ageMs),
      },
      stops,
    );
    const fileSystem = new FileSystem({
      journal,
      changes: writing.changes,
      listings,
      staging: writing.staging,
      kernelCache: {
        invalidateEntry: () => undefined,
        invalidateNode: () => undefined,
        canExpireNames: () => true,
        expireNames: () => true,
      },
      ownership: { uid: 7, gid: 8, umask: 0o022, keepsOwners: false },
      rootInode: ROOT_INODE,
      readOnly: false,
      opTimeoutMs: 30_000,
      onFailure: () => undefined,
    });
    stops.add('file system', () => fileSystem.stop());
    return new Machine({ drive, disk, journal, listings, writing, program: new Program(fileSystem), stops });
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Ends at once, in whatever it was about. Returns its disk as it is at this moment. */
  kill(): string {
    this.#dead = true;
    this.drive.die();
    const left = freshDisk();
    cpSync(this.disk, left, { recursive: true });
    return left;
  }

  /** Ends in order; `keepDisk` for another one to start from. Of a killed one it clears away what is left in this process. */
  async stop(keepDisk = false): Promise<void> {
    this.drive.die();
    const failures = await this.#stops.run();
    if (!keepDisk) rmSync(this.disk, { recursive: true, force: true });
    if (failures[0] !== undefined) throw failures[0];
  }
}
