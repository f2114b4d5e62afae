// A reply of folder.svc, Folders GET or Files GET to entries, as its bytes arrive and without holding the event loop. Knows the
// shapes the documents give these replies: an object with Files and Folders, or an array of either.
import { nextTurn } from '../base/event-loop.ts';
import { RemoteError } from '../remote-drive.ts';
import type { FolderId, RemoteFolder } from '../remote-drive.ts';
import { ElementScanner } from './wire/element-scanner.ts';
import type { ReplyFrame } from './wire/element-scanner.ts';
import { readFile, readFolder, readRemovedFile, readRemovedFolder } from './wire/entities.ts';
import type { FileFields } from './wire/entities.ts';
import { Fields } from './wire/fields.ts';

export type ListedEntry = FileFields | RemoteFolder;

/** Which of a reply's entries are wanted: those that are there, those in the trash, or both. */
export type Wanted = 'active' | 'deleted' | 'all';

/** What a reply was besides its wanted entries; ids and counts include those that are not. */
export interface ListingFrame {
  readonly shape: 'array' | 'object';
  /** Present and thus meant as a list, even if empty. */
  readonly hasFiles: boolean;
  readonly hasFolders: boolean;
  readonly fileCount: number;
  readonly folderCount: number;
  readonly lastFileId: string | undefined;
  readonly lastFolderId: string | undefined;
}

/** Longest the parser works before it lets others run: a tenth of what a listing may hold the event loop, for others share the turn. */
const sliceMs = 2;
/** Scanned between two looks at the clock. */
const sliceBytes = 16 * 1024;
const batchEntries = 1_000;

const wanted: ReadonlySet<string> = new Set(['files', 'folders']);

const readers = {
  active: { file: readFile, folder: readFolder },
  deleted: { file: readRemovedFile, folder: readRemovedFolder },
  all: {
    file: (element: unknown, where: string) => readFile(element, where) ?? readRemovedFile(element, where),
    folder: (element: unknown, where: string) => readFolder(element, where) ?? readRemovedFolder(element, where),
  },
} as const satisfies Record<Wanted, unknown>;

/**
 * Yields the wanted entries of a body in batches of at most 1,000; returns what else the reply said. `arrayHolds` is what a
 * top-level array lists; `folderId` is the listed folder: an entry that is this folder itself is no subfolder of its own, but an
 * object reply within an array. `refusal` judges the fields of an object that lists nothing: it may be an error. Throws that,
 * RemoteError `protocol`, `unavailable` for a reply that was cut off, or what the body throws.
 */
export async function* readListing(
  body: AsyncIterable<Uint8Array>,
  call: string,
  arrayHolds: 'files' | 'folders',
  folderId?: FolderId,
  refusal?: (fields: unknown) => Error | undefined,
  which: Wanted = 'active',
): AsyncGenerator<ListedEntry[], ListingFrame> {
  const seen = {
    fileCount: 0,
    folderCount: 0,
    lastFileId: undefined as string | undefined,
    lastFolderId: undefined as string | undefined,
  };
  const read = readers[which];
  let batch: ListedEntry[] = [];
  const takeFile = (element: unknown): void => {
    if (element === null) return;
    const where = `${call}: Files[${seen.fileCount}]`;
    seen.fileCount += 1;
    seen.lastFileId = Fields.of(element, where).id('FileId');
    const file = read.file(element, where);
    if (file !== undefined) batch.push(file);
  };
  const takeFolder = (element: unknown): void => {
    if (element === null) return;
    const where = `${call}: Folders[${seen.folderCount}]`;
    const fields = Fields.of(element, where);
    const id = fields.id('FolderId');
    if (id !== undefined && id === folderId) {
      const files = fields.array('Files');
      inner.files ||= files !== undefined;
      inner.folders ||= fields.value('Folders') !== undefined;
      files?.forEach(takeFile);
      fields.array('Folders')?.forEach(takeFolder);
      return;
    }
    seen.folderCount += 1;
    seen.lastFolderId = id;
    const folder = read.folder(element, where);
    if (folder !== undefined) batch.push(folder);
  };
  const inner = { files: false, folders: false };
  const scanner = new ElementScanner(call, wanted, (array, element) => {
    const holds = array === '' ? arrayHolds : array;
    if (holds === 'files') takeFile(element);
    else takeFolder(element);
  });
  let sliceStart = performance.now();
  for await (const chunk of body) {
    for (let start = 0; start < chunk.length; start += sliceBytes) {
      scanner.push(chunk.subarray(start, start + sliceBytes));
      while (batch.length >= batchEntries) {
        yield batch.slice(0, batchEntries);
        batch = batch.slice(batchEntries);
      }
      if (performance.now() - sliceStart > sliceMs) {
        await nextTurn();
        sliceStart = performance.now();
      }
    }
  }
  const frame = scanner.end();
  if (batch.length > 0) yield batch;
  if (seen.fileCount + seen.folderCount === 0 && frame.shape === 'object') {
    const error = refusal?.(frame.fields);
    if (error !== undefined) throw error;
  }
  checkShape(frame, call);
  return {
    shape: frame.shape,
    hasFiles: inner.files || frame.arrays.has('files') || (frame.shape === 'array' && arrayHolds === 'files'),
    hasFolders: inner.folders || frame.arrays.has('folders') || (frame.shape === 'array' && arrayHolds === 'folders'),
    ...seen,
  };
}

/** An object without both arrays is an empty folder only if it is a folder at all: serialisers leave out what is empty. */
function checkShape(frame: ReplyFrame, call: string): void {
  if (frame.shape === 'array') return;
  const fields = Fields.of(frame.fields, call);
  for (const name of ['Files', 'Folders']) {
    // What is no array by now was something else; null counts as absent.
    if (fields.value(name) !== undefined) throw new RemoteError('protocol', `${call}: field ${name} is not an array`);
  }
  if (frame.arrays.size > 0 || fields.value('FolderId', 'SyncpointId') !== undefined) return;
  throw new RemoteError('protocol', `${call}: the reply has neither Files nor Folders nor FolderId`);
}
