// A mount without kernel and service: changes are what the test says, and are stored or fail when it says so.
import type {
  Freed,
  LeftChange,
  Location,
  MountControl,
  MountedService,
  NotKeptPath,
} from '../../src/control/methods.ts';
import { emptyStatus, type FailedChange, type MountStatus, type PendingChange } from '../../src/control/status.ts';

const SINCE = '2026-01-01T00:00:00.000Z';

/** A file that waits to be stored. */
export function storing(path: string, bytes = 1_000): PendingChange {
  return { path, change: 'store', bytes, sent: 0, state: 'waiting', attempts: 0, error: '' };
}

export class FakeMount implements MountControl {
  pending: PendingChange[] = [];
  failed: FailedChange[] = [];
  online = true;
  paused = false;
  sendingHeldSeconds: number | null = null;
  /** Requests by path, in order. */
  readonly asked: (readonly unknown[])[] = [];
  notKept: readonly NotKeptPath[] = [];
  unmounted = false;
  root = '/';
  onUnmount: () => void = () => undefined;
  /** How many have begun. */
  flushes = 0;
  readonly itemsAsked: number[] = [];
  readonly saved: [path: string, to: string][] = [];
  /** Resolves when a flush has begun. */
  readonly flushing: Promise<void>;
  /** How the first flush ended. */
  readonly flushEnded: Promise<'stored' | 'late' | 'aborted'>;
  readonly #mountpoint: string;
  readonly #changed = new Set<() => void>();
  readonly #flushBegins: (() => void)[] = [];
  readonly #flushEnds: ((how: 'stored' | 'late' | 'aborted') => void)[] = [];

  constructor(mountpoint: string) {
    this.#mountpoint = mountpoint;
    this.flushing = new Promise((resolve) => this.#flushBegins.push(resolve));
    this.flushEnded = new Promise((resolve) => this.#flushEnds.push(resolve));
  }

  store(path: string): void {
    this.pending = this.pending.filter((item) => item.path !== path);
    this.#tell();
  }

  fail(path: string, error: string): void {
    this.pending = this.pending.filter((item) => item.path !== path);
    this.failed.push({ path, change: 'store', error, since: SINCE });
    this.#tell();
  }

  status(itemsMax: number): Promise<MountStatus> {
    this.itemsAsked.push(itemsMax);
    const empty = emptyStatus({
      mountpoint: this.#mountpoint,
      connection: 'work',
      root: this.root,
      pid: process.pid,
      transport: 'kernel',
      metrics: null,
      since: SINCE,
      readOnly: false,
      online: this.online,
    });
    const sum = (of: (item: PendingChange) => number): number => this.pending.reduce((all, item) => all + of(item), 0);
    return Promise.resolve({
      ...empty,
      paused: this.paused,
      sendingHeldSeconds: this.sendingHeldSeconds,
      pending: {
        ...empty.pending,
        files: this.pending.length,
        bytes: sum(({ bytes }) => bytes),
        sent: sum(({ sent }) => sent),
        items: this.pending,
      },
      failed: this.failed,
    });
  }

  async flush(timeoutMs: number, signal: AbortSignal): Promise<readonly LeftChange[]> {
    this.flushes += 1;
    for (const begun of this.#flushBegins) begun();
    const how = await new Promise<'stored' | 'late' | 'aborted'>((resolve) => {
      const timer = setTimeout(() => resolve('late'), timeoutMs);
      const look = (): void => {
        if (this.pending.length === 0) resolve('stored');
      };
      signal.addEventListener('abort', () => resolve('aborted'), { once: true });
      void this.flushEnded.then(() => clearTimeout(timer));
      this.#changed.add(look);
      look();
    });
    for (const ended of this.#flushEnds) ended(how);
    if (how === 'aborted') throw new Error('nobody waits any more');
    return this.left();
  }

  left(): LeftChange[] {
    return [
      ...this.pending.map(({ path, change, error }) => ({ path, change, error, failed: false })),
      ...this.failed.map(({ path, change, error }) => ({ path, change, error, failed: true })),
    ];
  }

  unmount(): Promise<void> {
    try {
      this.onUnmount();
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    this.unmounted = true;
    return Promise.resolve();
  }

  changesLeft(): number {
    return this.pending.length + this.failed.length;
  }

  retry(path: string): Promise<number> {
    const chosen = this.#failedAt(path);
    this.pending.push(...chosen.map((item) => storing(item.path)));
    return this.#drop(chosen);
  }

  discard(path: string): Promise<number> {
    return this.#drop(this.#failedAt(path));
  }

  save(path: string, to: string): Promise<number> {
    this.saved.push([path, to]);
    return Promise.resolve(42);
  }

  pause(): Promise<void> {
    this.paused = true;
    return Promise.resolve();
  }

  resume(): void {
    this.paused = false;
  }

  pin(paths: readonly string[], wait: boolean): Promise<readonly NotKeptPath[]> {
    this.asked.push(['pin', paths, wait]);
    return Promise.resolve(this.notKept);
  }

  unpin(paths: readonly string[]): Promise<number> {
    this.asked.push(['unpin', paths]);
    return Promise.resolve(paths.length);
  }

  free(paths: readonly string[]): Promise<Freed> {
    this.asked.push(['free', paths]);
    return Promise.resolve({ bytes: 3 * 2 ** 20, files: 2, pinned: 1, pending: 0 });
  }

  refresh(paths: readonly string[], recursive: boolean): Promise<number> {
    this.asked.push(['refresh', paths, recursive]);
    return Promise.resolve(paths.length);
  }

  locate(path: string): Promise<Location> {
    this.asked.push(['locate', path]);
    return Promise.resolve({ kind: 'root' });
  }

  service(): MountedService {
    return { connectionId: 'f'.repeat(32), callsPerSecond: 15, callsPerHour: 10_800 };
  }

  #failedAt(path: string): FailedChange[] {
    return this.failed.filter((item) => item.path === path || item.path.startsWith(path.replace(/\/?$/, '/')));
  }

  #drop(chosen: readonly FailedChange[]): Promise<number> {
    this.failed = this.failed.filter((item) => !chosen.includes(item));
    this.#tell();
    return Promise.resolve(chosen.length);
  }

  #tell(): void {
    for (const look of this.#changed) look();
  }
}
