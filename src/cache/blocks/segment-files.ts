// The files that hold segments of content: sparse, one a segment, in 256 directories. Keeps the most recently used ones open.
// Knows offsets and buffers; what they mean is the index's to say.
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Open files; a sequential reader uses one at a time. */
const openMax = 32;

interface OpenSegment {
  readonly handle: Promise<FileHandle>;
  users: number;
}

export class SegmentFiles {
  readonly directory: string;
  /** Least recently used first. */
  readonly #open = new Map<string, OpenSegment>();

  constructor(directory: string) {
    this.directory = directory;
  }

  pathOf(name: string): string {
    return join(this.directory, name.slice(0, 2), name);
  }

  /** Fills the buffers from the offset on; false when the file has fewer bytes. Rejects with the file system's error. */
  async read(name: string, buffers: readonly Buffer[], offsetBytes: number): Promise<boolean> {
    return this.#with(name, 'r+', async (file) => {
      const { bytesRead } = await file.readv(buffers, offsetBytes);
      return bytesRead === totalOf(buffers);
    });
  }

  /** Stores all buffers at the offset, making the file if need be. Rejects with the file system's error. */
  async write(name: string, buffers: readonly Buffer[], offsetBytes: number): Promise<void> {
    await this.#with(name, 'create', async (file) => {
      const { bytesWritten } = await file.writev(buffers, offsetBytes);
      // A full disk takes what fits and says so only the next time.
      if (bytesWritten < totalOf(buffers)) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
    });
  }

  async remove(name: string): Promise<void> {
    await this.#forget(name);
    await unlink(this.pathOf(name)).catch(ignoreMissing);
  }

  async close(): Promise<void> {
    for (const name of [...this.#open.keys()]) await this.#forget(name);
  }

  async #with<T>(name: string, how: 'r+' | 'create', use: (file: FileHandle) => Promise<T>): Promise<T> {
    let segment = this.#open.get(name);
    if (segment === undefined) segment = { handle: this.#openFile(this.pathOf(name), how), users: 0 };
    this.#open.delete(name);
    this.#open.set(name, segment);
    segment.users++;
    try {
      return await use(await segment.handle);
    } catch (error) {
      // Whatever is wrong with it, the next attempt opens it anew.
      if (this.#open.get(name) === segment) this.#open.delete(name);
      throw error;
    } finally {
      segment.users--;
      if (segment.users === 0 && this.#open.get(name) !== segment) await closeQuietly(segment);
      this.#closeSurplus();
    }
  }

  async #openFile(path: string, how: 'r+' | 'create'): Promise<FileHandle> {
    if (how === 'r+') return open(path, 'r+');
    try {
      return await open(path, 'wx+', 0o600);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return open(path, 'r+');
      if (code !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      return this.#openFile(path, how);
    }
  }

  #closeSurplus(): void {
    for (const [name, segment] of this.#open) {
      if (this.#open.size <= openMax) return;
      if (segment.users > 0) continue;
      this.#open.delete(name);
      void closeQuietly(segment);
    }
  }

  async #forget(name: string): Promise<void> {
    const segment = this.#open.get(name);
    if (segment === undefined) return;
    this.#open.delete(name);
    if (segment.users === 0) await closeQuietly(segment);
  }
}

function totalOf(buffers: readonly Buffer[]): number {
  return buffers.reduce((sum, buffer) => sum + buffer.length, 0);
}

/** Nothing depends on the close of a cache file: its checksums tell what reached the disk. */
async function closeQuietly(segment: OpenSegment): Promise<void> {
  await segment.handle.then((file) => file.close()).catch(() => undefined);
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
