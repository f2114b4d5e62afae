// `npm run demo -- DIRECTORY`, after the build: lets the program's own `mount --demo` mount the demo drive there, then shows what lies
// in it, writes a file into it, and says what to try. Run again it says the same of the drive that is mounted. It stays out of how
// mounting works.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'dist', 'bin', 'syncplicityfs.js');
/** Entries shown of one folder: the listing fits on a screen. */
const SHOWN = 8;
/** Written by the demo, so that there is something to see of writing. */
const NOTE = 'Shopping list.txt';

process.exitCode = main(process.argv[2]);

function main(argument) {
  if (argument === undefined || argument.startsWith('-')) {
    console.error('Say where to mount the demo drive: npm run demo -- ~/syncplicity-demo');
    return 2;
  }
  // npm runs scripts in the package's directory; INIT_CWD is where the user called it.
  const directory = resolve(process.env['INIT_CWD'] ?? process.cwd(), argument);
  const mounted = mountAt(directory);
  if (mounted === undefined) {
    if (!makeDirectory(directory)) return 1;
    const { status } = spawnSync(process.execPath, [program, 'mount', '--demo', directory], { stdio: 'inherit' });
    // It has said why.
    if (status !== 0) return 1;
  } else if (mounted.connection !== 'demo') {
    console.error(`${directory} is where "${mounted.connection}" is mounted: choose another directory`);
    return 1;
  }
  console.log(`The demo drive is mounted on ${directory}${mounted === undefined ? '' : ' already'}:\n`);
  show(directory, 0);
  if (!writeNote(directory)) return 1;
  console.log(tour(shellWord(directory), shellWord(relative(process.env['INIT_CWD'] ?? root, program))));
  return 0;
}

/** The status of the mount on `directory`, if one of ours answers there. */
function mountAt(directory) {
  const { status, stdout } = spawnSync(process.execPath, [program, 'status', '--json'], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  let path = directory;
  try {
    // Not of the mountpoint itself: a dead mount there answers nothing.
    path = join(realpathSync(dirname(directory)), basename(directory));
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return JSON.parse(stdout).find(({ mountpoint }) => mountpoint === path);
}

function makeDirectory(directory) {
  try {
    mkdirSync(directory, { recursive: true });
    return true;
  } catch (error) {
    // A dead mount is there, though it cannot be looked at; `mount` clears it away.
    if (error.code === 'ENOTCONN' || error.code === 'EEXIST') return true;
    console.error(`${directory} cannot be made: ${error.message}`);
    return false;
  }
}

/** Prints what the drive shows, two levels deep. */
function show(directory, level) {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => a.name.localeCompare(b.name));
  for (const entry of entries.slice(0, SHOWN)) {
    const path = join(directory, entry.name);
    const size = entry.isDirectory() ? '' : String(statSync(path).size);
    console.log(`${size.padStart(10)}  ${'  '.repeat(level)}${entry.name}${entry.isDirectory() ? '/' : ''}`);
    if (entry.isDirectory() && level === 0) show(path, level + 1);
  }
  if (entries.length > SHOWN)
    console.log(`${''.padStart(10)}  ${'  '.repeat(level)}and ${entries.length - SHOWN} more`);
}

/** Writes a file, waits until the service has it, and says so. False where that fails. */
function writeNote(directory) {
  const path = join(directory, 'Documents', NOTE);
  try {
    writeFileSync(path, 'Milk\nPears\n', { flag: 'wx' });
  } catch (error) {
    // Of an earlier run: it is the user's by now.
    if (error.code === 'EEXIST') return true;
    console.error(`${path} cannot be written: ${error.message}`);
    return false;
  }
  const { status } = spawnSync(process.execPath, [program, 'flush', directory], { stdio: 'inherit' });
  // It has said why.
  if (status !== 0) return false;
  console.log(`\nDocuments/${NOTE} was written just now, and the service has stored it.`);
  return true;
}

function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function tour(directory, programPath) {
  return `
It is a drive like any other, for every program of yours. Try:

  ls -l ${directory}/Pictures
  grep -rn READDIRPLUS ${directory}/Project/src
  node ${programPath} status

Write in it as well. What you save is safe on this machine at once, and is sent to the service in the background:

  cp -r ${directory}/Project/doc ${directory}/Documents/Papers
  echo 'Bring bread' >> ${directory}/Documents/${shellWord(NOTE)}
  node ${programPath} flush ${directory}
  rm -r ${directory}/Documents/Papers

When you have seen enough:

  node ${programPath} unmount ${directory}
`;
}
