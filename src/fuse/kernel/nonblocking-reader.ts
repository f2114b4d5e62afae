// Reading a descriptor without blocking, and waiting for it: read(2), poll(2) and O_NONBLOCK, which Node offers for sockets and pipes only,
// taken from the C library Node itself is linked with. A read that finds nothing costs a microsecond, where Node's own would make an
// error with a stack; waiting holds a thread of libuv's pool. Linux only.
import koffi from 'koffi';

const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
/** struct pollfd: int fd, short events, short revents. */
const POLLFD_BYTES = 8;

interface Poll {
  async(descriptors: Uint8Array, count: number, timeoutMs: number, done: (error: unknown) => void): void;
}

interface Native {
  readonly poll: Poll;
  /** Returns -1 after a failure, which errno tells. */
  readonly read: (descriptor: number, bytes: Uint8Array, lengthBytes: number) => number;
  readonly fcntl: (descriptor: number, command: number, type: 'int', value: number) => number;
}

let native: Native | undefined;

function load(): Native {
  const library = koffi.load(null);
  return {
    poll: library.func('int poll(void *descriptors, unsigned long count, int timeout)'),
    read: library.func('long read(int descriptor, void *bytes, unsigned long count)'),
    fcntl: library.func('int fcntl(int descriptor, int command, ...)'),
  };
}

/** A descriptor that is read without blocking. */
export class NonblockingReader {
  readonly #native = (native ??= load());
  readonly #descriptor: number;
  /** Kept for the object's life: a waiting thread writes into it. */
  readonly #pollfd = new Uint8Array(POLLFD_BYTES);

  constructor(descriptor: number) {
    const { fcntl } = this.#native;
    if (fcntl(descriptor, F_SETFL, 'int', fcntl(descriptor, F_GETFL, 'int', 0) | O_NONBLOCK) !== 0)
      throw new Error(`descriptor ${descriptor} cannot be read without blocking`);
    this.#descriptor = descriptor;
    const fields = new DataView(this.#pollfd.buffer);
    fields.setInt32(0, descriptor, true);
    fields.setInt16(4, POLLIN, true);
  }

  /** Fills `bytes` from its begin on. Returns how many bytes there were or, negative, the errno: -EAGAIN where there is nothing. */
  read(bytes: Uint8Array): number {
    const count = this.#native.read(this.#descriptor, bytes, bytes.length);
    return count < 0 ? -koffi.errno() : count;
  }

  /** Calls `done` once a read may have something to say; that it has is not certain. No read may be made until then. */
  wait(done: () => void): void {
    this.#native.poll.async(this.#pollfd, 1, -1, done);
  }
}
