// Names that one who is blind to case, or to the composition of an accent, takes for the same have one folded form.

const PLAIN = /^[\x20-\x7e]*$/;

/** The folded form of a name. Two names are taken for one exactly where theirs are equal. */
export function foldName(name: string): string {
  if (PLAIN.test(name)) return name.toLowerCase();
  // Upper case first: it unfolds what has several small letters. Before that, the one capital that has no such form, U+1E9E, is made small.
  return name.normalize('NFC').toLowerCase().toUpperCase().toLowerCase().normalize('NFC');
}
