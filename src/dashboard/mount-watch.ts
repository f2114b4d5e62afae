// Asks the mounts how they are, once a second while somebody watches, and not at all otherwise. Promises: however many watch, each mount
// is asked once; each is asked for itself, so that one that does not answer holds up no other. Must not know who watches.
import { setMaxListeners } from 'node:events';
import { delay, isAbort } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import type { RuntimeDirectories } from '../base/paths.ts';
import { connectControl } from '../control/client.ts';
import { askMount } from '../control/methods.ts';
import { controlSockets, inspectSocket, type ListedMount } from '../control/mounts.ts';
import { type MountView, type Sample, shownStatus, type Update } from './view.ts';

/** As often as people look. */
const INTERVAL_MS = 1_000;
/** Mounts answer in a few milliseconds; who takes longer is shown as it was, for those who are quick. */
const ANSWERS_WAIT_MS = 250;
/** Gathered from memory; past this a daemon counts as hung. */
const STATUS_TIMEOUT_MS = 5_000;
/** Looking for dead mounts starts a process for each candidate, and nothing is as patient as a dead mount. */
const DEAD_INTERVAL_MS = 5_000;
/** Entries of each list: more than anybody reads, few enough to be drawn in no time. */
const ITEMS_MAX = 100;
/** Five minutes of plot. */
const SAMPLES_MAX = 300;

export interface MountWatchOptions {
  readonly runtimeDirectories: RuntimeDirectories;
  /** The mountpoints whose daemon is gone, besides those of `living`. */
  readonly deadMounts: (living: readonly string[]) => Promise<readonly string[]>;
  /** How often mounts are asked; once a second by default. */
  readonly intervalMs?: number;
}

/** A mount as it was last seen. */
interface Seen {
  view: MountView | undefined;
  asking: Promise<void> | undefined;
}

const log = createLog('dashboard');

export class MountWatch {
  readonly #options: MountWatchOptions;
  readonly #watchers = new Set<(update: Update) => void>();
  /** By socket file. */
  readonly #seen = new Map<string, Seen>();
  readonly #samples = new Map<string, Sample[]>();
  readonly #stopping = new AbortController();
  #dead: readonly string[] = [];
  #deadAskedMs = -Infinity;
  #lastLook: Update | undefined;
  #running: Promise<void> | undefined;

  constructor(options: MountWatchOptions) {
    this.#options = options;
    // Each mount that is being asked listens for the end.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Tells the watcher how the mounts are, now and every second, until the function that is returned is called. */
  watch(watcher: (update: Update) => void): () => void {
    const history = Object.fromEntries(this.#samples);
    let isFirst = true;
    const tell = (update: Update): void => {
      watcher(isFirst ? { ...update, history } : update);
      isFirst = false;
    };
    this.#watchers.add(tell);
    // While others watch, what they were told last is at most a second old.
    if (this.#running !== undefined && this.#lastLook !== undefined) tell(this.#lastLook);
    this.#running ??= this.#run();
    return () => void this.#watchers.delete(tell);
  }

  /** Stops asking. Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#watchers.clear();
    this.#stopping.abort(new Error('the dashboard ends'));
    await this.#running;
    await Promise.all(this.#asking());
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    // What was seen before the last watcher left is old.
    this.#lastLook = undefined;
    try {
      while (this.#watchers.size > 0) {
        const begun = performance.now();
        const update = { mounts: await this.#look() };
        this.#lastLook = update;
        for (const tell of [...this.#watchers]) tell(update);
        await delay((this.#options.intervalMs ?? INTERVAL_MS) - (performance.now() - begun), signal);
      }
    } catch (error) {
      // delay() rejects on stop(); anything else is a runtime directory that cannot be read, and the next watcher tries again.
      if (!isAbort(error, signal)) log('looking for mounts: %s', error);
    } finally {
      this.#running = undefined;
    }
  }

  async #look(): Promise<readonly MountView[]> {
    const sockets = new Set(await controlSockets(this.#options.runtimeDirectories));
    for (const socket of this.#seen.keys()) if (!sockets.has(socket)) this.#seen.delete(socket);
    for (const socket of sockets) {
      const seen = this.#seen.get(socket) ?? { view: undefined, asking: undefined };
      this.#seen.set(socket, seen);
      seen.asking ??= this.#ask(socket, seen).finally(() => (seen.asking = undefined));
    }
    await Promise.race([Promise.all(this.#asking()), delay(ANSWERS_WAIT_MS, this.#stopping.signal)]);
    const living = [...this.#seen.values()].flatMap(({ view }) => (view === undefined ? [] : [view]));
    this.#askForDead(living.map(({ mountpoint }) => mountpoint));
    const dead = this.#dead.filter((mountpoint) => !living.some((view) => view.mountpoint === mountpoint));
    const views = [...living, ...dead.map((mountpoint): MountView => ({ mountpoint, state: 'dead' }))];
    this.#dropSamples(new Set(views.map(({ mountpoint }) => mountpoint)));
    return views.sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : a.mountpoint > b.mountpoint ? 1 : 0));
  }

  #asking(): Promise<void>[] {
    return [...this.#seen.values()].flatMap(({ asking }) => (asking === undefined ? [] : [asking]));
  }

  /** Never rejects. */
  async #ask(socket: string, seen: Seen): Promise<void> {
    const { signal } = this.#stopping;
    try {
      const mount = await inspectSocket(socket, { signal });
      seen.view = mount === undefined ? undefined : await this.#viewOf(mount);
    } catch (error) {
      if (signal.aborted) return;
      log('%s: %s', socket, error);
      seen.view = undefined;
    }
  }

  async #viewOf(mount: ListedMount): Promise<MountView | undefined> {
    const { mountpoint, pid } = mount;
    const silent: MountView = { mountpoint, state: 'silent', pid };
    if (!mount.responding) return silent;
    const { runtimeDirectories } = this.#options;
    const client = await connectControl({ runtimeDirectories, mountpoint });
    // Unmounted just now.
    if (client === undefined) return undefined;
    const { signal } = this.#stopping;
    try {
      const limits = { timeoutMs: STATUS_TIMEOUT_MS, signal };
      const status = await askMount(client, 'status', { itemsMax: ITEMS_MAX }, limits);
      const sample = {
        atMs: Date.now(),
        bytesIn: status.transfers.bytesIn,
        bytesOut: status.transfers.bytesOut,
        calls: status.calls.total,
        leftThisHour: status.calls.budget.leftThisHour,
      };
      this.#keep(mountpoint, sample);
      return { mountpoint, state: 'serving', status: shownStatus(status, ITEMS_MAX), sample };
    } catch (error) {
      if (signal.aborted) throw error;
      if (isAbort(error)) return silent;
      return { mountpoint, state: 'failing', problem: problemIn(error) };
    } finally {
      client.close();
    }
  }

  #keep(mountpoint: string, sample: Sample): void {
    const samples = this.#samples.get(mountpoint) ?? [];
    const last = samples.at(-1);
    // Mounted anew: what was counted before is another mount's.
    const isSameMount = last === undefined || (last.calls <= sample.calls && last.bytesIn <= sample.bytesIn);
    const kept = isSameMount ? samples : [];
    this.#samples.set(mountpoint, [...kept, sample].slice(-SAMPLES_MAX));
  }

  #dropSamples(mountpoints: ReadonlySet<string>): void {
    for (const mountpoint of this.#samples.keys()) if (!mountpoints.has(mountpoint)) this.#samples.delete(mountpoint);
  }

  /** What is found is shown with a later look: none waits for it. */
  #askForDead(living: readonly string[]): void {
    const now = performance.now();
    if (now - this.#deadAskedMs < DEAD_INTERVAL_MS) return;
    this.#deadAskedMs = now;
    this.#options.deadMounts(living).then(
      (dead) => (this.#dead = dead),
      (error: unknown) => log('looking for dead mounts: %s', error),
    );
  }
}

/** A daemon keeps running when the program is replaced, and may know less of itself than is asked here. */
function problemIn(error: unknown): string {
  if (error instanceof TypeError)
    return 'Its daemon is of another version of this program: unmount it and mount it again.';
  return error instanceof Error ? error.message : String(error);
}
