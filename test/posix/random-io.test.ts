// Random reads, writes, truncations, mappings and renames on a mount, each compared with memory, through remounts and lost caches;
// and after each drain the service has the same bytes. RANDOM_IO_OPERATIONS=100000 runs it at full length, RANDOM_IO_SEED repeats a run.
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Desk } from '../apps/desk.ts';
import { lackingCalls } from '../cli/program.ts';
import { fuseExists } from '../mount/drive.ts';
import { lacks } from '../machine.ts';

const OPERATIONS = Number(process.env['RANDOM_IO_OPERATIONS'] ?? 8_000);
const SEED = Number(process.env['RANDOM_IO_SEED'] ?? Date.now() % 100_000);
const MAX_BYTES = 300_000;
/** Of one operation, on a machine that is busy with other suites. */
const OPERATION_LIMIT_MS = 25;

let desk: Desk;

beforeEach(async () => {
  desk = await Desk.set();
});
afterEach(async () => {
  await desk.clear();
});

describe.skipIf(!fuseExists || lacks('python3'))('random operations', () => {
  it(`on three files: ${OPERATIONS}, seed ${SEED}`, { timeout: OPERATIONS * OPERATION_LIMIT_MS }, async () => {
    const directory = desk.at('Projects', 'random');
    await mkdir(directory);
    const program = join(import.meta.dirname, 'random-io.py');
    const child = spawn('python3', [program, directory, String(SEED), String(OPERATIONS), String(MAX_BYTES)], {
      env: { ...process.env, ...lackingCalls },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    let remounts = 0;
    let last = '';
    for await (const word of createInterface({ input: child.stdout })) {
      last = word;
      if (word === 'drain') await desk.same({ times: false });
      else if (word === 'remount') {
        remounts += 1;
        if (remounts % 2 === 0) await desk.remount('wiped');
        else {
          await desk.drive.succeed(['unmount', '--no-wait', desk.drive.mountpoint]);
          await desk.script('rm -rf ~/.cache');
          await desk.drive.mount();
        }
      }
      child.stdin.write('done\n');
    }
    expect({ code: await ended, said, last }).toEqual({ code: 0, said: '', last: 'same' });
    await desk.same({ times: false });
  });
});
