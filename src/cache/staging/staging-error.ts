// How writing on this machine fails: three codes that programs understand, and a sentence with the cause. Knows no service.

/** What a program can make of it. */
export type StagingErrorCode = 'ENOSPC' | 'EFBIG' | 'EIO';

/** Content can't be staged. `message` says what, where and why. */
export class StagingError extends Error {
  override readonly name = 'StagingError';
  readonly code: StagingErrorCode;
  constructor(code: StagingErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** What a failed system call on the staging directory means to a program: a user's quota of that disk is its end as well. */
export function stagingErrorOf(error: unknown, what: string): StagingError {
  if (error instanceof StagingError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new StagingError(full ? 'ENOSPC' : code === 'EFBIG' ? 'EFBIG' : 'EIO', `${what}: ${message}`, {
    cause: error,
  });
}
