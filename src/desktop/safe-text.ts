// Text of others, file names above all, for a notification or a line of a log: on one line, of a bounded length, and unable to look like
// something else than it is.

/** Enough to know a name again by. */
const NAME_LENGTH_MAX = 60;
const NAME_HEAD_LENGTH = 40;
/** A notification shows a few lines. */
const TEXT_LENGTH_MAX = 400;
/**
 * Control characters, line ends among them; marks that turn the order of what follows round; characters that show nothing at all, but for
 * those that scripts and emoji are joined and told apart by.
 */
const UNSAFE =
  /(?![\u200c\u200d\ufe0e\ufe0f])[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/gu;

/**
 * A name in quotes, of which it has none itself: what follows them is ours. Its middle is left out where it is long: its beginning and its
 * extension say most.
 */
export function shownName(name: string): string {
  const characters = Array.from(safeText(name.replaceAll('"', '?'), Infinity));
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
