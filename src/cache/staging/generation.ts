// One generation of a file's content in memory: what is valid in its file, and what shows through where nothing is. Answers which file or
// version of the service holds which range. Does no input or output.
import type { ContentReference } from '../../remote-drive.ts';
import type { StagedBase, StagedContent } from '../tree/records.ts';
import { addRange, coversUpTo, cutRanges, eachPart } from './extents.ts';

/** A version of the service as what shows through. */
export interface VersionSource {
  readonly kind: 'version';
  readonly content: ContentReference;
}

/** What content is read from. */
export type Source = Generation | VersionSource;

/** Where content comes from that has neither been written here nor is at the service: there is none. */
export function lengthOf(source: Source | undefined): number {
  if (source === undefined) return 0;
  return source.kind === 'version' ? source.content.lengthBytes : source.lengthBytes;
}

/** The generations of one file, one over the other. */
export interface Lineage {
  /** The last one that the journal has named. */
  top: Generation;
  /** What lies below it is being folded. */
  folding: boolean;
  /** Those that this process knows. */
  members: number;
}

/** One state of a file's content. */
export class Generation {
  readonly kind = 'staged';
  readonly id: number;
  readonly lineage: Lineage;
  lengthBytes: number;
  /** What shows below `baseEndBytes` outside `extents`; undefined: nothing, all of the content is in this generation's own file. */
  base: Source | undefined;
  baseEndBytes: number;
  readonly extents: number[];
  sha256: string | undefined;
  /** That one's file holds by now all that this one shows. */
  foldedInto: Generation | undefined;

  /** The journal names it; has named it; and had done so when its database was last safe against power loss. */
  named = false;
  everNamed = false;
  flushed = false;
  /** Those in this process who read what it shows: its file stays. */
  users = 0;
  /** Those who rely on that not changing. */
  seals = 0;
  /** Takes part in a fold under way. */
  busy = false;
  /** Its file has bytes that a power failure may take. */
  unsynced = true;
  /** The last sync that was begun. */
  syncing: Promise<void> = Promise.resolve();
  /** Somebody was told that it is safe against power loss. */
  promised = false;
  /** So are bytes of its file, though they may be a part of what it was then, or come from another one. */
  holdsPromised = false;
  /** Its file may go on behind the content's end. */
  overlong = false;

  constructor(
    id: number,
    content: Pick<StagedContent, 'lengthBytes' | 'baseEndBytes' | 'extents' | 'sha256'>,
    base: Source | undefined,
  ) {
    this.id = id;
    this.lengthBytes = content.lengthBytes;
    this.base = base;
    this.baseEndBytes = content.baseEndBytes;
    this.extents = [...content.extents];
    this.sha256 = content.sha256;
    this.lineage = base?.kind === 'staged' ? base.lineage : { top: this, folding: false, members: 0 };
  }

  /** [start, end) of its own file holds content now. */
  filled(startBytes: number, endBytes: number): void {
    this.unsynced = true;
    this.lengthBytes = Math.max(this.lengthBytes, endBytes);
    const end = Math.min(endBytes, this.baseEndBytes);
    if (startBytes < end) addRange(this.extents, startBytes, end);
    this.#dropHiddenBase();
  }

  /** The content has this length now; where it was shorter, zeros follow. */
  resized(lengthBytes: number): void {
    this.unsynced = true;
    this.lengthBytes = lengthBytes;
    if (lengthBytes < this.baseEndBytes) {
      this.baseEndBytes = lengthBytes;
      cutRanges(this.extents, lengthBytes);
    }
    this.#dropHiddenBase();
  }

  /** Shows what lies below its base instead of the base, of which it has all the rest. */
  replaceBase(base: Source | undefined, baseEndBytes: number): void {
    this.base = base;
    this.baseEndBytes = Math.min(this.baseEndBytes, baseEndBytes);
    cutRanges(this.extents, this.baseEndBytes);
    this.#dropHiddenBase();
  }

  /** What the journal names. `local`: all that the service's version is to show has been filled in, and it is left out. */
  record(local = false): StagedContent {
    const { id, lengthBytes, sha256 } = this;
    const base = this.base?.kind === 'staged' ? resolved(this.base) : this.base;
    if (base === undefined || (local && base.kind === 'version')) {
      return { id, lengthBytes, base: undefined, baseEndBytes: 0, extents: [], sha256 };
    }
    const named: StagedBase =
      base.kind === 'version'
        ? { kind: 'version', content: base.content }
        : { kind: 'staged', staged: base.record(local) };
    return { id, lengthBytes, base: named, baseEndBytes: this.baseEndBytes, extents: [...this.extents], sha256 };
  }

  #dropHiddenBase(): void {
    if (this.base === undefined || !coversUpTo(this.extents, this.baseEndBytes)) return;
    this.base = undefined;
    this.baseEndBytes = 0;
    this.extents.length = 0;
  }
}

/** The generation in whose file this one's content is now. */
export function resolved(generation: Generation): Generation {
  let at = generation;
  while (at.foldedInto !== undefined) at = at.foldedInto;
  return at;
}

/** The generations that a reader of this one needs, from the top down. */
export function generationsBelow(generation: Generation): Generation[] {
  const generations: Generation[] = [];
  for (let at: Source | undefined = generation; at?.kind === 'staged'; at = at.base)
    generations.push((at = resolved(at)));
  return generations;
}

/** The numbers of all files that a record names. */
export function idsOf(staged: StagedContent): number[] {
  const ids: number[] = [];
  for (let at: StagedContent | undefined = staged; at !== undefined;) {
    ids.push(at.id);
    at = at.base?.kind === 'staged' ? at.base.staged : undefined;
  }
  return ids;
}

/** A range of content and who holds it; `over` is the generation that shows a version's range. */
export type SegmentVisitor = (source: Source, start: number, end: number, over: Generation | undefined) => boolean;

/** Calls back for who holds each part of [start, end) in order, until the callback returns true; then so does this. */
export function eachSegment(
  source: Source,
  start: number,
  end: number,
  visit: SegmentVisitor,
  over?: Generation,
): boolean {
  if (source.kind === 'version') return visit(source, start, end, over);
  const generation = resolved(source);
  const { base } = generation;
  const shownEnd = Math.min(end, base === undefined ? 0 : generation.baseEndBytes);
  if (
    base !== undefined &&
    start < shownEnd &&
    eachPart(generation.extents, start, shownEnd, (from, to, inside) =>
      inside ? visit(generation, from, to, over) : eachSegment(base, from, to, visit, generation),
    )
  ) {
    return true;
  }
  const from = Math.max(start, shownEnd);
  return from < end && visit(generation, from, end, over);
}
