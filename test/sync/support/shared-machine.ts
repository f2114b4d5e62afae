// One machine with the drive mounted, but for the kernel: file system, pusher and, where the service tells of events, who asks for them.
// Tells what programs gave up and what they left. Can be ended in order or killed, and another one started from what it left.
import { cpSync } from 'node:fs';
import { LocalChanges } from '../../../src/cache/local-changes.ts';
import type { StagedContent, TreeFile, TreeNode } from '../../../src/cache/tree.ts';
import { Trust } from '../../../src/cache/trust.ts';
import type { Pusher } from '../../../src/sync/pusher.ts';
import { Watcher } from '../../../src/sync/watcher.ts';
import { passing } from '../../crash/support/virtual-time.ts';
import { memoryDirectory, type TemporaryDirectory } from '../../fakes/temporary-directory.ts';
import { Program } from '../../fs-ops/support/program.ts';
import { TestFileSystem } from '../../fs-ops/support/test-file-system.ts';
import { HeldOpen } from './held-open.ts';
import { pusherFor } from './pusher-for.ts';
import type { SharedDrive } from './shared-drive.ts';

const POLL_INTERVAL_MS = 15_000;
const BACKSTOP_MS = 900_000;

/** Told of what programs do, before it is done. */
export interface Followed {
  readonly onGone: (node: TreeNode) => void;
  readonly onMoved: (node: TreeNode) => void;
  readonly onContent: (file: TreeFile, staged: StagedContent) => void;
}

const nobodyFollows: Followed = { onGone: () => undefined, onMoved: () => undefined, onContent: () => undefined };

class FollowedChanges extends LocalChanges {
  followed: Followed = nobodyFollows;

  override remove(node: TreeNode): void {
    this.followed.onGone(node);
    super.remove(node);
  }

  override rename(...args: Parameters<LocalChanges['rename']>): TreeNode {
    const [node, , replaced] = args;
    if (replaced !== undefined) this.followed.onGone(replaced);
    this.followed.onMoved(node);
    return super.rename(...args);
  }

  override exchange(...args: Parameters<LocalChanges['exchange']>): void {
    const [first, second] = args;
    this.followed.onMoved(first);
    this.followed.onMoved(second);
    super.exchange(...args);
  }

  override commitContent(...args: Parameters<LocalChanges['commitContent']>): TreeFile {
    const [file, staged] = args;
    if (staged !== undefined) this.followed.onContent(file, staged);
    return super.commitContent(...args);
  }
}

interface MachineParts {
  readonly drive: SharedDrive;
  readonly made: TestFileSystem;
  readonly changes: FollowedChanges;
  readonly trust: Trust | undefined;
}

export class SharedMachine {
  readonly made: TestFileSystem;
  readonly pusher: Pusher;
  readonly program: Program;
  readonly held: HeldOpen;
  readonly #changes: FollowedChanges;
  readonly #watcher: Watcher | undefined;

  private constructor({ drive, made, changes, trust }: MachineParts) {
    const { tree, listings, fileSystem } = made;
    this.made = made;
    this.#changes = changes;
    const onChange = trust === undefined ? {} : { onChange: (syncpoint: string) => trust.changing(syncpoint) };
    this.pusher = pusherFor(made, drive, 2, onChange);
    this.program = new Program(fileSystem);
    this.held = new HeldOpen(this.program);
    if (trust === undefined) return;
    this.#watcher = new Watcher({
      tree,
      listings,
      intervalMs: POLL_INTERVAL_MS,
      callsLeft: () => 1,
      onIdle: () => fileSystem.expireNames(),
      onWoken: () => undefined,
    });
  }

  /** Begins where a former one ended, and is at work. */
  static async start(
    drive: SharedDrive,
    followed: Followed,
    state: TemporaryDirectory = memoryDirectory(),
  ): Promise<SharedMachine> {
    let changes: FollowedChanges | undefined;
    let trust: Trust | undefined;
    const made = await TestFileSystem.start(drive, {
      state,
      changes: (journal, nowMs) => (changes = new FollowedChanges(journal, nowMs)),
      ...(drive.tellsEvents && {
        trust: (journal) =>
          (trust = new Trust({
            journal,
            lifetimeMs: 60_000,
            backstopMs: BACKSTOP_MS,
            pollIntervalMs: POLL_INTERVAL_MS,
          })),
      }),
    });
    if (changes === undefined) throw new Error('nothing was made');
    changes.followed = followed;
    const machine = new SharedMachine({ drive, made, changes, trust });
    machine.#watcher?.start();
    machine.pusher.start();
    return machine;
  }

  /** Ends as a process that is killed does. Returns what is on its disk then. */
  async kill(): Promise<TemporaryDirectory> {
    const left = memoryDirectory();
    cpSync(this.made.state.path, left.path, { recursive: true });
    await passing(this.stop());
    return left;
  }

  /** Ends in order, with what programs have open. Returns what is on its disk then. */
  async end(): Promise<TemporaryDirectory> {
    await passing(this.#end(true));
    return this.made.state;
  }

  /** Ends, and nothing is left of it; what it does in the end counts for nothing. */
  stop(): Promise<void> {
    this.#changes.followed = nobodyFollows;
    return this.#end(false);
  }

  async #end(keepState: boolean): Promise<void> {
    await this.#watcher?.stop();
    await this.pusher.stop();
    await this.made.stop(keepState);
  }
}
