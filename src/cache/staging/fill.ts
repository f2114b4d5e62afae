// Brings what still shows through of a version of the service into the file of the generation over it. What the content shows stays the
// same at every moment, so this may stop anywhere and go on under readers. Knows neither programs nor journal.
import type { ContentReference } from '../../remote-drive.ts';
import type { ContentBlocks, ContentReader } from '../blocks.ts';
import type { DiskRoom } from './disk-room.ts';
import { eachPart } from './extents.ts';
import { eachSegment, type Generation } from './generation.ts';
import type { StagedFiles } from './staged-files.ts';

/** One read of the version: what its reader fetches ahead of is in memory when the next one comes. */
const stepBytes = 1024 * 1024;

/** Where what shows through comes from, and goes to. */
export interface FillSurroundings {
  readonly files: StagedFiles;
  readonly room: DiskRoom;
  readonly blocks: Pick<ContentBlocks, 'reader'>;
}

interface Missing {
  readonly content: ContentReference;
  readonly over: Generation;
  readonly start: number;
  readonly end: number;
}

/** Fills in all of [0, lengthBytes). Rejects with RemoteError, StagingError or the signal's reason, having done a part. */
export async function fill(top: Generation, around: FillSurroundings, signal: AbortSignal): Promise<void> {
  let version: { readonly content: ContentReference; readonly reader: ContentReader } | undefined;
  const filled = new Set<Generation>();
  try {
    for (let at = 0; ;) {
      const missing = firstMissing(top, at);
      if (missing === undefined) return;
      const { content, over, start } = missing;
      const end = Math.min(missing.end, start + stepBytes);
      if (version?.content !== content) {
        version?.reader.close();
        version = { content, reader: around.blocks.reader(content) };
      }
      put(over, start, await version.reader.read(start, end - start, signal), around);
      filled.add(over);
      at = end;
    }
  } finally {
    version?.reader.close();
    for (const generation of filled) around.files.measure(generation.id);
  }
}

function firstMissing(top: Generation, from: number): Missing | undefined {
  let missing: Missing | undefined;
  if (from >= top.lengthBytes) return undefined;
  eachSegment(top, from, top.lengthBytes, (source, start, end, over) => {
    if (source.kind !== 'version' || over === undefined) return false;
    missing = { content: source.content, over, start, end };
    return true;
  });
  return missing;
}

/** Writes pieces of what lies below a generation where it still shows through. */
export function put(over: Generation, start: number, pieces: readonly Uint8Array[], around: FillSurroundings): void {
  let at = start;
  for (const piece of pieces) {
    const shown: [number, number][] = [];
    eachPart(over.extents, at, Math.min(at + piece.length, over.baseEndBytes), (from, to, own) => {
      if (!own) shown.push([from, to]);
      return false;
    });
    for (const [from, to] of shown) {
      around.room.take(to - from);
      around.files.write(over.id, piece.subarray(from - at, to - at), from);
      over.filled(from, to);
    }
    at += piece.length;
  }
}
