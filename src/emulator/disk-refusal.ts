// What the host's disk refuses, as the store's refusal: by cause, where the cause is the request's; else the error stays what it is.
import { StoreRefusal } from './store.ts';
import type { RefusalCause } from './store.ts';

const CAUSES: Readonly<Record<string, RefusalCause>> = {
  EEXIST: 'taken',
  ENOTEMPTY: 'taken',
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  ENAMETOOLONG: 'invalid',
  EINVAL: 'invalid',
  EILSEQ: 'invalid',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
  EROFS: 'forbidden',
  ENOSPC: 'full',
  EDQUOT: 'full',
};

export function diskRefusal(error: unknown): unknown {
  const cause = CAUSES[(error as NodeJS.ErrnoException).code ?? ''];
  return cause === undefined ? error : new StoreRefusal((error as Error).message, cause);
}

/** Does file operations; throws their refusals as the store's. */
export function onDisk<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskRefusal(error);
  }
}
