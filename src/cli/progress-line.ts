// One line that says how far the sending of changes is, or the fetching of what is pinned: a bar, bytes, counts, pace and time left. Knows
// no terminal.
import { formatDuration, formatSize } from '../base/quantities.ts';
import type { MountStatus } from '../control/status.ts';
import { countOf } from './printable.ts';

/** A change costs about as long as sending this much, whatever its size: without it a thousand tiny files would be no work. */
const CHANGE_COST_BYTES = 64 * 2 ** 10;
const BAR_WIDTH = 24;
/** Narrower terminals get the numbers without a bar. */
const LEAST_WIDTH_FOR_BAR = 60;

/** What the line tells of a mount. */
export type DrainState = Pick<MountStatus, 'pending' | 'online' | 'paused'>;

/** Follows what is left from one look to the next. Work that comes in between makes the whole larger. */
export class DrainProgress {
  #changes = 0;
  #bytes = 0;

  /** The line after this look, at most `width` characters wide. */
  line(state: DrainState, width: number): string {
    const { pending } = state;
    const bytesLeft = Math.max(0, pending.bytes - pending.sent);
    this.#changes = Math.max(this.#changes, pending.files);
    this.#bytes = Math.max(this.#bytes, bytesLeft);
    const whole = this.#bytes + this.#changes * CHANGE_COST_BYTES;
    const left = bytesLeft + pending.files * CHANGE_COST_BYTES;
    const fraction = whole === 0 ? 1 : 1 - left / whole;
    const parts = [
      this.#bytes === 0 ? '' : `${formatSize(this.#bytes - bytesLeft)} of ${formatSize(this.#bytes)}`,
      `${this.#changes - pending.files} of ${countOf(this.#changes, 'change')}`,
      ...paceOf(state),
    ];
    return lineOf(fraction, parts, width);
  }
}

/** Follows what is still to be fetched of what is pinned. */
export class PinProgress {
  /** The line after this look, at most `width` characters wide. */
  line({ pinned, online, paused }: Pick<MountStatus, 'pinned' | 'online' | 'paused'>, width: number): string {
    const { files, bytes, filesLeft, bytesLeft, foldersLeft } = pinned;
    const parts = [
      foldersLeft === 0 ? '' : `${countOf(foldersLeft, 'folder')} to be listed`,
      `${formatSize(bytes - bytesLeft)} of ${formatSize(bytes)}`,
      `${files - filesLeft} of ${countOf(files, 'file')}`,
      paused ? 'paused' : online ? '' : 'OFFLINE',
    ];
    return lineOf(bytes === 0 ? 0 : 1 - bytesLeft / bytes, parts, width);
  }
}

function lineOf(fraction: number, parts: readonly string[], width: number): string {
  const numbers = `${String(Math.floor(fraction * 100)).padStart(3)} %  ${parts.filter((part) => part !== '').join(', ')}`;
  const text = width < LEAST_WIDTH_FOR_BAR ? numbers.trimStart() : `[${bar(fraction)}] ${numbers}`;
  return text.slice(0, width);
}

function paceOf({ pending, online, paused }: DrainState): string[] {
  if (paused) return ['paused'];
  if (!online) return ['OFFLINE'];
  return [
    pending.bytesPerSecond === 0 ? '' : `${formatSize(pending.bytesPerSecond)}/s`,
    pending.secondsLeft === null ? '' : `${formatDuration(pending.secondsLeft * 1_000)} left`,
  ];
}

function bar(fraction: number): string {
  const filled = Math.floor(fraction * BAR_WIDTH);
  return '#'.repeat(filled) + '-'.repeat(BAR_WIDTH - filled);
}
