// When to tell of what needs a person: once a cause, however many things come of it. Knows no clock, text or desktop.
//
// Promises, asserted in tests:
// C1 two showings of a cause are never closer together than `againMs`.
// C2 a showing tells of something that is still so, and that was not told of before.
// C3 what stays so is told of within `gatherMs`, or `againMs` after the showing before.
// C4 a showing is new only where a scope of the cause is open that was not told of since it was open last.

/** What a cause is about: one file that was refused, for example. */
export interface Matter {
  /** What belongs together within a cause: further matters of a scope that was told of are no news. */
  readonly scope: string;
}

/** What was told of a cause, to be kept between processes. */
export interface Told {
  readonly shownAtMs: number;
  /** Those that are open. */
  readonly scopes: readonly string[];
}

/** What is to be told of a cause. */
export interface Showing<Cause, Key> {
  readonly cause: Cause;
  /** News; otherwise it is more of what was told. */
  readonly isNew: boolean;
  /** All that is so. */
  readonly open: ReadonlyMap<Key, Matter>;
  /** What of it was not told of before, in the order it came. */
  readonly untold: readonly Key[];
}

export interface Pace {
  /** From the first untold matter to the showing: what comes together is told together. */
  readonly gatherMs: number;
  /** Between two showings of one cause at least. */
  readonly againMs: number;
}

interface State<Key> {
  readonly open: Map<Key, Matter>;
  readonly untold: Set<Key>;
  /** How much is open of each scope. */
  readonly scopes: Map<string, number>;
  readonly toldScopes: Set<string>;
  untoldSinceMs: number;
  shownAtMs: number;
}

/** The causes that there are, with what is open of each. */
export class Causes<Cause, Key> {
  readonly #pace: Pace;
  readonly #states = new Map<Cause, State<Key>>();

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** What an earlier process told, before anything else. */
  recall(cause: Cause, { shownAtMs, scopes }: Told): void {
    const state = this.#state(cause);
    state.shownAtMs = shownAtMs;
    for (const scope of scopes) state.toldScopes.add(scope);
  }

  /** Something was so before this process: where an earlier one told of its scope, it was told. */
  find(cause: Cause, key: Key, matter: Matter, nowMs: number): void {
    this.arise(cause, key, matter, nowMs);
    const { untold, toldScopes } = this.#state(cause);
    if (toldScopes.has(matter.scope)) untold.delete(key);
  }

  /** Everything that was so was found: what was told of beyond that is over. Of one cause that shows later, by `end`. */
  allFound(later?: Cause): void {
    for (const [cause, { scopes, toldScopes }] of this.#states) {
      if (cause === later) continue;
      for (const scope of toldScopes) if (!scopes.has(scope)) toldScopes.delete(scope);
    }
  }

  /** What is to be recalled by the next process. */
  told(): Map<Cause, Told> {
    const told = [...this.#states].filter(([, { shownAtMs }]) => shownAtMs > -Infinity);
    return new Map(told.map(([cause, { shownAtMs, toldScopes }]) => [cause, { shownAtMs, scopes: [...toldScopes] }]));
  }

  /** Something is so. Of what is known to be so already nothing changes. */
  arise(cause: Cause, key: Key, matter: Matter, nowMs: number): void {
    const state = this.#state(cause);
    if (state.open.has(key)) return;
    state.open.set(key, matter);
    state.scopes.set(matter.scope, (state.scopes.get(matter.scope) ?? 0) + 1);
    if (state.untold.size === 0) state.untoldSinceMs = nowMs;
    state.untold.add(key);
  }

  /** It is so no more. A scope of which nothing is left is news when it comes again; true where one was told of. */
  mend(cause: Cause, key: Key): boolean {
    const state = this.#states.get(cause);
    const matter = state?.open.get(key);
    if (state === undefined || matter === undefined) return false;
    state.open.delete(key);
    state.untold.delete(key);
    const left = (state.scopes.get(matter.scope) ?? 0) - 1;
    if (left > 0) {
      state.scopes.set(matter.scope, left);
      return false;
    }
    state.scopes.delete(matter.scope);
    return state.toldScopes.delete(matter.scope);
  }

  /** Nothing of a scope is so, which was not found either: what an earlier process told of it is over. True where it did. */
  end(cause: Cause, scope: string): boolean {
    return this.#states.get(cause)?.toldScopes.delete(scope) ?? false;
  }

  /** True while something of the cause is so. */
  isOpen(cause: Cause): boolean {
    return (this.#states.get(cause)?.open.size ?? 0) > 0;
  }

  /** When the next showing is due; undefined: nothing is to be told. */
  get dueMs(): number | undefined {
    const due = [...this.#states.values()].filter(({ untold }) => untold.size > 0).map((state) => this.#dueMs(state));
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** What is due, which counts as told from here on. */
  take(nowMs: number): Showing<Cause, Key>[] {
    const showings: Showing<Cause, Key>[] = [];
    for (const [cause, state] of this.#states) {
      const { open, untold, toldScopes } = state;
      if (untold.size === 0 || this.#dueMs(state) > nowMs) continue;
      const scopes = [...untold].map((key) => (open.get(key) as Matter).scope);
      showings.push({
        cause,
        isNew: scopes.some((scope) => !toldScopes.has(scope)),
        open: new Map(open),
        untold: [...untold],
      });
      for (const scope of scopes) toldScopes.add(scope);
      untold.clear();
      state.shownAtMs = nowMs;
    }
    return showings;
  }

  #dueMs({ untoldSinceMs, shownAtMs }: State<Key>): number {
    return Math.max(untoldSinceMs + this.#pace.gatherMs, shownAtMs + this.#pace.againMs);
  }

  #state(cause: Cause): State<Key> {
    const known = this.#states.get(cause);
    if (known !== undefined) return known;
    const state: State<Key> = {
      open: new Map(),
      untold: new Set(),
      scopes: new Map(),
      toldScopes: new Set(),
      untoldSinceMs: 0,
      shownAtMs: -Infinity,
    };
    this.#states.set(cause, state);
    return state;
  }
}
