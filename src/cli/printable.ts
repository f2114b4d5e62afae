// Text of others on a terminal or in a list of lines.

/** A text on one line: a name may hold a newline or an escape sequence, which a terminal must not obey. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

/** "1 change", "2 changes". */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
