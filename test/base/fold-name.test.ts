// Which names a service blind to case takes for one.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { foldName } from '../../src/base/fold-name.ts';

it('the folded form is the same for what differs by case or composition, however it is written', () => {
  for (const [a, b] of [
    ['README', 'readme'],
    ['Ä', 'a\u0308'],
    ['STRASSE', 'straße'],
    ['STRAẞE', 'straße'],
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

it('no character has another folded form than its other cases', () => {
  for (let code = 0x80; code <= 0x10_ffff; code += 1) {
    const character = String.fromCodePoint(code);
    const folded = foldName(character);
    const others = [folded, character.toLowerCase(), character.toUpperCase(), character.normalize('NFD')];
    if (others.some((other) => foldName(other) !== folded)) expect.fail(`U+${code.toString(16)}`);
  }
});
