// The header Content-Range of a 206 reply.

export interface ContentRange {
  readonly startBytes: number;
  /** Exclusive. */
  readonly endBytes: number;
  /** Undefined for `*`. */
  readonly totalBytes: number | undefined;
}

/** Parses `bytes a-b/total`; the unit may be missing, as in the guide's own ranges. Undefined for anything else. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = /^(?:bytes[ =])?\s*(\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/i.exec(value?.trim() ?? '');
  if (match === null) return undefined;
  const startBytes = Number(match[1]);
  const endBytes = Number(match[2]) + 1;
  const totalBytes = match[3] === '*' ? undefined : Number(match[3]);
  if (endBytes <= startBytes || (totalBytes !== undefined && endBytes > totalBytes)) return undefined;
  return { startBytes, endBytes, totalBytes };
}
