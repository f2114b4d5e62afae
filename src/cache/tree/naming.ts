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
