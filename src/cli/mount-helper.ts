// mount.syncplicityfs, which mount(8) and systemd run for lines of fstab: its arguments, and whom the mount is for. Source: mount(8), "External
// helpers". Must not know how anything is mounted.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { UsageError } from '../base/usage-error.ts';

/** What mount(8) asks for. */
export interface HelperCall {
  readonly source: string;
  readonly directory: string;
  /** Without what is for the helper alone. */
  readonly options: string;
  /** Whose drive it is: `setuid=`, as mount.fuse has it. */
  readonly user: string | undefined;
  /** -f: all is to be done but mounting. */
  readonly isFake: boolean;
}

/** Reads `SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`. Throws {@link UsageError}. */
export function readHelperCall(argv: readonly string[]): HelperCall {
  const places: string[] = [];
  const options: string[] = [];
  let isFake = false;
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith('-') || word === '-') {
      places.push(word);
      continue;
    }
    for (let at = 1; at < word.length; at += 1) {
      const letter = word[at] as string;
      if ('snv'.includes(letter)) continue;
      if (letter === 'f') isFake = true;
      else if ('oNt'.includes(letter)) {
        const value = word.slice(at + 1) || rest.shift();
        if (value === undefined) throw new UsageError(`-${letter} needs a value`, USAGE);
        if (letter === 'o') options.push(value);
        break;
      } else throw new UsageError(`unknown option -${letter}`, USAGE);
    }
  }
  const [source, directory, ...more] = places;
  if (source === undefined || directory === undefined || more.length > 0) {
    throw new UsageError('a source and a directory are needed', USAGE);
  }
  const items = options.join(',').split(',').filter(Boolean);
  const user = items.findLast((item) => item.startsWith(SETUID))?.slice(SETUID.length);
  if (user === '') throw new UsageError('setuid= names no user', 'write it like setuid=alice');
  return { source, directory, options: items.filter((item) => !item.startsWith(SETUID)).join(','), user, isFake };
}

const USAGE = 'it is run by mount(8), as: mount.syncplicityfs SOURCE DIRECTORY [-o OPTIONS]';
const SETUID = 'setuid=';

/** The command line that mounts it, once this process is that user's. With -f one that only shows that the program is there. */
export async function mountHelperArguments(argv: readonly string[]): Promise<readonly string[]> {
  const { source, directory, options, user, isFake } = readHelperCall(argv);
  if (isFake) return ['--version'];
  if (user !== undefined) await become(user);
  return ['mount', ...(options === '' ? [] : ['-o', options]), '--', source, directory];
}

/** Gives up root for a user, with their groups and home. */
async function become(user: string): Promise<void> {
  // The types leave it out.
  const { initgroups } = process as { initgroups?: (user: string, extraGroup: number) => void };
  const { setgid, setuid, getuid } = process;
  if (initgroups === undefined || setgid === undefined || setuid === undefined || getuid === undefined) {
    throw new UsageError('setuid= needs a system with users');
  }
  const { name, uid, gid, home } = await accountOf(user);
  if (getuid() === uid) return;
  if (getuid() !== 0) throw new UsageError(`setuid=${user}: only root mounts for others`);
  initgroups(name, gid);
  setgid(gid);
  setuid(uid);
  Object.assign(process.env, { HOME: home, USER: name, LOGNAME: name });
}

async function accountOf(user: string): Promise<{ name: string; uid: number; gid: number; home: string }> {
  let line: string;
  try {
    // Node tells of its own user only; this one may come from a directory service.
    ({ stdout: line } = await promisify(execFile)('getent', ['passwd', '--', user]));
  } catch (error) {
    if ((error as { code?: unknown }).code === 2) throw new UsageError(`setuid=${user}: there is no such user`);
    throw error;
  }
  const [name = '', , uid, gid, , home = ''] = line.trim().split(':');
  return { name, uid: Number(uid), gid: Number(gid), home };
}
