// What versions and removed entries are called: whatever the service tells, names are safe, unique and sort by time.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { namedRemovals, namedVersions } from '../../../src/fs-ops/beside/history-names.ts';
import type { RemoteEntry, RemoteVersion, VersionId } from '../../../src/remote-drive.ts';

const time = Date.UTC(2026, 10, 22, 14, 3, 11) / 1000;

function version(id: number, facts: Partial<RemoteVersion> = {}): RemoteVersion {
  return {
    id: String(id) as VersionId,
    action: 'edited',
    lengthBytes: 1,
    added: { seconds: time, nanoseconds: 0 },
    userName: 'Jane Doe',
    userEmail: 'jane@example.com',
    source: undefined,
    ...facts,
  };
}

const names = (file: string, ...versions: RemoteVersion[]): string[] => [...namedVersions(file, versions).keys()];

it('names versions by time, number and user, and keeps the extension', () => {
  expect(names('report.docx', version(3))).toEqual(['2026-11-22T14.03.11Z v1 Jane Doe.docx']);
  expect(names('report', version(3, { userName: undefined }))).toEqual(['2026-11-22T14.03.11Z v1 jane@example.com']);
  expect(names('.hidden', version(3, { added: undefined, userName: undefined, userEmail: undefined }))).toEqual(['v1']);
});

it('makes what is no part of a name safe', () => {
  const [name] = names('a.txt', version(3, { userName: 'J/D\n\0' }));
  expect(name).toBe('2026-11-22T14.03.11Z v1 J%2FD??.txt');
  const [long = ''] = names('a.txt', version(3, { userName: 'ä'.repeat(500) }));
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
  expect(long).toMatch(/~3\.txt$/);
});

it('counts from the oldest on, whatever the order, and leaves out removals, which have no content', () => {
  const later = { seconds: time + 1, nanoseconds: 0 };
  const named = namedVersions('a', [
    version(12, { added: later }),
    version(9),
    version(20, { action: 'deleted', added: later }),
    version(10),
  ]);
  expect([...named.values()].map(({ id }) => id)).toEqual(['9', '10', '12']);
  expect([...named.keys()].map((name) => name.slice(19, 23))).toEqual(['Z v1', 'Z v2', 'Z v3']);
});

it('gives every version a name of its own that sorts by time', () => {
  const facts = fc.record({
    id: fc.bigInt({ min: 1n, max: 2n ** 63n }),
    seconds: fc.integer({ min: 0, max: 4e9 }),
    userName: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(facts, { selector: ({ id }) => id }), fc.string({ minLength: 1 }), (all, file) => {
      const versions = all.map(({ id, seconds, userName }) =>
        version(0, { id: String(id) as VersionId, userName, added: { seconds, nanoseconds: 0 } }),
      );
      const named = [...namedVersions(file, versions)];
      expect(named).toHaveLength(versions.length);
      for (const [name] of named) {
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        expect(name).not.toMatch(/[/\0]/);
      }
      const times = [...named].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { added }]) => added?.seconds ?? 0);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }),
  );
});

it('tells removed things of one name apart; the last one has it', () => {
  const entries = [2, 30, 4].map((id) => ({ kind: 'folder', id: String(id), name: 'a/b' }) as RemoteEntry);
  const named = namedRemovals(entries);
  expect([...named].map(([name, { id }]) => [name, id])).toEqual([
    ['a%2Fb', '30'],
    ['a%2Fb #4', '4'],
    ['a%2Fb #2', '2'],
  ]);
});
