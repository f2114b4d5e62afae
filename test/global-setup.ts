// Runs once before all suites, and once after them.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leaksVariable } from './secrecy.ts';

/**
 * Says loudly when the kernel suites cannot run, so that a green run without them is never mistaken for a whole one. Afterwards the run
 * fails if a secret was seen where no test failed for it.
 */
export default function setup(): () => void {
  if (!existsSync('/dev/fuse')) {
    console.error('\n*** /dev/fuse is missing: every test that mounts through the kernel is SKIPPED ***\n');
  }
  const directory = mkdtempSync(join(tmpdir(), 'syncplicityfs-leaks-'));
  const file = join(directory, 'leaks');
  writeFileSync(file, '');
  process.env[leaksVariable] = file;
  return () => {
    const leaks = readFileSync(file, 'utf8');
    rmSync(directory, { recursive: true });
    if (leaks === '') return;
    console.error(`\n*** secrets got out ***\n${leaks}`);
    // An error of a teardown is shown, and changes nothing else.
    process.exitCode = 1;
  };
}
