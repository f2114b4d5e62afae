// What programs do to files that makes trouble for whoever carries it over: the catalogue that is cut at every point.
import { hashOf, type Holdings } from './cut-drive.ts';
import type { Scenario } from './scenario.ts';
import {
  cutToNothing,
  elsewhere,
  exchange,
  make,
  makeFolder,
  removeAll,
  removeFile,
  removeFolder,
  rename,
  setModified,
  together,
  write,
  writeAt,
} from './steps.ts';

const long = 'a content of several chunks: '.repeat(12);

export const catalogue: readonly Scenario[] = [
  {
    name: 'a new file, then another content',
    stored: {},
    steps: [write('P/new', 'one'), write('P/new', 'two')],
  },
  {
    name: 'a file of several chunks',
    stored: {},
    steps: [write('P/new', long)],
  },
  {
    name: 'an empty file',
    stored: {},
    steps: [make('P/new')],
  },
  {
    name: 'new folders in each other with a file in the innermost',
    stored: {},
    steps: [makeFolder('P/a'), makeFolder('P/b'), makeFolder('P/a/c'), write('P/a/c/new', 'new')],
  },
  {
    name: 'a file is written over',
    stored: { 'P/a': 'old' },
    steps: [write('P/a', 'new and longer')],
  },
  {
    name: 'a file is written over in its middle',
    stored: { 'P/a': 'the old content' },
    steps: [writeAt('P/a', 4, 'new')],
  },
  {
    name: 'a file is renamed',
    stored: { 'P/a': 'stays' },
    steps: [rename('P/a', 'P/b')],
  },
  {
    name: 'a file is renamed and written over',
    stored: { 'P/a': 'old' },
    steps: [rename('P/a', 'P/b'), write('P/b', 'new')],
  },
  {
    name: 'a file is written over and renamed',
    stored: { 'P/a': 'old' },
    steps: [write('P/a', 'new'), rename('P/a', 'P/b')],
  },
  {
    name: 'a file is moved to another folder',
    stored: { 'P/a': 'stays', 'P/d/other': 'other' },
    steps: [rename('P/a', 'P/d/b')],
  },
  {
    name: 'a file is moved to a new folder',
    stored: { 'P/a': 'stays' },
    steps: [makeFolder('P/d'), rename('P/a', 'P/d/a')],
  },
  {
    name: 'a file is moved to another syncpoint',
    stored: { 'P/a': 'stays' },
    steps: [rename('P/a', 'Q/a')],
  },
  {
    name: 'a file is renamed over another one',
    stored: { 'P/a': 'stays', 'P/b': 'goes' },
    steps: [rename('P/a', 'P/b')],
  },
  {
    name: 'a file takes another case',
    stored: { 'P/name': 'stays' },
    steps: [rename('P/name', 'P/Name')],
  },
  {
    name: 'a folder takes another case',
    stored: { 'P/name/a': 'stays' },
    steps: [rename('P/name', 'P/Name')],
  },
  {
    name: 'a folder is renamed with all in it',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/d/f/': '' },
    steps: [rename('P/d', 'P/g')],
  },
  {
    name: 'a folder is moved into another one',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/g/c': 'three' },
    steps: [rename('P/d', 'P/g/d')],
  },
  {
    name: 'a folder is renamed and changed in',
    stored: { 'P/d/a': 'one', 'P/d/b': 'two' },
    steps: [write('P/d/a', 'changed'), rename('P/d', 'P/g'), write('P/g/c', 'three'), removeFile('P/g/b')],
  },
  {
    name: "two files take each other's name",
    stored: { 'P/a': 'one', 'P/b': 'two' },
    steps: [exchange('P/a', 'P/b')],
  },
  {
    name: "two folders take each other's name",
    stored: { 'P/a/x': 'one', 'P/b/y': 'two' },
    steps: [exchange('P/a', 'P/b')],
  },
  {
    name: 'logs are rotated',
    stored: { 'P/log': 'now', 'P/log.1': 'before', 'P/log.2': 'long ago' },
    steps: [rename('P/log.1', 'P/log.2'), rename('P/log', 'P/log.1'), write('P/log', 'new')],
  },
  {
    name: 'an editor saves: temporary file renamed over the old one',
    stored: { 'P/text': 'old' },
    steps: [write('P/text.tmp', 'new'), rename('P/text.tmp', 'P/text')],
  },
  {
    name: 'an editor saves with a backup',
    stored: { 'P/text': 'old', 'P/text~': 'older' },
    steps: [rename('P/text', 'P/text~'), write('P/text', 'new')],
  },
  {
    name: 'an editor saves with a backup that it removes',
    stored: { 'P/text': 'old' },
    steps: [rename('P/text', 'P/text~'), write('P/text', 'new'), removeFile('P/text~')],
  },
  {
    name: 'a file is removed and made anew',
    stored: { 'P/a': 'old' },
    steps: [removeFile('P/a'), write('P/a', 'new')],
  },
  {
    name: 'a file is removed, and a folder takes its name',
    stored: { 'P/a': 'old' },
    steps: [removeFile('P/a'), makeFolder('P/a'), write('P/a/b', 'new')],
  },
  {
    name: 'a folder is removed, and a file takes its name',
    stored: { 'P/a/b': 'old' },
    steps: [removeFile('P/a/b'), removeFolder('P/a'), write('P/a', 'new')],
  },
  {
    name: 'a tree is removed',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/d/e/f/c': 'three', 'P/stays': 'stays' },
    steps: [
      removeFile('P/d/e/f/c'),
      removeFolder('P/d/e/f'),
      removeFile('P/d/e/b'),
      removeFolder('P/d/e'),
      removeFile('P/d/a'),
      removeFolder('P/d'),
    ],
  },
  {
    name: 'a tree is removed and made anew',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two' },
    steps: [
      removeFile('P/d/e/b'),
      removeFolder('P/d/e'),
      removeFile('P/d/a'),
      removeFolder('P/d'),
      makeFolder('P/d'),
      write('P/d/a', 'new'),
    ],
  },
  {
    name: 'what is in a folder is moved out, and the folder removed',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two' },
    steps: [rename('P/d/a', 'P/a'), rename('P/d/e', 'P/e'), removeFolder('P/d')],
  },
  {
    name: 'a folder is replaced by a new one of its name, the old one below it',
    stored: { 'P/d/a': 'one' },
    steps: [rename('P/d', 'P/tmp'), makeFolder('P/d'), rename('P/tmp', 'P/d/old')],
  },
  {
    name: 'a folder is replaced by the file that was in it',
    stored: { 'P/d/a': 'one' },
    steps: [rename('P/d/a', 'P/tmp'), removeFolder('P/d'), rename('P/tmp', 'P/d')],
  },
  {
    name: 'a folder is made anew, and what was in it put back',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/d/c': 'three' },
    steps: [
      rename('P/d/a', 'P/tmp'),
      rename('P/d/e', 'P/tmp2'),
      removeFile('P/d/c'),
      removeFolder('P/d'),
      makeFolder('P/d'),
      rename('P/tmp', 'P/d/a'),
      rename('P/tmp2', 'P/d/e'),
    ],
  },
  {
    name: 'a file gives its name to a folder that it goes into',
    stored: { 'P/a': 'one' },
    steps: [rename('P/a', 'P/tmp'), makeFolder('P/a'), rename('P/tmp', 'P/a/a')],
  },
  {
    name: 'a folder and the one of its name in it change places',
    stored: { 'P/a/a/inner': 'one', 'P/a/outer': 'two' },
    steps: [rename('P/a/a', 'P/tmp'), rename('P/a', 'P/tmp/a'), rename('P/tmp', 'P/a')],
  },
  {
    name: 'a file is cut to nothing and appended to',
    stored: { 'P/a': 'old' },
    steps: [cutToNothing('P/a'), writeAt('P/a', 0, 'appended')],
  },
  {
    name: 'a time is set on what is not stored yet',
    stored: {},
    steps: [together(write('P/a', 'one'), setModified('P/a', { seconds: 1_234_567_890, nanoseconds: 123_456_700 }))],
  },
  {
    name: 'somebody else renames the folder that a file was made in',
    stored: { 'P/d/a': 'one' },
    steps: [
      together(
        write('P/d/b', 'two'),
        elsewhere((memory, root) => memory.rename(root, 'd', 'theirs')),
      ),
    ],
    ends: (holdings) =>
      [...holdings.keys()].some((path) => path.endsWith('/b')) && holdings.has('P/theirs/a')
        ? []
        : [`it ended as ${[...holdings.keys()].join(' ')}`],
  },
  {
    name: 'somebody else changes what is renamed here',
    restMs: 61_000,
    stored: { 'P/a': 'old' },
    steps: [
      together(
        rename('P/a', 'P/b'),
        elsewhere((memory, root) => memory.write(root, 'a', 'theirs')),
      ),
    ],
    mayGo: ['old'],
    ends: (holdings) => present(holdings, ['theirs']),
  },
  {
    name: 'somebody else changes what is written over here',
    restMs: 61_000,
    stored: { 'P/a': 'old' },
    steps: [
      together(
        write('P/a', 'ours'),
        elsewhere((memory, root) => memory.write(root, 'a', 'theirs')),
      ),
    ],
    ends: (holdings) => present(holdings, ['ours', 'theirs']),
  },
  {
    name: 'somebody else removes what is written over here',
    restMs: 61_000,
    stored: { 'P/a': 'old' },
    steps: [
      together(
        write('P/a', 'ours'),
        elsewhere((memory, root) => memory.remove(root, 'a')),
      ),
    ],
    ends: (holdings) => present(holdings, ['ours']),
  },
  {
    name: 'a tree is removed, and a file written over beside it',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/x': 'old' },
    steps: [
      together(
        removeFile('P/d/a'),
        removeFile('P/d/e/b'),
        removeFolder('P/d/e'),
        removeFolder('P/d'),
        write('P/x', 'new'),
      ),
    ],
  },
  {
    name: 'somebody else changes what is removed here',
    restMs: 61_000,
    stored: { 'P/a': 'old' },
    steps: [
      together(
        removeFile('P/a'),
        elsewhere((memory, root) => memory.write(root, 'a', 'theirs')),
      ),
    ],
    ends: (holdings) => present(holdings, ['theirs']),
  },
  {
    name: 'somebody else makes a file of the name that is made here',
    restMs: 61_000,
    stored: { 'P/d/': '' },
    steps: [
      together(
        write('P/a', 'ours'),
        elsewhere((memory, root) => memory.addFile(root, 'a', 'theirs')),
      ),
    ],
    ends: (holdings) => present(holdings, ['ours', 'theirs']),
  },
  {
    name: 'somebody else adds a file to the tree that is removed here',
    stored: { 'P/d/a': 'one' },
    steps: [
      together(
        removeFile('P/d/a'),
        removeFolder('P/d'),
        elsewhere((memory, root) => {
          const folder = memory.entries(root).find((entry) => entry.kind === 'folder');
          if (folder !== undefined) memory.addFile(folder.id, 'theirs', 'theirs');
        }),
      ),
    ],
    ends: (holdings) => present(holdings, ['theirs']),
  },
];

/** Beginnings that leave `P/x`, and what may become of it while the service's answer is still awaited. */
const beginnings: Readonly<Record<string, Pick<Scenario, 'stored' | 'steps'>>> = {
  'a new file': { stored: {}, steps: [write('P/x', 'new')] },
  'a new folder': { stored: {}, steps: [makeFolder('P/x')] },
  'a new folder with a file': {
    stored: {},
    steps: [makeFolder('P/x'), write('P/x/in', 'inside')],
  },
  'a file written over': { stored: { 'P/x': 'old' }, steps: [write('P/x', 'new content')] },
  'a renamed file': { stored: { 'P/a': 'stays' }, steps: [rename('P/a', 'P/x')] },
  'a renamed folder': { stored: { 'P/a/in': 'stays' }, steps: [rename('P/a', 'P/x')] },
  'a file renamed and written over': {
    stored: { 'P/a': 'old' },
    steps: [rename('P/a', 'P/x'), write('P/x', 'new content')],
  },
  'a file moved to another folder': {
    stored: { 'P/d/a': 'stays', 'P/d/b': 'other' },
    steps: [rename('P/d/a', 'P/x')],
  },
  'a file made anew': {
    stored: { 'P/x': 'old' },
    steps: [removeFile('P/x'), write('P/x', 'new')],
  },
};
const endings: Readonly<Record<string, Scenario['steps']>> = {
  renamed: [rename('P/x', 'P/y')],
  'renamed to a name of before': [rename('P/x', 'P/a')],
  'renamed away and back': [rename('P/x', 'P/y'), rename('P/y', 'P/x')],
  'renamed, and its name given to another file': [rename('P/x', 'P/y'), write('P/x', 'another')],
  'renamed, and its name given to a folder': [rename('P/x', 'P/y'), makeFolder('P/x'), write('P/x/other', 'another')],
  'renamed and removed, and its name given to another file': [
    rename('P/x', 'P/y'),
    removeAll('P/y'),
    write('P/x', 'another'),
  ],
  removed: [removeAll('P/x')],
  'removed, and another file made under a name of before': [removeAll('P/x'), write('P/a', 'another')],
  'moved into a new folder': [makeFolder('P/new'), rename('P/x', 'P/new/x')],
  'replaced by another file': [write('P/tmp', 'another'), removeAll('P/x'), rename('P/tmp', 'P/x')],
  'moved to another syncpoint': [rename('P/x', 'Q/x')],
};

/** What is changed again before anybody knows what became of the first change. */
export const changedAgain: readonly Scenario[] = Object.entries(beginnings).flatMap(([beginning, { stored, steps }]) =>
  Object.entries(endings).map(([ending, afterwards]) => ({
    name: `${beginning} is ${ending}`,
    stored,
    steps,
    afterwards,
  })),
);

/** What of these contents the service has not. */
function present(holdings: Holdings, contents: readonly string[]): string[] {
  const hashes = new Set([...holdings.values()].map(({ sha256 }) => sha256));
  return contents.filter((content) => !hashes.has(hashOf(content))).map((content) => `"${content}" is nowhere`);
}
