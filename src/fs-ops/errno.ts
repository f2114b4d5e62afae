// The one table from what went wrong to an errno. Exhaustive: a new kind of RemoteError does not compile without a row.
import { isAbort } from '../base/abort.ts';
import { errno } from '../base/errno.ts';
import { createLog } from '../base/log.ts';
import { RemoteError, type RemoteErrorKind } from '../remote-drive.ts';
import { FsError } from './operations.ts';

const log = createLog('fs-ops');

const byKind = {
  'not-found': errno.ENOENT,
  exists: errno.EEXIST,
  forbidden: errno.EACCES,
  conflict: errno.ESTALE,
  quota: errno.EDQUOT,
  // A program retries EAGAIN at once and in a loop: what must wait longer than a request may is an I/O error.
  throttled: errno.EIO,
  unavailable: errno.EIO,
  unauthenticated: errno.EACCES,
  invalid: errno.EINVAL,
  'too-large': errno.EFBIG,
  protocol: errno.EIO,
} as const satisfies Record<RemoteErrorKind, number>;

/** What a full disk, and what is too large for it, mean to a program. Databases tell numbers, system calls names. */
const byCode = new Map<unknown, number>([
  ['ENOSPC', errno.ENOSPC],
  [errno.ENOSPC, errno.ENOSPC],
  ['EDQUOT', errno.ENOSPC],
  [errno.EDQUOT, errno.ENOSPC],
  ['EFBIG', errno.EFBIG],
]);

function ofThisMachine(error: unknown): { readonly errno: number; readonly message: string } | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const number = byCode.get(error.code);
  return number === undefined ? undefined : { errno: number, message: error.message };
}

/** Any failure as FsError: RemoteError by kind, a full disk as ENOSPC, an abort as EINTR, the unknown as EIO with its stack logged. */
export function toFsError(error: unknown, what: string): FsError {
  if (error instanceof FsError) return error;
  if (error instanceof RemoteError) {
    log('%s: %s: %s', what, error.kind, error.message);
    return new FsError(byKind[error.kind], `${what}: ${error.message}`, { cause: error });
  }
  const local = ofThisMachine(error);
  if (local !== undefined) return new FsError(local.errno, `${what}: ${local.message}`, { cause: error });
  if (isAbort(error)) return new FsError(errno.EINTR, `${what}: interrupted`, { cause: error });
  log('%s failed in a way nobody foresaw: %O', what, error);
  return new FsError(errno.EIO, `${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}
