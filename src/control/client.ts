// The command's end of the control socket: one connection, requests with ids, and a time limit on everything, because a hung
// daemon accepts connections and never answers.
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { abortReason } from '../base/abort.ts';
import type { RuntimeDirectories } from '../base/paths.ts';
import { asRecord, readJsonLines, RESPONSE_LIMIT_BYTES, writeJsonLine } from './lines.ts';
import { sidecarOf, socketFiles } from './socket-directory.ts';

/** A daemon answers from memory; one that took this long is hung, or its machine is. */
const CALL_TIMEOUT_MS = 10_000;
/** For the question whether anybody is there at all. */
const HELLO_TIMEOUT_MS = 2_000;

/** Who serves a socket. */
export interface ServedMount {
  readonly mountpoint: string;
  readonly pid: number;
}

export interface CallLimits {
  /** Rejects with an error named TimeoutError after this long. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ControlClient {
  /** The daemon's answer. Rejects with its message, with a TimeoutError, or when the daemon went away before it answered. */
  call(method: string, params?: Readonly<Record<string, unknown>>, limits?: CallLimits): Promise<unknown>;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  close(): void;
}

/** What a socket file turned out to be. `hung`: somebody holds it and does not answer. */
export type Probe =
  | { readonly state: 'serving'; readonly mount: ServedMount }
  | { readonly state: 'hung'; readonly mount: ServedMount | undefined }
  | { readonly state: 'dead'; readonly mount: ServedMount | undefined };

/** Connects to the daemon of a mountpoint; undefined when there is none. */
export async function connectControl(options: {
  readonly runtimeDirectories: RuntimeDirectories;
  readonly mountpoint: string;
}): Promise<ControlClient | undefined> {
  for (const directory of options.runtimeDirectories) {
    const socket = await open(socketFiles(directory, options.mountpoint).socket);
    if (socket !== undefined) return new SocketClient(socket);
  }
  return undefined;
}

/** Asks who serves a mountpoint, as {@link probe} does. */
export async function probeMount(runtimeDirectories: RuntimeDirectories, mountpoint: string): Promise<Probe> {
  let dead: Probe | undefined;
  for (const directory of runtimeDirectories) {
    const found = await probe(socketFiles(directory, mountpoint).socket);
    if (found.state !== 'dead') return found;
    dead ??= found;
  }
  return dead ?? { state: 'dead', mount: undefined };
}

/** Asks who serves a socket file, in at most two seconds or what the limits say. Rejects with the signal's reason. */
export async function probe(path: string, limits: CallLimits = {}): Promise<Probe> {
  let socket: Socket | undefined;
  try {
    socket = await open(path);
  } catch (error) {
    if (!isCrowded(error)) throw error;
    return { state: 'hung', mount: await readSidecar(path) };
  }
  if (socket === undefined) return { state: 'dead', mount: await readSidecar(path) };
  const client = new SocketClient(socket);
  try {
    const mount = asServedMount(await client.call('hello', {}, { timeoutMs: HELLO_TIMEOUT_MS, ...limits }));
    return mount === undefined ? { state: 'hung', mount: await readSidecar(path) } : { state: 'serving', mount };
  } catch (error) {
    if (limits.signal?.aborted === true) throw error;
    const timedOut = error instanceof Error && error.name === 'TimeoutError';
    // It left between our connect and its answer: it is ending, or serves as many as it can.
    const isThere = timedOut || (await isListenedTo(path));
    return { state: isThere ? 'hung' : 'dead', mount: await readSidecar(path) };
  } finally {
    client.close();
  }
}

/** True where more are waiting for the daemon than the kernel lets wait: it has accepted nobody for long. */
function isCrowded(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === 'EAGAIN';
}

async function isListenedTo(path: string): Promise<boolean> {
  try {
    const socket = await open(path);
    socket?.destroy();
    return socket !== undefined;
  } catch (error) {
    if (isCrowded(error)) return true;
    throw error;
  }
}

/** A connected socket, or undefined when nobody listens there. */
function open(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(new Error(`the control socket ${path} cannot be used: ${error.message}`, { cause: error }));
    });
  });
}

interface Waiter {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class SocketClient implements ControlClient {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiters = new Map<number, Waiter>();
  #lastId = 0;
  #ended: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', (error) => this.#end(new Error(`the daemon's connection broke: ${error.message}`)));
    socket.on('close', () => this.#end(new Error('the daemon closed the connection without an answer')));
    readJsonLines(socket, RESPONSE_LIMIT_BYTES, {
      onGarbage: (reason) => {
        this.#end(new Error(`the daemon answered with ${reason}`));
        socket.destroy();
      },
      onValue: (value) => this.#settle(value),
    });
  }

  call(method: string, params: Readonly<Record<string, unknown>> = {}, limits: CallLimits = {}): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (limits.signal?.aborted === true) return Promise.reject(abortReason(limits.signal));
    const timeoutMs = limits.timeoutMs ?? CALL_TIMEOUT_MS;
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const { signal } = limits;
      const onAbort = (): void => waiter.reject(abortReason(signal as AbortSignal));
      const timer = setTimeout(() => {
        waiter.reject(
          new DOMException(`the daemon did not answer "${method}" within ${timeoutMs / 1000} s`, 'TimeoutError'),
        );
      }, timeoutMs);
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiters.delete(id);
      };
      const waiter: Waiter = {
        resolve: (value) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      this.#waiters.set(id, waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
      writeJsonLine(this.#socket, { id, method, params });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #settle(value: unknown): void {
    const response = asRecord(value);
    const id = response?.['id'];
    const failure = asRecord(response?.['error']);
    const message = failure === undefined ? undefined : String(failure['message']);
    // An error without an id speaks of the connection: nobody can be answered any more.
    if (typeof id !== 'number' && message !== undefined) this.#end(new Error(message));
    const waiter = typeof id === 'number' ? this.#waiters.get(id) : undefined;
    if (message !== undefined) waiter?.reject(new Error(message));
    else waiter?.resolve(response?.['result']);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const waiter of [...this.#waiters.values()]) waiter.reject(error);
  }
}

async function readSidecar(socketPath: string): Promise<ServedMount | undefined> {
  try {
    return asServedMount(JSON.parse(await readFile(sidecarOf(socketPath), 'utf8')));
  } catch (error) {
    // Missing, or half gone with its daemon: then nothing is known of it.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function asServedMount(value: unknown): ServedMount | undefined {
  const record = asRecord(value);
  const mountpoint = record?.['mountpoint'];
  const pid = record?.['pid'];
  return typeof mountpoint === 'string' && typeof pid === 'number' ? { mountpoint, pid } : undefined;
}
