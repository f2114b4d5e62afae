// Makes content that no hash proves safe against power loss soon after its commit, and has the journal say so (J8): its turn to be sent may
// come hours later, and what the machine's end might have touched until then could not be told from what was written. Content that a hash
// proves needs none of it before its turn. Promises that what is in doubt stays so. Knows no service.
import { Slices } from '../base/event-loop.ts';
import { createLog } from '../base/log.ts';
import type { Journal } from './journal.ts';
import type { StagedContent } from './tree/records.ts';

const log = createLog('durability');

/** What is written again and again is synced no more often; most of what is removed or replaced soon is not synced at all. */
const AFTER_MS = 2_000;

export interface DurabilityOptions {
  readonly journal: Journal;
  /** Makes the bytes of what the journal names, and their files' names, safe. */
  readonly sync: (staged: StagedContent) => Promise<void>;
  readonly madeDurable: (inode: number, staged: StagedContent) => void;
  /** For tests. */
  readonly afterMs?: number | undefined;
}

export class Durability {
  readonly #options: DurabilityOptions;
  /** What may be unsafe. */
  readonly #waiting = new Set<number>();
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> | undefined;
  #stopped = false;

  /** Begins with what an earlier process left; it may be much, and is looked at later. */
  constructor(options: DurabilityOptions) {
    this.#options = options;
    this.#unsubscribe = options.journal.onChange((inodes) => this.#note(inodes));
    for (const { inode, content } of options.journal.records()) if (content) this.#waiting.add(inode);
    this.#schedule();
  }

  /** Resolves when nothing is being synced any more. What waits is made safe by the next process, or when it is sent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
    await this.#working;
  }

  #note(inodes: readonly number[]): void {
    for (const inode of inodes) if (this.#unsafe(inode) !== undefined) this.#waiting.add(inode);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped || this.#working !== undefined || this.#timer !== undefined || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#working = this.#work().finally(() => {
        this.#working = undefined;
        this.#schedule();
      });
    }, this.#options.afterMs ?? AFTER_MS);
    this.#timer.unref();
  }

  /** One file after the other: nobody waits for it, and others use the disk. What comes meanwhile has the next round. */
  async #work(): Promise<void> {
    const inodes = [...this.#waiting];
    this.#waiting.clear();
    const slices = new Slices();
    for (const inode of inodes) {
      if (slices.due) await slices.pause();
      if (this.#stopped) return;
      try {
        await this.#makeSafe(inode);
      } catch (error) {
        // It is synced once more before it is sent, and that tells the user.
        log('the content of inode %d could not be made safe: %O', inode, error);
      }
    }
    await this.#options.journal.tree.flushed().catch((error: unknown) => {
      log('what was made safe could not be written down for good: %O', error);
    });
  }

  async #makeSafe(inode: number): Promise<void> {
    const staged = this.#unsafe(inode);
    if (staged === undefined) return;
    await this.#options.sync(staged);
    if (!this.#stopped) this.#options.madeDurable(inode, staged);
  }

  /** What an object holds that a power loss now would put in doubt, and nothing would prove then. */
  #unsafe(inode: number): StagedContent | undefined {
    const { journal } = this.#options;
    const record = journal.get(inode);
    if (record?.content !== true || record.gone !== undefined) return undefined;
    const node = journal.tree.node(inode);
    const staged = node?.kind === 'file' ? node.staged : undefined;
    if (staged === undefined || staged.sha256 !== undefined) return undefined;
    return staged.id === record.durable || staged.id === record.doubtful ? undefined : staged;
  }
}
