// A drive in memory whose uploads take long enough for something to happen while their last request is on its way.
import type { CallOptions, UploadOutcome, UploadRequest } from '../../../src/remote-drive.ts';
import { MemoryDrive } from '../../fakes/memory-drive.ts';

export class SlowDrive extends MemoryDrive {
  /** False: what it stored is told without ids. */
  tellsIds = true;
  /** Happens once, when the last request of the next upload has left. */
  meanwhile: (() => Promise<void>) | undefined;

  override async upload(request: UploadRequest, options: CallOptions = {}): Promise<UploadOutcome> {
    const beforeLast = async (): Promise<void> => {
      await request.beforeLast?.();
      const { meanwhile } = this;
      this.meanwhile = undefined;
      await meanwhile?.();
    };
    const outcome = await super.upload({ ...request, beforeLast }, options);
    if (this.tellsIds || outcome.state !== 'stored') return outcome;
    return { state: 'stored', fileId: undefined, versionId: undefined, already: false };
  }
}
