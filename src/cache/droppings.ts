// Which files are an editor's or a desktop's own: lock files, swap files, thumbnails' indexes. They stay on this machine as long
// as they carry such a name and the service never had them. Knows names only.

const droppings: readonly RegExp[] = [
  /^\.~lock\..*#$/, // LibreOffice's locks
  /^~\$/, // Microsoft Office's
  /^\..*\.sw.$/, // vim's swap files
  /^\.goutputstream-/, // GNOME's temporary files, renamed over the target
  /^\.DS_Store$/,
  /^\._/, // macOS resource forks
  /^Thumbs\.db$/i,
];

/** True for the name of a file that nobody wants at the service. */
export function isDropping(name: string): boolean {
  return droppings.some((pattern) => pattern.test(name));
}
