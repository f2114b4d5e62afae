// Sets of byte ranges as flat arrays: start, end, start, end ... ascending, ends exclusive, no two touching. Changed in place, because
// a write adds to its neighbour far more often than it begins a range. Knows nothing of files.

/** Index of the start of the first range that ends after `at`; the array's length where none does. */
function firstEndingAfter(extents: readonly number[], at: number): number {
  let low = 0;
  let high = extents.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((extents[2 * middle + 1] as number) > at) high = middle;
    else low = middle + 1;
  }
  return 2 * low;
}

/** Adds [start, end), which is not empty. */
export function addRange(extents: number[], start: number, end: number): void {
  const { length } = extents;
  // The usual case: at the end of the last range, or within it.
  if (length > 0 && start >= (extents[length - 2] as number) && start <= (extents[length - 1] as number)) {
    if (end > (extents[length - 1] as number)) extents[length - 1] = end;
    return;
  }
  // Ranges that touch are joined: one that ends at `start` too.
  const first = firstEndingAfter(extents, start - 1);
  let behind = first;
  while (behind < length && (extents[behind] as number) <= end) behind += 2;
  if (behind === first) {
    extents.splice(first, 0, start, end);
    return;
  }
  const joinedStart = Math.min(start, extents[first] as number);
  const joinedEnd = Math.max(end, extents[behind - 1] as number);
  extents.splice(first, behind - first, joinedStart, joinedEnd);
}

/** Removes what lies at or behind `end`. */
export function cutRanges(extents: number[], end: number): void {
  const at = firstEndingAfter(extents, end);
  if (at >= extents.length) return;
  if ((extents[at] as number) < end) {
    extents[at + 1] = end;
    extents.length = at + 2;
  } else extents.length = at;
}

/** True where all of [0, end) is in. */
export function coversUpTo(extents: readonly number[], end: number): boolean {
  return end === 0 || (extents[0] === 0 && (extents[1] as number) >= end);
}

/** How many bytes the ranges hold. */
export function totalBytes(extents: readonly number[]): number {
  let total = 0;
  for (let at = 0; at < extents.length; at += 2) total += (extents[at + 1] as number) - (extents[at] as number);
  return total;
}

/** Calls back for each part of [start, end) in order, inside the set or outside, until the callback returns true; then so does this. */
export function eachPart(
  extents: readonly number[],
  start: number,
  end: number,
  part: (start: number, end: number, inside: boolean) => boolean,
): boolean {
  let at = start;
  for (let index = firstEndingAfter(extents, start); at < end && index < extents.length; index += 2) {
    const from = Math.max(at, extents[index] as number);
    if (from >= end) break;
    if (from > at && part(at, from, false)) return true;
    at = Math.min(end, extents[index + 1] as number);
    if (part(from, at, true)) return true;
  }
  return at < end && part(at, end, false);
}
