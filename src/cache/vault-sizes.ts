// How large the vaults are and how full: told by one call for all of them, kept in the tree for df and for what no longer fits.
import { createLog } from '../base/log.ts';
import type { RemoteDrive } from '../remote-drive.ts';
import type { Tree } from './tree.ts';

const log = createLog('vaults');

/** That changes slowly, and df need not be exact. */
const LIFETIME_MS = 600_000;

export class VaultSizes {
  readonly #tree: Tree;
  readonly #drive: Pick<RemoteDrive, 'vaults'>;
  readonly #stop: AbortSignal;
  #askedMs = -Infinity;
  #underWay: Promise<void> | undefined;

  /** `stop` ends a call under way. */
  constructor(tree: Tree, drive: Pick<RemoteDrive, 'vaults'>, stop: AbortSignal) {
    this.#tree = tree;
    this.#drive = drive;
    this.#stop = stop;
  }

  /** Asks in the background when it is due, or `now`. Never waits, never fails. */
  refresh(now = false): void {
    if (this.#underWay !== undefined || this.#stop.aborted) return;
    if (!now && performance.now() - this.#askedMs < LIFETIME_MS) return;
    this.#askedMs = performance.now();
    this.#underWay = this.#drive
      .vaults({ signal: this.#stop, callClass: 'background' })
      .then((vaults) => {
        if (!this.#tree.closed) this.#tree.putVaults(vaults);
      })
      .catch((error: unknown) => {
        log('the vaults could not be listed: %s', error instanceof Error ? error.message : error);
      })
      .finally(() => (this.#underWay = undefined));
  }

  /** Settles when nothing of it touches the tree any more. */
  get done(): Promise<void> | undefined {
    return this.#underWay;
  }
}
