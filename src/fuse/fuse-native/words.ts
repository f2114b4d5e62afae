// What the binding takes and gives as arrays of 32-bit words: stat, statvfs, times, errno. Pure. The binding counts times in
// milliseconds from 1970 on and cuts inode numbers to 32 bits.
import { constants } from 'node:os';
import { errno } from '../../base/errno.ts';
import type { Attributes, Capacity } from '../../fs-ops/operations.ts';

const TWO_32 = 2 ** 32;
const WORD_MAX = TWO_32 - 1;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const PAGE_BYTES = 4096;
const STAT_WORDS = 18;
const STATFS_WORDS = 11;

export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Of a failed request: it has to be there and is not looked at. */
export const noStat = new Uint32Array(STAT_WORDS);
export const noStatfs = new Uint32Array(STATFS_WORDS);

/** struct stat. */
export function statWords(attributes: Attributes): Uint32Array {
  const words = new Uint32Array(STAT_WORDS);
  words[0] = (attributes.type === 'directory' ? S_IFDIR : S_IFREG) | (attributes.permissions & 0o7777);
  words[1] = attributes.uid;
  words[2] = attributes.gid;
  double(words, 3, attributes.sizeBytes);
  words[6] = attributes.linkCount;
  words[7] = inodeWord(attributes.inode);
  words[9] = PAGE_BYTES;
  double(words, 10, Math.ceil(attributes.sizeBytes / 512));
  double(words, 12, milliseconds(attributes.accessed));
  double(words, 14, milliseconds(attributes.modified));
  double(words, 16, milliseconds(attributes.changed));
  return words;
}

/** What readdir tells of an entry: its type and number. */
export function entryWords(type: Attributes['type'], inode: number): Uint32Array {
  const words = new Uint32Array(STAT_WORDS);
  words[0] = type === 'directory' ? S_IFDIR : S_IFREG;
  words[7] = inodeWord(inode);
  return words;
}

/** struct statvfs. Blocks grow with the vault until their count fits into 32 bits. */
export function statfsWords(capacity: Capacity): Uint32Array {
  const words = new Uint32Array(STATFS_WORDS);
  let blockBytes = PAGE_BYTES;
  while (capacity.totalBytes / blockBytes > WORD_MAX) blockBytes *= 2;
  const free = Math.floor(capacity.freeBytes / blockBytes);
  words[0] = blockBytes;
  words[1] = blockBytes;
  words[2] = Math.ceil(capacity.totalBytes / blockBytes);
  words[3] = free;
  words[4] = free;
  words[5] = Math.min(capacity.totalFiles, WORD_MAX);
  words[6] = Math.min(capacity.freeFiles, WORD_MAX);
  words[7] = Math.min(capacity.freeFiles, WORD_MAX);
  words[10] = capacity.nameBytesMax;
  return words;
}

/** Numbers up to 2^32 as they are: the tree counts up from 1. Beyond, folded; 0 would hide an entry from readdir(3). */
function inodeWord(inode: number): number {
  const folded = ((inode % TWO_32) ^ Math.floor(inode / TWO_32)) >>> 0;
  return folded === 0 ? WORD_MAX : folded;
}

/** The binding has no numbers for what was before 1970. */
function milliseconds({ seconds, nanoseconds }: Time): number {
  return Math.max(0, seconds * 1000 + Math.floor(nanoseconds / 1e6));
}

function double(words: Uint32Array, at: number, value: number): void {
  words[at] = value % TWO_32;
  words[at + 1] = Math.floor(value / TWO_32);
}

/** An offset or length given as two words. */
export function fromWords(low: number, high: number): number {
  return high * TWO_32 + low;
}

/** A time given as two words of milliseconds, in two's complement. */
export function timeOf(ms: bigint): Time {
  const signed = Number(BigInt.asIntN(64, ms));
  const seconds = Math.floor(signed / 1000);
  return { seconds, nanoseconds: (signed - seconds * 1000) * 1e6 };
}

const names = new Map<number, string>(Object.entries(errno).map(([name, number]) => [number, name]));
const hostNumbers: Readonly<Record<string, number>> = constants.errno;

/** This machine's number of an error, from Linux's: the same on Linux. */
export function hostErrno(linuxErrno: number): number {
  return hostNumbers[names.get(linuxErrno) ?? ''] ?? linuxErrno;
}
