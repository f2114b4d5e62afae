// Empty files that wait to be taken. A disk that has deleted many files takes up to a millisecond to make one (ext4 passes over the inodes
// of the last seconds one by one); renaming one that is there takes a hundredth of that. So files that are done with are emptied and kept,
// and some are made when nothing else is done. Knows no generations.
import fs from 'node:fs';
import { open, readdir, rename, stat, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createLog } from '../../base/log.ts';

const log = createLog('staging');

const nameForm = /^spare-[1-9]\d{0,14}$/;
/** Files are made when none was taken for so long. */
const quietMs = 1_500;
/** Made without looking whether one was taken meanwhile: a few milliseconds of the disk. */
const batchSize = 16;

export class SpareFiles {
  readonly #directory: string;
  readonly #max: number;
  readonly #names: string[] = [];
  #lastNumber = 0;
  /** Files being emptied. */
  #coming = 0;
  #takenAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #filling: Promise<void> | undefined;
  #stopped = false;

  /** Keeps at most `max` files in `directory`, named so that they are no generation's. */
  constructor(directory: string, max: number) {
    this.#directory = directory;
    this.#max = max;
  }

  /** Takes over what an earlier process left, and goes on to make what is missing. */
  async open(): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      if (!nameForm.test(name)) continue;
      const path = join(this.#directory, name);
      // Whoever takes it relies on it; a power failure may leave what it likes.
      if ((await stat(path)).size > 0) await unlink(path);
      else this.#names.push(name);
      this.#lastNumber = Math.max(this.#lastNumber, Number(name.slice('spare-'.length)));
    }
    this.#fillLater();
  }

  get count(): number {
    return this.#names.length;
  }

  /** Puts one at `path`, which does not exist. False: there is none. */
  take(path: string): boolean {
    this.#takenAtMs = performance.now();
    for (let name = this.#names.pop(); name !== undefined; name = this.#names.pop()) {
      this.#fillLater();
      try {
        fs.renameSync(join(this.#directory, name), path);
        return true;
      } catch (error) {
        // Somebody tidied up, or the disk has no room for names: the file that is made instead says which.
        log('spare file %s is of no use: %O', name, error);
      }
    }
    return false;
  }

  /**
   * Keeps the file at `path`, which nobody has open, and empties it. False: it is to be deleted, if it is still there. It is renamed before
   * it is emptied: of two who give the same file one gets it, and the other can't empty it when it is another generation's already.
   */
  async give(path: string): Promise<boolean> {
    if (this.#stopped || this.#names.length + this.#coming >= this.#max) return false;
    this.#coming += 1;
    const name = this.#nextName();
    const kept = join(this.#directory, name);
    try {
      await rename(path, kept);
    } catch (error) {
      this.#coming -= 1;
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log('%s could not be kept as a spare file: %O', path, error);
      return false;
    }
    try {
      await truncate(kept, 0);
      this.#names.push(name);
      return true;
    } catch (error) {
      // The next process deletes it.
      log('spare file %s could not be emptied: %O', name, error);
      return true;
    } finally {
      this.#coming -= 1;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#filling;
  }

  #nextName(): string {
    this.#lastNumber += 1;
    return `spare-${this.#lastNumber}`;
  }

  #fillLater(): void {
    if (this.#stopped || this.#max === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#filling ??= this.#fill().finally(() => {
        this.#filling = undefined;
        if (this.#names.length < this.#max / 2) this.#fillLater();
      });
    }, quietMs).unref();
  }

  /** Until there are enough, programs write again, or the disk has no room. */
  async #fill(): Promise<void> {
    const lacking = (): number => this.#max - this.#names.length - this.#coming;
    while (!this.#stopped && lacking() > 0 && performance.now() - this.#takenAtMs >= quietMs) {
      try {
        for (let made = 0; made < batchSize && lacking() > 0; made += 1) {
          const name = this.#nextName();
          await (await open(join(this.#directory, name), 'wx', 0o600)).close();
          this.#names.push(name);
        }
      } catch (error) {
        log('no spare files can be made: %O', error);
        return;
      }
    }
  }
}
