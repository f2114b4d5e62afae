// What the service must hold after a crash: what every change that returned made of the worker's files, and of the one change that had not
// returned either all or nothing. Read from the logs of the load alone. Must not know: mounts, services, processes.
import type { StoreSnapshot } from '../../../src/emulator/store-snapshot.ts';

/** A line of a worker's log. */
export type LogLine =
  | (Change & { readonly start: number })
  /** The time that the change under way gives its file. */
  | { readonly mtime: string; readonly learned?: undefined }
  | { readonly done: number }
  /** The time that a file got by the change before. */
  | { readonly learned: string; readonly mtime: string }
  | { readonly settled: boolean }
  | { readonly stopped: string };

interface Change {
  readonly kind: 'store' | 'touch' | 'mkdir' | 'remove' | 'rename';
  readonly path: string;
  readonly to?: string;
  readonly bytes?: number;
  readonly sha256?: string;
}

interface ExpectedFile {
  readonly kind: 'file';
  readonly bytes: number;
  readonly sha256: string;
  /** Every time that it had since it has these bytes: one set after they were sent is kept here alone. Undefined: nobody knows one. */
  readonly ticks: ReadonlySet<bigint> | undefined;
}

type Expected = ExpectedFile | { readonly kind: 'folder' };
type Tree = ReadonlyMap<string, Expected>;

const TICK_NS = 100n;

/** One worker's files as they were acknowledged. */
export class Expectation {
  #tree: Tree = new Map();
  #open: { change: Change; mtime: string | undefined } | undefined;
  /** All times that a file with these bytes ever had: where the service has the bytes already they are not sent, and it keeps its time. */
  readonly #ever = new Map<string, Set<bigint>>();

  /** Lines in the order of the log. */
  add(lines: readonly LogLine[]): void {
    for (const line of lines) {
      if ('start' in line) this.#open = { change: line, mtime: undefined };
      else if ('learned' in line && line.learned !== undefined)
        this.#tree = applied(this.#tree, { kind: 'touch', path: line.learned }, line.mtime, true);
      else if ('mtime' in line && this.#open !== undefined) this.#open.mtime = line.mtime;
      else if ('done' in line) this.#close(true);
      else if ('settled' in line) this.#close(line.settled);
      this.#note();
    }
  }

  /** Whether a change was under way at the log's end. */
  get open(): boolean {
    return this.#open !== undefined;
  }

  /** What differs from what the service holds, were the change under way made or not. */
  differences(held: Tree): { readonly undone: readonly string[]; readonly done: readonly string[] } {
    const undone = compare(
      this.#open === undefined ? this.#tree : opened(this.#tree, this.#open.change),
      held,
      this.#ever,
    );
    if (this.#open === undefined) return { undone, done: undone };
    return { undone, done: compare(applied(this.#tree, this.#open.change, this.#open.mtime), held, this.#ever) };
  }

  #note(): void {
    for (const entry of this.#tree.values()) {
      if (entry.kind !== 'file' || entry.ticks === undefined) continue;
      const ever = this.#ever.get(entry.sha256) ?? new Set();
      this.#ever.set(entry.sha256, ever);
      for (const tick of entry.ticks) ever.add(tick);
    }
  }

  #close(happened: boolean): void {
    if (this.#open === undefined) return;
    const { change, mtime } = this.#open;
    this.#tree = happened ? applied(this.#tree, change, mtime) : opened(this.#tree, change);
    this.#open = undefined;
  }
}

/** What the service holds, by worker. */
export interface Held {
  readonly byWorker: ReadonlyMap<string, Tree>;
  /** What no worker has made, and names that stand twice in one folder. */
  readonly wrong: readonly string[];
}

/** Sorts a snapshot's entries by the worker that a name in their path begins with; `shared` are the folders that were there before. */
export function heldByWorker(snapshot: StoreSnapshot, shared: readonly string[]): Held {
  const byWorker = new Map<string, Map<string, Expected>>();
  const wrong: string[] = [];
  const names = new Set<string>();
  for (const { name, entries } of snapshot.syncpoints) {
    for (const entry of entries) {
      const path = `${name}/${entry.path}`;
      const folded = path.normalize('NFC').toLowerCase();
      if (names.has(folded)) wrong.push(`${path}: twice at the service`);
      names.add(folded);
      if (shared.includes(path)) continue;
      const worker = /\/w([0-9]+)-/.exec(path)?.[1];
      if (worker === undefined) {
        wrong.push(`${path}: at the service, though nobody made it`);
        continue;
      }
      const tree = byWorker.get(worker) ?? new Map<string, Expected>();
      byWorker.set(worker, tree);
      tree.set(
        path,
        entry.kind === 'folder'
          ? { kind: 'folder' }
          : {
              kind: 'file',
              bytes: entry.lengthBytes,
              sha256: entry.sha256,
              ticks: new Set([ticksOfIso(entry.modified)]),
            },
      );
    }
  }
  return { byWorker, wrong };
}

function applied(tree: Tree, change: Change, mtime: string | undefined, replacing = false): Tree {
  const { kind, path, to, bytes, sha256 } = change;
  const next = new Map(tree);
  if (kind === 'mkdir') next.set(path, { kind: 'folder' });
  else if (kind === 'remove') next.delete(path);
  else if (kind === 'store') {
    const ticks = mtime === undefined ? undefined : new Set([ticksOfNs(mtime)]);
    next.set(path, { kind: 'file', bytes: bytes ?? 0, sha256: sha256 ?? '', ticks });
  } else if (kind === 'touch') {
    const file = tree.get(path);
    if (file?.kind === 'file' && mtime !== undefined) {
      const ticks = new Set([ticksOfNs(mtime)]);
      next.set(path, { ...file, ticks: replacing ? ticks : union(file.ticks, ticks) });
    }
  } else {
    const moved = [...tree].filter(([one]) => one === path || one.startsWith(`${path}/`));
    for (const [one] of moved) next.delete(one);
    for (const [one, entry] of moved) next.set((to ?? '') + one.slice(path.length), entry);
  }
  return next;
}

/** Undefined: no time can be ruled out. */
function union(some: ReadonlySet<bigint> | undefined, more: ReadonlySet<bigint>): ReadonlySet<bigint> | undefined {
  return some === undefined ? undefined : new Set([...some, ...more]);
}

/** Opening an empty file to truncate it has a result of its own, its time. */
function opened(tree: Tree, { kind, path }: Change): Tree {
  const file = tree.get(path);
  if (kind !== 'store' || file?.kind !== 'file' || file.bytes > 0) return tree;
  return new Map(tree).set(path, { ...file, ticks: undefined });
}

function compare(wanted: Tree, held: Tree, ever: ReadonlyMap<string, ReadonlySet<bigint>>): readonly string[] {
  const differences: string[] = [];
  for (const [path, entry] of wanted) {
    const there = held.get(path);
    if (there === undefined) differences.push(`${path}: not at the service`);
    else if (there.kind !== entry.kind) differences.push(`${path}: a ${there.kind} at the service`);
    else if (entry.kind === 'file' && there.kind === 'file') {
      if (there.sha256 !== entry.sha256)
        differences.push(`${path}: other bytes at the service, ${there.bytes} of them, not ${entry.bytes}`);
      const [ticks] = there.ticks ?? [];
      const isKnown =
        ticks === undefined || entry.ticks?.has(ticks) === true || ever.get(entry.sha256)?.has(ticks) === true;
      if (entry.ticks !== undefined && !isKnown)
        differences.push(`${path}: modified ${ticks} at the service, not ${[...entry.ticks].join(' or ')}`);
    }
  }
  for (const path of held.keys())
    if (!wanted.has(path)) differences.push(`${path}: at the service, though it was not made or was removed`);
  return differences;
}

function ticksOfNs(text: string): bigint {
  return BigInt(text) / TICK_NS;
}

/** `2024-05-06T07:08:09.1234567Z`: Date knows milliseconds only. */
function ticksOfIso(text: string): bigint {
  const [, whole, fraction] = /^(.*)\.([0-9]{7})Z?$/.exec(text) ?? [];
  if (whole === undefined || fraction === undefined) throw new Error(`not a time of the service: ${text}`);
  return BigInt(Date.parse(`${whole}Z`)) * 10_000n + BigInt(fraction);
}
