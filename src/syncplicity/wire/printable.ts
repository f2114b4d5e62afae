// A server's words for a message: one line, nothing that a terminal would obey.

/** The text on one line without C0 and C1 control characters. */
export function printable(text: string): string {
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
}
