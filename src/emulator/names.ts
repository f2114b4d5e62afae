// Names and paths as the service takes them. Source: section 8 of the API reference. Must not know: what lies under a name.
import type { Dialect } from './dialect.ts';

/** What a new name becomes; undefined when it is refused. */
export function acceptedName(text: string, dialect: Pick<Dialect, 'trailingSpaces'>): string | undefined {
  const name = dialect.trailingSpaces === 'truncated' ? text.replace(/ +$/, '') : text;
  if (name === '' || name === '.' || name === '..') return undefined;
  return /[\\/<>\0]/.test(name) ? undefined : name;
}

/** The names of a virtual path, separated by `\` or `/`, with or without one before and after. */
export function namesOf(virtualPath: string): readonly string[] {
  const trimmed = virtualPath.replace(/^[\\/]/, '').replace(/[\\/]$/, '');
  return trimmed === '' ? [] : trimmed.split(/[\\/]/);
}
