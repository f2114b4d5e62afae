// Long work in slices, so that others get the event loop in between.

/** Resolves in the next turn of the event loop, after waiting I/O had its say. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
