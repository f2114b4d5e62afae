// The session bus of this process's own user: where it is, signing in, and calls one after the other. Source: the D-Bus specification,
// "Server Addresses" and "Authentication Protocol". Promises: a bus of somebody else is never spoken to; nothing is waited for longer than
// the signal allows, and nothing stays behind. Must not know what is called.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { abortReason } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import { peerUser } from '../base/peer-user.ts';
import {
  decodeMessage,
  encodeCall,
  MESSAGE_BYTES_MAX,
  messageLength,
  type MethodCall,
  type Value,
} from './dbus-wire.ts';

const log = createLog('desktop');

/** The variable that names the bus. */
export const busVariable = 'DBUS_SESSION_BUS_ADDRESS';

/** The bus, or who was called on it, said no. */
export class BusError extends Error {
  /** Like "org.freedesktop.DBus.Error.ServiceUnknown". */
  readonly errorName: string;
  constructor(errorName: string, message: string) {
    super(message);
    this.errorName = errorName;
  }
}

/** The sockets where the session's bus may be, most likely first. Addresses over other transports are left out. */
export function busSockets(environment: NodeJS.ProcessEnv, uid: number): string[] {
  const runtime = environment['XDG_RUNTIME_DIR'] || `/run/user/${uid}`;
  const address = environment[busVariable];
  // Named, it is there or nowhere.
  if (address === undefined || address === '') return [...new Set([join(runtime, 'bus'), `/run/user/${uid}/bus`])];
  return address.split(';').flatMap((one) => {
    const [, transport, rest] = /^([a-z]+):(.*)$/.exec(one.trim()) ?? [];
    if (transport !== 'unix' || rest === undefined) return [];
    const keys = new Map(rest.split(',').map((pair) => pair.split('=', 2) as [string, string | undefined]));
    const [path, abstract] = [keys.get('path'), keys.get('abstract')].map((text) => unescaped(text ?? ''));
    if (path) return [path];
    if (abstract) return [`\0${abstract}`];
    return keys.get('runtime') === 'yes' ? [join(runtime, 'bus')] : [];
  });
}

/** "%2f" stands for a byte. Anything else than bytes of a path has no business here. */
function unescaped(text: string): string {
  return Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  )
    .toString()
    .replaceAll('\0', '');
}

/** Signed in to the bus; undefined where this user has none. Rejects where it does not let us in. */
export async function openSessionBus(
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<SessionBus | undefined> {
  const uid = process.getuid?.();
  if (uid === undefined) return undefined;
  for (const path of busSockets(environment, uid)) {
    const socket = await reach(path, uid, signal);
    if (socket === undefined) continue;
    const bus = new SessionBus(socket, signal);
    try {
      await bus.signIn(uid);
      return bus;
    } catch (error) {
      bus.close();
      throw error;
    }
  }
  return undefined;
}

/** A connection to a socket of this user. */
async function reach(path: string, uid: number, signal: AbortSignal): Promise<Socket | undefined> {
  try {
    const socket = connect({ path });
    try {
      await once(socket, 'connect', { signal });
      // Whoever listens learns what we say. Anybody may listen where a bus was, or is to be, above all at an abstract name.
      const owner = await peerUser(socket);
      if (owner !== uid) throw new Error(`it is of user ${owner ?? 'unknown'}`);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    log('no session bus at %s: %s', path.replaceAll('\0', '@'), (error as Error).message);
    return undefined;
  }
}

export class SessionBus {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #onAbort = (): void => {
    this.#socket.destroy(abortReason(this.#signal));
  };
  #received = Buffer.alloc(0);
  #serial = 0;

  /** The connection ends with the signal at the latest. */
  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    this.#signal = signal;
    // A failure comes out of whatever waits for the socket; between two calls nobody does.
    socket.on('error', (error) => log('the session bus: %s', error.message));
    this.#pieces = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  /** As the user that the kernel knows this process to be of. */
  async signIn(uid: number): Promise<void> {
    this.#socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(uid)).toString('hex')}\r\n`);
    const answer = await this.#line();
    if (!answer.startsWith('OK ')) throw new Error('the session bus does not let us in');
    this.#socket.write('BEGIN\r\n');
    await this.call({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'Hello',
      signature: '',
      body: [],
    });
  }

  /** Calls a method and resolves with what it returns. Rejects with {@link BusError}, or with the signal's reason. */
  async call(call: MethodCall): Promise<Value[]> {
    this.#serial += 1;
    this.#socket.write(encodeCall(call, this.#serial));
    for (;;) {
      const message = decodeMessage(await this.#message());
      // Signals that nobody asked for, above all.
      if (message.replySerial !== this.#serial) continue;
      if (message.type === 'reply') return message.body();
      if (message.type !== 'error') continue;
      const [text] = message.signature.startsWith('s') ? message.body() : [];
      throw new BusError(message.errorName, typeof text === 'string' && text !== '' ? text : message.errorName);
    }
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n');
      if (end >= 0) return this.#take(end + 2).toString('latin1', 0, end);
      await this.#more();
    }
  }

  async #message(): Promise<Buffer> {
    for (;;) {
      const length = messageLength(this.#received);
      if (length !== undefined && this.#received.length >= length) return this.#take(length);
      await this.#more();
    }
  }

  #take(length: number): Buffer {
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  async #more(): Promise<void> {
    const piece = await this.#pieces.next();
    if (this.#signal.aborted) throw abortReason(this.#signal);
    if (piece.done === true) throw new Error('the session bus hung up');
    this.#received = Buffer.concat([this.#received, piece.value]);
    if (this.#received.length > 2 * MESSAGE_BYTES_MAX) throw new Error('the session bus sends without end');
  }
}
