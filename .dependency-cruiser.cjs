/** The layers of ARCHITECTURE.md, checked. Each rule carries the sentence a violator needs. */
const ROOMS = [
  'base',
  'cache',
  'cli',
  'connections',
  'control',
  'desktop',
  'dashboard',
  'emulator',
  'fs-ops',
  'fuse',
  'metrics',
  'sync',
  'syncplicity',
  'thumbnails',
];
const FILES = {
  config: 'config(\\.ts|/[^/]+\\.ts)',
  mount: 'mount(\\.ts|/[^/]+\\.ts)',
  'remote-drive': 'remote-drive\\.ts',
};
const inside = (name) => (FILES[name] ? `^src/${FILES[name]}$` : `^src/${name}/`);

/** Who may import whom, besides itself and base. */
const MAY_IMPORT = {
  base: [],
  'remote-drive': [],
  cache: ['remote-drive'],
  thumbnails: [],
  metrics: [],
  'fs-ops': ['cache', 'remote-drive', 'thumbnails'],
  fuse: ['fs-ops'],
  sync: ['cache', 'remote-drive'],
  syncplicity: ['remote-drive'],
  emulator: [],
  connections: ['remote-drive', 'syncplicity'],
  control: [],
  desktop: [],
  dashboard: ['control'],
  config: [],
  cli: [
    'config',
    'mount',
    'connections',
    'control',
    'dashboard',
    'remote-drive',
    'syncplicity',
    'emulator',
    'thumbnails',
  ],
};
const WHY = {
  base: 'base holds primitives that know nothing of this project: what needs another room belongs into that room.',
  'remote-drive': 'remote-drive.ts is the contract both sides agree on: it imports nothing but base.',
  cache: 'cache is the local truth on disk: it sees the service only as the types of remote-drive.ts.',
  thumbnails:
    'thumbnails turns pictures into what the thumbnail specification asks for: where they come from is not its business.',
  'fs-ops':
    'fs-ops is POSIX meaning over the cache: no URL, no HTTP, no kernel bytes. Let mount.ts inject what it lacks.',
  fuse: 'fuse decodes, calls fs-ops and replies: policy belongs into fs-ops.',
  sync: 'sync drains the journal to the drive through the types of remote-drive.ts.',
  syncplicity: 'syncplicity implements remote-drive.ts over REST and knows nothing of files on this machine.',
  emulator:
    'the emulator is the counterpart, not a part: sharing code with the client would let both misread the service alike.',
  connections: 'connections keeps profiles and verifies them with the service, nothing more.',
  metrics: 'metrics turns readings into what Prometheus reads: mount.ts injects them, so that no room counts for it.',
  control: 'control carries requests over a socket: its handlers are injected by mount.ts.',
  desktop: 'desktop shows texts to whoever sits before this machine: what they are about is not its business.',
  dashboard: 'dashboard shows what control tells and passes decisions on: it knows of no mount but over its socket.',
  config: 'config turns options into one frozen value: it imports nothing but base.',
  cli: 'cli turns argv into calls of the rooms below; it does not reach into the cache or the kernel.',
};

const layerRules = Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
  name: `layer-${room}`,
  comment: WHY[room],
  severity: 'error',
  from: { path: inside(room) },
  to: {
    path: '^(src|bin|test)/',
    pathNot: [inside(room), ...(room === 'base' ? [] : [inside('base')]), ...allowed.map(inside)],
  },
}));

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'base-node-only',
      comment:
        'base imports node: modules, the debug logger and koffi (system calls Node lacks) only, so that every room can stand on it.',
      severity: 'error',
      from: { path: '^src/base/' },
      to: { dependencyTypes: ['npm'], pathNot: ['node_modules/((@types/)?debug|koffi)/'] },
    },
    {
      name: 'page-in-a-browser',
      comment:
        'page/ runs in a browser: besides types it may import what dashboard/assets.ts serves there, and nothing else may import it.',
      severity: 'error',
      from: { path: '^src/dashboard/page/' },
      to: {
        dependencyTypesNot: ['type-only'],
        pathNot: ['^src/dashboard/page/', '^src/base/(quantities|usage-error)\\.ts$', 'node_modules/uplot/'],
      },
    },
    {
      name: 'page-for-nobody',
      comment: 'page/ has no place in a process of Node: what both need belongs into dashboard/view.ts or base.',
      severity: 'error',
      from: { path: '^(src|bin)/', pathNot: '^src/dashboard/page/' },
      to: { path: '^src/dashboard/page/' },
    },
    {
      name: 'bin-to-cli-only',
      comment: 'bin turns argv into a command and ends the process: code that needs more belongs behind cli.',
      severity: 'error',
      from: { path: '^bin/' },
      to: { path: '^src/', pathNot: ['^src/cli/'] },
    },
    {
      name: 'no-cycles',
      comment: 'a cycle joins two files into one room: move what both need below them.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment:
        'a file nobody imports is dead: remove it or use it. Types of what others wrote are found by the compiler.',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '[.]d[.]ts$' },
      to: {},
    },
    {
      name: 'no-dev-dependency',
      comment: 'a user does not install devDependencies.',
      severity: 'error',
      from: { path: '^(src|bin)/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: ['node_modules/@types/'] },
    },
    {
      name: 'no-test',
      comment: 'the product does not depend on its tests.',
      severity: 'error',
      from: { path: '^(src|bin)/' },
      to: { path: '^test/' },
    },
    {
      name: 'resolvable',
      comment: 'an import that cannot be resolved fails at run time.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'rooms-only',
      comment: `src/ holds the rooms of the map (${ROOMS.join(', ')}) and ${Object.keys(FILES).join(', ')}: put the file into the room it belongs to.`,
      severity: 'error',
      from: { path: '^src/', pathNot: [`^src/(${ROOMS.join('|')})/`, ...Object.keys(FILES).map(inside)] },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
