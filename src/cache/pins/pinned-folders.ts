// The folders whose listings tell what is to be kept here. Nobody may open them before the service is out of reach, so they are looked at
// again by themselves: once listings show what others changed, and now and then where no event tells of that. Promises few calls, behind
// everybody's (decision 15). Knows no content.
import { Slices } from '../../base/event-loop.ts';
import { createLog } from '../../base/log.ts';
import type { Listings } from '../listings.ts';
import type { Pins } from '../pins.ts';
import type { Tree } from '../tree.ts';

const log = createLog('pins');

/** Some services tell no events, and some changes are taken for ours. */
const LOOK_EVERY_MS = 900_000;

export interface PinnedFoldersOptions {
  readonly tree: Tree;
  readonly pins: Pins;
  readonly listings: Pick<Listings, 'onMoved' | 'eventLagMs' | 'lookAgain'>;
  /** Nothing would be fetched. */
  readonly isPaused: () => boolean;
}

export class PinnedFolders {
  readonly #options: PinnedFoldersOptions;
  readonly #inodes = new Set<number>();
  #every: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  /** Something happened since the look that is to come was put off. */
  #isOneMoreDue = false;
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(options: PinnedFoldersOptions) {
    this.#options = options;
    options.listings.onMoved((_, own) => {
      if (!own) this.lookSoon();
    });
  }

  start(): void {
    this.#every = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    this.lookSoon();
  }

  /** What is in this folder is kept: it is pinned, or below one that is. */
  add(inode: number): void {
    this.#inodes.add(inode);
  }

  /** Looks at all of them when listings have what happened until now. What happens in between is looked for once more, all of it together. */
  lookSoon(): void {
    if (this.#stopped) return;
    this.#isOneMoreDue = this.#soon !== undefined;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (this.#isOneMoreDue) this.lookSoon();
      this.#look();
    }, this.#options.listings.eventLagMs).unref();
  }

  /** Resolves when nothing goes on any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#every);
    clearTimeout(this.#soon);
    await this.#looking;
  }

  #look(): void {
    if (this.#options.pins.empty || this.#options.isPaused()) return;
    this.#looking ??= this.#lookAtAll()
      .catch((error: unknown) => log('pinned folders were not looked at: %O', error))
      .finally(() => (this.#looking = undefined));
  }

  async #lookAtAll(): Promise<void> {
    const { tree, pins, listings } = this.#options;
    const slices = new Slices();
    for (const { kind, parent } of pins.nodes()) if (kind === 'file') listings.lookAgain(parent);
    for (const inode of this.#inodes) {
      if (slices.due) await slices.pause();
      if (this.#stopped) return;
      const folder = tree.node(inode);
      if (folder !== undefined && pins.above(folder) !== undefined) listings.lookAgain(inode);
      else this.#inodes.delete(inode);
    }
  }
}
