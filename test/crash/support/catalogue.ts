// What programs do to files that makes trouble for whoever carries it over: the catalogue that is cut at every point.
import { O_RDWR, O_TRUNC, O_WRONLY, type Program } from '../../fs-ops/support/program.ts';
import { hashOf, type Holdings } from './cut-drive.ts';
import type { Scenario } from './scenario.ts';

const long = 'a content of several chunks: '.repeat(12);

export const catalogue: readonly Scenario[] = [
  {
    name: 'a new file, then another content',
    stored: {},
    steps: [(program) => program.writeFile('P/new', 'one'), (program) => program.writeFile('P/new', 'two')],
  },
  {
    name: 'a file of several chunks',
    stored: {},
    steps: [(program) => program.writeFile('P/new', long)],
  },
  {
    name: 'an empty file',
    stored: {},
    steps: [(program) => program.mknod('P/new')],
  },
  {
    name: 'new folders in each other with a file in the innermost',
    stored: {},
    steps: [
      (program) => program.mkdir('P/a'),
      (program) => program.mkdir('P/b'),
      (program) => program.mkdir('P/a/c'),
      (program) => program.writeFile('P/a/c/new', 'new'),
    ],
  },
  {
    name: 'a file is written over',
    stored: { 'P/a': 'old' },
    steps: [(program) => program.writeFile('P/a', 'new and longer')],
  },
  {
    name: 'a file is written over in its middle',
    stored: { 'P/a': 'the old content' },
    steps: [
      async (program) => {
        const file = await program.open('P/a', O_RDWR);
        await program.pwrite(file, 4, 'new');
        await program.close(file);
      },
    ],
  },
  {
    name: 'a file is renamed',
    stored: { 'P/a': 'stays' },
    steps: [(program) => program.rename('P/a', 'P/b')],
  },
  {
    name: 'a file is renamed and written over',
    stored: { 'P/a': 'old' },
    steps: [(program) => program.rename('P/a', 'P/b'), (program) => program.writeFile('P/b', 'new')],
  },
  {
    name: 'a file is written over and renamed',
    stored: { 'P/a': 'old' },
    steps: [(program) => program.writeFile('P/a', 'new'), (program) => program.rename('P/a', 'P/b')],
  },
  {
    name: 'a file is moved to another folder',
    stored: { 'P/a': 'stays', 'P/d/other': 'other' },
    steps: [(program) => program.rename('P/a', 'P/d/b')],
  },
  {
    name: 'a file is moved to a new folder',
    stored: { 'P/a': 'stays' },
    steps: [(program) => program.mkdir('P/d'), (program) => program.rename('P/a', 'P/d/a')],
  },
  {
    name: 'a file is moved to another syncpoint',
    stored: { 'P/a': 'stays' },
    steps: [(program) => program.rename('P/a', 'Q/a')],
  },
  {
    name: 'a file is renamed over another one',
    stored: { 'P/a': 'stays', 'P/b': 'goes' },
    steps: [(program) => program.rename('P/a', 'P/b')],
  },
  {
    name: 'a file takes another case',
    stored: { 'P/name': 'stays' },
    steps: [(program) => program.rename('P/name', 'P/Name')],
  },
  {
    name: 'a folder takes another case',
    stored: { 'P/name/a': 'stays' },
    steps: [(program) => program.rename('P/name', 'P/Name')],
  },
  {
    name: 'a folder is renamed with all in it',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/d/f/': '' },
    steps: [(program) => program.rename('P/d', 'P/g')],
  },
  {
    name: 'a folder is moved into another one',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/g/c': 'three' },
    steps: [(program) => program.rename('P/d', 'P/g/d')],
  },
  {
    name: 'a folder is renamed and changed in',
    stored: { 'P/d/a': 'one', 'P/d/b': 'two' },
    steps: [
      (program) => program.writeFile('P/d/a', 'changed'),
      (program) => program.rename('P/d', 'P/g'),
      (program) => program.writeFile('P/g/c', 'three'),
      (program) => program.unlink('P/g/b'),
    ],
  },
  {
    name: "two files take each other's name",
    stored: { 'P/a': 'one', 'P/b': 'two' },
    steps: [(program) => program.rename('P/a', 'P/b', { exchange: true })],
  },
  {
    name: "two folders take each other's name",
    stored: { 'P/a/x': 'one', 'P/b/y': 'two' },
    steps: [(program) => program.rename('P/a', 'P/b', { exchange: true })],
  },
  {
    name: 'logs are rotated',
    stored: { 'P/log': 'now', 'P/log.1': 'before', 'P/log.2': 'long ago' },
    steps: [
      (program) => program.rename('P/log.1', 'P/log.2'),
      (program) => program.rename('P/log', 'P/log.1'),
      (program) => program.writeFile('P/log', 'new'),
    ],
  },
  {
    name: 'an editor saves: temporary file renamed over the old one',
    stored: { 'P/text': 'old' },
    steps: [(program) => program.writeFile('P/text.tmp', 'new'), (program) => program.rename('P/text.tmp', 'P/text')],
  },
  {
    name: 'an editor saves with a backup',
    stored: { 'P/text': 'old', 'P/text~': 'older' },
    steps: [(program) => program.rename('P/text', 'P/text~'), (program) => program.writeFile('P/text', 'new')],
  },
  {
    name: 'an editor saves with a backup that it removes',
    stored: { 'P/text': 'old' },
    steps: [
      (program) => program.rename('P/text', 'P/text~'),
      (program) => program.writeFile('P/text', 'new'),
      (program) => program.unlink('P/text~'),
    ],
  },
  {
    name: 'a file is removed and made anew',
    stored: { 'P/a': 'old' },
    steps: [(program) => program.unlink('P/a'), (program) => program.writeFile('P/a', 'new')],
  },
  {
    name: 'a file is removed, and a folder takes its name',
    stored: { 'P/a': 'old' },
    steps: [
      (program) => program.unlink('P/a'),
      (program) => program.mkdir('P/a'),
      (program) => program.writeFile('P/a/b', 'new'),
    ],
  },
  {
    name: 'a folder is removed, and a file takes its name',
    stored: { 'P/a/b': 'old' },
    steps: [
      (program) => program.unlink('P/a/b'),
      (program) => program.rmdir('P/a'),
      (program) => program.writeFile('P/a', 'new'),
    ],
  },
  {
    name: 'a tree is removed',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/d/e/f/c': 'three', 'P/stays': 'stays' },
    steps: [
      (program) => program.unlink('P/d/e/f/c'),
      (program) => program.rmdir('P/d/e/f'),
      (program) => program.unlink('P/d/e/b'),
      (program) => program.rmdir('P/d/e'),
      (program) => program.unlink('P/d/a'),
      (program) => program.rmdir('P/d'),
    ],
  },
  {
    name: 'a tree is removed and made anew',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two' },
    steps: [
      (program) => program.unlink('P/d/e/b'),
      (program) => program.rmdir('P/d/e'),
      (program) => program.unlink('P/d/a'),
      (program) => program.rmdir('P/d'),
      (program) => program.mkdir('P/d'),
      (program) => program.writeFile('P/d/a', 'new'),
    ],
  },
  {
    name: 'what is in a folder is moved out, and the folder removed',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two' },
    steps: [
      (program) => program.rename('P/d/a', 'P/a'),
      (program) => program.rename('P/d/e', 'P/e'),
      (program) => program.rmdir('P/d'),
    ],
  },
  {
    name: 'a folder is replaced by a new one of its name, the old one below it',
    stored: { 'P/d/a': 'one' },
    steps: [
      (program) => program.rename('P/d', 'P/tmp'),
      (program) => program.mkdir('P/d'),
      (program) => program.rename('P/tmp', 'P/d/old'),
    ],
  },
  {
    name: 'a folder is replaced by the file that was in it',
    stored: { 'P/d/a': 'one' },
    steps: [
      (program) => program.rename('P/d/a', 'P/tmp'),
      (program) => program.rmdir('P/d'),
      (program) => program.rename('P/tmp', 'P/d'),
    ],
  },
  {
    name: 'a folder is made anew, and what was in it put back',
    stored: { 'P/d/a': 'one', 'P/d/e/b': 'two', 'P/d/c': 'three' },
    steps: [
      (program) => program.rename('P/d/a', 'P/tmp'),
      (program) => program.rename('P/d/e', 'P/tmp2'),
      (program) => program.unlink('P/d/c'),
      (program) => program.rmdir('P/d'),
      (program) => program.mkdir('P/d'),
      (program) => program.rename('P/tmp', 'P/d/a'),
      (program) => program.rename('P/tmp2', 'P/d/e'),
    ],
  },
  {
    name: 'a file gives its name to a folder that it goes into',
    stored: { 'P/a': 'one' },
    steps: [
      (program) => program.rename('P/a', 'P/tmp'),
      (program) => program.mkdir('P/a'),
      (program) => program.rename('P/tmp', 'P/a/a'),
    ],
  },
  {
    name: 'a folder and the one of its name in it change places',
    stored: { 'P/a/a/inner': 'one', 'P/a/outer': 'two' },
    steps: [
      (program) => program.rename('P/a/a', 'P/tmp'),
      (program) => program.rename('P/a', 'P/tmp/a'),
      (program) => program.rename('P/tmp', 'P/a'),
    ],
  },
  {
    name: 'a file is cut to nothing and appended to',
    stored: { 'P/a': 'old' },
    steps: [
      async (program) => program.close(await program.open('P/a', O_WRONLY | O_TRUNC)),
      async (program) => {
        const file = await program.open('P/a', O_RDWR);
        await program.pwrite(file, 0, 'appended');
        await program.close(file);
      },
    ],
  },
  {
    name: 'a time is set on what is not stored yet',
    stored: {},
    steps: [
      async (program) => {
        await program.writeFile('P/a', 'one');
        await program.setattr('P/a', { modified: { seconds: 1_234_567_890, nanoseconds: 123_456_700 } });
      },
    ],
  },
  {
    name: 'somebody else renames the folder that a file was made in',
    stored: { 'P/d/a': 'one' },
    steps: [
      async (program, { memory }) => {
        await program.writeFile('P/d/b', 'two');
        const root = memory.syncpointList[0]?.rootFolderId;
        if (root !== undefined) memory.rename(root, 'd', 'theirs');
      },
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
      async (program, { memory }) => {
        await program.rename('P/a', 'P/b');
        const root = memory.syncpointList[0]?.rootFolderId;
        if (root !== undefined) memory.write(root, 'a', 'theirs');
      },
    ],
    mayGo: ['old'],
    ends: (holdings) => present(holdings, ['theirs']),
  },
  {
    name: 'somebody else changes what is written over here',
    restMs: 61_000,
    stored: { 'P/a': 'old' },
    steps: [
      async (program, { memory }) => {
        await program.writeFile('P/a', 'ours');
        const root = memory.syncpointList[0]?.rootFolderId;
        if (root !== undefined) memory.write(root, 'a', 'theirs');
      },
    ],
    ends: (holdings) => present(holdings, ['ours', 'theirs']),
  },
  {
    name: 'somebody else removes what is written over here',
    restMs: 61_000,
    stored: { 'P/a': 'old' },
    steps: [
      async (program, { memory }) => {
        await program.writeFile('P/a', 'ours');
        const root = memory.syncpointList[0]?.rootFolderId;
        if (root !== undefined) memory.remove(root, 'a');
      },
    ],
    ends: (holdings) => present(holdings, ['ours']),
  },
  {
    name: 'somebody else changes what is removed here',
    restMs: 61_000,
    stored: { 'P/a': 'old' },
    steps: [
      async (program, { memory }) => {
        await program.unlink('P/a');
        const root = memory.syncpointList[0]?.rootFolderId;
        if (root !== undefined) memory.write(root, 'a', 'theirs');
      },
    ],
    ends: (holdings) => present(holdings, ['theirs']),
  },
  {
    name: 'somebody else makes a file of the name that is made here',
    restMs: 61_000,
    stored: { 'P/d/': '' },
    steps: [
      async (program, { memory }) => {
        await program.writeFile('P/a', 'ours');
        const root = memory.syncpointList[0]?.rootFolderId;
        if (root !== undefined) memory.addFile(root, 'a', 'theirs');
      },
    ],
    ends: (holdings) => present(holdings, ['ours', 'theirs']),
  },
  {
    name: 'somebody else adds a file to the tree that is removed here',
    stored: { 'P/d/a': 'one' },
    steps: [
      async (program, { memory }) => {
        await program.unlink('P/d/a');
        await program.rmdir('P/d');
        const [{ id } = { id: undefined }] = memory
          .entries(memory.syncpointList[0]?.rootFolderId ?? memory.addSyncpoint('none').rootFolderId)
          .filter((entry) => entry.kind === 'folder');
        if (id !== undefined) memory.addFile(id, 'theirs', 'theirs');
      },
    ],
    ends: (holdings) => present(holdings, ['theirs']),
  },
];

/** Beginnings that leave `P/x`, and what may become of it while the service's answer is still awaited. */
const beginnings: Readonly<Record<string, Pick<Scenario, 'stored' | 'steps'>>> = {
  'a new file': { stored: {}, steps: [(program) => program.writeFile('P/x', 'new')] },
  'a new folder': { stored: {}, steps: [(program) => program.mkdir('P/x')] },
  'a new folder with a file': {
    stored: {},
    steps: [(program) => program.mkdir('P/x'), (program) => program.writeFile('P/x/in', 'inside')],
  },
  'a file written over': { stored: { 'P/x': 'old' }, steps: [(program) => program.writeFile('P/x', 'new content')] },
  'a renamed file': { stored: { 'P/a': 'stays' }, steps: [(program) => program.rename('P/a', 'P/x')] },
  'a renamed folder': { stored: { 'P/a/in': 'stays' }, steps: [(program) => program.rename('P/a', 'P/x')] },
  'a file renamed and written over': {
    stored: { 'P/a': 'old' },
    steps: [(program) => program.rename('P/a', 'P/x'), (program) => program.writeFile('P/x', 'new content')],
  },
  'a file moved to another folder': {
    stored: { 'P/d/a': 'stays', 'P/d/b': 'other' },
    steps: [(program) => program.rename('P/d/a', 'P/x')],
  },
  'a file made anew': {
    stored: { 'P/x': 'old' },
    steps: [(program) => program.unlink('P/x'), (program) => program.writeFile('P/x', 'new')],
  },
};
const endings: Readonly<Record<string, Scenario['steps']>> = {
  renamed: [(program) => program.rename('P/x', 'P/y')],
  'renamed, and its name given to another file': [
    (program) => program.rename('P/x', 'P/y'),
    (program) => program.writeFile('P/x', 'another'),
  ],
  'renamed, and its name given to a folder': [
    (program) => program.rename('P/x', 'P/y'),
    (program) => program.mkdir('P/x'),
    (program) => program.writeFile('P/x/other', 'another'),
  ],
  'renamed and removed, and its name given to another file': [
    (program) => program.rename('P/x', 'P/y'),
    (program) => removeAll(program, 'P/y'),
    (program) => program.writeFile('P/x', 'another'),
  ],
  removed: [(program) => removeAll(program, 'P/x')],
  'moved into a new folder': [(program) => program.mkdir('P/new'), (program) => program.rename('P/x', 'P/new/x')],
  'replaced by another file': [
    (program) => program.writeFile('P/tmp', 'another'),
    (program) => removeAll(program, 'P/x'),
    (program) => program.rename('P/tmp', 'P/x'),
  ],
  'moved to another syncpoint': [(program) => program.rename('P/x', 'Q/x')],
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

async function removeAll(program: Program, path: string): Promise<void> {
  const { type } = await program.stat(path);
  if (type !== 'directory') return program.unlink(path);
  for (const name of await program.readdir(path)) await removeAll(program, `${path}/${name}`);
  return program.rmdir(path);
}

/** What of these contents the service has not. */
function present(holdings: Holdings, contents: readonly string[]): string[] {
  const hashes = new Set([...holdings.values()].map(({ sha256 }) => sha256));
  return contents.filter((content) => !hashes.has(hashOf(content))).map((content) => `"${content}" is nowhere`);
}
