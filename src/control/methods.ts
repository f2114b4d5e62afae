// What can be asked of a mount over its control socket: parameters and answers as plain values, and the handlers that read the
// parameters. What the methods do is mount.ts's, injected as MountControl; how answers are shown is cli's.
import type { CallLimits, ControlClient } from './client.ts';
import type { ControlHandler } from './server.ts';
import { emptyStatus, type MountStatus, type PendingChange } from './status.ts';

/** A change that is not at Syncplicity. */
export interface LeftChange {
  readonly path: string;
  readonly change: PendingChange['change'];
  /** Why not; empty while it simply waits for its turn. */
  readonly error: string;
  /** Refused, or waiting for what is: nothing happens with it until the user decides. */
  readonly failed: boolean;
}

/** Something that is pinned and could not be brought here. */
export interface NotKeptPath {
  readonly path: string;
  readonly reason: string;
}

/** What giving up cached content came to. */
export interface Freed {
  readonly bytes: number;
  readonly files: number;
  /** Left as they are: pinned, or not at Syncplicity yet. */
  readonly pinned: number;
  readonly pending: number;
}

/** How many changes a decision was about. */
export interface ChangeCount {
  readonly changes: number;
}

/** How a mount reaches its service. Holds secrets where that is an emulator of its own: never to be shown. */
export interface MountedService {
  /** The stored connection or pool; undefined for the demo. */
  readonly connectionId?: string | undefined;
  readonly caFile?: string | undefined;
  readonly callsPerSecond: number;
  readonly callsPerHour: number;
  /** Whom the mount acts for, as it was told. */
  readonly asUser?: string | undefined;
  readonly emulator?:
    | {
        readonly gatewayUrl: string;
        readonly credentials: { readonly appKey: string; readonly appSecret: string; readonly appToken: string };
      }
    | undefined;
}

/** What a path of the drive is at the service. */
export type Location = { readonly kind: 'root' } | LocatedFolder | LocatedFile;

interface Located {
  readonly syncpointId: string;
  readonly syncpointName: string;
  /** Names at the service, from below the syncpoint's root down to the object itself. */
  readonly names: readonly string[];
}

export interface LocatedFolder extends Located {
  /** `syncpoint`: its root folder. */
  readonly kind: 'syncpoint' | 'folder';
  readonly folderId: string;
  /** Where the content of its files is; undefined where the service does not tell. */
  readonly vaultId?: string | undefined;
}

export interface LocatedFile extends Located {
  readonly kind: 'file';
  /** The folder it is in. */
  readonly folderId: string;
  readonly fileId: string;
  readonly versionId: string;
  /** Its content here is newer and not at the service yet. */
  readonly isPending: boolean;
}

/** Each method's parameters and answer. */
export interface ControlMethods {
  /** `itemsMax`: so many pending items are wanted; all without it. */
  readonly status: { readonly params: { readonly itemsMax?: number }; readonly answer: MountStatus };
  /** Answers when every change made before the call is stored, only failed ones are left, or the time is over. */
  readonly flush: {
    readonly params: { readonly timeoutMs: number };
    readonly answer: { readonly left: readonly LeftChange[] };
  };
  /**
   * With `wait`, what is pending is flushed first; where the time does not suffice for that the mount stays, and the call is
   * refused. `left` counts the changes that are kept for the next mount.
   */
  readonly unmount: {
    readonly params: { readonly timeoutMs: number; readonly lazy: boolean; readonly wait: boolean };
    readonly answer: { readonly left: number };
  };
  /** Tries failed changes again. A directory stands for all below it. */
  readonly retry: { readonly params: { readonly path: string }; readonly answer: ChangeCount };
  /** Gives failed changes and unfinished files up, with their content. */
  readonly discard: { readonly params: { readonly path: string }; readonly answer: ChangeCount };
  /** Copies the content of a failed or unfinished file to a new file of this machine. */
  readonly save: {
    readonly params: { readonly path: string; readonly to: string };
    readonly answer: { readonly bytes: number };
  };
  /** Stops transfers to Syncplicity until `resume`; what is written meanwhile is kept as ever. */
  readonly pause: { readonly params: Readonly<Record<string, never>>; readonly answer: null };
  readonly resume: { readonly params: Readonly<Record<string, never>>; readonly answer: null };
  /** Keeps content on this machine; with `wait`, answers when all of it is here or has failed. */
  readonly pin: {
    readonly params: { readonly paths: readonly string[]; readonly wait: boolean };
    readonly answer: { readonly failed: readonly NotKeptPath[] };
  };
  readonly unpin: {
    readonly params: { readonly paths: readonly string[] };
    readonly answer: { readonly pins: number };
  };
  /** Gives cached content up. */
  readonly free: { readonly params: { readonly paths: readonly string[] }; readonly answer: Freed };
  /** Brings listings anew; with `recursive`, those of folders below that were listed before, too. */
  readonly refresh: {
    readonly params: { readonly paths: readonly string[]; readonly recursive: boolean };
    readonly answer: { readonly folders: number };
  };
  /** Where the service has what is at a path; refused where it has nothing of it yet. */
  readonly locate: { readonly params: { readonly path: string }; readonly answer: Location };
  readonly service: { readonly params: Readonly<Record<string, never>>; readonly answer: MountedService };
}

/** The mount behind the methods. Paths begin at the drive's root: "/Project/plan.txt". Everything may reject with a line for the user. */
export interface MountControl {
  /** `itemsMax`: pending items that are wanted, so that no more need be gathered; Infinity: all. */
  status(itemsMax: number): Promise<MountStatus>;
  /** As {@link ControlMethods.flush}, with what is left of those changes; rejects when the signal aborts. */
  flush(timeoutMs: number, signal: AbortSignal): Promise<readonly LeftChange[]>;
  /** Takes the mount away; rejects when it stays busy. What is pending stays journaled. */
  unmount(options: { readonly timeoutMs: number; readonly lazy: boolean }): Promise<void>;
  /** Pending and failed changes now, those made after a flush began included. */
  left(): readonly LeftChange[];
  /** How many changes are kept; can be asked after the mount is gone. */
  changesLeft(): number;
  retry(path: string): number | Promise<number>;
  discard(path: string): number | Promise<number>;
  save(path: string, to: string, signal: AbortSignal): Promise<number>;
  /** Resolves when nothing goes out any more. */
  pause(): Promise<void>;
  resume(): void;
  pin(paths: readonly string[], wait: boolean, signal: AbortSignal): Promise<readonly NotKeptPath[]>;
  unpin(paths: readonly string[]): Promise<number>;
  free(paths: readonly string[]): Promise<Freed>;
  refresh(paths: readonly string[], recursive: boolean, signal: AbortSignal): Promise<number>;
  locate(path: string): Promise<Location>;
  service(): MountedService;
}

/** The handlers of a control socket, for serveControl. */
export function controlHandlers(mount: MountControl): Record<keyof ControlMethods, ControlHandler> {
  return {
    status: async (params) => {
      const itemsMax = params['itemsMax'] === undefined ? Infinity : countIn(params, 'itemsMax');
      return withItems(await mount.status(itemsMax), itemsMax);
    },
    flush: async (params, signal) => ({ left: await mount.flush(countIn(params, 'timeoutMs'), signal) }),
    unmount: async (params, signal) => {
      const timeoutMs = countIn(params, 'timeoutMs');
      const end = performance.now() + timeoutMs;
      if (params['wait'] === true) {
        await mount.flush(timeoutMs, signal);
        const waiting = mount.left().filter(({ failed }) => !failed).length;
        if (waiting > 0) throw new Error(`${waiting} change${waiting === 1 ? ' is' : 's are'} not at Syncplicity yet`);
      }
      const restMs = Math.max(0, end - performance.now());
      await mount.unmount({ timeoutMs: restMs, lazy: params['lazy'] === true });
      return { left: mount.changesLeft() };
    },
    retry: async (params) => ({ changes: await mount.retry(textIn(params, 'path')) }),
    discard: async (params) => ({ changes: await mount.discard(textIn(params, 'path')) }),
    save: async (params, signal) => ({ bytes: await mount.save(textIn(params, 'path'), textIn(params, 'to'), signal) }),
    pause: async () => {
      await mount.pause();
      return null;
    },
    resume: () => {
      mount.resume();
      return Promise.resolve(null);
    },
    pin: async (params, signal) => ({
      failed: await mount.pin(textsIn(params, 'paths'), params['wait'] === true, signal),
    }),
    unpin: async (params) => ({ pins: await mount.unpin(textsIn(params, 'paths')) }),
    free: (params) => mount.free(textsIn(params, 'paths')),
    refresh: async (params, signal) => ({
      folders: await mount.refresh(textsIn(params, 'paths'), params['recursive'] === true, signal),
    }),
    locate: (params) => mount.locate(textIn(params, 'path')),
    service: () => Promise.resolve(mount.service()),
  };
}

/**
 * Asks a mount. The other end is a daemon of this user and program, so the answer is taken for what it should be; only a status may lack what
 * an earlier version of the program, which serves on after an upgrade, does not tell.
 */
export async function askMount<Method extends keyof ControlMethods>(
  client: ControlClient,
  method: Method,
  params: ControlMethods[Method]['params'],
  limits?: CallLimits,
): Promise<ControlMethods[Method]['answer']> {
  const answer = await client.call(method, params, limits);
  return (method === 'status' ? whole(answer as MountStatus) : answer) as ControlMethods[Method]['answer'];
}

function whole(status: MountStatus): MountStatus {
  return { ...emptyStatus(status), ...status };
}

/** A mount may give more than was asked for. */
function withItems(status: MountStatus, itemsMax: number): MountStatus {
  if (itemsMax === Infinity) return status;
  return {
    ...status,
    pending: { ...status.pending, items: status.pending.items.slice(0, itemsMax) },
  };
}

function countIn(params: Readonly<Record<string, unknown>>, name: string): number {
  const value = params[name];
  if (typeof value !== 'number' || !(value >= 0)) throw new Error(`"${name}" must be a number of 0 or more`);
  return value;
}

function textIn(params: Readonly<Record<string, unknown>>, name: string): string {
  const value = params[name];
  if (typeof value !== 'string' || value === '') throw new Error(`"${name}" must be a text`);
  return value;
}

function textsIn(params: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const value: unknown = params[name];
  const texts = Array.isArray(value) ? (value as readonly unknown[]) : [];
  if (texts.length === 0 || !texts.every((text) => typeof text === 'string' && text !== '')) {
    throw new Error(`"${name}" must be a list of texts`);
  }
  return texts as readonly string[];
}
