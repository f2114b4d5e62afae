// The files of the staging directory: named by their generation's number, few of them open at a time. Promises whole reads and whole
// writes or an error, and keeps count of what the files take on disk. Knows offsets and bytes, not what they mean.
import fs from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Coalesced } from '../../base/coalesced.ts';
import { fallocate } from '../../base/fallocate.ts';
import { createLog } from '../../base/log.ts';
import { nextData } from '../../base/sparse.ts';
import { beginWriteOut } from '../../base/write-out.ts';
import { SpareFiles } from './spare-files.ts';
import { StagingError, stagingErrorOf } from './staging-error.ts';

const log = createLog('staging');

/** Open at a time: far more files than programs write at once, far fewer than a process may open (1024 by default). */
const openMax = 128;
/** OpenZFS before 2.2.2 tells holes where there is data that was written a moment ago. */
const ZFS_MAGIC = 0x2fc12fc1;
/** Zeros written where the disk knows no holes. */
const zeros = Buffer.alloc(1024 * 1024);

/**
 * The disk begins with a large file when so much more of it was written: all of it is synced soon, before it is sent, and by whoever copies with
 * care, who would wait for the whole then.
 */
const writeOutBytes = 16 * 2 ** 20;

/** The system calls that a full or failing disk answers differently. */
export type StagingSystem = Pick<typeof fs, 'openSync' | 'closeSync' | 'readSync' | 'writeSync' | 'ftruncateSync'> & {
  readonly fallocate: typeof fallocate;
  readonly datasync: (descriptor: number) => Promise<void>;
  readonly syncDirectory: (descriptor: number) => Promise<void>;
  readonly beginWriteOut: typeof beginWriteOut;
};

const read = promisify(fs.read);
const datasync = promisify(fs.fdatasync);
const syncDirectory = promisify(fs.fsync);

interface OpenFile {
  readonly descriptor: number;
  /** Calls under way. */
  users: number;
  /** The disk has begun with what was written up to here; `isBeginning`: it is being told. */
  writtenOutBytes: number;
  isBeginning: boolean;
}

/** The files of generations, by number. */
export class StagedFiles {
  readonly directory: string;
  readonly #system: StagingSystem;
  readonly #spares: SpareFiles;
  /** Least recently used first. */
  readonly #open = new Map<number, OpenFile>();
  /** What each file takes on disk, as of when it was last measured. */
  readonly #allocated = new Map<number, number>();
  #allocatedBytes = 0;
  /** Files whose names a power failure may take. Of the directory's sync most of them share one: spare files wait for it long enough. */
  readonly #unsyncedNames = new Set<number>();
  /** Of the directory, once its names were synced. */
  #directoryDescriptor: number | undefined;
  readonly #nameSyncs = new Coalesced(() => this.#syncNames());
  /** What the disk says of holes is right; undefined before somebody asks. */
  #tellsHoles: boolean | undefined;
  /** The highest number given, to a file or to one that is to be. */
  #lastNumber = 0;
  #closed = false;

  /** `sparesMax` files that nobody needs any more are kept for new ones. */
  constructor(directory: string, sparesMax: number, system: Partial<StagingSystem> = {}) {
    this.directory = directory;
    this.#spares = new SpareFiles(directory, sparesMax, {
      nextNumber: () => this.#nextNumber(),
      onNamed: (id) => this.#unsyncedNames.add(id),
    });
    this.#system = { ...fs, fallocate, datasync, syncDirectory, beginWriteOut, ...system };
  }

  get count(): number {
    return this.#allocated.size;
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** Descriptors held. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Numbers of the files in the directory. */
  async list(): Promise<number[]> {
    const names = await readdir(this.directory);
    return names.map(Number).filter((id) => Number.isSafeInteger(id) && id > 0);
  }

  /** Numbers up to this one were given before. */
  seen(id: number): void {
    this.#lastNumber = Math.max(this.#lastNumber, id);
  }

  /** Makes spare files when nothing else is done; all numbers in use have been seen. */
  makeSpares(): void {
    this.#spares.fillLater();
  }

  /** A file of an earlier process that no generation has: kept for another one or deleted. */
  async sweep(id: number): Promise<void> {
    if (this.#spares.has(id) || (await this.#spares.adopt(id))) return;
    await this.remove(id);
  }

  /** Begins to count a file that was there before. */
  async adopt(id: number): Promise<void> {
    const { blocks } = await stat(this.pathOf(id));
    this.#unsyncedNames.add(id);
    this.#count(id, blocks * 512);
  }

  /** Makes an empty file. Returns its number, which no file of this process had. */
  create(): number {
    return this.#guard("can't make a file", () => {
      const id = this.#openSpare() ?? this.#openNew();
      this.#count(id, 0);
      return id;
    });
  }

  /** Fills the buffer from the offset on. A file that ends before is damaged. */
  read(id: number, buffer: Buffer, offsetBytes: number): void {
    this.#guard(`can't read file ${id}`, () => {
      const { descriptor } = this.#file(id);
      for (let at = 0; at < buffer.length;) {
        const count = this.#system.readSync(descriptor, buffer, at, buffer.length - at, offsetBytes + at);
        if (count === 0) throw this.#ended(id, offsetBytes + at);
        at += count;
      }
    });
  }

  /** As {@link read}, without holding up others while the disk is looking for it. */
  async readLater(id: number, buffer: Buffer, offsetBytes: number): Promise<void> {
    await this.#using(id, `can't read file ${id}`, async (descriptor) => {
      for (let at = 0; at < buffer.length;) {
        const { bytesRead } = await read(descriptor, buffer, at, buffer.length - at, offsetBytes + at);
        if (bytesRead === 0) throw this.#ended(id, offsetBytes + at);
        at += bytesRead;
      }
    });
  }

  /** Writes all of `data`. After an error any part of it may be there. */
  write(id: number, data: Uint8Array, offsetBytes: number): void {
    this.#guard(`can't write file ${id}`, () => {
      const file = this.#file(id);
      for (let at = 0; at < data.length;) {
        at += this.#system.writeSync(file.descriptor, data, at, data.length - at, offsetBytes + at);
      }
      const endBytes = offsetBytes + data.length;
      if (endBytes - file.writtenOutBytes >= writeOutBytes && !file.isBeginning)
        void this.#writeOut(id, file, endBytes);
    });
  }

  truncate(id: number, lengthBytes: number): void {
    this.#guard(`can't set the length of file ${id}`, () => {
      this.#system.ftruncateSync(this.#file(id).descriptor, lengthBytes);
    });
  }

  /** Makes a range zero, and gives its room back where the disk can. The range lies within the file. */
  clear(id: number, startBytes: number, endBytes: number): void {
    this.#guard(`can't clear a part of file ${id}`, () => {
      const { descriptor } = this.#file(id);
      if (this.#system.fallocate(descriptor, 'punch', startBytes, endBytes - startBytes)) return;
      for (let at = startBytes; at < endBytes;) {
        at += this.#system.writeSync(descriptor, zeros, 0, Math.min(zeros.length, endBytes - at), at);
      }
    });
  }

  /** The first stretch of a range that may have anything else than zeros in it; undefined: there is none. Costs no reading. */
  nextData(
    id: number,
    startBytes: number,
    endBytes: number,
  ): readonly [startBytes: number, endBytes: number] | undefined {
    return this.#guard(`can't look through file ${id}`, () => {
      this.#tellsHoles ??= fs.statfsSync(this.directory).type !== ZFS_MAGIC;
      if (!this.#tellsHoles) return startBytes < endBytes ? ([startBytes, endBytes] as const) : undefined;
      return nextData(this.#file(id).descriptor, startBytes, endBytes);
    });
  }

  /** Takes room on the disk for a range, and makes the file as long as that. */
  allocate(id: number, startBytes: number, endBytes: number): void {
    this.#guard(`can't take room for file ${id}`, () => {
      const { descriptor } = this.#file(id);
      if (this.#system.fallocate(descriptor, 'allocate', startBytes, endBytes - startBytes)) return;
      if (fs.fstatSync(descriptor).size < endBytes) this.#system.ftruncateSync(descriptor, endBytes);
    });
  }

  /** Counts anew what the file takes on disk. */
  measure(id: number): number {
    return this.#guard(`can't look at file ${id}`, () => {
      const bytes = fs.fstatSync(this.#file(id).descriptor).blocks * 512;
      this.#count(id, bytes);
      return bytes;
    });
  }

  /** What the file takes on disk, as last counted. */
  measured(id: number): number {
    return this.#allocated.get(id) ?? 0;
  }

  /** Makes the file's bytes safe against power loss. */
  async sync(id: number): Promise<void> {
    await this.#using(id, `can't sync file ${id}`, (descriptor) => this.#system.datasync(descriptor));
  }

  /** Makes the names of these files safe against power loss. */
  async syncNames(ids: readonly number[]): Promise<void> {
    if (ids.some((id) => this.#unsyncedNames.has(id))) await this.#nameSyncs.run();
  }

  /** Deletes the file, if it is there, or keeps it, empty, for another one. */
  async remove(id: number): Promise<void> {
    const inUse = (this.#open.get(id)?.users ?? 0) > 0;
    this.#forget(id);
    this.#unsyncedNames.delete(id);
    this.#allocatedBytes -= this.measured(id);
    this.#allocated.delete(id);
    if (!inUse && (await this.#spares.give(this.pathOf(id)))) return;
    try {
      await unlink(this.pathOf(id));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw stagingErrorOf(error, `can't delete file ${id}`);
    }
  }

  /** Closes what is open; what is in use, when its call ends. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#spares.stop();
    for (const id of [...this.#open.keys()]) this.#forget(id);
    await this.#nameSyncs.idle();
    if (this.#directoryDescriptor !== undefined) fs.closeSync(this.#directoryDescriptor);
    this.#directoryDescriptor = undefined;
  }

  pathOf(id: number): string {
    return join(this.directory, String(id));
  }

  async #syncNames(): Promise<void> {
    const named = [...this.#unsyncedNames];
    if (this.#closed) throw new Error('the staging directory is closed');
    try {
      this.#directoryDescriptor ??= fs.openSync(this.directory, 'r');
      await this.#system.syncDirectory(this.#directoryDescriptor);
    } catch (error) {
      throw stagingErrorOf(error, `can't sync ${this.directory}`);
    }
    for (const id of named) this.#unsyncedNames.delete(id);
  }

  #count(id: number, bytes: number): void {
    this.#allocatedBytes += bytes - this.measured(id);
    this.#allocated.set(id, bytes);
  }

  #file(id: number): OpenFile {
    const file = this.#open.get(id);
    if (file === undefined) return this.#keep(id, this.#openSync(id, 'r+'));
    this.#open.delete(id);
    this.#open.set(id, file);
    return file;
  }

  #nextNumber(): number {
    this.#lastNumber += 1;
    return this.#lastNumber;
  }

  #openNew(): number {
    const id = this.#nextNumber();
    this.#keep(id, this.#openSync(id, 'wx+'));
    this.#unsyncedNames.add(id);
    return id;
  }

  #openSpare(): number | undefined {
    for (let id = this.#spares.take(); id !== undefined; id = this.#spares.take()) {
      try {
        this.#keep(id, this.#openSync(id, 'r+'));
        return id;
      } catch (error) {
        // Somebody tidied up, or there are no descriptors left: the file that is made instead says which.
        log('spare file %d is of no use: %O', id, error);
      }
    }
    return undefined;
  }

  #openSync(id: number, flags: 'r+' | 'wx+'): number {
    if (this.#closed) throw new Error('the staging directory is closed');
    try {
      return this.#system.openSync(this.pathOf(id), flags, 0o600);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EMFILE' && code !== 'ENFILE') throw error;
      this.#closeSurplus(0);
      return this.#system.openSync(this.pathOf(id), flags, 0o600);
    }
  }

  #keep(id: number, descriptor: number): OpenFile {
    const file: OpenFile = { descriptor, users: 0, writtenOutBytes: 0, isBeginning: false };
    this.#closeSurplus(openMax - 1);
    this.#open.set(id, file);
    return file;
  }

  #closeSurplus(max: number): void {
    for (const [id, { descriptor, users }] of this.#open) {
      if (this.#open.size <= max) return;
      if (users > 0) continue;
      this.#open.delete(id);
      this.#system.closeSync(descriptor);
    }
  }

  #forget(id: number): void {
    const file = this.#open.get(id);
    if (file === undefined) return;
    this.#open.delete(id);
    if (file.users === 0) this.#system.closeSync(file.descriptor);
  }

  async #using(id: number, what: string, use: (descriptor: number) => Promise<void>): Promise<void> {
    const file = this.#guard(what, () => this.#file(id));
    try {
      await this.#holding(id, file, () => use(file.descriptor));
    } catch (error) {
      throw stagingErrorOf(error, what);
    }
  }

  async #writeOut(id: number, file: OpenFile, endBytes: number): Promise<void> {
    const startBytes = file.writtenOutBytes;
    file.writtenOutBytes = endBytes;
    file.isBeginning = true;
    await this.#holding(id, file, () => this.#system.beginWriteOut(file.descriptor, startBytes, endBytes - startBytes));
    file.isBeginning = false;
  }

  /** Keeps the file's descriptor until the call has ended. */
  async #holding(id: number, file: OpenFile, call: () => Promise<void>): Promise<void> {
    file.users++;
    try {
      await call();
    } finally {
      file.users--;
      if (file.users === 0 && this.#open.get(id) !== file) this.#system.closeSync(file.descriptor);
    }
  }

  #guard<T>(what: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw stagingErrorOf(error, `${what} in ${this.directory}`);
    }
  }

  #ended(id: number, atBytes: number): StagingError {
    return new StagingError(
      'EIO',
      `file ${id} in ${this.directory} ends at ${atBytes} bytes, before its content does: it is damaged`,
    );
  }
}
