// System calls Node has no function for, from the C library Node itself is linked with. Each throws an Error with the errno's
// name as `code`, as node:fs does.
import koffi from 'koffi';

const AT_FDCWD = -100;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MS_SYNC = 4;

const library = koffi.load(null);

type Native = (...args: unknown[]) => unknown;

function declare(declaration: string): Native {
  return library.func(declaration);
}

const renameat2 = declare('int renameat2(int from, const char *old, int to, const char *new, unsigned int flags)');
const fallocateNative = declare('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const mmap = declare('void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)');
const munmap = declare('int munmap(void *at, size_t length)');
const msync = declare('int msync(void *at, size_t length, int flags)');
const fcntl = declare('int fcntl(int fd, int command, int value)');
const mknod = declare('int mknod(const char *path, unsigned int mode, uint64_t device)');
const pwrite = declare('int64_t pwrite(int fd, const char *bytes, size_t length, int64_t offset)');
const ftruncate = declare('int ftruncate(int fd, int64_t length)');
const dup = declare('int dup(int fd)');

function failed(call: string): NodeJS.ErrnoException {
  const number = koffi.errno();
  const code = Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? String(number);
  return Object.assign(new Error(`${call}: ${code}`), { code });
}

function checked(call: string, result: unknown): number {
  if (typeof result !== 'number' || result < 0) throw failed(call);
  return result;
}

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

/** renameat2(2). */
export function renameWith(from: string, to: string, flags: number): void {
  checked('renameat2', renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const FALLOC_FL_COLLAPSE_RANGE = 8;
export const FALLOC_FL_ZERO_RANGE = 16;

/** fallocate(2). */
export function allocate(fd: number, mode: number, offset: number, length: number): void {
  checked('fallocate', fallocateNative(fd, mode, offset, length));
}

/** mknod(2), of no device. */
export function makeNode(path: string, mode: number): void {
  checked('mknod', mknod(path, mode, 0));
}

/** pwrite(2) of text, at offsets Node refuses too. */
export function writeAt(fd: number, text: string, offset: bigint): void {
  checked('pwrite', pwrite(fd, text, Buffer.byteLength(text), offset));
}

/** ftruncate(2), to lengths Node refuses too. */
export function truncateTo(fd: number, length: bigint): void {
  checked('ftruncate', ftruncate(fd, length));
}

/** dup(2). */
export function duplicate(fd: number): number {
  return checked('dup', dup(fd));
}

const F_SETFL = 4;

/** Sets a descriptor's flags, as fcntl(2) can: O_APPEND among them. */
export function setFlags(fd: number, flags: number): void {
  checked('fcntl', fcntl(fd, F_SETFL, flags));
}

/** A file's bytes in memory, shared with the file. Unmap it. */
export interface Mapping {
  readonly bytes: Uint8Array;
  /** Waits until the file has what was stored. */
  sync(): void;
  unmap(): void;
}

/** mmap(2), for reading and writing. */
export function map(fd: number, length: number): Mapping {
  const at: unknown = mmap(null, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (koffi.address(at) === 2n ** 64n - 1n) throw failed('mmap');
  return {
    bytes: new Uint8Array(koffi.view(at, length)),
    sync: () => void checked('msync', msync(at, length, MS_SYNC)),
    unmap: () => void checked('munmap', munmap(at, length)),
  };
}
