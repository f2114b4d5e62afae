// Text of others, file names above all, for a notification or a line of a log: on one line, of a bounded length, and unable to look like
// something else than it is.

/** Enough to know a name again by. */
const NAME_LENGTH_MAX = 60;
const NAME_HEAD_LENGTH = 40;
/** A notification shows a few lines. */
const TEXT_LENGTH_MAX = 400;
/** Control characters, line ends among them; marks that turn the order of what follows round; characters that show nothing at all. */
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

/** A name in quotes, its middle left out where it is long: its beginning and its extension say most. */
export function shownName(name: string): string {
  const characters = Array.from(safeText(name, Infinity));
  if (characters.length <= NAME_LENGTH_MAX) return `"${characters.join('')}"`;
  const tail = characters.slice(NAME_HEAD_LENGTH + 1 - NAME_LENGTH_MAX);
  return `"${characters.slice(0, NAME_HEAD_LENGTH).join('')}…${tail.join('')}"`;
}

/** A text on one line, cut at its end. */
export function safeText(text: string, lengthMax = TEXT_LENGTH_MAX): string {
  const characters = Array.from(text.replace(UNSAFE, '?'));
  return characters.length <= lengthMax ? characters.join('') : `${characters.slice(0, lengthMax - 1).join('')}…`;
}

/** Text for where the notification specification has markup. */
export function escapedMarkup(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
