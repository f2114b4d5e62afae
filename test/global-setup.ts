// Runs once before all suites.
import { existsSync } from 'node:fs';

/** Says loudly when the kernel suites cannot run, so that a green run without them is never mistaken for a whole one. */
export default function setup(): void {
  if (!existsSync('/dev/fuse')) {
    console.error('\n*** /dev/fuse is missing: every test that mounts through the kernel is SKIPPED ***\n');
  }
}
