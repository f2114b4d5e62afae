// Connections that are made before a request needs them: the first one after a pause does not wait for the two or three round trips that TCP
// and TLS take. At most one for each host, for a short while. Knows no request, and nothing of what it is connected to.
import type { Socket } from 'node:net';
import { createLog } from '../../base/log.ts';
import { buildConnector } from './undici.ts';

const log = createLog('ready-connections');

/** How long connections are kept, and not made. */
export interface ReadyTimes {
  /** One that nobody takes is kept for so long. */
  readonly readyMs: number;
  /** After one was made, none is before this, unless somebody took it. */
  readonly pauseMs: number;
}

/** Some servers answer one that says nothing for 20 s with 408. Whoever only looks around causes one a minute. */
const defaultTimes: ReadyTimes = { readyMs: 10_000, pauseMs: 60_000 };

interface Ready {
  /** Undefined: it could not be made. */
  readonly socket: Promise<Socket | undefined>;
  /** It is somebody's from now on, who waits until it is made. */
  readonly claim: () => void;
  /** Stops watching what was made; false where it is of no use any more. */
  readonly take: () => boolean;
  readonly end: () => void;
}

export class ReadyConnections {
  /** For undici: hands out the ready connection to that host, else makes one. */
  readonly connect: buildConnector.connector;
  readonly #build: buildConnector.connector;
  readonly #times: ReadyTimes;
  readonly #ready = new Map<string, Ready>();
  /** Until when none is made, by host. */
  readonly #pausedUntilMs = new Map<string, number>();

  constructor(options: buildConnector.BuildOptions, times: ReadyTimes = defaultTimes) {
    this.#times = times;
    this.#build = buildConnector(options);
    this.connect = (wanted, callback) => {
      const key = keyOf({ protocol: wanted.protocol, host: wanted.host ?? wanted.hostname });
      const ready = this.#ready.get(key);
      // What it throws, the library expects.
      if (ready === undefined) this.#build(wanted, callback);
      else void this.#handOut(ready, key, wanted, callback);
    };
  }

  /**
   * Makes a connection to the host of an address ready, where there is none and the last one was not in vain just now. Never fails. Most calls
   * cost a look: `isIdle`, whether the host has another one to spare, is asked only after that.
   */
  prepare(url: URL, isIdle: () => boolean = () => false): void {
    const { host, protocol, port } = url;
    const key = keyOf(url);
    if (this.#ready.has(key) || performance.now() < (this.#pausedUntilMs.get(key) ?? 0)) return;
    if (isIdle()) return;
    this.#pausedUntilMs.set(key, performance.now() + this.#times.pauseMs);
    const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
    let opened: Socket | undefined;
    let isWanted = true;
    const socket = new Promise<Socket | undefined>((resolve) => {
      const done: buildConnector.Callback = (error, made) => {
        if (error !== null) log('%s: %s', host, error.message);
        opened = made ?? undefined;
        if (!isWanted) opened?.destroy();
        else if (opened === undefined) claim();
        else watch(opened);
        resolve(opened);
      };
      // It throws at once what is wrong with its options: in a later turn, when all below is there.
      setImmediate(() => {
        try {
          this.#build({ host, hostname, protocol, port }, done);
        } catch (error) {
          done(asError(error), null);
        }
      });
    });
    const claim = (): void => {
      if (this.#ready.get(key) === ready) this.#ready.delete(key);
      clearTimeout(timer);
    };
    const end = (): void => {
      isWanted = false;
      claim();
      opened?.destroy();
    };
    const watch = (made: Socket): void => {
      // Read from, so that its end is seen; what a server says unasked is its end too.
      made.on('data', end).on('end', end).on('close', end).resume();
      made.unref();
    };
    const take = (): boolean => {
      if (!isWanted) return false;
      opened?.off('data', end).off('end', end).off('close', end).pause();
      opened?.ref();
      return opened?.readyState === 'open';
    };
    const ready: Ready = { socket, claim, take, end };
    const timer = setTimeout(end, this.#times.readyMs);
    timer.unref();
    this.#ready.set(key, ready);
  }

  /** Ends what is ready. */
  stop(): void {
    for (const { end } of this.#ready.values()) end();
  }

  async #handOut(
    ready: Ready,
    key: string,
    wanted: buildConnector.Options,
    callback: buildConnector.Callback,
  ): Promise<void> {
    ready.claim();
    const socket = await ready.socket;
    if (socket !== undefined && ready.take()) {
      this.#pausedUntilMs.delete(key);
      callback(null, socket);
      return;
    }
    ready.end();
    try {
      this.#build(wanted, callback);
    } catch (error) {
      callback(asError(error), null);
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function keyOf({ protocol, host }: { readonly protocol: string; readonly host: string }): string {
  return `${protocol}//${host}`;
}
