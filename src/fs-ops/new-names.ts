// Which names a program may give to what it makes or moves, and what the service is to call them. Refuses at once what the service
// would refuse, or take for a name that is there already. Knows the rules of names, not why one is given.
import { errno } from '../base/errno.ts';
import type { NewName } from '../cache/local-changes.ts';
import type { TreeDirectory, TreeNode } from '../cache/tree.ts';
import type { FoldedNames } from './folded-names.ts';
import { NAME_BYTES_MAX, escapeName, unescapeName } from './names.ts';
import { FsError } from './operations.ts';

/** ENAMETOOLONG for what no directory holds. */
export function requireShort(name: string): void {
  // A UTF-16 unit is at most three bytes.
  if (name.length <= NAME_BYTES_MAX / 3 || Buffer.byteLength(name) <= NAME_BYTES_MAX) return;
  throw new FsError(errno.ENAMETOOLONG, `a name of ${Buffer.byteLength(name)} bytes, ${NAME_BYTES_MAX} are allowed`);
}

/** Why the service would refuse a name, as the end of a sentence; undefined where it takes it. */
function refusal(remoteName: string): string | undefined {
  if (remoteName === '' || remoteName === '.' || remoteName === '..') return 'stands for no name at all';
  const character = /[/\\<>\0]/.exec(remoteName)?.[0];
  if (character !== undefined)
    return `has a ${character === '\0' ? 'NUL' : character} in it, which Syncplicity refuses`;
  if (/^ | $/.test(remoteName)) return 'begins or ends with a space, which Syncplicity cuts off';
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(remoteName))
    return 'is not whole Unicode';
  return undefined;
}

/** Judges names that programs give. */
export class NewNames {
  readonly #folded: FoldedNames;

  constructor(folded: FoldedNames) {
    this.#folded = folded;
  }

  /**
   * A name that is free in a directory, which was listed, with its form at the service. Throws FsError: ENAMETOOLONG; EINVAL where the
   * service would refuse it; EEXIST where it would take it for another that is there. `moved` is the node that gets the name.
   */
  take(directory: TreeDirectory, name: string, moved?: TreeNode): NewName {
    requireShort(name);
    const remoteName = unescapeName(name);
    const refused = refusal(remoteName) ?? (escapeName(remoteName) === name ? undefined : 'is no name of its own');
    if (refused !== undefined) throw new FsError(errno.EINVAL, `the name ${JSON.stringify(name)} ${refused}`);
    const own = moved?.parent === directory.inode ? moved.remoteName : undefined;
    const other = this.#folded.alike(directory.inode, remoteName).find((alike) => alike !== own);
    if (other !== undefined)
      throw new FsError(
        errno.EEXIST,
        `${JSON.stringify(name)} and ${JSON.stringify(other)} are one name to Syncplicity`,
      );
    return { name, remoteName };
  }
}
