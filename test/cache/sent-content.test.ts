import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sentAs } from '../../src/cache/tree/sent-content.ts';
import type { SentContent } from '../../src/cache/journal.ts';
import type { FileId, RemoteFile, Timestamp, VersionId } from '../../src/remote-drive.ts';

const sent = (modified: Timestamp): SentContent => ({
  generation: 1,
  place: { parent: 16, name: 'a' },
  lengthBytes: 5,
  modified,
  sha256: undefined,
});
const listed = (modified: Timestamp): RemoteFile => ({
  kind: 'file',
  id: 'f' as FileId,
  name: 'a',
  versionId: 'v' as VersionId,
  lengthBytes: 5,
  modified,
  created: modified,
});
const matches = (ours: Timestamp, theirs: Timestamp): boolean => sentAs([sent(ours)], listed(theirs)) !== undefined;
const anyTime = fc.record({ seconds: fc.integer({ min: 1, max: 2e9 }), nanoseconds: fc.nat({ max: 999_999_999 }) });
const units = [1, 100, 1_000, 1_000_000, 1_000_000_000];

describe('a version made by our upload', () => {
  it.each([Math.floor, Math.round])(
    'is known by its time where a database counts in 300ths of a second: %o',
    (shorten) => {
      fc.assert(
        fc.property(anyTime, ({ seconds, nanoseconds }) => {
          const ticks = shorten((nanoseconds * 300) / 1e9);
          const ms = Math.round((ticks * 1_000) / 300);
          const told =
            ms === 1_000 ? { seconds: seconds + 1, nanoseconds: 0 } : { seconds, nanoseconds: ms * 1_000_000 };
          expect(matches({ seconds, nanoseconds }, told)).toBe(true);
        }),
      );
    },
  );

  it.each([Math.floor, Math.round, Math.ceil])(
    'is known by its time however the service shortens it: %o',
    (shorten) => {
      fc.assert(
        fc.property(anyTime, fc.constantFrom(...units), ({ seconds, nanoseconds }, unit) => {
          const kept = shorten(nanoseconds / unit) * unit;
          const shortened = kept === 1e9 ? { seconds: seconds + 1, nanoseconds: 0 } : { seconds, nanoseconds: kept };
          expect(matches({ seconds, nanoseconds }, shortened)).toBe(true);
        }),
      );
    },
  );

  it('is not one of another time, nor of another length', () => {
    const ours = { seconds: 100, nanoseconds: 123_456_789 };
    expect(matches(ours, { seconds: 100, nanoseconds: 223_456_700 })).toBe(false);
    expect(matches(ours, { seconds: 100, nanoseconds: 125_000_000 })).toBe(false);
    expect(matches(ours, { seconds: 102, nanoseconds: 0 })).toBe(false);
    expect(matches(ours, { seconds: 99, nanoseconds: 0 })).toBe(false);
    expect(sentAs([sent(ours)], { ...listed(ours), lengthBytes: 6 })).toBeUndefined();
  });
});
