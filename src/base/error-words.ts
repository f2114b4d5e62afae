// Node's own errors in words for people.

/** What a failed call of Node says without its code and call: "permission denied" of "EACCES: permission denied, open '/x'". */
export function errorWords(error: unknown): string | undefined {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code === undefined) return undefined;
  return /^[A-Z0-9]+: ([^,]+)(?:, |$)/.exec(error.message)?.[1];
}
