// What merging needs of names; the file system, which owns their meaning, gives it.

/** How remote names become names of a POSIX directory; given by the file system, which owns that meaning. */
export interface Naming {
  /** A name POSIX can hold, the same for the same remote name and id. */
  fit(remoteName: string, id: string): string;
  /** A name for an entry whose own is taken by another one of the same folder. */
  distinct(name: string, id: string): string;
  /** The name that our file goes on under when another one took its own at the service. */
  conflicting(name: string, at: Date): string;
}

/** A free name in a directory for what has lost its own to another one there at a time. */
export function conflictName(
  naming: Naming,
  ours: { readonly name: string; readonly inode: number },
  isTaken: (name: string) => boolean,
  at: Date,
): string {
  let name = naming.conflicting(ours.name, at);
  while (isTaken(name)) name = naming.distinct(name, String(ours.inode));
  return name;
}
