// Cuts uploads off for a pause: what is nearly through comes to its end, the rest goes on from its last chunk later. Knows no files.
import { delay } from '../base/abort.ts';

/** What an upload gets to come to its end before a pause cuts it off: a small one is through by then, and is not sent twice. */
const GRACE_MS = 500;

/** Why an upload ends that is not to go on for now. */
export class UploadPaused extends Error {
  override readonly name = 'UploadPaused';
  constructor() {
    super('transfers are paused');
  }
}

/** Resolves when these uploads have ended, or, a moment later, when nobody pauses any more: then they go on. */
export async function cutOff(
  uploads: readonly { readonly controller: AbortController; readonly done: Promise<void> }[],
  isPausing: () => boolean,
): Promise<void> {
  const ended = Promise.all(uploads.map(({ done }) => done));
  const moment = new AbortController();
  await Promise.race([ended, delay(GRACE_MS, moment.signal)]);
  moment.abort(new Error('over'));
  if (!isPausing()) return;
  for (const { controller } of uploads) controller.abort(new UploadPaused());
  await ended;
}
