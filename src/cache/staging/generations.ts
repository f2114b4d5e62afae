// All generations this process has to do with: who needs which, and the end of those nobody needs. A file goes only when neither the
// journal names its generation, safely against power loss, nor anybody in this process reads it. Knows no content.
import { createLog } from '../../base/log.ts';
import type { StagedContent } from '../tree/records.ts';
import { Generation, generationsBelow, idsOf, type Source } from './generation.ts';
import type { StagedFiles } from './staged-files.ts';

const log = createLog('staging');

/** Keeps files of generations. */
export interface Hold {
  /** May be called again without effect. */
  release(): void;
}

/** All generations that somebody names or reads, and how many do. */
export class Generations {
  readonly #files: StagedFiles;
  readonly #journalFlushed: () => Promise<unknown>;
  readonly #byId = new Map<number, Generation>();
  readonly #background = new Set<Promise<void>>();
  readonly #waiting = new Set<Promise<void>>();
  #stopped = false;

  /** `journalFlushed` resolves when what the journal was told so far is safe against power loss. */
  constructor(files: StagedFiles, journalFlushed: () => Promise<unknown>) {
    this.#files = files;
    this.#journalFlushed = journalFlushed;
  }

  /** A new generation with an empty file; the first `shownBytes` of `base` show through. */
  begin(base: Source | undefined, shownBytes: number): Generation {
    const id = this.#files.create();
    const content = { lengthBytes: shownBytes, baseEndBytes: shownBytes, extents: [], sha256: undefined };
    return this.#add(new Generation(id, content, shownBytes === 0 ? undefined : base));
  }

  /** The generation of a record that the journal has. */
  of(staged: StagedContent): Generation {
    const known = this.#byId.get(staged.id);
    if (known !== undefined) return known;
    const { base } = staged;
    const generation = new Generation(staged.id, staged, base?.kind === 'staged' ? this.of(base.staged) : base);
    generation.lineage.top = generation;
    generation.named = generation.everNamed = generation.flushed = true;
    // Of an earlier process nobody knows what it promised, nor how far it got with what it wrote last.
    generation.promised = generation.holdsPromised = generation.overlong = true;
    return this.#add(generation);
  }

  /** Keeps what a reader of this one needs. */
  hold(generation: Generation): Hold {
    return this.#hold(generationsBelow(generation));
  }

  /** Keeps all files that a record of the journal names. */
  holdRecord(staged: StagedContent): Hold & { readonly generations: readonly Generation[] } {
    this.of(staged);
    const generations = this.#behind(staged);
    return { generations, ...this.#hold(generations) };
  }

  #behind(staged: StagedContent): Generation[] {
    return idsOf(staged).flatMap((id) => this.#byId.get(id) ?? []);
  }

  #hold(held: readonly Generation[]): Hold {
    for (const each of held) each.users++;
    return {
      release: () => {
        const released = held;
        held = [];
        for (const each of released) {
          each.users--;
          this.#settle(each);
        }
      },
    };
  }

  /** Somebody in this process reads it. */
  inUse(id: number): boolean {
    return (this.#byId.get(id)?.users ?? 0) > 0;
  }

  /** The journal names these now. `flushed` is called when that is safe against power loss. */
  name(staged: StagedContent, flushed: () => void): void {
    const generations = this.#behind(staged);
    for (const generation of generations) generation.named = generation.everNamed = true;
    this.afterFlush(() => {
      for (const generation of generations) generation.flushed = true;
      flushed();
    });
  }

  /** The journal does not name it any more. */
  drop(id: number): void {
    const generation = this.#byId.get(id);
    if (generation === undefined) {
      // Somebody may come to read it until then, with a record that was read before.
      this.afterFlush(() => (this.#byId.has(id) ? this.drop(id) : this.#files.remove(id)));
      return;
    }
    generation.named = false;
    this.#settle(generation);
  }

  /** Does something once what the journal was told so far is safe against power loss; never, where that is not before {@link stop}. */
  afterFlush(action: () => unknown): void {
    this.#track(
      this.#waiting,
      this.#journalFlushed().then(() => {
        if (!this.#stopped) this.inBackground(Promise.resolve().then(action));
      }),
    );
  }

  /** Work whose failure nobody waits for: it is logged. */
  inBackground(work: Promise<unknown>): void {
    this.#track(this.#background, work);
  }

  /** Resolves when nothing is left to be done in the background, nor waits for the journal. */
  async idle(): Promise<void> {
    while (this.#background.size + this.#waiting.size > 0) await Promise.all([...this.#background, ...this.#waiting]);
  }

  /** Waits for what is being done; what waits for the journal, which may not be safe for long, is left to the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  #track(where: Set<Promise<void>>, work: Promise<unknown>): void {
    const logged = work.then(
      () => undefined,
      (error: unknown) => log('%s', error instanceof Error ? error.message : String(error)),
    );
    const tracked = logged.finally(() => where.delete(tracked));
    where.add(tracked);
  }

  /** Deletes what nobody needs, and forgets what the journal alone knows as well. */
  #settle(generation: Generation): void {
    if (generation.users > 0 || this.#byId.get(generation.id) !== generation) return;
    if (!generation.named) {
      this.#remove(generation);
      const remove = (): Promise<void> => this.#files.remove(generation.id);
      if (generation.everNamed) this.afterFlush(remove);
      else this.inBackground(remove());
    } else if (generation.lineage.members === 1) this.#remove(generation);
  }

  #add(generation: Generation): Generation {
    this.#byId.set(generation.id, generation);
    generation.lineage.members++;
    return generation;
  }

  #remove(generation: Generation): void {
    this.#byId.delete(generation.id);
    generation.lineage.members--;
  }
}
