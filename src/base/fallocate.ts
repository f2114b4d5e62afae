// fallocate(2), which Node lacks: taken from the C library Node itself is linked with.
import koffi from 'koffi';

type Fallocate = (fd: number, mode: number, offset: number, length: number) => number;

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const modes = { allocate: 0, punch: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE } as const;

/** `null` where this C library has none. */
let native: Fallocate | null | undefined;

/**
 * `allocate` gives [offsetBytes, offsetBytes + lengthBytes) room on the disk, and the file that length at least; `punch` makes it zeros that
 * take none. False where the file system, or this machine, can't. Throws otherwise, with `code`.
 */
export function fallocate(
  descriptor: number,
  mode: keyof typeof modes,
  offsetBytes: number,
  lengthBytes: number,
): boolean {
  native ??= load();
  if (native === null) return false;
  if (native(descriptor, modes[mode], offsetBytes, lengthBytes) === 0) return true;
  const number = koffi.errno();
  const code = Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
  if (code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'ENOSYS') return false;
  throw Object.assign(new Error(`fallocate failed: ${code}`), { code });
}

function load(): Fallocate | null {
  if (process.platform !== 'linux') return null;
  return koffi.load(null).func('int fallocate(int fd, int mode, int64_t offset, int64_t length)') as Fallocate;
}
