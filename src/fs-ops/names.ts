// Remote names as names of a POSIX directory. What POSIX cannot hold is escaped, and the escape is reversible:
// "/" %2F, NUL %00, "." and ".." with %2E, a lone surrogate %uD800, the empty name "%-"; a "%" that would read as one of these
// becomes %25. Every other name is shown as it is, "100%" and "a%20b" included.
import { hostname } from 'node:os';
import type { Naming } from '../cache/tree/naming.ts';

/** NAME_MAX: what a directory entry holds, in UTF-8 bytes. */
export const NAME_BYTES_MAX = 255;

const NEEDS_ESCAPE =
  /[/\0]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|%(?=(?:25)*(?:2F|00|uD[89A-F][0-9A-F]{2}))/g;
const ESCAPED = /%(?:(2F|00)|uD([89A-F][0-9A-F]{2})|25(?=(?:25)*(?:2F|00|uD[89A-F][0-9A-F]{2})))/g;
/** What stands for a whole name, or would without another "25". */
const WHOLE_NAME = /^%(?:25)*(?:-|2E|2E%2E)$/;

/** Nearly every name needs nothing: one cheap look. */
const MAY_NEED_ESCAPE = /[/\0%\ud800-\udfff]/;

/** The name a remote one is shown under, before any shortening. Its inverse is {@link unescapeName}. */
export function escapeName(remote: string): string {
  if (remote === '') return '%-';
  if (remote === '.') return '%2E';
  if (remote === '..') return '%2E%2E';
  if (!MAY_NEED_ESCAPE.test(remote)) return remote;
  if (WHOLE_NAME.test(remote)) return `%25${remote.slice(1)}`;
  return remote.replace(NEEDS_ESCAPE, (found) => {
    if (found === '/') return '%2F';
    if (found === '\0') return '%00';
    if (found === '%') return '%25';
    return `%u${found.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}

/** The remote name of an escaped one. */
export function unescapeName(local: string): string {
  if (local === '%-') return '';
  if (local === '%2E') return '.';
  if (local === '%2E%2E') return '..';
  if (WHOLE_NAME.test(local)) return `%${local.slice(3)}`;
  return local.replace(ESCAPED, (_found, byte: string | undefined, surrogate: string | undefined) => {
    if (byte !== undefined) return String.fromCharCode(parseInt(byte, 16));
    if (surrogate !== undefined) return String.fromCharCode(parseInt(`D${surrogate}`, 16));
    return '%';
  });
}

/** What the tree gives its entries: escaped, at most 255 bytes, told apart by id where that must be. */
export const naming: Naming = {
  fit(remoteName, id) {
    const escaped = escapeName(remoteName);
    // A UTF-16 unit is at most three bytes.
    const fits = escaped.length <= NAME_BYTES_MAX / 3 || Buffer.byteLength(escaped) <= NAME_BYTES_MAX;
    return fits ? escaped : mark(escaped, `~${id}`);
  },
  distinct(name, id) {
    return mark(name, ` #${id}`);
  },
  conflicting(name, at) {
    const date = at.toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '-');
    return mark(name, ` (${hostname()}'s conflicting version ${date})`);
  },
};

/** Puts a mark before the extension, shortening the stem until all of it fits. */
function mark(name: string, suffix: string): string {
  // A longer one, or one with other characters, is a name with a dot in it; what begins with its only dot is a hidden file.
  const extension = /(?<=.)\.[\p{L}\p{N}_-]{1,15}$/u.exec(name)?.[0] ?? '';
  const room = NAME_BYTES_MAX - Buffer.byteLength(suffix) - Buffer.byteLength(extension);
  return cutToBytes(name.slice(0, name.length - extension.length), room) + suffix + extension;
}

/** The longest start of `text` of at most `bytes` UTF-8 bytes that splits no character. */
function cutToBytes(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  let length = 0;
  let used = 0;
  for (const character of text) {
    used += Buffer.byteLength(character);
    if (used > bytes) break;
    length += character.length;
  }
  return text.slice(0, length);
}
