// Runs once before all suites, and once after them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { everybodyMayRead, fuseExists, isRoot, lackingPackages, mayUnshareMounts } from './machine.ts';
import { leaksVariable } from './secrecy.ts';

/**
 * Says loudly, before and after, what cannot run on this machine, so that a green run without it is never mistaken for a whole one.
 * Afterwards the run fails if a secret was seen where no test failed for it.
 */
export default function setup(): () => void {
  sayWhatIsSkipped();
  const directory = mkdtempSync(join(tmpdir(), 'syncplicityfs-leaks-'));
  const file = join(directory, 'leaks');
  writeFileSync(file, '');
  process.env[leaksVariable] = file;
  return () => {
    const leaks = readFileSync(file, 'utf8');
    rmSync(directory, { recursive: true });
    sayWhatIsSkipped();
    if (leaks === '') return;
    console.error(`\n*** secrets got out ***\n${leaks}`);
    // An error of a teardown is shown, and changes nothing else.
    process.exitCode = 1;
  };
}

function sayWhatIsSkipped(): void {
  const packages = lackingPackages();
  const said = [
    ...(fuseExists ? [] : ['/dev/fuse is missing: every test that mounts through the kernel is SKIPPED']),
    ...(packages.length === 0
      ? []
      : [`tests are SKIPPED that run what is not installed here: apt-get install ${packages.join(' ')}`]),
    ...(mayUnshareMounts() || !isRoot
      ? []
      : ['tests are SKIPPED that make a mount namespace, which cannot be made here']),
    ...(everybodyMayRead || !isRoot
      ? []
      : ['tests are SKIPPED that run as an ordinary user, who may not read this directory']),
  ];
  for (const line of said) console.error(`\n*** ${line} ***`);
}
