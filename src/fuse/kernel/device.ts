// The open /dev/fuse: hands each message over, writes replies. A program that waits for an answer asks its next question some
// microseconds after it, while waking a thread of libuv's pool and from there the event loop takes longer than most answers. So
// while requests come fast a turn of the event loop stays for the next one, and after it the loop looks once a turn; only when none has
// come for a while does one thread wait for it. That thread and one writing a notification are blocked, so UV_THREADPOOL_SIZE must
// be set before the process starts: 2 plus what others need (8). A process cannot exit while a thread waits: unmount first and wait
// for `finished`.
import { close, write, writeSync, writevSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { getSystemErrorName } from 'node:util';
import { errno } from '../../base/errno.ts';
import { createLog } from '../../base/log.ts';
import type { MountEnd } from '../transport.ts';
import { size } from './protocol/constants.ts';
import { REQUEST_BYTES_MAX } from './protocol/init.ts';
import { Message } from './protocol/message.ts';
import { NonblockingReader } from './nonblocking-reader.ts';
import type { ReplyChannel } from './session.ts';

const log = createLog('fuse');

/** Threads that may be blocked by this transport: waiting for a request and writing a notification. */
export const BLOCKED_THREADS_MAX = 2;
/** The largest WRITE with its header and arguments; the kernel refuses reads with less room. */
const MESSAGE_BYTES_MAX = REQUEST_BYTES_MAX + size.IN_HEADER + size.WRITE_IN;
/** Requests that wait already are served in one turn of the event loop for this long; promises, timers and sockets wait meanwhile. */
const TURN_MS = 1;
/** How long after a request a turn stays for another: most come sooner, and a turn of the event loop costs as much as two such looks. */
const STAYING_MS = 0.03;
/** How long after a request the event loop looks for another: programs that copy do something of their own between two. */
const LOOKING_MS = 0.2;

/** writev(2) takes 1024 pieces; libuv would make two messages of more. */
const PIECES_MAX = 1024;

type OnMessage = (message: Message, lengthBytes: number) => void;

export class Device implements ReplyChannel {
  readonly #fd: number;
  readonly #reader: NonblockingReader;
  readonly #message = new Message(Buffer.allocUnsafeSlow(MESSAGE_BYTES_MAX));
  #ended: MountEnd | undefined;
  #writing = 0;
  #lastRequestMs = 0;
  #onMessage: OnMessage | undefined;
  #onEnd: ((end: MountEnd) => void) | undefined;

  /** @param fd an open /dev/fuse that is mounted; closed by this object after the end */
  constructor(fd: number) {
    this.#fd = fd;
    this.#reader = new NonblockingReader(fd);
  }

  /** Starts reading. A message is valid until `onMessage` returns. `onEnd` is called once, when nothing is read or written any more. */
  start(onMessage: OnMessage, onEnd: (end: MountEnd) => void): void {
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#reader.wait(this.#serveTurn);
  }

  /** Serves what waits, within a turn's share, and arranges for the next turn or for being woken. */
  readonly #serveTurn = (): void => {
    const begunMs = performance.now();
    let nowMs = begunMs;
    while (nowMs - begunMs <= TURN_MS) {
      const outcome = this.#serveNext();
      if (outcome === 'ended') {
        this.#closeWhenIdle();
        return;
      }
      nowMs = performance.now();
      if (outcome === 'served') this.#lastRequestMs = nowMs;
      else if (nowMs - this.#lastRequestMs >= STAYING_MS) break;
    }
    if (nowMs - this.#lastRequestMs < LOOKING_MS) setImmediate(this.#serveTurn);
    else this.#reader.wait(this.#serveTurn);
  };

  /** Reads one message, if there is one, and hands it over. */
  #serveNext(): 'served' | 'nothing' | 'ended' {
    const count = this.#reader.read(this.#message.bytes);
    if (count > 0) {
      this.#onMessage?.(this.#message, count);
      return 'served';
    }
    switch (-count) {
      case errno.EAGAIN:
        return 'nothing';
      case errno.EINTR:
      case errno.ENOENT: // the request was withdrawn before or while it was handed over
        return 'served';
      case errno.ENODEV:
        this.#ended = { reason: 'unmounted' };
        return 'ended';
      case errno.ECONNABORTED:
        this.#ended = { reason: 'aborted' };
        return 'ended';
      default:
        this.#ended = { reason: 'device-error', error: readError(count) };
        return 'ended';
    }
  }

  #closeWhenIdle(): void {
    if (this.#writing > 0 || this.#ended === undefined) return;
    const end = this.#ended;
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    if (onEnd === undefined) return;
    close(this.#fd, (error) => {
      if (error !== null) log('closing the device: %s', error.message);
      onEnd(end);
    });
  }

  send(given: readonly Uint8Array[]): 'sent' | 'refused' | 'invalid' {
    const pieces = given.length > PIECES_MAX ? [Buffer.concat(given)] : given;
    for (;;) {
      try {
        const [first] = pieces;
        if (pieces.length === 1 && first !== undefined) writeSync(this.#fd, first);
        else writevSync(this.#fd, pieces);
        return 'sent';
      } catch (error) {
        switch ((error as NodeJS.ErrnoException).code) {
          case 'EINTR':
          case 'EAGAIN':
            continue;
          case 'ENOENT':
          case 'ENODEV':
          case 'ECONNABORTED':
          case 'EPERM':
          case 'ENOTCONN':
            return 'refused';
          default:
            log('a reply could not be written: %s', (error as Error).message);
            return 'invalid';
        }
      }
    }
  }

  /** Writes a notification from another thread: the kernel may wait for locks that requests before us hold. */
  notify(notification: Uint8Array, done: (error: NodeJS.ErrnoException | null) => void): void {
    if (this.#ended !== undefined) {
      const gone: NodeJS.ErrnoException = new Error('the file system was unmounted');
      gone.code = 'ENODEV';
      done(gone);
      return;
    }
    this.#writing++;
    write(this.#fd, notification, (error) => {
      this.#writing--;
      done(error);
      this.#closeWhenIdle();
    });
  }
}

/** @param result of a read: an errno, negative, or 0, which /dev/fuse never answers */
function readError(result: number): NodeJS.ErrnoException {
  const code = result === 0 ? 'EOF' : getSystemErrorName(result);
  return Object.assign(new Error(`${code}: reading /dev/fuse`), { code });
}
