// Sets of byte ranges against a set of bytes.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addRange, coversUpTo, cutRanges, eachPart, totalBytes } from '../../../src/cache/staging/extents.ts';

const size = 40;
const longest = 12;
const change = fc.oneof(
  fc.record({ start: fc.nat(size - 1), length: fc.integer({ min: 1, max: longest }) }),
  fc.record({ cut: fc.nat(size) }),
);

test('ranges equal a set of bytes', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 25 }), fc.nat(size), fc.nat(size), (changes, from, length) => {
      const extents: number[] = [];
      const bytes = new Set<number>();
      for (const step of changes) {
        if ('cut' in step) {
          cutRanges(extents, step.cut);
          for (const byte of bytes) if (byte >= step.cut) bytes.delete(byte);
        } else {
          addRange(extents, step.start, step.start + step.length);
          for (let byte = step.start; byte < step.start + step.length; byte++) bytes.add(byte);
        }
        // Ascending, none empty, none touching.
        for (let at = 1; at < extents.length; at++) expect(extents[at]).toBeGreaterThan(extents[at - 1] as number);
      }
      expect(totalBytes(extents)).toBe(bytes.size);
      const upTo = Array.from({ length: size + longest }, (_, byte) => bytes.has(byte)).indexOf(false);
      expect(coversUpTo(extents, upTo)).toBe(true);
      expect(coversUpTo(extents, upTo + 1)).toBe(false);
      let at = from;
      const whole = eachPart(extents, from, from + length, (start, end, inside) => {
        expect(start).toBe(at);
        expect(end).toBeGreaterThan(start);
        for (let byte = start; byte < end; byte++) expect(bytes.has(byte)).toBe(inside);
        at = end;
        return false;
      });
      expect(whole).toBe(false);
      expect(at).toBe(from + length);
      if (length > 0) expect(eachPart(extents, from, from + length, () => true)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
