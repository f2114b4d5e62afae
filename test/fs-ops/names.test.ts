import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NAME_BYTES_MAX, escapeName, naming, unescapeName } from '../../src/fs-ops/names.ts';

const anyName = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('%', '2F', '25', '00', '-', '.', '/', '\0', 'uD800', '\ud800', '\udc00', 'a'), {
      maxLength: 8,
    })
    .map((parts) => parts.join('')),
);

describe('names', () => {
  it('gives back every remote name from its escaped form', () => {
    fc.assert(fc.property(anyName, (name) => unescapeName(escapeName(name)) === name));
  });

  it('escapes into names that POSIX holds: not empty, not "." or "..", no "/", no NUL, whole UTF-8', () => {
    fc.assert(
      fc.property(anyName, fc.nat(), (name, id) => {
        const local = naming.fit(name, String(id));
        expect(local).not.toMatch(/[/\0]/);
        expect(['', '.', '..']).not.toContain(local);
        expect(Buffer.from(local).toString()).toBe(local);
        expect(Buffer.byteLength(local)).toBeLessThanOrEqual(NAME_BYTES_MAX);
      }),
    );
  });

  it('shows ordinary names as they are', () => {
    for (const name of [
      'a.txt',
      '100%',
      'a%20b',
      '50%25 off',
      '%2Ehidden',
      'a%-b',
      '%',
      'ä ö.pdf',
      '日本語',
      '.hidden',
      '...',
      ' padded ',
      'a:b?*"<>|',
    ]) {
      expect(naming.fit(name, '1')).toBe(name);
    }
  });

  it('shortens a long name in front of its extension and keeps it apart by id', () => {
    const local = naming.fit(`${'ü'.repeat(200)}.docx`, '743320707');
    expect(local.endsWith('~743320707.docx')).toBe(true);
    expect(Buffer.byteLength(local)).toBeLessThanOrEqual(NAME_BYTES_MAX);
    expect(naming.distinct('report.final.docx', '12')).toBe('report.final #12.docx');
    expect(naming.distinct('.profile', '12')).toBe('.profile #12');
  });
});
