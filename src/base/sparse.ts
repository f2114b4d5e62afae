// Zeros, and where a file has data and where holes, which Node cannot ask: lseek(2) of the C library Node itself is linked with. That moves
// the descriptor's offset: for files that are read and written at given places alone.
import koffi from 'koffi';

const zeros = Buffer.alloc(1024 * 1024);

/** True where all of the bytes are zeros: they need no room in a file with holes. */
export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const piece = bytes.subarray(at, at + zeros.length);
    if (!zeros.subarray(0, piece.length).equals(piece)) return false;
  }
  return true;
}

type Seek = (fd: number, offset: number, whence: number) => number | bigint;

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Where its offsets have 32 bits, lseek(2) is another function. */
const WIDE: readonly string[] = ['arm64', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

/** `null` where this machine cannot be asked. */
let native: Seek | null | undefined;

/**
 * The first stretch of [startBytes, endBytes) that may have anything else than zeros in it; undefined: there is none. A file system that
 * knows no holes has data everywhere.
 */
export function nextData(
  descriptor: number,
  startBytes: number,
  endBytes: number,
): readonly [startBytes: number, endBytes: number] | undefined {
  if (native === undefined) native = load();
  if (startBytes >= endBytes) return undefined;
  if (native === null) return [startBytes, endBytes];
  const from = Number(native(descriptor, startBytes, SEEK_DATA));
  // Nothing but a hole up to the file's end; for any other reason it is not known.
  if (from < 0) return koffi.errno() === koffi.os.errno['ENXIO'] ? undefined : [startBytes, endBytes];
  if (from >= endBytes) return undefined;
  const to = Number(native(descriptor, from, SEEK_HOLE));
  return [from, to > from ? Math.min(to, endBytes) : endBytes];
}

function load(): Seek | null {
  if (process.platform !== 'linux' || !WIDE.includes(process.arch)) return null;
  return koffi.load(null).func('int64_t lseek(int fd, int64_t offset, int whence)') as Seek;
}
