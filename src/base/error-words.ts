// Node's own errors in words for people.

/** What a failed call of Node says without its code and call: "permission denied" of "EACCES: permission denied, open '/x'". */
export function errorWords(error: unknown): string | undefined {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code === undefined) return undefined;
  return /^[A-Z0-9]+: ([^,]+)(?:, |$)/.exec(error.message)?.[1];
}

/** An error's message; of a failed call of Node about a path "/x: permission denied". */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { path } = error as NodeJS.ErrnoException;
  const words = errorWords(error);
  return words === undefined || path === undefined ? error.message : `${path}: ${words}`;
}
