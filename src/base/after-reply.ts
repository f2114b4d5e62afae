// Work that an answer does not depend on, and that should not keep the one who waits for it.

/** Somebody who waits for an answer. */
export interface Waiting {
  /**
   * Does `work` once the answer is out, before anything else is asked; what came with the question and is valid now is still
   * valid then. Where it is missing, nobody waits: do it at once.
   */
  afterReply?(work: () => void): void;
}

/** Does `work` after the answer that `waiting` waits for, or at once. */
export function afterReply(waiting: Waiting | undefined, work: () => void): void {
  if (waiting?.afterReply === undefined) work();
  else waiting.afterReply(work);
}
