// utimensat(2) and futimens(2): Node's own calls give the kernel microseconds, and the service keeps tenths of them.
import koffi from 'koffi';

const library = koffi.load(null);
const utimensat = library.func('int utimensat(int directory, const char *path, const int64_t *times, int flags)');
const futimens = library.func('int futimens(int file, const int64_t *times)');
const NS_PER_S = 1_000_000_000n;
/** A path is taken from the working directory. */
const AT_FDCWD = -100;

/** Sets access and modification time. Throws as node:fs does, with the errno's name as `code`. */
export function setPathTime(path, ns) {
  check('utimensat', utimensat(AT_FDCWD, path, timesOf(ns), 0));
}

export function setFileTime(file, ns) {
  check('futimens', futimens(file, timesOf(ns)));
}

function timesOf(ns) {
  return BigInt64Array.of(ns / NS_PER_S, ns % NS_PER_S, ns / NS_PER_S, ns % NS_PER_S);
}

function check(call, result) {
  if (result === 0) return;
  const number = koffi.errno();
  const code = Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
  throw Object.assign(new Error(`${code}: ${call}`), { code });
}
