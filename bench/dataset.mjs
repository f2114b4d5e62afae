// The data both drives serve: made once per directory, the same bytes on every machine.
// tree/ 100 folders x 100 files of 4 KiB; wide/ 50,000 files of 100 B; many/ 100,000 of 20 B; big.bin and random.bin 256 MiB;
// huge.bin 5 GiB, sparse. `quick` makes a tenth of the files and of the long files an eighth, random.bin excepted.
import { createCipheriv } from 'node:crypto';
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const MEBIBYTE = 2 ** 20;
/** Length of random.bin: 100 small reads cost about the same whatever the scale. */
export const RANDOM_BYTES = 256 * MEBIBYTE;

export function shape(quick) {
  return quick
    ? {
        folders: 20,
        filesPerFolder: 50,
        wide: 5_000,
        many: 10_000,
        bigBytes: 32 * MEBIBYTE,
        hugeBytes: 640 * MEBIBYTE,
      }
    : {
        folders: 100,
        filesPerFolder: 100,
        wide: 50_000,
        many: 100_000,
        bigBytes: 256 * MEBIBYTE,
        hugeBytes: 5 * 1024 * MEBIBYTE,
      };
}

/** Fills `directory` unless it was filled before. Answers the shape. */
export function makeDataset(directory, quick) {
  const wanted = shape(quick);
  const marker = join(directory, `complete-${quick ? 'quick' : 'full'}`);

  const data = join(directory, 'data');
  if (existsSync(marker)) return { ...wanted, data };
  rmSync(data, { recursive: true, force: true });
  const bytes = stream('syncplicityfs-bench');
  const folder = (name) => {
    mkdirSync(join(data, name), { recursive: true });
    return join(data, name);
  };
  for (let index = 0; index < wanted.folders; index++) {
    const path = folder(join('tree', `d${digits(index, 3)}`));
    for (let file = 0; file < wanted.filesPerFolder; file++) {
      writeFileSync(join(path, `file${digits(file, 3)}.txt`), bytes(4096));
    }
  }
  const wide = folder('wide');
  for (let index = 0; index < wanted.wide; index++)
    writeFileSync(join(wide, `item${digits(index, 5)}.dat`), bytes(100));
  const many = folder('many');
  for (let index = 0; index < wanted.many; index++) writeFileSync(join(many, `note${digits(index, 6)}.txt`), bytes(20));
  for (const [name, lengthBytes] of [
    ['big.bin', wanted.bigBytes],
    ['random.bin', RANDOM_BYTES],
  ]) {
    const file = openSync(join(data, name), 'w');
    for (let at = 0; at < lengthBytes; at += MEBIBYTE) writeSync(file, bytes(MEBIBYTE));
    closeSync(file);
  }
  const huge = openSync(join(data, 'huge.bin'), 'w');
  ftruncateSync(huge, wanted.hugeBytes);
  closeSync(huge);
  writeFileSync(marker, '');
  return { ...wanted, data };
}

/** Numbers from 0 to below 1, the same in every run. */
export function seededNumbers(seed) {
  const bytes = stream(seed);
  return () => bytes(4).readUInt32LE(0) / 2 ** 32;
}

function stream(seed) {
  const key = Buffer.alloc(16);
  key.write(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

function digits(value, width) {
  return String(value).padStart(width, '0');
}
