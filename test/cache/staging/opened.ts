// Staging directories for tests, over versions whose bytes are known and on systems that fail when they are told to. Leaves nothing behind.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContentBlocks } from '../../../src/cache/blocks.ts';
import type { StagingSystem } from '../../../src/cache/staging/staged-files.ts';
import { type HandleReader, Staging, type StagingOptions } from '../../../src/cache/staging.ts';
import type { StagedContent } from '../../../src/cache/tree/records.ts';
import type { ContentReference } from '../../../src/remote-drive.ts';
import { bytesOf } from '../../fakes/content-drive.ts';

const opened = new Set<Staging>();
const directories = new Set<string>();
const mounts = new Set<string>();

export function freshDirectorySync(): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'staged-content-'));
  directories.add(directory);
  return directory;
}

/** Copies the files as they are now, as a crash leaves them. One that is being deleted is there or not. */
export function snapshot(from: string, to: string): void {
  for (const name of fs.readdirSync(from)) {
    try {
      fs.copyFileSync(join(from, name), join(to, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

export function freshDirectory(): Promise<string> {
  return Promise.resolve(freshDirectorySync());
}

/** A directory on a disk of its own, of so many bytes. For root. */
export function smallDisk(bytes: number): string {
  const directory = freshDirectorySync();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'staging-test', directory]);
  mounts.add(directory);
  return directory;
}

/** Versions read at once or later, as `when` decides; counts what it is asked for. */
export class FakeBlocks implements Pick<ContentBlocks, 'reader'> {
  readonly reads: { readonly content: ContentReference; readonly offsetBytes: number; readonly lengthBytes: number }[] =
    [];
  openReaders = 0;
  readonly #stored = new Map<ContentReference, Buffer>();
  /** Awaited before an answer; undefined: the answer comes at once. */
  when: ((offsetBytes: number) => Promise<void> | undefined) | undefined;

  get readBytes(): number {
    return this.reads.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  }

  /** The content of this version is these bytes from now on. */
  store(content: ContentReference, bytes: Buffer): ContentReference {
    this.#stored.set(content, Buffer.from(bytes));
    return content;
  }

  bytesOf(content: ContentReference, offsetBytes: number, endBytes: number): Buffer {
    const stored = this.#stored.get(content);
    return stored === undefined
      ? bytesOf(content, offsetBytes, endBytes)
      : Buffer.from(stored.subarray(offsetBytes, endBytes));
  }

  reader(content: ContentReference): ReturnType<ContentBlocks['reader']> {
    this.openReaders++;
    return {
      read: (offsetBytes, lengthBytes) => {
        this.reads.push({ content, offsetBytes, lengthBytes });
        const answer = (): Uint8Array[] =>
          pieces(this.bytesOf(content, offsetBytes, Math.min(content.lengthBytes, offsetBytes + lengthBytes)));
        return this.when?.(offsetBytes)?.then(answer) ?? answer();
      },
      close: () => {
        this.openReaders--;
      },
    };
  }
}

/** A system that fails, or shows what a crash would leave, at chosen calls that change files. */
export class FaultySystem {
  #calls = 0;
  readonly fails = new Set<number>();
  failsAlways = false;
  code = 'ENOSPC';
  readonly looks = new Set<number>();
  /** Called in the middle of chosen calls, or of all of them. */
  look: () => void = () => undefined;
  looksAlways = false;

  readonly calls: Partial<StagingSystem> = {
    writeSync: ((fd: number, data: Uint8Array, from: number, length: number, position: number) => {
      const half = length >>> 1;
      const { fail, look } = this.#next();
      if ((fail || look) && half > 0) fs.writeSync(fd, data, from, half, position);
      if (look) this.look();
      if (fail) throw this.#error();
      return fs.writeSync(fd, data, from, length, position);
    }) as typeof fs.writeSync,
    ftruncateSync: (fd, length) => {
      const { fail, look } = this.#next();
      if (look) this.look();
      if (fail) throw this.#error();
      fs.ftruncateSync(fd, length);
    },
    fallocate: () => false,
  };

  #error(): Error {
    return Object.assign(new Error(`the disk refuses: ${this.code}`), { code: this.code });
  }

  #next(): { fail: boolean; look: boolean } {
    const call = ++this.#calls;
    return { fail: this.failsAlways || this.fails.has(call), look: this.looksAlways || this.looks.has(call) };
  }
}

/** A disk that has of each file what was there when its last sync began, and of the names those that the last sync of the directory saw. */
export class VolatileDisk {
  readonly #directory: string;
  /** By file, whatever its name. */
  readonly #synced = new Map<string, Buffer>();
  #names: Map<string, string>;

  /** What is there already is safe. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#names = this.#present();
    for (const [name, file] of this.#names) this.#synced.set(file, fs.readFileSync(join(directory, name)));
  }

  readonly calls: Pick<StagingSystem, 'datasync' | 'syncDirectory'> = {
    datasync: async (descriptor) => {
      const file = identityOf(fs.fstatSync(descriptor, { bigint: true }));
      const bytes = fs.readFileSync(`/proc/self/fd/${descriptor}`);
      await new Promise((resolve) => setImmediate(resolve));
      this.#synced.set(file, bytes);
    },
    syncDirectory: async () => {
      const names = this.#present();
      await new Promise((resolve) => setImmediate(resolve));
      this.#names = names;
    },
  };

  /** What a start of the machine finds after its power was cut off now. `mayKeep`: some files as they are, synced or not. */
  cutOff(to: string, mayKeep: (name: string) => boolean): void {
    const present = this.#present();
    for (const [name, file] of this.#names) {
      const isThere = present.get(name) === file;
      const bytes =
        isThere && mayKeep(name)
          ? fs.readFileSync(join(this.#directory, name))
          : (this.#synced.get(file) ?? Buffer.alloc(0));
      fs.writeFileSync(join(to, name), bytes);
    }
  }

  #present(): Map<string, string> {
    const names = new Map<string, string>();
    for (const name of fs.readdirSync(this.#directory)) {
      const found = fs.statSync(join(this.#directory, name), { bigint: true, throwIfNoEntry: false });
      if (found !== undefined) names.set(name, identityOf(found));
    }
    return names;
  }
}

/** Inode numbers are given again. */
function identityOf({ ino, birthtimeNs }: fs.BigIntStats): string {
  return `${ino} ${birthtimeNs}`;
}

/** Two pieces, which are overwritten when the tick ends, as recycled memory is. */
function pieces(bytes: Buffer): Uint8Array[] {
  setImmediate(() => bytes.fill(0xee));
  const middle = bytes.length >>> 1;
  return [bytes.subarray(0, middle), bytes.subarray(middle)];
}

export async function open(options: Partial<StagingOptions> = {}): Promise<Staging> {
  const staging = await Staging.open({
    directory: options.directory ?? (await freshDirectory()),
    blocks: new FakeBlocks(),
    reserveBytes: 0,
    ...options,
  });
  opened.add(staging);
  return staging;
}

/** For afterEach. */
export async function stopAll(): Promise<void> {
  for (const staging of opened) await staging.stop();
  opened.clear();
  for (const mount of mounts) execFileSync('umount', [mount]);
  mounts.clear();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
  directories.clear();
}

export async function readAll(reader: HandleReader, offsetBytes = 0, lengthBytes = 2 ** 40): Promise<Buffer> {
  return Buffer.concat(await reader.read(offsetBytes, lengthBytes));
}

/** What a fresh look at the journal's record shows. */
export async function contentOf(staging: Staging, staged: StagedContent): Promise<Buffer> {
  const content = staging.openContent({ version: undefined, staged });
  const reader = content.reader();
  const bytes = await readAll(reader);
  reader.close();
  content.close();
  return bytes;
}
