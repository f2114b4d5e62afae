// Which names a service blind to case takes for one.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { foldName } from '../../src/base/fold-name.ts';

it('the folded form is the same for what differs by case or composition, however it is written', () => {
  for (const [a, b] of [
    ['README', 'readme'],
    ['Ä', 'a\u0308'],
    ['STRASSE', 'straße'],
    ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
    ['ﬁle', 'FILE'],
  ] as const) {
    expect(foldName(a)).toBe(foldName(b));
  }
  expect(foldName('a')).not.toBe(foldName('b'));
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      expect(foldName(foldName(name))).toBe(foldName(name));
      expect(foldName(name.normalize('NFD'))).toBe(foldName(name));
    }),
  );
});
