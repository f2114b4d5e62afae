// Programs that read one file of a directory after another: tar, cp -r, grep -r, compilers, whoever names files with a star. Sees the run,
// in the order in which the directory lists its files or in that of their names, and asks for the next ones before they are opened, so
// that small files cost no round trip each. Only where those before were read to their ends: who looks at headers gets headers.
import { shownLengthBytes, type Tree, type TreeFile, type TreeNode } from '../cache/tree.ts';

/** Larger ones are read ahead by themselves, for the round trip at their begin. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Ahead of one reader, over all files asked for. */
const AHEAD_BYTES_MAX = 16 * 1024 * 1024;
/** At 30 ms a round trip and eight requests at once, what a program takes half a second to read. */
const AHEAD_FILES_MAX = 64;
/** Files read one after another before anything is asked for. */
const RUN_MIN = 2;
/** Readers with several threads do not keep the order, nor do people's alphabets that of bytes. */
const JUMP_MAX = 8;
/** Directories in which somebody reads at once. */
const DIRECTORIES_MAX = 64;
/** Who walks a tree goes on in the next directory within this. */
const WALK_MS = 2_000;

/** Has a file's content fetched; the function returned ends that where it goes on still. */
export type Fetch = (file: TreeFile) => () => void;

/** Directories in both orders. */
export type ListedTree = Pick<Tree, 'children' | 'childrenByName'>;

type Order = 'listing' | 'name';
const orders: readonly Order[] = ['listing', 'name'];

interface Run {
  /** The file that was read furthest. */
  at: TreeFile;
  /** Undefined while one file alone was read. */
  order: Order | undefined;
  /** How many came in order. */
  length: number;
  /** What was asked for, up to this entry. */
  aheadTo: TreeNode;
  /** Files that were asked for and not read yet, and what ends that. */
  readonly asked: Map<number, { readonly bytes: number; readonly end: () => void }>;
  askedBytes: number;
}

export class Neighbours {
  readonly #tree: ListedTree;
  readonly #fetch: Fetch;
  readonly #nowMs: () => number;
  /** By directory, the one longest unread first. */
  readonly #runs = new Map<number, Run>();
  /** When somebody last came to a directory's end on a run, monotonic. */
  #walkedAtMs = -Infinity;

  constructor(tree: ListedTree, fetch: Fetch, nowMs = (): number => performance.now()) {
    this.#tree = tree;
    this.#fetch = fetch;
    this.#nowMs = nowMs;
  }

  /** A file was read from its begin to its end. */
  read(file: TreeFile): void {
    const run = this.#runOf(file);
    this.#take(run, file.inode);
    if (run.length >= RUN_MIN && run.order !== undefined) this.#askAhead(run, run.order);
  }

  /** Ends what is asked for. */
  stop(): void {
    for (const run of this.#runs.values()) this.#end(run);
    this.#runs.clear();
  }

  /** The run that the file goes on with, or begins. */
  #runOf(file: TreeFile): Run {
    const known = this.#runs.get(file.parent);
    // Its place is at the end.
    this.#runs.delete(file.parent);
    const run = known !== undefined && this.#goesOn(known, file) ? known : this.#begun(file);
    if (known !== undefined && known !== run) this.#end(known);
    this.#runs.set(file.parent, run);
    for (const [directory, oldest] of this.#runs) {
      if (this.#runs.size <= DIRECTORIES_MAX) break;
      this.#end(oldest);
      this.#runs.delete(directory);
    }
    return run;
  }

  #begun(file: TreeFile): Run {
    const run: Run = { at: file, order: undefined, length: 1, aheadTo: file, asked: new Map(), askedBytes: 0 };
    if (this.#nowMs() - this.#walkedAtMs > WALK_MS) return run;
    run.order = orders.find((order) => this.#follows(order, file, undefined, 1));
    if (run.order !== undefined) run.length = RUN_MIN;
    return run;
  }

  #goesOn(run: Run, file: TreeFile): boolean {
    if (run.order !== undefined && (run.asked.has(file.inode) || isPassed(run.order, file, run.at))) {
      if (!isPassed(run.order, file, run.at)) run.at = file;
      run.length += 1;
      return true;
    }
    const order = orders
      .toSorted((one) => (one === run.order ? -1 : 0))
      .find((one) => this.#follows(one, file, run.at, JUMP_MAX));
    if (order === undefined) return false;
    if (order !== run.order) {
      // Two files may be neighbours in both orders.
      this.#end(run);
      run.aheadTo = file;
    }
    run.order = order;
    run.at = file;
    run.length += 1;
    return true;
  }

  /** True for one of the next files behind another one; behind none: one of the directory's first. */
  #follows(order: Order, file: TreeFile, after: TreeNode | undefined, jumpMax: number): boolean {
    let passed = 0;
    for (const node of this.#behind(order, file.parent, after)) {
      if (node.inode === file.inode) return true;
      if (node.kind === 'file') passed += 1;
      if (passed >= jumpMax) return false;
    }
    return false;
  }

  #askAhead(run: Run, order: Order): void {
    // Twice as many with each file read: a short run costs little, a long one is kept fed.
    const filesMax = Math.min(AHEAD_FILES_MAX, 2 ** Math.min(run.length, 10));
    if (run.asked.size > filesMax / 2) return;
    const from = isPassed(order, run.aheadTo, run.at) ? run.at : run.aheadTo;
    for (const node of this.#behind(order, run.at.parent, from)) {
      if (run.asked.size >= filesMax || run.askedBytes >= AHEAD_BYTES_MAX) return;
      run.aheadTo = node;
      if (node.kind !== 'file') continue;
      const bytes = shownLengthBytes(node);
      if (bytes === 0 || bytes > FILE_BYTES_MAX || node.staged !== undefined) continue;
      run.asked.set(node.inode, { bytes, end: this.#fetch(node) });
      run.askedBytes += bytes;
    }
    this.#walkedAtMs = this.#nowMs();
  }

  #behind(order: Order, directory: number, node: TreeNode | undefined): Iterable<TreeNode> {
    return order === 'name'
      ? this.#tree.childrenByName(directory, node?.name)
      : this.#tree.children(directory, node?.inode);
  }

  /** It is read, and whoever reads it keeps it. */
  #take(run: Run, inode: number): void {
    const asked = run.asked.get(inode);
    if (asked === undefined) return;
    run.asked.delete(inode);
    run.askedBytes -= asked.bytes;
    asked.end();
  }

  #end(run: Run): void {
    for (const inode of [...run.asked.keys()]) this.#take(run, inode);
  }
}

/** True where one entry comes no later than another one. */
function isPassed(order: Order, one: TreeNode, other: TreeNode): boolean {
  return order === 'listing' ? one.inode <= other.inode : one.name <= other.name;
}
