// Large listings as JSON text in pieces. Promises: never holds the event loop longer than a slice; a reader that does not
// take the pieces stops the writing. Must not know: which call is answered.
import { nextTurn } from '../base/event-loop.ts';
import type { WireObject, WireWriter } from './wire-json.ts';

// One socket write's worth; a slice short enough that other calls do not notice.
const PIECE_CHARACTERS = 32 * 1024;
const SLICE_MS = 5;

export interface ListingMember {
  readonly key: string;
  readonly items: Iterable<WireObject>;
}

/** `[item, item, ...]` */
export async function* arrayPieces(writer: WireWriter, items: Iterable<WireObject>): AsyncGenerator<string> {
  yield '[';
  yield* itemPieces(writer, items);
  yield ']';
}

/** An object whose last members are arrays: `{head..., "Files":[...], "Folders":[...]}`. */
export async function* objectPieces(
  writer: WireWriter,
  head: WireObject,
  members: readonly ListingMember[],
  options: { omitEmpty: boolean },
): AsyncGenerator<string> {
  const open = writer.openObject(head);
  let separator = open === '{' ? '' : ',';
  yield open;
  for (const { key, items } of members) {
    const pieces = itemPieces(writer, items);
    const first = await pieces.next();
    if (first.done === true && options.omitEmpty) continue;
    yield `${separator}${writer.memberName(key)}[`;
    separator = ',';
    if (first.done !== true) yield first.value;
    yield* pieces;
    yield ']';
  }
  yield '}';
}

async function* itemPieces(writer: WireWriter, items: Iterable<WireObject>): AsyncGenerator<string> {
  let piece = '';
  let separator = '';
  let sliceStart = performance.now();
  for (const item of items) {
    piece += separator + writer.write(item);
    separator = ',';
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
    if (performance.now() - sliceStart > SLICE_MS) {
      await nextTurn();
      sliceStart = performance.now();
    }
  }
  if (piece !== '') yield piece;
}
