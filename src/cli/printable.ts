// Text of others on a terminal or in a list of lines.
export { countOf } from '../base/quantities.ts';

/** A text on one line: a name may hold a newline or an escape sequence, which a terminal must not obey. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}
