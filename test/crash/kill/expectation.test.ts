// The judge of the kills: what it lets pass and what it finds.
import { describe, expect, it } from 'vitest';
import type { StoreSnapshot } from '../../../src/emulator/store-snapshot.ts';
import { Expectation, heldByWorker, type LogLine } from './expectation.ts';

const made: readonly LogLine[] = [
  { start: 1, kind: 'mkdir', path: 'Work/w0-d' },
  { done: 1 },
  { start: 2, kind: 'store', path: 'Work/w0-d/w0-a', bytes: 3, sha256: 'aaa' },
  { mtime: '1700000000000000150' },
  { done: 2 },
];

interface Held {
  readonly path: string;
  readonly sha256?: string;
  readonly modified?: string;
}

function snapshot(entries: readonly Held[]): StoreSnapshot {
  return {
    syncpoints: [
      {
        id: 1,
        name: 'Work',
        rootFolderId: 2,
        entries: entries.map(({ path, sha256, modified = '2023-11-14T22:13:20.0000001Z' }, index) =>
          sha256 === undefined
            ? { kind: 'folder', path, id: index }
            : { kind: 'file', path, id: index, versionId: index, lengthBytes: 3, sha256, created: modified, modified },
        ),
      },
    ],
  };
}

const whole = [{ path: 'w0-d' }, { path: 'w0-d/w0-a', sha256: 'aaa' }];

function judge(lines: readonly LogLine[], entries: readonly Held[]): ReturnType<Expectation['differences']> {
  const expectation = new Expectation();
  expectation.add(lines);
  return expectation.differences(heldByWorker(snapshot(entries), []).byWorker.get('0') ?? new Map());
}

describe('the judge of the kills', () => {
  it.each<[string, readonly Held[], string | undefined]>([
    ['all of it', whole, undefined],
    ['a file lost', [{ path: 'w0-d' }], 'not at the service'],
    ['other bytes', [{ path: 'w0-d' }, { path: 'w0-d/w0-a', sha256: 'bbb' }], 'other bytes'],
    [
      'a time 100 ns off',
      [{ path: 'w0-d' }, { path: 'w0-d/w0-a', sha256: 'aaa', modified: '2023-11-14T22:13:20.0000002Z' }],
      'modified',
    ],
    ['a file more', [...whole, { path: 'w0-b', sha256: 'bbb' }], 'was not made or was removed'],
    ['a folder for a file', [{ path: 'w0-d' }, { path: 'w0-d/w0-a' }], 'a folder'],
  ])('%s', (_name, entries, found) => {
    const { undone } = judge(made, entries);
    if (found === undefined) expect(undone).toEqual([]);
    else expect(undone.join('\n')).toContain(found);
  });

  it('bytes written anew that were there before keep the time they were sent with, or get the new one', () => {
    const again: LogLine[] = [
      ...made,
      { start: 3, kind: 'store', path: 'Work/w0-d/w0-a', bytes: 3, sha256: 'aaa' },
      { mtime: '1700000001000000000' },
      { done: 3 },
    ];
    const held = (modified: string): readonly Held[] => [
      { path: 'w0-d' },
      { path: 'w0-d/w0-a', sha256: 'aaa', modified },
    ];
    expect(judge(again, whole).undone).toEqual([]);
    expect(judge(again, held('2023-11-14T22:13:21.0000000Z')).undone).toEqual([]);
    expect(judge(again, held('2023-11-14T22:13:22.0000000Z')).undone).not.toEqual([]);
    const learned: LogLine[] = [
      ...made,
      { start: 3, kind: 'store', path: 'Work/w0-d/w0-a', bytes: 3, sha256: 'aaa' },
      { done: 3 },
      { learned: 'Work/w0-d/w0-a', mtime: '1700000001000000000' },
    ];
    expect(judge(learned, whole).undone).toEqual([]);
    expect(judge(learned, held('2023-11-14T22:13:21.0000000Z')).undone).toEqual([]);
    expect(judge(learned, held('2023-11-14T22:13:22.0000000Z')).undone).not.toEqual([]);
  });

  it('a rename under way may have happened or not, and only as a whole', () => {
    const lines: LogLine[] = [...made, { start: 3, kind: 'rename', path: 'Work/w0-d', to: 'Work/w0-e' }];
    const moved = [{ path: 'w0-e' }, { path: 'w0-e/w0-a', sha256: 'aaa' }];
    expect(judge(lines, whole).undone).toEqual([]);
    expect(judge(lines, moved).done).toEqual([]);
    const half = judge(lines, [{ path: 'w0-d' }, ...moved]);
    expect(half.undone).not.toEqual([]);
    expect(half.done).not.toEqual([]);
  });

  it('a name that stands twice, and what nobody made, are found whoever they belong to', () => {
    const { wrong } = heldByWorker(snapshot([...whole, { path: 'W0-D' }, { path: 'conflict' }]), []);
    expect(wrong.join('\n')).toContain('W0-D: twice');
    expect(wrong.join('\n')).toContain('conflict: at the service, though nobody made it');
  });
});
