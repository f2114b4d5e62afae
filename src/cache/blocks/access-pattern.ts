// Tells from the reads of one open file how far to fetch ahead. Tolerates what the kernel makes of a sequential read: several
// requests at once, slightly out of order; and several sequential readers on one handle. Pure: no clock, no I/O.
import { blockSizeBytes } from './block.ts';

/** Sequential readers told apart on one handle; more than a merge of a few inputs reads through one descriptor is rare. */
const runsMax = 8;
/** Requests of one sequential reader arrive at most this far out of order: eight 1 MiB requests in flight. */
const disorderBytes = 8 * 2 ** 20;
/** Reads at least this large come from the kernel's read-ahead: a gap before one is disorder, not a seek. */
const readAheadBytesMin = 64 * 1024;
/** Less than this read in a row is as likely a record or a header as the start of a copy. */
const runBytesMin = 64 * 1024;
/** The least worth fetching ahead. */
const aheadBytesMin = 256 * 1024;
/** How much faster than the reader the fetched stretch grows: reaches 16 MiB in four round trips. */
const growth = 4;

/** A stretch that one sequential reader covers. */
export interface Run {
  readonly startBytes: number;
  /** The farthest byte read, exclusive. */
  endBytes: number;
  /** Bytes read in it, at most its length. */
  readBytes: number;
  reads: number;
  /** Up to where content was asked for ahead of the reader, from the network and from the disk. */
  fetchedBytes: number;
  loadedBytes: number;
}

export class AccessPattern {
  /** Most recently used last. */
  readonly #runs: Run[] = [];

  /** Takes note of a read and tells the run it belongs to. */
  observe(offsetBytes: number, endBytes: number): Run {
    const runs = this.#runs;
    let at = runs.length - 1;
    while (at >= 0 && !continues(runs[at] as Run, offsetBytes, endBytes)) at--;
    let run: Run;
    if (at >= 0) {
      run = runs[at] as Run;
      if (at !== runs.length - 1) {
        runs.splice(at, 1);
        runs.push(run);
      }
      run.endBytes = Math.max(run.endBytes, endBytes);
      run.readBytes = Math.min(run.readBytes + endBytes - offsetBytes, run.endBytes - run.startBytes);
      run.reads++;
    } else {
      run = {
        startBytes: offsetBytes,
        endBytes,
        readBytes: endBytes - offsetBytes,
        reads: 1,
        fetchedBytes: 0,
        loadedBytes: 0,
      };
      runs.push(run);
      if (runs.length > runsMax) runs.shift();
    }
    return run;
  }
}

/** How many bytes behind the run's end are worth fetching now; 0 for readers that do not look sequential. */
export function aheadOf(run: Run, aheadBytesMax: number): number {
  const wholeStart = run.startBytes === 0 && run.readBytes >= blockSizeBytes;
  if (!wholeStart && (run.reads < 2 || run.readBytes < runBytesMin)) return 0;
  // A sparse reader skips more than it reads: what lies ahead is mostly not wanted.
  if (run.readBytes * 2 < run.endBytes - run.startBytes) return 0;
  return Math.min(aheadBytesMax, Math.max(aheadBytesMin, run.readBytes * growth));
}

/** True for reads that the kernel may be making for the reader of this run. */
function continues(run: Run, offsetBytes: number, endBytes: number): boolean {
  if (offsetBytes === run.endBytes) return true;
  const disorder = Math.min(disorderBytes, run.readBytes * growth);
  if (offsetBytes > run.endBytes) {
    return endBytes - offsetBytes >= readAheadBytesMin && offsetBytes - run.endBytes <= disorder;
  }
  return offsetBytes >= run.startBytes && offsetBytes >= run.endBytes - disorderBytes;
}
