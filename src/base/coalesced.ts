// Work that is worth doing once for all who want it: syncs of a disk, mostly.

/**
 * Makes a function that runs `work`, one run at a time: each call is answered by a run that began after it, shared with all who called while
 * the one before was under way. Rejects as that run does.
 */
export function coalesced(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    next = undefined;
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (next !== undefined) return next;
    if (running === undefined) return begin();
    next = running.then(begin, begin);
    return next;
  };
}
