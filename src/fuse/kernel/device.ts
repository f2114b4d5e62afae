// The open /dev/fuse: keeps reads outstanding, hands each message over, writes replies. Two reads were best on two cores
// (one: 65 MB/s, two: 370, four: 197). Each blocks a thread of libuv's pool for as long as the kernel has nothing to say, and
// a notification blocks a third, so UV_THREADPOOL_SIZE must be set before the process starts: 3 plus what others need (8).
// A process cannot exit while a read is blocked: unmount first and wait for `finished`.
import { close, read, write, writeSync, writevSync } from 'node:fs';
import { createLog } from '../../base/log.ts';
import { size } from './protocol/constants.ts';
import { REQUEST_BYTES_MAX } from './protocol/init.ts';
import { Message } from './protocol/message.ts';
import type { ReplyChannel } from './session.ts';

const log = createLog('fuse');

const READS_OUTSTANDING = 2;
/** Threads that may be blocked by this transport: its reads and one notification. */
export const BLOCKED_THREADS_MAX = READS_OUTSTANDING + 1;
/** The largest WRITE with its header and arguments; the kernel refuses reads with less room. */
const MESSAGE_BYTES_MAX = REQUEST_BYTES_MAX + size.IN_HEADER + size.WRITE_IN;

/** Why the conversation ended. `device-error` carries the error. */
export interface DeviceEnd {
  readonly reason: 'unmounted' | 'aborted' | 'device-error';
  readonly error?: Error;
}

/** writev(2) takes 1024 pieces; libuv would make two messages of more. */
const PIECES_MAX = 1024;

export class Device implements ReplyChannel {
  readonly #fd: number;
  #ended: DeviceEnd | undefined;
  #reading = 0;
  #writing = 0;
  #onMessage: ((message: Message, lengthBytes: number) => void) | undefined;
  #onEnd: ((end: DeviceEnd) => void) | undefined;

  /** @param fd an open /dev/fuse that is mounted; closed by this object after the end */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Starts reading. `onEnd` is called once, when the last outstanding read has returned. */
  start(onMessage: (message: Message, lengthBytes: number) => void, onEnd: (end: DeviceEnd) => void): void {
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#reading = READS_OUTSTANDING;
    for (let index = 0; index < READS_OUTSTANDING; index++)
      this.#readNext(new Message(Buffer.allocUnsafeSlow(MESSAGE_BYTES_MAX)));
  }

  #readNext(message: Message): void {
    read(this.#fd, message.bytes, 0, message.bytes.length, null, (error, lengthBytes) => {
      if (error === null) {
        this.#onMessage?.(message, lengthBytes);
        this.#readNext(message);
        return;
      }
      switch (error.code) {
        case 'EINTR':
        case 'EAGAIN':
        case 'ENOENT': // the request was withdrawn while it was handed over
          this.#readNext(message);
          return;
        case 'ENODEV':
          this.#end({ reason: 'unmounted' });
          break;
        case 'ECONNABORTED':
          this.#end({ reason: 'aborted' });
          break;
        default:
          this.#end({ reason: 'device-error', error });
      }
      this.#reading--;
      this.#closeWhenIdle();
    });
  }

  #end(end: DeviceEnd): void {
    this.#ended ??= end;
  }

  #closeWhenIdle(): void {
    if (this.#reading > 0 || this.#writing > 0 || this.#ended === undefined) return;
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
