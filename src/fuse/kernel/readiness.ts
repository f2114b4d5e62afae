// Whether a descriptor has something to read: poll(2) and O_NONBLOCK, which Node offers for sockets and pipes only, taken from the
// C library Node itself is linked with. Asking at once costs a microsecond; waiting holds a thread of libuv's pool. Linux only.
import koffi from 'koffi';

const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
/** struct pollfd: int fd, short events, short revents. */
const POLLFD_BYTES = 8;

interface Poll {
  (descriptors: Uint8Array, count: number, timeoutMs: number): number;
  async(descriptors: Uint8Array, count: number, timeoutMs: number, done: (error: unknown) => void): void;
}

interface Native {
  readonly poll: Poll;
  readonly fcntl: (descriptor: number, command: number, type: 'int', value: number) => number;
}

let native: Native | undefined;

function load(): Native {
  const library = koffi.load(null);
  return {
    poll: library.func('int poll(void *descriptors, unsigned long count, int timeout)'),
    fcntl: library.func('int fcntl(int descriptor, int command, ...)'),
  };
}

/** One descriptor's readiness. A read that finds nothing throws EAGAIN from here on instead of blocking. */
export class Readiness {
  readonly #native = (native ??= load());
  /** Kept for the object's life: a waiting thread writes into it. */
  readonly #pollfd = new Uint8Array(POLLFD_BYTES);

  constructor(descriptor: number) {
    const { fcntl } = this.#native;
    if (fcntl(descriptor, F_SETFL, 'int', fcntl(descriptor, F_GETFL, 'int', 0) | O_NONBLOCK) !== 0)
      throw new Error(`descriptor ${descriptor} cannot be read without blocking`);
    const fields = new DataView(this.#pollfd.buffer);
    fields.setInt32(0, descriptor, true);
    fields.setInt16(4, POLLIN, true);
  }

  /** True if a read has something to say, be it an error. Not to be called during a {@link wait}. */
  get now(): boolean {
    return this.#native.poll(this.#pollfd, 1, 0) !== 0;
  }

  /** Calls `done` once a read may have something to say; that it has is not certain. */
  wait(done: () => void): void {
    this.#native.poll.async(this.#pollfd, 1, -1, done);
  }
}
