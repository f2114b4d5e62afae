// INIT: what this transport and the kernel agree on. Pure: reads one message, writes one reply.
import { errno } from '../../../base/errno.ts';
import { FsError } from '../../../fs-ops/operations.ts';
import {
  EPOCH_MINOR,
  FUSE_KERNEL_VERSION,
  NEWEST_MINOR,
  OLDEST_MINOR,
  PAGE_BYTES,
  initFlag,
  initFlag2,
  size,
} from './constants.ts';
import type { Message } from './message.ts';
import type { ReplyBuffer } from './reply-buffer.ts';

/** The largest READ and WRITE: what MAX_PAGES 256 allows, eight times the default. */
export const REQUEST_BYTES_MAX = 2 ** 20;
/** Without MAX_PAGES (before Linux 4.20) a request holds 32 pages. */
const REQUEST_BYTES_OLD = 32 * PAGE_BYTES;
/** Read-ahead requests on their way at once. The kernel's 12 is for disks; each of ours may wait for a round trip. */
const BACKGROUND_MAX = 64;
/** At three quarters, as the kernel's own default, the device counts as congested and read-ahead slows down. */
const CONGESTION_THRESHOLD = 48;

/**
 * Never WRITEBACK_CACHE (the kernel then ignores size and mtime changed remotely) nor AUTO_INVAL_DATA (it then drops pages
 * on its own judgement): we invalidate explicitly. READDIRPLUS_AUTO is left out: of 50,000 entries it lists names alone in 0.1 s
 * instead of 0.3 s, but makes a LOOKUP of each for whoever lists first and stats then (4 s instead of 1 s). Nor ASYNC_DIO: with it the kernel
 * does not drop the pages that somebody read while an asynchronous O_DIRECT write was under way, and shows old bytes from then on.
 */
const WANTED =
  initFlag.ASYNC_READ |
  initFlag.ATOMIC_O_TRUNC |
  initFlag.EXPORT_SUPPORT |
  initFlag.BIG_WRITES |
  initFlag.DO_READDIRPLUS |
  initFlag.PARALLEL_DIROPS |
  initFlag.ABORT_ERROR |
  initFlag.MAX_PAGES |
  initFlag.EXPLICIT_INVAL_DATA |
  initFlag.HANDLE_KILLPRIV_V2 |
  initFlag.INIT_EXT;
const WANTED2 = initFlag2.HAS_EXPIRE_ONLY;

export interface Agreement {
  /** The kernel's own version, and the minor version spoken. */
  readonly kernelMajor: number;
  readonly kernelMinor: number;
  readonly minor: number;
  readonly flags: number;
  readonly flags2: number;
  readonly maxWriteBytes: number;
  readonly maxReadAheadBytes: number;
  /** Names can be expired without being torn from under those who use them. */
  readonly expireOnly: boolean;
  /** All names can be expired at once. */
  readonly epoch: boolean;
}

/** How INIT goes on: agreed; another INIT will come in our major version; or there is nothing to agree on. */
export type Negotiation =
  | { readonly kind: 'agreed'; readonly agreement: Agreement; readonly lengthBytes: number }
  | { readonly kind: 'again'; readonly lengthBytes: number }
  | { readonly kind: 'refused'; readonly error: FsError };

/** Reads fuse_init_in and writes fuse_init_out behind the reply's header; `lengthBytes` is without the header. */
export function negotiate(message: Message, reply: ReplyBuffer, maxReadAheadBytes: number): Negotiation {
  const body = size.IN_HEADER;
  const out = size.OUT_HEADER;
  const kernelMajor = message.u32(body);
  const kernelMinor = message.u32(body + 4);
  reply.zero(out, size.INIT_OUT);
  reply.u32(out, FUSE_KERNEL_VERSION);
  reply.u32(out + 4, NEWEST_MINOR);
  if (kernelMajor > FUSE_KERNEL_VERSION) return { kind: 'again', lengthBytes: size.INIT_OUT };
  if (kernelMajor < FUSE_KERNEL_VERSION || kernelMinor < OLDEST_MINOR) {
    return {
      kind: 'refused',
      error: new FsError(
        errno.EPROTO,
        `this kernel speaks FUSE ${kernelMajor}.${kernelMinor}; at least ${FUSE_KERNEL_VERSION}.${OLDEST_MINOR} (Linux 3.15) is needed`,
      ),
    };
  }
  const minor = Math.min(kernelMinor, NEWEST_MINOR);
  const offered = message.u32(body + 12);
  const extended = (offered & initFlag.INIT_EXT) !== 0;
  const offered2 = extended ? message.u32(body + 16) : 0;
  const flags = (offered & WANTED) >>> 0;
  const flags2 = (offered2 & WANTED2) >>> 0;
  const maxPages = (flags & initFlag.MAX_PAGES) !== 0;
  const maxWriteBytes = maxPages ? REQUEST_BYTES_MAX : REQUEST_BYTES_OLD;
  const readAhead = Math.min(message.u32(body + 8), maxReadAheadBytes);
  reply.u32(out + 4, minor);
  reply.u32(out + 8, readAhead);
  reply.u32(out + 12, flags);
  reply.u32(out + 16, BACKGROUND_MAX | (CONGESTION_THRESHOLD << 16));
  reply.u32(out + 20, maxWriteBytes);
  reply.u32(out + 24, 1); // time_gran: nanoseconds
  reply.u32(out + 28, maxPages ? REQUEST_BYTES_MAX / PAGE_BYTES : 0);
  reply.u32(out + 32, flags2);
  return {
    kind: 'agreed',
    lengthBytes: size.INIT_OUT,
    agreement: {
      kernelMajor,
      kernelMinor,
      minor,
      flags,
      flags2,
      maxWriteBytes,
      maxReadAheadBytes: readAhead,
      expireOnly: (flags2 & initFlag2.HAS_EXPIRE_ONLY) !== 0,
      epoch: kernelMinor >= EPOCH_MINOR,
    },
  };
}
