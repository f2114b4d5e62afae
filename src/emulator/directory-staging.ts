// Bytes on their way into a directory store: a few in memory, more in files under the state directory.
// Promises: never a whole file in memory; what `keep` kept is there when the process was killed. Must not know: where they go.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { setFileTime } from '../base/file-times.ts';
import { createLog } from '../base/log.ts';
import { ARRIVING_PREFIX } from './directory-scan.ts';
import { diskRefusal, onDisk } from './disk-refusal.ts';
import type { Staged, Ticks } from './store.ts';

const log = createLog('emulator');

// Written at once; an upload below this touches the disk once.
const HELD_BYTES_MAX = 512 * 1024;
const READ_BYTES = 512 * 1024;
// That of the plain file it becomes, less the umask.
const FILE_MODE = 0o666;

interface StagingPlace {
  readonly directory: string;
  /** The file system it is on. */
  readonly device: number;
  readonly kept: Map<string, FileStaged>;
  /** All that are neither stored nor dropped. */
  readonly live: Set<FileStaged>;
}

export class DirectoryStaging {
  readonly #place: StagingPlace;

  /** Opens the staging place below a state directory; what an ended process had not kept, or was copying to its place, is removed. */
  constructor(stateDirectory: string) {
    const directory = join(stateDirectory, 'uploads');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#place = { directory, device: statSync(directory).dev, kept: new Map(), live: new Set() };
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      if (name.endsWith('.arriving')) {
        removeArriving(path);
        continue;
      }
      const key = /^(.+)\.bytes$/.exec(name)?.[1];
      const note = key === undefined ? undefined : readNote(join(directory, `${key}.note`));
      if (key !== undefined && note !== undefined) {
        this.#place.kept.set(key, new FileStaged(this.#place, key, { note, lengthBytes: statSync(path).size }));
      } else if (!name.endsWith('.note') || !existsSync(path.replace(/note$/, 'bytes'))) rmSync(path);
    }
  }

  stage(): FileStaged {
    return new FileStaged(this.#place, randomBytes(9).toString('base64url'));
  }

  kept(): readonly Staged[] {
    return [...this.#place.kept.values()];
  }

  /** Closes the files of what is on its way. */
  async close(): Promise<void> {
    for (const staged of this.#place.live) await staged.close();
  }
}

/** Gives a file its modification time, exactly. */
export function setModified(path: string, modified: Ticks): void {
  const descriptor = openSync(path, 'r+');
  try {
    setFileTime(descriptor, modified * 100n);
  } finally {
    closeSync(descriptor);
  }
}

/** What a process that ended was copying to its place. Where that disk is away, the next start tries again. */
function removeArriving(notePath: string): void {
  const path = readFileSync(notePath, 'utf8');
  // A note that is not whole names nothing: it is written before the copy begins.
  if (basename(path).startsWith(ARRIVING_PREFIX)) {
    if (!existsSync(dirname(path))) return;
    try {
      rmSync(path, { force: true });
    } catch (error) {
      log('%s is left of a copy that was cut off: %O', path, error);
      return;
    }
  }
  rmSync(notePath);
}

function readNote(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

export class FileStaged implements Staged {
  readonly #place: StagingPlace;
  readonly #key: string;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #writtenBytes: number;
  #file: FileHandle | undefined;
  #note: string | undefined;
  /** The complete file beside its place, where that is on another file system. */
  #arrived: string | undefined;

  constructor(place: StagingPlace, key: string, former?: { readonly note: string; readonly lengthBytes: number }) {
    this.#place = place;
    this.#key = key;
    place.live.add(this);
    this.#note = former?.note;
    this.#writtenBytes = former?.lengthBytes ?? 0;
  }

  get lengthBytes(): number {
    return this.#writtenBytes + this.#heldBytes;
  }

  get note(): string | undefined {
    return this.#note;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#held.push(bytes);
    this.#heldBytes += bytes.byteLength;
    if (this.#heldBytes >= HELD_BYTES_MAX) await this.#write();
  }

  async cut(lengthBytes: number): Promise<void> {
    if (lengthBytes >= this.lengthBytes) return;
    await this.#write();
    await (await this.#open()).truncate(lengthBytes);
    this.#writtenBytes = lengthBytes;
  }

  async keep(note: string): Promise<void> {
    await this.#write();
    await this.#open();
    const path = this.#path('note');
    writeFileSync(`${path}.new`, note, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    this.#note = note;
    this.#place.kept.set(this.#key, this);
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    await this.#write();
    const file = await this.#open();
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    for (let position = 0; position < this.#writtenBytes;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(READ_BYTES, this.#writtenBytes - position), position);
      if (bytesRead === 0) throw new Error('staged bytes are gone');
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** Makes a complete file of the bytes, on the file system of `directory` and with the given time; the caller renames it. */
  async finish(directory: string, modified: Ticks): Promise<string> {
    const own = this.#path('bytes');
    if (this.#writtenBytes === 0) {
      // The usual small file: a few system calls, shorter than the way to the thread pool.
      await this.close();
      onDisk(() => writeFileSync(own, Buffer.concat(this.#held, this.#heldBytes), { mode: FILE_MODE }));
      this.#writtenBytes = this.#heldBytes;
      this.#held = [];
      this.#heldBytes = 0;
    }
    await this.#write();
    await this.close();
    const isElsewhere = statSync(directory).dev !== this.#place.device;
    const path = isElsewhere ? join(directory, `${ARRIVING_PREFIX}${this.#key}`) : own;
    if (isElsewhere) this.#arrived = path;
    try {
      if (isElsewhere) {
        writeFileSync(this.#path('arriving'), path, { mode: 0o600 });
        await copyFile(own, path);
      }
      setModified(path, modified);
    } catch (error) {
      throw diskRefusal(error);
    }
    return path;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async drop(): Promise<void> {
    await this.close();
    this.#held = [];
    this.#heldBytes = 0;
    this.#writtenBytes = 0;
    rmSync(this.#path('bytes'), { force: true });
    // Not there any more where it came to its place.
    if (this.#arrived !== undefined) {
      rmSync(this.#arrived, { force: true });
      rmSync(this.#path('arriving'), { force: true });
    }
    if (this.#note !== undefined) rmSync(this.#path('note'), { force: true });
    this.#note = undefined;
    this.#place.kept.delete(this.#key);
    this.#place.live.delete(this);
  }

  #path(extension: 'bytes' | 'note' | 'arriving'): string {
    return join(this.#place.directory, `${this.#key}.${extension}`);
  }

  async #open(): Promise<FileHandle> {
    // Never emptied where it may be what an earlier process kept.
    const flags = this.#writtenBytes === 0 && this.#note === undefined ? 'w+' : 'r+';
    this.#file ??= await open(this.#path('bytes'), flags, FILE_MODE);
    return this.#file;
  }

  async #write(): Promise<void> {
    if (this.#heldBytes === 0) return;
    try {
      await this.#writeHeld();
    } catch (error) {
      throw diskRefusal(error);
    }
  }

  async #writeHeld(): Promise<void> {
    const file = await this.#open();
    const pieces = this.#held;
    const bytes = this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    const { bytesWritten } = await file.writev(pieces, this.#writtenBytes);
    if (bytesWritten < bytes) {
      const rest = Buffer.concat(pieces).subarray(bytesWritten);
      await file.write(rest, 0, rest.byteLength, this.#writtenBytes + bytesWritten);
    }
    this.#writtenBytes += bytes;
  }
}
