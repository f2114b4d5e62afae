// How long what is pending will take at the present pace and within the allowance of calls. Knows nothing of what measures them.

/** A slower pace is that of small files, which wait for replies and not for the line: it tells nothing of large ones. */
const LEAST_BYTES_PER_SECOND = 4 * 2 ** 10;

/** Limits on calls; 0: none. */
export interface CallAllowance {
  readonly perSecond: number;
  readonly perHour: number;
  readonly leftThisHour: number;
}

/** Seconds until all is stored; null where that cannot be known. Bytes and calls flow side by side: the slower one counts. */
export function secondsLeft(
  left: { readonly bytes: number; readonly calls: number },
  bytesPerSecond: number,
  allowance: CallAllowance,
): number | null {
  if (left.bytes > 0 && bytesPerSecond < LEAST_BYTES_PER_SECOND) return null;
  const forBytes = left.bytes > 0 ? left.bytes / bytesPerSecond : 0;
  const paced = allowance.perSecond > 0 ? left.calls / allowance.perSecond : 0;
  const beyond = allowance.perHour > 0 ? Math.max(0, left.calls - allowance.leftThisHour) : 0;
  const forAllowance = beyond > 0 ? (beyond * 3_600) / allowance.perHour : 0;
  return Math.ceil(Math.max(forBytes, paced, forAllowance));
}
