// Empty files that wait to be taken. A disk that has deleted many files takes up to a millisecond to make one (ext4 passes over the inodes
// of the last seconds one by one); opening one that is there takes a hundredth of that. So files that are done with are emptied and kept,
// and some are made when nothing else is done. Each has the number of a generation to come already. Knows no generations.
import { open, rename, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createLog } from '../../base/log.ts';

const log = createLog('staging');

/** Files are made when none was taken for so long. */
const quietMs = 1_500;
/** Made without looking whether one was taken meanwhile: a few milliseconds of the disk. */
const batchSize = 16;

/** The directory's numbers, which are its files' names. */
export interface SpareNames {
  /** Gives one that no file there has had. */
  readonly nextNumber: () => number;
  /** Told of each that a file has got now. */
  readonly onNamed: (number: number) => void;
}

export class SpareFiles {
  readonly #directory: string;
  readonly #max: number;
  readonly #names: SpareNames;
  /** Oldest first. */
  readonly #numbers = new Set<number>();
  /** Files being emptied. */
  #coming = 0;
  #takenAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #filling: Promise<void> | undefined;
  #stopped = false;

  /** Keeps at most `max` files in `directory`. */
  constructor(directory: string, max: number, names: SpareNames) {
    this.#directory = directory;
    this.#max = max;
    this.#names = names;
  }

  get count(): number {
    return this.#numbers.size;
  }

  has(number: number): boolean {
    return this.#numbers.has(number);
  }

  /** The number of one, which is its name; undefined: there is none. Somebody may have tidied it up. */
  take(): number | undefined {
    this.#takenAtMs = performance.now();
    if (this.#max === 0) return undefined;
    this.fillLater();
    const [number] = this.#numbers;
    if (number !== undefined) this.#numbers.delete(number);
    return number;
  }

  /**
   * Keeps a file of an earlier process that no generation has, under its own number, if it is empty: whoever takes it relies on that. False:
   * it is to be given or deleted.
   */
  async adopt(number: number): Promise<boolean> {
    if (this.#isFull) return false;
    this.#coming += 1;
    try {
      // Where it can't be looked at, deleting it says why.
      const isEmpty = await stat(this.#pathOf(number)).then(
        ({ size }) => size === 0,
        () => false,
      );
      if (isEmpty) this.#add(number);
      return isEmpty;
    } finally {
      this.#coming -= 1;
    }
  }

  /**
   * Keeps the file at `path`, which nobody has open, and empties it. False: it is to be deleted, if it is still there. It is renamed before
   * it is emptied: of two who give the same file one gets it, and the other can't empty it when it is another generation's already.
   */
  async give(path: string): Promise<boolean> {
    if (this.#isFull) return false;
    this.#coming += 1;
    const number = this.#names.nextNumber();
    try {
      await rename(path, this.#pathOf(number));
    } catch (error) {
      this.#coming -= 1;
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log('%s could not be kept as a spare file: %O', path, error);
      return false;
    }
    try {
      await truncate(this.#pathOf(number), 0);
      this.#add(number);
      return true;
    } catch (error) {
      // The next process deletes it.
      log('spare file %d could not be emptied: %O', number, error);
      return true;
    } finally {
      this.#coming -= 1;
    }
  }

  /** Makes what is missing, once programs leave time for it. */
  fillLater(): void {
    if (this.#stopped || this.#max === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#filling ??= this.#fill().finally(() => {
        this.#filling = undefined;
        if (this.#numbers.size < this.#max / 2) this.fillLater();
      });
    }, quietMs).unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#filling;
  }

  get #isFull(): boolean {
    return this.#stopped || this.#numbers.size + this.#coming >= this.#max;
  }

  #add(number: number): void {
    this.#names.onNamed(number);
    this.#numbers.add(number);
  }

  #pathOf(number: number): string {
    return join(this.#directory, String(number));
  }

  /** Until there are enough, programs write again, or the disk has no room. */
  async #fill(): Promise<void> {
    while (!this.#isFull && performance.now() - this.#takenAtMs >= quietMs) {
      const wanted = Math.min(batchSize, this.#max - this.#numbers.size - this.#coming);
      try {
        for (let made = 0; made < wanted; made += 1) {
          const number = this.#names.nextNumber();
          await (await open(this.#pathOf(number), 'wx', 0o600)).close();
          this.#add(number);
        }
      } catch (error) {
        log('no spare files can be made: %O', error);
        return;
      }
    }
  }
}
