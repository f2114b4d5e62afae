// Programs that take one entry of a directory after another: tar, cp -r and grep -r read files, find and du list directories. Sees the run,
// in the order in which the directory lists its entries or in that of their names, and asks for the next ones before they are opened, so
// that they cost no round trip each. People, who take their time, cause nothing. Knows no bytes and no calls.
import type { Tree, TreeNode } from '../cache/tree.ts';

/** Entries taken one after another before anything is asked for. */
const RUN_MIN = 2;
/** Whoever pauses for longer between two of them is no program, or does not wait for us. */
const PAUSE_MS_MAX = 2_000;
/** Readers with several threads do not keep the order, nor do people's alphabets that of bytes. */
const JUMP_MAX = 8;
/** Entries of another kind may lie between two of this: so many are passed over in search of the next one. */
const SEARCH_MAX = 256;
/** Directories in which somebody takes entries at once. */
const DIRECTORIES_MAX = 64;

/** Directories in both orders. */
export type ListedTree = Pick<Tree, 'children' | 'childrenByName' | 'node'>;

/** What runs are of, and what is done ahead of them. */
export interface NeighbourOptions<Node extends TreeNode> {
  readonly tree: ListedTree;
  readonly kind: Node['kind'];
  /** What an entry counts for; undefined: there is nothing to ask for. */
  readonly weightOf: (node: Node) => number | undefined;
  /** Has an entry fetched; the function returned ends that where it goes on still. */
  readonly fetch: (node: Node) => () => void;
  /** Ahead of one run: entries, and their weights together. */
  readonly aheadMax: number;
  readonly weightMax: number;
  /** Monotonic. */
  readonly nowMs?: (() => number) | undefined;
}

type Order = 'listing' | 'name';
const orders: readonly Order[] = ['listing', 'name'];

interface Run<Node> {
  /** The entry that was taken furthest. */
  at: Node;
  atMs: number;
  /** Undefined while one entry alone was taken. */
  order: Order | undefined;
  /** How many came in order. */
  length: number;
  /** What was asked for, up to this entry. */
  aheadTo: TreeNode;
  /** What was asked for and not taken yet, and what ends that. */
  readonly asked: Map<number, { readonly weight: number; readonly end: () => void }>;
  askedWeight: number;
}

export class Neighbours<Node extends TreeNode> {
  readonly #options: NeighbourOptions<Node>;
  readonly #nowMs: () => number;
  /** By directory, the one longest untouched first. */
  readonly #runs = new Map<number, Run<Node>>();
  /** Where, and when, somebody last came to a directory's end on a run. */
  #ended = { directory: 0, atMs: -Infinity };

  constructor(options: NeighbourOptions<Node>) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? ((): number => performance.now());
  }

  /** A program took an entry: read a file to its end, opened a directory. */
  taken(node: Node): void {
    const run = this.#runOf(node);
    this.#take(run, node.inode);
    if (run.length >= RUN_MIN && run.order !== undefined) this.#askAhead(run, run.order);
  }

  /** Ends what is asked for. */
  stop(): void {
    for (const run of this.#runs.values()) this.#end(run);
    this.#runs.clear();
  }

  /** The run that the entry goes on with, or begins. */
  #runOf(node: Node): Run<Node> {
    const known = this.#runs.get(node.parent);
    // Its place is at the end.
    this.#runs.delete(node.parent);
    const run = known !== undefined && this.#goesOn(known, node) ? known : this.#begun(node);
    if (known !== undefined && known !== run) this.#end(known);
    run.atMs = this.#nowMs();
    this.#runs.set(node.parent, run);
    for (const [directory, oldest] of this.#runs) {
      if (this.#runs.size <= DIRECTORIES_MAX) break;
      this.#end(oldest);
      this.#runs.delete(directory);
    }
    return run;
  }

  #begun(node: Node): Run<Node> {
    const run: Run<Node> = {
      at: node,
      atMs: 0,
      order: undefined,
      length: 1,
      aheadTo: node,
      asked: new Map(),
      askedWeight: 0,
    };
    if (!this.#isNextDirectory(node.parent)) return run;
    run.order = orders.find((order) => this.#follows(order, node, undefined, 1));
    if (run.order !== undefined) run.length = RUN_MIN;
    return run;
  }

  /** Who walks a tree and came to a directory's end goes on in one beside it. */
  #isNextDirectory(directory: number): boolean {
    const { tree } = this.#options;
    const { directory: former, atMs } = this.#ended;
    if (this.#nowMs() - atMs > PAUSE_MS_MAX || directory === former) return false;
    const above = tree.node(directory)?.parent;
    return above !== undefined && above === tree.node(former)?.parent;
  }

  #goesOn(run: Run<Node>, node: Node): boolean {
    if (this.#nowMs() - run.atMs > PAUSE_MS_MAX) return false;
    if (run.order !== undefined && (run.asked.has(node.inode) || isPassed(run.order, node, run.at))) {
      if (!isPassed(run.order, node, run.at)) run.at = node;
      run.length += 1;
      return true;
    }
    const order = orders
      .toSorted((one) => (one === run.order ? -1 : 0))
      .find((one) => this.#follows(one, node, run.at, JUMP_MAX));
    if (order === undefined) return false;
    if (order !== run.order) {
      // Two entries may be neighbours in both orders.
      this.#end(run);
      run.aheadTo = node;
    }
    run.order = order;
    run.at = node;
    run.length += 1;
    return true;
  }

  /** True for one of the next of its kind behind another one; behind none: one of the directory's first. */
  #follows(order: Order, node: Node, after: TreeNode | undefined, jumpMax: number): boolean {
    let passed = 0;
    let searched = 0;
    for (const next of this.#behind(order, node.parent, after)) {
      if (next.inode === node.inode) return true;
      if (next.kind === node.kind) passed += 1;
      searched += 1;
      if (passed >= jumpMax || searched >= SEARCH_MAX) return false;
    }
    return false;
  }

  #askAhead(run: Run<Node>, order: Order): void {
    const { kind, aheadMax, weightMax, weightOf, fetch } = this.#options;
    // Twice as many with each one taken: a short run costs little, a long one is kept fed.
    const most = Math.min(aheadMax, 2 ** Math.min(run.length, 10));
    if (run.asked.size > most / 2) return;
    const from = isPassed(order, run.aheadTo, run.at) ? run.at : run.aheadTo;
    let searched = 0;
    for (const next of this.#behind(order, run.at.parent, from)) {
      if (run.asked.size >= most || run.askedWeight >= weightMax || searched >= SEARCH_MAX) return;
      run.aheadTo = next;
      searched += 1;
      if (next.kind !== kind) continue;
      const weight = weightOf(next as Node);
      if (weight === undefined) continue;
      run.asked.set(next.inode, { weight, end: fetch(next as Node) });
      run.askedWeight += weight;
    }
    this.#ended = { directory: run.at.parent, atMs: this.#nowMs() };
  }

  #behind(order: Order, directory: number, node: TreeNode | undefined): Iterable<TreeNode> {
    const { tree } = this.#options;
    return order === 'name' ? tree.childrenByName(directory, node?.name) : tree.children(directory, node?.inode);
  }

  /** Whoever took it keeps it. */
  #take(run: Run<Node>, inode: number): void {
    const asked = run.asked.get(inode);
    if (asked === undefined) return;
    run.asked.delete(inode);
    run.askedWeight -= asked.weight;
    asked.end();
  }

  #end(run: Run<Node>): void {
    for (const inode of [...run.asked.keys()]) this.#take(run, inode);
  }
}

/** True where one entry comes no later than another one. */
function isPassed(order: Order, one: TreeNode, other: TreeNode): boolean {
  return order === 'listing' ? one.inode <= other.inode : one.name <= other.name;
}
