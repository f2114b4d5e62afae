// A file's time to the nanosecond.
import { closeSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { setFileTime } from '../../src/base/file-times.ts';

test.each([0n, 1n, 1_445_987_282_412_836_601n, 1_700_000_000_999_999_999n, -1_500_000_001n])('%i ns', (timeNs) => {
  const directory = mkdtempSync(join(tmpdir(), 'file-times-'));
  const path = join(directory, 'file');
  const descriptor = openSync(path, 'w');
  try {
    setFileTime(descriptor, timeNs);
    const { mtimeNs, atimeNs } = statSync(path, { bigint: true });
    expect([mtimeNs, atimeNs]).toEqual([timeNs, timeNs]);
  } finally {
    closeSync(descriptor);
    rmSync(directory, { recursive: true });
  }
});

test('a descriptor that is none is refused', () => {
  expect(() => setFileTime(-1, 0n)).toThrow('futimens failed: EBADF');
});
