// A name with open files, and what is held of the file system for it. libfuse has one object for a name, with one length and one set of
// pages in the kernel: so a name shows one node for as long as it is open.
import type { NodeId, NodePlace } from '../../fs-ops/operations.ts';

/** A node that is held. Let it go when it is no longer used. */
export interface Held {
  readonly node: NodeId;
  /** The open name whose node it is, where being held is a use of that name. */
  readonly through?: OpenName;
  release(): void;
}

/** A name with open files. */
export class OpenName {
  /** Where it is; undefined once it has no name. */
  place: NodePlace | undefined;
  /** What paths to it show, and what is asked through its handles. */
  shown: NodeId;
  /** The name libfuse hides it under, once it is unlinked. */
  hiddenName: string | undefined;
  readonly #holds: Held[] = [];
  readonly #onUnused: (name: OpenName) => void;
  #uses = 0;

  constructor(place: NodePlace, node: NodeId, onUnused: (name: OpenName) => void) {
    this.place = place;
    this.shown = node;
    this.#onUnused = onUnused;
  }

  /** Counts a use that keeps `held` for as long as there is one. */
  use(held: Held): void {
    // What is held through this name is such a use already.
    if (held.through === this) return;
    this.#uses += 1;
    this.#holds.push(held);
  }

  /** Holds the node it shows, by a use of its own. */
  hold(): Held {
    this.#uses += 1;
    return { node: this.shown, through: this, release: () => this.drop() };
  }

  /** A use is over. */
  drop(): void {
    this.#uses -= 1;
    if (this.#uses > 0) return;
    this.#onUnused(this);
    for (const held of this.#holds.splice(0)) held.release();
  }
}
